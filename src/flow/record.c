/*
 * What an agent says of its own work: prompts and tool traces as they arise,
 * and at the end what it did with what it was lent.  Each is a leaf of its own;
 * the words stay in its payload, except for reported effects, which the task
 * keeps until its end compares them with what is known (return.c).
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "flow/state.h"

enum { EFFECTS_MAX = 1000 }; /* reported of one task */

struct record {
	const char *kind;
	const json_t *body;
	size_t bytes;	       /* counted against the task's quota */
	const json_t *effects; /* to be kept with the task, or NULL */
};

/* Answers a repeated or misused key; false if the call is new.  The key stands
 * for the leaf's reference. */
static bool attached_already(struct flow *f, const struct caller *caller,
			     const struct acting *acting, struct reply_to reply)
{
	CLEANUP(mem_free_p) char *about = NULL;
	json_t *leaf = NULL;

	switch (once_key(f, caller, acting, &about)) {
	case ONCE_NEW:
		return false;
	case ONCE_OTHER:
		answer_problem(reply, ANSWER_MISMATCH, "key-reused",
			       "This Idempotency-Key was used for another "
			       "record.");
		return true;
	case ONCE_UNKNOWN:
		answer_unreadable(reply);
		return true;
	case ONCE_AGAIN:
		break;
	}
	must(json_parse(slice_str(about), strlen(about), &leaf),
	     "what a record's key stands for");
	/* After the first answer's transaction, should that last. */
	commit_answer(f, evidence_begin(f->evidence), reply, ANSWER_CREATED,
		      leaf);
	return true;
}

static void count_record(struct task *t, const struct record *record)
{
	json_t *records = json_object_get(t->doc, "records");
	json_t *effects = json_object_get(t->doc, "effects");

	json_set_int(records, record->kind,
		     json_int(records, record->kind, 0) + 1);
	json_set_int(t->doc, "recordBytes",
		     json_int(t->doc, "recordBytes", 0) +
			     (int64_t)record->bytes);
	if (!record->effects)
		return;
	if (!effects) {
		effects = json_array();
		json_set_new(t->doc, "effects", effects);
	}
	json_array_extend(effects, (json_t *)(uintptr_t)record->effects);
}

static void attach(struct flow *f, const struct caller *caller,
		   const struct acting *acting, struct task *t,
		   const struct record *record, struct reply_to reply)
{
	CLEANUP(mem_free_p)
	char *subject = mem_format("agent:%s", caller->name);
	struct evidence_part part = { subject, record->body };
	CLEANUP(mem_free_p) char *about = NULL;
	json_t *fields = json_object();
	struct evidence_txn *txn;
	struct leaf_ref leaf;
	json_t *reference;

	json_set_text(fields, "record", record->kind);
	txn = evidence_begin(f->evidence);
	if (evidence_leaf(txn, LEAF_RECORD, t->id, fields, &part, 1, &leaf) <
	    0) {
		evidence_abandon(txn);
		answer_problem(reply, ANSWER_INVALID, "too-large", "%s",
			       error_message());
		return;
	}
	count_record(t, record);
	evidence_put(txn, NOUN_TASK, t->id, t->doc);
	reference = leaf_json(&leaf);
	about = json_canonical(reference);
	once_key_put(f, txn, caller, acting, about);
	commit_answer(f, txn, reply, ANSWER_CREATED, reference);
}

void flow_task_attach(struct flow *f, const struct caller *caller,
		      const struct acting *acting, const char *id,
		      const json_t *body, struct reply_to reply)
{
	struct record record = {
		.kind = json_text(body, "kind", ""),
		.body = body,
		.bytes = strlen(json_text(body, "content", "")),
	};
	struct task *t;

	if (attached_already(f, caller, acting, reply))
		return;
	t = task_own_open(f, caller, id, reply);
	if (t && !quota_record_over(f, t, record.bytes, reply))
		attach(f, caller, acting, t, &record, reply);
}

/* A target of a report that the task does not have, or NULL. */
static const char *unknown_target(const struct task *t, const json_t *effects)
{
	const json_t *effect;
	size_t at;

	json_array_foreach(effects, at, effect) {
		const char *target = json_text(effect, "target", "");

		if (!json_has_text(json_object_get(t->doc, "targets"), target))
			return target;
	}
	return NULL;
}

void flow_task_report(struct flow *f, const struct caller *caller,
		      const struct acting *acting, const char *id,
		      const json_t *body, struct reply_to reply)
{
	const json_t *effects = json_object_get(body, "effects");
	struct record record = {
		.kind = "effects",
		.body = body,
		.bytes = json_dumpb(body, NULL, 0, JSON_COMPACT),
		.effects = effects,
	};
	const char *unknown;
	struct task *t;

	if (attached_already(f, caller, acting, reply))
		return;
	t = task_own_open(f, caller, id, reply);
	if (!t || quota_record_over(f, t, record.bytes, reply))
		return;
	unknown = unknown_target(t, effects);
	if (unknown) {
		answer_problem(reply, ANSWER_INVALID, "no-such-target",
			       "The task has no target '%s': nothing was "
			       "reported.",
			       unknown);
		return;
	}
	if (json_array_size(json_object_get(t->doc, "effects")) +
		    json_array_size(effects) >
	    EFFECTS_MAX)
		answer_problem(reply, ANSWER_INVALID, "too-many",
			       "A task reports %d effects at most; put several "
			       "of a kind into one, with \"count\".",
			       EFFECTS_MAX);
	else
		attach(f, caller, acting, t, &record, reply);
}
