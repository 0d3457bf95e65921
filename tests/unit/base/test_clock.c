#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

struct moment {
	const char *text;
	int64_t wall_ms;
};

static const struct moment moments[] = {
	{ "1970-01-01T00:00:00.000Z", 0 },
	{ "1969-12-31T23:59:59.999Z", -1 },
	{ "2000-02-29T12:00:00.001Z", INT64_C(951825600001) },
	{ "2026-11-23T10:00:00.123Z", INT64_C(1795428000123) },
	{ "0000-01-01T00:00:00.000Z", INT64_C(-62167219200000) },
	{ "9999-12-31T23:59:59.999Z", INT64_C(253402300799999) },
};

static void times_are_written_and_read_alike(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
		char text[CLOCK_TEXT_LEN];
		int64_t wall_ms = 0;

		clock_format(moments[i].wall_ms, text);
		assert_string_equal(text, moments[i].text);
		assert_int_equal(clock_parse(text, &wall_ms), 0);
		assert_true(wall_ms == moments[i].wall_ms);
	}
}

static void times_out_of_range_are_held_at_its_ends(void **state UNUSED)
{
	char text[CLOCK_TEXT_LEN];

	clock_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	clock_format(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

static void every_form_of_the_rfc_is_read(void **state UNUSED)
{
	static const struct moment forms[] = {
		{ "2026-11-23T10:00:00Z", INT64_C(1795428000000) },
		{ "2026-11-23t10:00:00z", INT64_C(1795428000000) },
		{ "2026-11-23T11:30:00+01:30", INT64_C(1795428000000) },
		{ "2026-11-23T02:00:00-08:00", INT64_C(1795428000000) },
		{ "2026-11-23T10:00:00-00:00", INT64_C(1795428000000) },
		{ "2026-11-23T10:00:00.5Z", INT64_C(1795428000500) },
		{ "2026-11-23T10:00:00.1239999999Z", INT64_C(1795428000123) },
	};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		int64_t wall_ms = 0;

		assert_int_equal(clock_parse(forms[i].text, &wall_ms), 0);
		assert_true(wall_ms == forms[i].wall_ms);
	}
}

static void what_is_no_time_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",
		"2026-11-23",
		"2026-11-23T10:00Z",
		"2026-11-23T10:00:00",
		"2026-11-23 10:00:00Z",
		"2026-11-23T10:00:00.Z",
		"2026-11-23T10:00:00Z ",
		"2026-11-23T10:00:00ZZ",
		"2026-11-23T10:00:00+01",
		"2026-11-23T10:00:00+0100",
		"2026-11-23T10:00:00+24:00",
		"2026-11-23T24:00:00Z",
		"2026-11-23T10:60:00Z",
		"2026-11-23T23:59:60Z",
		"2026-02-29T10:00:00Z",
		"1900-02-29T10:00:00Z",
		"2026-13-01T10:00:00Z",
		"2026-00-01T10:00:00Z",
		"2026-01-00T10:00:00Z",
		"2026-1-01T10:00:00Z",
		"-026-11-23T10:00:00Z",
		"12026-11-23T10:00:00Z",
	};
	int64_t wall_ms = 7;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(clock_parse(wrong[i], &wall_ms), ERR_SYNTAX);
	assert_true(wall_ms == 7);
}

struct duration {
	const char *text;
	int64_t seconds;
	const char *shortest;
};

static void
durations_are_read_and_written_in_their_shortest_form(void **state UNUSED)
{
	static const struct duration durations[] = {
		{ "0s", 0, "0s" },
		{ "90s", 90, "1m30s" },
		{ "15m", 900, "15m" },
		{ "1h30m", 5400, "1h30m" },
		{ "2d", 172800, "2d" },
		{ "1d1h1m1s", 90061, "1d1h1m1s" },
		{ "24h", 86400, "1d" },
		{ "3650d", INT64_C(315360000), "3650d" },
		{ "0000000000000000000000001s", 1, "1s" },
	};

	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		CLEANUP(mem_free_p) char *text = NULL;
		int64_t seconds = -1;

		assert_int_equal(
			clock_parse_duration(durations[i].text, &seconds), 0);
		assert_true(seconds == durations[i].seconds);
		text = clock_format_duration(seconds);
		assert_string_equal(text, durations[i].shortest);
	}
}

static void a_negative_duration_is_written_with_its_sign(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = clock_format_duration(-90);
	CLEANUP(mem_free_p) char *least = clock_format_duration(INT64_MIN);

	assert_string_equal(text, "-1m30s");
	assert_int_equal(least[0], '-');
}

static void what_is_no_duration_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = { "",     "s",    "5",   "1x",
					     "1m1h", "1s1s", "-1s", "+1s",
					     "1ms",  " 1s",  "1s ", "1.5h",
					     "1 h",  "1H",   "1hs" };
	int64_t seconds;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(clock_parse_duration(wrong[i], &seconds),
				 ERR_SYNTAX);
}

static void a_duration_beyond_ten_years_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"3651d",    "3650d1s", "87601h", "99999999999999999999999999s",
		"3650d24h",
	};
	int64_t seconds;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(clock_parse_duration(wrong[i], &seconds),
				 ERR_LIMIT);
}

static void the_weekday_and_hour_are_those_of_the_zone(void **state UNUSED)
{
	/* a Monday */
	int64_t wall_ms = INT64_C(1795428000123);
	int weekday = 0;
	int hour = 0;

	assert_int_equal(clock_local(wall_ms, "UTC", &weekday, &hour), 0);
	assert_int_equal(weekday, 1);
	assert_int_equal(hour, 10);
	assert_int_equal(clock_local(wall_ms, "Europe/Berlin", &weekday, &hour),
			 0);
	assert_int_equal(weekday, 1);
	assert_int_equal(hour, 11);
	assert_int_equal(
		clock_local(wall_ms, "Pacific/Honolulu", &weekday, &hour), 0);
	assert_int_equal(weekday, 1);
	assert_int_equal(hour, 0);
	assert_int_equal(clock_local(wall_ms - 3600 * 1000, "Pacific/Honolulu",
				     &weekday, &hour),
			 0);
	assert_int_equal(weekday, 7);
	assert_int_equal(hour, 23);
}

static void an_unknown_zone_is_refused(void **state UNUSED)
{
	int weekday, hour;

	assert_int_equal(clock_local(0, "Europe/Nowhere", &weekday, &hour),
			 ERR_NOT_FOUND);
}

static void the_clocks_run(void **state UNUSED)
{
	int64_t boot = clock_boot_ms();

	assert_true(clock_wall_ms() > INT64_C(1700000000000));
	assert_true(clock_boot_ms() >= boot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_written_and_read_alike),
		cmocka_unit_test(times_out_of_range_are_held_at_its_ends),
		cmocka_unit_test(every_form_of_the_rfc_is_read),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(
			durations_are_read_and_written_in_their_shortest_form),
		cmocka_unit_test(a_negative_duration_is_written_with_its_sign),
		cmocka_unit_test(what_is_no_duration_is_refused),
		cmocka_unit_test(a_duration_beyond_ten_years_is_refused),
		cmocka_unit_test(the_weekday_and_hour_are_those_of_the_zone),
		cmocka_unit_test(an_unknown_zone_is_refused),
		cmocka_unit_test(the_clocks_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
