/*
 * The outbox: notices that are on their way to somebody, one row for each
 * notice and endpoint.  A row is written in the transaction of what it tells
 * of, and goes when it has been taken; what nobody took stays as a dead letter
 * for a while.  A row names things by their ids alone.
 */
#pragma once

#include "store/store.h"

/* A change of the outbox; which members count depends on what it does. */
enum outbox_act {
	OUTBOX_ADD,    /* id, endpoint, event, about, role, human, at_ms,
			* until_ms */
	OUTBOX_MOVE,   /* id, attempts, at_ms (when next), is_dead, why */
	OUTBOX_AGAIN,  /* id, at_ms, until_ms: as if it were new */
	OUTBOX_DROP,   /* id */
	OUTBOX_TRIM,   /* endpoint, at_most: the oldest go, and are counted */
	OUTBOX_ORPHAN, /* endpoint, why: all of it becomes dead letters */
	OUTBOX_EXPIRE, /* at_ms: dead letters given up before that go */
	OUTBOX_ACT_COUNT,
};

struct outbox_change {
	enum outbox_act act;
	const char *id;
	const char *endpoint;
	const char *event;
	const char *about;
	const char *role;
	const char *human; /* NULL for none */
	const char *why;   /* NULL for none */
	int64_t at_ms;
	int64_t until_ms; /* afterwards it is not tried again */
	int64_t attempts;
	int64_t at_most;
	bool is_dead;
};

/* Between store_begin() and store_commit(); a row that is not there is no
 * error.  Errors: those of writing. */
MUST_USE int store_outbox_change(struct store *s,
				 const struct outbox_change *change);

struct outbox_counts {
	int64_t waiting;
	int64_t dead;
	int64_t dropped;   /* ever, for want of room */
	int64_t oldest_ms; /* when the oldest that waits was made, or 0 */
};

/*
 * Rows as an owned array of {"id", "endpoint", "event", "about", "role",
 * "human", "madeMs", "dueMs", "untilMs", "attempts", "state" ("waiting",
 * "dead"), "why"}; members without a value are absent.
 */

/* Those of an endpoint that wait and are due at now_ms, oldest first. */
MUST_USE int store_outbox_due(struct store *s, const char *endpoint,
			      int64_t now_ms, unsigned max, json_t **ret_rows);
/* All, or those in a state (NULL: any), oldest first. */
MUST_USE int store_outbox_list(struct store *s, const char *state, unsigned max,
			       json_t **ret_rows);
/* Errors: ERR_NOT_FOUND. */
MUST_USE int store_outbox_get(struct store *s, const char *id,
			      json_t **ret_row);
/* When the next that waits is due after now_ms; INT64_MAX if none. */
MUST_USE int store_outbox_next(struct store *s, int64_t now_ms,
			       int64_t *ret_due_ms);
MUST_USE int store_outbox_counts(struct store *s, struct outbox_counts *ret);
/* How many rows each endpoint has: an owned object of numbers. */
MUST_USE int store_outbox_endpoints(struct store *s, json_t **ret_counts);
