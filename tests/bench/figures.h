/* Times of many operations, and what is said of them. */
#pragma once

#include "base/json.h"

struct figures {
	uint32_t *us; /* owned */
	size_t count;
	size_t max;
	int64_t began_us;
};

/* Microseconds of the monotonic clock. */
int64_t figures_now_us(void);

void figures_open(struct figures *f, size_t max);
/* Drops what is over max. */
void figures_add(struct figures *f, int64_t us);
void figures_close(struct figures *f);

/* {"count","milliseconds","perSecond","p50Us","p99Us","maxUs"}, owned; since
 * figures_open().  Sorts the times. */
json_t *figures_report(struct figures *f);

/* Prints value on one line and releases it. */
void figures_print(json_t *value);
