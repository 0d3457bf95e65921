#include "base/civil.h"

enum { ERA_DAYS = 146097, EPOCH_SHIFT = 719468 };

/* Years counted from March, so that the leap day is a year's last. */
int64_t civil_days(struct civil date)
{
	int64_t year = date.year - (date.month <= 2);
	int64_t month = (date.month + 9) % 12;
	int64_t era = floor_div(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
	int64_t leap_days = year_of_era / 4 - year_of_era / 100;

	return era * ERA_DAYS + year_of_era * 365 + leap_days + day_of_year -
	       EPOCH_SHIFT;
}

struct civil civil_of(int64_t days)
{
	int64_t shifted = days + EPOCH_SHIFT;
	int64_t era = floor_div(shifted, ERA_DAYS);
	int64_t day_of_era = shifted - era * ERA_DAYS;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 +
			       day_of_era / 36524 - day_of_era / 146096) /
			      365;
	int64_t day_of_year =
		day_of_era -
		(365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;
	struct civil date;

	date.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	date.month = (int)(month < 10 ? month + 3 : month - 9);
	date.year = year_of_era + era * 400 + (date.month <= 2);
	return date;
}

bool civil_is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int civil_month_len(int64_t year, int month)
{
	static const int lens[] = { 31, 28, 31, 30, 31, 30,
				    31, 31, 30, 31, 30, 31 };

	return lens[month - 1] + (month == 2 && civil_is_leap(year));
}

int civil_weekday(int64_t days)
{
	return (int)floor_mod(days + 3, 7) + 1;
}
