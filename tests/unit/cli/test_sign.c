#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/sign.h"
#include "fixture.h"

static const json_t *keys_of(void *cookie, const char *human)
{
	return strcmp(human, "alice") ? NULL : cookie;
}

static json_t *approval(void)
{
	json_t *s = statement_new(STATEMENT_APPROVAL, "a.example/writ", "alice",
				  clock_wall_ms());

	json_set_text(s, "request", "req_1");
	json_set_text(s, "digest",
		      "sha256:0000000000000000000000000000000000000000000000"
		      "000000000000000000");
	json_set_text(s, "group", "leads");
	json_set_text(s, "decision", "approve");
	json_set_text(s, "reason", "");
	return s;
}

static enum statement_verdict verify(const json_t *form, const char *key_name)
{
	CLEANUP(mem_free_p) char *line = fixture_read(key_name);
	CLEANUP(json_put_p) json_t *keys = json_array();
	struct statement statement = { 0 };
	enum statement_verdict verdict;

	line[strcspn(line, "\n")] = '\0';
	json_array_append_new(keys, json_string(line));
	verdict = statement_verify(form, STATEMENT_APPROVAL, "a.example/writ",
				   clock_wall_ms(), keys_of, keys, &statement);
	if (verdict == STATEMENT_VALID)
		statement_clear(&statement);
	return verdict;
}

static void
a_signed_statement_is_what_the_authority_accepts(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *key = fixture_path("key");
	CLEANUP(json_put_p) json_t *statement = approval();
	CLEANUP(json_put_p) json_t *form = NULL;

	assert_int_equal(sign_statement(STATEMENT_APPROVAL, statement, key,
					false, &form),
			 0);
	assert_int_equal(verify(form, "key.pub"), STATEMENT_VALID);
	assert_int_not_equal(verify(form, "other.pub"), STATEMENT_VALID);
}

static void a_statement_changed_after_signing_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *key = fixture_path("key");
	CLEANUP(json_put_p) json_t *statement = approval();
	CLEANUP(json_put_p) json_t *form = NULL;
	CLEANUP(mem_free_p) char *text = NULL;

	assert_int_equal(sign_statement(STATEMENT_APPROVAL, statement, key,
					false, &form),
			 0);
	json_set_text(statement, "group", "lEads");
	text = json_canonical(statement);
	json_set_text(form, "statement", text);
	assert_int_not_equal(verify(form, "key.pub"), STATEMENT_VALID);
}

static void a_statement_of_another_type_is_not_signed(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *key = fixture_path("key");
	CLEANUP(json_put_p) json_t *statement = approval();
	json_t *form = NULL;

	assert_int_equal(
		sign_statement(STATEMENT_LOGIN, statement, key, false, &form),
		ERR_SYNTAX);
}

static void a_key_that_is_not_there_is_named(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *statement = approval();
	json_t *form = NULL;

	assert_int_equal(sign_statement(STATEMENT_APPROVAL, statement,
					"/nowhere/key", false, &form),
			 ERR_NOT_FOUND);
	assert_non_null(strstr(error_message(), "/nowhere/key"));
}

static void
a_locked_key_does_not_ask_where_nobody_can_answer(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *key = fixture_path("locked");
	CLEANUP(json_put_p) json_t *statement = approval();
	json_t *form = NULL;

	assert_int_equal(sign_statement(STATEMENT_APPROVAL, statement, key,
					false, &form),
			 ERR_REFUSED);
}

static int open_all(void **state UNUSED)
{
	fixture_open();
	fixture_key("key", "");
	fixture_key("other", "");
	fixture_key("locked", "a passphrase");
	return 0;
}

static int close_all(void **state UNUSED)
{
	fixture_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_signed_statement_is_what_the_authority_accepts),
		cmocka_unit_test(a_statement_changed_after_signing_is_refused),
		cmocka_unit_test(a_statement_of_another_type_is_not_signed),
		cmocka_unit_test(a_key_that_is_not_there_is_named),
		cmocka_unit_test(
			a_locked_key_does_not_ask_where_nobody_can_answer),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
