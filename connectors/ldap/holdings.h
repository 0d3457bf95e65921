/* What an account is in: groups and roles, along every way a directory knows.
 */
#pragma once

#include "connectors/ldap/directory.h"

/* Attributes that a record must have been asked for (directory_record()). */
#define HOLDINGS_ATTRIBUTES                                                    \
	"objectClass", "uid", "gidNumber", "objectSid", "primaryGroupID"

/*
 * Every group and role that names the account, contains one that does, or is
 * its primary group.
 *
 * record: of the account, with HOLDINGS_ATTRIBUTES.
 * max: how many at most.
 * ret_holdings: owned array of {"id", "how"} by name; how: "member" (named in
 *   it), "login" (its login is), "primary", "nested".
 * Errors: those of directory_read(); ERR_LIMIT for more than max.
 */
MUST_USE int holdings_find(struct directory *d, const json_t *record,
			   size_t max, json_t **ret_holdings);

/* The names alone, as a plan's "nestedIn"; owned. */
json_t *holdings_names(const json_t *holdings);
