/*
 * What detectors say.  A signal is a score about an agent, a task or a resource
 * that holds until it expires; a heartbeat only says that its detector lives.
 * They are inputs of policy and never an authority: no signal allows anything
 * that a policy does not say it may.
 *
 * The score of an act is the highest live one about its agent, its task and
 * what it touches.  The detectors that are counted beside it are those that
 * speak of what is touched, for these may stand in for a review; they count for
 * nothing while the requester itself is suspected.  A detector never speaks for
 * or against the agent that it is part of, nor for another of the same owner.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "flow/state.h"

enum {
	SIGNAL_LIFE_MAX_MS = 24 * 3600 * 1000,
	SIGNALS_OF_ONE = 4096, /* live ones of a detector */
	SENT_A_MINUTE = 600,   /* signals and heartbeats of a detector */
	MINUTE_MS = 60 * 1000,
	DROPPED_MAX = 256, /* expired ones that are dropped at a time */
	SEEN_MAX = 32,	   /* signals that a decision lists */
	BEATS_MAX = 8192,  /* detectors that a leaf of heartbeats names */
	LOOK_SOON_MS = 10,
	LOOK_AGAIN_MS = 200,
	LOOKED_AT_MAX = 64, /* requests in one turn */
};

/* ---- who speaks ---- */

const json_t *detector_spec(const struct flow *f, const char *name)
{
	const json_t *spec =
		inventory_spec(f->inventory, MANIFEST_DETECTOR, name);

	if (strcmp(json_text(spec, "status", "active"), "active") != 0 ||
	    !inventory_human_is_active(f->inventory,
				       json_text(spec, "owner", "")))
		return NULL;
	return spec;
}

/* Whether a detector is part of this agent, or of another of its owner. */
static bool is_own(const struct flow *f, const char *detector,
		   const char *agent)
{
	const char *part_of = json_text(
		inventory_spec(f->inventory, MANIFEST_DETECTOR, detector),
		"agent", NULL);
	const char *owner =
		json_text(inventory_spec(f->inventory, MANIFEST_AGENT, agent),
			  "owner", "");

	return part_of &&
	       (!strcmp(part_of, agent) ||
		!strcmp(json_text(inventory_spec(f->inventory, MANIFEST_AGENT,
						 part_of),
				  "owner", ""),
			owner));
}

/* What is kept of a detector while it lives. */
static json_t *detector_of(struct flow *f, const char *name)
{
	json_t *known = json_object_get(f->detectors, name);

	if (!known) {
		known = json_object();
		json_set_new(f->detectors, name, known);
	}
	return known;
}

static void count_live(struct flow *f, const char *detector, int by)
{
	json_t *known = detector_of(f, detector);

	json_set_int(known, "live", json_int(known, "live", 0) + by);
}

/* ---- what is live ---- */

/* The subject of a signal in the one spelling that is compared; owned. */
static char *subject_key(const char *kind, const char *target, const char *name)
{
	CLEANUP(mem_free_p) char *spelt = NULL;

	if (strcmp(kind, "resource") != 0)
		return mem_format("%s %s", kind, name);
	spelt = inventory_spelling(name);
	return mem_format("resource %s %s", target ? target : "", spelt);
}

static char *subject_of(const json_t *doc)
{
	return subject_key(json_text(doc, "subject", ""),
			   json_text(doc, "target", NULL),
			   json_text(doc, "name", ""));
}

/* One detector says one thing of a kind about a subject: anew replaces. */
static char *voice_of(const json_t *doc)
{
	return mem_format("%s %s", json_text(doc, "detector", ""),
			  json_text(doc, "kind", ""));
}

void signal_load(struct flow *f, json_t *doc)
{
	CLEANUP(mem_free_p) char *subject = subject_of(doc);
	CLEANUP(mem_free_p) char *voice = voice_of(doc);
	json_t *of = json_object_get(f->signals, subject);

	if (!of) {
		of = json_object();
		json_set_new(f->signals, subject, of);
	}
	if (!json_object_get(of, voice))
		count_live(f, json_text(doc, "detector", ""), 1);
	json_object_set(of, voice, doc);
}

/* What this detector has said of this kind about the same, or NULL. */
static json_t *said_before(const struct flow *f, const json_t *doc)
{
	CLEANUP(mem_free_p) char *subject = subject_of(doc);
	CLEANUP(mem_free_p) char *voice = voice_of(doc);

	return json_object_get(json_object_get(f->signals, subject), voice);
}

static void forget(struct flow *f, const json_t *doc)
{
	CLEANUP(mem_free_p) char *subject = subject_of(doc);
	CLEANUP(mem_free_p) char *voice = voice_of(doc);
	json_t *of = json_object_get(f->signals, subject);

	count_live(f, json_text(doc, "detector", ""), -1);
	json_object_del(of, voice);
	if (!json_object_size(of))
		json_object_del(f->signals, subject);
}

/* What a signal still says: its score, and no more than its detector may give
 * now; -1 if it says nothing any more. */
static int live_score(const struct flow *f, const json_t *doc, int64_t now_ms)
{
	const json_t *spec = detector_spec(f, json_text(doc, "detector", ""));
	int64_t score = json_int(doc, "score", 100);
	int64_t most = json_int(spec, "maxScore", 0);

	if (!spec || now_ms >= json_int(doc, "expiresMs", 0) ||
	    !json_has_text(json_object_get(spec, "signals"),
			   json_text(doc, "kind", "")))
		return -1;
	return (int)(score < most ? score : most);
}

/* ---- the risk of an act ---- */

struct summing {
	struct flow *flow;
	const char *agent;
	int64_t now_ms;
	struct risk *risk;
	json_t *speakers; /* detectors that speak of what is touched */
	bool suspected;	  /* the requester is spoken of */
};

static void note_seen(struct summing *sum, const json_t *doc)
{
	static const char *const members[] = {
		"id", "detector", "kind", "subject", "score", "expires"
	};
	json_t *row;

	if (json_array_size(sum->risk->seen) >= SEEN_MAX)
		return;
	row = json_object();
	json_pick(row, doc, members, ARRAY_LEN(members));
	json_array_append_new(sum->risk->seen, row);
}

static void add_signal(struct summing *sum, const json_t *doc, bool touched)
{
	const char *detector = json_text(doc, "detector", "");
	int score = live_score(sum->flow, doc, sum->now_ms);

	if (score < 0 || is_own(sum->flow, detector, sum->agent))
		return;
	if (score > sum->risk->score)
		sum->risk->score = score;
	if (touched)
		json_set_flag(sum->speakers, detector, true);
	else
		sum->suspected = true;
	note_seen(sum, doc);
}

static void add_subject(struct summing *sum, const char *kind,
			const char *target, const char *name)
{
	CLEANUP(mem_free_p) char *subject = NULL;
	const char *voice;
	json_t *doc;

	if (!name)
		return;
	subject = subject_key(kind, target, name);
	json_object_foreach(json_object_get(sum->flow->signals, subject), voice,
			    doc)
		add_signal(sum, doc, !strcmp(kind, "resource"));
}

void risk_read(struct flow *f, const struct risk_of *of, int64_t now_ms,
	       struct risk *ret)
{
	CLEANUP(json_put_p) json_t *speakers = NULL;
	struct summing sum = { f, of->agent, now_ms, ret, NULL, false };
	const json_t *name;
	size_t at;

	*ret = (struct risk){ 0 };
	if (!json_object_size(f->signals))
		return;
	ret->seen = json_array();
	speakers = sum.speakers = json_object();
	add_subject(&sum, "agent", NULL, of->agent);
	add_subject(&sum, "task", NULL, of->task);
	json_array_foreach(of->resources, at, name)
		add_subject(&sum, "resource", of->target,
			    json_string_value(name));
	if (!sum.suspected)
		ret->signals = (int)json_object_size(speakers);
}

/* ---- who was heard ---- */

static void hear(struct flow *f, const struct statement *s)
{
	int64_t now_ms = clock_wall_ms();
	int64_t at_ms = now_ms;
	json_t *known = detector_of(f, s->human);

	discard(clock_parse(json_text(s->body, "at", ""), &at_ms));
	/* A clock ahead of ours does not make it live longer. */
	if (at_ms > now_ms)
		at_ms = now_ms;
	if (at_ms > json_int(known, "heardMs", 0))
		json_set_int(known, "heardMs", at_ms);
}

bool detectors_are_heard(struct flow *f, const json_t *monitoring,
			 int64_t now_ms)
{
	int64_t within_s = 0;
	const json_t *name;
	size_t at;

	if (!monitoring)
		return true;
	if (clock_parse_duration(json_text(monitoring, "heardWithin", ""),
				 &within_s) < 0)
		return false;
	json_array_foreach(json_object_get(monitoring, "detectors"), at, name) {
		const char *detector = json_string_value(name);
		int64_t heard_ms = json_int(
			json_object_get(f->detectors, detector), "heardMs", 0);

		if (!detector_spec(f, detector) ||
		    heard_ms <= now_ms - within_s * 1000)
			return false;
	}
	return true;
}

void heard_load(struct flow *f, const json_t *doc)
{
	const char *name;
	json_t *heard;

	json_object_foreach(json_object_get(doc, "heard"), name, heard)
		json_set_int(detector_of(f, name), "heardMs",
			     json_integer_value(heard));
}

/* What a stop must not make forget. */
static json_t *heard_doc(const struct flow *f)
{
	json_t *doc = json_object();
	json_t *heard = json_object();
	const char *name;
	json_t *known;

	json_set_text(doc, "id", "heard");
	json_set_new(doc, "heard", heard);
	json_object_foreach(f->detectors, name, known) {
		if (json_object_get(known, "heardMs") &&
		    inventory_find(f->inventory, MANIFEST_DETECTOR, name))
			json_object_set(heard, name,
					json_object_get(known, "heardMs"));
	}
	return doc;
}

static int64_t sum_of(const json_t *counts)
{
	const char *name;
	json_t *count;
	int64_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)counts, name, count)
		sum += json_integer_value(count);
	return sum;
}

/* One leaf a minute, however often they beat. */
static void record_beats(struct flow *f)
{
	CLEANUP(json_put_p) json_t *heard = NULL;
	struct evidence_part part = { "inventory", f->beats };
	struct evidence_txn *t;
	json_t *fields;
	struct leaf_ref leaf;

	if (!json_object_size(f->beats) ||
	    clock_boot_ms() < f->beats_ms + MINUTE_MS ||
	    evidence_is_busy(f->evidence))
		return;
	f->beats_ms = clock_boot_ms();
	fields = json_object();
	json_set_int(fields, "detectors", (int64_t)json_object_size(f->beats));
	json_set_int(fields, "heartbeats", sum_of(f->beats));
	heard = heard_doc(f);
	t = evidence_begin(f->evidence);
	must(evidence_leaf(t, LEAF_HEARTBEAT, NULL, fields, &part, 1, &leaf),
	     "a leaf of heartbeats");
	evidence_put(t, NOUN_SETTING, "heard", heard);
	evidence_commit(t, NULL, NULL);
	json_object_clear(f->beats);
}

/* ---- taking one ---- */

/* Fixed windows of a minute are enough: this bounds, it does not meter. */
static bool sends_too_much(struct flow *f, const char *detector)
{
	json_t *known = detector_of(f, detector);
	int64_t now_ms = clock_boot_ms();

	if (now_ms >= json_int(known, "minute", 0) + MINUTE_MS) {
		json_set_int(known, "minute", now_ms);
		json_set_int(known, "sent", 0);
	}
	json_set_int(known, "sent", json_int(known, "sent", 0) + 1);
	return json_int(known, "sent", 0) > SENT_A_MINUTE;
}

/* Why a detector may not say this, or NULL. */
static const char *may_not_say(const struct flow *f, const struct statement *s)
{
	const json_t *spec = detector_spec(f, s->human);

	if (!json_has_text(json_object_get(spec, "signals"),
			   json_text(s->body, "kind", "")))
		return "The detector is not enrolled for signals of this kind.";
	if (json_int(s->body, "score", 101) > json_int(spec, "maxScore", 0))
		return "The score is higher than the detector may give.";
	return NULL;
}

static const char *subject_fault(struct flow *f, const json_t *body)
{
	const char *subject = json_text(body, "subject", "");
	const char *name = json_text(body, "name", "");
	const char *target = json_text(body, "target", NULL);

	if (!strcmp(subject, "resource"))
		return target && inventory_find(f->inventory, MANIFEST_TARGET,
						target)
			       ? NULL
			       : "A signal about a resource names a target "
				 "that "
				 "there is.";
	if (target)
		return "Only a signal about a resource names a target.";
	if (!strcmp(subject, "agent"))
		return inventory_find(f->inventory, MANIFEST_AGENT, name)
			       ? NULL
			       : "There is no such agent.";
	return task_find(f, name) ? NULL : "There is no such open task.";
}

static const char *time_fault(const json_t *body, int64_t now_ms)
{
	int64_t expires = 0;

	if (clock_parse(json_text(body, "expires", ""), &expires) < 0 ||
	    expires <= now_ms)
		return "It has expired already.";
	if (expires > now_ms + SIGNAL_LIFE_MAX_MS)
		return "A signal holds for at most 24 hours.";
	return NULL;
}

/* Without the reason, which is in the leaf's payload alone. */
static json_t *signal_doc(const struct statement *s)
{
	static const char *const members[] = { "detector", "kind",   "subject",
					       "name",	   "target", "score",
					       "expires",  "at" };
	json_t *doc = json_object();
	int64_t ms = 0;
	char id[ID_MAX];

	id_new("sig", id);
	json_set_text(doc, "id", id);
	json_pick(doc, s->body, members, ARRAY_LEN(members));
	discard(clock_parse(json_text(s->body, "expires", ""), &ms));
	json_set_int(doc, "expiresMs", ms);
	discard(clock_parse(json_text(s->body, "at", ""), &ms));
	json_set_int(doc, "atMs", ms);
	return doc;
}

/* Whose data the words of a signal are. */
static char *data_subject(const struct flow *f, const json_t *doc)
{
	const char *kind = json_text(doc, "subject", "");
	const char *name = json_text(doc, "name", "");
	CLEANUP(mem_free_p) char *account = NULL;
	const struct task *task;
	const char *owner;
	bool agent = false;

	if (!strcmp(kind, "agent"))
		return mem_format("agent:%s", name);
	if (!strcmp(kind, "task")) {
		task = map_get(f->tasks, name);
		return mem_format("agent:%s",
				  task ? json_text(task->doc, "agent", "")
				       : "");
	}
	account = mem_format("%s/%s", json_text(doc, "target", ""), name);
	owner = inventory_owner_of_account(f->inventory, account, &agent);
	if (!owner)
		return mem_format("detector:%s",
				  json_text(doc, "detector", ""));
	return mem_format("%s:%s", agent ? "agent" : "human", owner);
}

static json_t *signal_fields(const json_t *doc)
{
	static const char *const members[] = { "detector", "subject", "score",
					       "expires" };
	json_t *fields = json_object();

	json_pick(fields, doc, members, ARRAY_LEN(members));
	json_set_text(fields, "signal", json_text(doc, "kind", ""));
	return fields;
}

static void look_at_concerned(struct flow *f, const json_t *doc)
{
	const char *kind = json_text(doc, "subject", "");
	const char *name = json_text(doc, "name", "");

	if (!strcmp(kind, "agent"))
		requests_look_again(f, name, NULL, NULL);
	else if (!strcmp(kind, "task"))
		requests_look_again(f, NULL, name, NULL);
	else
		requests_look_again(f, NULL, NULL,
				    json_text(doc, "target", ""));
}

/* It counts from now on: what is armed on it comes after it in the log, so that
 * neither can be durable without the other. */
static void take_signal(struct flow *f, const struct statement *s, json_t *doc,
			struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	CLEANUP(mem_free_p) char *subject = data_subject(f, doc);
	struct evidence_part part = { subject, kept };
	const char *id = json_text(doc, "id", "");
	const json_t *before = said_before(f, doc);
	struct leaf_ref leaf;
	int r = evidence_leaf(t, LEAF_SIGNAL, id, signal_fields(doc), &part, 1,
			      &leaf);

	if (r < 0) {
		evidence_abandon(t);
		proposal_refused(reply, r);
		return;
	}
	leaf_note(doc, "signal", &leaf);
	signed_put(f, t, s);
	hear(f, s);
	if (before) {
		evidence_delete(t, NOUN_SIGNAL, json_text(before, "id", ""));
		forget(f, before);
	}
	/* A score of nothing takes back what was said. */
	if (json_int(doc, "score", 0) > 0) {
		evidence_put(t, NOUN_SIGNAL, id, doc);
		signal_load(f, doc);
	}
	look_at_concerned(f, doc);
	commit_answer(f, t, reply, ANSWER_CREATED, json_incref(doc));
}

static void signal_arrived(struct flow *f, const struct statement *s,
			   struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *doc = signal_doc(s);
	const json_t *before = said_before(f, doc);
	const char *why = may_not_say(f, s);

	if (why) {
		answer_problem(reply, ANSWER_DENIED, "may-not-signal", "%s",
			       why);
		return;
	}
	why = subject_fault(f, s->body);
	if (!why)
		why = time_fault(s->body, clock_wall_ms());
	if (why)
		answer_problem(reply, ANSWER_INVALID, "signal", "%s", why);
	else if (before &&
		 json_int(before, "atMs", 0) > json_int(doc, "atMs", 0))
		answer_problem(reply, ANSWER_CONFLICT, "older",
			       "This detector has said something newer about "
			       "it.");
	else if (!before && json_int(detector_of(f, s->human), "live", 0) >=
				    SIGNALS_OF_ONE)
		quota_refuse(f, s->human, 60,
			     "This detector has too many live signals.", reply);
	else if (!answer_if_busy(f, reply))
		take_signal(f, s, doc, reply);
}

/* A beat serves once because the next one must be later: replayed, it makes
 * nobody live any longer. */
static void beat_arrived(struct flow *f, const struct statement *s,
			 struct reply_to reply)
{
	json_t *known = detector_of(f, s->human);
	const char *who = s->human;
	int64_t at_ms = 0;
	json_t *body;

	discard(clock_parse(json_text(s->body, "at", ""), &at_ms));
	if (at_ms <= json_int(known, "beatMs", json_int(known, "heardMs", 0))) {
		answer_problem(reply, ANSWER_UNPROVED, "replayed",
			       "A heartbeat is later than the one before it.");
		return;
	}
	json_set_int(known, "beatMs", at_ms);
	hear(f, s);
	/* The leaf has room for so many; the others are counted as one. */
	if (!json_object_get(f->beats, who) &&
	    json_object_size(f->beats) >= BEATS_MAX)
		who = "*";
	json_set_int(f->beats, who, json_int(f->beats, who, 0) + 1);
	body = json_object();
	json_set_text(body, "detector", s->human);
	json_set_time(body, "heard", json_int(known, "heardMs", 0));
	answer(reply, ANSWER_OK, body);
}

void flow_signal(struct flow *f, const json_t *signed_form,
		 struct reply_to reply)
{
	bool beat = statement_claims(signed_form, STATEMENT_HEARTBEAT);
	struct statement s;

	if (!signed_take(f, signed_form,
			 beat ? STATEMENT_HEARTBEAT : STATEMENT_SIGNAL, reply,
			 &s))
		return;
	if (sends_too_much(f, s.human))
		quota_refuse(f, s.human, 60,
			     "This detector sends more than 600 a minute.",
			     reply);
	else if (beat)
		beat_arrived(f, &s, reply);
	else
		signal_arrived(f, &s, reply);
	statement_clear(&s);
}

/* ---- what has expired ---- */

static unsigned drop_expired(struct flow *f, struct evidence_txn *t, json_t *of,
			     int64_t now_ms)
{
	const char *voice;
	json_t *doc;
	void *next;
	unsigned count = 0;

	json_object_foreach_safe(of, next, voice, doc) {
		if (json_int(doc, "expiresMs", 0) > now_ms)
			continue;
		evidence_delete(t, NOUN_SIGNAL, json_text(doc, "id", ""));
		count_live(f, json_text(doc, "detector", ""), -1);
		json_object_del(of, voice);
		count++;
	}
	return count;
}

static void drop_old(struct flow *f, int64_t now_ms)
{
	struct evidence_txn *t;
	unsigned count = 0;
	const char *subject;
	void *next;
	json_t *of;

	if (clock_boot_ms() < f->signals_ms || !json_object_size(f->signals))
		return;
	f->signals_ms = clock_boot_ms() + MINUTE_MS;
	t = evidence_begin(f->evidence);
	json_object_foreach_safe(f->signals, next, subject, of) {
		if (count < DROPPED_MAX)
			count += drop_expired(f, t, of, now_ms);
		if (!json_object_size(of))
			json_object_del(f->signals, subject);
	}
	if (count)
		evidence_commit(t, NULL, NULL);
	else
		evidence_abandon(t);
}

void signals_tick(struct flow *f, int64_t now_ms)
{
	record_beats(f);
	drop_old(f, now_ms);
}

/* ---- waiting requests ---- */

/* Whether the facts now lead elsewhere than what is on record. */
static bool is_decided_otherwise(struct request *r)
{
	struct flow *f = r->flow;
	const struct task *task = task_find(f, json_text(r->doc, "task", ""));
	const json_t *asked = json_object_get(r->doc, "waitingFor");
	struct decided d;
	bool same;

	if (!task)
		return false;
	decide(f, task, r->doc, json_object_get(r->doc, "found"), &d);
	same = d.route == ROUTE_APPROVAL &&
	       json_equal(
		       json_object_get(json_object_get(d.decision, "requires"),
				       "approvals"),
		       asked);
	decided_clear(&d);
	return !same;
}

/* True if it is to be looked at later. */
static bool look_at(struct request *r)
{
	if (!r || r->state != REQUEST_WAITING || r->cancelled)
		return false;
	if (r->commits > 0 || r->busy || r->untaken)
		return true;
	/* One that waits for its target is decided again in any case. */
	if (!r->reread && is_decided_otherwise(r))
		request_reconsider(r);
	return false;
}

static void look_again(void *cookie)
{
	struct flow *f = cookie;
	unsigned count = 0;
	const char *id;
	json_t *mark;
	void *next;

	f->look = NULL;
	if (f->closing)
		return;
	json_object_foreach_safe(f->stale, next, id, mark) {
		if (++count > LOOKED_AT_MAX || evidence_is_busy(f->evidence))
			break;
		if (!look_at(request_find(f, id)))
			json_object_del(f->stale, id);
	}
	if (json_object_size(f->stale))
		f->look = loop_timer(f->loop, LOOK_AGAIN_MS, look_again, f);
}

static bool is_of(const json_t *doc, const char *member, const char *wanted)
{
	return !wanted || !strcmp(json_text(doc, member, ""), wanted);
}

void requests_look_again(struct flow *f, const char *agent, const char *task,
			 const char *target)
{
	const struct request *r;
	size_t at = 0;

	while ((r = map_next(f->requests, &at, NULL))) {
		if (r->state == REQUEST_WAITING &&
		    is_of(r->doc, "agent", agent) &&
		    is_of(r->doc, "task", task) &&
		    is_of(r->doc, "target", target))
			json_set_flag(f->stale, r->id, true);
	}
	if (json_object_size(f->stale) && !f->look)
		f->look = loop_timer(f->loop, LOOK_SOON_MS, look_again, f);
}
