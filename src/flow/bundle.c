/*
 * The policy bundle that decides: loaded, linked with quarantines, activated by
 * signatures.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/state.h"

/* The files of a bundle's spec: what its digest is over. */
static json_t *files_of(const json_t *spec)
{
	static const char *const members[] = { "schema", "policies",
					       "invariants", "templates" };
	json_t *files = json_object();

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		json_object_set(files, members[i],
				json_object_get(spec, members[i]));
	return files;
}

static int build(const json_t *spec, struct policy_bundle **ret)
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

static json_t *quarantines(const struct flow *f)
{
	json_t *links = json_array();
	const json_t *doc;
	size_t at = 0;

	while ((doc = map_next(f->containments, &at, NULL))) {
		json_t *link;
		json_t *agent;

		if (strcmp(json_text(doc, "kind", ""), "agent") != 0)
			continue;
		link = json_object();
		agent = json_object();
		json_set_text(agent, "type", "Gov::Agent");
		json_set_text(agent, "id", json_text(doc, "name", ""));
		json_set_text(link, "id", json_text(doc, "id", ""));
		json_set_text(link, "template", "t01-quarantine");
		json_set_new(link, "principal", agent);
		json_array_append_new(links, link);
	}
	return links;
}

int policy_relink(struct flow *f)
{
	CLEANUP(json_put_p) json_t *links = quarantines(f);
	struct policy_bundle *linked = NULL;

	if (json_array_size(links))
		TRY(policy_bundle_link(f->bundle, links, &linked));
	else
		linked = policy_bundle_ref(f->bundle);
	policy_bundle_unref(f->linked);
	f->linked = linked;
	return 0;
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

	TRY(build(spec, &bundle));
	use(f, name, bundle);
	return policy_relink(f);
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

	if (build(spec, ret_bundle) < 0)
		return mem_str(error_message());
	if (policy_world_build(*ret_bundle, entities, ret_world) < 0)
		return mem_format("the inventory does not fit its schema: %s",
				  error_message());
	if (policy_test(*ret_bundle, json_object_get(spec, "scenarios"), false,
			&report) < 0)
		return mem_str(error_message());
	fault = json_array_get(json_object_get(report, "faults"), 0);
	if (fault)
		return mem_format("scenario '%s': %s",
				  json_text(fault, "scenario", "?"),
				  json_text(fault, "detail", "?"));
	return NULL;
}

static json_t *pending_of(struct flow *f, const char *name,
			  const struct policy_bundle *bundle)
{
	char key[128];
	char digest[DIGEST_TEXT_LEN];
	json_t *doc;

	digest_format(policy_bundle_digest(bundle), digest);
	snprintf(key, sizeof(key), "activate/%s", name);
	doc = map_get(f->changes, key);
	if (doc && !strcmp(json_text(doc, "digest", ""), digest))
		return doc;
	if (doc)
		json_decref(map_remove(f->changes, key));
	doc = json_object();
	json_set_text(doc, "id", key);
	json_set_text(doc, "digest", digest);
	json_set_text(doc, "state", "waiting");
	json_set_new(doc, "signatures", json_array());
	json_set_new(doc, "signed", json_array());
	json_set_int(doc, "needs", is_bootstrap(f) ? 1 : 2);
	json_set_time(doc, "created", clock_wall_ms());
	map_put(f->changes, key, doc);
	return doc;
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

static void switch_to(struct flow *f, const char *name, const json_t *doc,
		      struct policy_bundle *bundle, struct policy_world *world,
		      struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	struct evidence_part part = { "inventory",
				      json_object_get(doc, "signed") };
	json_t *fields = json_object();
	json_t *body = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "before", f->bundle_digest);
	use(f, name, policy_bundle_ref(bundle));
	policy_world_unref(f->world);
	f->world = policy_world_ref(world);
	must(policy_relink(f), "linking the new bundle");
	json_set_text(fields, "bundle", f->bundle_digest);
	json_set_int(fields, "signatures",
		     (int64_t)json_array_size(json_object_get(doc, "signed")));
	must(evidence_leaf(t, LEAF_POLICY, NULL, fields, &part, 1, &leaf),
	     "an activation's leaf");
	policy_put(f, t,
		   inventory_spec(f->inventory, MANIFEST_POLICY_BUNDLE, name));
	json_set_text(body, "bundle", name);
	json_set_text(body, "digest", f->bundle_digest);
	json_set_text(body, "state", "active");
	json_set_new(body, "evidence", leaf_json(&leaf));
	commit_answer(f, t, reply, ANSWER_OK, body);
}

static void sign_activation(struct flow *f, const char *name,
			    const struct statement *s,
			    struct policy_bundle *bundle,
			    struct policy_world *world, struct reply_to reply)
{
	json_t *doc = pending_of(f, name, bundle);
	json_t *signers = json_object_get(doc, "signatures");
	const char *id = json_text(doc, "id", "");
	struct evidence_txn *t;

	if (json_has_text(signers, s->human)) {
		answer_problem(reply, ANSWER_CONFLICT, "signed-already",
			       "This person has signed the activation.");
		return;
	}
	json_array_append_new(signers, json_string(s->human));
	json_array_append_new(json_object_get(doc, "signed"), signed_json(s));
	t = evidence_begin(f->evidence);
	signed_put(f, t, s);
	if (!enough(f, signers)) {
		evidence_put(t, NOUN_CHANGE, id, doc);
		commit_answer(f, t, reply, ANSWER_WAITING, change_view(doc));
		return;
	}
	evidence_delete(t, NOUN_CHANGE, id);
	evidence_commit(t, NULL, NULL);
	json_incref(doc);
	json_decref(map_remove(f->changes, id));
	switch_to(f, name, doc, bundle, world, reply);
	json_decref(doc);
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
		sign_activation(f, name, &s, bundle, world, reply);
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
		CLEANUP(json_put_p) json_t *files = NULL;
		CLEANUP(mem_free_p) char *text = NULL;
		char digest_text[DIGEST_TEXT_LEN];
		struct digest digest;
		json_t *row;

		if (strcmp(json_text(manifest, "kind", ""), "PolicyBundle"))
			continue;
		row = json_object();
		files = files_of(json_object_get(manifest, "spec"));
		text = json_canonical(files);
		digest = digest_of(slice_str(text));
		digest_format(&digest, digest_text);
		json_set_text(row, "name",
			      json_text(json_object_get(manifest, "metadata"),
					"name", ""));
		json_set_text(row, "digest", digest_text);
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
