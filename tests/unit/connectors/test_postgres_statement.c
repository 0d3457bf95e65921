#include "connectors/postgres/statement.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "connectors/postgres/database.h"

static PGconn *conn;

/* A connection to nowhere quotes as well as any. */
static int set_up(void **state UNUSED)
{
	conn = PQconnectdb("host=/nonexistent client_encoding=UTF8");
	return conn ? 0 : -1;
}

static int tear_down(void **state UNUSED)
{
	PQfinish(conn);
	return 0;
}

#define BUILD(out, template, ...)                                              \
	statement_build(conn, (template),                                      \
			(const char *const[]){ __VA_ARGS__, NULL }, (out))

static void names_and_values_are_quoted(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(STATEMENT_MAX);

	assert_int_equal(BUILD(&text, "GRANT %I TO %I", "app", "Al\"ice"), 0);
	assert_string_equal(buf_text(&text), "GRANT \"app\" TO \"Al\"\"ice\"");
	buf_reset(&text);
	assert_int_equal(BUILD(&text, "COMMENT %L LIMIT %N", "it's", "12"), 0);
	assert_string_equal(buf_text(&text), "COMMENT 'it''s' LIMIT 12");
}

static void no_value_leaves_its_place(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(STATEMENT_MAX);

	assert_int_equal(BUILD(&text, "DROP ROLE %I", "%I\"; DROP ROLE b; --"),
			 0);
	assert_string_equal(buf_text(&text),
			    "DROP ROLE \"%I\"\"; DROP ROLE b; --\"");
	buf_reset(&text);
	assert_int_equal(BUILD(&text, "%L", "\\'; --"), 0);
	assert_string_equal(buf_text(&text), " E'\\\\''; --'");
}

static void what_is_no_number_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = { "",    "-1",   "1;",
					     "1e3", "0x10", "1234567890" };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(buf_clear) struct buf text = BUF_INIT(STATEMENT_MAX);

		assert_int_equal(BUILD(&text, "LIMIT %N", wrong[i]),
				 ERR_SYNTAX);
	}
}

static void what_does_not_fit_is_refused(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(8);

	assert_int_equal(BUILD(&text, "DROP ROLE %I", "a"), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_values_are_quoted),
		cmocka_unit_test(no_value_leaves_its_place),
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
