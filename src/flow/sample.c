/*
 * Samples: where a connector sees no more than the sessions that are there now,
 * nothing is left to see once what was lent has ended.  So it is asked now and
 * then while a credential is lent.  What it saw is kept by kind, in memory,
 * until the grant ends, and then in its document, for the return.
 *
 *   placed -> asked after some seconds, then twice a minute -> ending: kept
 *
 * A connector that looks into a log is asked once: that can be read later.  A
 * stop of the process loses what was seen before it.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "flow/point.h"
#include "flow/state.h"

enum {
	FIRST_MS = 5 * 1000,
	EVERY_MS = 30 * 1000,
	KINDS_MAX = 64,	  /* of deeds, of one credential */
	DEEDS_MAX = 1000, /* of one answer */
};

struct sample {
	struct grant *grant; /* NULL once it ends with an answer outstanding */
	struct flow *flow;
	struct loop_timer *timer; /* NULL while asked, or no more to be */
	char *account;
	int64_t seen_ms; /* wall clock: the latest deed that was counted */
	json_t *kinds;	 /* owned: rows of deed_count() */
	bool asking;
};

/* ---- what is seen ---- */

static json_t *kind_of(json_t *kinds, const json_t *deed, size_t max)
{
	const char *command = json_text(deed, "command", "");
	json_t *row;
	size_t at;

	json_array_foreach(kinds, at, row) {
		if (!strcmp(json_text(row, "command", ""), command))
			return row;
	}
	if (json_array_size(kinds) >= max)
		return NULL;
	row = json_object();
	json_set_text(row, "command", command);
	json_set_text(row, "source", json_text(deed, "source", ""));
	json_set_text(row, "first", json_text(deed, "at", ""));
	json_set_int(row, "count", 0);
	json_array_append_new(kinds, row);
	return row;
}

void deed_count(json_t *kinds, const json_t *deed, size_t max)
{
	json_t *row = kind_of(kinds, deed, max);

	if (!row)
		return;
	json_set_int(row, "count", json_int(row, "count", 0) + 1);
	json_set_text(row, "last", json_text(deed, "at", ""));
	if (json_flag(deed, "failed", false))
		json_set_int(row, "failed", json_int(row, "failed", 0) + 1);
}

bool activity_is_of_log(const json_t *activity)
{
	const json_t *deed;
	size_t at;

	if (json_flag(activity, "complete", false) ||
	    !strcmp(json_text(activity, "source", ""), "log"))
		return true;
	json_array_foreach(json_object_get(activity, "deeds"), at, deed) {
		if (!strcmp(json_text(deed, "source", ""), "log"))
			return true;
	}
	return false;
}

char *lent_account(const json_t *grant)
{
	const json_t *parameters = json_object_get(grant, "parameters");
	const json_t *holder =
		json_array_get(json_object_get(grant, "holders"), 0);
	const char *login = json_text(parameters, "login", NULL);
	const char *credential = json_text(parameters, "credential", NULL);
	const char *task = json_text(holder, "task", NULL);

	/* Once it ends, those who held it stand there by name alone. */
	if (!task)
		task = json_string_value(
			json_array_get(json_object_get(grant, "heldBy"), 0));
	if (login)
		return mem_str(login);
	return credential && task ? mem_format("%s/%s", task, credential)
				  : NULL;
}

/* A session shows its last statement again and again: only what is later than
 * all that was seen before is new. */
static void take_answer(struct sample *s, const json_t *activity)
{
	int64_t latest = s->seen_ms;
	const json_t *deed;
	size_t at;

	json_array_foreach(json_object_get(activity, "deeds"), at, deed) {
		int64_t at_ms;

		if (clock_parse(json_text(deed, "at", ""), &at_ms) < 0 ||
		    at_ms <= s->seen_ms)
			continue;
		latest = at_ms > latest ? at_ms : latest;
		deed_count(s->kinds, deed, KINDS_MAX);
	}
	s->seen_ms = latest;
}

/* ---- asking ---- */

static void ask(void *cookie);

static void ask_again(struct sample *s)
{
	s->timer = loop_timer(s->flow->loop, EVERY_MS, ask, s);
}

static void told(void *cookie, const struct connector_result *r)
{
	struct sample *s = cookie;
	struct flow *f = s->flow;

	s->asking = false;
	if (!s->grant)
		sample_free(s);
	else if (r->status != CONNECT_OK && !f->closing)
		ask_again(s);
	else if (r->status == CONNECT_OK && !activity_is_of_log(r->json)) {
		take_answer(s, r->json);
		if (!f->closing)
			ask_again(s);
	}
	effect_settled(f);
}

static void ask(void *cookie)
{
	struct sample *s = cookie;
	struct target *t = map_get(s->flow->targets, s->grant->target);
	json_t *params;

	s->timer = NULL;
	if (s->flow->closing || !t || !t->connector)
		return;
	if (!connector_is_up(t->connector)) {
		ask_again(s);
		return;
	}
	if (!point_tells(t, CONNECT_ACTIVITY))
		return;
	params = json_object();
	json_set_text(params, "account", s->account);
	json_set_time(params, "since", s->seen_ms);
	json_set_int(params, "limit", DEEDS_MAX);
	s->asking = true;
	s->flow->in_flight++;
	connector_call(t->connector, CONNECT_ACTIVITY, params, CONNECTOR_NORMAL,
		       0, told, s);
}

/* ---- beginning and end ---- */

void sample_begin(struct grant *g)
{
	const struct target *t = map_get(g->flow->targets, g->target);
	struct sample *s;

	if (!g->lent || g->sample || !t || !t->connector)
		return;
	s = mem_new(struct sample);
	s->grant = g;
	s->flow = g->flow;
	s->account = lent_account(grant_doc(g));
	s->kinds = json_array();
	g->sample = s;
	if (s->account &&
	    clock_parse(json_text(g->doc, "placed", ""), &s->seen_ms) == 0)
		s->timer = loop_timer(s->flow->loop, FIRST_MS, ask, s);
}

void sample_end(struct grant *g)
{
	struct sample *s = TAKE(g->sample);
	json_t *sampled;

	if (!s)
		return;
	if (json_array_size(s->kinds)) {
		sampled = json_object();
		json_set_time(sampled, "last", s->seen_ms);
		json_object_set(sampled, "deeds", s->kinds);
		json_set_new(grant_doc(g), "sampled", sampled);
	}
	sample_free(s);
}

/* One that is asked waits for its answer. */
void sample_free(struct sample *s)
{
	if (!s)
		return;
	loop_timer_end(TAKE(s->timer));
	s->grant = NULL;
	if (s->asking)
		return;
	json_decref(s->kinds);
	free(s->account);
	free(s);
}
