/*
 * One table-driven checker for manifests, configuration and request bodies.
 * All faults (up to 100) are found in one pass; a place is "line:column:
 * a.b[0]" where the value came from YAML, else a JSON pointer (RFC 6901).  A
 * missing member has the line of the object that lacks it.
 */
#pragma once

#include "base/json.h"
#include "base/yaml.h"

enum schema_type {
	SCHEMA_TEXT,	 /* string, min..max (default 1024) bytes, no control
			  * characters; "multiline" in choices allows \n, \t */
	SCHEMA_NAME,	 /* text_is_name() */
	SCHEMA_INT,	 /* min..max (default the largest), so 0 and up if
			  * min is not given */
	SCHEMA_FLAG,	 /* true or false */
	SCHEMA_DURATION, /* clock_parse_duration(), min..max seconds */
	SCHEMA_TIME,	 /* clock_parse() */
	SCHEMA_ENUM,	 /* one of choices, "a|b|c" */
	SCHEMA_OBJECT,	 /* members as in rows */
	SCHEMA_MAP,	 /* names of 1..256 bytes without controls, values as
			  * rows[0], min..max (default 256) members */
	SCHEMA_LIST,	 /* min..max (default 256) elements as rows[0] */
	SCHEMA_ANY,	 /* anything within JSON's own limits */
};

struct schema {
	const char *name; /* NULL ends a table of members */
	enum schema_type type;
	bool required;
	int64_t min;
	int64_t max; /* 0: the type's own default limit */
	const char *choices;
	const struct schema *rows; /* members, or the one element row */
	const char *help;	   /* one line, shown by --help and in docs */
};

/*
 * Checks value against rows; unknown members are faults, and in YAML texts
 * with an "@NAME@" of capitals, as examples have for what is to be filled in.
 *
 * places: borrowed, NULL for JSON.
 * ret_faults: owned array of {"at": place, "detail": text}; empty when right.
 */
void schema_check(const struct schema *rows, const json_t *value,
		  const struct yaml_places *places, json_t **ret_faults);
