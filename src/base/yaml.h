/*
 * YAML by libyaml's events, as JSON values with their places.  Only what JSON
 * can say: no anchors, aliases or tags; null, true, false and decimal integers
 * by the core schema, every other plain scalar is a string; duplicate keys are
 * refused.  All documents of a stream are read.
 */
#pragma once

#include "base/json.h"

enum {
	YAML_SIZE_MAX = 1 << 20, /* bytes of one stream */
	YAML_DOCUMENTS_MAX = 1024,
};

/* Where values stand: an opaque side table from value (and key) to line. */
struct yaml_places;

/*
 * ret_documents: owned array of the documents.
 * ret_places: owned, released with yaml_places_free().
 * Errors: ERR_SYNTAX, message "line:column: what"; ERR_LIMIT.
 */
MUST_USE int yaml_parse(struct slice text, json_t **ret_documents,
			struct yaml_places **ret_places);

/* Line (from 1) and column of member name of object (or of the object itself
 * with name NULL); false if unknown.  object may also be an array, such as the
 * documents, and name an index in decimal.  places may be NULL (then false). */
bool yaml_place(const struct yaml_places *places, const json_t *object,
		const char *name, int *ret_line, int *ret_column);

void yaml_places_free(struct yaml_places *places);
DEFINE_CLEANUP(struct yaml_places *, yaml_places_free)
