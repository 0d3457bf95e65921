/*
 * A walk over names that lead to further names: the members of a group down to
 * the accounts, or the groups that contain a group.  Each name is visited once,
 * so a circle ends; a walk that grows past its limit is an error, never a part
 * that looks like the whole.  Nothing here does I/O.
 */
#pragma once

#include "base/base.h"

enum { WALK_BATCH = 64 }; /* names given to one call of an expansion */

enum walk_kind {
	WALK_UNSEEN,  /* not expanded yet */
	WALK_ACCOUNT, /* an entry without members */
	WALK_GROUP,   /* its members were added to the walk */
	WALK_OPAQUE,  /* a group whose members cannot be told */
	WALK_MISSING, /* named, but no such entry */
};

struct walk_node {
	char *name; /* owned, in normal form */
	enum walk_kind kind;
};

struct walk {
	struct walk_node *nodes; /* owned, in the order they were found */
	size_t count;
	size_t capacity;
	size_t max;
	void *index; /* tree of the names, see tsearch(3) */
};

#define WALK_INIT(most)                                                        \
	{                                                                      \
		NULL, 0, 0, (most), NULL                                       \
	}

/*
 * Looks at nodes first .. first + count - 1: sets the kind of each and adds
 * what it leads to with walk_add(), which may move walk->nodes.
 * Errors are passed up unchanged.
 */
typedef int (*walk_expand_fn)(void *cookie, struct walk *walk, size_t first,
			      size_t count);

/* Adds a name if it is new.  Errors: those of dn_normalise(); ERR_LIMIT when
 * the walk is full. */
MUST_USE int walk_add(struct walk *walk, const char *name);

/* Expands until nothing new is found.  Errors: those of expand. */
MUST_USE int walk_run(struct walk *walk, walk_expand_fn expand, void *cookie);

/* Sorts the nodes by name; the walk cannot go on after that. */
void walk_sort(struct walk *walk);

void walk_clear(struct walk *walk);
