/*
 * Removing what a change does not list.  What leaves is without power at once:
 * its agents and people are retired, its classes closed, its tasks end, and
 * what they hold is taken back and read back.  Only when nothing of it stands
 * any more is it removed.  An agent whose owner leaves is suspended rather than
 * left without one.
 */
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/state.h"

/* ---- what leaves ---- */

static json_t *by_id(const json_t *manifests)
{
	json_t *all = json_object();

	manifests_put(all, manifests);
	return all;
}

/* The bundle that decides is removed by activating another. */
static bool is_kept(const struct flow *f, const char *id)
{
	return !strncmp(id, "PolicyBundle/", 13) &&
	       !strcmp(id + 13, f->bundle_name);
}

/* "Kind/name" to manifest of what is not listed and does not leave already;
 * owned. */
static json_t *leavers(const struct flow *f, const json_t *listed)
{
	json_t *out = json_object();
	const char *id;
	json_t *manifest;

	json_object_foreach(
		(json_t *)(uintptr_t)inventory_manifests(f->inventory), id,
		manifest) {
		if (!json_object_get(listed, id) && !is_kept(f, id) &&
		    !json_object_get(f->leaving, id))
			json_object_set(out, id, manifest);
	}
	return out;
}

bool is_leaving(const struct flow *f, enum manifest_kind kind, const char *name)
{
	CLEANUP(mem_free_p) char *id = NULL;

	if (!json_object_size(f->leaving))
		return false;
	id = mem_format("%s/%s", manifest_kind_name(kind), name);
	return json_object_get(f->leaving, id) != NULL;
}

/* ---- what becomes of it ---- */

static json_t *with_spec(const json_t *manifest, json_t *owned_spec)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)manifest);

	json_set_new(copy, "spec", owned_spec);
	return copy;
}

/* Kinds that lose their power while they leave. */
static const char *const powers[] = { "Agent", "Human", "TaskClass",
				      "Detector" };

/* What others may claim as theirs meanwhile it has no more. */
static void disclaim(json_t *spec, const char *name)
{
	CLEANUP(mem_free_p)
	char *nobody = mem_format("spiffe://removed.invalid/%s", name);
	bool proves = json_object_get(spec, "identities") ||
		      json_object_get(spec, "oidc");
	json_t *identities;

	json_object_del(spec, "accounts");
	json_object_del(spec, "oidc");
	if (!proves)
		return;
	identities = json_array();
	json_array_append_new(identities, json_string(nobody));
	json_set_new(spec, "identities", identities);
}

/* A manifest that leaves as it is until then; owned. */
static json_t *weakened(const char *id, const json_t *manifest)
{
	const char *kind = json_text(manifest, "kind", "");
	json_t *spec = json_copy(json_object_get(manifest, "spec"));

	for (size_t i = 0; i < ARRAY_LEN(powers); i++) {
		if (strcmp(powers[i], kind) != 0)
			continue;
		json_set_text(spec, "status", "retired");
		disclaim(spec, strchr(id, '/') + 1);
	}
	return with_spec(manifest, spec);
}

/* An agent whose owner is not listed any more. */
static bool is_orphan(const json_t *manifest, const json_t *listed)
{
	const json_t *spec = json_object_get(manifest, "spec");
	CLEANUP(mem_free_p)
	char *owner = mem_format("Human/%s", json_text(spec, "owner", ""));

	return !strcmp(json_text(manifest, "kind", ""), "Agent") &&
	       !json_object_get(listed, owner);
}

/* The manifest as it is applied; owned. */
static json_t *settled(const json_t *manifest, const json_t *listed)
{
	json_t *spec;

	if (!is_orphan(manifest, listed) ||
	    strcmp(json_text(json_object_get(manifest, "spec"), "status",
			     "active"),
		   "active") != 0)
		return json_incref((json_t *)(uintptr_t)manifest);
	spec = json_copy(json_object_get(manifest, "spec"));
	json_set_text(spec, "status", "suspended");
	return with_spec(manifest, spec);
}

json_t *prune_merged(const struct flow *f, const json_t *manifests, bool first)
{
	CLEANUP(json_put_p) json_t *listed = by_id(manifests);
	CLEANUP(json_put_p) json_t *leaving = leavers(f, listed);
	json_t *all = json_object();
	const char *id;
	json_t *manifest;

	json_object_foreach(
		(json_t *)(uintptr_t)inventory_manifests(f->inventory), id,
		manifest) {
		if (is_kept(f, id) ||
		    (first && json_object_get(f->leaving, id)))
			json_object_set(all, id, manifest);
	}
	json_object_foreach(listed, id, manifest)
		json_set_new(all, id, settled(manifest, listed));
	if (!first)
		return all;
	json_object_foreach(leaving, id, manifest)
		json_set_new(all, id, weakened(id, manifest));
	return all;
}

json_t *prune_without_leaving(const struct flow *f, const json_t *all,
			      const json_t *manifests)
{
	CLEANUP(json_put_p) json_t *listed = by_id(manifests);
	json_t *rest = json_copy((json_t *)(uintptr_t)all);
	const char *id;
	json_t *doc;

	json_object_foreach(f->leaving, id, doc) {
		if (!json_object_get(listed, id))
			json_object_del(rest, id);
	}
	return rest;
}

/* ---- what it would do ---- */

static json_t *delete_row(const char *id, const json_t *manifest)
{
	json_t *row = json_object();

	json_set_text(row, "op", "delete");
	json_set_text(row, "kind", json_text(manifest, "kind", ""));
	json_set_text(row, "name", strchr(id, '/') + 1);
	json_set_new(row, "changes", manifest_diff(manifest, NULL));
	return row;
}

static int compare_ids(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

void prune_describe(const struct flow *f, const json_t *manifests, json_t *diff)
{
	CLEANUP(json_put_p) json_t *listed = by_id(manifests);
	CLEANUP(json_put_p) json_t *leaving = leavers(f, listed);
	size_t size = json_object_size(leaving);
	CLEANUP(mem_free_p)
	const char **ids = mem_array(size + 1, sizeof(*ids));
	size_t count = 0;
	const char *id;
	json_t *manifest;
	size_t at;

	json_array_foreach(manifests, at, manifest) {
		CLEANUP(json_put_p) json_t *as = settled(manifest, listed);

		json_array_append_new(diff, change_row(f->inventory, as));
	}
	json_object_foreach(leaving, id, manifest)
		ids[count++] = id;
	qsort(ids, count, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			diff,
			delete_row(ids[i], json_object_get(leaving, ids[i])));
}

/* ---- what ends with it ---- */

static bool has(const json_t *ids, const char *kind, const char *name)
{
	CLEANUP(mem_free_p) char *id = mem_format("%s/%s", kind, name);

	return json_object_get(ids, id) != NULL;
}

/* Whether a task ends when these leave. */
static bool ends_task(const json_t *ids, const struct task *t)
{
	const json_t *target;
	size_t at;

	if (has(ids, "Agent", json_text(t->doc, "agent", "")) ||
	    has(ids, "TaskClass", json_text(t->doc, "class", "")))
		return true;
	json_array_foreach(json_object_get(t->doc, "targets"), at, target) {
		if (has(ids, "Target", json_string_value(target)))
			return true;
	}
	return false;
}

static bool ends_grant(const json_t *ids, const struct grant *g)
{
	if (has(ids, "Target", g->target))
		return true;
	for (unsigned i = 0; i < g->hold_count; i++) {
		if (has(ids, "Agent", g->holds[i].by->agent))
			return true;
	}
	return false;
}

static bool ends_request(const json_t *ids, const struct request *r)
{
	return !request_state_is_end(r->state) &&
	       (has(ids, "Agent", json_text(r->doc, "agent", "")) ||
		has(ids, "Target", json_text(r->doc, "target", "")));
}

/* What leaves, and the agents that lose their owner: "Kind/name" to true. */
static json_t *ending_ids(const struct flow *f, const json_t *manifests)
{
	CLEANUP(json_put_p) json_t *listed = by_id(manifests);
	json_t *ids = leavers(f, listed);
	const char *id;
	json_t *manifest;

	json_object_foreach(listed, id, manifest) {
		if (is_orphan(manifest, listed))
			json_set_flag(ids, id, true);
	}
	return ids;
}

static size_t count_tasks(struct flow *f, const json_t *ids)
{
	const struct task *t;
	size_t count = 0;
	size_t at = 0;

	while ((t = map_next(f->tasks, &at, NULL)))
		count += ends_task(ids, t);
	return count;
}

static size_t count_grants(struct flow *f, const json_t *ids)
{
	struct grant *g;
	size_t count = 0;
	size_t at = 0;

	while ((g = map_next(f->grants, &at, NULL)))
		count += ends_grant(ids, g);
	return count;
}

json_t *prune_ends(struct flow *f, const json_t *manifests)
{
	CLEANUP(json_put_p) json_t *ids = ending_ids(f, manifests);
	json_t *ends = json_object();

	json_set_int(ends, "tasks", (int64_t)count_tasks(f, ids));
	json_set_int(ends, "grants", (int64_t)count_grants(f, ids));
	return ends;
}

/* ---- doing it ---- */

void prune_note(const struct flow *f, json_t *doc)
{
	CLEANUP(json_put_p)
	json_t *listed = by_id(json_object_get(doc, "manifests"));
	CLEANUP(json_put_p) json_t *leaving = leavers(f, listed);
	CLEANUP(json_put_p)
	json_t *ending = ending_ids(f, json_object_get(doc, "manifests"));
	json_t *names = json_array();
	json_t *all = json_array();
	const char *id;
	json_t *manifest;

	json_object_foreach(leaving, id, manifest)
		json_array_append_new(names, json_string(id));
	json_object_foreach(ending, id, manifest)
		json_array_append_new(all, json_string(id));
	if (json_array_size(names))
		json_set_text(doc, "state", "ending");
	json_set_new(doc, "leaving", names);
	json_set_new(doc, "ending", all);
}

void prune_load(struct flow *f, json_t *doc)
{
	const json_t *id;
	size_t at;

	json_array_foreach(json_object_get(doc, "leaving"), at, id)
		json_object_set(f->leaving, json_string_value(id), doc);
}

/* True if it was there. */
static bool drop_name(json_t *doc, const char *member, const char *id)
{
	json_t *names = json_object_get(doc, member);
	size_t before = json_array_size(names);

	for (size_t at = before; at > 0; at--) {
		if (!strcmp(json_string_value(json_array_get(names, at - 1)),
			    id))
			json_array_remove(names, at - 1);
	}
	return json_array_size(names) < before;
}

/* Who was to end without leaving, an orphan, has somebody again. */
static void spare(struct flow *f, struct evidence_txn *t, const char *id)
{
	const char *leaver;
	json_t *doc;

	json_object_foreach(f->leaving, leaver, doc) {
		if (drop_name(doc, "ending", id))
			evidence_put(t, NOUN_CHANGE, json_text(doc, "id", ""),
				     doc);
	}
}

void prune_come_back(struct flow *f, struct evidence_txn *t,
		     const json_t *manifests)
{
	const json_t *manifest;
	size_t at;

	if (!json_object_size(f->leaving))
		return;
	json_array_foreach(manifests, at, manifest) {
		CLEANUP(mem_free_p) char *id = manifest_id(manifest);
		json_t *doc = json_object_get(f->leaving, id);

		spare(f, t, id);
		if (!doc)
			continue;
		discard(drop_name(doc, "leaving", id));
		if (!json_array_size(json_object_get(doc, "leaving")))
			json_set_text(doc, "state", "applied");
		evidence_put(t, NOUN_CHANGE, json_text(doc, "id", ""), doc);
		json_object_del(f->leaving, id);
	}
}

static json_t *ids_of(const json_t *names)
{
	json_t *ids = json_object();
	const json_t *name;
	size_t at;

	json_array_foreach(names, at, name)
		json_set_flag(ids, json_string_value(name), true);
	return ids;
}

static void end_tasks(struct flow *f, const json_t *ids)
{
	CLEANUP(mem_free_p)
	struct task **list = mem_array(map_count(f->tasks) + 1, sizeof(*list));
	struct task *t;
	size_t count = 0;
	size_t at = 0;

	while ((t = map_next(f->tasks, &at, NULL))) {
		if (task_is_open(t) && ends_task(ids, t))
			list[count++] = t;
	}
	for (size_t i = 0; i < count; i++)
		task_end(list[i], "removed");
}

void prune_begin(struct flow *f, json_t *doc)
{
	CLEANUP(json_put_p)
	json_t *ids = ids_of(json_object_get(doc, "ending"));

	prune_load(f, doc);
	end_tasks(f, ids);
}

/* Whether anything of what leaves still stands, or may come to stand. */
static bool stands(struct flow *f, const json_t *ids)
{
	const struct request *r;
	size_t at = 0;

	while ((r = map_next(f->requests, &at, NULL))) {
		if (ends_request(ids, r))
			return true;
	}
	return count_tasks(f, ids) > 0 || count_grants(f, ids) > 0;
}

static json_t *removed_fields(const json_t *doc)
{
	json_t *fields = json_object();

	json_set_text(fields, "event", "removed");
	json_set_text(fields, "digest", json_text(doc, "digest", ""));
	json_set_int(fields, "removed",
		     (int64_t)json_array_size(json_object_get(doc, "leaving")));
	return fields;
}

static void remove_all(struct flow *f, json_t *doc, struct inventory *owned)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = owned;
	const char *change = json_text(doc, "id", "");
	struct evidence_txn *t = evidence_begin(f->evidence);
	struct evidence_part part = { "inventory",
				      json_object_get(doc, "leaving") };
	struct leaf_ref leaf;
	const json_t *name;
	size_t at;

	if (evidence_leaf(t, LEAF_CHANGE, change, removed_fields(doc), &part, 1,
			  &leaf) < 0) {
		evidence_abandon(t); /* the next tick tries again */
		return;
	}
	notice_change_removed(f, t, doc);
	json_array_foreach(json_object_get(doc, "leaving"), at, name) {
		const char *id = json_string_value(name);

		evidence_delete(t, NOUN_OBJECT, id);
		json_object_del(f->leaving, id);
	}
	json_set_text(doc, "state", "applied");
	json_set_new(doc, "removed", leaf_json(&leaf));
	evidence_put(t, NOUN_CHANGE, change, doc);
	if (inventory_swap(f, TAKE(inv)) < 0)
		must(ERR_BROKEN, "an inventory that was checked");
	evidence_commit(t, NULL, NULL);
}

/* Removes what one change lets go, if nothing of it stands. */
static void try_removing(struct flow *f, json_t *doc)
{
	CLEANUP(json_put_p)
	json_t *ids = ids_of(json_object_get(doc, "leaving"));
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(json_put_p) json_t *rest = NULL;
	CLEANUP(json_put_p)
	json_t *ending = ids_of(json_object_get(doc, "ending"));
	struct inventory *inv = NULL;
	const char *id;
	json_t *mark;

	/* A stop may have come before they were ended. */
	end_tasks(f, ending);
	if (stands(f, ids))
		return;
	rest = json_copy(
		(json_t *)(uintptr_t)inventory_manifests(f->inventory));
	json_object_foreach(ids, id, mark)
		json_object_del(rest, id);
	inventory_build(rest, &inv, &faults);
	if (inv)
		remove_all(f, doc, inv);
	else
		log_warning("cannot-remove", "change=%s why=\"%s\"",
			    json_text(doc, "id", ""),
			    json_text(json_array_get(faults, 0), "detail", ""));
}

void prune_tick(struct flow *f)
{
	CLEANUP(json_put_p) json_t *docs = json_object();
	const char *id;
	json_t *doc;

	if (!json_object_size(f->leaving) || evidence_is_busy(f->evidence))
		return;
	json_object_foreach(f->leaving, id, doc)
		json_object_set(docs, json_text(doc, "id", ""), doc);
	json_object_foreach(docs, id, doc)
		try_removing(f, doc);
}
