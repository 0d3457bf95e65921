/*
 * Bytes that grow up to a hard maximum.  A put that does not fit is dropped and
 * remembered, so that encoders are straight lines: buf_finish() reports it
 * once.
 *
 * The content is always followed by a NUL that is not counted, so data can be
 * used as text when what was put in is text.
 */
#pragma once

#include "base/slice.h"

struct buf {
	uint8_t *data; /* owned; NULL until the first put */
	size_t len;
	size_t capacity;
	size_t max; /* bytes */
	bool overflow;
};

#define BUF_INIT(max_bytes)                                                    \
	{                                                                      \
		NULL, 0, 0, (max_bytes), false                                 \
	}

/*
 * Appends; bytes must not lie within b.  After the first put that did not fit
 * every later one is dropped as well, so that the content is always a prefix of
 * what was meant.
 */
void buf_put(struct buf *b, struct slice bytes);
void buf_put_str(struct buf *b, const char *text);
static inline void buf_put_u8(struct buf *b, uint8_t value);
void buf_put_u16(struct buf *b, uint16_t value); /* big-endian, as all below */
void buf_put_u32(struct buf *b, uint32_t value);
void buf_put_u64(struct buf *b, uint64_t value);
/* RFC 4251 string: u32 length, then the bytes. */
void buf_put_string(struct buf *b, struct slice bytes);
PRINTF_LIKE(2, 3) void buf_putf(struct buf *b, const char *format, ...);

/* Appends count bytes that the caller fills at once; NULL if they do not fit.
 */
MUST_USE uint8_t *buf_extend(struct buf *b, size_t count);

/*
 * Room for count bytes behind the content, to be filled by a read; NULL if they
 * would not fit.  Not content until buf_added() says how many came.
 */
MUST_USE uint8_t *buf_room(struct buf *b, size_t count);
void buf_added(struct buf *b, size_t count);

/* Cuts the content to its first len bytes, wiping the rest. */
void buf_cut(struct buf *b, size_t len);

/* The content so far. */
struct slice buf_slice(const struct buf *b);

/* The content as text, never NULL. */
const char *buf_text(const struct buf *b);

/* Errors: ERR_LIMIT if anything did not fit. */
MUST_USE int buf_finish(const struct buf *b, struct slice *ret_bytes);

/* Removes the first count bytes. */
void buf_consume(struct buf *b, size_t count);

/* Empties b, keeping its memory. */
void buf_reset(struct buf *b);

/* The content as an owned NUL-terminated string; b is left empty. */
char *buf_take_text(struct buf *b);

/* Releases what b holds, wiping it; b can be used again. */
void buf_clear(struct buf *b);

static inline void buf_put_u8(struct buf *b, uint8_t value)
{
	uint8_t *place;

	if (b->len < b->capacity && !b->overflow) {
		b->data[b->len++] = value;
		b->data[b->len] = 0;
		return;
	}
	place = buf_extend(b, 1);
	if (place)
		*place = value;
}
