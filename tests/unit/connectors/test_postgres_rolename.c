#include "connectors/postgres/rolename.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"

static void expect_both(const char *name, const char *spelling)
{
	char text[ROLENAME_SPELLING_MAX], back[ROLENAME_MAX + 1];

	rolename_spell(name, text);
	assert_string_equal(text, spelling);
	assert_int_equal(rolename_parse(spelling, back), 0);
	assert_string_equal(back, name);
}

static void a_name_is_spelled_as_it_is(void **state UNUSED)
{
	expect_both("app_reader", "app_reader");
	expect_both("Mixed Case; \"--'", "Mixed Case; \"--'");
	expect_both("j\xc3\xb6rg", "j\xc3\xb6rg");
	expect_both("\xf0\x9f\x90\x98", "\xf0\x9f\x90\x98");
}

static void what_no_text_may_hold_is_escaped(void **state UNUSED)
{
	expect_both("a\\b", "a\\\\b");
	expect_both("\n\x7f", "\\0a\\7f");
	expect_both("latin\xf6", "latin\\f6");
	expect_both("cut\xe2\x82", "cut\\e2\\82");
}

static void other_spellings_mean_the_same_name(void **state UNUSED)
{
	char name[ROLENAME_MAX + 1];

	assert_int_equal(rolename_parse("\\61pp\\5C", name), 0);
	assert_string_equal(name, "app\\");
}

static void what_is_no_name_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",	"\\",	  "a\\",  "\\0",      "\\0g",
		"\\00", "a\\00b", "\xff", "\xc3\x28",
	};
	char name[ROLENAME_MAX + 1] = "kept";

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(rolename_parse(wrong[i], name), ERR_SYNTAX);
		assert_string_equal(name, "kept");
	}
}

static void a_name_that_the_server_would_cut_is_refused(void **state UNUSED)
{
	char longest[ROLENAME_MAX + 1], longer[ROLENAME_MAX + 2];
	char spelling[ROLENAME_SPELLING_MAX], name[ROLENAME_MAX + 1];

	memset(longest, '\n', ROLENAME_MAX);
	longest[ROLENAME_MAX] = '\0';
	rolename_spell(longest, spelling);
	assert_int_equal(strlen(spelling), 3 * ROLENAME_MAX);
	assert_int_equal(rolename_parse(spelling, name), 0);
	assert_string_equal(name, longest);
	memset(longer, 'x', ROLENAME_MAX + 1);
	longer[ROLENAME_MAX + 1] = '\0';
	assert_int_equal(rolename_parse(longer, name), ERR_SYNTAX);
}

static void a_login_is_named_after_its_request(void **state UNUSED)
{
	char name[ROLENAME_LOGIN_LEN + 1], other[ROLENAME_LOGIN_LEN + 1];

	/* SHA-256 of "req_1" begins dfe7be6cee3b99ca63628de710b914dd. */
	rolename_login("req_1", name);
	assert_string_equal(name, "writ_37t343hohom4uy3crxtrboiu3u");
	assert_true(rolename_is_login(name));
	rolename_login("req_2", other);
	assert_string_not_equal(name, other);
	rolename_login("", other);
	assert_string_equal(other, "writ_4oymiquy7qobjgx36tejs35zeq");
}

static void other_names_are_no_logins(void **state UNUSED)
{
	static const char *const names[] = {
		"",
		"writ_",
		"alice",
		"writ_4oymiquy7qobjgx36tejs35ze",
		"writ_4oymiquy7qobjgx36tejs35zeqa",
		"writ_4OYMIQUY7QOBJGX36TEJS35ZEQ",
		"writ_4oymiquy7qobjgx36tejs35ze1",
		"Writ_4oymiquy7qobjgx36tejs35zeq",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_false(rolename_is_login(names[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_spelled_as_it_is),
		cmocka_unit_test(what_no_text_may_hold_is_escaped),
		cmocka_unit_test(other_spellings_mean_the_same_name),
		cmocka_unit_test(what_is_no_name_is_refused),
		cmocka_unit_test(a_name_that_the_server_would_cut_is_refused),
		cmocka_unit_test(a_login_is_named_after_its_request),
		cmocka_unit_test(other_names_are_no_logins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
