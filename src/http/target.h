/*
 * Request targets in origin form (RFC 9112, 3.2.1; RFC 3986, 3.3 and 3.4),
 * taken apart strictly: a target that two programs could read differently is
 * refused.
 */
#pragma once

#include "base/slice.h"

enum {
	TARGET_MAX = 8 * 1024, /* bytes */
	TARGET_SEGMENTS_MAX = 16,
	TARGET_QUERY_MAX = 16, /* parameters */
};

struct target_pair {
	const char *name;
	const char *value;
};

/* Everything points into the memory given to target_parse(). */
struct target {
	const char *path; /* as it was sent, without the query */
	char *segments[TARGET_SEGMENTS_MAX]; /* decoded, one after another */
	unsigned segment_count;		     /* 0 for "/" */
	struct target_pair query[TARGET_QUERY_MAX]; /* decoded */
	unsigned query_count;
};

/* Bytes of memory that target_parse() wants for a target of len bytes. */
static inline size_t target_memory(size_t len)
{
	return 2 * (len + 2);
}

/*
 * Refuses what is not "/path?query"; empty, "." and ".." segments, also written
 * with "%2e"; percent escapes that are cut short, not hex or a control byte;
 * bytes that RFC 3986 does not allow in the place; what does not decode to
 * UTF-8; a parameter given twice.
 *
 * memory: target_memory(strlen(text)) bytes that outlive ret_target.
 * Returns NULL, or what is wrong, for the person (static text).
 */
const char *target_parse(const char *text, char *memory,
			 struct target *ret_target);

/*
 * Decodes percent escapes of text in place.
 *
 * plus: '+' stands for a blank, as in a query of a form.
 * Returns false for a bad escape, a control byte, or what is not UTF-8.
 */
bool target_decode(char *text, bool plus);

/* Joins the segments from first on with '/' again, for a parameter that takes
 * the rest; NULL if one of them holds a '/' itself. */
const char *target_rest(struct target *t, unsigned first);
