#include "http/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

static const char *const repeatable[] = { "resource", "audience", NULL };

static struct form form;

static int fresh(void **state UNUSED)
{
	form = (struct form){ .count = 0 };
	return 0;
}

static int clear(void **state UNUSED)
{
	form_clear(&form);
	return 0;
}

static const char *parse(const char *text)
{
	form_clear(&form);
	return form_parse(slice_str(text), repeatable, &form);
}

static void fields_are_decoded(void **state UNUSED)
{
	assert_null(parse("grant_type=urn%3Aietf:params&scope=a+b%20c&"
			  "caf%c3%A9=%26%3D%2B"));
	assert_int_equal(form.count, 3);
	assert_string_equal(form_get(&form, "grant_type"), "urn:ietf:params");
	assert_string_equal(form_get(&form, "scope"), "a b c");
	assert_string_equal(form_get(&form, "caf\xc3\xa9"), "&=+");
	assert_null(form_get(&form, "other"));
}

static void an_empty_body_is_an_empty_form(void **state UNUSED)
{
	assert_null(parse(""));
	assert_int_equal(form.count, 0);
}

static void a_field_without_a_value_is_not_there(void **state UNUSED)
{
	assert_null(parse("a=&b&c=x"));
	assert_null(form_get(&form, "a"));
	assert_null(form_get(&form, "b"));
	assert_string_equal(form_get(&form, "c"), "x");
}

static void only_what_may_be_repeated_is_given_twice(void **state UNUSED)
{
	assert_null(parse("resource=x&audience=y&resource=z"));
	assert_int_equal(form_count(&form, "resource"), 2);
	assert_string_equal(form_get(&form, "resource"), "x");
	assert_non_null(parse("a=1&a=1"));
	assert_non_null(parse("a=&a=1"));
	assert_non_null(parse("a&%61=1"));
}

static void what_is_no_form_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"&",	    "&a=1",  "a=1&&b=2", "=x",	  "a=%",   "a=%4",
		"a=%4x",    "a=%00", "a=%0a",	 "a=%1f", "a=%7f", "a=%ff",
		"a=%c0%80", "a=b c", "a=\"x\"",	 "a={}",  "a=b\n", "a=\xc3\xa9",
		"%41%=x",   "a=b#c", "a=b=c",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (!parse(texts[i]))
			fail_msg("'%s' is taken", texts[i]);
	}
	assert_non_null(form_parse(slice_of("a=x\0y", 5), repeatable, &form));
}

static void counts_and_lengths_are_limited(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);

	for (int i = 0; i < FORM_FIELDS_MAX; i++)
		buf_putf(&b, "%sf%d=x", i ? "&" : "", i);
	assert_null(parse(buf_text(&b)));
	assert_int_equal(form.count, FORM_FIELDS_MAX);
	buf_put_str(&b, "&g=x");
	assert_non_null(parse(buf_text(&b)));
	buf_reset(&b);
	for (int i = 0; i < FORM_NAME_MAX; i++)
		buf_put_str(&b, "n");
	buf_put_str(&b, "=x");
	assert_null(parse(buf_text(&b)));
	buf_reset(&b);
	for (int i = 0; i <= FORM_NAME_MAX; i++)
		buf_put_str(&b, "n");
	buf_put_str(&b, "=x");
	assert_non_null(parse(buf_text(&b)));
}

static void only_the_type_of_a_form_is_one(void **state UNUSED)
{
	static const char *const types[] = {
		"application/x-www-form-urlencoded",
		"Application/X-WWW-Form-urlencoded",
		"application/x-www-form-urlencoded; charset=UTF-8",
		"application/x-www-form-urlencoded ;charset=utf-8 ",
	};
	static const char *const others[] = {
		"",
		"application/json",
		"application/x-www-form-urlencoded2",
		"application/x-www-form-urlencoded; charset=latin1",
		"application/x-www-form-urlencoded; boundary=x",
		"application/x-www-form-urlencoded;",
		"application/x-www-form-urlencoded, application/json",
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_true(form_is_type(types[i]));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(form_is_type(others[i]));
	assert_false(form_is_type(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)
		TEST(fields_are_decoded),
		TEST(an_empty_body_is_an_empty_form),
		TEST(a_field_without_a_value_is_not_there),
		TEST(only_what_may_be_repeated_is_given_twice),
		TEST(what_is_no_form_is_refused),
		TEST(counts_and_lengths_are_limited),
		TEST(only_the_type_of_a_form_is_one),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
