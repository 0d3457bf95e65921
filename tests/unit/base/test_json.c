#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static void expect(const char *text, const char *canonical)
{
	CLEANUP(json_put_p) json_t *value = NULL;
	CLEANUP(mem_free_p) char *output = NULL;

	assert_int_equal(json_parse(slice_str(text), 1000, &value), 0);
	output = json_canonical(value);
	assert_string_equal(output, canonical);
}

static void values_have_one_canonical_form(void **state UNUSED)
{
	expect(" { \"b\" : [ 1 , true, null ] , \"a\" : \"x\" } ",
	       "{\"a\":\"x\",\"b\":[1,true,null]}");
	expect("{}", "{}");
	expect("[]", "[]");
	expect("\"text\"", "\"text\"");
	expect("false", "false");
	expect("-0", "0");
	expect("-9223372036854775808", "-9223372036854775808");
	expect("9223372036854775807", "9223372036854775807");
}

static void escapes_are_those_of_rfc_8785(void **state UNUSED)
{
	expect("\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\"",
	       "\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"");
	expect("\"\\b\\t\\n\\f\\r\\u007f\\u0001\"",
	       "\"\\b\\t\\n\\f\\r\x7f\\u0001\"");
	expect("\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"");
}

/* The example of RFC 8785, 3.2.3 */
static void names_sort_by_utf_16_code_units(void **state UNUSED)
{
	expect("{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\","
	       "\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\","
	       "\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning Face\","
	       "\"\\u0080\":\"Control\","
	       "\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
	       "{\"\\r\":\"Carriage Return\",\"1\":\"One\","
	       "\"\xc2\x80\":\"Control\","
	       "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\","
	       "\"\xe2\x82\xac\":\"Euro Sign\","
	       "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
	       "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");
	expect("{\"ab\":1,\"a\":2,\"\":3,\"B\":4}",
	       "{\"\":3,\"B\":4,\"a\":2,\"ab\":1}");
}

static void many_names_sort_like_few(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *object = json_object();
	CLEANUP(buf_clear) struct buf wanted = BUF_INIT(10000);
	CLEANUP(mem_free_p) char *output = NULL;

	for (int i = 99; i >= 0; i--) {
		char name[8];

		snprintf(name, sizeof(name), "n%02d", i);
		json_set_int(object, name, i);
	}
	for (int i = 0; i < 100; i++)
		buf_putf(&wanted, "%c\"n%02d\":%d", i ? ',' : '{', i, i);
	buf_put_str(&wanted, "}");
	output = json_canonical(object);
	assert_string_equal(output, buf_text(&wanted));
}

static void expect_refusal(const char *text, size_t len, int code)
{
	json_t *value = NULL;
	int r = json_parse(slice_of(text, len), 1000, &value);

	if (r != code)
		fail_msg("%.*s: %d", (int)len, text, r);
	assert_null(value);
}

static void what_is_not_strict_json_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",
		" ",
		"{",
		"[1,]",
		"{\"a\":1,}",
		"{\"a\":1,\"a\":2}",
		"{\"a\":1,\"\\u0061\":2}",
		"{a:1}",
		"'a'",
		"[1] x",
		"[1][2]",
		"01",
		"+1",
		"nul",
		"NaN",
		"\"\t\"",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\ud800\"",
		"\"\xff\"",
		"\"\xed\xa0\x80\"",
		"\"\xc0\x80\"",
		"\"\\u0000\"",
		"{\"\\u0000\":1}",
		"\"unended",
		"// no\n1",
		"\357\273\2771",
		"]",
		"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		expect_refusal(wrong[i], strlen(wrong[i]), ERR_SYNTAX);
	expect_refusal("\"a\0b\"", 5, ERR_SYNTAX);
	expect_refusal("1\0", 2, ERR_SYNTAX);
}

static void numbers_must_be_64_bit_integers(void **state UNUSED)
{
	static const char *const wrong[] = {
		"1.0",
		"1e2",
		"[[-1.5]]",
		"{\"a\":{\"b\":[0.1]}}",
		"9223372036854775808",
		"-9223372036854775809",
		"1e400",
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		expect_refusal(wrong[i], strlen(wrong[i]), ERR_SYNTAX);
}

/* count times open, then "1", then count times end */
static void nest(struct buf *b, int count, const char *open, const char *end)
{
	for (int i = 0; i < count; i++)
		buf_put_str(b, open);
	buf_put_str(b, "1");
	for (int i = 0; i < count; i++)
		buf_put_str(b, end);
}

static void nesting_is_limited(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1000);
	CLEANUP(json_put_p) json_t *value = NULL;

	nest(&b, JSON_DEPTH_MAX, "[", "]");
	assert_int_equal(json_parse(buf_slice(&b), 1000, &value), 0);
	buf_reset(&b);
	nest(&b, JSON_DEPTH_MAX + 1, "[", "]");
	expect_refusal(buf_text(&b), b.len, ERR_LIMIT);
	buf_reset(&b);
	nest(&b, JSON_DEPTH_MAX + 1, "{\"\\\"\":", "}");
	expect_refusal(buf_text(&b), b.len, ERR_LIMIT);
}

static void brackets_in_text_do_not_count_as_nesting(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1000);
	CLEANUP(json_put_p) json_t *value = NULL;

	buf_put_str(&b, "\"\\\"");
	for (int i = 0; i < 3 * JSON_DEPTH_MAX; i++)
		buf_put_str(&b, "[");
	buf_put_str(&b, "\"");
	assert_int_equal(json_parse(buf_slice(&b), 1000, &value), 0);
}

static void size_is_limited(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *value = NULL;

	assert_int_equal(json_parse(slice_str("[1]"), 2, &value), ERR_LIMIT);
	assert_int_equal(json_parse(slice_str("[1]"), 3, &value), 0);
}

static void a_fault_is_placed_without_quoting_the_input(void **state UNUSED)
{
	json_t *value = NULL;

	assert_int_equal(
		json_parse(slice_str("{\"a\":\n \"secret\" x}"), 100, &value),
		ERR_SYNTAX);
	assert_memory_equal(error_message(), "2:", 2);
	assert_null(strstr(error_message(), "secret"));
	assert_int_equal(
		json_parse(slice_str("{\"password\":hunter2}"), 100, &value),
		ERR_SYNTAX);
	assert_null(strstr(error_message(), "hunter"));
}

static void a_real_number_has_no_canonical_form(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *array = json_array();
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	json_array_append_new(array, json_real(1.5));
	assert_int_equal(json_put_canonical(&b, array), ERR_SYNTAX);
}

static void output_nesting_is_limited(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *value = json_array();
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1000);

	for (int i = 0; i < 2 * JSON_DEPTH_MAX; i++) {
		json_t *outer = json_array();

		json_array_append_new(outer, value);
		value = outer;
	}
	assert_int_equal(json_put_canonical(&b, value), ERR_LIMIT);
}

static void members_are_read_with_a_fallback(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *object = NULL;

	assert_int_equal(json_parse(slice_str("{\"t\":\"x\",\"i\":5,\"f\":true,"
					      "\"o\":{},\"a\":[\"p\",1]}"),
				    100, &object),
			 0);
	assert_string_equal(json_text(object, "t", "no"), "x");
	assert_string_equal(json_text(object, "i", "no"), "no");
	assert_null(json_text(object, "none", NULL));
	assert_null(json_text(NULL, "t", NULL));
	assert_int_equal(json_int(object, "i", 0), 5);
	assert_int_equal(json_int(object, "t", -1), -1);
	assert_true(json_flag(object, "f", false));
	assert_true(json_flag(object, "t", true));
	assert_non_null(json_object_in(object, "o"));
	assert_null(json_object_in(object, "a"));
	assert_non_null(json_array_in(object, "a"));
	assert_null(json_array_in(object, "o"));
	assert_true(json_has_text(json_array_in(object, "a"), "p"));
	assert_false(json_has_text(json_array_in(object, "a"), "q"));
	assert_false(json_has_text(NULL, "p"));
}

static void a_secret_is_wiped_at_any_depth(void **state UNUSED)
{
	json_t *value = NULL;
	json_t *deep;

	assert_int_equal(json_parse(slice_str("{\"user\":\"u\",\"list\":[{"
					      "\"password\":\"hidden\"}],"
					      "\"port\":5432}"),
				    100, &value),
			 0);
	deep = json_incref(json_object_get(
		json_array_get(json_array_in(value, "list"), 0), "password"));
	json_wipe(value);
	assert_int_equal(json_string_length(deep), 6);
	assert_memory_equal(json_string_value(deep), "\0\0\0\0\0\0", 6);
	json_decref(deep);
	json_wipe(NULL);
}

static void members_are_set(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *object = json_object();
	CLEANUP(mem_free_p) char *output = NULL;

	json_set_text(object, "a", "x");
	json_set_text(object, "b", NULL);
	json_set_int(object, "c", -3);
	json_set_flag(object, "d", true);
	json_set_new(object, "e", json_array());
	json_set_new(object, "f", NULL);
	json_set_time(object, "g", 0);
	json_set_text(object, "h",
		      "bad\xff"
		      "byte");
	output = json_canonical(object);
	assert_string_equal(output,
			    "{\"a\":\"x\",\"c\":-3,\"d\":true,\"e\":[],"
			    "\"f\":null,\"g\":\"1970-01-01T00:00:00.000Z\","
			    "\"h\":\"bad?byte\"}");
}

static json_t *parsed_for_pick(void)
{
	json_t *from = json_object();

	json_set_int(from, "a", 1);
	json_set_int(from, "b", 2);
	json_set_int(from, "c", 3);
	return from;
}

static void picking_takes_what_is_there_and_nothing_else(void **state UNUSED)
{
	static const char *const names[] = { "a", "b", "missing" };
	CLEANUP(json_put_p) json_t *from = parsed_for_pick();
	CLEANUP(json_put_p) json_t *to = json_object();

	json_pick(to, from, names, ARRAY_LEN(names));
	assert_int_equal(json_object_size(to), 2);
	assert_int_equal(json_int(to, "a", 0), 1);
	assert_int_equal(json_int(to, "b", 0), 2);
	assert_null(json_object_get(to, "c"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(picking_takes_what_is_there_and_nothing_else),
		cmocka_unit_test(values_have_one_canonical_form),
		cmocka_unit_test(escapes_are_those_of_rfc_8785),
		cmocka_unit_test(names_sort_by_utf_16_code_units),
		cmocka_unit_test(many_names_sort_like_few),
		cmocka_unit_test(what_is_not_strict_json_is_refused),
		cmocka_unit_test(numbers_must_be_64_bit_integers),
		cmocka_unit_test(nesting_is_limited),
		cmocka_unit_test(brackets_in_text_do_not_count_as_nesting),
		cmocka_unit_test(size_is_limited),
		cmocka_unit_test(a_fault_is_placed_without_quoting_the_input),
		cmocka_unit_test(a_real_number_has_no_canonical_form),
		cmocka_unit_test(output_nesting_is_limited),
		cmocka_unit_test(members_are_read_with_a_fallback),
		cmocka_unit_test(a_secret_is_wiped_at_any_depth),
		cmocka_unit_test(members_are_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
