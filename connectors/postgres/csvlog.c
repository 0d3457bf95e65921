#include "connectors/postgres/csvlog.h"

#include "base/clock.h"
#include "base/error.h"

/* Bytes of a field that begins at ptr, with its quotes; left if it does not
 * end. */
static size_t quoted_len(const uint8_t *ptr, size_t left)
{
	size_t at = 1;

	while (at < left) {
		if (ptr[at] != '"')
			at++;
		else if (at + 1 < left && ptr[at + 1] == '"')
			at += 2;
		else
			return at + 1;
	}
	return left;
}

static size_t plain_len(const uint8_t *ptr, size_t left)
{
	size_t at = 0;

	while (at < left && ptr[at] != ',' && ptr[at] != '\n')
		at++;
	return at;
}

static void keep(struct csvlog_record *record, const uint8_t *ptr, size_t len,
		 bool quoted)
{
	if (record->count == CSVLOG_FIELDS_MAX)
		return;
	if (quoted)
		record->fields[record->count++] = slice_of(ptr + 1, len - 2);
	else
		record->fields[record->count++] = slice_of(ptr, len);
}

bool csvlog_next(struct slice *text, struct csvlog_record *ret_record)
{
	const uint8_t *ptr = text->ptr;
	size_t left = text->len;

	ret_record->count = 0;
	while (left > 0) {
		bool quoted = *ptr == '"';
		size_t len =
			quoted ? quoted_len(ptr, left) : plain_len(ptr, left);

		/* A field that runs to the end is not whole. */
		if (len >= left || (quoted && len < 2))
			return false;
		keep(ret_record, ptr, len, quoted);
		/* What stands after a closing quote belongs to nothing. */
		if (quoted)
			len += plain_len(ptr + len, left - len);
		if (len >= left)
			return false;
		ptr += len + 1;
		left -= len + 1;
		if (ptr[-1] == '\n') {
			*text = slice_of(ptr, left);
			return true;
		}
	}
	return false;
}

void csvlog_put(struct buf *out, struct slice field)
{
	while (field.len > 0) {
		const uint8_t *quote = memchr(field.ptr, '"', field.len);
		size_t len =
			quote ? (size_t)(quote - field.ptr) + 1 : field.len;

		buf_put(out, slice_of(field.ptr, len));
		/* The second of two quotes is not said. */
		if (quote && len < field.len && field.ptr[len] == '"')
			len++;
		field = slice_of(field.ptr + len, field.len - len);
	}
}

bool csvlog_is(struct slice field, const char *text)
{
	size_t at = 0;

	for (; *text; text++, at++) {
		if (at >= field.len || field.ptr[at] != (uint8_t)*text)
			return false;
		/* The second of two quotes. */
		if (*text == '"' && at + 1 < field.len &&
		    field.ptr[at + 1] == '"')
			at++;
	}
	return at == field.len;
}

static bool ends_with(struct slice field, const char *end)
{
	size_t len = strlen(end);

	return field.len >= len &&
	       !memcmp(field.ptr + field.len - len, end, len);
}

enum { TIME_LEN = 23, ZONE_LEN = 4 }; /* "2026-11-23 10:00:00.120", " UTC" */

int csvlog_time(struct slice field, int64_t *ret_wall_ms)
{
	char text[TIME_LEN + 2];

	if (field.len != TIME_LEN + ZONE_LEN ||
	    !(ends_with(field, " UTC") || ends_with(field, " GMT")) ||
	    field.ptr[10] != ' ')
		return error_set(ERR_SYNTAX, "not a time in UTC");
	memcpy(text, field.ptr, TIME_LEN);
	text[10] = 'T';
	text[TIME_LEN] = 'Z';
	text[TIME_LEN + 1] = '\0';
	return clock_parse(text, ret_wall_ms);
}

static bool begins_with(struct slice text, const char *start)
{
	size_t len = strlen(start);

	return text.len >= len && !memcmp(text.ptr, start, len);
}

static struct slice after(struct slice text, size_t len)
{
	return slice_of(text.ptr + len, text.len - len);
}

struct slice csvlog_statement(struct slice message)
{
	static const char statement[] = "statement: ";
	static const char execute[] = "execute ";
	static const uint8_t colon[] = ": ";
	const uint8_t *end;

	/* "duration: 0.081 ms  statement: ..." */
	if (begins_with(message, "duration: ")) {
		end = memmem(message.ptr, message.len, "  ", 2);
		if (!end)
			return slice_of(NULL, 0);
		message = after(message, (size_t)(end - message.ptr) + 2);
	}
	if (begins_with(message, statement))
		return after(message, strlen(statement));
	if (!begins_with(message, execute))
		return slice_of(NULL, 0);
	end = memmem(message.ptr, message.len, colon, 2);
	if (!end)
		return slice_of(NULL, 0);
	return after(message, (size_t)(end - message.ptr) + 2);
}
