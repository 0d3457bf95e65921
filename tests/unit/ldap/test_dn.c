#include "connectors/ldap/dn.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static void assert_normal(const char *text, const char *expected)
{
	CLEANUP(mem_free_p) char *name = NULL;
	CLEANUP(mem_free_p) char *again = NULL;

	assert_int_equal(dn_normalise(text, &name), 0);
	assert_string_equal(name, expected);
	assert_int_equal(dn_normalise(name, &again), 0);
	assert_string_equal(again, expected);
}

static void assert_refused(const char *text, int code)
{
	char *name = NULL;

	if (dn_normalise(text, &name) != code)
		fail_msg("'%s' was not refused with %s", text,
			 error_name(code));
	assert_null(name);
}

static void spellings_of_one_name_have_one_normal_form(void **state UNUSED)
{
	static const char *const spellings[] = {
		"cn=ops,ou=groups,dc=example,dc=org",
		"CN=Ops,OU=Groups,DC=Example,DC=ORG",
		"cn = ops , ou = groups , dc = example , dc = org",
		"cn=\\6f\\70s,ou=groups,dc=example,dc=org",
		"cn=\\4F\\70S,ou=groups,dc=example,dc=org",
	};

	for (size_t i = 0; i < ARRAY_LEN(spellings); i++)
		assert_normal(spellings[i],
			      "cn=ops,ou=groups,dc=example,dc=org");
	assert_normal("uid=b+cn=a,dc=x", "cn=a+uid=b,dc=x");
	assert_normal("CN=a+uid=B,dc=x", "cn=a+uid=b,dc=x");
}

static void letters_of_every_script_are_folded(void **state UNUSED)
{
	assert_normal("CN=J\u00d6RG,dc=x", "cn=j\\C3\\B6rg,dc=x");
	assert_normal("cn=J\\c3\\96rg,dc=x", "cn=j\\C3\\B6rg,dc=x");
	assert_normal("cn=\u0391\u03a9,dc=x", "cn=\\CE\\B1\\CF\\89,dc=x");
	assert_normal("cn=\u0416,dc=x", "cn=\\D0\\B6,dc=x");
}

/* Nobody is taken for somebody else because of a letter that looks alike. */
static void letters_that_only_look_alike_stay_apart(void **state UNUSED)
{
	/* A dotted capital I, the Kelvin sign: no ASCII letters. */
	assert_normal("cn=\u0130,dc=x", "cn=\\C4\\B0,dc=x");
	assert_normal("cn=\u212a,dc=x", "cn=\\E2\\84\\AA,dc=x");
	/* Capital sharp s has no capital that leads back to it. */
	assert_normal("cn=\u00df,dc=x", "cn=\\C3\\9F,dc=x");
	/* Bytes that are no text are no name. */
	assert_refused("cn=\\c3\\28,dc=x", ERR_SYNTAX);
}

static void special_characters_stay_data(void **state UNUSED)
{
	assert_normal("cn=\\,\\+\\\"\\\\\\<\\>\\;\\=\\#,dc=x",
		      "cn=\\2C\\2B\\22\\5C\\3C\\3E\\3B\\3D#,dc=x");
	assert_normal("cn=\\#1,dc=x", "cn=\\231,dc=x");
	assert_normal("cn=\\ a\\ ,dc=x", "cn=\\20a\\20,dc=x");
	assert_normal("cn=*()|&!,dc=x", "cn=*()|&!,dc=x");
	assert_normal("cn=a=b,dc=x", "cn=a\\3Db,dc=x");
}

static void bytes_that_do_not_print_are_escaped(void **state UNUSED)
{
	assert_normal("cn=a\\00b,dc=x", "cn=a\\00b,dc=x");
	assert_normal("cn=a\nb,dc=x", "cn=a\\0Ab,dc=x");
	assert_normal("cn=a\\0d\\0Ab\\1b[2J,dc=x", "cn=a\\0D\\0Ab\\1B[2j,dc=x");
	assert_normal("cn=J\xc3\xb6rg,dc=x", "cn=j\\C3\\B6rg,dc=x");
	assert_normal("cn=\\7f,dc=x", "cn=\\7F,dc=x");
	/* U+202E turns the direction of writing on a screen. */
	assert_normal("cn=a\xe2\x80\xae"
		      "b,dc=x",
		      "cn=a\\E2\\80\\AEb,dc=x");
}

static void a_spelling_keeps_letters_and_order(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *spelling = NULL;

	assert_int_equal(dn_spell("UID=Alice+CN=A\\,B, DC=Example", &spelling),
			 0);
	assert_string_equal(spelling, "UID=Alice+CN=A\\2CB,DC=Example");
}

static void what_is_no_name_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",
		" ",
		"alice",
		"uid=a,",
		",uid=a",
		"uid=a,,b=c",
		"=a,dc=x",
		"uid=a;dc=x",
		"cn=\"a\"",
		"/cn=a/dc=x",
		"c n=a",
		"cn=a\\",
		"cn=a\\g0",
		"cn=a,dc=\"",
		"cn=\\ff\\fe,dc=x",
		"cn=a\xff,dc=x",
		"1.2.=a",
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_refused(wrong[i], ERR_SYNTAX);
}

static void a_value_in_hex_form_is_refused(void **state UNUSED)
{
	assert_refused("cn=#0403616263,dc=x", ERR_SYNTAX);
	assert_refused("cn=a,dc=#040178", ERR_SYNTAX);
	assert_refused("cn=#,dc=x", ERR_SYNTAX);
}

static void a_name_that_is_too_long_is_refused(void **state UNUSED)
{
	static char text[DN_MAX + 2];

	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "cn=", 3);
	assert_refused(text, ERR_LIMIT);
	/* Short as given, but not once its bytes are escaped. */
	for (size_t i = 3; i + 2 < DN_MAX; i += 2)
		memcpy(text + i, "\xc3\xb6", 2);
	text[DN_MAX - 1] = '\0';
	assert_refused(text, ERR_LIMIT);
}

static void a_name_lies_under_its_base_only(void **state UNUSED)
{
	const char *base = "ou=groups,dc=x";

	assert_true(dn_is_under("cn=a,ou=groups,dc=x", base));
	assert_true(dn_is_under("cn=a,ou=b,ou=groups,dc=x", base));
	assert_true(dn_is_under("ou=groups,dc=x", base));
	assert_false(dn_is_under("cn=a,ou=people,dc=x", base));
	assert_false(dn_is_under("cn=a,dc=x", base));
	assert_false(dn_is_under("cn=a,my-ou=groups,dc=x", base));
	assert_false(dn_is_under("dc=x", base));
	assert_false(dn_is_under("cn=a,ou=groups,dc=x", ""));
}

static void an_escaped_comma_does_not_fake_a_base(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *name = NULL;

	assert_int_equal(dn_normalise("cn=a\\,ou=groups\\,dc=x", &name), 0);
	assert_false(dn_is_under(name, "ou=groups,dc=x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_of_every_script_are_folded),
		cmocka_unit_test(letters_that_only_look_alike_stay_apart),
		cmocka_unit_test(spellings_of_one_name_have_one_normal_form),
		cmocka_unit_test(special_characters_stay_data),
		cmocka_unit_test(bytes_that_do_not_print_are_escaped),
		cmocka_unit_test(a_spelling_keeps_letters_and_order),
		cmocka_unit_test(what_is_no_name_is_refused),
		cmocka_unit_test(a_value_in_hex_form_is_refused),
		cmocka_unit_test(a_name_that_is_too_long_is_refused),
		cmocka_unit_test(a_name_lies_under_its_base_only),
		cmocka_unit_test(an_escaped_comma_does_not_fake_a_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
