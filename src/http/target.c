#include "http/target.h"

#include "base/text.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

bool target_decode(char *text, bool plus)
{
	const char *from = text;
	char *to = text;

	while (*from) {
		int high, low;

		if (*from != '%') {
			*to++ = plus && *from == '+' ? ' ' : *from;
			from++;
			continue;
		}
		high = hex_value(from[1]);
		low = high < 0 ? -1 : hex_value(from[2]);
		if (low < 0 || is_control((unsigned char)(high * 16 + low)))
			return false;
		*to++ = (char)(high * 16 + low);
		from += 3;
	}
	*to = 0;
	return text_is_utf8(slice_str(text));
}

/* RFC 3986: pchar, where '%' is looked at by target_decode(). */
static bool is_path_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("-._~!$&'()*+,;=:@%", c));
}

static bool is_query_char(char c)
{
	return is_path_char(c) || c == '/' || c == '?';
}

static bool all(const char *text, size_t len, bool (*is)(char c))
{
	for (size_t i = 0; i < len; i++) {
		if (!is(text[i]))
			return false;
	}
	return true;
}

static bool is_dots(const char *segment)
{
	return !strcmp(segment, ".") || !strcmp(segment, "..");
}

/* Copies len bytes of text to *memory with a NUL and decodes them there. */
static char *take(char **memory, const char *text, size_t len, bool plus)
{
	char *copy = *memory;

	memcpy(copy, text, len);
	copy[len] = 0;
	if (!target_decode(copy, plus))
		return NULL;
	*memory += strlen(copy) + 1;
	return copy;
}

/* Takes "/segment" of len bytes at path. */
static const char *add_segment(struct target *t, const char *text, size_t len,
			       char **memory)
{
	char *segment;

	if (len == 0)
		return "the path has an empty segment";
	if (t->segment_count == TARGET_SEGMENTS_MAX)
		return "the path has too many segments";
	if (!all(text, len, is_path_char))
		return "the path holds a byte that is not allowed";
	segment = take(memory, text, len, false);
	if (!segment)
		return "the path holds a bad percent escape";
	if (is_dots(segment))
		return "the path has a relative segment";
	t->segments[t->segment_count++] = segment;
	return NULL;
}

static const char *read_path(struct target *t, const char *path, char **memory)
{
	if (!path[1])
		return NULL;
	while (*path == '/') {
		size_t len = strcspn(path + 1, "/");
		const char *why = add_segment(t, path + 1, len, memory);

		if (why)
			return why;
		path += 1 + len;
	}
	return NULL;
}

static const char *add_pair(struct target *t, const char *text, size_t len,
			    char **memory)
{
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len;
	struct target_pair *pair = &t->query[t->query_count];

	if (t->query_count == TARGET_QUERY_MAX)
		return "the query has too many parameters";
	pair->name = take(memory, text, name_len, true);
	if (equals)
		pair->value =
			take(memory, equals + 1, len - name_len - 1, true);
	else
		pair->value = "";
	if (!pair->name || !pair->value)
		return "the query holds a bad percent escape";
	for (unsigned i = 0; i < t->query_count; i++) {
		if (!strcmp(t->query[i].name, pair->name))
			return "the query has a parameter twice";
	}
	t->query_count++;
	return NULL;
}

static const char *read_query(struct target *t, const char *query,
			      char **memory)
{
	if (!all(query, strlen(query), is_query_char))
		return "the query holds a byte that is not allowed";
	while (*query) {
		size_t len = strcspn(query, "&");
		const char *why = len ? add_pair(t, query, len, memory) : NULL;

		if (why)
			return why;
		query += len + (query[len] == '&');
	}
	return NULL;
}

const char *target_parse(const char *text, char *memory,
			 struct target *ret_target)
{
	struct target *t = ret_target;
	size_t path_len = strcspn(text, "?");
	const char *why;

	*t = (struct target){ .path = memory };
	memcpy(memory, text, path_len);
	memory[path_len] = 0;
	memory += path_len + 1;
	if (text[0] != '/')
		return "the request target is not a path";
	why = read_path(t, t->path, &memory);
	if (why || !text[path_len])
		return why;
	return read_query(t, text + path_len + 1, &memory);
}

const char *target_rest(struct target *t, unsigned first)
{
	if (first >= t->segment_count)
		return NULL;
	for (unsigned i = first; i < t->segment_count; i++) {
		if (strchr(t->segments[i], '/'))
			return NULL;
	}
	for (unsigned i = first + 1; i < t->segment_count; i++)
		t->segments[i][-1] = '/';
	return t->segments[first];
}
