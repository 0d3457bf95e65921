/*
 * Time.  Wall time is int64_t milliseconds since 1970 UTC (name: *_ms or at);
 * deadlines are milliseconds of the boot clock, which no administrator steps.
 */
#pragma once

#include "base/base.h"

enum { CLOCK_TEXT_LEN = 25 }; /* "2026-11-23T10:00:00.123Z" and a NUL */

int64_t clock_wall_ms(void);
int64_t clock_boot_ms(void);

/* RFC 3339 in UTC with milliseconds, into text. */
void clock_format(int64_t wall_ms, char text[CLOCK_TEXT_LEN]);

/* Reads RFC 3339 with "Z" or an offset.  Errors: ERR_SYNTAX. */
MUST_USE int clock_parse(const char *text, int64_t *ret_wall_ms);

/* Reads a duration such as "90s", "15m", "1h30m", "2d", Cedar's subset without
 * sign and milliseconds; at most 3650 days.  Errors: ERR_SYNTAX, ERR_LIMIT. */
MUST_USE int clock_parse_duration(const char *text, int64_t *ret_seconds);

/* Writes seconds as Cedar's duration, such as "1h30m" or "0s"; owned. */
char *clock_format_duration(int64_t seconds);

/*
 * Weekday (1 = Monday .. 7) and hour (0..23) of wall_ms in an IANA zone.
 * Errors: ERR_NOT_FOUND for a zone this machine does not know.
 */
MUST_USE int clock_local(int64_t wall_ms, const char *zone, int *ret_weekday,
			 int *ret_hour);
