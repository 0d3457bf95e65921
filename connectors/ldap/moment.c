#include "connectors/ldap/moment.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"

enum { DIGITS = 14, DAY_MS = 24 * 3600 * 1000, TICKS_OF_MS = 10000 };

/* Days from 1601-01-01 to 1970-01-01. */
#define EPOCH_DAYS 134774LL

static int number(const char *text, size_t digits)
{
	int value = 0;

	for (size_t i = 0; i < digits; i++)
		value = 10 * value + (text[i] - '0');
	return value;
}

/* Thousandths out of ".ddd..."; the text after it in ret_rest. */
static int thousandths(const char *text, const char **ret_rest)
{
	int value = 0, scale = 100;

	if (*text == '.' || *text == ',') {
		for (text++; isdigit((unsigned char)*text); text++) {
			value += (*text - '0') * scale;
			scale /= 10;
		}
	}
	*ret_rest = text;
	return value;
}

bool moment_of_generalized(const char *text, int64_t *ret_ms)
{
	struct civil date;
	int hour, minute, second, part;
	const char *rest;

	if (strspn(text, "0123456789") != DIGITS)
		return false;
	date = (struct civil){ number(text, 4), number(text + 4, 2),
			       number(text + 6, 2) };
	hour = number(text + 8, 2);
	minute = number(text + 10, 2);
	second = number(text + 12, 2);
	part = thousandths(text + DIGITS, &rest);
	if (date.month < 1 || date.month > 12 || date.day < 1 ||
	    date.day > civil_month_len(date.year, date.month) || hour > 23 ||
	    minute > 59 || second > 60 || strcmp(rest, "Z") != 0)
		return false;
	*ret_ms = civil_days(date) * DAY_MS +
		  ((hour * 60LL + minute) * 60 + second) * 1000 + part;
	return true;
}

bool moment_of_filetime(const char *text, int64_t *ret_ms)
{
	char *end = NULL;
	long long ticks;

	errno = 0;
	ticks = strtoll(text, &end, 10);
	if (errno || !*text || *end || ticks <= 0 || ticks == INT64_MAX)
		return false;
	*ret_ms = ticks / TICKS_OF_MS - EPOCH_DAYS * DAY_MS;
	return true;
}
