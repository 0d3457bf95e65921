#include "govern/lookup.h"

#include "base/mem.h"

enum { URL_MAX = 4096, INDEX_DIGITS_MAX = 6 };

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

bool lookup_reference_is_good(const char *text)
{
	size_t length = strnlen(text, LOOKUP_REFERENCE_MAX + 1);

	if (length == 0 || length > LOOKUP_REFERENCE_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		bool inner = i > 0 && i + 1 < length;

		if (!is_word(text[i]) && !(inner && strchr("._-:#", text[i])))
			return false;
	}
	return !strstr(text, "..");
}

const json_t *lookup_rule(const json_t *rules, const char *kind)
{
	const json_t *rule;
	size_t at;

	json_array_foreach(rules, at, rule) {
		if (!strcmp(json_text(rule, "kind", ""), kind))
			return rule;
	}
	return NULL;
}

char *lookup_url(const char *template, const char *reference)
{
	static const char place[] = "{reference}";
	CLEANUP(buf_clear) struct buf b = BUF_INIT(URL_MAX);
	const char *found = strstr(template, place);

	if (!found)
		return mem_str(template);
	buf_put(&b, slice_of(template, (size_t)(found - template)));
	for (; *reference; reference++) {
		char c = *reference;

		if (is_word(c) || strchr("-._", c))
			buf_put(&b, slice_of(&c, 1));
		else
			buf_putf(&b, "%%%02X", (unsigned char)c);
	}
	buf_put_str(&b, found + sizeof(place) - 1);
	return buf_take_text(&b);
}

/* ---- JSON pointers ---- */

/* Appends a reference token without its escapes; false if one is wrong. */
static bool unescape(struct slice token, struct buf *b)
{
	for (size_t i = 0; i < token.len; i++) {
		char c = (char)token.ptr[i];

		if (c == '~') {
			if (++i == token.len ||
			    (token.ptr[i] != '0' && token.ptr[i] != '1'))
				return false;
			c = token.ptr[i] == '0' ? '~' : '/';
		}
		buf_put(b, slice_of(&c, 1));
	}
	return !b->overflow;
}

/* An index has no leading zeros (RFC 6901, 4). */
static bool read_index(const char *text, size_t *ret_index)
{
	size_t length = strlen(text);
	size_t index = 0;

	if (length == 0 || length > INDEX_DIGITS_MAX ||
	    (length > 1 && *text == '0'))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		index = index * 10 + (size_t)(*text - '0');
	}
	*ret_index = index;
	return true;
}

static const json_t *member_of(const json_t *value, struct slice token)
{
	CLEANUP(buf_clear) struct buf name = BUF_INIT(256);
	size_t index;

	if (!unescape(token, &name))
		return NULL;
	if (json_is_object(value))
		return json_object_get(value, buf_text(&name));
	if (json_is_array(value) && read_index(buf_text(&name), &index))
		return json_array_get(value, index);
	return NULL;
}

const json_t *lookup_at(const json_t *value, const char *pointer)
{
	while (value && *pointer) {
		size_t length;

		if (*pointer++ != '/')
			return NULL;
		length = strcspn(pointer, "/");
		value = member_of(value, slice_of(pointer, length));
		pointer += length;
	}
	return value;
}

/* ---- conditions ---- */

/* A field of the request by its name in a condition; borrowed, may be NULL. */
static const json_t *field_of(const json_t *doc, const char *name)
{
	static const char request[] = "request.";
	static const char parameters[] = "parameters.";

	if (strncmp(name, request, sizeof(request) - 1) != 0)
		return NULL;
	name += sizeof(request) - 1;
	if (strncmp(name, parameters, sizeof(parameters) - 1) != 0)
		return json_object_get(doc, name);
	return json_object_get(json_object_get(doc, "parameters"),
			       name + sizeof(parameters) - 1);
}

static bool holds(const json_t *condition, const json_t *doc,
		  const json_t *value)
{
	const char *equals = json_text(condition, "equals", NULL);
	const json_t *field = equals ? field_of(doc, equals) : NULL;

	if (equals)
		return field && value &&
		       json_equal((json_t *)(uintptr_t)field,
				  (json_t *)(uintptr_t)value);
	return json_is_string(value) &&
	       json_has_text(json_object_get(condition, "in"),
			     json_string_value(value));
}

static char *words_of(const json_t *condition, const json_t *value)
{
	const char *at = json_text(condition, "at", "");
	const char *equals = json_text(condition, "equals", NULL);

	if (!value)
		return mem_format("the answer has no %s", at);
	if (equals)
		return mem_format("its %s is not the %s", at, equals);
	return mem_format("its %s is none that is accepted", at);
}

char *lookup_judge(const json_t *rule, const json_t *doc, const json_t *answer,
		   json_t **ret_verified)
{
	CLEANUP(json_put_p) json_t *verified = json_array();
	const json_t *condition;
	size_t at;

	json_array_foreach(json_object_get(rule, "require"), at, condition) {
		const char *pointer = json_text(condition, "at", "");
		const json_t *value = lookup_at(answer, pointer);
		json_t *row;

		if (!holds(condition, doc, value))
			return words_of(condition, value);
		row = json_object();
		json_set_text(row, "at", pointer);
		json_object_set(row, "value", (json_t *)(uintptr_t)value);
		json_array_append_new(verified, row);
	}
	*ret_verified = TAKE(verified);
	return NULL;
}
