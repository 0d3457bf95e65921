/*
 * The authority's own question as plain data: what ask_action() says in JSON,
 * without JSON.  The engine reads it in place and makes Cedar's values of it,
 * so the members stand here as they do there (engine/cedar/src/lib.rs).
 *
 * All texts and lists are borrowed and end before the call they were given to
 * returns; a list of no elements may be NULL.  Names are ids without a type.
 */
#pragma once

#include "base/base.h"

struct policy_names {
	const char *const *list;
	size_t count;
};

struct policy_count {
	const char *name;
	int64_t value;
};

struct policy_counts {
	const struct policy_count *list;
	size_t count;
};

/* An agent asks.  Times are wall milliseconds. */
struct policy_question {
	size_t size; /* sizeof(struct policy_question) */
	const char *agent;
	const char *action;
	const char *resource_type; /* without namespace */
	const char *resource;	   /* id of the entity */
	const char *plane;	   /* these five if it is classified */
	const char *domain;
	const char *environment;
	int64_t tier;
	int64_t sensitivity;
	const char *task;
	const char *task_class;
	struct policy_names declared_planes;
	int64_t task_expires_ms;
	int64_t now_ms;
	int64_t weekday;
	int64_t hour;
	int64_t ttl_s;
	int64_t blast_radius;
	int64_t risk_score;
	int64_t risk_signals;
	int64_t privileged_24h;
	int64_t irreversible_24h;
	int64_t planes_24h;
	int64_t request_expires_ms;
	struct policy_names gains_humans;
	struct policy_names gains_agents;
	struct policy_names evidence;
	struct policy_names planes;
	struct policy_names barred;
	struct policy_counts approvals;
	bool classified; /* false: the resource is an entity of the world */
	bool sign_off;
	bool change_freeze;
	bool attested;
	bool recommend;
	bool covered;
	bool monitored;
	bool reversible;
	bool self_dealing;
	bool own_rollback;
};
