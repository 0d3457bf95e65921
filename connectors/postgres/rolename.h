/*
 * Names of roles as plans spell them, and the names of lent logins.
 *
 * A name is written as it is.  Only a backslash (`\\`), control characters and
 * bytes that are not UTF-8 (`\0a`, two lower-case hex digits) are escaped, so
 * that every name has one spelling and each spelling is one name.
 */
#pragma once

#include "base/buf.h"

enum {
	/* Bytes of a name in the server (NAMEDATALEN - 1).  It would cut a
	 * longer one off and so mean another role. */
	ROLENAME_MAX = 63,
	ROLENAME_SPELLING_MAX = 3 * ROLENAME_MAX + 1, /* with NUL */
	ROLENAME_LOGIN_LEN = 5 + 26,		      /* "writ_" and base32 */
};

/*
 * Reads a spelling, in normal form or not.
 *
 * ret_name: the bytes of the name, with NUL.
 * Errors: ERR_SYNTAX: empty, a broken escape, a NUL, not UTF-8, or more than
 * ROLENAME_MAX bytes.
 */
MUST_USE int rolename_parse(const char *spelling,
			    char ret_name[ROLENAME_MAX + 1]);

/* Writes the one spelling of a name of at most ROLENAME_MAX bytes, which is
 * cut off silently when it is longer: the server has no such names. */
void rolename_spell(const char *name, char ret_text[ROLENAME_SPELLING_MAX]);

/* The name of the login that is lent for a request: "writ_" and 16 bytes of
 * SHA-256 of the request's id in base32 (RFC 4648) of lower case. */
void rolename_login(const char *request, char ret_name[ROLENAME_LOGIN_LEN + 1]);

/* True for a name that rolename_login() could have made. */
bool rolename_is_login(const char *name);
