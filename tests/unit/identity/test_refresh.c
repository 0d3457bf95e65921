#include "identity/refresh.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { HOUR_MS = 3600 * 1000 };

static void
a_document_is_fetched_at_once_and_then_when_it_is_time(void **state UNUSED)
{
	struct refresh r = { 0 };

	assert_true(refresh_is_due(&r, 1000));
	refresh_begin(&r, 1000);
	refresh_done(&r, 1100, 5000);
	assert_false(refresh_is_due(&r, 6099));
	assert_true(refresh_is_due(&r, 6100));
}

static void
each_failure_in_a_row_waits_longer_up_to_a_limit(void **state UNUSED)
{
	struct refresh r = { 0 };
	int64_t wait = 0;

	for (int i = 0; i < 20; i++) {
		refresh_failed(&r, 0, -1);
		assert_true(r.due_ms >= wait);
		wait = r.due_ms;
	}
	assert_int_equal(wait, REFRESH_BACKOFF_MAX_MS);
	refresh_done(&r, 0, HOUR_MS);
	refresh_failed(&r, 0, -1);
	assert_int_equal(r.due_ms, REFRESH_FIRST_MS);
}

static void
a_publisher_may_ask_for_more_time_but_not_for_ever(void **state UNUSED)
{
	struct refresh r = { 0 };

	refresh_failed(&r, 0, 60 * 1000);
	assert_int_equal(r.due_ms, 60 * 1000);
	refresh_failed(&r, 0, 1);
	assert_int_equal(r.due_ms, 2 * REFRESH_FIRST_MS);
	refresh_failed(&r, 0, INT64_MAX);
	assert_int_equal(r.due_ms, REFRESH_RETRY_MAX_MS);
}

static void
what_is_missing_hurries_a_fetch_but_not_each_time(void **state UNUSED)
{
	struct refresh r = { 0 };

	refresh_begin(&r, 1000);
	refresh_done(&r, 1000, HOUR_MS);
	refresh_hurry(&r, 2000);
	assert_false(refresh_is_due(&r, 1000 + REFRESH_HURRY_MS - 1));
	assert_true(refresh_is_due(&r, 1000 + REFRESH_HURRY_MS));
	refresh_done(&r, 1000, HOUR_MS);
	refresh_hurry(&r, 500 * 1000);
	assert_true(refresh_is_due(&r, 500 * 1000));
}

static void nothing_hurries_a_publisher_that_fails(void **state UNUSED)
{
	struct refresh r = { 0 };

	refresh_begin(&r, 0);
	refresh_failed(&r, 0, 600 * 1000);
	refresh_hurry(&r, 300 * 1000);
	assert_false(refresh_is_due(&r, 599 * 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_document_is_fetched_at_once_and_then_when_it_is_time),
		cmocka_unit_test(
			each_failure_in_a_row_waits_longer_up_to_a_limit),
		cmocka_unit_test(
			a_publisher_may_ask_for_more_time_but_not_for_ever),
		cmocka_unit_test(
			what_is_missing_hurries_a_fetch_but_not_each_time),
		cmocka_unit_test(nothing_hurries_a_publisher_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
