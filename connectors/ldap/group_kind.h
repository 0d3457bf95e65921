/*
 * The kinds of entries that have members, one row each: where the members
 * stand, what a value is, and whether the last one must stay.
 */
#pragma once

#include "base/base.h"

struct group_kind {
	unsigned class_bit;    /* of directory.h */
	const char *words;     /* "groupOfNames", for people */
	const char *attribute; /* that names its members */
	bool by_login;	       /* values are logins, not names */
	bool needs_one;	       /* the schema wants a member */
	bool is_role;	       /* only ever a role */
};

/*
 * The kind of a group, or of a role whose members stand in attribute.
 *
 * classes: bits of directory.h.  role_attribute: NULL for a group.
 * NULL if it is none.
 */
const struct group_kind *group_kind_of(unsigned classes,
				       const char *role_attribute);

/* Whether some kind has its members there. */
bool group_kind_has(const char *attribute);

/* What an entry that is none is instead, for people. */
const char *group_kind_other(unsigned classes);
