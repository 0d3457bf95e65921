/* Files, lists, pairs and points in time that commands take in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/input.h"
#include "fixture.h"

static const struct option_row row_p = { "parameter", 'p', "NAME=VALUE",
					 .many = true };
static const struct option_row row_t = { "target", 0, "NAME", .many = true };

static int read_text(const char *text, size_t len)
{
	CLEANUP(mem_free_p) char *copy = mem_alloc(len + 1);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(16);
	struct cli cli = { 0 };
	int r;

	memcpy(copy, text, len);
	cli.in = fmemopen(copy, len, "r");
	assert_non_null(cli.in);
	r = input_read(&cli, "-", &b);
	if (r == 0)
		assert_memory_equal(b.data, text, len);
	fclose(cli.in);
	return r;
}

static void standard_input_is_text_of_limited_size(void **state UNUSED)
{
	assert_int_equal(read_text("sixteen bytes go", 16), 0);
	assert_int_equal(read_text("seventeen bytes..", 17), ERR_LIMIT);
	assert_int_equal(read_text("\xff", 1), ERR_SYNTAX);
	assert_int_equal(read_text("a\0b", 3), ERR_SYNTAX);
}

static void a_file_is_read_too(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = fixture_path("record");
	CLEANUP(buf_clear) struct buf b = BUF_INIT(16);
	struct cli cli = { 0 };

	assert_int_equal(input_read(&cli, path, &b), ERR_NOT_FOUND);
	fixture_write("record", "text");
	assert_int_equal(input_read(&cli, path, &b), 0);
	assert_string_equal(buf_text(&b), "text");
}

static int pairs(const char *first, const char *second, json_t **ret)
{
	struct args a = { .values = { { &row_p, first },
				      { &row_t, "other" },
				      { &row_p, second } },
			  .value_count = 3 };

	return input_pairs(&a, "parameter", ret);
}

static void pairs_are_a_name_and_a_value_each(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *object = NULL;

	assert_int_equal(pairs("member=uid=a,b=c", "empty=", &object), 0);
	assert_int_equal(json_object_size(object), 2);
	assert_string_equal(json_text(object, "member", ""), "uid=a,b=c");
	assert_string_equal(json_text(object, "empty", "?"), "");
}

static void pairs_without_a_name_or_given_twice_are_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *object = NULL;

	assert_int_equal(pairs("a=b", "member", &object), ERR_USAGE);
	assert_int_equal(pairs("a=b", "=x", &object), ERR_USAGE);
	assert_int_equal(pairs("a=b", "a=c", &object), ERR_USAGE);
	assert_null(object);
}

static void a_list_has_all_values_of_its_option(void **state UNUSED)
{
	struct args a = { .values = { { &row_t, "one" },
				      { &row_p, "a=b" },
				      { &row_t, "two" } },
			  .value_count = 3 };
	CLEANUP(json_put_p) json_t *list = input_list(&a, "target");

	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_array_get(list, 1)), "two");
}

static void a_time_is_a_moment_or_lies_ahead(void **state UNUSED)
{
	int64_t at;

	assert_int_equal(input_time("1970-01-01T00:00:02Z", 5000, &at), 0);
	assert_int_equal(at, 2000);
	assert_int_equal(input_time("1h", 5000, &at), 0);
	assert_int_equal(at, 3605000);
	assert_true(input_time("soon", 5000, &at) < 0);
	assert_true(input_time("1970-01-01T", 5000, &at) < 0);
}

static int set_up(void **state UNUSED)
{
	fixture_open();
	return 0;
}

static int tear_down(void **state UNUSED)
{
	fixture_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard_input_is_text_of_limited_size),
		cmocka_unit_test(a_file_is_read_too),
		cmocka_unit_test(pairs_are_a_name_and_a_value_each),
		cmocka_unit_test(
			pairs_without_a_name_or_given_twice_are_refused),
		cmocka_unit_test(a_list_has_all_values_of_its_option),
		cmocka_unit_test(a_time_is_a_moment_or_lies_ahead),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
