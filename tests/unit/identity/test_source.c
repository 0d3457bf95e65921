#include "identity/source.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"

enum { HOUR_MS = 3600 * 1000 };

static size_t told(struct source *s, bool expected)
{
	CLEANUP(json_put_p) json_t *faults = json_array();

	assert_int_equal(source_tell(s, "it", faults), expected);
	return json_array_size(faults);
}

static void a_document_counts_until_it_is_too_old(void **state UNUSED)
{
	CLEANUP(source_clear) struct source s = { .stale_ms = HOUR_MS };
	int64_t now = clock_wall_ms();

	assert_false(source_is_good(&s));
	source_good(&s, now, clock_boot_ms());
	source_look(&s);
	assert_true(source_is_good(&s));
	assert_int_equal(told(&s, false), 0);
	source_good(&s, now - HOUR_MS - 1000, -1);
	source_look(&s);
	assert_false(source_is_good(&s));
	assert_int_equal(told(&s, true), 1);
	source_look(&s);
	assert_int_equal(told(&s, false), 0);
}

static void a_fresh_document_after_an_old_one_is_a_change(void **state UNUSED)
{
	CLEANUP(source_clear) struct source s = { .stale_ms = HOUR_MS };

	source_good(&s, 1, -1);
	source_look(&s);
	assert_int_equal(told(&s, true), 1);
	source_good(&s, clock_wall_ms(), clock_boot_ms());
	assert_true(source_is_good(&s));
	assert_int_equal(told(&s, true), 0);
}

static void
a_stepped_wall_clock_does_not_keep_a_document_fresh(void **state UNUSED)
{
	CLEANUP(source_clear) struct source s = { .stale_ms = HOUR_MS };

	source_good(&s, clock_wall_ms() + 10 * HOUR_MS,
		    clock_boot_ms() - HOUR_MS - 1000);
	source_look(&s);
	assert_false(source_is_good(&s));
}

static void a_fault_is_told_once_however_often_it_comes(void **state UNUSED)
{
	CLEANUP(source_clear) struct source s = { 0 };

	source_fail(&s, "no answer");
	assert_int_equal(told(&s, false), 1);
	source_fail(&s, "no answer");
	assert_int_equal(told(&s, false), 0);
	source_fail(&s, "another");
	assert_int_equal(told(&s, false), 1);
}

static void what_is_never_fetched_is_never_due(void **state UNUSED)
{
	CLEANUP(source_clear) struct source s = { 0 };

	assert_false(source_is_due(&s));
}

static void a_document_is_fetched_well_before_it_is_too_old(void **state UNUSED)
{
	struct source s = { .stale_ms = HOUR_MS };

	assert_int_equal(source_after(&s, 1, 5000), 5000);
	assert_int_equal(source_after(&s, 60000, 5000), 60000);
	assert_int_equal(source_after(&s, 10 * HOUR_MS, 5000), HOUR_MS / 2);
	s.stale_ms = INT64_C(1000) * HOUR_MS;
	assert_int_equal(source_after(&s, INT64_C(500) * HOUR_MS, 5000),
			 SOURCE_AFTER_MAX_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_counts_until_it_is_too_old),
		cmocka_unit_test(a_fresh_document_after_an_old_one_is_a_change),
		cmocka_unit_test(
			a_stepped_wall_clock_does_not_keep_a_document_fresh),
		cmocka_unit_test(a_fault_is_told_once_however_often_it_comes),
		cmocka_unit_test(what_is_never_fetched_is_never_due),
		cmocka_unit_test(
			a_document_is_fetched_well_before_it_is_too_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
