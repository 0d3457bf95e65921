/*
 * The policy bundle that decides: loaded, linked with quarantines, activated by
 * signatures.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/state.h"

enum {
	/* Policies of a bundle whose deletion is tried when it is activated: a
	 * second or two.  Of a larger one `writ policy test --mutants` does. */
	DELETIONS_MAX = 1000,
};

/* The files of a bundle's spec: what its digest is over. */
static json_t *files_of(const json_t *spec)
{
	static const char *const members[] = { "schema", "policies",
					       "invariants", "templates" };
	json_t *files = json_object();

	json_pick(files, spec, members, ARRAY_LEN(members));
	return files;
}

void policy_spec_digest(const json_t *spec, char text[DIGEST_TEXT_LEN])
{
	CLEANUP(json_put_p) json_t *files = files_of(spec);
	CLEANUP(mem_free_p) char *canonical = json_canonical(files);
	struct digest digest = digest_of(slice_str(canonical));

	digest_format(&digest, text);
}

int policy_build(const json_t *spec, struct policy_bundle **ret)
{
	CLEANUP(json_put_p) json_t *files = files_of(spec);
	CLEANUP(json_put_p) json_t *faults = NULL;

	TRY(policy_bundle_build(files, ret, &faults));
	if (*ret)
		return 0;
	return error_set(
		ERR_SYNTAX, "policy bundle: %s: %s",
		json_text(json_array_get(faults, 0), "policy",
			  json_text(json_array_get(faults, 0), "file", "")),
		json_text(json_array_get(faults, 0), "detail", "?"));
}

static json_t *quarantine(const char *id, const char *agent)
{
	json_t *link = json_object();
	json_t *principal = json_object();

	json_set_text(principal, "type", "Gov::Agent");
	json_set_text(principal, "id", agent);
	json_set_text(link, "id", id);
	json_set_text(link, "template", "t01-quarantine");
	json_set_new(link, "principal", principal);
	return link;
}

static json_t *quarantines(const struct flow *f)
{
	json_t *links = json_array();
	const json_t *doc;
	size_t at = 0;

	while ((doc = map_next(f->containments, &at, NULL))) {
		if (!strcmp(json_text(doc, "kind", ""), "agent"))
			json_array_append_new(
				links, quarantine(json_text(doc, "id", ""),
						  json_text(doc, "name", "")));
	}
	return links;
}

int policy_check_links(struct policy_bundle *bundle)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *linked = NULL;
	CLEANUP(json_put_p) json_t *links = json_array();

	json_array_append_new(links, quarantine("ctn_none", "nobody"));
	return policy_bundle_link(bundle, links, &linked);
}

/* Says it when it changes. */
static void note_unlinked(struct flow *f, bool unlinked, const char *why)
{
	if (f->unlinked == unlinked)
		return;
	f->unlinked = unlinked;
	log_warning("quarantines", "linked=%d why=\"%s\"", !unlinked, why);
	record_degraded(f, unlinked, "quarantines are not part of policy");
}

void policy_relink(struct flow *f)
{
	CLEANUP(json_put_p) json_t *links = quarantines(f);
	struct policy_bundle *linked = NULL;
	int r = 0;

	if (json_array_size(links))
		r = policy_bundle_link(f->bundle, links, &linked);
	if (!linked)
		linked = policy_bundle_ref(f->bundle);
	policy_bundle_unref(f->linked);
	f->linked = linked;
	note_unlinked(f, r < 0, r < 0 ? error_message() : "");
}

static void use(struct flow *f, const char *name, struct policy_bundle *bundle)
{
	policy_bundle_unref(f->bundle);
	f->bundle = bundle;
	snprintf(f->bundle_name, sizeof(f->bundle_name), "%s", name);
	digest_format(policy_bundle_digest(bundle), f->bundle_digest);
}

void policy_put(struct flow *f, struct evidence_txn *t, const json_t *spec)
{
	CLEANUP(json_put_p) json_t *doc = json_object();

	json_set_text(doc, "id", "active");
	json_set_text(doc, "name", f->bundle_name);
	json_set_text(doc, "digest", f->bundle_digest);
	json_object_set(doc, "spec", (json_t *)(uintptr_t)spec);
	evidence_put(t, NOUN_BUNDLE, "active", doc);
}

int policy_load(struct flow *f, const char *name, const json_t *spec)
{
	struct policy_bundle *bundle = NULL;

	TRY(policy_build(spec, &bundle));
	use(f, name, bundle);
	policy_relink(f);
	return 0;
}

/* ---- activation ---- */

/* All that a bundle must pass; NULL or an owned sentence. */
static char *bundle_fault(struct flow *f, const json_t *spec,
			  struct policy_bundle **ret_bundle,
			  struct policy_world **ret_world)
{
	CLEANUP(json_put_p) json_t *report = NULL;
	CLEANUP(json_put_p) json_t *entities = inventory_entities(f->inventory);
	const json_t *fault;

	if (policy_build(spec, ret_bundle) < 0)
		return mem_str(error_message());
	if (policy_world_build(*ret_bundle, entities, ret_world) < 0)
		return mem_format("the inventory does not fit its schema: %s",
				  error_message());
	if (policy_check_links(*ret_bundle) < 0)
		return mem_format("an agent cannot be contained with it: %s",
				  error_message());
	if (policy_test(*ret_bundle, json_object_get(spec, "scenarios"),
			policy_count(*ret_bundle) <= DELETIONS_MAX,
			&report) < 0)
		return mem_str(error_message());
	fault = json_array_get(json_object_get(report, "faults"), 0);
	if (!fault)
		return NULL;
	if (json_text(fault, "policy", NULL))
		return mem_format("policy '%s': %s",
				  json_text(fault, "policy", "?"),
				  json_text(fault, "detail", "?"));
	return mem_format("scenario '%s': %s",
			  json_text(fault, "scenario", "?"),
			  json_text(fault, "detail", "?"));
}

/* What waits for signatures over exactly this bundle, or NULL; what waits for
 * another of its name, or for too long, is dropped. */
static json_t *pending_of(struct flow *f, const char *name, const char *digest)
{
	json_t *doc = map_get(f->activations, name);
	bool over = doc && proposal_is_over(doc, clock_wall_ms());
	struct evidence_txn *t;

	if (!doc || (!over && !strcmp(json_text(doc, "digest", ""), digest)))
		return doc;
	t = evidence_begin(f->evidence);
	proposal_drop(t, f->activations, name, over ? "expired" : "changed");
	evidence_commit(t, NULL, NULL);
	return NULL;
}

static json_t *pending_new(const struct flow *f, const char *name,
			   const char *digest)
{
	json_t *doc = proposal_new("act", digest, is_bootstrap(f) ? 1 : 2);

	json_set_text(doc, "bundle", name);
	return doc;
}

/* Replaces what waits by this name, or takes it away. */
static void keep(struct flow *f, const char *name, json_t *doc)
{
	json_decref(map_remove(f->activations, name));
	if (doc)
		map_put(f->activations, name, json_incref(doc));
}

static bool enough(struct flow *f, const json_t *signers)
{
	const json_t *signer;
	size_t at;

	if (is_bootstrap(f))
		return true;
	json_array_foreach(signers, at, signer) {
		CLEANUP(json_put_p)
		json_t *ask = ask_administer(
			json_string_value(signer), "PolicyBundle", false,
			clock_wall_ms(), (int64_t)json_array_size(signers));
		struct policy_answer policy = { 0 };
		bool allow =
			policy_ask(f->linked, f->world, ask, &policy) == 0 &&
			policy.allow;

		policy_answer_clear(&policy);
		if (!allow)
			return false;
	}
	return true;
}

static json_t *switch_fields(const struct flow *f, const json_t *doc)
{
	json_t *fields = json_object();

	json_set_text(fields, "before", f->bundle_digest);
	json_set_text(fields, "bundle", json_text(doc, "digest", ""));
	json_set_int(fields, "signatures",
		     (int64_t)json_array_size(json_object_get(doc, "signed")));
	return fields;
}

static void switch_to(struct flow *f, const char *name, const json_t *doc,
		      const struct statement *s, struct policy_bundle *bundle,
		      struct policy_world *world, struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	struct evidence_part part = { "inventory",
				      json_object_get(doc, "signed") };
	json_t *body;
	struct leaf_ref leaf;
	int r = evidence_leaf(t, LEAF_POLICY, NULL, switch_fields(f, doc),
			      &part, 1, &leaf);

	if (r < 0) {
		evidence_abandon(t);
		proposal_refused(reply, r);
		return;
	}
	use(f, name, policy_bundle_ref(bundle));
	policy_world_unref(f->world);
	f->world = policy_world_ref(world);
	signed_put(f, t, s);
	evidence_delete(t, NOUN_CHANGE, json_text(doc, "id", ""));
	policy_put(f, t,
		   inventory_spec(f->inventory, MANIFEST_POLICY_BUNDLE, name));
	body = json_object();
	json_set_text(body, "bundle", name);
	json_set_text(body, "digest", f->bundle_digest);
	json_set_text(body, "state", "active");
	json_set_new(body, "evidence", leaf_json(&leaf));
	keep(f, name, NULL);
	commit_answer(f, t, reply, ANSWER_OK, body);
	policy_relink(f);
}

static void sign_activation(struct flow *f, const char *name,
			    const struct statement *s, const char *digest,
			    struct policy_bundle *bundle,
			    struct policy_world *world, struct reply_to reply)
{
	CLEANUP(json_put_p)
	json_t *doc = json_incref(pending_of(f, name, digest));
	CLEANUP(json_put_p) json_t *next = NULL;
	struct evidence_txn *t;

	if (!doc)
		doc = pending_new(f, name, digest);
	if (json_has_text(json_object_get(doc, "signatures"), s->human)) {
		answer_problem(reply, ANSWER_CONFLICT, "signed-already",
			       "This person has signed the activation.");
		return;
	}
	next = proposal_signed(f, doc, s);
	if (enough(f, json_object_get(next, "signatures"))) {
		switch_to(f, name, next, s, bundle, world, reply);
		return;
	}
	t = evidence_begin(f->evidence);
	signed_put(f, t, s);
	evidence_put(t, NOUN_CHANGE, json_text(next, "id", ""), next);
	keep(f, name, next);
	commit_answer(f, t, reply, ANSWER_WAITING, change_view(next));
}

void flow_activate(struct flow *f, const char *name, const json_t *signed_form,
		   struct reply_to reply)
{
	const json_t *spec =
		inventory_spec(f->inventory, MANIFEST_POLICY_BUNDLE, name);
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *bundle = NULL;
	CLEANUP(policy_world_unref_p) struct policy_world *world = NULL;
	CLEANUP(mem_free_p) char *fault = NULL;
	char digest[DIGEST_TEXT_LEN] = "";
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_ACTIVATE, reply, &s))
		return;
	fault = spec ? bundle_fault(f, spec, &bundle, &world)
		     : mem_str("there is no such bundle");
	if (bundle)
		digest_format(policy_bundle_digest(bundle), digest);
	if (fault)
		answer_problem(reply, ANSWER_CONFLICT, "bundle", "%s", fault);
	else if (strcmp(json_text(s.body, "digest", ""), digest) != 0)
		answer_problem(reply, ANSWER_CONFLICT, "another-bundle",
			       "The signature is over another bundle; this one "
			       "is %s.",
			       digest);
	else if (!human_is(f, s.human, "administrators"))
		answer_problem(reply, ANSWER_DENIED, "may-not-activate",
			       "Only administrators activate policy.");
	else
		sign_activation(f, name, &s, digest, bundle, world, reply);
	statement_clear(&s);
}

/* ---- reading ---- */

static json_t *staged_bundles(const struct flow *f)
{
	json_t *staged = json_array();
	const char *id;
	json_t *manifest;

	json_object_foreach(
		(json_t *)(uintptr_t)inventory_manifests(f->inventory), id,
		manifest) {
		char digest[DIGEST_TEXT_LEN];
		json_t *row;

		if (strcmp(json_text(manifest, "kind", ""), "PolicyBundle"))
			continue;
		row = json_object();
		policy_spec_digest(json_object_get(manifest, "spec"), digest);
		json_set_text(row, "name",
			      json_text(json_object_get(manifest, "metadata"),
					"name", ""));
		json_set_text(row, "digest", digest);
		json_array_append_new(staged, row);
	}
	return staged;
}

void flow_policy(struct flow *f, const struct caller *caller UNUSED,
		 struct reply_to reply)
{
	json_t *body = json_object();

	json_set_text(body, "bundle", f->bundle_name);
	json_set_text(body, "digest", f->bundle_digest);
	json_set_text(body, "engine", policy_engine());
	json_set_new(body, "policies", policy_list(f->linked));
	json_set_new(body, "staged", staged_bundles(f));
	answer(reply, ANSWER_OK, body);
}
