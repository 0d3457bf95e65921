/* JSON in the packed form that the engine reads (writ_cedar.h). */
#pragma once

#include "base/json.h"

/*
 * Appends value packed.
 *
 * Errors: ERR_SYNTAX for a real number or deeper nesting than
 * JSON_DEPTH_MAX, ERR_LIMIT if it does not fit.
 */
MUST_USE int pack_json(struct buf *b, const json_t *value);
