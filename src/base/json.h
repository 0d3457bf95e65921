/*
 * JSON by jansson, behind the few calls this project uses.  Input is strict
 * (RFC 8259, duplicate names refused, depth and size limited); output that is
 * hashed or signed is canonical (RFC 8785, integers only).
 *
 * A json_t is reference counted; "borrowed" and "owned" below mean a reference.
 */
#pragma once

#include <jansson.h>

#include "base/buf.h"

enum {
	JSON_DEPTH_MAX = 32, /* nested arrays and objects */
};

/* For CLEANUP(json_put_p) on a json_t *. */
static inline UNUSED void json_put_p(json_t **value)
{
	json_decref(*value);
}

/*
 * Parses one value and nothing after it.  Numbers must be 64-bit integers.
 *
 * max: bytes accepted.
 * ret_value: owned by the caller.
 * Errors: ERR_SYNTAX with line and column in the message, ERR_LIMIT.
 */
MUST_USE int json_parse(struct slice text, size_t max, json_t **ret_value);

/* Appends the RFC 8785 form.  After a failure b holds a part of it.  Errors:
 * ERR_SYNTAX for a real number, ERR_LIMIT nested more than 64 deep. */
MUST_USE int json_put_canonical(struct buf *b, const json_t *value);
/* The same with members in the order in which they were set. */
MUST_USE int json_put_compact(struct buf *b, const json_t *value);

/* The RFC 8785 form as an owned string; value must hold no real number, be
 * nested at most 64 deep and give at most 1 GiB, else the process ends. */
char *json_canonical(const json_t *value);

/* Borrowed text of a member, or fallback if absent or not a string. */
const char *json_text(const json_t *object, const char *name,
		      const char *fallback);
int64_t json_int(const json_t *object, const char *name, int64_t fallback);
bool json_flag(const json_t *object, const char *name, bool fallback);

/* Borrowed member of the wanted type, or NULL. */
json_t *json_object_in(const json_t *object, const char *name);
json_t *json_array_in(const json_t *object, const char *name);

/* Set a member; value text may be NULL (then nothing is set), and if it is not
 * UTF-8 its bytes beyond ASCII become '?'.  json_set_new() steals the reference
 * owned; NULL sets null. */
void json_set_text(json_t *object, const char *name, const char *text);
void json_set_int(json_t *object, const char *name, int64_t value);
void json_set_flag(json_t *object, const char *name, bool value);
void json_set_new(json_t *object, const char *name, json_t *owned);
/* Sets a member to RFC 3339. */
void json_set_time(json_t *object, const char *name, int64_t wall_ms);

/* Sets in to those of the named members that from has. */
void json_pick(json_t *to, const json_t *from, const char *const *names,
	       size_t count);

/* Wipes the texts of a value that holds a secret, at any depth, and releases
 * it; whoever has another reference to any of it sees zeros.  owned: may be
 * NULL. */
void json_wipe(json_t *owned);
/* For CLEANUP(json_wipe_p) on a json_t *. */
static inline UNUSED void json_wipe_p(json_t **value)
{
	json_wipe(*value);
}

/* True if an array of strings holds text. */
bool json_has_text(const json_t *array, const char *text);
