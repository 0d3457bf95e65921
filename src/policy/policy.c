#include "policy/policy.h"

#include "base/error.h"
#include "base/mem.h"
#include "policy/engine.h"
#include "policy/pack.h"

int engine_error(int code, const struct writ_cedar_error *error)
{
	if (code == 0)
		return 0;
	return error_set(code == WRIT_CEDAR_SYNTAX ? ERR_SYNTAX : ERR_BROKEN,
			 "%s", error->text);
}

json_t *texts_of(const char *const *texts, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(texts[i]));
	return array;
}

/* ---- bundles ---------------------------------------------------------------
 */

static int take_json(char *text, json_t **ret_value)
{
	int r = json_parse(slice_str(text), SIZE_MAX, ret_value);

	writ_cedar_text_free(text);
	return r;
}

/* Reads what the engine tells of its policies. */
static int describe(struct policy_bundle *b)
{
	struct writ_cedar_error error;
	json_t *list;
	char *text = NULL;

	TRY(engine_error(writ_cedar_describe(b->snapshot, &text, &error),
			 &error));
	TRY(take_json(text, &b->about));
	b->by_id = json_object();
	b->links = json_object();
	list = json_object_get(b->about, "policies");
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *policy = json_array_get(list, i);

		json_object_set(b->by_id, json_text(policy, "id", ""), policy);
	}
	return 0;
}

static int build_snapshot(const json_t *files,
			  const struct writ_cedar **ret_snapshot,
			  json_t **ret_faults)
{
	CLEANUP(buf_clear) struct buf packed = BUF_INIT(POLICY_FILES_MAX);
	struct writ_cedar_error error;
	char *text = NULL;
	int r;

	TRY(pack_json(&packed, files));
	r = writ_cedar_build(packed.data, packed.len, ret_snapshot, &text,
			     &error);
	TRY(engine_error(r, &error));
	return take_json(text, ret_faults);
}

int policy_bundle_build(const json_t *files, struct policy_bundle **ret_bundle,
			json_t **ret_faults)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = mem_new(struct policy_bundle);
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(mem_free_p) char *canonical = NULL;
	int r;

	b->references = 1;
	r = build_snapshot(files, &b->snapshot, &faults);
	if (r < 0)
		return error_context(r, "policy bundle");
	if (b->snapshot) {
		b->files = json_deep_copy(files);
		canonical = json_canonical(files);
		b->digest = digest_of(slice_str(canonical));
		TRY(describe(b));
		*ret_bundle = TAKE(b);
	} else {
		*ret_bundle = NULL;
	}
	*ret_faults = TAKE(faults);
	return 0;
}

struct policy_bundle *policy_bundle_ref(struct policy_bundle *b)
{
	__atomic_add_fetch(&b->references, 1, __ATOMIC_RELAXED);
	return b;
}

void policy_bundle_unref(struct policy_bundle *b)
{
	if (!b || __atomic_sub_fetch(&b->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	writ_cedar_unref(b->snapshot);
	json_decref(b->files);
	json_decref(b->about);
	json_decref(b->by_id);
	json_decref(b->links);
	free(b);
}

/* Everything of b but its snapshot, which is still to be made. */
static struct policy_bundle *copy_of(const struct policy_bundle *b)
{
	struct policy_bundle *copy = mem_new(struct policy_bundle);

	copy->references = 1;
	copy->digest = b->digest;
	copy->files = json_incref(b->files);
	copy->about = json_incref(b->about);
	copy->by_id = json_incref(b->by_id);
	copy->links = json_copy(b->links);
	return copy;
}

int bundle_without(const struct policy_bundle *b, const char *id,
		   struct policy_bundle **ret_less)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *less = copy_of(b);
	struct writ_cedar_error error;
	int r = writ_cedar_without(b->snapshot, id, &less->snapshot, &error);

	TRY(engine_error(r, &error));
	*ret_less = TAKE(less);
	return 0;
}

int bundle_watch(const struct policy_bundle *b,
		 struct policy_bundle **ret_watched)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *watched = copy_of(b);
	struct writ_cedar_error error;
	int r = writ_cedar_watch(b->snapshot, &watched->snapshot, &error);

	TRY(engine_error(r, &error));
	*ret_watched = TAKE(watched);
	return 0;
}

int bundle_watched(const struct policy_bundle *b, json_t **ret_ids)
{
	struct writ_cedar_error error;
	char *text = NULL;

	TRY(engine_error(writ_cedar_watched(b->snapshot, &text, &error),
			 &error));
	return take_json(text, ret_ids);
}

/* What people are told of a link is what its template says. */
static void describe_links(struct policy_bundle *linked, const json_t *links)
{
	const json_t *link;
	size_t at;

	json_array_foreach(links, at, link) {
		const char *template = json_text(link, "template", "");

		json_object_set(linked->links, json_text(link, "id", ""),
				json_object_get(linked->by_id, template));
	}
}

int policy_bundle_link(struct policy_bundle *b, const json_t *links,
		       struct policy_bundle **ret_linked)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *linked = copy_of(b);
	CLEANUP(buf_clear) struct buf packed = BUF_INIT(POLICY_FILES_MAX);
	struct writ_cedar_error error;
	int r;

	TRY(pack_json(&packed, links));
	r = writ_cedar_link(b->snapshot, packed.data, packed.len,
			    &linked->snapshot, &error);
	TRY(engine_error(r, &error));
	describe_links(linked, links);
	*ret_linked = TAKE(linked);
	return 0;
}

const struct digest *policy_bundle_digest(const struct policy_bundle *b)
{
	return &b->digest;
}

static const json_t *about_of(const struct policy_bundle *b, const char *id)
{
	const json_t *link = json_object_get(b->links, id);

	return link ? link : json_object_get(b->by_id, id);
}

const char *policy_title(const struct policy_bundle *b, const char *id)
{
	return json_text(about_of(b, id), "title", NULL);
}

const char *policy_text(const struct policy_bundle *b, const char *id)
{
	return json_text(about_of(b, id), "text", NULL);
}

size_t policy_count(const struct policy_bundle *b)
{
	return json_array_size(json_object_get(b->about, "policies"));
}

static void show(json_t *list, const char *id, const json_t *policy)
{
	json_t *shown = json_object();

	json_set_text(shown, "id", id);
	json_set_text(shown, "title", json_text(policy, "title", NULL));
	json_set_text(shown, "effect", json_text(policy, "effect", NULL));
	if (!strcmp(json_text(policy, "set", ""), "shadows"))
		json_set_flag(shown, "shadow", true);
	json_array_append_new(list, shown);
}

json_t *policy_list(const struct policy_bundle *b)
{
	json_t *list = json_array();
	const char *id;
	const json_t *policy;
	size_t at;

	json_array_foreach(json_object_get(b->about, "policies"), at, policy)
		show(list, json_text(policy, "id", NULL), policy);
	json_object_foreach(b->links, id, policy)
		show(list, id, policy);
	return list;
}

const char *policy_engine(void)
{
	return writ_cedar_version();
}

/* ---- the world ---- */

int policy_world_build(const struct policy_bundle *b, const json_t *entities,
		       struct policy_world **ret_world)
{
	CLEANUP(buf_clear) struct buf packed = BUF_INIT(POLICY_WORLD_MAX);
	CLEANUP(policy_world_unref_p)
	struct policy_world *w = mem_new(struct policy_world);
	struct writ_cedar_error error;
	int r;

	w->references = 1;
	TRY(pack_json(&packed, entities));
	r = writ_cedar_world_build(b->snapshot, packed.data, packed.len,
				   &w->world, &error);
	TRY(engine_error(r, &error));
	*ret_world = TAKE(w);
	return 0;
}

struct policy_world *policy_world_ref(struct policy_world *w)
{
	__atomic_add_fetch(&w->references, 1, __ATOMIC_RELAXED);
	return w;
}

void policy_world_unref(struct policy_world *w)
{
	if (!w || __atomic_sub_fetch(&w->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	writ_cedar_world_free(w->world);
	free(w);
}

/* ---- asking ---- */

int question_open(const struct policy_bundle *b, const struct policy_world *w,
		  const json_t *ask, struct question *ret_question)
{
	CLEANUP(buf_clear) struct buf packed = BUF_INIT(POLICY_ASK_MAX);
	struct writ_cedar_error error;
	struct question q = { 0 };
	int r;

	TRY(pack_json(&packed, ask));
	r = writ_cedar_query_new(b->snapshot, w ? w->world : NULL, packed.data,
				 packed.len, &q.query, &error);
	TRY(engine_error(r, &error));
	*ret_question = q;
	return 0;
}

int question_open_typed(const struct policy_bundle *b,
			const struct policy_world *w,
			const struct policy_question *typed, bool *ret_general,
			struct question *ret_question)
{
	struct writ_cedar_error error;
	struct question q = { 0 };
	int r = writ_cedar_question_new(b->snapshot, w ? w->world : NULL, typed,
					&q.query, &error);

	*ret_general = r == WRIT_CEDAR_GENERAL;
	if (*ret_general)
		return 0;
	TRY(engine_error(r, &error));
	*ret_question = q;
	return 0;
}

void question_close(struct question *q)
{
	writ_cedar_query_free(q->query);
	q->query = NULL;
}

int question_ask(struct question *q, const struct writ_cedar_variant *variant,
		 int parts, struct writ_cedar_answer *ret_answer)
{
	struct writ_cedar_error error;

	q->evaluations++;
	return engine_error(writ_cedar_query_run(q->query, variant, parts,
						 ret_answer, &error),
			    &error);
}

static int ask_both(const struct policy_bundle *b, const struct policy_world *w,
		    const json_t *ask, struct policy_answer *answer)
{
	CLEANUP(question_close) struct question q = { 0 };
	struct writ_cedar_answer told;

	TRY(question_open(b, w, ask, &q));
	TRY(question_ask(&q, NULL, POLICY_BOTH, &told));
	answer->policies = texts_of(told.reasons, told.reason_count);
	answer->errors = texts_of(told.errors, told.error_count);
	answer->allow = told.allow;
	return 0;
}

int policy_ask(const struct policy_bundle *b, const struct policy_world *w,
	       const json_t *ask, struct policy_answer *ret_answer)
{
	struct policy_answer answer = { 0 };
	int r = ask_both(b, w, ask, &answer);

	if (r < 0) {
		answer.policies = json_array();
		answer.errors = json_pack("[s]", "request");
	}
	*ret_answer = answer;
	return r;
}

void policy_answer_clear(struct policy_answer *a)
{
	json_decref(a->policies);
	json_decref(a->errors);
	*a = (struct policy_answer){ 0 };
}
