/*
 * Changes of the inventory: looked at, signed, applied as one leaf.  And the
 * first ones of all, which begin the log.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/point.h"
#include "flow/state.h"
#include "net/transfer.h"

enum {
	MANIFESTS_MAX = 1024,	 /* in one change */
	CHANGE_MAX = 768 * 1024, /* bytes of them: what a leaf's part holds */
};

json_t *change_view(const json_t *doc)
{
	static const char *const members[] = {
		"id",	      "digest", "diff",	 "manifests",
		"signatures", "needs",	"state", "created",
		"expires",    "bundle", "base",	 "evidence",
		"erased",     "prune",	"ends",	 "leaving",
	};
	json_t *view = json_object();

	json_pick(view, doc, members, ARRAY_LEN(members));
	return view;
}

/* ---- what a change would do ---- */

/* A manifest given twice has no order that could be signed. */
static void check_twice(const json_t *manifest, size_t at, json_t *seen,
			json_t *faults)
{
	CLEANUP(mem_free_p) char *id = manifest_id(manifest);
	CLEANUP(mem_free_p) char *place = mem_format("/manifests/%zu", at);
	CLEANUP(mem_free_p) char *detail = mem_format("%s is given twice", id);
	json_t *fault;

	if (!json_object_get(seen, id)) {
		json_set_flag(seen, id, true);
		return;
	}
	fault = json_object();
	json_set_text(fault, "at", place);
	json_set_text(fault, "detail", detail);
	json_array_append_new(faults, fault);
}

static void add_fault(json_t *faults, char *owned_at, const char *detail)
{
	json_t *fault = json_object();

	json_set_text(fault, "at", owned_at);
	json_set_text(fault, "detail", detail);
	json_array_append_new(faults, fault);
	free(owned_at);
}

/* What a shape does not show: an agent's IDs, and the zone of a human, which
 * this machine must know. */
static void check_words(const json_t *manifest, json_t *faults)
{
	const json_t *spec = json_object_get(manifest, "spec");
	const char *zone = json_text(spec, "timezone", NULL);
	struct spiffe_id parsed;
	const json_t *id;
	int weekday;
	int hour;
	size_t at;

	if (zone && clock_local(0, zone, &weekday, &hour) < 0)
		add_fault(faults, mem_str("/spec/timezone"),
			  "this machine knows no such zone");
	json_array_foreach(json_object_get(spec, "identities"), at, id) {
		if (spiffe_id_parse(json_string_value(id), &parsed) < 0 ||
		    !strchr(parsed.text + strlen("spiffe://"), '/'))
			add_fault(faults,
				  mem_format("/spec/identities/%zu", at),
				  "must be a SPIFFE ID with a path");
	}
}

/* What could never be fetched is refused now, not when it is needed. */
static void check_urls(const struct flow *f, const json_t *manifest,
		       json_t *faults)
{
	static const struct {
		const char *outer;
		const char *member;
	} places[] = { { "endpoint", "url" },
		       { "oidc", "issuer" },
		       { "oidc", "jwksUri" } };
	const struct reach *reach =
		f->transfers ? transfers_reach(f->transfers) : NULL;
	const json_t *spec = json_object_get(manifest, "spec");

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const json_t *outer = json_object_in(spec, places[i].outer);
		const char *url = json_text(outer, places[i].member, NULL);

		if (url && !strncmp(url, "http://", 7) &&
		    transfer_check_reach(reach, url) < 0)
			add_fault(faults,
				  mem_format("/spec/%s/%s", places[i].outer,
					     places[i].member),
				  error_message());
	}
}

/* Faults of the shapes, each named by its manifest. */
static json_t *shape_faults(const struct flow *f, const json_t *manifests)
{
	CLEANUP(json_put_p) json_t *seen = json_object();
	json_t *all = json_array();
	const json_t *manifest;
	size_t at;

	json_array_foreach(manifests, at, manifest) {
		CLEANUP(json_put_p) json_t *faults = NULL;
		json_t *fault;
		size_t i;

		manifest_check(manifest, NULL, &faults);
		if (json_array_size(faults) == 0) {
			check_words(manifest, faults);
			check_urls(f, manifest, faults);
		}
		json_array_foreach(faults, i, fault) {
			CLEANUP(mem_free_p)
			char *place = mem_format("/manifests/%zu%s", at,
						 json_text(fault, "at", ""));

			json_set_text(fault, "at", place);
			json_array_append(all, fault);
		}
		check_twice(manifest, at, seen, all);
	}
	return all;
}

/* The inventory's manifests with those of the change in place. */
static json_t *merged(const struct inventory *inv, const json_t *manifests)
{
	json_t *all = json_copy((json_t *)(uintptr_t)inventory_manifests(inv));

	manifests_put(all, manifests);
	return all;
}

json_t *change_row(const struct inventory *inv, const json_t *manifest)
{
	CLEANUP(mem_free_p) char *id = manifest_id(manifest);
	const json_t *old = json_object_get(inventory_manifests(inv), id);
	json_t *row = json_object();
	const char *op = !old			     ? "create"
			 : json_equal(old, manifest) ? "unchanged"
						     : "update";

	json_set_text(row, "op", op);
	json_set_text(row, "kind", json_text(manifest, "kind", ""));
	json_set_text(
		row, "name",
		json_text(json_object_in(manifest, "metadata"), "name", ""));
	json_set_new(row, "changes", manifest_diff(old, manifest));
	return row;
}

static json_t *diff_of(const struct flow *f, const json_t *manifests,
		       bool prune)
{
	json_t *diff = json_array();
	const json_t *manifest;
	size_t at;

	if (prune) {
		prune_describe(f, manifests, diff);
		return diff;
	}
	json_array_foreach(manifests, at, manifest)
		json_array_append_new(diff, change_row(f->inventory, manifest));
	return diff;
}

/* The digest of what the inventory has in the places of a change. */
static void base_of(const struct inventory *inv, const json_t *manifests,
		    char ret_text[DIGEST_TEXT_LEN])
{
	CLEANUP(json_put_p) json_t *replaced = json_array();
	const json_t *manifest;
	struct digest digest;
	size_t at;

	json_array_foreach(manifests, at, manifest) {
		CLEANUP(mem_free_p) char *id = manifest_id(manifest);
		json_t *old = json_object_get(inventory_manifests(inv), id);

		if (old)
			json_array_append(replaced, old);
	}
	digest = manifest_set_digest(replaced, false, NULL);
	digest_format(&digest, ret_text);
}

static bool has_changes(const json_t *diff)
{
	const json_t *row;
	size_t at;

	json_array_foreach(diff, at, row) {
		if (strcmp(json_text(row, "op", ""), "unchanged") != 0)
			return true;
	}
	return false;
}

bool is_bootstrap(const struct flow *f)
{
	return !f->bootstrap_over;
}

static bool policy_lets(struct flow *f, const char *human, const char *kind,
			int64_t signatures)
{
	CLEANUP(json_put_p)
	json_t *ask =
		ask_administer(human, kind, false, clock_wall_ms(), signatures);
	struct policy_answer policy = { 0 };
	bool allowed = policy_ask(f->linked, f->world, ask, &policy) == 0 &&
		       policy.allow;

	policy_answer_clear(&policy);
	return allowed;
}

/* Whether these signers are enough for every kind that really changes. */
static bool enough(struct flow *f, const json_t *diff, const json_t *signers)
{
	const json_t *row;
	const json_t *signer;
	size_t at;
	size_t i;

	json_array_foreach(diff, at, row) {
		if (!strcmp(json_text(row, "op", ""), "unchanged"))
			continue;
		json_array_foreach(signers, i, signer) {
			if (!policy_lets(f, json_string_value(signer),
					 json_text(row, "kind", ""),
					 (int64_t)json_array_size(signers)))
				return false;
		}
	}
	return json_array_size(signers) > 0;
}

static int64_t needs_of(struct flow *f, const json_t *diff)
{
	const json_t *row;
	size_t at;

	if (is_bootstrap(f))
		return 1;
	json_array_foreach(diff, at, row) {
		const char *kind = json_text(row, "kind", "");

		if (strcmp(json_text(row, "op", ""), "unchanged") != 0 &&
		    strcmp(kind, "Agent") != 0 &&
		    strcmp(kind, "TaskClass") != 0)
			return 2;
	}
	return 1;
}

static void answer_faults(struct reply_to reply, json_t *owned_faults)
{
	json_t *body = json_object();
	struct answer a = {
		.kind = ANSWER_INVALID,
		.code = "manifests",
		.detail = "The manifests are not right; nothing was changed.",
		.body = body,
	};

	json_set_new(body, "errors", owned_faults);
	reply.fn(reply.cookie, &a);
	json_decref(body);
}

static bool is_larger(const json_t *value, size_t max)
{
	CLEANUP(mem_free_p) char *text = json_canonical(value);

	return strlen(text) > max;
}

/* What the schema of the active policy says of an inventory; NULL if it fits,
 * else owned faults. */
static json_t *schema_faults(const struct flow *f, const struct inventory *inv)
{
	CLEANUP(policy_world_unref_p) struct policy_world *world = NULL;
	CLEANUP(json_put_p) json_t *entities = inventory_entities(inv);
	CLEANUP(mem_free_p) char *detail = NULL;
	json_t *faults;

	if (!f->bundle || policy_world_build(f->bundle, entities, &world) == 0)
		return NULL;
	detail = mem_format("this does not fit the schema of the active "
			    "policy: %s",
			    error_message());
	faults = json_array();
	add_fault(faults, mem_str("/manifests"), detail);
	return faults;
}

/* Whether an inventory may stand; answers and returns false if not.
 * all: "Kind/name" to manifest. */
static bool check_whole(struct flow *f, json_t *all, struct reply_to reply,
			struct inventory **ret_inventory)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = NULL;
	json_t *faults;

	inventory_build(all, &inv, &faults);
	if (!inv) {
		answer_faults(reply, faults);
		return false;
	}
	json_decref(faults);
	if (!is_bootstrap(f) && inventory_administrators(inv) < 2) {
		answer_problem(reply, ANSWER_INVALID, "administrators",
			       "This would leave fewer than two active "
			       "administrators with a key.");
		return false;
	}
	faults = schema_faults(f, inv);
	if (faults) {
		answer_faults(reply, faults);
		return false;
	}
	*ret_inventory = TAKE(inv);
	return true;
}

/* What the inventory is at first, and in the end: they differ while something
 * leaves, which is without power until it is gone. */
static bool check_both(struct flow *f, const json_t *manifests, bool prune,
		       struct reply_to reply, struct inventory **ret_first)
{
	CLEANUP(json_put_p) json_t *first = NULL;
	CLEANUP(json_put_p) json_t *last = NULL;
	CLEANUP(inventory_unref_p) struct inventory *in_the_end = NULL;

	if (prune) {
		first = prune_merged(f, manifests, true);
		last = prune_merged(f, manifests, false);
	} else {
		first = merged(f->inventory, manifests);
		last = prune_without_leaving(f, first, manifests);
	}
	if (!json_equal(first, last) &&
	    !check_whole(f, last, reply, &in_the_end))
		return false;
	return check_whole(f, first, reply, ret_first);
}

/* Checks the set; answers and returns false when it is wrong. */
static bool check_set(struct flow *f, const json_t *manifests, bool prune,
		      struct reply_to reply, struct inventory **ret_inventory)
{
	json_t *faults;

	if (json_array_size(manifests) == 0 ||
	    json_array_size(manifests) > MANIFESTS_MAX) {
		answer_problem(reply, ANSWER_INVALID, "manifests",
			       "A change has 1 to %d manifests.",
			       MANIFESTS_MAX);
		return false;
	}
	if (is_larger(manifests, CHANGE_MAX)) {
		answer_problem(reply, ANSWER_INVALID, "too-large",
			       "A change has at most %d KiB; split it.",
			       CHANGE_MAX / 1024);
		return false;
	}
	faults = shape_faults(f, manifests);
	if (json_array_size(faults)) {
		answer_faults(reply, faults);
		return false;
	}
	json_decref(faults);
	return check_both(f, manifests, prune, reply, ret_inventory);
}

/* Fills what a change would do into doc. */
static void describe(struct flow *f, json_t *doc, const json_t *manifests,
		     bool prune)
{
	json_t *diff = diff_of(f, manifests, prune);

	json_set_int(doc, "needs", needs_of(f, diff));
	json_set_new(doc, "diff", diff);
	if (!prune)
		return;
	json_set_flag(doc, "prune", true);
	json_set_new(doc, "ends", prune_ends(f, manifests));
}

/* What is signed. */
static void digest_text(const json_t *manifests, bool prune,
			char ret_text[DIGEST_TEXT_LEN])
{
	struct digest digest = manifest_set_digest(manifests, prune, NULL);

	digest_format(&digest, ret_text);
}

static json_t *preview_doc(struct flow *f, const json_t *manifests, bool prune)
{
	json_t *doc = json_object();
	char text[DIGEST_TEXT_LEN];

	digest_text(manifests, prune, text);
	json_set_text(doc, "digest", text);
	describe(f, doc, manifests, prune);
	return doc;
}

void flow_change_preview(struct flow *f, const json_t *manifests, bool prune,
			 struct reply_to reply)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = NULL;

	if (check_set(f, manifests, prune, reply, &inv))
		answer(reply, ANSWER_OK, preview_doc(f, manifests, prune));
}

/* ---- applying ---- */

static void put_objects(struct evidence_txn *t, const json_t *manifests)
{
	const json_t *manifest;
	size_t at;

	json_array_foreach(manifests, at, manifest) {
		CLEANUP(mem_free_p) char *id = manifest_id(manifest);

		evidence_put(t, NOUN_OBJECT, id, manifest);
	}
}

/* What is otherwise in the next inventory than in this one. */
static void put_changed(const struct flow *f, struct evidence_txn *t,
			const struct inventory *next)
{
	const json_t *all = inventory_manifests(f->inventory);
	const char *id;
	json_t *manifest;

	json_object_foreach((json_t *)(uintptr_t)inventory_manifests(next), id,
			    manifest) {
		if (!json_equal(json_object_get(all, id), manifest))
			evidence_put(t, NOUN_OBJECT, id, manifest);
	}
}

/* Bootstrap is over for good once two administrators are there. */
static void put_bootstrap(struct evidence_txn *t, const struct inventory *inv)
{
	CLEANUP(json_put_p) json_t *setting = json_object();

	if (inventory_administrators(inv) < 2)
		return;
	json_set_text(setting, "id", "bootstrap");
	json_set_flag(setting, "over", true);
	evidence_put(t, NOUN_SETTING, "bootstrap", setting);
}

/* How many of which kind were created and updated: a leaf has room for no more,
 * and a name is personal data. */
static json_t *count_changes(const json_t *diff)
{
	json_t *counts = json_array();
	const json_t *row;
	json_t *count;
	size_t at;
	size_t i;

	json_array_foreach(diff, at, row) {
		const char *op = json_text(row, "op", "");
		const char *kind = json_text(row, "kind", "");
		json_t *found = NULL;

		if (!strcmp(op, "unchanged"))
			continue;
		json_array_foreach(counts, i, count) {
			if (!strcmp(json_text(count, "op", ""), op) &&
			    !strcmp(json_text(count, "kind", ""), kind))
				found = count;
		}
		if (!found) {
			found = json_object();
			json_set_text(found, "op", op);
			json_set_text(found, "kind", kind);
			json_array_append_new(counts, found);
		}
		json_set_int(found, "count", json_int(found, "count", 0) + 1);
	}
	return counts;
}

static json_t *change_fields(const json_t *doc, bool bootstrap)
{
	json_t *fields = json_object();

	json_set_text(fields, "digest", json_text(doc, "digest", ""));
	json_set_text(fields, "base", json_text(doc, "base", ""));
	json_set_int(
		fields, "signatures",
		(int64_t)json_array_size(json_object_get(doc, "signatures")));
	json_set_flag(fields, "bootstrap", bootstrap);
	json_set_new(fields, "changed",
		     count_changes(json_object_get(doc, "diff")));
	return fields;
}

/* Replaces what waits by this id, or takes it away. */
static void keep(struct flow *f, const char *id, json_t *doc)
{
	json_decref(map_remove(f->changes, id));
	if (doc)
		map_put(f->changes, id, json_incref(doc));
}

static int change_leaf(struct flow *f, struct evidence_txn *t,
		       const json_t *doc, struct leaf_ref *ret_leaf)
{
	CLEANUP(json_put_p) json_t *private = json_object();
	struct evidence_part part = { "inventory", private };
	const json_t *manifests = json_object_get(doc, "manifests");
	const char *id = json_text(doc, "id", "");

	json_set_new(private, "manifests", without_people(manifests));
	json_object_set(private, "signatures", json_object_get(doc, "signed"));
	if (is_larger(private, EVIDENCE_PAYLOAD_MAX))
		return error_set(ERR_LIMIT,
				 "The change and its signatures are too large "
				 "to be recorded; split it.");
	TRY(evidence_leaf(t, LEAF_CHANGE, id,
			  change_fields(doc, is_bootstrap(f)), &part, 1,
			  ret_leaf));
	return people_leaves(t, manifests, id, ret_leaf->index);
}

/* doc has all its signatures, and inv is what it makes of the inventory. */
static void apply_change(struct flow *f, json_t *doc, struct inventory *inv,
			 const struct statement *s, struct reply_to reply)
{
	const char *id = json_text(doc, "id", "");
	struct evidence_txn *t = evidence_begin(f->evidence);
	struct leaf_ref leaf;
	int r = change_leaf(f, t, doc, &leaf);

	if (r < 0) {
		evidence_abandon(t);
		proposal_refused(reply, r);
		return;
	}
	signed_put(f, t, s);
	put_changed(f, t, inv);
	put_bootstrap(t, inv);
	json_set_text(doc, "state", "applied");
	if (json_flag(doc, "prune", false))
		prune_note(f, doc);
	json_set_new(doc, "evidence", leaf_json(&leaf));
	evidence_put(t, NOUN_CHANGE, id, doc);
	if (inventory_swap(f, inventory_ref(inv)) < 0)
		must(ERR_BROKEN, "an inventory that was checked");
	keep(f, id, NULL);
	prune_come_back(f, t, json_object_get(doc, "manifests"));
	commit_answer(f, t, reply, ANSWER_OK, change_view(doc));
	tasks_review(f);
	if (json_flag(doc, "prune", false))
		prune_begin(f, doc);
}

/* The signature counts; applied when it was the last that was needed. */
static void add_signature(struct flow *f, const json_t *doc,
			  struct inventory *inv, const struct statement *s,
			  struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *next = proposal_signed(f, doc, s);
	const char *id = json_text(next, "id", "");
	struct evidence_txn *t;

	if (is_bootstrap(f) || enough(f, json_object_get(next, "diff"),
				      json_object_get(next, "signatures"))) {
		apply_change(f, next, inv, s, reply);
		return;
	}
	t = evidence_begin(f->evidence);
	signed_put(f, t, s);
	evidence_put(t, NOUN_CHANGE, id, next);
	notice_change_waiting(f, t, next);
	keep(f, id, next);
	commit_answer(f, t, reply, ANSWER_WAITING, change_view(next));
}

static bool may_sign_change(struct flow *f, const struct statement *s,
			    const char *digest, struct reply_to reply)
{
	if (strcmp(json_text(s->body, "digest", ""), digest) != 0) {
		answer_problem(reply, ANSWER_CONFLICT, "another-change",
			       "The signature is over another change.");
		return false;
	}
	if (!human_is(f, s->human, "administrators")) {
		answer_problem(reply, ANSWER_DENIED, "may-not-administer",
			       "Only administrators change the inventory.");
		return false;
	}
	return true;
}

/* Who gains by a change may not sign it: it touches their own entry. */
static bool gains_by_it(struct flow *f, const json_t *diff, const char *human,
			struct reply_to reply)
{
	const json_t *row;
	size_t at;

	if (is_bootstrap(f))
		return false;
	json_array_foreach(diff, at, row) {
		if (!strcmp(json_text(row, "kind", ""), "Human") &&
		    !strcmp(json_text(row, "name", ""), human) &&
		    strcmp(json_text(row, "op", ""), "unchanged") != 0) {
			answer_problem(reply, ANSWER_DENIED, "gains-by-it",
				       "Who gains by a change does not sign "
				       "it.");
			return true;
		}
	}
	return false;
}

static json_t *proposed_doc(struct flow *f, const json_t *manifests, bool prune)
{
	char text[DIGEST_TEXT_LEN];
	json_t *doc;

	digest_text(manifests, prune, text);
	doc = proposal_new("chg", text, 0);
	describe(f, doc, manifests, prune);
	base_of(f->inventory, manifests, text);
	json_set_text(doc, "base", text);
	json_object_set(doc, "manifests", (json_t *)(uintptr_t)manifests);
	return doc;
}

static void propose(struct flow *f, const json_t *manifests, bool prune,
		    struct inventory *inv, const struct statement *s,
		    struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *doc = proposed_doc(f, manifests, prune);
	const json_t *diff = json_object_get(doc, "diff");

	if (!may_sign_change(f, s, json_text(doc, "digest", ""), reply))
		return;
	if (!has_changes(diff)) {
		json_set_text(doc, "state", "unchanged");
		answer(reply, ANSWER_OK, change_view(doc));
		return;
	}
	if (!gains_by_it(f, diff, s->human, reply))
		add_signature(f, doc, inv, s, reply);
}

/* The signature comes first: strangers are not told what the inventory has. */
void flow_change_propose(struct flow *f, const json_t *manifests, bool prune,
			 const json_t *signed_form, struct reply_to reply)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = NULL;
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_CHANGE, reply, &s))
		return;
	if (check_set(f, manifests, prune, reply, &inv))
		propose(f, manifests, prune, inv, &s, reply);
	statement_clear(&s);
}

/* Activations wait elsewhere and are signed elsewhere. */
static json_t *change_find(const struct flow *f, const char *id)
{
	return strncmp(id, "chg_", 4) != 0 ? NULL : map_get(f->changes, id);
}

/* Whether the change would do something else today than what was signed. */
static bool has_moved(struct flow *f, const json_t *doc)
{
	const json_t *manifests = json_object_get(doc, "manifests");
	CLEANUP(json_put_p)
	json_t *diff = diff_of(f, manifests, json_flag(doc, "prune", false));
	char base[DIGEST_TEXT_LEN];

	base_of(f->inventory, manifests, base);
	return strcmp(base, json_text(doc, "base", "")) != 0 ||
	       !json_equal(diff, json_object_get(doc, "diff"));
}

static void drop(struct flow *f, const char *id, const struct statement *s,
		 const char *code, const char *detail, struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);

	signed_put(f, t, s);
	proposal_drop(t, f->changes, id, code);
	commit_problem(f, t, reply, ANSWER_CONFLICT, code, detail, NULL);
}

static void sign_change(struct flow *f, const char *id, const json_t *doc,
			const struct statement *s, struct reply_to reply)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = NULL;

	if (!may_sign_change(f, s, json_text(doc, "digest", ""), reply))
		return;
	if (proposal_is_over(doc, clock_wall_ms()))
		drop(f, id, s, "expired",
		     "The change is too old to be signed; propose it again.",
		     reply);
	else if (has_moved(f, doc))
		drop(f, id, s, "changed",
		     "The inventory has changed under this change, so that it "
		     "would do something else than what was signed; propose it "
		     "again.",
		     reply);
	else if (json_has_text(json_object_get(doc, "signatures"), s->human))
		answer_problem(reply, ANSWER_CONFLICT, "signed-already",
			       "This person has signed the change already.");
	else if (!gains_by_it(f, json_object_get(doc, "diff"), s->human,
			      reply) &&
		 check_set(f, json_object_get(doc, "manifests"),
			   json_flag(doc, "prune", false), reply, &inv))
		add_signature(f, doc, inv, s, reply);
}

void flow_change_sign(struct flow *f, const char *id, const json_t *signed_form,
		      struct reply_to reply)
{
	const json_t *doc = change_find(f, id);
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_CHANGE, reply, &s))
		return;
	if (doc)
		sign_change(f, id, doc, &s, reply);
	else
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-change",
			       "No such change waits for signatures.");
	statement_clear(&s);
}

void change_load(struct flow *f, json_t *doc)
{
	const char *bundle = json_text(doc, "bundle", NULL);

	if (bundle)
		map_put(f->activations, bundle, json_incref(doc));
	else
		map_put(f->changes, json_text(doc, "id", ""), json_incref(doc));
}

/* ---- the snapshot ---- */

static json_t *trust_domains(const struct inventory *inv)
{
	json_t *domains = json_array();
	const char *id;
	json_t *manifest;

	json_object_foreach((json_t *)(uintptr_t)inventory_manifests(inv), id,
			    manifest) {
		if (!strcmp(json_text(manifest, "kind", ""), "TrustDomain"))
			json_array_append(domains,
					  json_object_get(manifest, "spec"));
	}
	return domains;
}

static void log_faults(const json_t *faults)
{
	const json_t *fault;
	size_t at;

	json_array_foreach(faults, at, fault)
		log_warning("bundle-not-usable", "why=\"%s\"",
			    json_string_value(fault));
}

int inventory_swap(struct flow *f, struct inventory *owned)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = owned;
	CLEANUP(json_put_p) json_t *domains = trust_domains(inv);
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(json_put_p) json_t *entities = inventory_entities(inv);
	struct policy_world *world = NULL;

	if (f->bundle)
		TRY(policy_world_build(f->bundle, entities, &world));
	policy_world_unref(f->world);
	f->world = world;
	replay_note_world(f, entities);
	inventory_unref(f->inventory);
	f->inventory = TAKE(inv);
	if (inventory_administrators(f->inventory) >= 2)
		f->bootstrap_over = true;
	trust_set(f->trust, domains, &faults);
	log_faults(faults);
	points_review(f);
	return 0;
}

/* ---- the beginning ---- */

static json_t *manifest_new(const char *kind, const char *name, json_t *spec)
{
	json_t *manifest = json_object();
	json_t *metadata = json_object();

	json_set_text(metadata, "name", name);
	json_set_text(manifest, "kind", kind);
	json_set_new(manifest, "metadata", metadata);
	json_set_new(manifest, "spec", spec);
	return manifest;
}

static json_t *first_human(const json_t *bootstrap)
{
	json_t *spec = json_object();
	json_t *groups = json_array();
	json_t *keys = json_array();

	json_array_append_new(groups, json_string("administrators"));
	json_array_append_new(keys,
			      json_string(json_text(bootstrap, "key", "")));
	json_set_new(spec, "groups", groups);
	json_set_new(spec, "keys", keys);
	json_set_text(spec, "timezone",
		      json_text(bootstrap, "timezone", "UTC"));
	return manifest_new("Human", json_text(bootstrap, "admin", ""), spec);
}

/*
 * Genesis: the first administrator, their group and the first policy bundle,
 * as the operator who ran `writ init` gave them.
 */
int begin_log(struct flow *f, const struct flow_config *config)
{
	CLEANUP(json_put_p) json_t *manifests = json_array();
	CLEANUP(json_put_p) json_t *all = json_object();
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(json_put_p) json_t *private = json_object();
	struct evidence_part part = { "inventory", private };
	CLEANUP(inventory_unref_p) struct inventory *inv = NULL;
	struct evidence_txn *t;
	json_t *fields;
	struct leaf_ref leaf;
	json_t *manifest;
	size_t at;

	json_array_append_new(manifests, manifest_new("Group", "administrators",
						      json_object()));
	json_array_append_new(manifests, first_human(config->bootstrap));
	json_array_append_new(
		manifests, manifest_new("PolicyBundle", "governance",
					json_deep_copy(config->policy_bundle)));
	json_array_foreach(manifests, at, manifest) {
		CLEANUP(mem_free_p) char *id = manifest_id(manifest);

		json_object_set(all, id, manifest);
	}
	CLEANUP(json_put_p) json_t *shapes = shape_faults(f, manifests);

	if (json_array_size(shapes))
		return error_set(
			ERR_SYNTAX, "bootstrap: %s: %s",
			json_text(json_array_get(shapes, 0), "at", ""),
			json_text(json_array_get(shapes, 0), "detail", ""));
	inventory_build(all, &inv, &faults);
	if (!inv)
		return error_set(
			ERR_SYNTAX, "bootstrap: %s",
			json_text(json_array_get(faults, 0), "detail", ""));
	TRY(policy_load(f, "governance", config->policy_bundle));
	TRY(policy_check_links(f->bundle));
	TRY(inventory_swap(f, TAKE(inv)));
	fields = json_object();
	json_set_text(fields, "origin", f->origin);
	json_set_text(fields, "bundle", f->bundle_digest);
	json_set_new(private, "manifests", without_people(manifests));
	t = evidence_begin(f->evidence);
	TRY(evidence_leaf(t, LEAF_GENESIS, NULL, fields, &part, 1, &leaf));
	TRY(people_leaves(t, manifests, NULL, leaf.index));
	put_objects(t, manifests);
	policy_put(f, t, config->policy_bundle);
	evidence_commit(t, NULL, NULL);
	return 0;
}
