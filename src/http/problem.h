/* Problem documents (RFC 9457). */
#pragma once

#include "base/json.h"

/* The reason phrase of a status we answer (RFC 9110, 15), else "Error". */
const char *problem_title(unsigned status);

/*
 * Type "urn:writ:problem:" and code, title, status, detail, code, and the
 * members of more that are none of these.  Owned.
 *
 * more: an object or NULL; ownership taken.
 */
json_t *problem_new(unsigned status, const char *code, const char *detail,
		    json_t *more);
