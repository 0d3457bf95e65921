/*
 * What an agent did in the last 24 hours, counted as it happens.  Each agent
 * has a ring of its acts in order of time.
 */
#include "base/mem.h"
#include "flow/state.h"

enum { WINDOW_MS = 24 * 3600 * 1000 };

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

void meter_add(struct flow *f, const char *agent, const struct action *action,
	       bool reversible, const char *plane, int64_t at_ms)
{
	struct meter *m = meter_of(f, agent);
	struct act act = { at_ms, action->privileged, !reversible };

	if (m->count == m->capacity) {
		m->capacity = m->capacity ? m->capacity * 2 : 64;
		m->acts = mem_grow(m->acts, m->capacity, sizeof(*m->acts));
	}
	m->acts[m->count++] = act;
	m->privileged += act.privileged;
	m->irreversible += act.irreversible;
	json_set_int(m->planes, plane, at_ms);
}

void meter_read(struct flow *f, const char *agent, int64_t now_ms,
		const struct action *action, bool reversible, const char *plane,
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
	ret->privileged_24h = m->privileged + action->privileged;
	ret->irreversible_24h = m->irreversible + !reversible;
	ret->planes_24h = planes;
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
