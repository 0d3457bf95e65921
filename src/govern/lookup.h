/*
 * Evidence that is looked up: where, and whether the answer is about this
 * request.  A rule is an element of "lookups" in writd.yaml, checked:
 *
 *   {"kind", "url": "https://.../{reference}", "require":
 *     [{"at": "/status", "in": [...]}, {"at": "/x", "equals":
 *       "request.target"}]}
 */
#pragma once

#include "base/json.h"

enum {
	LOOKUP_REFERENCE_MAX = 128, /* bytes */
	LOOKUPS_MAX = 4,	    /* of one request */
};

/* Whether text can name a thing elsewhere: 1..128 of [A-Za-z0-9] and inner
 * '.', '_', '-', ':', '#', without "..". */
bool lookup_reference_is_good(const char *text);

/* The rule for a kind, borrowed; NULL if it is not looked up. */
const json_t *lookup_rule(const json_t *rules, const char *kind);

/* template with reference, percent-encoded (RFC 3986, 2.1), in the place of
 * {reference}; owned.  The reference is good. */
char *lookup_url(const char *template, const char *reference);

/* What a JSON pointer (RFC 6901) leads to, borrowed; NULL if to nothing, or if
 * it is none. */
const json_t *lookup_at(const json_t *value, const char *pointer);

/*
 * Judges an answer by all conditions of a rule; comparisons are exact.
 *
 * doc: the request.
 * ret_verified: owned array of {"at", "value"}, what was compared; set only if
 *   everything holds.
 * Returns NULL if everything holds, else why not, in words that hold nothing of
 * the answer; owned.
 */
char *lookup_judge(const json_t *rule, const json_t *doc, const json_t *answer,
		   json_t **ret_verified);
