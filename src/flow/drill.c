/*
 * Drills: a marked entry of the target is added, read, removed and read again,
 * by the same armed orders as any effect; so with every other pair of actions
 * that the connector's configuration names an entry for.  Only a drill that
 * passed makes a change on that target reversible, for this pair of actions,
 * and only for the connector build it ran on.
 *
 * An administrator asks for drills, or the target's manifest wants them
 * repeated; then nobody's signature stands behind them.
 *
 * Once something is armed, a drill is kept: one that fails halfway, or that a
 * stop cuts short, only removes what it may have left, and ends as not passed.
 *
 * What could not be tried says nothing about the way back: a drill that was
 * withdrawn, or that a stop, a full queue or a connector that is down kept from
 * going on, was not run.  What was known before stands, and it is due again.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "flow/point.h"
#include "flow/state.h"
#include "govern/plan.h"

enum {
	DRILL_DAYS = 7,
	DAY_MS = 24 * 3600 * 1000,
	VALID_MS = 10 * 60 * 1000, /* of a step's plan, to the connector */
	CLEAN_MS = 1000,	   /* between tries to remove what was left */
	CLEANS_MAX = 5,		   /* that were armed */
	AGAIN_MS = 60 * 1000,	   /* after one that was not run */
};

bool drill_passed(const struct flow *f, const char *target, const char *action,
		  int64_t now_ms)
{
	CLEANUP(mem_free_p) char *id = mem_format("%s/%s", target, action);
	const json_t *drill = json_object_get(f->drills, id);
	const struct target *t = map_get(f->targets, target);
	const json_t *spec =
		inventory_spec(f->inventory, MANIFEST_TARGET, target);
	int64_t days = json_int(spec, "drillDays", DRILL_DAYS);

	/* What Writ signs itself it ends itself: there is nothing to try. */
	if (t && t->issues)
		return true;
	return drill && t && json_flag(drill, "passed", false) &&
	       !strcmp(json_text(drill, "build", ""), point_build(t)) &&
	       now_ms < json_int(drill, "atMs", 0) + days * DAY_MS;
}

enum { STEPS = 2 }; /* there, and back */

enum drill_end {
	DRILL_PASSED,
	DRILL_FAILED,
	DRILL_NOT_RUN, /* and nothing is known by it */
};

/* The drills of a target, one after the other; each has two steps. */
struct drill {
	struct flow *flow;
	struct drill *next; /* of those that wait to clean up */
	struct loop_timer *timer;
	char *failed;	 /* why it only cleans up; NULL while it goes well */
	unsigned cleans; /* tries that were armed */
	bool left_over;	 /* removes what another has left, then begins */
	bool cut_short;	 /* failed, and not by what was tried */
	bool armed;	 /* an armed leaf names it */
	struct reply_to reply;
	char id[ID_MAX];
	char *target;
	/* What the connector drills on: action, resource, parameters. */
	json_t *entry;
	json_t *waiting; /* entries that come after it; NULL for none */
	json_t *done;	 /* what is told of those before it; NULL for none */
	bool all_passed; /* of those before it */
	const struct action *action; /* of the step under way */
	unsigned step;
	json_t *steps; /* what happened */
	json_t *plan;  /* of the step, as found */
	char *subject; /* whose signature it is; NULL: it repeats by itself */
	json_t *kept;  /* the signed statement; NULL likewise */
};

/* The action of a step of an entry; NULL if the authority knows none. */
static const struct action *action_of(const json_t *entry, size_t step)
{
	const struct action *there =
		action_find(json_text(entry, "action", "AddToGroup"));

	if (!there || step == 0)
		return there;
	return there->inverse ? action_find(there->inverse) : NULL;
}

static void drill_free(struct drill *d)
{
	loop_timer_end(d->timer);
	free(d->failed);
	free(d->target);
	json_decref(d->entry);
	json_decref(d->waiting);
	json_decref(d->done);
	json_decref(d->steps);
	json_decref(d->plan);
	free(d->subject);
	json_decref(d->kept);
	free(d);
}

/* ---- what is kept while something of it is armed ---- */

static char *kept_id(const struct drill *d)
{
	return mem_format("drill/%s", d->id);
}

static void keep(const struct drill *d, struct evidence_txn *t)
{
	CLEANUP(json_put_p) json_t *doc = json_object();
	CLEANUP(mem_free_p) char *id = kept_id(d);

	json_set_text(doc, "id", id);
	json_set_text(doc, "drill", d->id);
	json_set_text(doc, "target", d->target);
	json_object_set(doc, "entry", d->entry);
	json_set_text(doc, "subject", d->subject);
	if (d->kept)
		json_object_set(doc, "signed", d->kept);
	evidence_put(t, NOUN_SETTING, id, doc);
}

static void set_drilling(const struct drill *d, bool on)
{
	struct target *t = map_get(d->flow->targets, d->target);

	if (t)
		t->drilling = on;
}

/* Goes without a word in the log: the next start takes it up. */
static void drill_leave(struct drill *d)
{
	answer_closing(d->reply);
	drill_free(d);
}

/* ---- the end ---- */

static void drill_step(struct drill *d);

/* Notes how the pair of actions did. */
static void note_result(struct drill *d, struct evidence_txn *t,
			enum drill_end end)
{
	struct flow *f = d->flow;
	struct target *target = map_get(f->targets, d->target);

	if (end == DRILL_NOT_RUN) {
		if (target)
			target->drill_again_ms = clock_boot_ms() + AGAIN_MS;
		return;
	}
	for (size_t i = 0; i < STEPS; i++) {
		const struct action *action = action_of(d->entry, i);
		CLEANUP(mem_free_p)
		char *id = action ? mem_format("%s/%s", d->target, action->name)
				  : NULL;
		json_t *doc;

		if (!id)
			continue;
		doc = json_object();
		json_set_text(doc, "id", id);
		json_set_flag(doc, "passed", end == DRILL_PASSED);
		json_set_text(doc, "build", point_build(target));
		json_set_time(doc, "at", clock_wall_ms());
		json_set_int(doc, "atMs", clock_wall_ms());
		evidence_put(t, NOUN_DRILL, id, doc);
		json_set_new(f->drills, id, doc);
	}
}

static void note_leaf(struct drill *d, struct evidence_txn *t,
		      enum drill_end end, struct leaf_ref *ret_leaf)
{
	struct evidence_part parts[] = { { "target", d->steps },
					 { d->subject, d->kept } };
	const struct target *target = map_get(d->flow->targets, d->target);
	json_t *fields = json_object();

	json_set_flag(fields, "passed", end == DRILL_PASSED);
	json_set_flag(fields, "run", end != DRILL_NOT_RUN);
	json_set_text(fields, "build", point_build(target));
	must(evidence_leaf(t, LEAF_DRILL, d->id, fields, parts,
			   d->subject ? 2 : 1, ret_leaf),
	     "a drill's leaf");
}

/* What is told of one pair of actions; owned. */
static json_t *told_of(const struct drill *d, enum drill_end end,
		       const char *detail, const struct leaf_ref *leaf)
{
	json_t *told = json_object();

	json_set_text(told, "target", d->target);
	json_set_text(told, "action",
		      json_text(d->entry, "action", "AddToGroup"));
	json_set_flag(told, "passed", end == DRILL_PASSED);
	json_set_flag(told, "run", end != DRILL_NOT_RUN);
	json_set_text(told, "detail", detail);
	json_object_set(told, "steps", d->steps);
	json_set_new(told, "evidence", leaf_json(leaf));
	return told;
}

/* The answer, owned: the last pair's, and all of them as a list where there
 * were several.  Takes told. */
static json_t *answer_of(struct drill *d, json_t *told)
{
	json_t *body = json_copy(told);

	if (d->done) {
		json_array_append(d->done, told);
		json_object_set(body, "drills", d->done);
	}
	json_set_flag(body, "passed",
		      d->all_passed && json_flag(told, "passed", false));
	json_decref(told);
	return body;
}

/* The next entry becomes the one that is drilled; false when there is none.
 * Borrows told. */
static bool next_entry(struct drill *d, json_t *told)
{
	if (json_array_size(d->waiting) == 0)
		return false;
	d->all_passed &= json_flag(told, "passed", false);
	if (!d->done)
		d->done = json_array();
	json_array_append(d->done, told);
	json_decref(d->entry);
	d->entry = json_incref(json_array_get(d->waiting, 0));
	json_array_remove(d->waiting, 0);
	json_decref(d->steps);
	d->steps = json_array();
	free(TAKE(d->failed));
	d->cleans = 0;
	d->step = 0;
	d->left_over = false;
	d->cut_short = false;
	d->armed = false;
	id_new("drl", d->id);
	return true;
}

/* One that nobody asked for and that armed nothing leaves no trace. */
static bool leaves_trace(const struct drill *d, enum drill_end end)
{
	return end != DRILL_NOT_RUN || d->armed || d->subject;
}

static void drill_finish(struct drill *d, enum drill_end end,
			 const char *detail)
{
	struct flow *f = d->flow;
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *kept = kept_id(d);
	struct leaf_ref leaf = { 0 };
	json_t *told;

	if (leaves_trace(d, end))
		note_leaf(d, t, end, &leaf);
	note_result(d, t, end);
	evidence_delete(t, NOUN_SETTING, kept);
	told = told_of(d, end, detail, &leaf);
	if (next_entry(d, told)) {
		json_decref(told);
		evidence_commit(t, NULL, NULL);
		drill_step(d);
		return;
	}
	commit_answer(f, t, d->reply, ANSWER_OK, answer_of(d, told));
	set_drilling(d, false);
	drill_free(d);
}

static void note_step(struct drill *d, const char *result)
{
	json_t *step = json_object();

	json_set_text(step, "action", d->action->name);
	json_set_text(step, "result", result);
	json_array_append_new(d->steps, step);
}

static void clean_now(void *cookie)
{
	struct drill *d = cookie;
	struct drill **place = &d->flow->cut_short;

	while (*place != d)
		place = &(*place)->next;
	*place = d->next;
	d->timer = NULL;
	drill_step(d);
}

/* Ends one that failed, or that was cut short before it could. */
static void drill_fail(struct drill *d, const char *detail)
{
	drill_finish(d, d->cut_short ? DRILL_NOT_RUN : DRILL_FAILED,
		     d->failed ? d->failed : detail);
}

/* From here on it only removes what it may have left.
 * cut_short: what was to be tried was not. */
static void clean_up(struct drill *d, bool cut_short, const char *why)
{
	struct flow *f = d->flow;

	if (f->closing) {
		drill_leave(d);
		return;
	}
	if (!d->failed) {
		d->failed = mem_str(why);
		d->cut_short = cut_short;
	}
	d->step = 1;
	d->next = f->cut_short;
	f->cut_short = d;
	d->timer = loop_timer(f->loop, CLEAN_MS, clean_now, d);
}

static void step_applied(struct drill *d)
{
	if (d->failed) {
		drill_fail(d, d->failed);
		return;
	}
	d->step = d->left_over ? 0 : d->step + 1;
	d->left_over = false;
	if (d->step == STEPS)
		drill_finish(d, DRILL_PASSED, "added, read, removed, read");
	else
		drill_step(d);
}

/* The target was not there to be changed. */
static bool was_away(const struct effect_result *result)
{
	return result->end == EFFECT_WITHDRAWN ||
	       (result->end == EFFECT_REFUSED &&
		!strcmp(result->reason, "unavailable"));
}

static void step_over(void *cookie, const struct effect_result *result)
{
	struct drill *d = cookie;
	bool untouched = result->end == EFFECT_REFUSED ||
			 result->end == EFFECT_WITHDRAWN;

	note_step(d, effect_end_name(result->end));
	if (result->end == EFFECT_APPLIED) {
		step_applied(d);
	} else if (result->end == EFFECT_NO_CHANGE ||
		   (untouched && d->step == 0) || d->cleans == CLEANS_MAX) {
		/* What cannot be removed has failed, whatever came before. */
		if (!d->failed || d->cleans == CLEANS_MAX)
			d->cut_short = was_away(result);
		drill_fail(d, result->detail);
	} else {
		clean_up(d, was_away(result), result->detail);
	}
}

static const char *valid_until(char text[CLOCK_TEXT_LEN])
{
	clock_format(clock_wall_ms() + VALID_MS, text);
	return text;
}

static void step_arm(struct drill *d, const json_t *found)
{
	struct flow *f = d->flow;
	struct evidence_txn *t = evidence_begin(f->evidence);
	const struct target *target = map_get(f->targets, d->target);
	char not_after[CLOCK_TEXT_LEN];
	struct plan_parts parts = {
		.purpose = "drill",
		.request = d->id,
		.agent = "writ",
		.task = "",
		.class_digest = "",
		.intent = "",
		.action = d->action->name,
		.target = d->target,
		.target_digest = "",
		.connector_build = point_build(target),
		.not_after = valid_until(not_after),
		.found = found,
	};
	char digest[DIGEST_TEXT_LEN];
	CLEANUP(mem_free_p) char *plan = plan_text(&parts, digest);
	CLEANUP(json_put_p) json_t *private = json_string(plan);
	struct evidence_part part = { "target", private };
	json_t *fields = json_object();
	struct leaf_ref leaf;
	struct effect_order order;

	json_set_text(fields, "digest", digest);
	json_set_text(fields, "purpose", "drill");
	must(evidence_leaf(t, LEAF_ARMED, d->id, fields, &part, 1, &leaf),
	     "the armed leaf of a drill");
	keep(d, t);
	evidence_commit(t, NULL, NULL);
	d->armed = true;
	d->cleans += d->failed != NULL;
	order = (struct effect_order){
		.target = d->target,
		.plan = plan,
		.armed = leaf.index,
		.first = d->failed != NULL,
		.done = step_over,
		.cookie = d,
	};
	effect_run(f, &order);
}

static void step_found(struct drill *d, const json_t *found)
{
	if (!json_flag(found, "noChange", false)) {
		step_arm(d, found);
	} else if (d->step == 0) {
		/* Another drill was cut short: first remove what it left. */
		note_step(d, "left over");
		d->left_over = true;
		d->step = 1;
		drill_step(d);
	} else {
		note_step(d, "gone");
		drill_fail(d, "what was added is gone already");
	}
}

/* Nobody was there to plan. */
static bool was_not_there(const struct connector_result *p)
{
	return p->status == CONNECT_BUSY || p->status == CONNECT_DIED ||
	       (p->status == CONNECT_REFUSED &&
		!strcmp(p->reason, "unavailable"));
}

static void step_not_planned(struct drill *d, const struct connector_result *p)
{
	if (d->step > 0 &&
	    !(p->status == CONNECT_REFUSED && is_gone(p->reason))) {
		clean_up(d, was_not_there(p), p->detail);
		return;
	}
	note_step(d, p->reason);
	if (!d->failed)
		d->cut_short = was_not_there(p);
	drill_fail(d, p->detail);
}

static void step_planned(void *cookie, const struct connector_result *p)
{
	struct drill *d = cookie;
	struct flow *f = d->flow;

	if (p->status != CONNECT_OK) {
		step_not_planned(d, p);
	} else if (!plan_is_too_large(p->json)) {
		step_found(d, p->json);
	} else {
		note_step(d, "too large");
		if (d->step == 0)
			drill_fail(d, "the plan is too large");
		else
			clean_up(d, false, "the plan is too large");
	}
	effect_settled(f);
}

static void drill_step(struct drill *d)
{
	static const char *const members[] = { "resource", "parameters" };
	struct target *t = map_get(d->flow->targets, d->target);
	json_t *params;

	d->action = action_of(d->entry, d->step);
	if (!d->action) {
		drill_fail(d, "there is no such action, or no way back from "
			      "it");
		return;
	}
	if (!t || !t->up) {
		if (d->step == 0)
			drill_finish(d, DRILL_NOT_RUN, "the connector is down");
		else
			clean_up(d, true, "the connector is down");
		return;
	}
	params = json_object();
	json_pick(params, d->entry, members, ARRAY_LEN(members));
	json_set_text(params, "action", d->action->name);
	d->flow->in_flight++;
	point_call(t, CONNECT_PLAN, params, CONNECTOR_NORMAL, 0, step_planned,
		   d);
}

/* ---- the beginning ---- */

/* What the connector of a target drills on, owned; empty for nothing. */
static json_t *drill_entries(const struct target *t)
{
	const json_t *describe = point_describe(t);
	json_t *first = json_object_get(describe, "drill");
	json_t *entries = json_array();
	json_t *entry;
	size_t at;

	if (json_is_object(first))
		json_array_append_new(entries, json_deep_copy(first));
	json_array_foreach(json_object_get(describe, "drills"), at, entry)
		json_array_append_new(entries, json_deep_copy(entry));
	return entries;
}

/* Takes entries, which are not empty. */
static struct drill *drill_new(struct flow *f, struct target *t,
			       json_t *entries)
{
	struct drill *d = mem_new(struct drill);

	t->drilling = true;
	d->flow = f;
	d->target = mem_str(t->name);
	d->entry = json_incref(json_array_get(entries, 0));
	json_array_remove(entries, 0);
	d->waiting = entries;
	d->all_passed = true;
	d->steps = json_array();
	id_new("drl", d->id);
	return d;
}

static void drill_begin(struct flow *f, struct target *t, json_t *entries,
			const struct statement *s, struct reply_to reply)
{
	struct evidence_txn *txn = evidence_begin(f->evidence);
	struct drill *d = drill_new(f, t, entries);

	signed_put(f, txn, s);
	evidence_commit(txn, NULL, NULL);
	d->reply = reply;
	d->subject = mem_format("human:%s", s->human);
	d->kept = signed_json(s);
	drill_step(d);
}

void flow_drill(struct flow *f, const char *target, const json_t *signed_form,
		struct reply_to reply)
{
	struct target *t = map_get(f->targets, target);
	const char *fault = arming_fault(f);
	json_t *entries;
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_DRILL, reply, &s))
		return;
	entries = t && t->up ? drill_entries(t) : NULL;
	if (strcmp(json_text(s.body, "target", ""), target) != 0 ||
	    !human_is(f, s.human, "administrators")) {
		answer_problem(reply, ANSWER_DENIED, "may-not-drill",
			       "Only an administrator drills a target.");
	} else if (t && t->issues) {
		answer_problem(reply, ANSWER_CONFLICT, "nothing-to-drill",
			       "There is nothing to drill: what Writ signs for "
			       "this target it takes back itself.");
	} else if (fault || !t || !t->up) {
		answer_problem(reply, ANSWER_UNAVAILABLE, "unavailable", "%s",
			       fault ? fault : "The connector is down.");
	} else if (json_array_size(entries) == 0) {
		answer_problem(reply, ANSWER_CONFLICT, "no-drill-entry",
			       "The connector's configuration names no entry "
			       "to drill on.");
	} else if (t->drilling) {
		answer_problem(reply, ANSWER_BUSY, "drill-under-way",
			       "A drill of this target is under way.");
	} else {
		drill_begin(f, t, TAKE(entries), &s, reply);
	}
	json_decref(entries);
	statement_clear(&s);
}

/* ---- repeating ---- */

/* Whether the drill of an entry is older than it may be, or of another build.
 */
static bool is_due(const struct flow *f, const struct target *t,
		   const json_t *entry, int64_t every_ms, int64_t now_ms)
{
	CLEANUP(mem_free_p)
	char *id = mem_format("%s/%s", t->name,
			      json_text(entry, "action", "AddToGroup"));
	const json_t *last = json_object_get(f->drills, id);

	return !last ||
	       strcmp(json_text(last, "build", ""), point_build(t)) != 0 ||
	       now_ms >= json_int(last, "atMs", 0) + every_ms;
}

/* The entries of a target that are due; owned. */
static json_t *due_entries(const struct flow *f, const struct target *t,
			   int64_t now_ms)
{
	const json_t *spec =
		inventory_spec(f->inventory, MANIFEST_TARGET, t->name);
	const char *every = json_text(spec, "drillEvery", NULL);
	json_t *entries = json_array();
	CLEANUP(json_put_p) json_t *all = NULL;
	int64_t every_s = 0;
	json_t *entry;
	size_t at;

	if (!every || clock_parse_duration(every, &every_s) < 0)
		return entries;
	all = drill_entries(t);
	json_array_foreach(all, at, entry) {
		if (action_of(entry, 1) &&
		    is_due(f, t, entry, every_s * 1000, now_ms))
			json_array_append(entries, entry);
	}
	return entries;
}

void drills_tick(struct flow *f, int64_t now_ms)
{
	struct target *t;
	size_t at = 0;

	if (arming_fault(f))
		return;
	while ((t = map_next(f->targets, &at, NULL))) {
		CLEANUP(json_put_p) json_t *entries = NULL;

		if (!t->up || t->drilling ||
		    clock_boot_ms() < t->drill_again_ms)
			continue;
		entries = due_entries(f, t, now_ms);
		if (json_array_size(entries) > 0)
			drill_step(drill_new(f, t, TAKE(entries)));
	}
}

/* ---- loading ---- */

void drill_load(struct flow *f, json_t *doc)
{
	struct drill *d = mem_new(struct drill);

	d->flow = f;
	snprintf(d->id, sizeof(d->id), "%s", json_text(doc, "drill", ""));
	d->target = mem_str(json_text(doc, "target", ""));
	d->entry = json_incref(json_object_get(doc, "entry"));
	d->subject = mem_str(json_text(doc, "subject", NULL));
	d->kept = json_incref(json_object_get(doc, "signed"));
	d->steps = json_array();
	d->all_passed = true;
	set_drilling(d, true);
	d->armed = true;
	clean_up(d, true, "it was cut short by a stop");
}

void drills_free(struct flow *f)
{
	while (f->cut_short) {
		struct drill *next = f->cut_short->next;

		drill_leave(f->cut_short);
		f->cut_short = next;
	}
}
