#include "policy/pack.h"

#include "base/error.h"

static void put_count(struct buf *b, size_t count)
{
	uint32_t value = (uint32_t)count; /* bounded by what JSON we accept */

	buf_put(b, slice_of(&value, sizeof(value)));
}

static void put_text(struct buf *b, const char *text, size_t len)
{
	put_count(b, len);
	buf_put(b, slice_of(text, len));
}

static int put_value(struct buf *b, json_t *value, int depth);

static int put_array(struct buf *b, json_t *value, int depth)
{
	buf_put_u8(b, 'a');
	put_count(b, json_array_size(value));
	for (size_t i = 0; i < json_array_size(value); i++)
		TRY(put_value(b, json_array_get(value, i), depth));
	return 0;
}

static int put_object(struct buf *b, json_t *value, int depth)
{
	void *at;

	buf_put_u8(b, 'o');
	put_count(b, json_object_size(value));
	for (at = json_object_iter(value); at;
	     at = json_object_iter_next(value, at)) {
		const char *name = json_object_iter_key(at);

		put_text(b, name, strlen(name));
		TRY(put_value(b, json_object_iter_value(at), depth));
	}
	return 0;
}

static int put_value(struct buf *b, json_t *value, int depth)
{
	int64_t number;

	if (depth == 0)
		return error_set(ERR_SYNTAX, "nested too deeply");
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return put_object(b, value, depth - 1);
	case JSON_ARRAY:
		return put_array(b, value, depth - 1);
	case JSON_STRING:
		buf_put_u8(b, 's');
		put_text(b, json_string_value(value),
			 json_string_length(value));
		return 0;
	case JSON_INTEGER:
		number = json_integer_value(value);
		buf_put_u8(b, 'i');
		buf_put(b, slice_of(&number, sizeof(number)));
		return 0;
	case JSON_TRUE:
		buf_put_u8(b, 't');
		return 0;
	case JSON_FALSE:
		buf_put_u8(b, 'f');
		return 0;
	case JSON_NULL:
		buf_put_u8(b, 'n');
		return 0;
	case JSON_REAL:
		break;
	}
	return error_set(ERR_SYNTAX, "a number is no 64-bit integer");
}

int pack_json(struct buf *b, const json_t *value)
{
	struct slice bytes;

	/* Only read; jansson's iterators want it writable. */
	TRY(put_value(b, (json_t *)(uintptr_t)value, JSON_DEPTH_MAX + 1));
	return buf_finish(b, &bytes);
}
