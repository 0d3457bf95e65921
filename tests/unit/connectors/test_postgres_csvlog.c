#include "connectors/postgres/csvlog.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"

static void expect_field(const struct csvlog_record *record, size_t at,
			 const char *text)
{
	CLEANUP(buf_clear) struct buf said = BUF_INIT(1024);

	assert_true(at < record->count);
	csvlog_put(&said, record->fields[at]);
	assert_string_equal(buf_text(&said), text);
	assert_true(csvlog_is(record->fields[at], text));
}

static void records_are_taken_one_after_the_other(void **state UNUSED)
{
	struct slice text = slice_str("a,\"b\"\n\"c,d\",,e\n");
	struct csvlog_record record;

	assert_true(csvlog_next(&text, &record));
	assert_int_equal(record.count, 2);
	expect_field(&record, 0, "a");
	expect_field(&record, 1, "b");
	assert_true(csvlog_next(&text, &record));
	assert_int_equal(record.count, 3);
	expect_field(&record, 0, "c,d");
	expect_field(&record, 1, "");
	expect_field(&record, 2, "e");
	assert_false(csvlog_next(&text, &record));
}

static void quotes_commas_and_lines_in_quotes_are_text(void **state UNUSED)
{
	struct slice text = slice_str("\"say \"\"hi\"\",\n\"\"\",2\n");
	struct csvlog_record record;

	assert_true(csvlog_next(&text, &record));
	assert_int_equal(record.count, 2);
	expect_field(&record, 0, "say \"hi\",\n\"");
	assert_false(csvlog_is(record.fields[0], "say \"hi\""));
}

static void a_record_that_is_not_whole_waits(void **state UNUSED)
{
	static const char *const parts[] = { "",      "a",	   "a,b",
					     "\"",    "\"a",	   "\"a\"",
					     "\"a\n", "\"a\"\"\n", "a,\"b\"" };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct slice text = slice_str(parts[i]);
		struct csvlog_record record;

		assert_false(csvlog_next(&text, &record));
		assert_int_equal(text.len, strlen(parts[i]));
	}
}

static void more_fields_than_are_known_are_passed_over(void **state UNUSED)
{
	char line[3 * CSVLOG_FIELDS_MAX];
	struct csvlog_record record;
	struct slice text;

	memset(line, ',', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	text = slice_of(line, sizeof(line));
	assert_true(csvlog_next(&text, &record));
	assert_int_equal(record.count, CSVLOG_FIELDS_MAX);
	assert_int_equal(text.len, 0);
}

static void a_time_is_read_when_it_is_utc(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",
		"2026-11-23 10:00:00.120 CET",
		"2026-11-23 10:00:00 UTC",
		"2026-13-23 10:00:00.120 UTC",
		"2026-11-23T10:00:00.120 UTC",
		"2026-11-23 10:00:00.120 UTC ",
	};
	int64_t at_ms = -1;

	assert_int_equal(
		csvlog_time(slice_str("1970-01-01 00:01:00.120 UTC"), &at_ms),
		0);
	assert_int_equal(at_ms, 60120);
	assert_int_equal(
		csvlog_time(slice_str("1970-01-01 00:00:00.001 GMT"), &at_ms),
		0);
	assert_int_equal(at_ms, 1);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(csvlog_time(slice_str(wrong[i]), &at_ms),
				 ERR_SYNTAX);
}

static void a_statement_is_found_in_its_message(void **state UNUSED)
{
	static const char *const messages[][2] = {
		{ "statement: SELECT 1", "SELECT 1" },
		{ "execute <unnamed>: SELECT 2", "SELECT 2" },
		{ "duration: 0.1 ms  statement: SELECT 3", "SELECT 3" },
		{ "duration: 0.1 ms  execute s1: SELECT 4", "SELECT 4" },
		{ "duration: 0.1 ms", "" },
		{ "execute nothing", "" },
		{ "connection authorized: user=a", "" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(messages); i++)
		assert_true(
			slice_is(csvlog_statement(slice_str(messages[i][0])),
				 messages[i][1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_taken_one_after_the_other),
		cmocka_unit_test(quotes_commas_and_lines_in_quotes_are_text),
		cmocka_unit_test(a_record_that_is_not_whole_waits),
		cmocka_unit_test(more_fields_than_are_known_are_passed_over),
		cmocka_unit_test(a_time_is_read_when_it_is_utc),
		cmocka_unit_test(a_statement_is_found_in_its_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
