#include "base/json.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

enum {
	OUTPUT_DEPTH_MAX = 2 * JSON_DEPTH_MAX,
	MEMBERS_ON_STACK = 32,
	OUTPUT_MAX = 1 << 30, /* bytes, json_canonical() */
};

/* Bytes of the string that begins at text[0] == '"', with its quotes; all of
 * text if it does not end. */
static size_t string_len(struct slice text)
{
	for (size_t i = 1; i < text.len; i++) {
		if (text.ptr[i] == '"')
			return i + 1;
		if (text.ptr[i] == '\\')
			i++;
	}
	return text.len;
}

/* The parser recurses, so depth is looked at before it runs. */
static bool is_too_deep(struct slice text)
{
	size_t depth = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c == '"')
			i += string_len(slice_of(text.ptr + i, text.len - i)) -
			     1;
		else if (c == '[' || c == '{')
			depth++;
		else if ((c == ']' || c == '}') && depth > 0)
			depth--;
		if (depth > JSON_DEPTH_MAX)
			return true;
	}
	return false;
}

static bool holds_real(json_t *value)
{
	if (json_is_real(value))
		return true;
	for (size_t i = 0; i < json_array_size(value); i++)
		if (holds_real(json_array_get(value, i)))
			return true;
	for (void *member = json_object_iter(value); member;
	     member = json_object_iter_next(value, member))
		if (holds_real(json_object_iter_value(member)))
			return true;
	return false;
}

/* The library's words without the piece of input they quote. */
static int refuse(json_error_t *error)
{
	char *quote = strstr(error->text, " near '");

	if (quote)
		*quote = '\0';
	return error_set(ERR_SYNTAX, "%d:%d: %s", error->line, error->column,
			 error->text);
}

int json_parse(struct slice text, size_t max, json_t **ret_value)
{
	CLEANUP(json_put_p) json_t *value = NULL;
	json_error_t error;

	if (text.len > max)
		return error_set(ERR_LIMIT, "JSON of more than %zu bytes", max);
	if (text.len == 0)
		return error_set(ERR_SYNTAX, "1:1: no JSON at all");
	/* jansson takes a NUL after the value for the end of the input. */
	if (memchr(text.ptr, 0, text.len))
		return error_set(ERR_SYNTAX, "1:1: a NUL byte");
	if (is_too_deep(text))
		return error_set(ERR_LIMIT, "JSON nested more than %d deep",
				 JSON_DEPTH_MAX);
	value = json_loadb((const char *)text.ptr, text.len,
			   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!value)
		return refuse(&error);
	if (holds_real(value))
		return error_set(ERR_SYNTAX, "1:1: a number is not a 64-bit "
					     "integer");
	*ret_value = TAKE(value);
	return 0;
}

/* Canonical output. */

struct member {
	const char *name;
	const json_t *value;
};

/*
 * RFC 8785 sorts names by UTF-16 code units.  That is the order of their UTF-8
 * bytes, except that characters from U+10000 on (first byte f0 and up, in
 * UTF-16 d800 to dfff) come before U+E000 to U+FFFF (first byte ee and ef).
 */
static int rank(unsigned char c)
{
	if (c >= 0xf0)
		return c - 2;
	return c >= 0xee ? c + 0x10 : c;
}

static int compare(const void *a, const void *b)
{
	const char *left = ((const struct member *)a)->name;
	const char *right = ((const struct member *)b)->name;

	while (*left && *left == *right) {
		left++;
		right++;
	}
	return rank((unsigned char)*left) - rank((unsigned char)*right);
}

/* Few members are the rule, and then this beats qsort(). */
static void sort_few(struct member *members, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct member member = members[i];
		size_t k = i;

		for (; k > 0 && compare(&member, &members[k - 1]) < 0; k--)
			members[k] = members[k - 1];
		members[k] = member;
	}
}

static void put_escape(struct buf *b, uint8_t c)
{
	static const char short_form[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',
		['\f'] = 'f', ['\r'] = 'r',
	};

	buf_put_u8(b, '\\');
	if (c == '"' || c == '\\')
		buf_put_u8(b, c);
	else if (short_form[c])
		buf_put_u8(b, (uint8_t)short_form[c]);
	else
		buf_putf(b, "u%04x", c);
}

static void put_text(struct buf *b, struct slice text)
{
	size_t done = 0;

	buf_put_u8(b, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_put(b, slice_of(text.ptr + done, i - done));
		put_escape(b, c);
		done = i + 1;
	}
	buf_put(b, slice_of(text.ptr + done, text.len - done));
	buf_put_u8(b, '"');
}

static void put_int(struct buf *b, int64_t value)
{
	char digits[24];
	size_t at = sizeof(digits);
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		digits[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (value < 0)
		digits[--at] = '-';
	buf_put(b, slice_of(digits + at, sizeof(digits) - at));
}

/* Where values are put, and how. */
struct output {
	struct buf *b;
	bool sorted; /* members by name, else in the order they have */
};

static int put_value(const struct output *out, const json_t *value, int depth);

static int put_members(const struct output *out, const struct member *members,
		       size_t count, int depth)
{
	struct buf *b = out->b;

	buf_put_u8(b, '{');
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_put_u8(b, ',');
		put_text(b, slice_str(members[i].name));
		buf_put_u8(b, ':');
		TRY(put_value(out, members[i].value, depth));
	}
	buf_put_u8(b, '}');
	return 0;
}

static void sort(struct member *members, size_t count)
{
	if (count > MEMBERS_ON_STACK)
		qsort(members, count, sizeof(*members), compare);
	else
		sort_few(members, count);
}

static int put_object(const struct output *out, const json_t *value, int depth)
{
	json_t *object = (json_t *)(uintptr_t)value; /* read only */
	size_t count = json_object_size(object);
	struct member few[MEMBERS_ON_STACK];
	CLEANUP(mem_free_p) struct member *many = NULL;
	struct member *members = few;
	size_t i = 0;

	if (count > MEMBERS_ON_STACK) {
		many = mem_array(count, sizeof(*many));
		members = many;
	}
	for (void *iterator = json_object_iter(object); iterator;
	     iterator = json_object_iter_next(object, iterator)) {
		members[i].name = json_object_iter_key(iterator);
		members[i++].value = json_object_iter_value(iterator);
	}
	if (out->sorted)
		sort(members, count);
	return put_members(out, members, count, depth);
}

static int put_array(const struct output *out, const json_t *array, int depth)
{
	struct buf *b = out->b;

	buf_put_u8(b, '[');
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i)
			buf_put_u8(b, ',');
		TRY(put_value(out, json_array_get(array, i), depth));
	}
	buf_put_u8(b, ']');
	return 0;
}

static int put_value(const struct output *out, const json_t *value, int depth)
{
	struct buf *b = out->b;

	if (!value)
		return error_set(ERR_SYNTAX, "no JSON value");
	if (depth == OUTPUT_DEPTH_MAX)
		return error_set(ERR_LIMIT, "JSON nested more than %d deep",
				 OUTPUT_DEPTH_MAX);
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return put_object(out, value, depth + 1);
	case JSON_ARRAY:
		return put_array(out, value, depth + 1);
	case JSON_STRING:
		put_text(b, slice_of(json_string_value(value),
				     json_string_length(value)));
		return 0;
	case JSON_INTEGER:
		put_int(b, json_integer_value(value));
		return 0;
	case JSON_TRUE:
		buf_put_str(b, "true");
		return 0;
	case JSON_FALSE:
		buf_put_str(b, "false");
		return 0;
	case JSON_NULL:
		buf_put_str(b, "null");
		return 0;
	case JSON_REAL:
		return error_set(ERR_SYNTAX, "a number is no integer");
	}
	return error_set(ERR_SYNTAX, "no JSON value");
}

int json_put_canonical(struct buf *b, const json_t *value)
{
	const struct output out = { b, true };

	return put_value(&out, value, 0);
}

int json_put_compact(struct buf *b, const json_t *value)
{
	const struct output out = { b, false };

	return put_value(&out, value, 0);
}

char *json_canonical(const json_t *value)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(OUTPUT_MAX);

	if (json_put_canonical(&b, value) < 0 || b.overflow)
		abort();
	return buf_take_text(&b);
}

/* Members. */

const char *json_text(const json_t *object, const char *name,
		      const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : fallback;
}

int64_t json_int(const json_t *object, const char *name, int64_t fallback)
{
	const json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool json_flag(const json_t *object, const char *name, bool fallback)
{
	const json_t *value = json_object_get(object, name);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

json_t *json_object_in(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return json_is_object(value) ? value : NULL;
}

json_t *json_array_in(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return json_is_array(value) ? value : NULL;
}

/* What cannot be said in JSON becomes '?', byte by byte. */
static json_t *text_value(const char *text)
{
	struct slice bytes = slice_str(text);
	CLEANUP(mem_free_p) char *copy = NULL;

	if (text_is_utf8(bytes))
		return json_stringn_nocheck(text, bytes.len);
	copy = mem_str(text);
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(copy);
}

/* Only a lack of memory, or a name that is no UTF-8, can make this fail. */
static void set(json_t *object, const char *name, json_t *owned)
{
	if (json_object_set_new(object, name, owned) < 0)
		abort();
}

void json_set_text(json_t *object, const char *name, const char *text)
{
	if (text)
		set(object, name, text_value(text));
}

void json_set_int(json_t *object, const char *name, int64_t value)
{
	set(object, name, json_integer(value));
}

void json_set_flag(json_t *object, const char *name, bool value)
{
	set(object, name, json_boolean(value));
}

void json_set_new(json_t *object, const char *name, json_t *owned)
{
	set(object, name, owned ? owned : json_null());
}

void json_set_time(json_t *object, const char *name, int64_t wall_ms)
{
	char text[CLOCK_TEXT_LEN];

	clock_format(wall_ms, text);
	json_set_text(object, name, text);
}

void json_pick(json_t *to, const json_t *from, const char *const *names,
	       size_t count)
{
	for (size_t i = 0; i < count; i++) {
		json_t *value = json_object_get(from, names[i]);

		if (value)
			json_object_set(to, names[i], value);
	}
}

bool json_has_text(const json_t *array, const char *text)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *element =
			json_string_value(json_array_get(array, i));

		if (element && strcmp(element, text) == 0)
			return true;
	}
	return false;
}

static void wipe(json_t *value)
{
	const char *name;
	json_t *inner;
	size_t at;

	if (json_is_string(value))
		mem_wipe((void *)(uintptr_t)json_string_value(value),
			 json_string_length(value));
	json_array_foreach(value, at, inner)
		wipe(inner);
	json_object_foreach(value, name, inner)
		wipe(inner);
}

void json_wipe(json_t *owned)
{
	wipe(owned);
	json_decref(owned);
}
