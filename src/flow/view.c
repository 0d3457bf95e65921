/*
 * Who may read what.  Agents: their own tasks and requests.  Owners: those of
 * their agents.  Approvers: what their groups are asked, and what they signed.
 * Administrators and auditors (members of a group of that name): everything but
 * payloads, which are read by a signed act that leaves a leaf.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "flow/point.h"
#include "flow/state.h"
#include "notify/notify.h"

enum {
	BATCH = 256,	      /* documents read at a time */
	BATCHES_MAX = 8,      /* for one page */
	PAGE_BYTES = 8 << 20, /* a page ends after it has as much */
};

static bool reads_all(const struct flow *f, const struct caller *caller)
{
	return !caller || (caller->kind == CALLER_HUMAN &&
			   (human_is(f, caller->name, "administrators") ||
			    human_is(f, caller->name, "auditors")));
}

/* Whether an agent is among the holders of a grant. */
static bool holds(const char *agent, const json_t *doc)
{
	const json_t *holder;
	size_t at;

	json_array_foreach(json_object_get(doc, "holders"), at, holder) {
		if (!strcmp(json_text(holder, "agent", ""), agent))
			return true;
	}
	return false;
}

/* Whether a human owns an agent above, of a task that was delegated. */
static bool owns_above(const struct flow *f, const struct caller *caller,
		       const json_t *doc)
{
	const json_t *name;
	size_t at;

	json_array_foreach(json_object_get(doc, "chain"), at, name) {
		const json_t *spec = inventory_spec(
			f->inventory, MANIFEST_AGENT, json_string_value(name));

		if (!strcmp(json_text(spec, "owner", ""), caller->name))
			return true;
	}
	return false;
}

static bool owns(const struct flow *f, const struct caller *caller,
		 const json_t *doc)
{
	const char *agent = json_text(doc, "agent", "");
	const char *owner =
		json_text(inventory_spec(f->inventory, MANIFEST_AGENT, agent),
			  "owner", "");

	if (caller->kind == CALLER_AGENT)
		return !strcmp(agent, caller->name) ||
		       holds(caller->name, doc) ||
		       json_has_text(json_object_get(doc, "chain"),
				     caller->name);
	return !strcmp(owner, caller->name) || owns_above(f, caller, doc);
}

static bool is_asked(const struct flow *f, const struct caller *caller,
		     const json_t *doc)
{
	json_t *groups = json_object_get(doc, "waitingFor");
	const char *group;
	json_t *count;

	if (caller->kind != CALLER_HUMAN)
		return false;
	json_object_foreach(groups, group, count) {
		const char *instead = json_text(
			json_object_get(json_object_get(doc, "escalated"),
					group),
			"to", NULL);

		if (inventory_is_member(f->inventory, caller->name, group) ||
		    inventory_is_member(f->inventory, caller->name, instead))
			return true;
	}
	return false;
}

/* Whoever signed may see what came of it. */
static bool has_signed(const struct caller *caller, const json_t *doc)
{
	const json_t *approval;
	size_t i;

	if (caller->kind != CALLER_HUMAN)
		return false;
	json_array_foreach(json_object_get(doc, "approvals"), i, approval) {
		if (!strcmp(json_text(approval, "human", ""), caller->name))
			return true;
	}
	return false;
}

/* Advice is read by who could carry it out: the owner of an agent with an open
 * task on its target. */
static bool may_adopt(const struct flow *f, const struct caller *caller,
		      const json_t *doc)
{
	const char *target = json_text(doc, "target", "");
	const struct task *t;
	size_t at = 0;

	if (caller->kind != CALLER_HUMAN ||
	    strcmp(json_text(doc, "state", ""), "recommended") != 0)
		return false;
	while ((t = map_next(f->tasks, &at, NULL))) {
		if (owns(f, caller, t->doc) &&
		    json_has_text(json_object_get(t->doc, "targets"), target))
			return true;
	}
	return false;
}

static bool may_read(const struct flow *f, const struct caller *caller,
		     const json_t *doc)
{
	return reads_all(f, caller) || owns(f, caller, doc) ||
	       is_asked(f, caller, doc) || has_signed(caller, doc) ||
	       may_adopt(f, caller, doc);
}

/* What an approver needs: the plan as it will be signed. */
static json_t *approval_view(const json_t *doc)
{
	json_t *view = json_object();

	json_set_new(view, "request", request_view(doc));
	json_set_text(view, "plan", json_text(doc, "planText", ""));
	json_set_text(view, "digest", json_text(doc, "digest", ""));
	json_object_set(view, "groups", json_object_get(doc, "waitingFor"));
	json_object_set(view, "barred", json_object_get(doc, "barred"));
	json_object_set(view, "escalated", json_object_get(doc, "escalated"));
	return view;
}

/* An agent sees its own hold on a grant, and of the others how many. */
static json_t *grant_for_agent(const char *agent, const json_t *doc)
{
	json_t *view = grant_view(doc);
	json_t *own = json_array();
	json_t *holder;
	size_t others = 0;
	size_t at;

	json_array_foreach(json_object_get(doc, "holders"), at, holder) {
		if (!strcmp(json_text(holder, "agent", ""), agent))
			json_array_append(own, holder);
		else
			others++;
	}
	json_set_new(view, "holders", own);
	json_set_int(view, "otherHolders", (int64_t)others);
	if (strcmp(json_text(doc, "agent", ""), agent) != 0) {
		json_object_del(view, "agent");
		json_object_del(view, "request");
		json_object_del(view, "evidence");
	}
	return view;
}

static json_t *plain_view(const json_t *doc)
{
	return json_copy((json_t *)(uintptr_t)doc);
}

static const struct {
	enum noun noun;
	const char *list; /* name of the list's member */
	json_t *(*view)(const json_t *doc);
	bool administrators; /* only those who read all */
	const char *states;  /* "a|b|c"; NULL: it has none */
} views[VIEW_COUNT] = {
	[VIEW_TASK] = { NOUN_TASK, "tasks", task_view, false,
			"open|ending|completed|expired|lapsed|contained|"
			"removed" },
	[VIEW_REQUEST] = { NOUN_REQUEST, "requests", request_view, false,
#define STATE_WORD(name, text, end, help) text "|"
			   REQUEST_STATES(STATE_WORD)
#undef STATE_WORD
	},
	[VIEW_GRANT] = { NOUN_GRANT, "grants", grant_view, false,
			 "active|ending|ended" },
	[VIEW_CHANGE] = { NOUN_CHANGE, "changes", change_view, true,
			  "waiting|ending|applied|expired|changed" },
	[VIEW_CONTAINMENT] = { NOUN_CONTAINMENT, "containments",
			       containment_view, true, "in-force|released" },
	[VIEW_APPROVAL] = { NOUN_REQUEST, "approvals", approval_view, false,
			    "waiting" },
	[VIEW_SIGNAL] = { NOUN_SIGNAL, "signals", plain_view, true, NULL },
	[VIEW_EXCEPTION] = { NOUN_EXCEPTION, "exceptions", exception_view, true,
			     "waiting|in-force|revoked|expired" },
};

bool flow_view_has_state(enum view view, const char *state)
{
	const char *at = views[view].states;
	size_t length = strlen(state);

	while (at && *at) {
		size_t word = strcspn(at, "|");

		if (length && word == length && !strncmp(at, state, word))
			return true;
		at += word + (at[word] == '|');
	}
	return false;
}

static json_t *view_for(const struct caller *caller, enum view view,
			const json_t *doc)
{
	bool agent = caller && caller->kind == CALLER_AGENT;

	if (agent && view == VIEW_REQUEST)
		return request_agent_view(doc);
	if (agent && view == VIEW_GRANT)
		return grant_for_agent(caller->name, doc);
	return views[view].view(doc);
}

/* A plan that waits for approval, or advice that may be adopted. */
static bool is_to_be_signed(const json_t *doc)
{
	const char *state = json_text(doc, "state", "");

	return !strcmp(state, "waiting") || !strcmp(state, "recommended");
}

static void no_such_thing(struct reply_to reply)
{
	answer_problem(reply, ANSWER_NOT_FOUND, "not-found",
		       "There is no such thing, or not for this caller.");
}

static void view_one(struct flow *f, const struct caller *caller,
		     enum view view, const char *id, struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *doc = NULL;
	json_t *shown;

	if (store_get(evidence_reader(f->evidence), views[view].noun, id, &doc,
		      NULL) < 0 ||
	    !may_read(f, caller, doc) ||
	    (views[view].administrators && !reads_all(f, caller))) {
		no_such_thing(reply);
		return;
	}
	if (view == VIEW_APPROVAL && !is_to_be_signed(doc)) {
		answer_not_waiting(reply, json_text(doc, "state", ""));
		return;
	}
	if (view == VIEW_CONTAINMENT)
		containment_overlay(f, doc);
	shown = view_for(caller, view, doc);
	if (view == VIEW_EXCEPTION)
		exception_show_uses(f, shown);
	answer(reply, ANSWER_OK, shown);
}

/* Agents are found by their name, others see what is in a state. */
static int find_for(struct flow *f, const struct caller *caller, enum view view,
		    const struct page *page, const char *after,
		    json_t **ret_docs)
{
	struct store *store = evidence_reader(f->evidence);
	bool by_agent = caller && caller->kind == CALLER_AGENT &&
			(view == VIEW_TASK || view == VIEW_REQUEST);

	if (by_agent)
		return store_find(store, views[view].noun, "agent",
				  caller->name, after, BATCH, ret_docs);
	return store_find(store, views[view].noun, page->state ? "state" : NULL,
			  page->state, after, BATCH, ret_docs);
}

static bool is_shown(const struct flow *f, const struct caller *caller,
		     enum view view, const struct page *page, const json_t *doc)
{
	if (page->state &&
	    strcmp(json_text(doc, "state", ""), page->state) != 0)
		return false;
	if (view == VIEW_APPROVAL)
		return is_asked(f, caller, doc);
	if (view == VIEW_SIGNAL &&
	    json_int(doc, "expiresMs", 0) <= clock_wall_ms())
		return false;
	return may_read(f, caller, doc) &&
	       (!views[view].administrators || reads_all(f, caller));
}

/* A list that is being filled. */
struct listing {
	struct flow *flow;
	const struct caller *caller;
	enum view view;
	const struct page *page;
	unsigned limit;
	json_t *rows;
	size_t bytes; /* of what the rows were made from */
	char *after;  /* owned: the last id that was looked at */
};

/* Takes one batch; false once there is nothing more to look at, or the page is
 * full.  ret_over: the list ends here. */
static bool take_batch(struct listing *l, json_t *docs, bool *ret_over)
{
	json_t *doc;
	size_t at;

	json_array_foreach(docs, at, doc) {
		if (json_array_size(l->rows) >= l->limit ||
		    l->bytes >= PAGE_BYTES)
			return false;
		free(l->after);
		l->after = mem_str(json_text(doc, "id", ""));
		if (l->view == VIEW_CONTAINMENT)
			containment_overlay(l->flow, doc);
		if (!is_shown(l->flow, l->caller, l->view, l->page, doc))
			continue;
		l->bytes += json_dumpb(doc, NULL, 0, JSON_COMPACT);
		json_array_append_new(l->rows,
				      view_for(l->caller, l->view, doc));
	}
	*ret_over = json_array_size(docs) < BATCH;
	return !*ret_over;
}

/* Fills the page.  ret_over: nothing comes after it. */
static int fill_page(struct listing *l, bool *ret_over)
{
	bool more = true;

	*ret_over = false;
	for (int i = 0; more && i < BATCHES_MAX; i++) {
		CLEANUP(json_put_p) json_t *docs = NULL;

		TRY(find_for(l->flow, l->caller, l->view, l->page, l->after,
			     &docs));
		more = take_batch(l, docs, ret_over);
	}
	return 0;
}

void flow_list(struct flow *f, const struct caller *caller, enum view view,
	       const struct page *page, struct reply_to reply)
{
	struct page wanted = *page;
	struct listing l = {
		.flow = f,
		.caller = caller,
		.view = view,
		.page = &wanted,
		.limit = page->limit ? page->limit : PAGE_MAX,
		.rows = json_array(),
		.after = mem_str(page->after),
	};
	json_t *body = json_object();
	bool over = true;

	json_set_new(body, views[view].list, l.rows);
	if (view == VIEW_APPROVAL)
		wanted.state = "waiting";
	if (fill_page(&l, &over) < 0) {
		json_decref(body);
		answer_problem(reply, ANSWER_UNAVAILABLE, "unavailable",
			       "The database could not be read.");
	} else {
		json_set_text(body, "next", over ? NULL : l.after);
		answer(reply, ANSWER_OK, body);
	}
	free(l.after);
}

void flow_view(struct flow *f, const struct caller *caller, enum view view,
	       const char *id, const char *state, struct reply_to reply)
{
	struct page page = { .state = state };

	if (id)
		view_one(f, caller, view, id, reply);
	else
		flow_list(f, caller, view, &page, reply);
}

/* ---- inventory ---- */

static bool same_word(const char *kind, const char *word)
{
	size_t length = strlen(kind);

	return !strncasecmp(kind, word, length) &&
	       (!word[length] || !strcasecmp(word + length, "s") ||
		!strcasecmp(word + length, "es"));
}

static bool kind_of_word(const char *word, enum manifest_kind *ret)
{
	for (int kind = 0; kind < MANIFEST_KIND_COUNT; kind++) {
		if (same_word(manifest_kind_name((enum manifest_kind)kind),
			      word)) {
			*ret = (enum manifest_kind)kind;
			return true;
		}
	}
	return false;
}

void flow_inventory(struct flow *f, const struct caller *caller,
		    const char *word, const char *name, struct reply_to reply)
{
	enum manifest_kind kind = MANIFEST_AGENT;
	const json_t *manifest = NULL;

	if (caller->kind == CALLER_HUMAN && kind_of_word(word, &kind))
		manifest = inventory_find(f->inventory, kind, name);
	if (manifest)
		answer(reply, ANSWER_OK, plain_view(manifest));
	else
		no_such_thing(reply);
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Names of a kind that come after a name, in their order; owned array. */
static const char **names_after(const struct flow *f, enum manifest_kind kind,
				const char *after, size_t *ret_count)
{
	const json_t *all = inventory_manifests(f->inventory);
	const char *prefix = manifest_kind_name(kind);
	size_t length = strlen(prefix);
	const char **names =
		mem_array(json_object_size(all) + 1, sizeof(*names));
	const char *id;
	json_t *value;

	*ret_count = 0;
	json_object_foreach((json_t *)(uintptr_t)all, id, value) {
		if (!strncmp(id, prefix, length) && id[length] == '/' &&
		    (!after || strcmp(id + length + 1, after) > 0))
			names[(*ret_count)++] = id + length + 1;
	}
	qsort(names, *ret_count, sizeof(*names), compare_names);
	return names;
}

void flow_inventory_list(struct flow *f, const struct caller *caller,
			 const char *word, const struct page *page,
			 struct reply_to reply)
{
	enum manifest_kind kind = MANIFEST_AGENT;
	size_t limit = page->limit ? page->limit : PAGE_MAX;
	CLEANUP(mem_free_p) const char **names = NULL;
	size_t count;
	json_t *body;
	json_t *list;

	if (caller->kind != CALLER_HUMAN || !kind_of_word(word, &kind)) {
		no_such_thing(reply);
		return;
	}
	names = names_after(f, kind, page->after, &count);
	body = json_object();
	list = json_array();
	json_set_new(body, "manifests", list);
	for (size_t i = 0; i < count && i < limit; i++)
		json_array_append(list, (json_t *)(uintptr_t)inventory_find(
						f->inventory, kind, names[i]));
	if (count > limit)
		json_set_text(body, "next", names[limit - 1]);
	answer(reply, ANSWER_OK, body);
}

/* ---- evidence ---- */

void flow_leaf(struct flow *f, const struct caller *caller, uint64_t index,
	       struct reply_to reply)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(EVIDENCE_LEAF_MAX);
	struct leaf_ref leaf = { .index = index };
	json_t *body;

	if (!reads_all(f, caller) ||
	    store_leaf_get(evidence_reader(f->evidence), index, &b,
			   &leaf.hash) < 0) {
		no_such_thing(reply);
		return;
	}
	body = leaf_json(&leaf);
	json_set_text(body, "leaf", buf_text(&b));
	answer(reply, ANSWER_OK, body);
}

struct disclosing {
	struct flow *flow;
	uint64_t leaf;
	unsigned part;
	struct reply_to reply;
};

static void disclosed(void *cookie, json_t *payload, const char *why)
{
	struct disclosing *d = cookie;
	struct flow *f = d->flow;

	if (payload)
		answer(d->reply, ANSWER_OK, payload);
	else
		answer_problem(d->reply, ANSWER_NOT_FOUND, "not-disclosed",
			       "The payload cannot be read: %s.", why);
	free(d);
	effect_settled(f);
}

static void disclosure_durable(void *cookie)
{
	struct disclosing *d = cookie;

	evidence_disclose(d->flow->evidence, d->leaf, d->part, disclosed, d);
}

/* The number of a leaf's private part; one that no leaf has if it is none. */
static unsigned part_of(const struct statement *s)
{
	const char *text = json_text(s->body, "part", "0");
	char *end = NULL;
	unsigned long part = strtoul(text, &end, 10);

	return *text && !*end && part < 16 ? (unsigned)part : 16;
}

void flow_disclose(struct flow *f, uint64_t leaf, const json_t *signed_form,
		   struct reply_to reply)
{
	struct statement s;
	struct evidence_txn *t;
	CLEANUP(mem_free_p) char *subject = NULL;
	CLEANUP(json_put_p) json_t *kept = NULL;
	struct evidence_part part;
	struct disclosing *d;
	struct leaf_ref ref;
	json_t *fields;

	if (!signed_take(f, signed_form, STATEMENT_DISCLOSE, reply, &s))
		return;
	if (json_int(s.body, "index", -1) != (int64_t)leaf ||
	    (!human_is(f, s.human, "auditors") &&
	     !human_is(f, s.human, "administrators"))) {
		answer_problem(reply, ANSWER_DENIED, "may-not-disclose",
			       "Only auditors read payloads, each by an act of "
			       "its own.");
		statement_clear(&s);
		return;
	}
	if (leaf >= evidence_durable_size(f->evidence)) {
		no_such_thing(reply);
		statement_clear(&s);
		return;
	}
	subject = mem_format("human:%s", s.human);
	kept = signed_json(&s);
	part = (struct evidence_part){ subject, kept };
	fields = json_object();
	json_set_int(fields, "leaf", (int64_t)leaf);
	json_set_int(fields, "part", part_of(&s));
	t = evidence_begin(f->evidence);
	must(evidence_leaf(t, LEAF_DISCLOSED, NULL, fields, &part, 1, &ref),
	     "a disclosure's leaf");
	signed_put(f, t, &s);
	d = mem_new(struct disclosing);
	*d = (struct disclosing){ f, leaf, part_of(&s), reply };
	f->in_flight++;
	evidence_commit(t, disclosure_durable, d);
	statement_clear(&s);
}

/* ---- health ---- */

/* What a connector says it has shut behind itself, or null; owned. */
static json_t *sandbox_of(const struct target *t)
{
	const json_t *describe =
		t->connector ? connector_describe(t->connector) : NULL;
	json_t *told = json_deep_copy(json_object_in(describe, "sandbox"));

	return told ? told : json_null();
}

/* Of a target that Writ issues for: whether the connector that reads it is up.
 */
static void add_reading(json_t *row, const struct target *t)
{
	if (!t->issues || !t->connector)
		return;
	json_set_flag(row, "connectorUp", connector_is_up(t->connector));
	if (!connector_is_up(t->connector))
		json_set_text(row, "connectorWhy", t->why);
}

static json_t *connectors_json(const struct flow *f)
{
	json_t *list = json_array();
	const struct target *t;
	size_t at = 0;

	while ((t = map_next(f->targets, &at, NULL))) {
		json_t *row = json_object();

		json_set_text(row, "target", t->name);
		json_set_flag(row, "up", t->up);
		if (t->reader)
			json_set_flag(row, "readerUp",
				      connector_is_up(t->reader));
		if (t->reader && !connector_is_up(t->reader))
			json_set_text(row, "readerWhy", t->reader_why);
		json_set_flag(row, "listed",
			      inventory_spec(f->inventory, MANIFEST_TARGET,
					     t->name) != NULL);
		json_set_text(row, "why", t->up ? NULL : point_why(t));
		add_reading(row, t);
		json_set_text(row, "build", point_build(t));
		json_set_new(row, "sandbox", sandbox_of(t));
		json_array_append_new(list, row);
	}
	return list;
}

/* Targets of the inventory that nobody speaks for; owned. */
static json_t *lonely_targets(const struct flow *f)
{
	json_t *list = json_array();
	const char *id;
	json_t *manifest;

	json_object_foreach(
		(json_t *)(uintptr_t)inventory_manifests(f->inventory), id,
		manifest) {
		const char *name = strchr(id, '/') + 1;

		if (!strcmp(json_text(manifest, "kind", ""), "Target") &&
		    !map_get(f->targets, name))
			json_array_append_new(list, json_string(name));
	}
	return list;
}

static int64_t unknown_count(const struct flow *f)
{
	const struct request *r;
	int64_t count = 0;
	size_t at = 0;

	while ((r = map_next(f->requests, &at, NULL)))
		count += r->state == REQUEST_UNKNOWN;
	return count;
}

static int64_t unconfirmed_count(const struct flow *f)
{
	const struct grant *g;
	int64_t count = 0;
	size_t at = 0;

	while ((g = map_next(f->grants, &at, NULL)))
		count += g->unconfirmed;
	return count;
}

json_t *flow_health(struct flow *f, bool details)
{
	json_t *health = json_object();
	const char *fault = arming_fault(f);

	json_set_text(health, "status", fault ? "degraded" : "ok");
	json_set_text(health, "version", WRIT_VERSION);
	json_set_text(health, "origin", f->origin);
	json_set_int(health, "leaves",
		     (int64_t)evidence_durable_size(f->evidence));
	if (!details)
		return health;
	json_set_text(health, "why", fault);
	json_set_text(health, "bundle", f->bundle_digest);
	json_set_int(health, "unknown", unknown_count(f));
	json_set_int(health, "unconfirmedEnds", unconfirmed_count(f));
	json_set_int(health, "openRequests", (int64_t)map_count(f->requests));
	json_set_int(health, "openGrants", (int64_t)map_count(f->grants));
	json_set_new(health, "connectors", connectors_json(f));
	json_set_new(health, "targetsWithoutConnector", lonely_targets(f));
	json_set_new(health, "trust", trust_health(f->trust));
	json_set_new(health, "witnesses", evidence_witness_report(f->evidence));
	if (f->notifier)
		json_set_new(health, "notifications",
			     notify_health(f->notifier));
	return health;
}
