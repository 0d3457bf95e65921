#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/framing.h"

static struct framing f;

static void header(const char *name, const char *value)
{
	framing_header(&f, slice_str(name), slice_str(value));
}

static int fresh(void **state UNUSED)
{
	f = (struct framing){ 0 };
	header("host", "writ.example:8470");
	return 0;
}

static void a_right_head_is_taken(void **state UNUSED)
{
	header("Content-Length", " 12 ");
	header("content-type", "Application/JSON ; Charset=UTF-8");
	header("X-Other", "a\tb \xe9");
	framing_finish(&f, "HTTP/1.1", 12, false);
	assert_int_equal(f.refusal.status, 0);
	assert_int_equal(f.content_length, 12);
}

static void a_type_that_another_judges_is_let_through(void **state UNUSED)
{
	header("Content-Length", "3");
	header("Content-Type", "application/x-www-form-urlencoded");
	framing_finish(&f, "HTTP/1.1", 12, true);
	assert_int_equal(f.refusal.status, 0);
	framing_finish(&f, "HTTP/1.1", 12, false);
	assert_int_equal(f.refusal.status, 415);
}

static void a_length_that_overflows_is_too_large(void **state UNUSED)
{
	header("Content-Length", "99999999999999999999999999");
	header("Content-Type", "application/json");
	framing_finish(&f, "HTTP/1.1", 1 << 20, false);
	assert_int_equal(f.refusal.status, 413);
}

static void a_length_that_is_no_number_is_refused(void **state UNUSED)
{
	static const char *const values[] = { "",    "+1",  "-1", "1 2",
					      "1,1", "0x1", "1e3" };

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		f = (struct framing){ 0 };
		header("Content-Length", values[i]);
		assert_int_equal(f.refusal.status, 400);
	}
}

static void a_name_that_is_no_token_is_refused(void **state UNUSED)
{
	static const char *const names[] = { "",    "a b",  "a ",   "a\t",
					     "a:b", "a(b)", "\x01", "\xe9" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		f = (struct framing){ 0 };
		header(names[i], "x");
		assert_int_equal(f.refusal.status, 400);
	}
}

static void a_nul_in_a_value_is_refused(void **state UNUSED)
{
	framing_header(&f, slice_str("X-A"), slice_of("a\0b", 3));
	assert_int_equal(f.refusal.status, 400);
}

static void the_first_refusal_is_the_one_told(void **state UNUSED)
{
	header("Transfer-Encoding", "gzip");
	header("Host", "again");
	assert_int_equal(f.refusal.status, 501);
}

static void another_version_is_refused(void **state UNUSED)
{
	framing_finish_head(&f, "HTTP/1.2");
	assert_int_equal(f.refusal.status, 505);
}

#define FRESH(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(a_right_head_is_taken),
		FRESH(a_type_that_another_judges_is_let_through),
		FRESH(a_length_that_overflows_is_too_large),
		FRESH(a_length_that_is_no_number_is_refused),
		FRESH(a_name_that_is_no_token_is_refused),
		FRESH(a_nul_in_a_value_is_refused),
		FRESH(the_first_refusal_is_the_one_told),
		FRESH(another_version_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
