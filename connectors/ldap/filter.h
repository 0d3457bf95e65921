/*
 * Search filters (RFC 4515) and assertions (RFC 4528).  No function takes a
 * finished filter from outside: values are data, and are escaped here.
 */
#pragma once

#include "base/buf.h"

enum {
	FILTER_MAX = 256 * 1024, /* bytes of a filter */
	FILTER_OTHERS_MAX = 16,	 /* members named as "somebody who stays" */
};

/* Appends "(attribute=value)" with value escaped.  attribute: a constant of
 * the program, never input. */
void filter_put_equals(struct buf *b, const char *attribute,
		       struct slice value);

/* What must hold of a group at the moment its member value is changed. */
struct filter_change {
	const char *group;     /* name of the entry */
	const char *uuid;      /* its entryUUID, NULL if the server has none */
	const char *attribute; /* that the value stands in, a constant */
	const char *member;    /* the value that is added or removed */
	bool add;
	bool keeps_one; /* a removal must leave one of others */
	const char *const *others;
	size_t other_count; /* at most FILTER_OTHERS_MAX are used */
};

/*
 * Appends the condition that a plan states: it is this very entry, and the
 * value is absent (add) or present (removal).  It names nothing else of the
 * entry, so that unrelated changes do not break it.
 */
void filter_put_condition(struct buf *b, const struct filter_change *change);

/*
 * Appends the assertion that goes with the modify request: the condition, and
 * for a removal that keeps one that one of others is still there.  It is true
 * of every entry but the group, because the memberOf overlay's own writes on
 * the members' entries inherit the control and would silently be left out.
 */
void filter_put_assertion(struct buf *b, const struct filter_change *change);

/* What must hold of an account at the moment its lock is changed. */
struct filter_lock {
	const char *account;   /* name of the entry */
	const char *uuid;      /* NULL if the server has none */
	const char *attribute; /* that locks, a constant */
	const char *value;     /* its value now, NULL if it has none */
};

/* The same two for a lock. */
void filter_put_lock_condition(struct buf *b, const struct filter_lock *lock);
void filter_put_lock_assertion(struct buf *b, const struct filter_lock *lock);
