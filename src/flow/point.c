#include "flow/point.h"

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/mint.h"
#include "govern/action.h"
#include "govern/credential.h"

/* Takes back what Writ signed. */
static bool is_of_signed(const json_t *about)
{
	const json_t *parameters = json_object_in(about, "parameters");

	return action_takes_back_lent(
		       action_find(json_text(about, "action", NULL))) &&
	       id_is("crd", json_text(parameters, "credential", ""));
}

bool point_is_here(const struct target *t, const json_t *about)
{
	return t->issues || is_of_signed(about);
}

void point_call(struct target *t, enum connect_method method, json_t *params,
		enum connector_priority priority, int64_t timeout_ms,
		connector_done_fn done, void *cookie)
{
	const json_t *about = params;

	/* A connector gets a plan as text. */
	if (method == CONNECT_APPLY)
		about = json_object_in(json_object_in(params, "order"), "plan");
	if (point_is_here(t, about))
		mint_call(t, method, params, done, cookie);
	else
		connector_call(t->connector, method, params, priority,
			       timeout_ms, done, cookie);
}

const char *point_build(const struct target *t)
{
	return t->issues ? mint_build : connector_build(t->connector);
}

const json_t *point_describe(const struct target *t)
{
	return t->issues ? NULL : connector_describe(t->connector);
}

bool point_tells(const struct target *t, enum connect_method method)
{
	return t->connector &&
	       json_has_text(json_object_get(connector_describe(t->connector),
					     "reads"),
			     connect_method_name(method));
}

const char *point_why(const struct target *t)
{
	return t->issues ? "the keeper issues no credentials" : t->why;
}

static void add_point(struct flow *f, const char *name)
{
	struct target *t = mem_new(struct target);

	t->flow = f;
	t->name = mem_str(name);
	t->issues = true;
	t->up = mint_is_up(f->mint);
	map_put(f->targets, t->name, t);
}

/* A connector of a target that Writ issues for only reads. */
static void warn_of_both(const struct target *t)
{
	const json_t *actions =
		json_object_get(connector_describe(t->connector), "actions");

	if (t->issues && json_array_size(actions) > 0)
		log_warning("target-with-both",
			    "target=%s why=\"Writ issues for it: what its "
			    "connector could change is not used; what that "
			    "changed before does not end until the manifest "
			    "issues nothing\"",
			    t->name);
}

static void turn(struct target *t, bool issues)
{
	t->issues = issues;
	t->up = issues ? mint_is_up(t->flow->mint)
		       : connector_is_up(t->connector);
	warn_of_both(t);
}

void point_connector_up(struct target *t)
{
	t->up = !t->issues || mint_is_up(t->flow->mint);
	warn_of_both(t);
}

static void review(struct flow *f, const json_t *manifest)
{
	const char *name =
		json_text(json_object_in(manifest, "metadata"), "name", "");
	struct target *t = map_get(f->targets, name);
	enum credential_form form;
	bool issues =
		credential_form_of(json_object_in(manifest, "spec"), &form);

	if (!t && issues)
		add_point(f, name);
	else if (t && t->connector && t->issues != issues)
		turn(t, issues);
}

void points_review(struct flow *f)
{
	const char *target = manifest_kind_name(MANIFEST_TARGET);
	const char *id;
	json_t *manifest;

	json_object_foreach(
		(json_t *)(uintptr_t)inventory_manifests(f->inventory), id,
		manifest) {
		if (!strcmp(json_text(manifest, "kind", ""), target))
			review(f, manifest);
	}
}
