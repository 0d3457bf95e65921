/*
 * Erasing what is kept of a human or an agent.  Two administrators sign; in one
 * transaction the subject's data keys and sealed parts are deleted and the
 * state's documents that name it are reduced, then the database's files are
 * rewritten, and only then it is said to be done.
 *
 * Of an agent go the ended tasks, requests and grants, down to their id, state
 * and leaves.  Of a human go their vouchers and the changes that brought them,
 * and their name and signatures from whatever else has ended.  What is open
 * goes on needing what it says: as long as something open names the subject it
 * is refused.
 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "evidence/erase.h"
#include "flow/state.h"
#include "store/erase.h"

enum {
	SIGNATURES = 2,
	SIGNATURE_LIFE_MS = 3600 * 1000, /* of a first one */
	PAGE = 64,
	OPEN_LISTED = 20,
	TEXT_MAX = 96, /* bytes of a subject */
};

static const char erased[] = "erased";
static const char scrub_id[] = "scrub";

struct subject {
	char text[TEXT_MAX];
	const char *name; /* within text */
	bool is_human;
};

/* What is found of it. */
struct finds {
	const struct subject *subject;
	json_t *open;	 /* array of texts "noun id" */
	json_t *changed; /* array of {"noun", "id", "doc"}: what replaces it */
	json_t *dropped; /* array of {"noun", "id"} */
};

static bool read_subject(const char *text, struct subject *ret)
{
	bool human = !strncmp(text, "human:", 6);

	if ((!human && strncmp(text, "agent:", 6) != 0) ||
	    strlen(text) >= TEXT_MAX || !text_is_name(text + 6))
		return false;
	snprintf(ret->text, sizeof(ret->text), "%s", text);
	ret->name = ret->text + 6;
	ret->is_human = human;
	return true;
}

/* ---- people in changes ----------------------------------------------------
 */

static bool is_human(const json_t *manifest)
{
	return !strcmp(json_text(manifest, "kind", ""), "Human");
}

json_t *without_people(const json_t *manifests)
{
	static const char *const kept[] = { "kind", "metadata" };
	json_t *out = json_array();
	json_t *manifest;
	size_t at;

	json_array_foreach(manifests, at, manifest) {
		json_t *stub;

		if (!is_human(manifest)) {
			json_array_append(out, manifest);
			continue;
		}
		stub = json_object();
		json_pick(stub, manifest, kept, ARRAY_LEN(kept));
		json_array_append_new(out, stub);
	}
	return out;
}

static int person_leaf(struct evidence_txn *t, const json_t *manifest,
		       const char *about, uint64_t change)
{
	CLEANUP(mem_free_p)
	char *subject = mem_format(
		"human:%s",
		json_text(json_object_in(manifest, "metadata"), "name", ""));
	struct evidence_part part = { subject, manifest };
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_int(fields, "change", (int64_t)change);
	return evidence_leaf(t, LEAF_PERSON, about, fields, &part, 1, &leaf);
}

int people_leaves(struct evidence_txn *t, const json_t *manifests,
		  const char *about, uint64_t change)
{
	const json_t *manifest;
	size_t at;

	json_array_foreach(manifests, at, manifest) {
		if (is_human(manifest))
			TRY(person_leaf(t, manifest, about, change));
	}
	return 0;
}

/* ---- what names it --------------------------------------------------------
 */

/* The text is the name, or JSON that has it as a text. */
static bool text_names(const char *text, const char *name)
{
	CLEANUP(mem_free_p) char *quoted = NULL;

	if (!strcmp(text, name))
		return true;
	if (!strchr(text, '"'))
		return false;
	quoted = mem_format("\"%s\"", name);
	return strstr(text, quoted) != NULL;
}

static bool value_names(const json_t *value, const char *name)
{
	const char *key;
	json_t *one;
	size_t at;

	if (json_is_string(value))
		return text_names(json_string_value(value), name);
	json_array_foreach(value, at, one) {
		if (value_names(one, name))
			return true;
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, one) {
		if (!strcmp(key, name) || value_names(one, name))
			return true;
	}
	return false;
}

static bool is_held_by(const json_t *doc, const char *agent)
{
	const json_t *holder;
	size_t at;

	json_array_foreach(json_array_in(doc, "holders"), at, holder) {
		if (!strcmp(json_text(holder, "agent", ""), agent))
			return true;
	}
	return false;
}

/* All of it is about the subject: what was read of their account. */
static bool is_about(const json_t *doc, const struct subject *s)
{
	return !strcmp(json_text(doc, "concerns", ""), s->text);
}

static bool doc_concerns(const json_t *doc, const struct subject *s)
{
	if (is_about(doc, s))
		return true;
	if (s->is_human)
		return value_names(doc, s->name);
	return !strcmp(json_text(doc, "agent", ""), s->name) ||
	       is_held_by(doc, s->name) ||
	       (!strcmp(json_text(doc, "kind", ""), "agent") &&
		!strcmp(json_text(doc, "name", ""), s->name));
}

/* ---- what is left of it ---------------------------------------------------
 */

/* Ids, states and times of a thing, and its leaves: nothing that was said. */
static json_t *stub_of(const json_t *doc)
{
	static const char *const kept[] = {
		"id",	   "agent",   "task",  "target",   "state",
		"created", "opened",  "ended", "endedHow", "expires",
		"digest",  "counted", "at",    "kind",	   "evidence",
	};
	json_t *stub = json_object();

	json_pick(stub, doc, kept, ARRAY_LEN(kept));
	return stub;
}

/* Everything else, with the name and what was signed by it taken out; owned. */
static json_t *without(const json_t *value, const char *name)
{
	const char *key;
	json_t *out;
	json_t *one;
	size_t at;

	if (json_is_string(value) && text_names(json_string_value(value), name))
		return json_string(erased);
	if (json_is_array(value)) {
		out = json_array();
		json_array_foreach(value, at, one)
			json_array_append_new(out, without(one, name));
		return out;
	}
	if (!json_is_object(value))
		return json_deep_copy(value);
	out = json_object();
	/* A signature and its key's fingerprint are of one person. */
	if (json_text(value, "signature", NULL) && value_names(value, name)) {
		json_set_text(out, "human", erased);
		return out;
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, one)
		json_set_new(out, strcmp(key, name) ? key : erased,
			     without(one, name));
	return out;
}

enum treatment {
	LEAVE,	/* not the subject's */
	STUB,	/* down to ids, states and leaves */
	REDACT, /* the name and signatures are taken out */
	DROP,
};

/* What becomes of documents that name a human, and those of an agent; those in
 * one of the states are open. */
static const struct rule {
	enum noun noun;
	enum treatment of_human;
	enum treatment of_agent;
	const char *open[3];
} rules[] = {
	{ NOUN_TASK, REDACT, STUB, { "open", "ending" } },
	{ NOUN_REQUEST, REDACT, STUB, { NULL } }, /* by its own table */
	{ NOUN_GRANT, REDACT, STUB, { "active", "ending" } },
	{ NOUN_CHANGE, STUB, LEAVE, { "waiting", "ending" } },
	{ NOUN_VOUCHER, DROP, LEAVE, { NULL } },
	{ NOUN_CONTAINMENT, REDACT, STUB, { "in-force" } },
	{ NOUN_EXCEPTION, REDACT, STUB, { "waiting", "in-force" } },
	{ NOUN_INCIDENT, REDACT, STUB, { "open" } },
	{ NOUN_DRILL, REDACT, LEAVE, { NULL } },
	{ NOUN_SIGNAL, DROP, DROP, { NULL } },	    /* open while it counts */
	{ NOUN_CREDENTIAL, LEAVE, DROP, { NULL } }, /* likewise */
};

/* Something live still has it in its hands. */
static bool is_live(struct flow *f, enum noun noun, const char *id)
{
	if (noun == NOUN_TASK)
		return map_get(f->tasks, id) != NULL;
	if (noun == NOUN_REQUEST)
		return map_get(f->requests, id) != NULL;
	return noun == NOUN_GRANT && map_get(f->grants, id) != NULL;
}

static bool is_open(struct flow *f, const struct rule *rule, const json_t *doc)
{
	const char *state = json_text(doc, "state", "");
	enum request_state request;

	if (is_live(f, rule->noun, json_text(doc, "id", "")))
		return true;
	if (rule->noun == NOUN_SIGNAL)
		return json_int(doc, "expiresMs", 0) > clock_wall_ms();
	if (rule->noun == NOUN_CREDENTIAL)
		return json_int(doc, "expires", 0) * 1000 > clock_wall_ms();
	if (rule->noun == NOUN_REQUEST)
		return !request_state_find(state, &request) ||
		       !request_state_is_end(request);
	for (size_t i = 0; i < ARRAY_LEN(rule->open); i++) {
		if (rule->open[i] && !strcmp(rule->open[i], state))
			return true;
	}
	return false;
}

static void list_row(json_t *list, enum noun noun, const char *id,
		     json_t *owned)
{
	json_t *row = json_object();

	json_set_int(row, "noun", noun);
	json_set_text(row, "id", id);
	if (owned)
		json_set_new(row, "doc", owned);
	json_array_append_new(list, row);
}

static void list_open(struct finds *finds, enum noun noun, const char *id)
{
	CLEANUP(mem_free_p)
	char *text = mem_format("%s %s", noun_name(noun), id);

	if (json_array_size(finds->open) < OPEN_LISTED)
		json_array_append_new(finds->open, json_string(text));
}

static void look_at(struct flow *f, struct finds *finds,
		    const struct rule *rule, const json_t *doc)
{
	const char *id = json_text(doc, "id", "");
	enum treatment treatment =
		finds->subject->is_human ? rule->of_human : rule->of_agent;

	if (is_about(doc, finds->subject))
		treatment = STUB;
	if (treatment == LEAVE || !doc_concerns(doc, finds->subject))
		return;
	if (is_open(f, rule, doc))
		list_open(finds, rule->noun, id);
	else if (treatment == DROP)
		list_row(finds->dropped, rule->noun, id, NULL);
	else
		list_row(finds->changed, rule->noun, id,
			 treatment == STUB
				 ? stub_of(doc)
				 : without(doc, finds->subject->name));
}

static int look_through(struct flow *f, struct finds *finds,
			const struct rule *rule)
{
	CLEANUP(mem_free_p) char *after = NULL;
	size_t count = PAGE;

	while (count == PAGE) {
		CLEANUP(json_put_p) json_t *docs = NULL;
		const json_t *doc;
		size_t at;

		TRY(store_find_words(evidence_reader(f->evidence), rule->noun,
				     finds->subject->name, after, PAGE, &docs));
		count = json_array_size(docs);
		json_array_foreach(docs, at, doc) {
			free(after);
			after = mem_str(json_text(doc, "id", ""));
			look_at(f, finds, rule, doc);
		}
	}
	return 0;
}

/* A person who is in the inventory is somebody's colleague, not a trace. */
static void look_at_inventory(struct flow *f, struct finds *finds)
{
	if (finds->subject->is_human &&
	    inventory_find(f->inventory, MANIFEST_HUMAN, finds->subject->name))
		list_open(finds, NOUN_OBJECT, "Human");
}

static int find_all(struct flow *f, const struct subject *s,
		    struct finds *ret_finds)
{
	*ret_finds =
		(struct finds){ s, json_array(), json_array(), json_array() };
	look_at_inventory(f, ret_finds);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		TRY(look_through(f, ret_finds, &rules[i]));
	return 0;
}

/* Whether there is, or was, such a subject. */
static int is_known(struct flow *f, const struct subject *s,
		    const struct finds *finds, bool *ret_known)
{
	uint64_t parts = 0;

	TRY(evidence_parts_of(f->evidence, s->text, &parts));
	*ret_known =
		parts > 0 || json_array_size(finds->open) > 0 ||
		json_array_size(finds->changed) > 0 ||
		json_array_size(finds->dropped) > 0 ||
		inventory_find(f->inventory,
			       s->is_human ? MANIFEST_HUMAN : MANIFEST_AGENT,
			       s->name);
	return 0;
}

static void finds_clear(struct finds *finds)
{
	json_decref(finds->open);
	json_decref(finds->changed);
	json_decref(finds->dropped);
}

/* ---- who signed -----------------------------------------------------------
 */

static char *setting_id(const char *subject)
{
	return mem_format("erasure/%s", subject);
}

/* The signatures that still count; owned. */
static json_t *counting(struct flow *f, const json_t *doc)
{
	int64_t now_ms = clock_wall_ms();
	json_t *signers = json_array();
	json_t *one;
	size_t at;

	json_array_foreach(json_array_in(doc, "signers"), at, one) {
		/* One of an older version, which kept no reason, is given
		 * anew. */
		if (now_ms - json_int(one, "atMs", 0) <= SIGNATURE_LIFE_MS &&
		    json_text(one, "reason", NULL) &&
		    human_is(f, json_text(one, "human", ""), "administrators"))
			json_array_append(signers, one);
	}
	return signers;
}

/* The same with that of this statement. */
static json_t *signed_by(struct flow *f, const char *subject,
			 const struct statement *s)
{
	json_t *signers = counting(f, json_object_get(f->erasures, subject));
	json_t *row = json_object();

	for (size_t at = json_array_size(signers); at > 0; at--) {
		if (!strcmp(json_text(json_array_get(signers, at - 1), "human",
				      ""),
			    s->human))
			json_array_remove(signers, at - 1);
	}
	json_set_text(row, "human", s->human);
	json_set_text(row, "reason", json_text(s->body, "reason", ""));
	json_set_int(row, "atMs", clock_wall_ms());
	json_array_append_new(signers, row);
	return signers;
}

/* Whether all of them signed the same words. */
static bool agree(const json_t *signers)
{
	const char *reason =
		json_text(json_array_get(signers, 0), "reason", "");
	const json_t *one;
	size_t at;

	json_array_foreach(signers, at, one) {
		if (strcmp(json_text(one, "reason", ""), reason) != 0)
			return false;
	}
	return true;
}

/* It is asked of policy as a change of a human is. */
static bool policy_lets(struct flow *f, const char *human, int64_t signatures)
{
	CLEANUP(json_put_p)
	json_t *ask = ask_administer(human, "Human", false, clock_wall_ms(),
				     signatures);
	struct policy_answer policy = { 0 };
	bool allowed = policy_ask(f->linked, f->world, ask, &policy) == 0 &&
		       policy.allow;

	policy_answer_clear(&policy);
	return allowed;
}

static bool enough(struct flow *f, const json_t *signers)
{
	int64_t count = (int64_t)json_array_size(signers);
	const json_t *one;
	size_t at;

	if (is_bootstrap(f))
		return true;
	json_array_foreach(signers, at, one) {
		if (!policy_lets(f, json_text(one, "human", ""), count))
			return false;
	}
	return count >= SIGNATURES;
}

/* ---- doing it -------------------------------------------------------------
 */

struct erasing {
	struct flow *flow;
	struct reply_to reply;
	json_t *body; /* the answer */
	bool is_human;
};

/* What the log began with stands in its first leaf; the file is of no use. */
static void drop_beginning(const struct flow *f)
{
	CLEANUP(mem_free_p) char *path = NULL;

	if (!f->folder)
		return;
	path = mem_format("%s/bootstrap.json", f->folder);
	if (unlink(path) < 0 && errno != ENOENT)
		log_warning("not-erased", "file=%s why=\"%s\"", path,
			    strerror(errno));
}

static void scrubbed(struct flow *f)
{
	struct evidence_txn *t = evidence_begin(f->evidence);

	evidence_delete(t, NOUN_SETTING, scrub_id);
	evidence_commit(t, NULL, NULL);
}

static void erasing_done(void *cookie)
{
	struct erasing *e = cookie;

	if (e->is_human)
		drop_beginning(e->flow);
	scrubbed(e->flow);
	answer(e->reply, ANSWER_OK, TAKE(e->body));
	effect_settled(e->flow);
	free(e);
}

static void load_done(void *cookie)
{
	scrubbed(cookie);
}

static void mark_scrub(struct evidence_txn *t, bool is_human)
{
	CLEANUP(json_put_p) json_t *doc = json_object();

	json_set_text(doc, "id", scrub_id);
	json_set_flag(doc, "human", is_human);
	evidence_put(t, NOUN_SETTING, scrub_id, doc);
}

static void put_finds(struct evidence_txn *t, const struct finds *finds,
		      const struct leaf_ref *leaf)
{
	json_t *row;
	size_t at;

	json_array_foreach(finds->changed, at, row) {
		json_t *doc = json_object_get(row, "doc");

		json_set_new(doc, "erased", leaf_json(leaf));
		evidence_put(t, (enum noun)json_int(row, "noun", 0),
			     json_text(row, "id", ""), doc);
	}
	json_array_foreach(finds->dropped, at, row)
		evidence_delete(t, (enum noun)json_int(row, "noun", 0),
				json_text(row, "id", ""));
}

/* What lives in memory alone. */
static void forget(struct flow *f, const struct subject *s)
{
	const char *key;
	json_t *one;
	json_t *of;
	void *next;
	void *inner;

	if (!s->is_human)
		return;
	json_object_foreach_safe(f->sessions, next, key, one) {
		if (!strcmp(json_text(one, "human", ""), s->name))
			json_object_del(f->sessions, key);
	}
	json_object_foreach(f->vouchers, key, of) {
		const char *which;

		json_object_foreach_safe(of, inner, which, one) {
			if (!strcmp(json_text(one, "human", ""), s->name))
				json_object_del(of, which);
		}
	}
}

/* Erasures of others that have lapsed, and those whose words name it. */
static void drop_others(struct flow *f, struct evidence_txn *t,
			const struct subject *s)
{
	const char *subject;
	json_t *doc;
	void *next;

	json_object_foreach_safe(f->erasures, next, subject, doc) {
		CLEANUP(json_put_p) json_t *signers = counting(f, doc);
		CLEANUP(mem_free_p) char *setting = setting_id(subject);

		if (json_array_size(signers) && !value_names(doc, s->name))
			continue;
		evidence_delete(t, NOUN_SETTING, setting);
		json_object_del(f->erasures, subject);
	}
}

static json_t *signer_names(const json_t *signers)
{
	json_t *names = json_array();
	const json_t *one;
	size_t at;

	json_array_foreach(signers, at, one)
		json_array_append(names, json_object_get(one, "human"));
	return names;
}

static json_t *erasure_view(const char *subject, const char *state,
			    const json_t *signers, const struct leaf_ref *leaf)
{
	json_t *view = json_object();

	json_set_text(view, "subject", subject);
	json_set_text(view, "state", state);
	json_set_new(view, "signers", signer_names(signers));
	json_set_new(view, "evidence", leaf_json(leaf));
	return view;
}

/* One leaf for each signature; it names nobody. */
static void erasure_leaf(struct evidence_txn *t, const struct statement *s,
			 const json_t *signers, bool is_done, uint64_t parts,
			 struct leaf_ref *ret_leaf)
{
	CLEANUP(mem_free_p) char *by = mem_format("human:%s", s->human);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	struct evidence_part part = { by, kept };
	json_t *fields = json_object();

	json_set_int(fields, "signatures", (int64_t)json_array_size(signers));
	json_set_flag(fields, "erased", is_done);
	if (is_done)
		json_set_int(fields, "parts", (int64_t)parts);
	must(evidence_leaf(t, LEAF_ERASED, NULL, fields, &part, 1, ret_leaf),
	     "the leaf of an erasure");
}

static void erase_now(struct flow *f, const struct subject *subject,
		      const struct finds *finds, const struct statement *s,
		      const json_t *signers, struct reply_to reply)
{
	CLEANUP(mem_free_p) char *setting = setting_id(subject->text);
	const struct evidence_subject gone = {
		.subject = subject->text,
		/* Keys of calls are of agents alone. */
		.caller = subject->is_human ? NULL : subject->name,
		.human = subject->is_human ? subject->name : NULL,
	};
	struct erasing *e = mem_new(struct erasing);
	struct evidence_txn *t;
	struct leaf_ref leaf;
	uint64_t parts = 0;

	must(evidence_parts_of(f->evidence, subject->text, &parts),
	     "counting payload parts");
	t = evidence_begin(f->evidence);
	erasure_leaf(t, s, signers, true, parts, &leaf);
	signed_put(f, t, s);
	put_finds(t, finds, &leaf);
	evidence_delete(t, NOUN_SETTING, setting);
	json_object_del(f->erasures, subject->text);
	drop_others(f, t, subject);
	mark_scrub(t, subject->is_human);
	evidence_erase(t, &gone);
	forget(f, subject);
	e->flow = f;
	e->reply = reply;
	e->is_human = subject->is_human;
	e->body = erasure_view(subject->text, erased, signers, &leaf);
	json_set_int(e->body, "parts", (int64_t)parts);
	json_set_int(e->body, "documents",
		     (int64_t)(json_array_size(finds->changed) +
			       json_array_size(finds->dropped)));
	f->in_flight++;
	evidence_commit(t, erasing_done, e);
}

static void keep_signature(struct flow *f, const struct subject *subject,
			   const struct statement *s, const json_t *signers,
			   struct reply_to reply)
{
	CLEANUP(mem_free_p) char *setting = setting_id(subject->text);
	struct evidence_txn *t = evidence_begin(f->evidence);
	json_t *doc = json_object();
	struct leaf_ref leaf;

	erasure_leaf(t, s, signers, false, 0, &leaf);
	signed_put(f, t, s);
	json_set_text(doc, "id", setting);
	json_set_text(doc, "subject", subject->text);
	json_object_set(doc, "signers", (json_t *)(uintptr_t)signers);
	evidence_put(t, NOUN_SETTING, setting, doc);
	json_set_new(f->erasures, subject->text, doc);
	commit_answer(f, t, reply, ANSWER_WAITING,
		      erasure_view(subject->text, "waiting", signers, &leaf));
}

static void refuse_open(const struct finds *finds, struct reply_to reply)
{
	json_t *body = json_object();
	struct answer a = {
		.kind = ANSWER_CONFLICT,
		.code = "still-open",
		.detail = "Something open still needs what is kept of it; end "
			  "what is listed first.",
		.body = body,
	};

	json_object_set(body, "open", finds->open);
	reply.fn(reply.cookie, &a);
	json_decref(body);
}

static void sign(struct flow *f, const struct subject *subject,
		 const struct statement *s, struct reply_to reply)
{
	CLEANUP(json_put_p)
	json_t *signers = signed_by(f, subject->text, s);
	CLEANUP(finds_clear) struct finds finds = { 0 };
	bool known = false;

	if (find_all(f, subject, &finds) < 0 ||
	    is_known(f, subject, &finds, &known) < 0)
		answer_problem(reply, ANSWER_UNAVAILABLE, "unavailable",
			       "The database could not be read.");
	else if (!known)
		answer_problem(reply, ANSWER_NOT_FOUND, "unknown-subject",
			       "Nothing is kept of '%s': there was never such "
			       "a subject, or it is erased.",
			       subject->text);
	else if (!agree(signers))
		answer_problem(
			reply, ANSWER_CONFLICT, "another-reason",
			"The erasure that waits was signed with another "
			"reason; sign the same words, or come again when "
			"the hour of the first signature is over.");
	else if (json_array_size(finds.open) > 0)
		refuse_open(&finds, reply);
	else if (enough(f, signers))
		erase_now(f, subject, &finds, s, signers, reply);
	else
		keep_signature(f, subject, s, signers, reply);
}

void flow_erase(struct flow *f, const char *text, const json_t *signed_form,
		struct reply_to reply)
{
	struct subject subject;
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_ERASE, reply, &s))
		return;
	if (strcmp(json_text(s.body, "subject", ""), text ? text : "") != 0 ||
	    !read_subject(text, &subject))
		answer_problem(
			reply, ANSWER_NOT_FOUND, "no-such-subject",
			"A subject is human:NAME or agent:NAME, the same "
			"as was signed.");
	else if (!human_is(f, s.human, "administrators"))
		answer_problem(reply, ANSWER_DENIED, "may-not-erase",
			       "Only administrators erase.");
	else
		sign(f, &subject, &s, reply);
	statement_clear(&s);
}

/* ---- what waits -----------------------------------------------------------
 */

/* An erasure that waits for a signature; NULL if none of its signatures counts
 * any more.  Owned. */
static json_t *waiting_row(struct flow *f, const char *subject,
			   const json_t *doc)
{
	CLEANUP(json_put_p) json_t *signers = counting(f, doc);
	const json_t *first = json_array_get(signers, 0);
	json_t *row;

	if (!first)
		return NULL;
	row = json_object();
	json_set_text(row, "subject", subject);
	json_set_text(row, "state", "waiting");
	json_set_text(row, "reason", json_text(first, "reason", ""));
	json_set_new(row, "signers", signer_names(signers));
	json_set_int(row, "needs", SIGNATURES);
	json_set_time(row, "expires",
		      json_int(first, "atMs", 0) + SIGNATURE_LIFE_MS);
	return row;
}

void flow_erasures(struct flow *f, const struct caller *caller,
		   struct reply_to reply)
{
	json_t *rows = json_array();
	json_t *body = json_object();
	const char *subject;
	json_t *doc;

	json_set_new(body, "erasures", rows);
	if (!human_is(f, caller->name, "administrators") &&
	    !human_is(f, caller->name, "auditors")) {
		json_decref(body);
		answer_problem(reply, ANSWER_DENIED, "may-not-read",
			       "Administrators and auditors see erasures.");
		return;
	}
	json_object_foreach(f->erasures, subject, doc) {
		json_t *row = waiting_row(f, subject, doc);

		if (row)
			json_array_append_new(rows, row);
	}
	answer(reply, ANSWER_OK, body);
}

/* ---- loading --------------------------------------------------------------
 */

void erasure_load(struct flow *f, json_t *doc)
{
	const char *id = json_text(doc, "id", "");
	struct evidence_txn *t;

	if (!strncmp(id, "erasure/", 8))
		json_object_set(f->erasures, json_text(doc, "subject", ""),
				doc);
	if (strcmp(id, scrub_id) != 0)
		return;
	/* A stop came between an erasure and the rewriting of the files. */
	if (json_flag(doc, "human", true))
		drop_beginning(f);
	t = evidence_begin(f->evidence);
	evidence_scrub(t);
	evidence_commit(t, load_done, f);
}
