/*
 * Silence.  When a group that is asked says nothing for as long as the class of
 * the task (or, without it, the group itself) says, another group may sign in
 * its place.  Nothing else changes: the number of signatures, who is barred,
 * step-up and the time the request has are what they were.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "flow/request_parts.h"

static const json_t *rule_in(const json_t *spec)
{
	return json_object_in(spec, "escalation");
}

/* What is said about the silence of a group, or NULL.  A class says it for
 * whichever group is asked, and must have said so when the task was opened. */
static const json_t *rule_of(const struct flow *f, const struct task *task,
			     const char *group)
{
	const json_t *now =
		rule_in(inventory_spec(f->inventory, MANIFEST_TASK_CLASS,
				       json_text(task->doc, "class", "")));
	const json_t *then = json_object_get(task->doc, "escalation");

	if (now && then &&
	    !strcmp(json_text(now, "to", ""), json_text(then, "to", "")))
		return now;
	if (now || then)
		return NULL;
	return rule_in(inventory_spec(f->inventory, MANIFEST_GROUP, group));
}

const char *escalation_of(const struct flow *f, const struct task *task,
			  const json_t *doc, const char *group)
{
	const json_t *done =
		json_object_get(json_object_get(doc, "escalated"), group);
	const char *to = json_text(done, "to", NULL);

	if (!to || strcmp(json_text(rule_of(f, task, group), "to", ""), to))
		return NULL;
	return to;
}

/* Whether somebody has signed for a group. */
static bool has_spoken(const json_t *doc, const char *group)
{
	const json_t *approval;
	size_t at;

	json_array_foreach(json_object_get(doc, "approvals"), at, approval) {
		if (!strcmp(json_text(approval, "group", ""), group))
			return true;
	}
	return false;
}

/* How long a group may be silent: at most as long as there is time. */
static int64_t patience_ms(const struct request *r, const json_t *rule)
{
	int64_t asked = json_int(r->doc, "askedMs", 0);
	int64_t seconds = 0;

	if (json_text(rule, "after", NULL) &&
	    clock_parse_duration(json_text(rule, "after", ""), &seconds) == 0)
		return seconds * 1000;
	return (json_int(r->doc, "expiresMs", asked) - asked) / 2;
}

/* When the silence of a group is over, or 0 if nothing follows from it. */
static int64_t due_ms(const struct request *r, const struct task *task,
		      const char *group)
{
	const json_t *rule = rule_of(r->flow, task, group);
	const char *to = json_text(rule, "to", NULL);

	if (!to || !strcmp(to, group) || has_spoken(r->doc, group) ||
	    escalation_of(r->flow, task, r->doc, group))
		return 0;
	return json_int(r->doc, "askedMs", 0) + patience_ms(r, rule);
}

static void note_escalated(struct request *r, struct evidence_txn *t,
			   const char *group, const char *to)
{
	json_t *escalated = json_object_get(r->doc, "escalated");
	json_t *row = json_object();
	json_t *fields = json_object();
	struct leaf_ref leaf;

	if (!escalated) {
		escalated = json_object();
		json_set_new(r->doc, "escalated", escalated);
	}
	json_set_text(fields, "group", group);
	json_set_text(fields, "to", to);
	must(evidence_leaf(t, LEAF_ESCALATED, r->id, fields, NULL, 0, &leaf),
	     "the leaf of an escalation");
	json_set_text(row, "to", to);
	json_set_time(row, "at", clock_wall_ms());
	json_set_new(row, "evidence", leaf_json(&leaf));
	json_set_new(escalated, group, row);
	notice_escalate(r, t, to);
}

static void silence_over(void *cookie)
{
	struct request *r = cookie;
	struct flow *f = r->flow;
	const struct task *task = task_find(f, json_text(r->doc, "task", ""));
	int64_t now_ms = clock_wall_ms();
	struct evidence_txn *t;
	const char *group;
	json_t *count;
	bool any = false;

	r->silence = NULL;
	if (f->closing || r->state != REQUEST_WAITING || !task)
		return;
	if (evidence_is_busy(f->evidence)) {
		escalation_watch(r);
		return;
	}
	t = evidence_begin(f->evidence);
	json_object_foreach(json_object_get(r->doc, "waitingFor"), group,
			    count) {
		int64_t due = due_ms(r, task, group);

		if (!due || due > now_ms)
			continue;
		note_escalated(r, t, group,
			       json_text(rule_of(f, task, group), "to", ""));
		any = true;
	}
	if (any) {
		request_put(r, t);
		evidence_commit(t, request_told, r);
	} else {
		evidence_abandon(t);
	}
	escalation_watch(r);
}

void escalation_watch(struct request *r)
{
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));
	int64_t now_ms = clock_wall_ms();
	int64_t soonest = 0;
	const char *group;
	json_t *count;

	loop_timer_end(r->silence);
	r->silence = NULL;
	if (!task || r->state != REQUEST_WAITING)
		return;
	if (!json_int(r->doc, "askedMs", 0))
		json_set_int(r->doc, "askedMs", now_ms);
	json_object_foreach(json_object_get(r->doc, "waitingFor"), group,
			    count) {
		int64_t due = due_ms(r, task, group);

		if (due && (!soonest || due < soonest))
			soonest = due;
	}
	if (!soonest)
		return;
	/* Never in this turn: a log that is busy is looked at again. */
	r->silence = loop_timer(r->flow->loop,
				soonest > now_ms + 50 ? soonest - now_ms : 50,
				silence_over, r);
}
