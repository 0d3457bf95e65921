/*
 * Forms: application/x-www-form-urlencoded, as OAuth endpoints are sent
 * (RFC 6749, appendix B), taken apart strictly.
 */
#pragma once

#include "base/slice.h"

enum {
	FORM_FIELDS_MAX = 32,
	FORM_NAME_MAX = 64, /* bytes */
};

struct form_field {
	const char *name;
	const char *value;
};

struct form {
	struct form_field fields[FORM_FIELDS_MAX]; /* decoded; none is empty */
	unsigned count;
	char *memory; /* owned: what fields point into; wiped */
	size_t size;
};

/* Whether a Content-Type names a form: no parameter but charset=utf-8.  NULL
 * does not. */
bool form_is_type(const char *content_type);

/*
 * Refuses what is not UTF-8 or holds a control byte, bad escapes, bytes that
 * must be escaped, a field without a name, names or counts over the limits, and
 * a name given twice that is not among repeatable.  A field without a value is
 * as if it were not there (RFC 6749, 3.2).
 *
 * repeatable: NULL-terminated.
 * ret_form: filled when NULL is returned; released with form_clear().
 * Returns NULL, or what is wrong, for the person (static text).
 */
const char *form_parse(struct slice body, const char *const *repeatable,
		       struct form *ret_form);
void form_clear(struct form *form);

/* The value of a field, NULL if it is not there; the first of several. */
const char *form_get(const struct form *form, const char *name);

/* How often a field is there. */
unsigned form_count(const struct form *form, const char *name);
