#include "base/clock.h"

#include "base/civil.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/zone.h"

enum { SECOND_MS = 1000, DAY_S = 86400, DURATION_MAX_S = 3650 * DAY_S };

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z */
#define WALL_MIN_MS INT64_C(-62167219200000)
#define WALL_MAX_MS INT64_C(253402300799999)

static int64_t read_clock(clockid_t id)
{
	struct timespec now;

	if (clock_gettime(id, &now) < 0)
		abort();
	return (int64_t)now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_boot_ms(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

static char *put_digits(char *place, int64_t value, int count, char after)
{
	for (int i = count - 1; i >= 0; i--) {
		place[i] = (char)('0' + value % 10);
		value /= 10;
	}
	place[count] = after;
	return place + count + 1;
}

void clock_format(int64_t wall_ms, char text[CLOCK_TEXT_LEN])
{
	int64_t seconds, in_day;
	struct civil date;
	char *place = text;

	if (wall_ms < WALL_MIN_MS)
		wall_ms = WALL_MIN_MS;
	if (wall_ms > WALL_MAX_MS)
		wall_ms = WALL_MAX_MS;
	seconds = floor_div(wall_ms, SECOND_MS);
	in_day = floor_mod(seconds, DAY_S);
	date = civil_of(floor_div(seconds, DAY_S));
	place = put_digits(place, date.year, 4, '-');
	place = put_digits(place, date.month, 2, '-');
	place = put_digits(place, date.day, 2, 'T');
	place = put_digits(place, in_day / 3600, 2, ':');
	place = put_digits(place, in_day / 60 % 60, 2, ':');
	place = put_digits(place, in_day % 60, 2, '.');
	place = put_digits(place, floor_mod(wall_ms, SECOND_MS), 3, 'Z');
	*place = '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly count digits, a value of min..max, then one of the chars in after. */
static bool take(const char **at, int count, int min, int max,
		 const char *after, int *ret_value)
{
	const char *p = *at;
	int value = 0;

	for (int i = 0; i < count; i++, p++) {
		if (!is_digit(*p))
			return false;
		value = value * 10 + (*p - '0');
	}
	if (value < min || value > max)
		return false;
	if (*after) {
		if (*p == '\0' || !strchr(after, *p))
			return false;
		p++;
	}
	*at = p;
	*ret_value = value;
	return true;
}

/* RFC 3339 allows any number of digits; what is finer than a millisecond is
 * cut off. */
static bool take_fraction(const char **at, int *ret_ms)
{
	const char *p = *at;
	int weight = 100;

	*ret_ms = 0;
	if (*p != '.')
		return true;
	for (p++; is_digit(*p); p++) {
		*ret_ms += weight * (*p - '0');
		weight /= 10;
	}
	if (p == *at + 1)
		return false;
	*at = p;
	return true;
}

static bool take_offset(const char **at, int *ret_minutes)
{
	char sign = **at;
	int hours, minutes;

	(*at)++;
	*ret_minutes = 0;
	if (sign == 'Z' || sign == 'z')
		return true;
	if (sign != '+' && sign != '-')
		return false;
	if (!take(at, 2, 0, 23, ":", &hours) ||
	    !take(at, 2, 0, 59, "", &minutes))
		return false;
	*ret_minutes = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
	return true;
}

int clock_parse(const char *text, int64_t *ret_wall_ms)
{
	const char *at = text;
	int year, month, day, hour, minute, second, ms, offset;
	int64_t seconds;
	bool right;

	right = take(&at, 4, 0, 9999, "-", &year) &&
		take(&at, 2, 1, 12, "-", &month) &&
		take(&at, 2, 1, civil_month_len(year, month), "Tt", &day) &&
		take(&at, 2, 0, 23, ":", &hour) &&
		take(&at, 2, 0, 59, ":", &minute) &&
		take(&at, 2, 0, 59, "", &second) && take_fraction(&at, &ms) &&
		*at != '\0' && take_offset(&at, &offset) && *at == '\0';
	if (!right)
		return error_set(ERR_SYNTAX, "not a time such as "
					     "2026-11-23T10:00:00Z (RFC 3339)");
	seconds = civil_days((struct civil){ year, month, day }) * DAY_S;
	seconds += hour * 3600 + minute * 60 + second - offset * 60;
	*ret_wall_ms = seconds * SECOND_MS + ms;
	return 0;
}

struct unit {
	char letter;
	int64_t seconds;
};

static const struct unit units[] = {
	{ 'd', DAY_S },
	{ 'h', 3600 },
	{ 'm', 60 },
	{ 's', 1 },
};

/* Each unit at most once, the larger ones first. */
int clock_parse_duration(const char *text, int64_t *ret_seconds)
{
	const char *at = text;
	int64_t total = 0;
	size_t unit = 0;

	while (*at || at == text) {
		int64_t value = 0;
		const char *digits = at;

		for (; is_digit(*at); at++)
			if (value <= DURATION_MAX_S)
				value = value * 10 + (*at - '0');
		while (unit < ARRAY_LEN(units) && units[unit].letter != *at)
			unit++;
		if (at == digits || unit == ARRAY_LEN(units))
			return error_set(ERR_SYNTAX, "not a duration such as "
						     "90s, 15m or 1h30m");
		if (value > DURATION_MAX_S / units[unit].seconds)
			total = DURATION_MAX_S + INT64_C(1);
		else
			total += value * units[unit].seconds;
		unit++;
		at++;
		if (total > DURATION_MAX_S)
			total = DURATION_MAX_S + INT64_C(1);
	}
	if (total > DURATION_MAX_S)
		return error_set(ERR_LIMIT, "longer than 3650 days");
	*ret_seconds = total;
	return 0;
}

char *clock_format_duration(int64_t seconds)
{
	char text[64] = "";
	uint64_t left = seconds < 0 ? 0 - (uint64_t)seconds : (uint64_t)seconds;
	size_t used = 0;

	if (seconds == 0)
		return mem_str("0s");
	if (seconds < 0)
		text[used++] = '-';
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		uint64_t size = (uint64_t)units[i].seconds;
		int len;

		if (left < size)
			continue;
		len = snprintf(text + used, sizeof(text) - used, "%llu%c",
			       (unsigned long long)(left / size),
			       units[i].letter);
		used += (size_t)len;
		left %= size;
	}
	return mem_str(text);
}

int clock_local(int64_t wall_ms, const char *zone, int *ret_weekday,
		int *ret_hour)
{
	int64_t seconds = floor_div(wall_ms, SECOND_MS);
	int64_t offset_s;

	TRY(zone_offset(zone, seconds, &offset_s));
	seconds += offset_s;
	*ret_weekday = civil_weekday(floor_div(seconds, DAY_S));
	*ret_hour = (int)(floor_mod(seconds, DAY_S) / 3600);
	return 0;
}
