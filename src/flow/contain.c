/*
 * Containment: one signature freezes an agent or a task.  Nothing new arms,
 * what waits is withdrawn, grants end and are read back; every point is listed
 * with its proof.  Letting go takes two signatures.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/state.h"

enum {
	RELEASE_SIGNATURES = 2,
	RELEASE_LIFE_MS = 3600 * 1000, /* of a signature under a release */
	FREEZE_AGAIN_MS = 50,	       /* between looks for a log with room */
	POINTS_PAGE = 500,	       /* read at once */
};

bool is_contained(const struct flow *f, const char *agent, const char *task)
{
	const json_t *doc;
	size_t at = 0;

	while ((doc = map_next(f->containments, &at, NULL))) {
		const char *kind = json_text(doc, "kind", "");
		const char *name = json_text(doc, "name", "");

		if (!strcmp(kind, "agent") && agent && !strcmp(name, agent))
			return true;
		if (!strcmp(kind, "task") && task && !strcmp(name, task))
			return true;
	}
	return false;
}

json_t *containment_view(const json_t *doc)
{
	static const char *const members[] = {
		"id",	 "kind",   "name",     "reason",   "by",     "at",
		"state", "points", "released", "evidence", "erased", "signers"
	};
	json_t *view = json_object();

	json_pick(view, doc, members, ARRAY_LEN(members));
	return view;
}

/* ---- points: what a containment is about, and what became of it ---- */

static char *point_key(const json_t *doc, const char *id)
{
	return mem_format("%s %s", json_text(doc, "id", ""), id);
}

/* There may be thousands: only the one that changed is written. */
void containment_note(struct flow *f, const char *id, const char *state,
		      const struct leaf_ref *leaf, struct evidence_txn *t)
{
	json_t *doc;
	size_t at = 0;

	while ((doc = map_next(f->containments, &at, NULL))) {
		CLEANUP(mem_free_p) char *key = point_key(doc, id);
		CLEANUP(json_put_p) json_t *row = NULL;
		json_t *point = map_get(f->points, key);

		if (!point)
			continue;
		json_set_text(point, "state", state);
		json_set_new(point, "evidence", leaf_json(leaf));
		row = json_copy(point);
		json_object_set(row, "containment", json_object_get(doc, "id"));
		evidence_put(t, NOUN_POINT, key, row);
	}
}

static void add_point(struct flow *f, json_t *doc, const char *kind,
		      const char *id, const char *state)
{
	CLEANUP(mem_free_p) char *key = point_key(doc, id);
	json_t *point;

	if (map_get(f->points, key))
		return;
	point = json_object();
	json_set_text(point, "kind", kind);
	json_set_text(point, "id", id);
	json_set_text(point, "state", state);
	json_array_append_new(json_object_get(doc, "points"), point);
	map_put(f->points, key, point);
}

static void index_points(struct flow *f, json_t *doc)
{
	json_t *point;
	size_t at;

	json_array_foreach(json_object_get(doc, "points"), at, point) {
		CLEANUP(mem_free_p)
		char *key = point_key(doc, json_text(point, "id", ""));

		map_put(f->points, key, point);
	}
}

static void forget_points(struct flow *f, const json_t *doc)
{
	const json_t *point;
	size_t at;

	json_array_foreach(json_object_get(doc, "points"), at, point) {
		CLEANUP(mem_free_p)
		char *key = point_key(doc, json_text(point, "id", ""));

		map_remove(f->points, key);
	}
}

/* Point ids of a document -> points. */
static struct map *points_by_id(const json_t *doc)
{
	struct map *by_id = map_new();
	json_t *point;
	size_t at;

	json_array_foreach(json_object_get(doc, "points"), at, point)
		map_put(by_id, json_text(point, "id", ""), point);
	return by_id;
}

static void overlay_rows(const struct map *by_id, const json_t *rows)
{
	static const char *const members[] = { "state", "evidence" };
	const json_t *row;
	size_t at;

	json_array_foreach(rows, at, row) {
		json_t *point = map_get(by_id, json_text(row, "id", ""));

		if (point)
			json_pick(point, row, members, ARRAY_LEN(members));
	}
}

void containment_overlay(struct flow *f, json_t *doc)
{
	CLEANUP(map_free_p) struct map *by_id = points_by_id(doc);
	CLEANUP(mem_free_p) char *after = NULL;
	size_t count = POINTS_PAGE;

	while (count == POINTS_PAGE) {
		CLEANUP(json_put_p) json_t *rows = NULL;

		must(store_find(evidence_reader(f->evidence), NOUN_POINT,
				"containment", json_text(doc, "id", ""), after,
				POINTS_PAGE, &rows),
		     "the points of a containment");
		count = json_array_size(rows);
		overlay_rows(by_id, rows);
		free(after);
		after = count ? point_key(doc,
					  json_text(json_array_get(rows,
								   count - 1),
						    "id", ""))
			      : NULL;
	}
}

/* Whether it contains what is of this agent, in this task, or in one that was
 * delegated from what it contains. */
static bool concerns(struct flow *f, const json_t *doc, const char *agent,
		     const char *task)
{
	bool by_agent = !strcmp(json_text(doc, "kind", ""), "agent");
	const char *name = json_text(doc, "name", "");

	return !strcmp(by_agent ? agent : task, name) ||
	       delegation_concerns(task_find(f, task), by_agent ? name : NULL,
				   by_agent ? NULL : name);
}

static bool is_held_within(const json_t *doc, const struct grant *g)
{
	for (unsigned i = 0; i < g->hold_count; i++) {
		const struct holding *by = g->holds[i].by;

		if (!g->holds[i].ended &&
		    concerns(g->flow, doc, by->agent, by->task))
			return true;
	}
	return false;
}

void containment_point(struct flow *f, const char *agent, const char *task,
		       const char *kind, const char *id, const char *state)
{
	json_t *doc;
	size_t at = 0;

	while ((doc = map_next(f->containments, &at, NULL))) {
		struct evidence_txn *t;

		if (!concerns(f, doc, agent, task))
			continue;
		add_point(f, doc, kind, id, state);
		t = evidence_begin(f->evidence);
		evidence_put(t, NOUN_CONTAINMENT, json_text(doc, "id", ""),
			     doc);
		evidence_commit(t, NULL, NULL);
	}
}

/* What another task holds, too, goes on standing. */
static void mark_kept(struct flow *f, json_t *doc)
{
	json_t *point;
	size_t at;

	json_array_foreach(json_object_get(doc, "points"), at, point) {
		const struct grant *g =
			map_get(f->grants, json_text(point, "id", ""));

		if (g && g->active)
			json_set_text(point, "state", "held by another task");
	}
}

static void freeze_tasks(struct flow *f, json_t *doc)
{
	CLEANUP(mem_free_p)
	struct task **list = mem_array(map_count(f->tasks) + 1, sizeof(*list));
	struct task *t;
	size_t count = 0;
	size_t at = 0;

	while ((t = map_next(f->tasks, &at, NULL))) {
		if (concerns(f, doc, json_text(t->doc, "agent", ""), t->id))
			list[count++] = t;
	}
	/* The end of one is that of what it delegated. */
	for (size_t i = 0; i < count; i++)
		add_point(f, doc, "task", list[i]->id, "frozen");
	for (size_t i = 0; i < count; i++)
		task_end(list[i], "contained");
}

/* Points before their ends begin, so that each end finds its point. */
static void list_points(struct flow *f, json_t *doc)
{
	const struct request *r;
	const struct grant *g;
	size_t at = 0;

	while ((r = map_next(f->requests, &at, NULL))) {
		if (concerns(f, doc, json_text(r->doc, "agent", ""),
			     json_text(r->doc, "task", "")) &&
		    !request_state_is_end(r->state))
			add_point(f, doc, "request", r->id,
				  request_state_name(r->state));
	}
	at = 0;
	while ((g = map_next(f->grants, &at, NULL))) {
		if (is_held_within(doc, g))
			add_point(f, doc, "grant", g->id, "ending");
	}
}

static const char *contain_fault(struct flow *f, const struct statement *s)
{
	const char *kind = json_text(s->body, "kind", "");
	const char *name = json_text(s->body, "name", "");
	CLEANUP(json_put_p) json_t *ask = NULL;
	struct policy_answer policy = { 0 };
	bool allowed;

	if (!strcmp(kind, "agent") &&
	    !inventory_find(f->inventory, MANIFEST_AGENT, name))
		return "There is no such agent.";
	if (!strcmp(kind, "task") && !task_find(f, name))
		return "There is no such open task.";
	ask = ask_administer(s->human, "Agent", true, clock_wall_ms(), 1);
	allowed = policy_ask(f->linked, f->world, ask, &policy) == 0 &&
		  policy.allow;
	policy_answer_clear(&policy);
	/* An owner may always stop what they answer for. */
	if (!allowed && !strcmp(kind, "agent"))
		allowed =
			!strcmp(json_text(inventory_spec(f->inventory,
							 MANIFEST_AGENT, name),
					  "owner", ""),
				s->human);
	return allowed ? NULL : "Only an administrator or the owner contains.";
}

static json_t *containment_doc(const struct statement *s)
{
	json_t *doc = json_object();
	char id[ID_MAX];

	id_new("ctn", id);
	json_set_text(doc, "id", id);
	json_set_text(doc, "kind", json_text(s->body, "kind", ""));
	json_set_text(doc, "name", json_text(s->body, "name", ""));
	json_set_text(doc, "reason", json_text(s->body, "reason", ""));
	json_set_text(doc, "by", s->human);
	json_set_time(doc, "at", clock_wall_ms());
	json_set_text(doc, "state", "in-force");
	json_set_new(doc, "points", json_array());
	json_set_new(doc, "signers", json_array());
	return doc;
}

static void contain(struct flow *f, const struct statement *s,
		    struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *subject = mem_format("human:%s", s->human);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	struct evidence_part part = { subject, kept };
	json_t *doc = containment_doc(s);
	const char *id = json_text(doc, "id", "");
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "scope", json_text(doc, "kind", ""));
	must(evidence_leaf(t, LEAF_CONTAIN, id, fields, &part, 1, &leaf),
	     "a containment's leaf");
	json_set_new(doc, "evidence", leaf_json(&leaf));
	list_points(f, doc);
	notice_contained(f, t, doc);
	signed_put(f, t, s);
	evidence_put(t, NOUN_CONTAINMENT, id, doc);
	evidence_commit(t, NULL, NULL);
	map_put(f->containments, id, doc);
	policy_relink(f);
	freeze_tasks(f, doc);
	mark_kept(f, doc);
	t = evidence_begin(f->evidence);
	evidence_put(t, NOUN_CONTAINMENT, id, doc);
	commit_answer(f, t, reply, ANSWER_CREATED, containment_view(doc));
}

void flow_contain(struct flow *f, const json_t *signed_form,
		  struct reply_to reply)
{
	struct statement s;
	const char *why;

	if (!signed_take(f, signed_form, STATEMENT_CONTAIN, reply, &s))
		return;
	why = contain_fault(f, &s);
	if (why)
		answer_problem(reply, ANSWER_DENIED, "may-not-contain", "%s",
			       why);
	else
		contain(f, &s, reply);
	statement_clear(&s);
}

/* ---- release ---- */

static bool policy_lets_release(struct flow *f, const char *human,
				int64_t signatures)
{
	CLEANUP(json_put_p)
	json_t *ask = ask_administer(human, "Release", false, clock_wall_ms(),
				     signatures);
	struct policy_answer policy = { 0 };
	bool allowed = policy_ask(f->linked, f->world, ask, &policy) == 0 &&
		       policy.allow;

	policy_answer_clear(&policy);
	return allowed;
}

/* Signatures that still count: not too old, and by people who are still active
 * administrators.  Owned array of {"human", "atMs"}. */
static json_t *live_releases(const struct flow *f, const json_t *doc,
			     int64_t now_ms)
{
	json_t *live = json_array();
	json_t *one;
	size_t at;

	json_array_foreach(json_object_get(doc, "releases"), at, one) {
		int64_t age_ms = now_ms - json_int(one, "atMs", 0);

		if (age_ms <= RELEASE_LIFE_MS &&
		    human_is(f, json_text(one, "human", ""), "administrators"))
			json_array_append(live, one);
	}
	return live;
}

static json_t *names_of(const json_t *releases)
{
	json_t *names = json_array();
	const json_t *one;
	size_t at;

	json_array_foreach(releases, at, one)
		json_array_append(names, json_object_get(one, "human"));
	return names;
}

static void add_release(json_t *releases, const char *human, int64_t now_ms)
{
	json_t *one = json_object();

	json_set_text(one, "human", human);
	json_set_int(one, "atMs", now_ms);
	json_array_append_new(releases, one);
}

/* Policy is asked for each of them. */
static bool enough(struct flow *f, const json_t *names)
{
	int64_t count = (int64_t)json_array_size(names);
	const json_t *name;
	size_t at;

	json_array_foreach(names, at, name) {
		if (!policy_lets_release(f, json_string_value(name), count))
			return false;
	}
	return count >= RELEASE_SIGNATURES;
}

static void record_release(struct flow *f, json_t *doc,
			   const struct statement *s, struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *subject = mem_format("human:%s", s->human);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	struct evidence_part part = { subject, kept };
	const char *id = json_text(doc, "id", "");
	const json_t *signers = json_object_get(doc, "signers");
	bool released = enough(f, signers);
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_int(fields, "signatures", (int64_t)json_array_size(signers));
	json_set_flag(fields, "released", released);
	must(evidence_leaf(t, LEAF_RELEASE, id, fields, &part, 1, &leaf),
	     "a release's leaf");
	signed_put(f, t, s);
	if (released) {
		json_set_text(doc, "state", "released");
		json_set_new(doc, "released", leaf_json(&leaf));
	}
	evidence_put(t, NOUN_CONTAINMENT, id, doc);
	commit_answer(f, t, reply, released ? ANSWER_OK : ANSWER_WAITING,
		      containment_view(doc));
	if (!released)
		return;
	forget_points(f, doc);
	json_decref(map_remove(f->containments, id));
	policy_relink(f);
}

void flow_release(struct flow *f, const char *id, const json_t *signed_form,
		  struct reply_to reply)
{
	json_t *doc = map_get(f->containments, id);
	CLEANUP(json_put_p) json_t *releases = NULL;
	CLEANUP(json_put_p) json_t *signers = NULL;
	int64_t now_ms = clock_wall_ms();
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_RELEASE, reply, &s))
		return;
	releases = live_releases(f, doc, now_ms);
	signers = names_of(releases);
	if (!doc || strcmp(json_text(s.body, "containment", ""), id) != 0) {
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-containment",
			       "No such containment is in force.");
	} else if (!human_is(f, s.human, "administrators")) {
		answer_problem(reply, ANSWER_DENIED, "may-not-release",
			       "Only administrators release.");
	} else if (json_has_text(signers, s.human)) {
		answer_problem(reply, ANSWER_CONFLICT, "signed-already",
			       "This person has signed the release already.");
	} else {
		add_release(releases, s.human, now_ms);
		json_object_set(doc, "releases", releases);
		json_set_new(doc, "signers", names_of(releases));
		record_release(f, doc, &s, reply);
	}
	statement_clear(&s);
}

/* ---- loading ---- */

/* A task with what it has delegated. */
static void freeze_tree(struct flow *f, json_t *doc, struct task *t)
{
	size_t count;
	CLEANUP(mem_free_p) struct task **list = delegation_tree(t, &count);

	for (size_t i = 0; i < count; i++)
		add_point(f, doc, "task", list[i]->id, "frozen");
	task_end(t, "contained");
}

static bool freeze_one(struct flow *f)
{
	json_t *doc;
	struct task *t;
	size_t at = 0;

	while ((doc = map_next(f->containments, &at, NULL))) {
		size_t i = 0;

		while ((t = map_next(f->tasks, &i, NULL))) {
			if (!concerns(f, doc, json_text(t->doc, "agent", ""),
				      t->id) ||
			    !task_is_open(t))
				continue;
			freeze_tree(f, doc, t);
			return true;
		}
	}
	return false;
}

/* As many in one turn as the log has room for. */
static void freeze_again(void *cookie)
{
	struct flow *f = cookie;
	bool more = true;

	f->freeze = NULL;
	while (more && !evidence_is_busy(f->evidence))
		more = freeze_one(f);
	if (more)
		f->freeze =
			loop_timer(f->loop, FREEZE_AGAIN_MS, freeze_again, f);
}

void containments_take_up(struct flow *f)
{
	if (map_count(f->containments))
		f->freeze = loop_timer(f->loop, 0, freeze_again, f);
}

void containment_load(struct flow *f, json_t *doc)
{
	containment_overlay(f, doc);
	index_points(f, doc);
	map_put(f->containments, json_text(doc, "id", ""), json_incref(doc));
}
