/* The proleptic Gregorian calendar in days since 1970-01-01. */
#pragma once

#include "base/base.h"

struct civil {
	int64_t year;
	int month; /* 1..12 */
	int day;   /* 1..31 */
};

int64_t civil_days(struct civil date);
struct civil civil_of(int64_t days);
bool civil_is_leap(int64_t year);
int civil_month_len(int64_t year, int month);

/* 1 = Monday .. 7 */
int civil_weekday(int64_t days);

/* Division that rounds down, for times before 1970. */
static inline int64_t floor_div(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

static inline int64_t floor_mod(int64_t value, int64_t by)
{
	return value - floor_div(value, by) * by;
}
