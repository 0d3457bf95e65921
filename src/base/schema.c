#include "base/schema.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

enum {
	FAULTS_MAX = 100,
	PLACE_MAX = 512, /* bytes */
	TEXT_MAX = 1024, /* bytes, where a row says nothing */
	ELEMENTS_MAX = 256,
	MEMBER_NAME_MAX = 256, /* bytes, of a map's member */
};

/* How the value under check was reached, from it up to the root. */
struct step {
	const struct step *parent; /* NULL: the root */
	const json_t *holder;	   /* object or array this is in */
	const char *name;	   /* NULL: an element */
	size_t index;
};

struct check {
	const struct yaml_places *places;
	const json_t *root;
	json_t *faults;
};

/* RFC 6901, 3 */
static void put_pointer(struct buf *b, const struct step *at)
{
	if (!at->parent)
		return;
	put_pointer(b, at->parent);
	buf_put_u8(b, '/');
	if (!at->name) {
		buf_putf(b, "%zu", at->index);
		return;
	}
	text_put_pointer_token(b, at->name);
}

static void put_path(struct buf *b, const struct step *at)
{
	if (!at->parent)
		return;
	put_path(b, at->parent);
	if (!at->name)
		buf_putf(b, "[%zu]", at->index);
	else
		buf_putf(b, "%s%s", at->parent->parent ? "." : "", at->name);
}

/* The value's own line, else that of what holds it. */
static void put_line(struct buf *b, const struct check *check,
		     const struct step *at)
{
	char index[24];
	const char *name = at->name;
	const json_t *holder = at->parent ? at->holder : check->root;
	int line, column;
	bool known = false;

	if (at->parent && !name) {
		snprintf(index, sizeof(index), "%zu", at->index);
		name = index;
	}
	if (name)
		known = yaml_place(check->places, holder, name, &line, &column);
	if (!known)
		known = yaml_place(check->places, holder, NULL, &line, &column);
	if (known)
		buf_putf(b, "%d:%d%s", line, column, at->parent ? ": " : "");
}

PRINTF_LIKE(3, 4)
static void fault(const struct check *check, const struct step *at,
		  const char *format, ...)
{
	CLEANUP(buf_clear) struct buf place = BUF_INIT(PLACE_MAX);
	char detail[ERROR_MESSAGE_MAX];
	json_t *item;
	va_list args;

	if (json_array_size(check->faults) >= FAULTS_MAX)
		return;
	va_start(args, format);
	discard(vsnprintf(detail, sizeof(detail), format, args));
	va_end(args);
	if (check->places) {
		put_line(&place, check, at);
		put_path(&place, at);
	} else {
		put_pointer(&place, at);
	}
	item = json_object();
	json_set_text(item, "at", buf_text(&place));
	json_set_text(item, "detail", detail);
	if (json_array_append_new(check->faults, item) < 0)
		abort();
}

static int64_t limit(const struct schema *row, int64_t otherwise)
{
	return row->max ? row->max : otherwise;
}

/* C0 and C1 controls and DEL, of text that is UTF-8. */
static bool has_controls(const char *text, size_t len, const char *allowed)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool control = c < 0x20 || c == 0x7f ||
			       (c == 0xc2 && i + 1 < len &&
				(unsigned char)text[i + 1] < 0xa0);

		if (control && (c == 0 || !strchr(allowed, c)))
			return true;
	}
	return false;
}

/* Length of an "@NAME@" in text and, in ret_start, where it is; 0 for none. */
static size_t find_blank(const char *text, const char **ret_start)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	const char *at = strchr(text, '@');

	for (; at; at = strchr(at + 1, '@')) {
		size_t len = strspn(at + 1, letters);

		*ret_start = at;
		if (len > 0 && at[len + 1] == '@')
			return len + 2;
	}
	return 0;
}

/* What an example leaves to whoever copies it. */
static void check_blank(const struct check *check, const char *text,
			const struct step *at)
{
	const char *blank = text;
	size_t len = check->places ? find_blank(text, &blank) : 0;

	if (len > 0)
		fault(check, at, "'%.*s' is to be filled in",
		      len < 64 ? (int)len : 64, blank);
}

static void check_text(const struct check *check, const struct schema *row,
		       const json_t *value, const struct step *at)
{
	const char *text = json_string_value(value);
	int64_t len = (int64_t)json_string_length(value);
	int64_t max = limit(row, TEXT_MAX);
	bool multiline = row->choices && strcmp(row->choices, "multiline") == 0;

	if (!text)
		fault(check, at, "must be text");
	else if (len > max)
		fault(check, at, "must be at most %lld bytes", (long long)max);
	else if (len < row->min)
		fault(check, at,
		      row->min == 1 ? "must not be empty"
				    : "must be at least %lld bytes",
		      (long long)row->min);
	else if (has_controls(text, (size_t)len, multiline ? "\n\t" : ""))
		fault(check, at, "must not hold control characters");
	else
		check_blank(check, text, at);
}

static void check_name(const struct check *check,
		       const struct schema *row UNUSED, const json_t *value,
		       const struct step *at)
{
	if (!text_is_name(json_string_value(value)))
		fault(check, at,
		      "must be a name: 1 to 63 of a-z, 0-9 and "
		      "inner '-', '.', '_'");
}

static void check_int(const struct check *check, const struct schema *row,
		      const json_t *value, const struct step *at)
{
	int64_t max = limit(row, INT64_MAX);
	int64_t number = json_integer_value(value);

	if (!json_is_integer(value))
		fault(check, at, "must be an integer");
	else if (number < row->min || number > max)
		fault(check, at, "must be from %lld to %lld",
		      (long long)row->min, (long long)max);
}

static void check_flag(const struct check *check,
		       const struct schema *row UNUSED, const json_t *value,
		       const struct step *at)
{
	if (!json_is_boolean(value))
		fault(check, at, "must be true or false");
}

static void check_duration(const struct check *check, const struct schema *row,
			   const json_t *value, const struct step *at)
{
	const char *text = json_string_value(value);
	int64_t seconds;

	if (!text) {
		fault(check, at,
		      "must be a duration such as 90s, 15m or "
		      "1h30m");
		return;
	}
	if (clock_parse_duration(text, &seconds) < 0) {
		fault(check, at, "%s", error_message());
		return;
	}
	if (seconds < row->min || (row->max && seconds > row->max)) {
		CLEANUP(mem_free_p)
		char *min = clock_format_duration(row->min);
		CLEANUP(mem_free_p)
		char *max = clock_format_duration(
			limit(row, INT64_C(3650) * 86400));

		fault(check, at, "must be from %s to %s", min, max);
	}
}

static void check_time(const struct check *check,
		       const struct schema *row UNUSED, const json_t *value,
		       const struct step *at)
{
	const char *text = json_string_value(value);
	int64_t wall_ms;

	if (!text || clock_parse(text, &wall_ms) < 0)
		fault(check, at,
		      "must be a time such as "
		      "2026-11-23T10:00:00Z");
}

static bool is_choice(const char *choices, const char *text)
{
	size_t len = strlen(text);

	for (const char *p = choices; p;) {
		const char *bar = strchr(p, '|');
		size_t size = bar ? (size_t)(bar - p) : strlen(p);

		if (size == len && memcmp(p, text, len) == 0)
			return true;
		p = bar ? bar + 1 : NULL;
	}
	return false;
}

static void check_enum(const struct check *check, const struct schema *row,
		       const json_t *value, const struct step *at)
{
	const char *text = json_string_value(value);

	if (!text || !is_choice(row->choices, text))
		fault(check, at, "must be one of %s", row->choices);
}

static void check_value(const struct check *check, const struct schema *row,
			const json_t *value, const struct step *at);

static const struct schema *find_row(const struct schema *rows,
				     const char *name)
{
	for (const struct schema *row = rows; row && row->name; row++)
		if (strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

static void check_members(const struct check *check, const struct schema *rows,
			  const json_t *value, const struct step *at)
{
	const char *name;
	json_t *member;

	if (!json_is_object(value)) {
		fault(check, at, "must be an object");
		return;
	}
	for (const struct schema *row = rows; row && row->name; row++) {
		struct step missing = { at, value, row->name, 0 };

		if (row->required && !json_object_get(value, row->name))
			fault(check, &missing, "is required");
	}
	json_object_foreach((json_t *)(uintptr_t)value, name, member) {
		const struct schema *row = find_row(rows, name);
		struct step inner = { at, value, name, 0 };

		if (row)
			check_value(check, row, member, &inner);
		else
			fault(check, &inner, "unknown member");
	}
}

static void check_object(const struct check *check, const struct schema *row,
			 const json_t *value, const struct step *at)
{
	check_members(check, row->rows, value, at);
}

static void check_map(const struct check *check, const struct schema *row,
		      const json_t *value, const struct step *at)
{
	int64_t max = limit(row, ELEMENTS_MAX);
	const char *name;
	json_t *member;

	if (!json_is_object(value)) {
		fault(check, at, "must be an object");
		return;
	}
	if ((int64_t)json_object_size(value) > max ||
	    (int64_t)json_object_size(value) < row->min) {
		fault(check, at, "must have from %lld to %lld members",
		      (long long)row->min, (long long)max);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)value, name, member) {
		struct step inner = { at, value, name, 0 };
		size_t len = strlen(name);

		if (len == 0 || len > MEMBER_NAME_MAX ||
		    has_controls(name, len, ""))
			fault(check, &inner,
			      "a name must have 1 to %d bytes "
			      "and no control characters",
			      MEMBER_NAME_MAX);
		else
			check_value(check, row->rows, member, &inner);
	}
}

static void check_list(const struct check *check, const struct schema *row,
		       const json_t *value, const struct step *at)
{
	int64_t max = limit(row, ELEMENTS_MAX);
	size_t count = json_array_size(value);

	if (!json_is_array(value)) {
		fault(check, at, "must be a list");
		return;
	}
	if ((int64_t)count > max || (int64_t)count < row->min) {
		fault(check, at, "must have from %lld to %lld elements",
		      (long long)row->min, (long long)max);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct step inner = { at, value, NULL, i };

		check_value(check, row->rows, json_array_get(value, i), &inner);
	}
}

static void check_value(const struct check *check, const struct schema *row,
			const json_t *value, const struct step *at)
{
	static void (*const checks[])(
		const struct check *check, const struct schema *row,
		const json_t *value, const struct step *at) = {
		[SCHEMA_TEXT] = check_text,
		[SCHEMA_NAME] = check_name,
		[SCHEMA_INT] = check_int,
		[SCHEMA_FLAG] = check_flag,
		[SCHEMA_DURATION] = check_duration,
		[SCHEMA_TIME] = check_time,
		[SCHEMA_ENUM] = check_enum,
		[SCHEMA_OBJECT] = check_object,
		[SCHEMA_MAP] = check_map,
		[SCHEMA_LIST] = check_list,
		[SCHEMA_ANY] = NULL,
	};

	if (checks[row->type])
		checks[row->type](check, row, value, at);
}

void schema_check(const struct schema *rows, const json_t *value,
		  const struct yaml_places *places, json_t **ret_faults)
{
	struct check check = { places, value, json_array() };
	struct step root = { 0 };

	check_members(&check, rows, value, &root);
	*ret_faults = check.faults;
}
