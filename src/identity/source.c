#include "identity/source.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum { STATUS_OK = 200, MS_PER_S = 1000 };

void source_fail(struct source *s, const char *why)
{
	if (!strcmp(s->trouble, why))
		return;
	snprintf(s->trouble, sizeof(s->trouble), "%s", why);
	free(s->fault);
	s->fault = mem_str(why);
}

static int take(struct source *s, const struct transfer_result *result,
		int64_t *ret_after_ms)
{
	if (result->why)
		return error_set(ERR_UNAVAILABLE, "%s", result->why);
	if (result->status != STATUS_OK)
		return error_set(ERR_UNAVAILABLE, "the answer is %ld",
				 result->status);
	return s->take(s->owner, result, ret_after_ms);
}

static void took(void *cookie, const struct transfer_result *result)
{
	struct source *s = cookie;
	int64_t now_ms = clock_boot_ms();
	int64_t after_ms = 0;

	s->transfer = NULL;
	if (take(s, result, &after_ms) < 0) {
		source_fail(s, error_message());
		refresh_failed(&s->refresh, now_ms,
			       result->retry_after_s < 0
				       ? -1
				       : result->retry_after_s * MS_PER_S);
		return;
	}
	s->trouble[0] = '\0';
	refresh_done(&s->refresh, now_ms, after_ms);
}

void source_fetch(struct source *s, const struct transfer_request *request,
		  int (*take_fn)(void *owner,
				 const struct transfer_result *result,
				 int64_t *ret_after_ms),
		  void *owner)
{
	s->take = take_fn;
	s->owner = owner;
	refresh_begin(&s->refresh, clock_boot_ms());
	s->transfer = transfer_start(s->transfers, request, took, s);
}

bool source_is_due(const struct source *s)
{
	return s->transfers && !s->transfer &&
	       refresh_is_due(&s->refresh, clock_boot_ms());
}

void source_good(struct source *s, int64_t wall_ms, int64_t boot_ms)
{
	s->good_wall_ms = wall_ms;
	s->good_boot_ms = boot_ms;
	s->changed = s->changed || s->stale;
	s->stale = false;
}

bool source_is_good(const struct source *s)
{
	return s->good_wall_ms && !s->stale;
}

/* By the clock that says more: one of them may have been stepped, the other
 * does not outlive the process. */
static int64_t age_ms(const struct source *s)
{
	int64_t wall = clock_wall_ms() - s->good_wall_ms;
	int64_t boot =
		s->good_boot_ms < 0 ? 0 : clock_boot_ms() - s->good_boot_ms;

	return wall > boot ? wall : boot;
}

void source_look(struct source *s)
{
	if (!source_is_good(s) || age_ms(s) <= s->stale_ms)
		return;
	s->stale = true;
	s->changed = true;
	source_fail(s, "what was last fetched is too old; nothing is believed "
		       "until it is fetched again");
}

bool source_tell(struct source *s, const char *name, json_t *faults)
{
	CLEANUP(mem_free_p) char *fault = TAKE(s->fault);
	bool changed = s->changed;

	s->changed = false;
	if (fault && faults) {
		CLEANUP(mem_free_p)
		char *text = mem_format("%s: %s", name, fault);

		json_array_append_new(faults, json_string(text));
	}
	return changed;
}

void source_drop(struct source *s)
{
	if (s->transfer)
		transfer_cancel(TAKE(s->transfer));
}

void source_clear(struct source *s)
{
	source_drop(s);
	free(TAKE(s->fault));
}

int64_t source_after(const struct source *s, int64_t after_ms, int64_t least_ms)
{
	int64_t most = s->stale_ms / 2;

	if (most > SOURCE_AFTER_MAX_MS)
		most = SOURCE_AFTER_MAX_MS;
	if (after_ms < least_ms)
		after_ms = least_ms;
	return after_ms > most ? most : after_ms;
}
