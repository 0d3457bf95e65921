#include "cli/output.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	CELL_MAX = 60,	       /* characters of a table's cell */
	VALUE_MAX = 16 * 1024, /* bytes of a shown value */
	CLEAN_MAX = 16 * 1024 * 1024,
};

bool output_wants_colour(FILE *stream)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (no && *no)
		return false;
	if (!term || !strcmp(term, "dumb"))
		return false;
	return isatty(fileno(stream)) == 1;
}

/* ---- safe text ---- */

/* Decodes one character; returns its length, 0 if the bytes are no UTF-8. */
static size_t decode(const char *text, uint32_t *ret_point)
{
	const uint8_t *p = (const uint8_t *)text;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t point;
	size_t len;

	if (p[0] < 0x80) {
		*ret_point = p[0];
		return 1;
	}
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	point = p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (p[i] & 0x3f);
	}
	if (point < least[len] || point > 0x10ffff ||
	    (point >= 0xd800 && point < 0xe000))
		return 0;
	*ret_point = point;
	return len;
}

/* Characters that move the cursor, reorder or hide. */
static const struct {
	uint32_t first;
	uint32_t last;
} unsafe[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x00ad, 0x00ad },
	{ 0x061c, 0x061c }, { 0x115f, 0x1160 }, { 0x180e, 0x180e },
	{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
	{ 0x3164, 0x3164 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
	{ 0xffa0, 0xffa0 }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe0fff },
};

static bool is_unsafe(uint32_t point)
{
	for (size_t i = 0; i < ARRAY_LEN(unsafe); i++)
		if (point >= unsafe[i].first && point <= unsafe[i].last)
			return true;
	return false;
}

char *output_clean(const char *text, bool lines)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(CLEAN_MAX);
	uint32_t point;
	size_t len;

	for (const char *at = text; at && *at; at += len ? len : 1) {
		len = decode(at, &point);
		if (len == 0)
			buf_putf(&b, "\\x%02x", (unsigned)(uint8_t)*at);
		else if (point == '\n' && lines)
			buf_put_str(&b, "\n");
		else if (is_unsafe(point))
			buf_putf(&b, "\\u{%" PRIx32 "}", point);
		else
			buf_put(&b, slice_of(at, len));
	}
	return mem_str(buf_text(&b));
}

void output_paint(FILE *out, bool colour, enum paint paint, const char *text)
{
	static const char *const codes[] = {
		[PAINT_PLAIN] = "",	  [PAINT_GOOD] = "\033[32m",
		[PAINT_BAD] = "\033[31m", [PAINT_CARE] = "\033[33m",
		[PAINT_DIM] = "\033[2m",
	};
	CLEANUP(mem_free_p) char *clean = output_clean(text, false);

	if (!colour || paint == PAINT_PLAIN)
		fputs(clean, out);
	else
		fprintf(out, "%s%s\033[0m", codes[paint], clean);
}

/* ---- values ---- */

static void put_value(struct buf *b, const json_t *value)
{
	CLEANUP(mem_free_p) char *text = NULL;

	switch (json_typeof(value)) {
	case JSON_STRING:
		buf_put_str(b, json_string_value(value));
		return;
	case JSON_INTEGER:
		buf_putf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return;
	case JSON_TRUE:
		buf_put_str(b, "yes");
		return;
	case JSON_FALSE:
		buf_put_str(b, "no");
		return;
	case JSON_NULL:
		buf_put_str(b, "-");
		return;
	case JSON_REAL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
		buf_put_str(b, text ? text : "?");
		return;
	}
}

static void put_list(struct buf *b, const json_t *list)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		buf_put_str(b, "-");
	json_array_foreach(list, i, item) {
		if (i > 0)
			buf_put_str(b, ", ");
		put_value(b, item);
	}
}

char *output_value(const json_t *value)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(VALUE_MAX);

	if (!value)
		return mem_str("-");
	if (json_is_array(value))
		put_list(&b, value);
	else
		put_value(&b, value);
	if (b.overflow)
		return mem_str("(too long to show; use --output json)");
	return mem_str(buf_text(&b));
}

const json_t *output_member(const json_t *object, const char *path)
{
	const json_t *at = object;

	while (at && *path) {
		size_t len = strcspn(path, ".");
		CLEANUP(mem_free_p)
		char *name = mem_format("%.*s", (int)len, path);

		at = json_object_get(at, name);
		path += len;
		path += *path == '.';
	}
	return at;
}

/* ---- tables ----------------------------------------------------------------
 */

static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((uint8_t)*text & 0xc0) != 0x80;
	return width;
}

/* Cuts text after max characters, saying so with "...". */
static void cut(char *text, size_t max)
{
	size_t width = 0;

	if (width_of(text) <= max)
		return;
	for (; *text; text++) {
		if (((uint8_t)*text & 0xc0) == 0x80)
			continue;
		if (width == max - 3) {
			memcpy(text, "...", 4);
			return;
		}
		width++;
	}
}

static char *cell(const json_t *row, const char *path)
{
	CLEANUP(mem_free_p)
	char *value = output_value(output_member(row, path));
	char *clean = output_clean(value, false);

	cut(clean, CELL_MAX);
	return clean;
}

static size_t column_width(const json_t *rows,
			   const struct output_column *column)
{
	size_t width = width_of(column->title);
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		CLEANUP(mem_free_p) char *text = cell(row, column->path);
		size_t w = width_of(text);

		width = w > width ? w : width;
	}
	return width;
}

static void pad(FILE *out, const char *text, size_t width, bool last)
{
	fputs(text, out);
	if (last)
		fputc('\n', out);
	else
		fprintf(out, "%*s", (int)(width - width_of(text) + 2), "");
}

void output_table(FILE *out, const json_t *rows,
		  const struct output_column *columns, size_t count)
{
	CLEANUP(mem_free_p) size_t *widths = mem_array(count, sizeof(size_t));
	const json_t *row;
	size_t i;

	if (json_array_size(rows) == 0) {
		fputs("none\n", out);
		return;
	}
	for (size_t c = 0; c < count; c++) {
		widths[c] = column_width(rows, &columns[c]);
		pad(out, columns[c].title, widths[c], c + 1 == count);
	}
	json_array_foreach(rows, i, row) {
		for (size_t c = 0; c < count; c++) {
			CLEANUP(mem_free_p)
			char *text = cell(row, columns[c].path);

			pad(out, text, widths[c], c + 1 == count);
		}
	}
}

void output_record(FILE *out, const json_t *object,
		   const struct output_column *columns, size_t count)
{
	for (size_t c = 0; c < count; c++) {
		const json_t *value = output_member(object, columns[c].path);
		CLEANUP(mem_free_p) char *text = NULL;
		CLEANUP(mem_free_p) char *clean = NULL;
		int gap = 15 - (int)width_of(columns[c].title);

		if (!value || json_is_null(value))
			continue;
		text = output_value(value);
		clean = output_clean(text, false);
		fprintf(out, "%s:%*s %s\n", columns[c].title, gap > 0 ? gap : 0,
			"", clean);
	}
}

/* On a terminal everything beyond ASCII is escaped; see output_clean(). */
void output_json(FILE *out, const json_t *value)
{
	CLEANUP(mem_free_p)
	char *text = json_dumps(
		value,
		JSON_INDENT(2) | JSON_ENCODE_ANY |
			(isatty(fileno(out)) == 1 ? JSON_ENSURE_ASCII : 0));

	fprintf(out, "%s\n", text ? text : "null");
}
