/*
 * When a document that is kept fresh is fetched again: at the time its
 * publisher names, later and later while that fails, and early if something is
 * looked for that it does not hold.  Times are milliseconds of the boot clock.
 */
#pragma once

#include "base/base.h"

enum {
	REFRESH_FIRST_MS = 5 * 1000,	     /* after the first failure */
	REFRESH_BACKOFF_MAX_MS = 10 * 60000, /* after many */
	REFRESH_RETRY_MAX_MS = 3600 * 1000,  /* that a publisher may ask for */
	REFRESH_HURRY_MS = 10 * 1000,	     /* between early fetches */
};

struct refresh {
	int64_t due_ms;	    /* 0: at once */
	int64_t began_ms;   /* of the last fetch */
	int64_t backoff_ms; /* 0: the last fetch went well */
	bool began;
};

bool refresh_is_due(const struct refresh *r, int64_t now_ms);
void refresh_begin(struct refresh *r, int64_t now_ms);
/* It went well; the next one is after_ms later. */
void refresh_done(struct refresh *r, int64_t now_ms, int64_t after_ms);
/* It failed; retry_after_ms: what the publisher asked for, -1 for nothing. */
void refresh_failed(struct refresh *r, int64_t now_ms, int64_t retry_after_ms);
/* Something is missing: due at once, but neither within REFRESH_HURRY_MS of the
 * last fetch nor before the end of a back-off. */
void refresh_hurry(struct refresh *r, int64_t now_ms);
