#include "identity/refresh.h"

bool refresh_is_due(const struct refresh *r, int64_t now_ms)
{
	return now_ms >= r->due_ms;
}

void refresh_begin(struct refresh *r, int64_t now_ms)
{
	r->began_ms = now_ms;
	r->began = true;
}

void refresh_done(struct refresh *r, int64_t now_ms, int64_t after_ms)
{
	r->backoff_ms = 0;
	r->due_ms = now_ms + after_ms;
}

void refresh_failed(struct refresh *r, int64_t now_ms, int64_t retry_after_ms)
{
	int64_t wait;

	r->backoff_ms = r->backoff_ms ? 2 * r->backoff_ms : REFRESH_FIRST_MS;
	if (r->backoff_ms > REFRESH_BACKOFF_MAX_MS)
		r->backoff_ms = REFRESH_BACKOFF_MAX_MS;
	if (retry_after_ms > REFRESH_RETRY_MAX_MS)
		retry_after_ms = REFRESH_RETRY_MAX_MS;
	wait = retry_after_ms > r->backoff_ms ? retry_after_ms : r->backoff_ms;
	r->due_ms = now_ms + wait;
}

void refresh_hurry(struct refresh *r, int64_t now_ms)
{
	int64_t at = r->began ? r->began_ms + REFRESH_HURRY_MS : now_ms;

	if (!r->backoff_ms && at < r->due_ms)
		r->due_ms = at;
}
