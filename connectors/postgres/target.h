/*
 * The target of a connector for PostgreSQL: the server, what of it is in reach,
 * and how credentials are lent.
 */
#pragma once

#include "connectors/postgres/database.h"
#include "connectors/postgres/roles.h"
#include "connectors/sdk/connector.h"

enum {
	TARGET_LOOK_MS = 12 * 1000,  /* the host waits 15 s for a plan */
	TARGET_APPLY_MS = 26 * 1000, /* and 30 s for an apply */
};

/* How logins are lent; borrowed from the configuration. */
struct target_lend {
	bool allowed;
	int64_t connections; /* at a time, for one login */
	bool drops;	     /* what a login owns goes with it */
	const char *host;    /* as its user is told */
	int64_t port;
	const char *database;
};

struct target {
	struct database *database; /* owned */
	const json_t *roles;	   /* borrowed patterns */
	const json_t *keep;	   /* borrowed names; NULL if none */
	struct target_lend lend;
	const char *log; /* borrowed; the server's CSV log, NULL if none */
};

/* What every action and reading begins with: time for it and a connection.
 * Errors: those of database_connect(). */
MUST_USE int target_begin(struct target *t, int64_t budget_ms);

/* Whether the configuration puts a role in reach; name: as the server has it.
 */
bool target_reaches(const struct target *t, const char *name);

/* Whether the configuration wants somebody to keep the role. */
bool target_keeps(const struct target *t, const char *name);

static inline bool target_refused(const struct connector_reply *reply)
{
	return reply->reason[0] != '\0';
}

/* Turns a failure into a refusal, for an apply in which certainly nothing
 * happened; returns 0. */
int target_refuse_failure(const struct target *t, struct connector_reply *reply,
			  int r);

/*
 * Commits, and answers "applied" with what was observed (owned by the call)
 * before; a refusal when the server certainly undid it.
 * Errors: ERR_UNAVAILABLE when nobody knows.
 */
MUST_USE int target_commit(struct target *t, json_t *observed,
			   const char *version, struct connector_reply *reply);

/* Reads a role's name out of an ask or an order; refuses what is no name.
 * what: the words for it. */
void target_take_name(const char *spelling, const char *what,
		      char ret_name[ROLENAME_MAX + 1],
		      struct connector_reply *reply);
