/*
 * Grants: entitlements that an execution placed.  A grant ends when its last
 * holder does; its end was decided with it, so the authority arms it itself and
 * tries until the target confirms.
 *
 *   active -> ending (planned, armed, applied, read back) -> ended
 */
#include <assert.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/point.h"
#include "flow/state.h"
#include "govern/plan.h"

enum {
	BACKOFF_MIN_MS = 500,
	BACKOFF_MAX_MS = 60 * 1000,
	ENDS_AT_ONCE = 128, /* at one target; below what a connector queues */
};

const char grant_why_expired[] = "expired";

static void end_now(struct grant *g);
static void end_passed(struct grant *g);
static void leave_line(struct target *t, struct grant *g);
static struct target *target_of(const struct grant *g);
static void remember_holders(struct grant *g, const char *task);

json_t *grant_view(const json_t *doc)
{
	static const char *const members[] = {
		"id",	   "request",	 "agent",  "target",	  "resource",
		"state",   "parameters", "action", "placed",	  "ends",
		"holders", "ended",	 "why",	   "unconfirmed", "evidence",
		"erased",  "delivered"
	};
	json_t *view = json_object();

	json_pick(view, doc, members, ARRAY_LEN(members));
	return view;
}

/* ---- who holds what: an index, so that no task looks at all grants ---- */

static struct holding *holding_of(struct flow *f, const char *task,
				  const char *agent)
{
	struct holding *h = map_get(f->holdings, task);

	if (h)
		return h;
	h = mem_new(struct holding);
	snprintf(h->task, sizeof(h->task), "%s", task);
	h->agent = mem_str(agent);
	map_put(f->holdings, h->task, h);
	return h;
}

static void holding_free(struct holding *h)
{
	free(h->grants);
	free(h->agent);
	free(h);
}

static struct grant_hold *hold_by(const struct grant *g, const char *task)
{
	for (unsigned i = 0; i < g->hold_count; i++) {
		if (!strcmp(g->holds[i].by->task, task))
			return &g->holds[i];
	}
	return NULL;
}

/* The last one takes its place. */
static void hold_drop(struct flow *f, const struct grant_hold *hold)
{
	struct holding *h = hold->by;
	struct grant *last = h->grants[--h->count];
	struct grant_hold *moved = hold_by(last, h->task);

	assert(moved);
	h->standing -= hold->standing;
	h->grants[hold->at] = last;
	moved->at = hold->at;
	if (h->count > 0)
		return;
	map_remove(f->holdings, h->task);
	holding_free(h);
}

/* Held by task, and not only once. */
static bool is_held_by(const struct grant *g, const char *task)
{
	const struct grant_hold *hold = hold_by(g, task);

	return hold && !hold->ended;
}

static void note_hold(struct grant *g, const char *task, const char *agent,
		      bool ended)
{
	struct grant_hold *hold = hold_by(g, task);
	struct holding *h;

	if (hold) {
		hold->ended &= ended;
		return;
	}
	h = holding_of(g->flow, task, agent);
	if (h->count == h->capacity) {
		h->capacity = h->capacity ? h->capacity * 2 : 2;
		h->grants = mem_grow(h->grants, h->capacity,
				     sizeof(struct grant *));
	}
	g->holds = mem_grow(g->holds, g->hold_count + 1, sizeof(*g->holds));
	g->holds[g->hold_count++] =
		(struct grant_hold){ h, h->count, ended, false };
	h->grants[h->count++] = g;
}

/* Its holders' counts follow. */
static void recount(struct grant *g)
{
	for (unsigned i = 0; i < g->hold_count; i++) {
		struct grant_hold *hold = &g->holds[i];

		hold->by->standing -= hold->standing;
		hold->standing = !g->active || !hold->ended;
		hold->by->standing += hold->standing;
	}
}

/* Brings what is kept beside the document in line with it. */
static void mirror(struct grant *g)
{
	const json_t *value;
	size_t at;

	g->active = !strcmp(json_text(g->doc, "state", ""), "active");
	g->unconfirmed = json_text(g->doc, "unconfirmed", NULL) != NULL;
	for (unsigned i = 0; i < g->hold_count; i++)
		g->holds[i].ended = true;
	json_array_foreach(json_object_get(g->doc, "heldBy"), at, value)
		note_hold(g, json_string_value(value),
			  json_text(g->doc, "agent", ""), true);
	json_array_foreach(json_object_get(g->doc, "holders"), at, value)
		note_hold(g, json_text(value, "task", ""),
			  json_text(value, "agent", ""), false);
	recount(g);
}

/* ---- folding ---- */

void grant_put(struct grant *g, struct evidence_txn *t)
{
	mirror(g);
	evidence_put(t, NOUN_GRANT, g->id, g->doc);
	g->put = evidence_committed(g->flow->evidence) + 1;
}

json_t *grant_doc(struct grant *g)
{
	if (g->doc)
		return g->doc;
	must(store_get(evidence_reader(g->flow->evidence), NOUN_GRANT, g->id,
		       &g->doc, NULL),
	     "a grant's document");
	map_put(g->flow->unfolded, g->id, g);
	return g->doc;
}

static bool may_fold(const struct grant *g)
{
	return g->active && !g->busy && !g->gone &&
	       g->put <= evidence_durable(g->flow->evidence);
}

static void fold(struct grant *g)
{
	json_decref(TAKE(g->doc));
	map_remove(g->flow->unfolded, g->id);
}

void grants_fold(struct flow *f)
{
	struct map *left = map_new();
	struct grant *g;
	size_t at = 0;

	while ((g = map_next(f->unfolded, &at, NULL))) {
		if (may_fold(g))
			json_decref(TAKE(g->doc));
		else
			map_put(left, g->id, g);
	}
	map_free(f->unfolded);
	f->unfolded = left;
}

void grant_free(struct grant *g)
{
	loop_timer_end(g->timer);
	map_remove(g->flow->unfolded, g->id);
	/* Each looks at those that are left. */
	while (g->hold_count > 0) {
		hold_drop(g->flow, &g->holds[g->hold_count - 1]);
		g->hold_count--;
	}
	secret_free(g->secret);
	sample_free(g->sample);
	free(g->holds);
	free(g->lent);
	free(g->target);
	json_decref(g->doc);
	free(g);
}

/* One key for what a grant places, so that it is found by a look-up. */
char *place_key(const char *target, const char *resource,
		const json_t *parameters)
{
	CLEANUP(mem_free_p) char *canonical = json_canonical(parameters);

	return mem_format("%s\n%s\n%s", target, resource, canonical);
}

static char *grant_key(const struct grant *g)
{
	return place_key(json_text(g->doc, "target", ""),
			 json_text(g->doc, "resource", ""),
			 json_object_get(g->doc, "parameters"));
}

struct grant *grant_find_same(struct flow *f, const char *target,
			      const char *resource, const json_t *parameters)
{
	CLEANUP(mem_free_p) char *key = place_key(target, resource, parameters);

	return map_get(f->places, key);
}

bool grant_is_live(const struct grant *g)
{
	return g && g->active && !g->busy && !g->gone;
}

bool grant_is_held_by_others(const struct grant *g, const char *task)
{
	for (unsigned i = 0; i < g->hold_count; i++) {
		if (!g->holds[i].ended && strcmp(g->holds[i].by->task, task))
			return true;
	}
	return false;
}

/* ---- timers ---- */

static int64_t last_end_ms(const struct grant *g)
{
	const json_t *holder;
	int64_t last = 0;
	size_t at;

	json_array_foreach(json_object_get(g->doc, "holders"), at, holder) {
		int64_t ends = json_int(holder, "endsMs", 0);

		last = ends > last ? ends : last;
	}
	return last;
}

static void drop_expired_holders(struct grant *g, int64_t now_ms)
{
	json_t *holders = json_object_get(g->doc, "holders");

	for (size_t at = json_array_size(holders); at > 0; at--) {
		if (json_int(json_array_get(holders, at - 1), "endsMs", 0) <=
		    now_ms)
			json_array_remove(holders, at - 1);
	}
}

static void timer_fired(void *cookie)
{
	struct grant *g = cookie;

	g->timer = NULL;
	if (!g->active) {
		end_now(g);
		return;
	}
	grant_doc(g);
	/* Their tasks wait for the end of what they held. */
	remember_holders(g, NULL);
	/* The timer was of the last end, by a clock that nobody steps. */
	drop_expired_holders(g, last_end_ms(g));
	grant_release(g, NULL, grant_why_expired);
}

static void schedule(struct grant *g)
{
	int64_t left = last_end_ms(g) - clock_wall_ms();

	loop_timer_end(g->timer);
	json_set_time(g->doc, "ends", last_end_ms(g));
	g->timer =
		loop_timer(g->flow->loop, left > 0 ? left : 0, timer_fired, g);
}

static void retry(struct grant *g)
{
	g->backoff_ms = g->backoff_ms ? g->backoff_ms * 2 : BACKOFF_MIN_MS;
	if (g->backoff_ms > BACKOFF_MAX_MS)
		g->backoff_ms = BACKOFF_MAX_MS;
	loop_timer_end(g->timer);
	g->timer = loop_timer(g->flow->loop, g->backoff_ms, timer_fired, g);
}

/* ---- placing and holding ---- */

static json_t *holder_of(const struct request *r)
{
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));
	/* From when the effect could happen, not from when it was found. */
	int64_t ends = json_int(r->doc, "armedAtMs", clock_wall_ms()) +
		       json_int(r->doc, "ttlSeconds", 0) * 1000;
	int64_t window = task ? json_int(task->doc, "expiresMs", 0) : 0;
	json_t *holder = json_object();

	if (task && window < ends)
		ends = window;
	json_set_text(holder, "task", json_text(r->doc, "task", ""));
	json_set_text(holder, "request", r->id);
	json_set_text(holder, "agent", json_text(r->doc, "agent", ""));
	json_set_time(holder, "ends", ends);
	json_set_int(holder, "endsMs", ends);
	return holder;
}

/* What a task has once of what is lent: another takes its place.  Owned; NULL
 * if nothing is lent. */
static char *lent_key(const json_t *doc)
{
	const struct action *action =
		action_find(json_text(doc, "action", NULL));

	if (!action || !action->lends)
		return NULL;
	return mem_format("%s\n%s", json_text(doc, "target", ""),
			  json_text(doc, "resource", ""));
}

static struct grant *grant_new(struct flow *f, json_t *owned_doc)
{
	struct grant *g = mem_new(struct grant);
	CLEANUP(mem_free_p) char *key = NULL;

	g->flow = f;
	g->doc = owned_doc;
	g->target = mem_str(json_text(owned_doc, "target", ""));
	snprintf(g->id, sizeof(g->id), "%s", json_text(owned_doc, "id", ""));
	map_put(f->grants, g->id, g);
	map_put(f->unfolded, g->id, g);
	key = grant_key(g);
	map_put(f->places, key, g);
	g->lent = lent_key(owned_doc);
	mirror(g);
	return g;
}

static json_t *new_doc(const struct request *r)
{
	const json_t *found = json_object_get(r->doc, "found");
	json_t *doc = json_object();
	json_t *base = json_object();
	char id[ID_MAX];

	id_new("grt", id);
	json_set_text(doc, "id", id);
	json_set_text(doc, "request", r->id);
	json_set_text(doc, "agent", json_text(r->doc, "agent", ""));
	json_set_text(doc, "target", json_text(r->doc, "target", ""));
	json_set_text(doc, "action", json_text(r->doc, "action", ""));
	json_object_set(doc, "resource", json_object_get(found, "resource"));
	json_object_set(doc, "parameters",
			json_object_get(found, "parameters"));
	json_object_set(doc, "undo", json_object_get(found, "undo"));
	json_set_text(base, "plan", json_text(r->doc, "planText", ""));
	json_set_int(base, "armed", json_int(r->doc, "armedLeaf", 0));
	json_set_new(doc, "base", base);
	json_object_set(doc, "gainsHuman",
			json_object_get(r->doc, "gainsHuman"));
	json_set_text(doc, "state", "active");
	json_set_time(doc, "placed", clock_wall_ms());
	json_set_new(doc, "holders", json_array());
	return doc;
}

static void note_grant(struct request *r, const struct grant *g)
{
	json_t *note = json_object();

	json_set_text(note, "id", g->id);
	json_set_text(note, "ends", json_text(g->doc, "ends", ""));
	json_set_new(r->doc, "grant", note);
}

static void hold(struct grant *g, struct request *r, struct evidence_txn *t)
{
	json_array_append_new(json_object_get(grant_doc(g), "holders"),
			      holder_of(r));
	schedule(g);
	note_grant(r, g);
	grant_put(g, t);
}

void grant_place(struct request *r, struct evidence_txn *t)
{
	struct grant *g = grant_new(r->flow, new_doc(r));

	hold(g, r, t);
	sample_begin(g);
}

/* A grant is never born into a closed task: what was in flight when the task
 * ended is undone as soon as its outcome is recorded. */
void grant_check_orphan(struct request *r)
{
	struct flow *f = r->flow;
	const char *task = json_text(r->doc, "task", "");
	struct grant *g =
		map_get(f->grants,
			json_text(json_object_get(r->doc, "grant"), "id", ""));
	struct task *t = task_find(f, task);

	if (g && (!t || strcmp(json_text(t->doc, "state", ""), "open") != 0 ||
		  is_contained(f, json_text(t->doc, "agent", ""), t->id))) {
		containment_point(f, json_text(r->doc, "agent", ""), task,
				  "grant", g->id, "ending");
		grant_release(g, task, "its task had ended");
	}
}

void grant_join(struct grant *g, struct request *r, struct evidence_txn *t)
{
	hold(g, r, t);
}

/* ---- ending ---- */

static char *grant_subject(const struct grant *g)
{
	const char *human = json_text(g->doc, "gainsHuman", NULL);

	if (human)
		return mem_format("human:%s", human);
	return mem_format("agent:%s", json_text(g->doc, "agent", ""));
}

static void settle_tasks(struct flow *f, const json_t *tasks)
{
	const json_t *task;
	size_t at;

	json_array_foreach(tasks, at, task)
		task_settle(f, json_string_value(task));
}

static void forget_place(struct grant *g)
{
	CLEANUP(mem_free_p) char *key = grant_key(g);

	if (map_get(g->flow->places, key) == g)
		map_remove(g->flow->places, key);
}

static void ended_durable(void *cookie)
{
	struct grant *g = cookie;
	struct flow *f = g->flow;
	json_t *tasks = json_incref(json_object_get(g->doc, "heldBy"));

	map_remove(f->grants, g->id);
	grant_free(g);
	settle_tasks(f, tasks);
	json_decref(tasks);
}

static void record_ended(struct grant *g, struct evidence_txn *t,
			 const char *effect, json_t *observed)
{
	CLEANUP(mem_free_p) char *subject = grant_subject(g);
	CLEANUP(json_put_p) json_t *private = json_object();
	struct evidence_part part = { subject, private };
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_text(g->doc, "state", "ended");
	json_set_time(g->doc, "ended", clock_wall_ms());
	json_object_del(g->doc, "unconfirmed");
	json_set_text(private, "resource", json_text(g->doc, "resource", ""));
	json_object_set(private, "parameters",
			json_object_get(g->doc, "parameters"));
	observed_keep(private, observed);
	json_set_text(fields, "effect", effect);
	json_set_text(fields, "why", json_text(g->doc, "why", ""));
	json_set_text(fields, "request", json_text(g->doc, "request", ""));
	if (json_object_get(g->doc, "armedLeaf"))
		json_object_set(fields, "armed",
				json_object_get(g->doc, "armedLeaf"));
	must(evidence_leaf(t, LEAF_ENDED, g->id, fields, &part, 1, &leaf),
	     "a grant's end");
	leaf_note(g->doc, "ended", &leaf);
	grant_put(g, t);
	containment_note(g->flow, g->id, "ended", &leaf, t);
	notice_grant(g, t);
	forget_place(g);
	loop_timer_end(g->timer);
	g->timer = NULL;
}

static void finish(struct grant *g, const char *effect, json_t *observed)
{
	struct evidence_txn *t = evidence_begin(g->flow->evidence);

	record_ended(g, t, effect, observed);
	evidence_commit(t, ended_durable, g);
	end_passed(g);
}

/* Their tasks are not over before this grant is. */
static void remember_holders(struct grant *g, const char *task)
{
	json_t *held_by = json_object_get(g->doc, "heldBy");
	const json_t *holder;
	size_t at;

	if (!held_by) {
		held_by = json_array();
		json_set_new(g->doc, "heldBy", held_by);
	}
	json_array_foreach(json_object_get(g->doc, "holders"), at, holder) {
		const char *name = json_text(holder, "task", "");

		if ((!task || !strcmp(task, name)) &&
		    !json_has_text(held_by, name))
			json_array_append_new(held_by, json_string(name));
	}
}

static void gone_later(void *cookie)
{
	ended_durable(cookie);
}

void grant_gone(struct grant *g, struct evidence_txn *t, const char *why)
{
	json_set_text(grant_doc(g), "why", why);
	secret_free(TAKE(g->secret));
	remember_holders(g, NULL);
	json_set_new(g->doc, "holders", json_array());
	sample_end(g);
	record_ended(g, t, "undone", NULL);
	leave_line(target_of(g), g);
	g->gone = true;
	/* No leaf and no timer refers to it any more; its holders' tasks are
	 * settled once the caller's transaction is durable. */
	loop_defer(g->flow->loop, gone_later, g);
}

/* Not confirmed: visible, and tried again. */
static void not_confirmed(struct grant *g, const char *reason,
			  const char *detail)
{
	struct evidence_txn *t;
	const char *before = json_text(g->doc, "unconfirmed", "");
	CLEANUP(mem_free_p)
	char *text = mem_format("%s: %s", reason, detail ? detail : "");

	end_passed(g);
	g->busy = false;
	if (strcmp(before, text) != 0) {
		t = evidence_begin(g->flow->evidence);
		json_set_text(g->doc, "unconfirmed", text);
		grant_put(g, t);
		evidence_commit(t, NULL, NULL);
		log_warning("grant-end-unconfirmed", "grant=%s reason=\"%s\"",
			    g->id, reason);
	}
	retry(g);
}

/* What an armed end came to that did not end the grant. */
static void record_attempt(struct grant *g, enum effect_end end)
{
	struct evidence_txn *t = evidence_begin(g->flow->evidence);
	json_t *fields = json_object();
	struct leaf_ref leaf;
	bool untouched = end == EFFECT_REFUSED || end == EFFECT_WITHDRAWN;

	json_set_text(fields, "effect",
		      untouched ? "none" : effect_end_name(end));
	json_object_set(fields, "armed", json_object_get(g->doc, "armedLeaf"));
	must(evidence_leaf(t, LEAF_OUTCOME, g->id, fields, NULL, 0, &leaf),
	     "the outcome of an end");
	evidence_commit(t, NULL, NULL);
}

static void end_over(void *cookie, const struct effect_result *result)
{
	struct grant *g = cookie;

	if (result->end == EFFECT_APPLIED || result->end == EFFECT_NO_CHANGE) {
		finish(g,
		       result->end == EFFECT_APPLIED ? "removed"
						     : "was gone already",
		       result->observed);
		return;
	}
	record_attempt(g, result->end);
	not_confirmed(g, result->reason, result->detail);
}

/* The plan of the end; its digest stands in the armed leaf. */
static char *end_plan(struct grant *g, const json_t *found,
		      char digest[DIGEST_TEXT_LEN])
{
	struct flow *f = g->flow;
	CLEANUP(json_put_p) json_t *base = NULL;
	const char *target_name = json_text(g->doc, "target", "");
	const struct target *target = map_get(f->targets, target_name);
	struct plan_parts parts;

	must(json_parse(slice_str(json_text(json_object_get(g->doc, "base"),
					    "plan", "")),
			1 << 20, &base),
	     "the plan of a grant");
	parts = (struct plan_parts){
		.purpose = "end",
		.request = g->id,
		.agent = json_text(g->doc, "agent", ""),
		.chain = json_object_get(base, "chain"),
		.task = json_text(base, "task", ""),
		.class_digest = json_text(base, "class", ""),
		.intent = json_text(base, "intent", ""),
		.action = json_text(json_object_get(g->doc, "undo"), "action",
				    ""),
		.target = target_name,
		.target_digest = json_text(base, "targetDigest", ""),
		.connector_build = point_build(target),
		.tier = (int)json_int(base, "tier", TIER_HIGHEST),
		.found = found,
	};
	return plan_text(&parts, digest);
}

static void arm_end(struct grant *g, const json_t *found)
{
	struct flow *f = g->flow;
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *subject = grant_subject(g);
	CLEANUP(mem_free_p) char *plan = NULL;
	CLEANUP(json_put_p) json_t *private = NULL;
	struct evidence_part part;
	json_t *fields = json_object();
	char digest[DIGEST_TEXT_LEN];
	struct leaf_ref leaf;
	struct effect_order order;

	plan = end_plan(g, found, digest);
	private = json_string(plan);
	part = (struct evidence_part){ subject, private };
	json_set_text(fields, "digest", digest);
	json_set_text(fields, "purpose", "end");
	json_set_text(fields, "why", json_text(g->doc, "why", ""));
	json_set_text(fields, "request", json_text(g->doc, "request", ""));
	if (evidence_leaf(t, LEAF_ARMED, g->id, fields, &part, 1, &leaf) < 0) {
		evidence_abandon(t);
		not_confirmed(g, "not-recorded", error_message());
		return;
	}
	json_set_int(g->doc, "armedLeaf", (int64_t)leaf.index);
	leaf_note(g->doc, "armed", &leaf);
	grant_put(g, t);
	evidence_commit(t, NULL, NULL);
	order = (struct effect_order){
		.target = json_text(g->doc, "target", ""),
		.plan = plan,
		.base = json_object_get(g->doc, "base"),
		.armed = leaf.index,
		.first = true,
		.done = end_over,
		.cookie = g,
	};
	effect_run(f, &order);
}

static void end_planned(void *cookie, const struct connector_result *p)
{
	struct grant *g = cookie;
	struct flow *f = g->flow;

	if (p->status == CONNECT_OK && json_flag(p->json, "noChange", false))
		finish(g, "was gone already", NULL);
	else if (p->status == CONNECT_OK)
		arm_end(g, p->json);
	else if (p->status == CONNECT_REFUSED && is_gone(p->reason))
		finish(g, "was gone already", NULL);
	else
		not_confirmed(g, p->reason, p->detail);
	effect_settled(f);
}

/* ---- the line of ends at a target ---- */

static void line_up(struct target *t, struct grant *g)
{
	if (!t->first_end)
		t->last_end = &t->first_end;
	g->in_line = true;
	g->next_end = NULL;
	*t->last_end = g;
	t->last_end = &g->next_end;
}

static struct grant *next_in_line(struct target *t)
{
	struct grant *g = t->first_end;

	if (!g)
		return NULL;
	t->first_end = g->next_end;
	g->in_line = false;
	return g;
}

/* For one that was undone meanwhile. */
static void leave_line(struct target *t, struct grant *g)
{
	struct grant **place = &t->first_end;

	if (!g->in_line)
		return;
	while (*place != g)
		place = &(*place)->next_end;
	*place = g->next_end;
	if (!g->next_end)
		t->last_end = place;
	g->in_line = false;
}

static struct target *target_of(const struct grant *g)
{
	return map_get(g->flow->targets, g->target);
}

static void begin_end(struct target *t, struct grant *g)
{
	json_t *params = json_deep_copy(json_object_get(g->doc, "undo"));

	g->busy = true;
	g->flow->in_flight++;
	t->ends++;
	/* However many it concerns, it must end. */
	json_set_flag(params, "brief", true);
	point_call(t, CONNECT_PLAN, params, CONNECTOR_FIRST, 0, end_planned, g);
}

static void end_now(struct grant *g)
{
	struct target *t = target_of(g);

	if (g->busy || g->gone || g->in_line || g->flow->closing)
		return;
	if (!t || !t->up)
		not_confirmed(g, "unavailable",
			      "the connector of the target is down");
	else if (t->ends < ENDS_AT_ONCE)
		begin_end(t, g);
	else
		line_up(t, g);
}

/* An end that was under way is over, in whichever way: the next may begin. */
static void end_passed(struct grant *g)
{
	struct target *t = target_of(g);
	struct grant *next;

	if (!g->busy || !t)
		return;
	t->ends--;
	while (t->ends < ENDS_AT_ONCE && (next = next_in_line(t)))
		end_now(next);
}

static void drop_holder(struct grant *g, const char *task)
{
	json_t *holders = json_object_get(g->doc, "holders");

	for (size_t at = json_array_size(holders); at > 0; at--) {
		if (!strcmp(json_text(json_array_get(holders, at - 1), "task",
				      ""),
			    task))
			json_array_remove(holders, at - 1);
	}
}

void grant_release(struct grant *g, const char *task, const char *why)
{
	struct evidence_txn *t;

	if (!g->active)
		return;
	grant_doc(g);
	remember_holders(g, task);
	if (task)
		drop_holder(g, task);
	t = evidence_begin(g->flow->evidence);
	if (json_array_size(json_object_get(g->doc, "holders"))) {
		schedule(g);
		grant_put(g, t);
		evidence_commit(t, NULL, NULL);
		return;
	}
	secret_free(TAKE(g->secret));
	sample_end(g);
	json_set_text(g->doc, "state", "ending");
	json_set_text(g->doc, "why", why);
	grant_put(g, t);
	evidence_commit(t, NULL, NULL);
	loop_timer_end(g->timer);
	g->timer = NULL;
	g->backoff_ms = 0;
	end_now(g);
}

void grant_end(struct grant *g, const char *why)
{
	if (!g || !g->active)
		return;
	grant_doc(g);
	remember_holders(g, NULL);
	json_set_new(g->doc, "holders", json_array());
	grant_release(g, NULL, why);
}

void grants_release(struct flow *f, const char *task, const char *why)
{
	const struct holding *h = map_get(f->holdings, task);
	size_t count = h ? h->count : 0;
	CLEANUP(mem_free_p)
	struct grant **list = mem_array(count + 1, sizeof(*list));

	if (count)
		memcpy(list, h->grants, count * sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		if (is_held_by(list[i], task))
			grant_release(list[i], task, why);
	}
}

void grants_replaced(struct grant *g, const char *task)
{
	const struct holding *h = map_get(g->flow->holdings, task);
	size_t count = h ? h->count : 0;
	CLEANUP(mem_free_p)
	struct grant **list = mem_array(count + 1, sizeof(*list));

	if (count)
		memcpy(list, h->grants, count * sizeof(*list));
	for (size_t i = 0; g->lent && i < count; i++) {
		if (list[i] != g && list[i]->lent &&
		    !strcmp(list[i]->lent, g->lent) &&
		    is_held_by(list[i], task))
			grant_release(list[i], task, "replaced");
	}
}

bool grant_would_renew(const struct flow *f, const json_t *doc)
{
	const struct holding *h =
		map_get(f->holdings, json_text(doc, "task", ""));
	CLEANUP(mem_free_p) char *key = lent_key(doc);

	for (size_t i = 0; key && h && i < h->count; i++) {
		const struct grant *g = h->grants[i];

		if (g->active && g->lent && !strcmp(g->lent, key) &&
		    is_held_by(g, h->task))
			return true;
	}
	return false;
}

size_t grants_of_task(struct flow *f, const char *task)
{
	const struct holding *h = map_get(f->holdings, task);

	return h ? h->standing : 0;
}

/* ---- loading ---- */

static void resume_end(void *cookie)
{
	timer_fired(cookie);
}

/* Nobody has the secret of what was lent, and nobody will: it went with the
 * process that had it. */
static void end_lost(void *cookie)
{
	struct grant *g = cookie;

	g->timer = NULL;
	grant_doc(g);
	schedule(g);
	secret_loaded(g);
}

void grant_load(struct flow *f, json_t *doc)
{
	struct grant *g = grant_new(f, json_incref(doc));

	if (g->active && g->lent && !json_text(doc, "delivered", NULL)) {
		g->timer = loop_timer(f->loop, 0, end_lost, g);
		return;
	}
	if (g->active) {
		schedule(g);
		sample_begin(g);
		fold(g);
		return;
	}
	/* An end that was armed when the authority stopped is planned again:
	 * what is gone already is found so. */
	g->timer = loop_timer(f->loop, BACKOFF_MIN_MS, resume_end, g);
}
