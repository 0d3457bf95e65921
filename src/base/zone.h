/*
 * IANA time zones from the machine's TZif files (RFC 9636).  The C library's
 * own way in is the TZ variable, which threads cannot share.
 */
#pragma once

#include "base/base.h"

/*
 * Seconds east of UTC at wall_s (seconds since 1970 UTC) in the zone.  Files
 * are read once and kept; safe from any thread.
 *
 * Errors: ERR_NOT_FOUND for a zone this machine does not know.
 */
MUST_USE int zone_offset(const char *zone, int64_t wall_s,
			 int64_t *ret_offset_s);
