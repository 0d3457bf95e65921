/* Times as directories write them, in wall milliseconds. */
#pragma once

#include "base/base.h"

/* GeneralizedTime in UTC (RFC 4517, 3.3.13): "20261122133922Z", also with a
 * fraction.  False for anything else. */
bool moment_of_generalized(const char *text, int64_t *ret_ms);

/* FILETIME as a decimal number: 100 ns since 1601 (MS-DTYP 2.3.3).  False for
 * anything else, and for 0 and "never". */
bool moment_of_filetime(const char *text, int64_t *ret_ms);
