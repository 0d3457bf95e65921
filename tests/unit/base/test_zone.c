#include "base/zone.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/civil.h"
#include "base/error.h"

static const char *const zones[] = {
	"Europe/Berlin",    "America/New_York",	 "America/Sao_Paulo",
	"Asia/Kolkata",	    "Asia/Kathmandu",	 "Australia/Lord_Howe",
	"Pacific/Apia",	    "Africa/Casablanca", "America/St_Johns",
	"Antarctica/Troll", "Europe/Dublin",	 "America/Nuuk",
	"Etc/GMT+5",	    "Asia/Gaza",	 "Pacific/Chatham",
};

/* The C library's own answer. */
static int64_t expected_offset(int64_t wall_s)
{
	time_t time = (time_t)wall_s;
	struct tm local;

	assert_non_null(localtime_r(&time, &local));
	return local.tm_gmtoff;
}

static void offsets_are_those_of_the_c_library(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		int64_t from = civil_days((struct civil){ 1900, 1, 1 });
		int64_t to = civil_days((struct civil){ 2120, 1, 1 });

		assert_int_equal(setenv("TZ", zones[i], 1), 0);
		tzset();
		/* a step that walks through days and hours alike */
		for (int64_t at = from * 86400; at < to * 86400;
		     at += 86400 * 5 + 3571) {
			int64_t offset = -1;

			assert_int_equal(zone_offset(zones[i], at, &offset), 0);
			if (offset != expected_offset(at))
				fail_msg("%s at %lld: %lld", zones[i],
					 (long long)at, (long long)offset);
		}
	}
}

static void a_change_happens_at_its_second(void **state UNUSED)
{
	/* 2050-03-27T01:00:00Z, far behind the listed transitions */
	int64_t change =
		civil_days((struct civil){ 2050, 3, 27 }) * 86400 + 3600;
	int64_t before = 0;
	int64_t after = 0;

	assert_int_equal(zone_offset("Europe/Berlin", change - 1, &before), 0);
	assert_int_equal(zone_offset("Europe/Berlin", change, &after), 0);
	assert_int_equal(before, 3600);
	assert_int_equal(after, 7200);
}

static void a_name_that_is_no_zone_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",
		"/etc/passwd",
		"../../../etc/passwd",
		"Europe",
		"Europe/../UTC",
		"zone.tab",
		"tzdata.zi",
		"Europe/Berlin ",
		"Europe\nBerlin",
		"No/Where",
		".",
	};
	char too_long[66];
	int64_t offset = 5;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(zone_offset(wrong[i], 0, &offset),
				 ERR_NOT_FOUND);
	memset(too_long, 'a', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	assert_int_equal(zone_offset(too_long, 0, &offset), ERR_NOT_FOUND);
	assert_int_equal(offset, 5);
}

static void more_zones_than_are_kept_still_work(void **state UNUSED)
{
	int64_t offset = 0;

	for (int round = 0; round < 2; round++) {
		for (int hour = -12; hour <= 12; hour++) {
			char name[16];

			snprintf(name, sizeof(name), "Etc/GMT%+d", hour);
			assert_int_equal(zone_offset(name, 0, &offset), 0);
			assert_int_equal(offset, -hour * 3600);
		}
		for (size_t i = 0; i < ARRAY_LEN(zones); i++)
			assert_int_equal(zone_offset(zones[i], 0, &offset), 0);
	}
}

static void days_and_dates_agree(void **state UNUSED)
{
	for (int64_t days = -800000; days < 800000; days += 37) {
		struct civil date = civil_of(days);

		assert_true(civil_days(date) == days);
		assert_in_range(date.month, 1, 12);
		assert_in_range(date.day, 1,
				civil_month_len(date.year, date.month));
	}
	assert_int_equal(civil_weekday(0), 4);
	assert_int_equal(civil_weekday(-1), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_are_those_of_the_c_library),
		cmocka_unit_test(a_change_happens_at_its_second),
		cmocka_unit_test(a_name_that_is_no_zone_is_refused),
		cmocka_unit_test(more_zones_than_are_kept_still_work),
		cmocka_unit_test(days_and_dates_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
