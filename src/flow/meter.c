/*
 * What an agent did in the last 24 hours, counted as it happens.  Each agent
 * has a ring of its acts in order of time.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "flow/state.h"

enum {
	WINDOW_MS = 24 * 3600 * 1000,
	/* Longest time from a request to its arming: people have 7 days, and
	 * a day is for what happens between. */
	OLDEST_MS = 8 * WINDOW_MS,
	LOAD_PAGE = 256,
};

struct act {
	int64_t at_ms;
	bool privileged;
	bool irreversible;
};

struct meter {
	struct act *acts;
	size_t first;
	size_t count;
	size_t capacity;
	int64_t privileged;
	int64_t irreversible;
	json_t *planes; /* plane -> last time */
};

static struct meter *meter_of(struct flow *f, const char *agent)
{
	struct meter *m = map_get(f->meters, agent);

	if (!m) {
		m = mem_new(struct meter);
		m->planes = json_object();
		map_put(f->meters, agent, m);
	}
	return m;
}

static void forget(struct meter *m, int64_t now_ms)
{
	while (m->first < m->count &&
	       m->acts[m->first].at_ms < now_ms - WINDOW_MS) {
		m->privileged -= m->acts[m->first].privileged;
		m->irreversible -= m->acts[m->first].irreversible;
		m->first++;
	}
	if (m->first > 1024 && m->first > m->count / 2) {
		m->count -= m->first;
		memmove(m->acts, m->acts + m->first,
			m->count * sizeof(*m->acts));
		m->first = 0;
	}
}

static void add(struct meter *m, const struct act *act, const char *plane)
{
	if (m->count == m->capacity) {
		m->capacity = m->capacity ? m->capacity * 2 : 64;
		m->acts = mem_grow(m->acts, m->capacity, sizeof(*m->acts));
	}
	m->acts[m->count++] = *act;
	m->privileged += act->privileged;
	m->irreversible += act->irreversible;
	if (json_int(m->planes, plane, 0) < act->at_ms)
		json_set_int(m->planes, plane, act->at_ms);
}

void meter_count(struct flow *f, const json_t *doc)
{
	const struct action *action =
		action_find(json_text(doc, "action", NULL));
	const json_t *counted = json_object_get(doc, "counted");
	struct act act = {
		.at_ms = json_int(counted, "atMs", 0),
		.privileged = (!action || action->privileged) &&
			      !json_flag(counted, "renews", false),
		.irreversible = !json_flag(counted, "reversible", false),
	};
	const json_t *name;
	size_t at;

	add(meter_of(f, json_text(doc, "agent", "")), &act,
	    json_text(counted, "plane", ""));
	json_array_foreach(json_object_get(counted, "chain"), at, name)
		add(meter_of(f, json_string_value(name)), &act,
		    json_text(counted, "plane", ""));
}

static int compare_acts(const void *left, const void *right)
{
	int64_t a = ((const struct act *)left)->at_ms;
	int64_t b = ((const struct act *)right)->at_ms;

	return (a > b) - (a < b);
}

/* Ids are in order of creation, acts are to be in that of arming. */
static void sort_acts(struct flow *f)
{
	struct meter *m;
	size_t at = 0;

	while ((m = map_next(f->meters, &at, NULL)))
		qsort(m->acts, m->count, sizeof(*m->acts), compare_acts);
}

int meters_load(struct flow *f)
{
	int64_t now_ms = clock_wall_ms();
	CLEANUP(mem_free_p)
	char *after = mem_format("req_%012llx",
				 (unsigned long long)(now_ms - OLDEST_MS));
	size_t count = LOAD_PAGE;

	while (count == LOAD_PAGE) {
		CLEANUP(json_put_p) json_t *docs = NULL;
		const json_t *doc;
		size_t at;

		TRY(store_find(evidence_reader(f->evidence), NOUN_REQUEST, NULL,
			       NULL, after, LOAD_PAGE, &docs));
		count = json_array_size(docs);
		json_array_foreach(docs, at, doc) {
			if (json_int(json_object_get(doc, "counted"), "atMs",
				     0) >= now_ms - WINDOW_MS)
				meter_count(f, doc);
			free(after);
			after = mem_str(json_text(doc, "id", ""));
		}
	}
	sort_acts(f);
	return 0;
}

void meter_read(struct flow *f, const char *agent, int64_t now_ms,
		bool privileged, bool reversible, const char *plane,
		struct facts *ret)
{
	struct meter *m = meter_of(f, agent);
	const char *name;
	json_t *last;
	int64_t planes = json_object_get(m->planes, plane) ? 0 : 1;

	forget(m, now_ms);
	json_object_foreach(m->planes, name, last) {
		if (json_integer_value(last) >= now_ms - WINDOW_MS ||
		    !strcmp(name, plane))
			planes++;
	}
	/* The request being decided counts in. */
	ret->privileged_24h = m->privileged + privileged;
	ret->irreversible_24h = m->irreversible + !reversible;
	ret->planes_24h = planes;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void meter_read_above(struct flow *f, const json_t *chain, bool privileged,
		      const char *plane, struct facts *ret)
{
	const json_t *name;
	size_t at;

	json_array_foreach(chain, at, name) {
		struct facts above = { 0 };

		meter_read(f, json_string_value(name), ret->now_ms, privileged,
			   ret->reversible, plane, &above);
		ret->privileged_24h =
			larger(ret->privileged_24h, above.privileged_24h);
		ret->irreversible_24h =
			larger(ret->irreversible_24h, above.irreversible_24h);
		ret->planes_24h = larger(ret->planes_24h, above.planes_24h);
	}
}

void meters_free(struct map *meters)
{
	size_t at = 0;
	struct meter *m;

	if (!meters)
		return;
	while ((m = map_next(meters, &at, NULL))) {
		json_decref(m->planes);
		free(m->acts);
		free(m);
	}
	map_free(meters);
}
