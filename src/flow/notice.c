/*
 * Who is told what.  Each notice goes into the transaction of what it tells of;
 * the request's document remembers what has been told ("told"), so that nobody
 * hears twice of the same.
 *
 *   a request waits          the groups that are asked, and their members
 *   it is decided            its agent; those who were asked and did not sign
 *   it has ended             its agent
 *   nobody can tell          the agent's owner
 *   a grant's time is over   the agent's owner
 *   an agent expires         its owner, a week before and at the time
 *   containment              the agent's owner
 *   an ended token is shown  the agent's owner
 *   silence                  the group that may now sign
 *   a change waits           administrators who have not signed
 *   what a change lets go    the owners of what is gone
 *
 * A notice never changes, holds up or fails what it tells of.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/state.h"
#include "govern/approval.h"
#include "notify/notify.h"

enum {
	MEMBERS_MAX = 256, /* of one group */
	TO_MAX = 1024,
	AGENTS_EVERY_MS = 60 * 1000,
	AGENTS_TOLD_MAX = 100, /* in one look */
};

static const int64_t DAY_MS = 24LL * 3600 * 1000;
static const char agent_setting[] = "notice/agent/";

/* Who is told; the names are borrowed. */
struct audience {
	struct notice_to to[TO_MAX];
	size_t count;
};

static struct audience *audience_new(void)
{
	return mem_new(struct audience);
}

static void audience_add(struct audience *a, enum notice_kind kind,
			 const char *name)
{
	if (!name || !*name || a->count == TO_MAX)
		return;
	for (size_t i = 0; i < a->count; i++) {
		if (a->to[i].kind == kind && !strcmp(a->to[i].name, name))
			return;
	}
	a->to[a->count].kind = kind;
	a->to[a->count++].name = name;
}

static void tell(struct flow *f, struct evidence_txn *t,
		 enum notify_event event, const char *about, const char *role,
		 const struct audience *a)
{
	struct notice notice = {
		.event = event,
		.about = about,
		.role = role,
		.to = a->to,
		.to_count = a->count,
	};

	notify_put(f->notifier, t, &notice);
}

static void tell_one(struct flow *f, struct evidence_txn *t,
		     enum notify_event event, const char *about,
		     const char *role, enum notice_kind kind, const char *name)
{
	CLEANUP(mem_free_p) struct audience *a = audience_new();

	audience_add(a, kind, name);
	tell(f, t, event, about, role, a);
}

static const char *owner_of(const struct flow *f, const char *agent)
{
	return json_text(inventory_spec(f->inventory, MANIFEST_AGENT, agent),
			 "owner", NULL);
}

/* ---- requests ---- */

static json_t *told_of(struct request *r)
{
	json_t *told = json_object_get(r->doc, "told");

	if (!told) {
		told = json_object();
		json_set_new(r->doc, "told", told);
	}
	return told;
}

/* Sets a mark once; false if it was there. */
static bool mark(json_t *told, const char *name)
{
	if (json_flag(told, name, false))
		return false;
	json_set_flag(told, name, true);
	return true;
}

/* A group, and its members who could sign and have not. */
static void add_group(const struct request *r, struct audience *a,
		      const char *group)
{
	const char *names[MEMBERS_MAX];
	size_t count = inventory_members(r->flow->inventory, group, names,
					 MEMBERS_MAX);

	audience_add(a, NOTICE_TO_GROUP, group);
	for (size_t i = 0; i < count; i++) {
		if (!json_has_text(json_object_get(r->doc, "barred"),
				   names[i]) &&
		    !approval_has(json_object_get(r->doc, "approvals"),
				  names[i]))
			audience_add(a, NOTICE_TO_HUMAN, names[i]);
	}
}

/* Groups are told once of each plan that they are asked about. */
static void tell_waiting(struct request *r, struct evidence_txn *t)
{
	CLEANUP(mem_free_p) struct audience *a = audience_new();
	const char *digest = json_text(r->doc, "digest", "");
	json_t *told = told_of(r);
	json_t *groups;
	const char *group;
	json_t *count;

	if (strcmp(json_text(told, "digest", ""), digest) != 0) {
		json_object_clear(told);
		json_set_text(told, "digest", digest);
		json_set_new(told, "groups", json_array());
	}
	groups = json_object_get(told, "groups");
	json_object_foreach(json_object_get(r->doc, "waitingFor"), group,
			    count) {
		if (json_has_text(groups, group))
			continue;
		json_array_append_new(groups, json_string(group));
		add_group(r, a, group);
	}
	if (a->count)
		tell(r->flow, t, NOTIFY_REQUEST_WAITING, r->id, "approver", a);
}

/* Nothing is left to do for those who were asked and did not sign. */
static void tell_decided(struct request *r, struct evidence_txn *t)
{
	CLEANUP(mem_free_p) struct audience *a = audience_new();
	json_t *told = json_object_get(r->doc, "told");
	const json_t *group;
	size_t at;

	if (!json_array_size(json_object_get(told, "groups")) ||
	    !mark(told, "decided"))
		return;
	json_array_foreach(json_object_get(told, "groups"), at, group)
		add_group(r, a, json_string_value(group));
	tell(r->flow, t, NOTIFY_REQUEST_DECIDED, r->id, "approver", a);
	if (!request_state_is_end(r->state))
		tell_one(r->flow, t, NOTIFY_REQUEST_DECIDED, r->id, "requester",
			 NOTICE_TO_AGENT, json_text(r->doc, "agent", ""));
}

static void tell_ended(struct request *r, struct evidence_txn *t)
{
	tell_decided(r, t);
	if (mark(told_of(r), "ended"))
		tell_one(r->flow, t, NOTIFY_REQUEST_ENDED, r->id, "requester",
			 NOTICE_TO_AGENT, json_text(r->doc, "agent", ""));
}

static void tell_unknown(struct request *r, struct evidence_txn *t)
{
	if (mark(told_of(r), "unknown"))
		tell_one(r->flow, t, NOTIFY_REQUEST_UNKNOWN, r->id, "owner",
			 NOTICE_TO_HUMAN,
			 owner_of(r->flow, json_text(r->doc, "agent", "")));
}

void notice_request(struct request *r, struct evidence_txn *t)
{
	if (!r->flow->notifier)
		return;
	if (request_state_is_end(r->state))
		tell_ended(r, t);
	else if (r->state == REQUEST_WAITING)
		tell_waiting(r, t);
	else if (r->state == REQUEST_ARMED)
		tell_decided(r, t);
	else if (r->state == REQUEST_UNKNOWN)
		tell_unknown(r, t);
}

void notice_escalate(struct request *r, struct evidence_txn *t,
		     const char *group)
{
	CLEANUP(mem_free_p) struct audience *a = NULL;

	if (!r->flow->notifier)
		return;
	a = audience_new();
	add_group(r, a, group);
	tell(r->flow, t, NOTIFY_REQUEST_ESCALATED, r->id, "escalation", a);
}

/* ---- grants and containments ---- */

void notice_grant(struct grant *g, struct evidence_txn *t)
{
	struct flow *f = g->flow;

	if (f->notifier &&
	    !strcmp(json_text(g->doc, "why", ""), grant_why_expired))
		tell_one(f, t, NOTIFY_GRANT_ENDED, g->id, "owner",
			 NOTICE_TO_HUMAN,
			 owner_of(f, json_text(g->doc, "agent", "")));
}

void notice_contained(struct flow *f, struct evidence_txn *t,
		      const json_t *containment)
{
	const char *name = json_text(containment, "name", "");
	const struct task *task = NULL;

	if (!f->notifier)
		return;
	if (!strcmp(json_text(containment, "kind", ""), "task"))
		task = task_find(f, name);
	if (task)
		name = json_text(task->doc, "agent", "");
	tell_one(f, t, NOTIFY_CONTAINED, json_text(containment, "id", ""),
		 "owner", NOTICE_TO_HUMAN, owner_of(f, name));
}

void notice_shown(struct flow *f, struct evidence_txn *t,
		  const json_t *credential)
{
	if (f->notifier)
		tell_one(f, t, NOTIFY_CREDENTIAL_SHOWN,
			 json_text(credential, "id", ""), "owner",
			 NOTICE_TO_HUMAN,
			 owner_of(f, json_text(credential, "agent", "")));
}

static void tell_signers(struct flow *f, struct evidence_txn *t,
			 const json_t *exception)
{
	CLEANUP(mem_free_p) struct audience *a = audience_new();
	const char *names[MEMBERS_MAX];
	size_t count = inventory_members(f->inventory, "administrators", names,
					 MEMBERS_MAX);

	audience_add(a, NOTICE_TO_GROUP, "administrators");
	for (size_t i = 0; i < count; i++) {
		if (!json_has_text(json_object_get(exception, "signers"),
				   names[i]))
			audience_add(a, NOTICE_TO_HUMAN, names[i]);
	}
	tell(f, t, NOTIFY_EXCEPTION_WAITING, json_text(exception, "id", ""),
	     "administrator", a);
}

void notice_exception(struct flow *f, struct evidence_txn *t,
		      const json_t *exception)
{
	if (!f->notifier)
		return;
	if (!strcmp(json_text(exception, "state", ""), "waiting"))
		tell_signers(f, t, exception);
	else
		tell_one(f, t, NOTIFY_EXCEPTION_CHANGED,
			 json_text(exception, "id", ""), "owner",
			 NOTICE_TO_HUMAN,
			 owner_of(f, json_text(exception, "agent", "")));
}

/* ---- changes of the inventory ---- */

/* Who is created or changed by it does not sign. */
static bool is_touched(const json_t *diff, const char *human)
{
	const json_t *row;
	size_t at;

	json_array_foreach(diff, at, row) {
		if (!strcmp(json_text(row, "kind", ""), "Human") &&
		    !strcmp(json_text(row, "name", ""), human) &&
		    strcmp(json_text(row, "op", ""), "unchanged") != 0)
			return true;
	}
	return false;
}

void notice_change_waiting(struct flow *f, struct evidence_txn *t,
			   const json_t *change)
{
	CLEANUP(mem_free_p) struct audience *a = NULL;
	const json_t *signatures = json_object_get(change, "signatures");
	const char *names[MEMBERS_MAX];
	size_t count;

	/* They hear of it once. */
	if (!f->notifier || json_array_size(signatures) > 1)
		return;
	a = audience_new();
	count = inventory_members(f->inventory, "administrators", names,
				  MEMBERS_MAX);
	audience_add(a, NOTICE_TO_GROUP, "administrators");
	for (size_t i = 0; i < count; i++) {
		if (!json_has_text(signatures, names[i]) &&
		    !is_touched(json_object_get(change, "diff"), names[i]))
			audience_add(a, NOTICE_TO_HUMAN, names[i]);
	}
	tell(f, t, NOTIFY_CHANGE_WAITING, json_text(change, "id", ""),
	     "administrator", a);
}

void notice_change_removed(struct flow *f, struct evidence_txn *t,
			   const json_t *change)
{
	CLEANUP(mem_free_p) struct audience *a = NULL;
	const json_t *all = inventory_manifests(f->inventory);
	const json_t *id;
	size_t at;

	if (!f->notifier)
		return;
	a = audience_new();
	json_array_foreach(json_object_get(change, "leaving"), at, id) {
		const json_t *manifest =
			json_object_get(all, json_string_value(id));

		audience_add(a, NOTICE_TO_HUMAN,
			     json_text(json_object_get(manifest, "spec"),
				       "owner", NULL));
	}
	if (a->count)
		tell(f, t, NOTIFY_CHANGE_REMOVED, json_text(change, "id", ""),
		     "owner", a);
}

/* ---- agents ---- */

void notice_load(struct flow *f, const json_t *doc)
{
	const char *id = json_text(doc, "id", "");
	size_t length = sizeof(agent_setting) - 1;

	if (!strncmp(id, agent_setting, length))
		json_object_set(f->noticed, id + length,
				(json_t *)(uintptr_t)doc);
}

/* What is to be told of an agent now, if anything: a week before it expires,
 * and within a week after. */
static bool agent_event(const json_t *spec, int64_t now_ms,
			enum notify_event *ret_event)
{
	int64_t expires_ms;

	if (clock_parse(json_text(spec, "expires", ""), &expires_ms) < 0 ||
	    strcmp(json_text(spec, "status", "active"), "active") != 0 ||
	    expires_ms - now_ms > 7 * DAY_MS ||
	    now_ms - expires_ms > 7 * DAY_MS)
		return false;
	*ret_event = now_ms < expires_ms ? NOTIFY_AGENT_EXPIRING
					 : NOTIFY_AGENT_EXPIRED;
	return true;
}

static bool was_told(const struct flow *f, const char *agent,
		     const json_t *spec, enum notify_event event)
{
	const json_t *doc = json_object_get(f->noticed, agent);

	return !strcmp(json_text(doc, "expires", ""),
		       json_text(spec, "expires", "-")) &&
	       !strcmp(json_text(doc, "told", ""), notify_event_name(event));
}

static void tell_agent(struct flow *f, const char *agent, const json_t *spec,
		       enum notify_event event)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p)
	char *id = mem_format("%s%s", agent_setting, agent);
	CLEANUP(json_put_p) json_t *doc = json_object();

	json_set_text(doc, "id", id);
	json_set_text(doc, "expires", json_text(spec, "expires", ""));
	json_set_text(doc, "told", notify_event_name(event));
	json_object_set(f->noticed, agent, doc);
	evidence_put(t, NOUN_SETTING, id, doc);
	tell_one(f, t, event, agent, "owner", NOTICE_TO_HUMAN,
		 json_text(spec, "owner", NULL));
	evidence_commit(t, NULL, NULL);
}

void notices_tick(struct flow *f, int64_t now_ms)
{
	const json_t *all = inventory_manifests(f->inventory);
	unsigned told = 0;
	const char *id;
	const json_t *manifest;

	if (!f->notifier || clock_boot_ms() < f->noticed_ms ||
	    evidence_is_busy(f->evidence))
		return;
	f->noticed_ms = clock_boot_ms() + AGENTS_EVERY_MS;
	json_object_foreach((json_t *)(uintptr_t)all, id, manifest) {
		const json_t *spec = json_object_get(manifest, "spec");
		enum notify_event event = NOTIFY_AGENT_EXPIRED;

		if (strncmp(id, "Agent/", 6) != 0 ||
		    !agent_event(spec, now_ms, &event) ||
		    was_told(f, id + 6, spec, event))
			continue;
		tell_agent(f, id + 6, spec, event);
		if (++told == AGENTS_TOLD_MAX)
			return;
	}
}

/* ---- opening ---- */

static const char *address_of(void *cookie, const char *human)
{
	const struct flow *f = cookie;

	if (!inventory_human_is_active(f->inventory, human))
		return NULL;
	return json_text(inventory_spec(f->inventory, MANIFEST_HUMAN, human),
			 "email", NULL);
}

static void endpoint_changed(void *cookie UNUSED, const char *endpoint,
			     bool works, const char *why)
{
	CLEANUP(mem_free_p) char *quoted = log_quote(why);

	if (works)
		log_info("notices-taken-again", "endpoint=%s", endpoint);
	else
		log_warning("notices-not-taken", "endpoint=%s why=%s", endpoint,
			    quoted);
}

int notices_open(struct flow *f, const json_t *config)
{
	struct notify_config c = {
		.loop = f->loop,
		.evidence = f->evidence,
		.transfers = f->transfers,
		.config = config,
		.address = address_of,
		.changed = endpoint_changed,
		.cookie = f,
	};

	return config ? notify_open(&c, &f->notifier) : 0;
}

/* ---- what people do with notices ---- */

enum { LIST_MAX = 500 };

static bool answered_without(const struct flow *f, struct reply_to reply)
{
	if (f->notifier)
		return false;
	answer_problem(reply, ANSWER_NOT_FOUND, "no-notification",
		       "Notification is not configured.");
	return true;
}

void flow_notifications(struct flow *f, const struct caller *caller,
			const char *state, struct reply_to reply)
{
	json_t *rows = NULL;
	json_t *body;

	if (!human_is(f, caller->name, "administrators") &&
	    !human_is(f, caller->name, "auditors")) {
		answer_problem(reply, ANSWER_DENIED, "may-not-read",
			       "Administrators and auditors see notices.");
		return;
	}
	if (answered_without(f, reply))
		return;
	if (notify_list(f->notifier, state, LIST_MAX, &rows) < 0) {
		answer_problem(reply, ANSWER_UNAVAILABLE, "unavailable",
			       "The outbox could not be read.");
		return;
	}
	body = notify_health(f->notifier);
	json_set_new(body, "notifications", rows);
	answer(reply, ANSWER_OK, body);
}

static void act_on_notice(struct flow *f, const struct statement *s,
			  const json_t *row, struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *subject = mem_format("human:%s", s->human);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	struct evidence_part part = { subject, kept };
	bool again = !strcmp(json_text(s->body, "act", ""), "retry");
	const char *id = json_text(row, "id", "");
	json_t *fields = json_object();
	json_t *body = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "act", json_text(s->body, "act", ""));
	must(evidence_leaf(t, LEAF_NOTICE, id, fields, &part, 1, &leaf),
	     "a notice's leaf");
	if (again)
		notify_retry(f->notifier, t, id);
	else
		notify_drop(f->notifier, t, row);
	signed_put(f, t, s);
	json_set_text(body, "id", id);
	json_set_text(body, "state", again ? "waiting" : "dropped");
	json_set_new(body, "evidence", leaf_json(&leaf));
	commit_answer(f, t, reply, ANSWER_OK, body);
}

void flow_notification_act(struct flow *f, const char *id,
			   const json_t *signed_form, struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *row = NULL;
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_NOTICE, reply, &s))
		return;
	if (!human_is(f, s.human, "administrators"))
		answer_problem(reply, ANSWER_DENIED, "may-not-act",
			       "Only administrators retry or drop notices.");
	else if (strcmp(json_text(s.body, "notification", ""), id) != 0)
		answer_problem(reply, ANSWER_INVALID, "another-notification",
			       "The statement is about another notice.");
	else if (!answered_without(f, reply) &&
		 notify_find(f->notifier, id, &row) < 0)
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-notification",
			       "There is no such notice.");
	else if (row)
		act_on_notice(f, &s, row, reply);
	statement_clear(&s);
}
