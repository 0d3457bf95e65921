/*
 * Leases: a task that asked for one ends when nobody has renewed it for so
 * long.  A lease is about whether somebody is there, so only its length is
 * kept; after a start it runs anew.
 */
#include "base/clock.h"
#include "flow/state.h"

static void lapsed(void *cookie)
{
	struct task *t = cookie;

	t->lease = NULL;
	task_end(t, "lapsed");
}

void lease_end(struct task *t)
{
	loop_timer_end(t->lease);
	t->lease = NULL;
}

void lease_run(struct task *t)
{
	int64_t seconds = json_int(t->doc, "leaseSeconds", 0);

	lease_end(t);
	if (seconds > 0)
		t->lease = loop_timer(t->flow->loop, seconds * 1000, lapsed, t);
}

void flow_task_lease(struct flow *f, const struct caller *caller,
		     const char *id, struct reply_to reply)
{
	struct task *t = task_find(f, id);
	json_t *body;

	if (!t || strcmp(json_text(t->doc, "agent", ""), caller->name) != 0) {
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-task",
			       "This agent has no such open task.");
		return;
	}
	if (!task_is_open(t) || !t->lease) {
		answer_problem(reply, ANSWER_CONFLICT, "no-lease", "%s",
			       task_is_open(t)
				       ? "The task was opened without a lease."
				       : "The task has ended.");
		return;
	}
	lease_run(t);
	body = json_object();
	json_set_text(body, "task", t->id);
	json_set_time(body, "until",
		      clock_wall_ms() +
			      json_int(t->doc, "leaseSeconds", 0) * 1000);
	answer(reply, ANSWER_OK, body);
}
