/*
 * Bytes as text: lower-case hex, and base64 (RFC 4648) with both alphabets.
 * Decoders are strict: exact length, no white space, clean last bits; standard
 * base64 must be padded, base64url must not be.
 */
#pragma once

#include "base/buf.h"

void text_put_hex(struct buf *b, struct slice bytes);
void text_put_base64(struct buf *b, struct slice bytes);
void text_put_base64url(struct buf *b, struct slice bytes);

/* Owned strings. */
char *text_hex(struct slice bytes);
char *text_base64(struct slice bytes);
char *text_base64url(struct slice bytes);

/* Append the decoded bytes to b.  Errors: ERR_SYNTAX, ERR_LIMIT (b is full). */
MUST_USE int text_from_hex(struct slice text, struct buf *b);
MUST_USE int text_from_base64(struct slice text, struct buf *b);
MUST_USE int text_from_base64url(struct slice text, struct buf *b);

/* Appends one token of a JSON pointer, escaped (RFC 6901, 3); without the slash
 * before it. */
void text_put_pointer_token(struct buf *b, const char *name);

/* True for well-formed UTF-8 (RFC 3629) without NUL. */
bool text_is_utf8(struct slice text);

/* True for 1..63 of [a-z0-9] and inner '-', '.', '_': the names of manifests.
 */
bool text_is_name(const char *text);
