#include "net/caching.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
static const char later[] = "Sun, 06 Nov 1994 08:54:37 GMT";
static const int64_t date_s = 784111777;

static void max_age_says_how_long_an_answer_is_fresh(void **state)
{
	static const struct {
		const char *text;
		int64_t fresh;
	} rows[] = {
		{ "max-age=60", 60 },
		{ "public, MAX-AGE=60, must-revalidate", 60 },
		{ "max-age=\"60\"", 60 },
		{ "max-age=60 ", 60 },
		{ "max-age=60, max-age=30", 30 },
		{ "s-maxage=5, max-age=60", 60 },
		{ "private=\"a, max-age=5\", max-age=60", 60 },
		{ "max-age=99999999999999999999999", CACHING_MAX_S },
		{ ",,  ,max-age=1", 1 },
		{ "public", -1 },
		{ "max-agent=60", -1 },
		{ "", -1 },
	};

	discard(state != NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (caching_fresh_s(rows[i].text, NULL, NULL, 0) !=
		    rows[i].fresh)
			fail_msg("%s", rows[i].text);
	}
}

static void what_must_not_be_kept_or_cannot_be_read_is_not_fresh(void **state)
{
	static const char *const texts[] = {
		"no-store",	  "max-age=60, no-cache",
		"no-cache=\"x\"", "max-age",
		"max-age=",	  "max-age=-1",
		"max-age=1 2",	  "max-age=\"",
		"max-age=0",	  "max-age=0x10",
	};

	discard(state != NULL);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (caching_fresh_s(texts[i], later, date, 0) != 0)
			fail_msg("%s", texts[i]);
	}
}

static void expires_counts_from_the_answers_own_date(void **state)
{
	discard(state != NULL);
	assert_int_equal(caching_fresh_s("", later, date, 0), 300);
	assert_int_equal(caching_fresh_s(NULL, later, "", date_s + 100), 200);
	assert_int_equal(caching_fresh_s(NULL, date, later, 0), 0);
	assert_int_equal(caching_fresh_s(NULL, "0", date, 0), 0);
	assert_int_equal(caching_fresh_s(NULL, NULL, date, 0), -1);
	assert_int_equal(caching_fresh_s("max-age=7", later, date, 0), 7);
}

static void retry_after_is_a_number_or_a_date(void **state)
{
	discard(state != NULL);
	assert_int_equal(caching_retry_s("120", 0), 120);
	assert_int_equal(caching_retry_s(later, date_s), 300);
	assert_int_equal(caching_retry_s(date, date_s + 9), 0);
	assert_int_equal(caching_retry_s("soon", 0), -1);
	assert_int_equal(caching_retry_s("", 0), -1);
	assert_int_equal(caching_retry_s(NULL, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(max_age_says_how_long_an_answer_is_fresh),
		cmocka_unit_test(
			what_must_not_be_kept_or_cannot_be_read_is_not_fresh),
		cmocka_unit_test(expires_counts_from_the_answers_own_date),
		cmocka_unit_test(retry_after_is_a_number_or_a_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
