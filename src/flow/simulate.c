/*
 * Past decisions made again: with another bundle, or to see that the one that
 * decided says the same once more.
 *
 * A decision's leaf keeps, sealed, the ask that was decided and what it does
 * not say itself.  What stands in the inventory is not kept with it: its digest
 * is, so that it can be told where the inventory is another one by now.
 *
 * Leaves are read a few at a time, and payloads one at a time, each in a turn
 * of the loop of its own.
 */
#include "base/error.h"
#include "base/mem.h"
#include "flow/state.h"
#include "govern/cited.h"

enum {
	SCAN_STEP = 128,       /* leaves looked at in one turn */
	SCAN_MAX = 200 * 1000, /* leaves looked at for one call */
	FACTS_PART = 1,	       /* of a decision's leaf */
};

struct replaying {
	struct flow *flow;
	struct reply_to reply;
	struct policy_bundle *bundle;
	struct policy_world *world;
	struct loop_timer *timer; /* the next turn; NULL while one is opened */
	uint64_t next;		  /* leaf to look at */
	uint64_t end;		  /* after the last one */
	unsigned left;		  /* decisions that may still be looked at */
	unsigned scanned;
	bool one;      /* a request's last decision is all that is asked for */
	json_t *queue; /* decisions that were found: {"index", "leaf"} */
	json_t *body;
	json_t *changed;
	json_t *missed;
	int64_t decisions;
	int64_t unchanged;
	int64_t moved;			    /* decided on another inventory */
	char world_digest[DIGEST_TEXT_LEN]; /* of the one that is asked now */
};

/* ---- what is kept ---- */

void replay_note_world(struct flow *f, const json_t *entities)
{
	CLEANUP(json_put_p) json_t *sorted = json_object();
	CLEANUP(mem_free_p) char *text = NULL;
	struct digest digest;
	json_t *entity;
	size_t at;

	/* The order of manifests is not the same after a restart. */
	json_array_foreach(entities, at, entity) {
		const json_t *uid = json_object_get(entity, "uid");
		CLEANUP(mem_free_p)
		char *name = mem_format("%s::%s", json_text(uid, "type", ""),
					json_text(uid, "id", ""));

		json_object_set(sorted, name, entity);
	}
	text = json_canonical(sorted);
	digest = digest_of(slice_str(text));
	digest_format(&digest, f->world_digest);
}

json_t *replay_facts(const struct flow *f, const struct decided *d)
{
	json_t *requires = json_object_get(d->decision, "requires");
	json_t *approvals = json_object_get(requires, "approvals");
	json_t *facts = json_copy(d->facts);

	if (!json_object_get(facts, "context"))
		return facts;
	json_set_text(facts, "inventory", f->world_digest);
	if (d->lacks)
		json_object_set(facts, "lacks", d->lacks);
	if (approvals)
		json_object_set(facts, "approvals", approvals);
	return facts;
}

/* ---- one decision ---- */

/* Why a decision cannot be made again, or NULL. */
static const char *leaf_fault(const json_t *leaf)
{
	const char *action = json_text(leaf, "action", "");

	if (!strcmp(action, "OpenTask"))
		return "a task that was refused, not a request";
	if (!strcmp(action, "Delegate"))
		return "a delegation, not a request";
	if (!strcmp(action, "Approve"))
		return "a signature that was not taken, not a request";
	return NULL;
}

static const char *facts_fault(const json_t *leaf, const json_t *facts)
{
	const json_t *id;
	size_t at;

	if (!json_object_get(facts, "context"))
		return "it was not decided on facts";
	if (!json_text(facts, "inventory", NULL))
		return "its facts were kept before they could be replayed";
	if (cited_is_cut(leaf, "policies"))
		return "more policies decided it than its leaf lists";
	json_array_foreach(json_object_get(leaf, "policies"), at, id) {
		if (!strncmp(json_string_value(id), "ctn_", 4))
			return "a containment decided it";
	}
	return NULL;
}

static bool same_names(const json_t *left, const json_t *right)
{
	const json_t *name;
	size_t at;

	if (json_array_size(left) != json_array_size(right))
		return false;
	json_array_foreach(left, at, name) {
		if (!json_has_text(right, json_string_value(name)))
			return false;
	}
	return true;
}

/* Whether people would be asked, and others than were. */
static bool asks_others(const json_t *facts, const json_t *now)
{
	const json_t *then = json_object_get(facts, "approvals");
	const json_t *asked =
		json_object_get(json_object_get(now, "requires"), "approvals");

	return !strcmp(json_text(now, "route", ""), "approval") &&
	       !json_equal(then, asked);
}

/* Whether it comes to something else than it did: another route, other people
 * who are asked, less time. */
static bool differs(const json_t *facts, const json_t *now, const char *was)
{
	const char *route = json_text(now, "route", "");

	if (strcmp(route, was) != 0)
		return true;
	return strcmp(route, "deny") != 0 &&
	       (asks_others(facts, now) || json_object_get(now, "ttl"));
}

/* What the class demanded in vain no bundle makes good. */
static void add_lacks(json_t *now, const json_t *lacks)
{
	if (!lacks || !strcmp(json_text(now, "route", ""), "deny"))
		return;
	json_set_text(now, "route", "deny");
	json_set_text(now, "decision", "deny");
	json_set_text(now, "cause", "evidence");
}

/* What only reads nobody can sign. */
static void deny_unsignable(json_t *now, const json_t *facts)
{
	const struct action *action =
		action_find(json_text(facts, "action", NULL));

	if (!action || !action->reads ||
	    strcmp(json_text(now, "route", ""), "approval") != 0)
		return;
	json_set_text(now, "route", "deny");
	json_set_text(now, "decision", "deny");
	json_set_text(now, "cause", "policy");
}

static json_t *then_of(const json_t *leaf)
{
	static const char *const members[] = { "route", "policies", "cause",
					       "bundle" };
	json_t *then = json_object();

	json_pick(then, leaf, members, ARRAY_LEN(members));
	return then;
}

static json_t *row_of(uint64_t index, const json_t *leaf)
{
	static const char *const members[] = { "action", "mode", "task", "at" };
	json_t *row = json_object();

	json_set_int(row, "index", (int64_t)index);
	json_set_text(row, "request", json_text(leaf, "about", NULL));
	json_pick(row, leaf, members, ARRAY_LEN(members));
	json_set_new(row, "was", then_of(leaf));
	return row;
}

/* The decision made again; ret_changed: it would come to something else. */
static json_t *replay(struct replaying *p, uint64_t index, const json_t *leaf,
		      const json_t *facts, bool *ret_changed)
{
	static const char *const members[] = { "principal", "action",
					       "resource", "context",
					       "entities" };
	CLEANUP(json_put_p) json_t *ask = json_object();
	struct policy_people people = { decide_members, p->flow };
	json_t *row = row_of(index, leaf);
	json_t *now = NULL;
	int r;

	json_pick(ask, facts, members, ARRAY_LEN(members));
	r = policy_replay(p->bundle, p->world, ask, leaf, &people, &now);
	if (r < 0)
		json_set_text(now, "why", error_message());
	add_lacks(now, json_object_get(facts, "lacks"));
	deny_unsignable(now, facts);
	*ret_changed = differs(facts, now, json_text(leaf, "route", "deny"));
	json_object_del(now, "was");
	json_object_del(now, "changed");
	json_set_new(row, "now", now);
	if (strcmp(json_text(facts, "inventory", ""), p->world_digest)) {
		json_set_flag(row, "inventoryChanged", true);
		p->moved++;
	}
	return row;
}

/* ---- the end ---- */

static void free_replaying(struct replaying *p)
{
	loop_timer_end(p->timer);
	policy_world_unref(p->world);
	policy_bundle_unref(p->bundle);
	json_decref(p->queue);
	json_decref(p->body);
	json_decref(p->changed);
	json_decref(p->missed);
	free(p);
}

void replaying_free(struct flow *f)
{
	if (f->replaying)
		free_replaying(TAKE(f->replaying));
}

/* After the answer. */
static void end(struct replaying *p)
{
	struct flow *f = p->flow;

	f->replaying = NULL;
	free_replaying(p);
	effect_settled(f);
}

static void finish(struct replaying *p)
{
	json_t *body = TAKE(p->body);

	json_set_int(body, "decisions", p->decisions);
	json_set_int(body, "unchanged", p->unchanged);
	json_set_int(body, "inventoryChanged", p->moved);
	json_object_set(body, "changed", p->changed);
	json_object_set(body, "notReplayed", p->missed);
	if (p->next < p->end)
		json_set_int(body, "next", (int64_t)p->next);
	answer(p->reply, ANSWER_OK, body);
	end(p);
}

static void finish_one(struct replaying *p, json_t *owned_row, bool changed)
{
	const json_t *was = json_object_get(owned_row, "was");
	const json_t *now = json_object_get(owned_row, "now");
	bool same = !changed && same_names(json_object_get(was, "policies"),
					   json_object_get(now, "policies"));

	json_set_flag(owned_row, "same", same);
	answer(p->reply, ANSWER_OK, owned_row);
	end(p);
}

/* ---- turn by turn ---- */

static void turn(void *cookie);

static void turn_again(struct replaying *p)
{
	p->timer = loop_timer(p->flow->loop, 0, turn, p);
}

/* As much as is needed to find out what it was. */
static void miss(struct replaying *p, uint64_t index, const json_t *leaf,
		 const char *why)
{
	json_t *row = json_object();

	json_set_int(row, "index", (int64_t)index);
	json_set_text(row, "request", json_text(leaf, "about", NULL));
	json_set_text(row, "why", why);
	json_array_append_new(p->missed, row);
}

static void take(struct replaying *p, uint64_t index, const json_t *leaf,
		 const json_t *facts)
{
	bool changed;
	json_t *row = replay(p, index, leaf, facts, &changed);

	if (p->one) {
		finish_one(p, row, changed);
		return;
	}
	if (changed)
		json_array_append(p->changed, row);
	else
		p->unchanged++;
	json_decref(row);
	turn_again(p);
}

static void take_none(struct replaying *p, uint64_t index, const json_t *leaf,
		      const char *why)
{
	if (p->one) {
		answer_problem(p->reply, ANSWER_CONFLICT, "not-replayed",
			       "The decision cannot be made again: %s.", why);
		end(p);
		return;
	}
	miss(p, index, leaf, why);
	turn_again(p);
}

static void opened(void *cookie, json_t *payload, const char *why)
{
	struct replaying *p = cookie;
	CLEANUP(json_put_p)
	json_t *item = json_incref(json_array_get(p->queue, 0));
	const json_t *leaf = json_object_get(item, "leaf");
	const json_t *facts = json_object_get(payload, "payload");
	uint64_t index = (uint64_t)json_int(item, "index", 0);

	discard(json_array_remove(p->queue, 0));
	if (payload)
		why = facts_fault(leaf, facts);
	if (why)
		take_none(p, index, leaf, why);
	else
		take(p, index, leaf, facts);
	json_decref(payload);
}

/* The first of the queue. */
static void open_next(struct replaying *p)
{
	const json_t *item = json_array_get(p->queue, 0);
	uint64_t index = (uint64_t)json_int(item, "index", 0);

	p->decisions++;
	evidence_disclose(p->flow->evidence, index, FACTS_PART, opened, p);
}

static void found_decision(struct replaying *p, uint64_t index, json_t *leaf)
{
	const char *fault = leaf_fault(leaf);
	json_t *item;

	if (fault) {
		p->decisions++;
		miss(p, index, leaf, fault);
		return;
	}
	item = json_object();
	json_set_int(item, "index", (int64_t)index);
	json_object_set(item, "leaf", leaf);
	json_array_append_new(p->queue, item);
}

static int scanned(void *cookie, uint64_t index,
		   const struct digest *hash UNUSED, struct slice text)
{
	struct replaying *p = cookie;
	CLEANUP(json_put_p) json_t *leaf = NULL;

	if (p->left == 0)
		return ERR_LIMIT;
	p->next = index + 1;
	p->scanned++;
	if (json_parse(text, EVIDENCE_LEAF_MAX, &leaf) < 0 ||
	    strcmp(json_text(leaf, "kind", ""),
		   leaf_kind_name(LEAF_DECISION)) != 0)
		return 0;
	p->left--;
	found_decision(p, index, leaf);
	return 0;
}

/* Looks at the next leaves; false if there is nothing more to look at. */
static bool scan(struct replaying *p)
{
	uint64_t first = p->next;
	uint64_t last = p->end - first > SCAN_STEP ? first + SCAN_STEP : p->end;

	if (first >= p->end || p->left == 0 || p->scanned >= SCAN_MAX)
		return false;
	discard(store_leaf_each(evidence_reader(p->flow->evidence), first, last,
				scanned, p));
	return p->next > first;
}

static void turn(void *cookie)
{
	struct replaying *p = cookie;

	p->timer = NULL;
	if (p->flow->closing) {
		answer_closing(p->reply);
		end(p);
	} else if (json_array_size(p->queue)) {
		open_next(p);
	} else if (scan(p)) {
		turn_again(p);
	} else {
		finish(p);
	}
}

/* ---- beginning ---- */

static bool may_replay(const struct flow *f, const struct caller *caller,
		       struct reply_to reply)
{
	if (caller->kind != CALLER_HUMAN ||
	    (!human_is(f, caller->name, "administrators") &&
	     !human_is(f, caller->name, "auditors"))) {
		answer_problem(reply, ANSWER_DENIED, "may-not-replay",
			       "Only administrators and auditors have past "
			       "decisions made again: their facts are read.");
		return false;
	}
	if (f->replaying) {
		answer_problem(reply, ANSWER_BUSY, "busy",
			       "Decisions are made again for somebody else "
			       "just now; try again.");
		return false;
	}
	return true;
}

/* Puts the inventory into the bundle's words; answers why that cannot be. */
static bool build_world(struct replaying *p)
{
	CLEANUP(json_put_p)
	json_t *entities = inventory_entities(p->flow->inventory);

	if (policy_world_build(p->bundle, entities, &p->world) == 0)
		return true;
	answer_problem(p->reply, ANSWER_CONFLICT, "bundle",
		       "The inventory does not fit its schema: %s",
		       error_message());
	return false;
}

/* Builds bundle and world; answers why not. */
static bool build_for(struct replaying *p, const json_t *spec)
{
	if (!spec) {
		answer_problem(p->reply, ANSWER_CONFLICT, "bundle",
			       "No bundle of this name is staged.");
		return false;
	}
	if (policy_build(spec, &p->bundle) < 0) {
		answer_problem(p->reply, ANSWER_CONFLICT, "bundle", "%s",
			       error_message());
		return false;
	}
	return build_world(p);
}

static struct replaying *replaying_new(struct flow *f, struct reply_to reply)
{
	struct replaying *p = mem_new(struct replaying);

	p->flow = f;
	p->reply = reply;
	snprintf(p->world_digest, sizeof(p->world_digest), "%s",
		 f->world_digest);
	p->queue = json_array();
	p->body = json_object();
	p->changed = json_array();
	p->missed = json_array();
	return p;
}

/* The leaf that says that facts are read; ownership of fields is taken. */
static int disclosure_leaf(struct evidence_txn *t, const char *human,
			   const char *purpose, json_t *fields,
			   struct leaf_ref *ret_leaf)
{
	CLEANUP(mem_free_p) char *subject = mem_format("human:%s", human);
	CLEANUP(json_put_p) json_t *who = json_object();
	struct evidence_part part = { subject, who };

	json_set_text(who, "human", human);
	json_set_text(who, "purpose", purpose);
	json_set_text(fields, "purpose", purpose);
	return evidence_leaf(t, LEAF_DISCLOSED, NULL, fields, &part, 1,
			     ret_leaf);
}

static void recorded(void *cookie)
{
	turn_again(cookie);
}

/* Records what is read, then begins; p is freed if it cannot be recorded. */
static void begin(struct replaying *p, const char *human, const char *purpose,
		  json_t *fields)
{
	struct flow *f = p->flow;
	struct evidence_txn *t = evidence_begin(f->evidence);
	struct leaf_ref leaf;
	int r = disclosure_leaf(t, human, purpose, fields, &leaf);

	if (r < 0) {
		evidence_abandon(t);
		proposal_refused(p->reply, r);
		free_replaying(p);
		return;
	}
	json_set_new(p->body, "evidence", leaf_json(&leaf));
	f->replaying = p;
	f->in_flight++;
	evidence_commit(t, recorded, p);
}

/* The leaves that are looked at, as the call says. */
static void set_range(struct replaying *p, const json_t *body)
{
	int64_t size = (int64_t)evidence_durable_size(p->flow->evidence);
	int64_t to = json_int(body, "to", size);
	int64_t from = json_int(body, "from", 0);

	p->end = (uint64_t)(to < size ? to : size);
	p->next = (uint64_t)(from < (int64_t)p->end ? from : (int64_t)p->end);
	p->left = (unsigned)json_int(body, "limit", SIMULATE_MAX);
	json_set_int(p->body, "from", (int64_t)p->next);
	json_set_int(p->body, "to", (int64_t)p->end);
}

void flow_simulate(struct flow *f, const struct caller *caller,
		   const json_t *body, struct reply_to reply)
{
	const char *name = json_text(body, "bundle", NULL);
	const json_t *spec = name ? inventory_spec(f->inventory,
						   MANIFEST_POLICY_BUNDLE, name)
				  : json_object_get(body, "files");
	char digest[DIGEST_TEXT_LEN];
	struct replaying *p;
	json_t *fields;

	if (!may_replay(f, caller, reply))
		return;
	p = replaying_new(f, reply);
	if (!build_for(p, spec)) {
		free_replaying(p);
		return;
	}
	digest_format(policy_bundle_digest(p->bundle), digest);
	json_set_text(p->body, "bundle", digest);
	set_range(p, body);
	fields = json_object();
	json_set_int(fields, "from", (int64_t)p->next);
	json_set_int(fields, "to", (int64_t)p->end);
	json_set_text(fields, "bundle", digest);
	begin(p, caller->name, "simulate", fields);
}

/* ---- one request ---- */

/* The bundle with this digest, if it decides or is staged; owned or NULL. */
static struct policy_bundle *bundle_by(struct flow *f, const char *digest)
{
	struct policy_bundle *b = NULL;
	const char *id;
	json_t *manifest;

	if (!strcmp(digest, f->bundle_digest))
		return policy_bundle_ref(f->bundle);
	json_object_foreach(
		(json_t *)(uintptr_t)inventory_manifests(f->inventory), id,
		manifest) {
		const json_t *spec = json_object_get(manifest, "spec");
		char text[DIGEST_TEXT_LEN];

		if (strcmp(json_text(manifest, "kind", ""), "PolicyBundle"))
			continue;
		policy_spec_digest(spec, text);
		if (!strcmp(text, digest) && policy_build(spec, &b) == 0)
			return b;
	}
	return NULL;
}

/* The bundle that decided, with today's world; answers why not. */
static bool build_as_decided(struct replaying *p, const char *digest)
{
	struct flow *f = p->flow;

	p->bundle = bundle_by(f, digest);
	if (p->bundle == f->bundle) {
		p->world = policy_world_ref(f->world);
		return true;
	}
	if (!p->bundle) {
		answer_problem(p->reply, ANSWER_CONFLICT, "not-replayed",
			       "The bundle that decided, %s, is neither active "
			       "nor staged any more.",
			       digest);
		return false;
	}
	return build_world(p);
}

/* Index of the leaf of a request's last decision; answers if there is none. */
static bool find_decision(struct flow *f, const char *request,
			  struct reply_to reply, uint64_t *ret_index)
{
	CLEANUP(json_put_p) json_t *doc = NULL;
	const json_t *leaf;
	int64_t index;

	if (store_get(evidence_reader(f->evidence), NOUN_REQUEST, request, &doc,
		      NULL) < 0) {
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-request",
			       "There is no such request.");
		return false;
	}
	leaf = json_object_get(json_object_get(doc, "evidence"), "decision");
	index = json_int(leaf, "index", -1);
	if (index < 0) {
		answer_problem(reply, ANSWER_CONFLICT, "not-replayed",
			       "The request has not been decided.");
		return false;
	}
	*ret_index = (uint64_t)index;
	return true;
}

static json_t *leaf_at(struct flow *f, uint64_t index)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(EVIDENCE_LEAF_MAX);
	json_t *leaf = NULL;

	if (store_leaf_get(evidence_reader(f->evidence), index, &b, NULL) < 0 ||
	    json_parse(buf_slice(&b), EVIDENCE_LEAF_MAX, &leaf) < 0)
		return NULL;
	return leaf;
}

void flow_request_replay(struct flow *f, const struct caller *caller,
			 const char *request, struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *leaf = NULL;
	struct replaying *p;
	json_t *fields;
	uint64_t index;

	if (!may_replay(f, caller, reply) ||
	    !find_decision(f, request, reply, &index))
		return;
	leaf = leaf_at(f, index);
	p = replaying_new(f, reply);
	p->one = true;
	if (!build_as_decided(p, json_text(leaf, "bundle", "?"))) {
		free_replaying(p);
		return;
	}
	found_decision(p, index, leaf);
	fields = json_object();
	json_set_int(fields, "leaf", (int64_t)index);
	json_set_int(fields, "part", FACTS_PART);
	begin(p, caller->name, "replay", fields);
}
