/*
 * What one agent may have at once.  Whatever is refused here leaves no leaf of
 * its own: it is counted, and one leaf a minute has the counts.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "flow/state.h"

enum {
	OPEN_TASKS = 1000,
	OPEN_REQUESTS = 1000,
	REQUESTS_PER_MINUTE = 6000,
	RECORD_BYTES = 64 << 20,
	MINUTE_S = 60,
	WAIT_S = 10,	 /* until something may have ended */
	OVER_MAX = 8192, /* agents that a leaf of refusals names */
};

struct quota {
	int64_t tasks;
	int64_t requests;
	/* Requests that may be made now, in thousandths; they grow back. */
	int64_t left;
	int64_t at_ms; /* boot clock */
	bool begun;
};

static struct quota *quota_of(struct flow *f, const char *agent)
{
	struct quota *q = map_get(f->quotas, agent);

	if (!q) {
		q = mem_new(struct quota);
		map_put(f->quotas, agent, q);
	}
	return q;
}

void quotas_free(struct map *quotas)
{
	struct quota *q;
	size_t at = 0;

	if (!quotas)
		return;
	while ((q = map_next(quotas, &at, NULL)))
		free(q);
	map_free(quotas);
}

void quota_count_task(struct flow *f, const char *agent, int by)
{
	quota_of(f, agent)->tasks += by;
}

void quota_count_request(struct flow *f, const char *agent, int by)
{
	quota_of(f, agent)->requests += by;
}

/* The agent's own limit, else the configured one, else the usual one. */
static int64_t limit_of(const struct flow *f, const char *agent,
			const char *name, int64_t configured, int64_t usual)
{
	const json_t *limits = json_object_get(
		inventory_spec(f->inventory, MANIFEST_AGENT, agent), "limits");

	return json_int(limits, name, configured > 0 ? configured : usual);
}

bool quota_refuse(struct flow *f, const char *who, int64_t retry_s,
		  const char *detail, struct reply_to reply)
{
	struct answer a = { .kind = ANSWER_LIMITED,
			    .code = "quota",
			    .detail = detail };

	json_set_int(f->refusals, "quota",
		     json_int(f->refusals, "quota", 0) + 1);
	/* The leaf has room for so many; the others are counted as one. */
	if (!json_object_get(f->over_quota, who) &&
	    json_object_size(f->over_quota) >= OVER_MAX)
		who = "*";
	json_set_int(f->over_quota, who, json_int(f->over_quota, who, 0) + 1);
	a.body = json_object();
	json_set_int(a.body, "retryAfter", retry_s);
	reply.fn(reply.cookie, &a);
	json_decref(a.body);
	return true;
}

bool quota_tasks_over(struct flow *f, const char *agent, struct reply_to reply)
{
	int64_t limit = limit_of(f, agent, "openTasks", f->limits.open_tasks,
				 OPEN_TASKS);

	if (quota_of(f, agent)->tasks < limit)
		return false;
	return quota_refuse(f, agent, WAIT_S,
			    "This agent has as many open tasks as it may. "
			    "Complete one first.",
			    reply);
}

bool quota_requests_over(struct flow *f, const char *agent,
			 struct reply_to reply)
{
	int64_t limit = limit_of(f, agent, "openRequests",
				 f->limits.open_requests, OPEN_REQUESTS);

	if (quota_of(f, agent)->requests < limit)
		return false;
	return quota_refuse(f, agent, WAIT_S,
			    "This agent has as many requests waiting as it "
			    "may. Wait for one, or cancel one.",
			    reply);
}

/* A bucket that a minute fills. */
bool quota_rate_over(struct flow *f, const char *agent, struct reply_to reply)
{
	struct quota *q = quota_of(f, agent);
	int64_t limit =
		limit_of(f, agent, "requestsPerMinute",
			 f->limits.requests_per_minute, REQUESTS_PER_MINUTE);
	int64_t now_ms = clock_boot_ms();
	int64_t gone_ms = now_ms - q->at_ms;

	if (!q->begun || gone_ms >= MINUTE_S * 1000)
		q->left = limit * 1000;
	else
		q->left += gone_ms * limit / MINUTE_S;
	if (q->left > limit * 1000)
		q->left = limit * 1000;
	q->begun = true;
	q->at_ms = now_ms;
	if (q->left < 1000)
		return quota_refuse(f, agent, MINUTE_S / limit + 1,
				    "This agent asks more often than it may.",
				    reply);
	q->left -= 1000;
	return false;
}

bool quota_record_over(struct flow *f, const struct task *t, size_t bytes,
		       struct reply_to reply)
{
	const char *agent = json_text(t->doc, "agent", "");
	int64_t limit = limit_of(f, agent, "recordBytes",
				 f->limits.record_bytes, RECORD_BYTES);

	if (json_int(t->doc, "recordBytes", 0) + (int64_t)bytes <= limit)
		return false;
	return quota_refuse(f, agent, WAIT_S,
			    "The records of this task have as many bytes as "
			    "they may.",
			    reply);
}
