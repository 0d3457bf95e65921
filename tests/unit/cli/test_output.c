#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/output.h"

static void check_clean(const char *text, bool lines, const char *wanted)
{
	CLEANUP(mem_free_p) char *clean = output_clean(text, lines);

	assert_string_equal(clean, wanted);
}

static void ordinary_text_is_shown_as_it_is(void **state UNUSED)
{
	check_clean("Grüße, 世界 🙂", false, "Grüße, 世界 🙂");
}

static void terminal_control_is_shown_not_obeyed(void **state UNUSED)
{
	check_clean("a\033[2Jb", false, "a\\u{1b}[2Jb");
	check_clean("a\r\nb\x7f", false, "a\\u{d}\\u{a}b\\u{7f}");
	check_clean("\xc2\x9b"
		    "2J",
		    false, "\\u{9b}2J");
	check_clean("a\nb", true, "a\nb");
}

static void text_that_reorders_or_hides_is_shown(void **state UNUSED)
{
	check_clean("a\u202eb", false, "a\\u{202e}b");
	check_clean("a\u2066b\u200bc", false, "a\\u{2066}b\\u{200b}c");
	check_clean("\U000e0041", false, "\\u{e0041}");
}

static void bytes_that_are_no_text_are_shown(void **state UNUSED)
{
	check_clean("a\xff"
		    "b\xc3",
		    false, "a\\xffb\\xc3");
	check_clean("\xed\xa0\x80", false, "\\xed\\xa0\\x80");
	check_clean("\xc0\xaf", false, "\\xc0\\xaf");
}

static const struct output_column columns[] = {
	{ "NAME", "metadata.name" },
	{ "LIST", "list" },
};

static void check_table(const char *json, const char *wanted)
{
	CLEANUP(json_put_p) json_t *rows = json_loads(json, 0, NULL);
	CLEANUP(mem_free_p) char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	output_table(out, rows, columns, ARRAY_LEN(columns));
	fclose(out);
	assert_string_equal(text, wanted);
}

static void a_table_lines_its_columns_up(void **state UNUSED)
{
	check_table("[{\"metadata\":{\"name\":\"ä\"},\"list\":[\"x\",\"y\"]},"
		    "{\"metadata\":{\"name\":\"longer\"}}]",
		    "NAME    LIST\n"
		    "ä       x, y\n"
		    "longer  -\n");
}

static void an_empty_table_says_so(void **state UNUSED)
{
	check_table("[]", "none\n");
	check_table("{}", "none\n");
}

static void a_cell_cannot_forge_a_row(void **state UNUSED)
{
	check_table("[{\"metadata\":{\"name\":\"a\\nb\"},\"list\":[]}]",
		    "NAME     LIST\n"
		    "a\\u{a}b  -\n");
}

static void a_member_that_is_not_there_has_no_line(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *o = json_pack("{s:s}", "list", "x");
	CLEANUP(mem_free_p) char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	output_record(out, o, columns, ARRAY_LEN(columns));
	fclose(out);
	assert_string_equal(text, "LIST:            x\n");
}

static void no_colour_without_a_terminal(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_false(output_wants_colour(out));
	output_paint(out, false, PAINT_BAD, "x");
	output_paint(out, true, PAINT_BAD, "y\033");
	fclose(out);
	assert_string_equal(text, "x\033[31my\\u{1b}\033[0m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_text_is_shown_as_it_is),
		cmocka_unit_test(terminal_control_is_shown_not_obeyed),
		cmocka_unit_test(text_that_reorders_or_hides_is_shown),
		cmocka_unit_test(bytes_that_are_no_text_are_shown),
		cmocka_unit_test(a_table_lines_its_columns_up),
		cmocka_unit_test(an_empty_table_says_so),
		cmocka_unit_test(a_cell_cannot_forge_a_row),
		cmocka_unit_test(a_member_that_is_not_there_has_no_line),
		cmocka_unit_test(no_colour_without_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
