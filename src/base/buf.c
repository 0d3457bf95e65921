#include "base/buf.h"

#include <stdarg.h>

#include "base/error.h"
#include "base/mem.h"

enum { FIRST_CAPACITY = 240 };

/* Moves by hand, since realloc() could leave a secret behind unwiped. */
static void grow(struct buf *b, size_t needed)
{
	size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
	uint8_t *data;

	while (capacity < needed)
		capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
	if (capacity > b->max)
		capacity = b->max;
	data = mem_grow(NULL, capacity + 1, 1);
	if (b->len)
		memcpy(data, b->data, b->len);
	if (b->data)
		mem_wipe(b->data, b->capacity);
	free(b->data);
	b->data = data;
	b->capacity = capacity;
}

uint8_t *buf_room(struct buf *b, size_t count)
{
	if (b->overflow || count > SIZE_MAX / 4 || count > b->max - b->len) {
		b->overflow = true;
		return NULL;
	}
	if (!b->data || count > b->capacity - b->len)
		grow(b, b->len + count);
	return b->data + b->len;
}

void buf_added(struct buf *b, size_t count)
{
	b->len += count;
	b->data[b->len] = 0;
}

uint8_t *buf_extend(struct buf *b, size_t count)
{
	uint8_t *place = buf_room(b, count);

	if (place)
		buf_added(b, count);
	return place;
}

void buf_put(struct buf *b, struct slice bytes)
{
	uint8_t *place = buf_extend(b, bytes.len);

	if (place && bytes.len)
		memcpy(place, bytes.ptr, bytes.len);
}

void buf_put_str(struct buf *b, const char *text)
{
	buf_put(b, slice_str(text));
}

static void put_number(struct buf *b, uint64_t value, size_t size)
{
	uint8_t *place = buf_extend(b, size);

	if (!place)
		return;
	for (size_t i = size; i > 0; i--) {
		place[i - 1] = (uint8_t)(value & 0xff);
		value >>= 8;
	}
}

void buf_put_u16(struct buf *b, uint16_t value)
{
	put_number(b, value, 2);
}

void buf_put_u32(struct buf *b, uint32_t value)
{
	put_number(b, value, 4);
}

void buf_put_u64(struct buf *b, uint64_t value)
{
	put_number(b, value, 8);
}

void buf_put_string(struct buf *b, struct slice bytes)
{
	if (bytes.len > UINT32_MAX) {
		b->overflow = true;
		return;
	}
	buf_put_u32(b, (uint32_t)bytes.len);
	buf_put(b, bytes);
}

void buf_putf(struct buf *b, const char *format, ...)
{
	char text[256];
	char *place;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0) {
		b->overflow = true;
		return;
	}
	place = (char *)buf_extend(b, (size_t)len);
	if (!place)
		return;
	if ((size_t)len < sizeof(text)) {
		memcpy(place, text, (size_t)len);
		return;
	}
	/* The NUL that vsnprintf() adds falls on the one kept after data. */
	va_start(args, format);
	discard(vsnprintf(place, (size_t)len + 1, format, args));
	va_end(args);
}

void buf_cut(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	mem_wipe(b->data + len, b->len - len);
	b->len = len;
}

struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->data, b->len);
}

const char *buf_text(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}

int buf_finish(const struct buf *b, struct slice *ret_bytes)
{
	if (b->overflow)
		return error_set(ERR_LIMIT, "more than %zu bytes", b->max);
	*ret_bytes = buf_slice(b);
	return 0;
}

void buf_consume(struct buf *b, size_t count)
{
	size_t rest;

	if (count == 0)
		return;
	if (count > b->len)
		count = b->len;
	rest = b->len - count;
	if (rest)
		memmove(b->data, b->data + count, rest);
	buf_cut(b, rest);
}

void buf_reset(struct buf *b)
{
	buf_cut(b, 0);
	b->overflow = false;
}

char *buf_take_text(struct buf *b)
{
	char *text = b->data ? (char *)b->data : mem_str("");

	b->data = NULL;
	b->len = 0;
	b->capacity = 0;
	b->overflow = false;
	return text;
}

void buf_clear(struct buf *b)
{
	if (b->data)
		mem_wipe(b->data, b->capacity);
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->capacity = 0;
	b->overflow = false;
}
