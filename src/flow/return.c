/*
 * The return: what came of a task, put together once everything it held has
 * ended.  Four things side by side, and where they do not agree:
 *
 *   changed   what Writ did for it, from its requests
 *   lent      the credentials it had, and how each ended
 *   reported  what the agent says it did with them
 *   observed  what the targets' own records show of them
 *
 * A target that cannot be asked, or whose records do not reach back far enough,
 * is said to be so; nothing is concluded from silence there.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "flow/point.h"
#include "flow/state.h"

enum {
	REQUESTS_MAX = 256, /* looked at, of one task */
	LENT_MAX = 64,	    /* targets asked about, of one task */
	DEEDS_MAX = 500,    /* of one credential */
	ROWS_MAX = 500,	    /* of each list of the return */
};

/* One return that is being put together. */
struct gathering {
	struct flow *flow;
	char task[40];
	json_t *lent;	  /* owned: rows of what was lent */
	json_t *changed;  /* owned */
	json_t *observed; /* owned */
	json_t *sampled;  /* owned: grant -> what was seen while it was lent */
	bool more;	  /* than is looked at */
	size_t pending;	  /* targets that have not answered */
};

/* Who is waited for, with which row. */
struct asked {
	struct gathering *gathering;
	json_t *row; /* owned: "target", "account" */
};

static void gathering_free(struct gathering *g)
{
	json_decref(g->lent);
	json_decref(g->changed);
	json_decref(g->observed);
	json_decref(g->sampled);
	free(g);
}

/* ---- what Writ did ---- */

static void add_changed(struct gathering *g, const json_t *doc)
{
	static const char *const members[] = { "id", "action", "target",
					       "resource", "state" };
	const char *effect =
		json_text(json_object_get(doc, "outcome"), "effect", "none");
	json_t *row;

	if (!strcmp(effect, "none"))
		return;
	row = json_object();
	json_pick(row, doc, members, ARRAY_LEN(members));
	json_set_text(row, "effect", effect);
	json_array_append_new(g->changed, row);
}

static void add_lent(struct gathering *g, const json_t *grant)
{
	static const char *const members[] = { "target", "resource",
					       "placed", "ended",
					       "why",	 "unconfirmed" };
	const char *id = json_text(grant, "id", "");
	CLEANUP(mem_free_p) char *account = lent_account(grant);
	json_t *row = json_object();

	json_set_text(row, "grant", id);
	json_pick(row, grant, members, ARRAY_LEN(members));
	json_set_text(row, "account", account);
	json_array_append_new(g->lent, row);
	if (json_object_get(grant, "sampled"))
		json_object_set(g->sampled, id,
				json_object_get(grant, "sampled"));
}

static void add_request(struct gathering *g, const json_t *doc)
{
	const struct action *action = action_find(json_text(doc, "action", ""));
	CLEANUP(json_put_p) json_t *grant = NULL;
	const char *id = json_text(json_object_get(doc, "grant"), "id", NULL);

	if (!action || !action->lends) {
		add_changed(g, doc);
		return;
	}
	if (id && store_get(evidence_reader(g->flow->evidence), NOUN_GRANT, id,
			    &grant, NULL) == 0)
		add_lent(g, grant);
}

static void read_requests(struct gathering *g)
{
	CLEANUP(json_put_p) json_t *docs = NULL;
	const json_t *doc;
	size_t at;

	must(store_find(evidence_reader(g->flow->evidence), NOUN_REQUEST,
			"task", g->task, NULL, REQUESTS_MAX + 1, &docs),
	     "the requests of a task");
	g->more = json_array_size(docs) > REQUESTS_MAX;
	json_array_foreach(docs, at, doc) {
		if (at < REQUESTS_MAX)
			add_request(g, doc);
	}
}

/* ---- what the targets saw ---- */

/* What was seen while it was lent comes before what is seen at the end. */
static json_t *deeds_of(const json_t *sampled, const json_t *answer)
{
	json_t *deeds = json_deep_copy(json_object_get(sampled, "deeds"));
	int64_t last_ms = INT64_MIN;
	const json_t *deed;
	size_t at;

	if (!deeds || activity_is_of_log(answer)) {
		json_decref(deeds);
		deeds = json_array();
		sampled = NULL;
	}
	if (clock_parse(json_text(sampled, "last", ""), &last_ms) < 0)
		last_ms = INT64_MIN;
	json_array_foreach(json_object_get(answer, "deeds"), at, deed) {
		int64_t at_ms;

		if (clock_parse(json_text(deed, "at", ""), &at_ms) == 0 &&
		    at_ms > last_ms)
			deed_count(deeds, deed, ROWS_MAX);
	}
	return deeds;
}

/* answer: NULL if there is none, and why then says why. */
static void keep_answer(struct gathering *g, json_t *owned_row,
			const json_t *answer, const char *why)
{
	const json_t *sampled =
		json_object_get(g->sampled, json_text(owned_row, "grant", ""));

	json_set_new(owned_row, "deeds", deeds_of(sampled, answer));
	json_set_flag(owned_row, "complete",
		      json_flag(answer, "complete", false));
	json_set_text(owned_row, "why", answer ? NULL : why);
	json_array_append_new(g->observed, owned_row);
}

static void gathered(struct gathering *g);

static void target_told(void *cookie, const struct connector_result *r)
{
	struct asked *asked = cookie;
	struct gathering *g = asked->gathering;

	keep_answer(g, asked->row, r->status == CONNECT_OK ? r->json : NULL,
		    r->detail);
	free(asked);
	effect_settled(g->flow);
	if (--g->pending == 0)
		gathered(g);
}

static void ask_connector(struct gathering *g, const struct target *t,
			  json_t *owned_row, const json_t *lent)
{
	struct asked *asked = mem_new(struct asked);
	json_t *params = json_object();

	asked->gathering = g;
	asked->row = owned_row;
	json_set_text(params, "account", json_text(lent, "account", ""));
	json_set_text(params, "since", json_text(lent, "placed", ""));
	json_set_int(params, "limit", DEEDS_MAX);
	g->pending++;
	g->flow->in_flight++;
	connector_call(t->connector, CONNECT_ACTIVITY, params, CONNECTOR_NORMAL,
		       0, target_told, asked);
}

static void ask_target(struct gathering *g, const json_t *lent)
{
	static const char *const members[] = { "target", "account", "grant" };
	const struct target *t =
		map_get(g->flow->targets, json_text(lent, "target", ""));
	bool up = t && t->connector && connector_is_up(t->connector);
	json_t *row;

	if (!json_text(lent, "account", NULL) || !t || !t->connector ||
	    (up && !point_tells(t, CONNECT_ACTIVITY)))
		return;
	row = json_object();
	json_pick(row, lent, members, ARRAY_LEN(members));
	if (up)
		ask_connector(g, t, row, lent);
	else
		keep_answer(g, row, NULL, "its connector is down");
}

static void ask_targets(struct gathering *g)
{
	const json_t *lent;
	size_t at;

	json_array_foreach(g->lent, at, lent) {
		if (at < LENT_MAX)
			ask_target(g, lent);
	}
}

/* ---- where they do not agree ---- */

static void differ(json_t *differences, const char *kind, const char *target,
		   const char *command, int64_t reported, int64_t observed)
{
	json_t *row;

	if (json_array_size(differences) >= ROWS_MAX)
		return;
	row = json_object();
	json_set_text(row, "kind", kind);
	json_set_text(row, "target", target);
	json_set_text(row, "action", command);
	json_set_int(row, "reported", reported);
	json_set_int(row, "observed", observed);
	json_array_append_new(differences, row);
}

/* How often the agent says it did this there; ret_counted: it gave numbers. */
static int64_t reported_count(const json_t *reported, const char *target,
			      const char *command, bool *ret_counted)
{
	const json_t *effect;
	int64_t count = 0;
	size_t at;

	*ret_counted = true;
	json_array_foreach(reported, at, effect) {
		if (strcmp(json_text(effect, "target", ""), target) != 0 ||
		    strcasecmp(json_text(effect, "action", ""), command) != 0)
			continue;
		count += json_int(effect, "count", 1);
		*ret_counted &= json_object_get(effect, "count") != NULL;
	}
	return count;
}

static int64_t observed_count(const json_t *observed, const char *target,
			      const char *command)
{
	const json_t *row;
	const json_t *deed;
	int64_t count = 0;
	size_t at;
	size_t i;

	json_array_foreach(observed, at, row) {
		if (strcmp(json_text(row, "target", ""), target) != 0)
			continue;
		json_array_foreach(json_object_get(row, "deeds"), i, deed) {
			if (!strcasecmp(json_text(deed, "command", ""),
					command))
				count += json_int(deed, "count", 0);
		}
	}
	return count;
}

/* Whether a target was asked, and its records are whole for all that was lent
 * there. */
static bool is_complete(const json_t *observed, const char *target)
{
	bool asked = false;
	const json_t *row;
	size_t at;

	json_array_foreach(observed, at, row) {
		if (strcmp(json_text(row, "target", ""), target) != 0)
			continue;
		asked = true;
		if (!json_flag(row, "complete", false))
			return false;
	}
	return asked;
}

static void compare_deed(json_t *differences, const json_t *reported,
			 const json_t *observed, const char *target,
			 const char *command)
{
	int64_t seen = observed_count(observed, target, command);
	bool counted;
	int64_t said = reported_count(reported, target, command, &counted);

	if (said == 0)
		differ(differences, "not-reported", target, command, 0, seen);
	else if (counted && said != seen && is_complete(observed, target))
		differ(differences, "count", target, command, said, seen);
}

/* Of several rows for one target each kind of deed is compared once. */
static bool is_known(json_t *known, const char *target, const char *command)
{
	CLEANUP(mem_free_p) char *key = mem_format("%s\n%s", target, command);

	if (json_object_get(known, key))
		return true;
	json_set_flag(known, key, true);
	return false;
}

/* That somebody was connected is no deed. */
static bool is_connection(const char *command)
{
	return !strcmp(command, "session") || !strcmp(command, "login");
}

static void compare_observed(json_t *differences, const json_t *reported,
			     const json_t *observed)
{
	CLEANUP(json_put_p) json_t *known = json_object();
	const json_t *row;
	const json_t *deed;
	size_t at;
	size_t i;

	json_array_foreach(observed, at, row) {
		const char *target = json_text(row, "target", "");

		json_array_foreach(json_object_get(row, "deeds"), i, deed) {
			const char *command = json_text(deed, "command", "");

			if (!is_connection(command) &&
			    !is_known(known, target, command))
				compare_deed(differences, reported, observed,
					     target, command);
		}
	}
}

/* Two reports of one kind are compared once; what was seen of it has been. */
static void compare_reported(json_t *differences, const json_t *reported,
			     const json_t *observed)
{
	CLEANUP(json_put_p) json_t *known = json_object();
	const json_t *effect;
	size_t at;

	json_array_foreach(reported, at, effect) {
		const char *target = json_text(effect, "target", "");
		const char *action = json_text(effect, "action", "");
		bool counted;

		if (is_known(known, target, action) ||
		    !is_complete(observed, target) ||
		    observed_count(observed, target, action) > 0)
			continue;
		differ(differences, "not-observed", target, action,
		       reported_count(reported, target, action, &counted), 0);
	}
}

static json_t *differences_of(const json_t *reported, const json_t *observed)
{
	json_t *differences = json_array();

	compare_observed(differences, reported, observed);
	compare_reported(differences, reported, observed);
	return differences;
}

/* ---- putting it together ---- */

static json_t *return_of(struct gathering *g, const struct task *t)
{
	json_t *ret = json_object();
	const json_t *reported = json_object_get(t->doc, "effects");

	json_object_set(ret, "changed", g->changed);
	json_object_set(ret, "lent", g->lent);
	json_set_new(ret, "reported",
		     reported ? json_copy((json_t *)(uintptr_t)reported)
			      : json_array());
	json_object_set(ret, "observed", g->observed);
	json_set_new(ret, "differences", differences_of(reported, g->observed));
	if (g->more)
		json_set_flag(ret, "more", true);
	/* What the class demanded and did not get is a difference, too. */
	if (json_flag(t->doc, "requiresEffects", false) && !reported)
		json_set_flag(ret, "reportMissing", true);
	return ret;
}

static void gathered(struct gathering *g)
{
	struct flow *f = g->flow;
	struct task *t = task_find(f, g->task);

	/* At a stop it is put together again after the next start. */
	if (t && !f->closing) {
		json_set_new(t->doc, "return", return_of(g, t));
		t->gathering = NULL;
		task_settle(f, g->task);
	} else if (t) {
		t->gathering = NULL;
	}
	gathering_free(g);
}

bool return_is_ready(struct task *t)
{
	struct gathering *g;

	if (json_object_get(t->doc, "return"))
		return true;
	if (t->gathering || t->flow->closing)
		return false;
	g = mem_new(struct gathering);
	g->flow = t->flow;
	snprintf(g->task, sizeof(g->task), "%s", t->id);
	g->lent = json_array();
	g->changed = json_array();
	g->observed = json_array();
	g->sampled = json_object();
	t->gathering = g;
	read_requests(g);
	ask_targets(g);
	if (g->pending > 0)
		return false;
	json_set_new(t->doc, "return", return_of(g, t));
	t->gathering = NULL;
	gathering_free(g);
	return true;
}
