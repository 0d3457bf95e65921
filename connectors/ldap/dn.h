/*
 * Distinguished names (RFC 4514).  Names are compared and digested as text, so
 * there is one normal form of each: letters in lower case, the parts of a
 * multi-valued RDN in order, no optional space, and every byte that is not
 * printable ASCII, and every special character, as backslash and two hex
 * digits, however they were written.  Only what a schema alone can tell is left
 * open (two spellings of an attribute type, double spaces inside a value, a
 * letter with its accent apart): for these, ask the directory for its own
 * spelling of the entry and normalise that.
 *
 * A comma in a normal form always parts two RDNs.
 */
#pragma once

#include "base/base.h"

enum { DN_MAX = 4096 }; /* bytes of a name, as given and in normal form */

/*
 * The normal form of text.
 *
 * ret_name: owned.
 * Errors: ERR_SYNTAX for what is no name, for the empty name, and for values in
 * the "#hex" form; ERR_LIMIT beyond DN_MAX.
 */
MUST_USE int dn_normalise(const char *text, char **ret_name);

/*
 * Text with its escapes in normal form but its letters and order kept: what is
 * written to a directory whose other readers may compare names as text.
 *
 * ret_spelling: owned.
 * Errors: those of dn_normalise().
 */
MUST_USE int dn_spell(const char *text, char **ret_spelling);

/* True if name is base or lies below it; both in normal form. */
bool dn_is_under(const char *name, const char *base);
