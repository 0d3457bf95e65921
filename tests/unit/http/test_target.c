#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/target.h"

static char memory[2 * TARGET_MAX];
static struct target t;

static void a_path_is_taken_apart_and_decoded(void **state UNUSED)
{
	assert_null(target_parse("/a/b%20c/d%2Fe", memory, &t));
	assert_string_equal(t.path, "/a/b%20c/d%2Fe");
	assert_int_equal(t.segment_count, 3);
	assert_string_equal(t.segments[1], "b c");
	assert_string_equal(t.segments[2], "d/e");
	assert_null(target_parse("/", memory, &t));
	assert_int_equal(t.segment_count, 0);
}

static void a_query_is_taken_apart_and_decoded(void **state UNUSED)
{
	assert_null(target_parse("/a?x=1+2&y&&z=%C3%A9=&", memory, &t));
	assert_string_equal(t.path, "/a");
	assert_int_equal(t.query_count, 3);
	assert_string_equal(t.query[0].value, "1 2");
	assert_string_equal(t.query[1].name, "y");
	assert_string_equal(t.query[1].value, "");
	assert_string_equal(t.query[2].value, "\xc3\xa9=");
}

static void what_could_be_read_in_two_ways_is_refused(void **state UNUSED)
{
	static const char *const targets[] = {
		"",
		"*",
		"a",
		"http://a/b",
		"//",
		"/a//b",
		"/a/",
		"/.",
		"/a/..",
		"/%2e",
		"/%2E%2e/a",
		"/a?x=1&x=2",
		"/a?x&%78=1",
		"/a%",
		"/a%1",
		"/a%g0",
		"/a%00",
		"/a%0a",
		"/a%7F",
		"/a%ff",
		"/a\\b",
		"/a#b",
		"/a b",
		"/a\x01",
		"/a\xc3\xa9",
		"/a?%",
		"/a?b=%00",
		"/a?b=%zz",
		"/a?b=\x01",
		"/a?b#c",
		"/a?b=%c3",
		"/a\"",
		"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
		"/a?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17",
	};

	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		if (!target_parse(targets[i], memory, &t))
			fail_msg("'%s' was taken", targets[i]);
	}
}

static void the_rest_is_joined_again(void **state UNUSED)
{
	assert_null(target_parse("/a/b/c%20/d", memory, &t));
	assert_string_equal(target_rest(&t, 1), "b/c /d");
}

static void a_rest_with_a_hidden_slash_is_refused(void **state UNUSED)
{
	assert_null(target_parse("/a/b%2Fc/d", memory, &t));
	assert_null(target_rest(&t, 1));
	assert_null(target_rest(&t, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_taken_apart_and_decoded),
		cmocka_unit_test(a_query_is_taken_apart_and_decoded),
		cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
		cmocka_unit_test(the_rest_is_joined_again),
		cmocka_unit_test(a_rest_with_a_hidden_slash_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
