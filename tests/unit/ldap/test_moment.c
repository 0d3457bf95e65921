#include "connectors/ldap/moment.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void generalized_times_are_read(void **state UNUSED)
{
	int64_t ms = 0;

	assert_true(moment_of_generalized("19700101000000Z", &ms));
	assert_int_equal(ms, 0);
	assert_true(moment_of_generalized("20261122133922Z", &ms));
	assert_int_equal(ms, 1795354762000);
	assert_true(moment_of_generalized("20261122133922.5Z", &ms));
	assert_int_equal(ms, 1795354762500);
	assert_true(moment_of_generalized("20261122133922.123456Z", &ms));
	assert_int_equal(ms, 1795354762123);
	assert_true(moment_of_generalized("20240229000000.0Z", &ms));
}

static void what_is_no_generalized_time_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"",
		"Z",
		"2026112213392Z",
		"20261122133922",
		"20261322133922Z",
		"20261100133922Z",
		"20230229000000Z",
		"20261122243922Z",
		"20261122136022Z",
		"20261122133922+0100",
		"20261122133922Zx",
		"000001010000Z", /* a lock for good is no moment */
		"2026-11-22T13:39:22Z",
	};
	int64_t ms = 7;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (moment_of_generalized(texts[i], &ms))
			fail_msg("'%s' was taken", texts[i]);
	}
	assert_int_equal(ms, 7);
}

static void file_times_are_read(void **state UNUSED)
{
	int64_t ms = 0;

	assert_true(moment_of_filetime("116444736000000000", &ms));
	assert_int_equal(ms, 0);
	assert_true(moment_of_filetime("134398283623861740", &ms));
	assert_int_equal(ms, 1795354762386);
}

static void never_is_no_moment(void **state UNUSED)
{
	static const char *const texts[] = {
		"0",
		"",
		"-1",
		"x",
		"9223372036854775807",
		"99999999999999999999",
		"1x",
	};
	int64_t ms = 7;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (moment_of_filetime(texts[i], &ms))
			fail_msg("'%s' was taken", texts[i]);
	}
	assert_int_equal(ms, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generalized_times_are_read),
		cmocka_unit_test(what_is_no_generalized_time_is_refused),
		cmocka_unit_test(file_times_are_read),
		cmocka_unit_test(never_is_no_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
