#include "evidence/verify_leaf.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "evidence/evidence.h"

struct leaf_rules {
	leaf_fault_fn fault;
	void *cookie;
	int64_t last_at;
	/* JSON objects serve as maps. */
	json_t *decided;   /* id -> index of its decision */
	json_t *decisions; /* index of a decision -> true */
	json_t *granted;   /* id of a grant -> index where it was last named */
	json_t *armed;	   /* index of an armed leaf -> true */
	json_t *armed_of;  /* id -> index of its last armed leaf */
	json_t *open;	   /* index of an armed leaf without an end -> its id */
	json_t *issued;	   /* index of an armed leaf -> true: it has issued */
	json_t *lent;	   /* request -> its credential, until that ends */
	json_t *told;	   /* request -> why its secret is not told any more */
	int64_t started;   /* time of the last start of the daemon */
};

/* How long after its time, or a start, the end of a credential is in the log.
 */
static const int64_t END_WITHIN_MS = 24LL * 3600 * 1000;

/* A leaf in the hands of its rule. */
struct subject {
	uint64_t index;
	const json_t *leaf;
	const char *about; /* "" for none */
	char key[24];	   /* the index as text */
};

struct leaf_rules *leaf_rules_new(leaf_fault_fn fault, void *cookie)
{
	struct leaf_rules *r = mem_new(struct leaf_rules);

	r->fault = fault;
	r->cookie = cookie;
	r->decided = json_object();
	r->decisions = json_object();
	r->granted = json_object();
	r->armed = json_object();
	r->armed_of = json_object();
	r->open = json_object();
	r->issued = json_object();
	r->lent = json_object();
	r->told = json_object();
	return r;
}

void leaf_rules_free(struct leaf_rules *r)
{
	if (!r)
		return;
	json_decref(r->decided);
	json_decref(r->decisions);
	json_decref(r->granted);
	json_decref(r->armed);
	json_decref(r->armed_of);
	json_decref(r->open);
	json_decref(r->issued);
	json_decref(r->lent);
	json_decref(r->told);
	free(r);
}

static void fault(struct leaf_rules *r, const struct subject *s,
		  const char *what)
{
	r->fault(r->cookie, s->index, what);
}

/* ---- the rules of kinds ---------------------------------------------------
 */

static void name_grant(struct leaf_rules *r, const struct subject *s)
{
	const char *grant = json_text(s->leaf, "grant", NULL);

	if (grant)
		json_set_int(r->granted, grant, (int64_t)s->index);
}

static void on_genesis(struct leaf_rules *r, const struct subject *s)
{
	if (s->index != 0)
		fault(r, s, "a second beginning of the log");
}

static void on_decision(struct leaf_rules *r, const struct subject *s)
{
	json_set_int(r->decided, s->about, (int64_t)s->index);
	json_set_flag(r->decisions, s->key, true);
	name_grant(r, s);
}

static void format_key(char key[24], int64_t index)
{
	snprintf(key, 24, "%" PRId64, index);
}

/* A drill is asked for by a human's signature; an end rests on its grant, or on
 * the request that brought it; all else on its own decision. */
static bool is_founded(const struct leaf_rules *r, const struct subject *s)
{
	const char *grant = json_text(s->leaf, "grant", s->about);
	const char *request = json_text(s->leaf, "request", s->about);
	int64_t decision = json_int(s->leaf, "decision", -1);
	char key[24];

	if (decision >= 0) {
		format_key(key, decision);
		return json_object_get(r->decisions, key) != NULL;
	}
	return json_object_get(r->decided, request) ||
	       json_object_get(r->granted, grant) ||
	       !strcmp(json_text(s->leaf, "purpose", ""), "drill");
}

static void on_armed(struct leaf_rules *r, const struct subject *s)
{
	struct digest digest;

	if (digest_parse(json_text(s->leaf, "digest", ""), &digest) < 0)
		fault(r, s, "armed without the digest of a plan");
	if (!is_founded(r, s))
		fault(r, s, "armed without a decision or a grant");
	name_grant(r, s);
	json_set_flag(r->armed, s->key, true);
	json_set_int(r->armed_of, s->about, (int64_t)s->index);
	json_set_text(r->open, s->key, s->about);
}

/* Closes every open armed leaf of the same id. */
static void close_about(struct leaf_rules *r, const char *about)
{
	void *next;
	json_t *id;

	for (void *i = json_object_iter(r->open); i; i = next) {
		next = json_object_iter_next(r->open, i);
		id = json_object_iter_value(i);
		if (!strcmp(json_string_value(id), about))
			json_object_del(r->open, json_object_iter_key(i));
	}
}

/* Closes the armed leaf that this one names, and those of its id; false if it
 * names one that never was, or none and there is none. */
static bool close_armed(struct leaf_rules *r, const struct subject *s)
{
	int64_t index =
		json_int(s->leaf, "armed", json_int(r->armed_of, s->about, -1));
	char key[24];

	format_key(key, index);
	if (!json_object_get(r->armed, key))
		return false;
	if (!strcmp(json_text(s->leaf, "effect", ""), "unknown"))
		return true;
	discard(json_object_del(r->open, key));
	close_about(r, s->about);
	return true;
}

/* A request that came to nothing has lent nothing. */
static void end_lent(struct leaf_rules *r, const struct subject *s)
{
	if (!strcmp(json_text(s->leaf, "effect", ""), "none"))
		json_object_del(r->lent, s->about);
}

static void on_outcome(struct leaf_rules *r, const struct subject *s)
{
	if (!close_armed(r, s))
		fault(r, s, "the outcome of nothing that was armed");
	name_grant(r, s);
	end_lent(r, s);
}

static void on_end(struct leaf_rules *r, const struct subject *s)
{
	discard(close_armed(r, s));
	name_grant(r, s);
	end_lent(r, s);
}

/* The end of a grant is that of what was lent with it. */
static void on_ended(struct leaf_rules *r, const struct subject *s)
{
	const char *request = json_text(s->leaf, "request", "");

	on_end(r, s);
	json_object_del(r->lent, request);
	json_set_text(r->told, request, "handed out after its end");
}

/* ---- credentials ---- */

/* Whether the leaf rests on an effect of its request that is armed and has come
 * to nothing yet. */
static bool is_armed_for(const struct leaf_rules *r, const struct subject *s)
{
	const char *request = json_text(s->leaf, "request", NULL);
	char key[24];

	format_key(key, json_int(s->leaf, "armed", -1));
	return request && !strcmp(json_text(r->open, key, ""), request);
}

static void on_issued(struct leaf_rules *r, const struct subject *s)
{
	json_t *row;
	char key[24];

	format_key(key, json_int(s->leaf, "armed", -1));
	if (!is_armed_for(r, s)) {
		fault(r, s, "a credential for nothing that was armed");
		return;
	}
	if (json_object_get(r->issued, key))
		fault(r, s, "a second credential for one armed leaf");
	json_set_flag(r->issued, key, true);
	row = json_object();
	json_set_int(row, "index", (int64_t)s->index);
	json_set_text(row, "about", s->about);
	json_set_int(row, "expires", json_int(s->leaf, "expires", 0));
	json_set_new(r->lent, json_text(s->leaf, "request", ""), row);
}

/* What was lent is handed out once, after the effect that placed it. */
static void on_delivered(struct leaf_rules *r, const struct subject *s)
{
	const char *request = json_text(s->leaf, "request", "");
	const char *why = json_text(r->told, request, NULL);
	int64_t armed = json_int(s->leaf, "armed", -1);
	char key[24];

	format_key(key, armed);
	if (armed < 0 || json_int(r->armed_of, request, -1) != armed ||
	    json_object_get(r->open, key))
		fault(r, s, "handed out without an effect that lent it");
	else if (why)
		fault(r, s, why);
	json_set_text(r->told, request, "handed out a second time");
}

static void on_start(struct leaf_rules *r, const struct subject *s)
{
	r->started = json_int(s->leaf, "at", 0);
}

static void (*const rules[LEAF_KIND_COUNT])(struct leaf_rules *r,
					    const struct subject *s) = {
	[LEAF_GENESIS] = on_genesis,	 [LEAF_DECISION] = on_decision,
	[LEAF_ARMED] = on_armed,	 [LEAF_OUTCOME] = on_outcome,
	[LEAF_ENDED] = on_ended,	 [LEAF_RESOLVED] = on_end,
	[LEAF_RECOVERY] = on_end,	 [LEAF_DRILL] = on_end,
	[LEAF_ISSUED] = on_issued,	 [LEAF_CONFIG] = on_start,
	[LEAF_DELIVERED] = on_delivered,
};

/* ---- every leaf -----------------------------------------------------------
 */

/* LEAF_KIND_COUNT for none of ours. */
static unsigned kind_of(const json_t *leaf)
{
	const char *text = json_text(leaf, "kind", "");
	unsigned kind = 0;

	while (kind < LEAF_KIND_COUNT &&
	       strcmp(leaf_kind_name((enum leaf_kind)kind), text) != 0)
		kind++;
	return kind;
}

static bool has_form(const json_t *leaf)
{
	const json_t *commit = json_object_get(leaf, "commit");

	for (size_t i = 0; i < json_array_size(commit); i++) {
		const char *c = json_string_value(json_array_get(commit, i));

		if (!c || strncmp(c, "c:", 2) != 0 || strlen(c) != 45)
			return false;
	}
	return json_int(leaf, "v", 0) == 1 && json_int(leaf, "at", -1) >= 0 &&
	       (!commit || json_is_array(commit));
}

static void check_time(struct leaf_rules *r, const struct subject *s)
{
	int64_t at = json_int(s->leaf, "at", 0);

	if (at < r->last_at)
		fault(r, s, "earlier than the leaf before it");
	else
		r->last_at = at;
}

static void apply(struct leaf_rules *r, const struct subject *s)
{
	unsigned kind = kind_of(s->leaf);

	check_time(r, s);
	if (kind == LEAF_KIND_COUNT) {
		fault(r, s, "of a kind this program does not know");
		return;
	}
	if (s->index == 0 && kind != LEAF_GENESIS)
		fault(r, s, "the log does not begin with its genesis");
	if (rules[kind])
		rules[kind](r, s);
}

void leaf_rules_add(struct leaf_rules *r, uint64_t index, struct slice body)
{
	CLEANUP(json_put_p) json_t *leaf = NULL;
	struct subject s = { .index = index };

	if (json_parse(body, EVIDENCE_LEAF_MAX, &leaf) < 0 || !has_form(leaf)) {
		fault(r, &s, "not in the form of a leaf");
		return;
	}
	s.leaf = leaf;
	s.about = json_text(leaf, "about", "");
	snprintf(s.key, sizeof(s.key), "%" PRIu64, index);
	apply(r, &s);
}

json_t *leaf_rules_open(const struct leaf_rules *r)
{
	json_t *list = json_array();

	for (void *i = json_object_iter(r->open); i;
	     i = json_object_iter_next(r->open, i)) {
		json_t *row = json_object();

		json_set_int(row, "index",
			     strtoll(json_object_iter_key(i), NULL, 10));
		json_set_text(row, "about",
			      json_string_value(json_object_iter_value(i)));
		json_array_append_new(list, row);
	}
	return list;
}

json_t *leaf_rules_lent(const struct leaf_rules *r)
{
	json_t *list = json_array();
	const char *request;
	json_t *row;

	json_object_foreach(r->lent, request, row)
		json_array_append(list, row);
	return list;
}

/* Its time in milliseconds; what is no time is over. */
static int64_t end_of(const json_t *row)
{
	int64_t expires = json_int(row, "expires", 0);

	return expires > 0 && expires < INT64_MAX / 2000 ? expires * 1000 : 0;
}

void leaf_rules_finish(struct leaf_rules *r)
{
	int64_t late = r->last_at - END_WITHIN_MS;
	const char *request;
	json_t *row;

	json_object_foreach(r->lent, request, row) {
		if (end_of(row) < late && r->started < late)
			r->fault(r->cookie, (uint64_t)json_int(row, "index", 0),
				 "a credential whose end is not recorded");
	}
}
