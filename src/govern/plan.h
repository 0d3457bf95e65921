/*
 * The plan as it is decided, approved, armed and executed: one RFC 8785 text
 * and its SHA-256.  Change one byte and it is another plan.
 *
 * Members (docs/plan.md): v, purpose, request, agent, chain, task, class,
 * intent, action, target, targetDigest, connectorBuild, resource, tier,
 * parameters, diff, gains, loses, blastRadius, undo, precondition, mode, ttl,
 * notAfter (of a request or a drill).
 * The version of the target's entry is recorded beside it, not in it.
 */
#pragma once

#include "base/json.h"
#include "crypto/digest.h"

/* What a plan is made of; all borrowed. */
struct plan_parts {
	const char *purpose; /* "request", "end" or "drill" */
	const char *request; /* id of the request, grant or drill */
	const char *agent;
	const json_t *chain; /* agents above it; NULL for none */
	const char *task;
	const char *class_digest;
	const char *intent; /* commitment */
	const char *action;
	const char *target;
	const char *target_digest;
	const char *connector_build;
	int tier;
	bool recommend;
	int64_t ttl_s;
	const char *not_after; /* RFC 3339; NULL: the plan has no such member */
	const json_t *found;   /* what the connector's plan answered */
};

/* The canonical text, owned, and its digest as "sha256:...". */
char *plan_text(const struct plan_parts *parts,
		char ret_digest[DIGEST_TEXT_LEN]);
