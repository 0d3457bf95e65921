/*
 * How long an answer may be kept (RFC 9111, 4.2.1), and when to come again
 * (RFC 9110, 10.2.3), from the texts of its header.
 */
#pragma once

#include "base/base.h"

enum { CACHING_MAX_S = 10 * 365 * 86400 }; /* longer is cut to this */

/*
 * Seconds for which an answer is fresh: by max-age of Cache-Control, else by
 * Expires against date.  0 where it must not be kept, is stale or what it says
 * cannot be read; -1 where nothing is said.  The texts may be NULL or "".
 *
 * now_s: seconds since 1970, in place of a date that is not there.
 */
int64_t caching_fresh_s(const char *cache_control, const char *expires,
			const char *date, int64_t now_s);

/* Seconds of Retry-After, as a number or as a date; -1 if nothing (readable)
 * is said. */
int64_t caching_retry_s(const char *retry_after, int64_t now_s);
