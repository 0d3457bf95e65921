/*
 * Lists that go into a leaf or a decision although somebody outside decides how
 * long they become: as much of them as there is room for, and of the rest how
 * much it is and the digest of the whole.
 */
#pragma once

#include "base/json.h"

/*
 * Sets a member to rows, from the first one on as long as they fit.  If that is
 * not all of them, "<name>Cut" says so:
 *   {"count": rows in all, "digest": of all of them, canonical JSON}
 *
 * rows: an array that canonical JSON can say, borrowed; NULL for an empty one.
 * max: bytes of canonical JSON, brackets and commas included.
 */
void cited_set(json_t *object, const char *name, const json_t *rows,
	       size_t max);

/* Whether a member was cut by cited_set(). */
bool cited_is_cut(const json_t *object, const char *name);

/* As much of a text as fits into max bytes (at least 3), ending in "..." where
 * that is not all of it; UTF-8 stays whole.  Owned. */
char *cited_text(const char *text, size_t max);

/* Appends text to a list of texts that may become long, unless it is there.
 * seen: an object that has the list's texts as members, the caller's. */
void cited_add_once(json_t *list, json_t *seen, const char *text);
