/*
 * How a directory keeps an account from logging in: what it shows of that, and
 * the values that change it.  One struct lock_way for each way.
 */
#pragma once

#include "connectors/ldap/reach.h"

enum lock_state {
	LOCK_NONE,
	LOCK_PLACED,   /* by somebody, until somebody lifts it */
	LOCK_FAILURES, /* by the server, after failed logins */
};

/* What the directory shows of an account. */
struct lock {
	enum lock_state state;
	const char *attribute; /* that locks; a constant */
	const char *value;     /* its value now, NULL if it has none; borrowed
				  from the record */
	/* The server keeps it out after failed logins: the state itself, or
	 * beside it where that is another attribute's. */
	bool failures;
	const char *since; /* of that, as the directory says it; borrowed */
};

/* The values that a change removes and adds; NULL: none. */
struct lock_change {
	const char *remove;
	const char *add;
	char text[24]; /* may hold one of them */
};

struct lock_way {
	const char *const *attributes; /* for directory_record() */

	/* Whether a record is of an account that can be locked so; refuses what
	 * is not.  Errors: those of directory_record(). */
	int (*judge)(const struct reach *reach, const json_t *record,
		     struct connector_reply *reply);

	void (*see)(const json_t *record, struct lock *ret_lock);

	/* The change that suspends or resumes; borrows from the lock. */
	void (*change)(const struct lock *lock, bool suspend,
		       struct lock_change *ret_change);
};

/* The way of a directory that is connected. */
const struct lock_way *lock_way_of(const struct directory *d);
