/*
 * One effect: its armed leaf is durable and signed before the connector is
 * asked, and what the connector says is read back.
 *
 *   armed leaf committed -> checkpoint signed -> apply -> read -> done
 */

#include "base/clock.h"
#include "base/error.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/point.h"
#include "flow/state.h"

/* How long witnesses have for cosigning what is armed. */
enum { WITNESSED_WITHIN_MS = 20 * 1000 };

struct effect {
	struct flow *flow;
	struct effect_order order; /* texts below are copies */
	char *target;
	char *plan;
	json_t *signatures;
	json_t *base;
	json_t *parsed; /* plan */
	json_t *secret; /* of what is lent, until somebody is told; wiped */
};

const char *effect_end_name(enum effect_end end)
{
	static const char *const names[] = {
		[EFFECT_APPLIED] = "applied",	  [EFFECT_DIFFERS] = "differs",
		[EFFECT_NO_CHANGE] = "no_change", [EFFECT_REFUSED] = "refused",
		[EFFECT_WITHDRAWN] = "withdrawn", [EFFECT_UNKNOWN] = "unknown",
	};

	return names[end];
}

const char *arming_fault(struct flow *f)
{
	const char *why = NULL;

	if (f->closing)
		return "the authority is closing";
	if (f->clock_stepped)
		return "the clock was stepped";
	if (evidence_is_degraded(f->evidence, &why))
		return why;
	return NULL;
}

bool is_gone(const char *reason)
{
	return !strcmp(reason, "no-such-resource") ||
	       !strcmp(reason, "no-such-member");
}

static struct target *point_of(struct flow *f, const char *target)
{
	struct target *t = map_get(f->targets, target);

	return t && t->up ? t : NULL;
}

/*
 * Who says what the target shows after a change.  From this tier on it is not
 * the process that made the change, where the target has another one: that one
 * holds an account that can only read.
 */
enum { READER_TIER = 2 };

static bool wants_reader(const struct target *t, const json_t *plan)
{
	return t->reader && !point_is_here(t, plan) &&
	       json_int(plan, "tier", 0) >= READER_TIER;
}

static json_t *read_params(const json_t *plan)
{
	json_t *params = json_object();
	static const char *const members[] = { "action", "resource",
					       "parameters" };

	json_pick(params, plan, members, ARRAY_LEN(members));
	return params;
}

/* Asks what a target shows after a change; false if nobody is there to say. */
static bool ask_back(struct flow *f, const char *target, const json_t *plan,
		     enum connector_priority priority, connector_done_fn done,
		     void *cookie)
{
	struct target *t = map_get(f->targets, target);

	if (!t || !(wants_reader(t, plan) ? connector_is_up(t->reader) : t->up))
		return false;
	if (wants_reader(t, plan))
		connector_call(t->reader, CONNECT_READ, read_params(plan),
			       priority, 0, done, cookie);
	else
		point_call(t, CONNECT_READ, read_params(plan), priority, 0,
			   done, cookie);
	return true;
}

static void effect_free(struct effect *e)
{
	free(e->target);
	free(e->plan);
	json_decref(e->signatures);
	json_decref(e->base);
	json_decref(e->parsed);
	json_wipe(e->secret);
	free(e);
}

void effect_settled(struct flow *f)
{
	f->in_flight--;
	if (f->closing && f->in_flight == 0 && f->drained) {
		void (*drained)(void *) = f->drained;

		f->drained = NULL;
		drained(f->drained_cookie);
	}
}

static void effect_end(struct effect *e, enum effect_end end,
		       const char *reason, const char *detail, json_t *observed)
{
	struct effect_result result = { end, reason, detail, observed, NULL };
	struct flow *f = e->flow;

	/* What does not stand as planned is not handed out. */
	if (end == EFFECT_APPLIED)
		result.secret = TAKE(e->secret);
	e->order.done(e->order.cookie, &result);
	effect_free(e);
	effect_settled(f);
}

/* ---- reading back ---- */

static void effect_read_done(void *cookie, const struct connector_result *r)
{
	struct effect *e = cookie;

	if (r->status != CONNECT_OK)
		effect_end(e, EFFECT_UNKNOWN, "read-back",
			   "the change was made, reading it back failed", NULL);
	else if (json_flag(r->json, "present", false))
		effect_end(e, EFFECT_APPLIED, "applied", "", r->json);
	else
		effect_end(e, EFFECT_DIFFERS, "differs",
			   "the target does not show what was applied",
			   r->json);
}

static void read_back(struct effect *e)
{
	if (!ask_back(e->flow, e->target, e->parsed,
		      e->order.first ? CONNECTOR_FIRST : CONNECTOR_NORMAL,
		      effect_read_done, e))
		effect_end(e, EFFECT_UNKNOWN, "read-back",
			   "the connector that reads back is down", NULL);
}

/* ---- applying ---- */

static void apply_ok(struct effect *e, const struct connector_result *r)
{
	const char *result = json_text(r->json, "result", "");

	if (!strcmp(result, "applied"))
		read_back(e);
	else if (!strcmp(result, "no-change"))
		effect_end(e, EFFECT_NO_CHANGE, "no-change", "", r->json);
	else
		effect_end(e, EFFECT_UNKNOWN, "answer",
			   "the connector's answer makes no sense", NULL);
}

/* Takes the secret out of an answer before anything of it is kept. */
static void take_secret(struct effect *e, json_t *answer)
{
	json_t *secret = json_incref(json_object_get(answer, "secret"));

	json_object_del(answer, "secret");
	if (e->order.lends && json_is_object(secret))
		e->secret = TAKE(secret);
	json_wipe(secret);
}

static void apply_done(void *cookie, const struct connector_result *r)
{
	struct effect *e = cookie;

	if (r->json)
		take_secret(e, r->json);
	if (r->status == CONNECT_OK)
		apply_ok(e, r);
	else if (r->status == CONNECT_REFUSED)
		effect_end(e, EFFECT_REFUSED, r->reason, r->detail, NULL);
	else if (r->status == CONNECT_BUSY)
		effect_end(e, EFFECT_WITHDRAWN, r->reason, r->detail, NULL);
	else
		effect_end(e, EFFECT_UNKNOWN, r->reason, r->detail, NULL);
}

static json_t *proof_json(const struct merkle_proof *proof)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < proof->count; i++) {
		CLEANUP(mem_free_p)
		char *text = text_base64(digest_slice(&proof->nodes[i]));

		json_array_append_new(list, json_string(text));
	}
	return list;
}

/* Of each signature what the protocol has, and nothing else that is kept. */
static json_t *signatures_json(const json_t *kept)
{
	static const char *const members[] = { "statement", "signature",
					       "human" };
	json_t *list = json_array();
	const json_t *one;
	size_t at;

	json_array_foreach(kept, at, one) {
		json_t *sent = json_object();

		for (size_t i = 0; i < ARRAY_LEN(members); i++)
			json_set_text(sent, members[i],
				      json_text(one, members[i], NULL));
		json_array_append_new(list, sent);
	}
	return list;
}

/* Sets "leaf", "index" and "proof" of a leaf in the tree of that size. */
static int put_proved(struct effect *e, json_t *holder, uint64_t index,
		      uint64_t size)
{
	CLEANUP(buf_clear) struct buf leaf = BUF_INIT(EVIDENCE_LEAF_MAX);
	struct evidence *evidence = e->flow->evidence;
	struct merkle_proof proof;

	TRY(evidence_prove(evidence, index, size, &proof));
	TRY(store_leaf_get(evidence_reader(evidence), index, &leaf, NULL));
	json_set_text(holder, "leaf", buf_text(&leaf));
	json_set_int(holder, "index", (int64_t)index);
	json_set_new(holder, "proof", proof_json(&proof));
	return 0;
}

/* What an end undoes, and that it was armed. */
static int put_base(struct effect *e, json_t *order, uint64_t size)
{
	json_t *base;

	if (!e->base) {
		json_set_new(order, "base", json_null());
		return 0;
	}
	base = json_object();
	json_set_new(order, "base", base);
	json_set_text(base, "plan", json_text(e->base, "plan", ""));
	return put_proved(e, base, (uint64_t)json_int(e->base, "armed", 0),
			  size);
}

/* The order as the connector checks it; errors come from the database.  What
 * is made here needs no proof of the log that is kept here: see mint_call(). */
static int build_order(struct effect *e, const struct target *t,
		       struct slice note, uint64_t size, json_t **ret_params)
{
	json_t *params = json_object();
	json_t *order = json_object();

	json_set_new(params, "order", order);
	*ret_params = params;
	if (point_is_here(t, e->parsed)) {
		json_object_set(order, "plan", e->parsed);
		return 0;
	}
	TRY(put_proved(e, order, e->order.armed, size));
	json_set_text(order, "plan", e->plan);
	json_set_new(order, "checkpoint",
		     json_stringn((const char *)note.ptr, note.len));
	json_set_new(order, "signatures", signatures_json(e->signatures));
	return put_base(e, order, size);
}

/* Why it must not be sent after all. */
static const char *last_fault(struct effect *e, const struct target *t,
			      struct slice note)
{
	const char *why =
		e->order.fault ? e->order.fault(e->order.cookie) : NULL;

	if (why)
		return why;
	why = e->order.first ? NULL : arming_fault(e->flow);
	if (why)
		return why;
	if (!note.len)
		return "the keeper did not sign";
	return t ? NULL : "the connector is down";
}

static void effect_signed(void *cookie, struct slice note, uint64_t size)
{
	struct effect *e = cookie;
	struct target *t = point_of(e->flow, e->target);
	CLEANUP(json_put_p) json_t *params = NULL;
	const char *why = last_fault(e, t, note);

	if (why || !t) {
		effect_end(e, EFFECT_WITHDRAWN, "withdrawn", why, NULL);
		return;
	}
	if (build_order(e, t, note, size, &params) < 0) {
		log_error("order-not-built", "why=\"%s\"", error_message());
		effect_end(e, EFFECT_WITHDRAWN, "internal",
			   "the order could not be proved", NULL);
		return;
	}
	point_call(t, CONNECT_APPLY, TAKE(params),
		   e->order.first ? CONNECTOR_FIRST : CONNECTOR_NORMAL, 0,
		   apply_done, e);
}

/* The note has the cosignatures, too: whoever keeps the order keeps them. */
static void effect_witnessed(void *cookie, struct slice note, uint64_t size,
			     const char *why)
{
	struct effect *e = cookie;
	CLEANUP(mem_free_p) char *detail = NULL;

	if (!why) {
		effect_signed(cookie, note, size);
		return;
	}
	detail = mem_format("what is armed was not carried out: %s", why);
	effect_end(e, EFFECT_WITHDRAWN, "not-witnessed", detail, NULL);
}

void effect_run(struct flow *f, const struct effect_order *order)
{
	struct effect *e = mem_new(struct effect);

	e->flow = f;
	e->order = *order;
	e->target = mem_str(order->target);
	e->plan = mem_str(order->plan);
	e->signatures = order->signatures ? json_deep_copy(order->signatures)
					  : json_array();
	e->base = order->base ? json_deep_copy(order->base) : NULL;
	must(json_parse(slice_str(e->plan), FRAME_MAX, &e->parsed),
	     "a plan of our own");
	f->in_flight++;
	if (order->witnessed)
		evidence_when_receipt(f->evidence, order->armed,
				      RECEIPT_WITNESSED, WITNESSED_WITHIN_MS,
				      effect_witnessed, e);
	else
		evidence_when_signed(f->evidence, order->armed, effect_signed,
				     e);
}

/* ---- what a target showed ---- */

enum { OBSERVED_MAX = 64 * 1024 }; /* bytes kept of it */

void observed_keep(json_t *to, json_t *observed)
{
	if (!observed)
		return;
	if (json_dumpb(observed, NULL, 0, JSON_COMPACT) <= OBSERVED_MAX)
		json_object_set(to, "observed", observed);
	else
		json_set_text(to, "observed", "too large to keep");
}

/* ---- reading alone ---- */

struct reading {
	struct reading *next; /* of the flow's */
	struct flow *flow;
	void (*done)(void *cookie, int present, json_t *observed);
	void *cookie;
};

static void reading_free(struct reading *reading)
{
	struct reading **place = &reading->flow->readings;

	while (*place != reading)
		place = &(*place)->next;
	*place = reading->next;
	loop_defer_end(reading->flow->loop, reading);
	free(reading);
}

void readings_drop(struct flow *f)
{
	while (f->readings)
		reading_free(f->readings);
}

static void reading_done(void *cookie, const struct connector_result *r)
{
	struct reading *reading = cookie;
	struct flow *f = reading->flow;
	int present = -1;

	if (r->status == CONNECT_OK)
		present = json_flag(r->json, "present", false);
	reading->done(reading->cookie, present,
		      r->status == CONNECT_OK ? r->json : NULL);
	reading_free(reading);
	effect_settled(f);
}

static void reading_down(void *cookie)
{
	struct connector_result r = { .status = CONNECT_DIED,
				      .reason = "down",
				      .detail = "the connector is down" };

	reading_done(cookie, &r);
}

void effect_read(struct flow *f, const char *target, const char *plan,
		 void (*done)(void *cookie, int present, json_t *observed),
		 void *cookie)
{
	struct reading *reading = mem_new(struct reading);
	CLEANUP(json_put_p) json_t *parsed = NULL;

	*reading = (struct reading){ f->readings, f, done, cookie };
	f->readings = reading;
	f->in_flight++;
	if (json_parse(slice_str(plan), FRAME_MAX, &parsed) < 0 ||
	    !ask_back(f, target, parsed, CONNECTOR_FIRST, reading_done,
		      reading))
		loop_defer(f->loop, reading_down, reading);
}
