#include "connectors/sdk/order.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/merkle.h"

enum {
	DIGEST_TEXT = 44, /* 32 bytes in base64 */
	LEAF_MAX = 64 * 1024,
};

/* ---- the shape ---- */

static const struct schema node_row[] = {
	{ "node", SCHEMA_TEXT, true, DIGEST_TEXT, DIGEST_TEXT, NULL, NULL,
	  NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

/* Notes and armored signatures have line feeds, so they are no SCHEMA_TEXT;
 * that they are strings is seen where they are used. */
static const struct schema signature_rows[] = {
	{ "statement", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	{ "signature", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	{ "human", SCHEMA_NAME, true, 0, 0, NULL, NULL, NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema signature_row[] = {
	{ "signature", SCHEMA_OBJECT, true, 0, 0, NULL, signature_rows, NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema base_rows[] = {
	{ "plan", SCHEMA_TEXT, true, 2, ORDER_PLAN_MAX, NULL, NULL, NULL },
	{ "leaf", SCHEMA_TEXT, true, 2, LEAF_MAX, NULL, NULL, NULL },
	{ "index", SCHEMA_INT, true, 0, INT64_MAX - 1, NULL, NULL, NULL },
	{ "proof", SCHEMA_LIST, true, 0, MERKLE_PROOF_MAX, NULL, node_row,
	  NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema order_rows[] = {
	{ "plan", SCHEMA_TEXT, true, 2, ORDER_PLAN_MAX, NULL, NULL, NULL },
	{ "leaf", SCHEMA_TEXT, true, 2, LEAF_MAX, NULL, NULL, NULL },
	{ "index", SCHEMA_INT, true, 0, INT64_MAX - 1, NULL, NULL, NULL },
	{ "proof", SCHEMA_LIST, true, 0, MERKLE_PROOF_MAX, NULL, node_row,
	  NULL },
	{ "checkpoint", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	{ "signatures", SCHEMA_LIST, true, 0, APPROVERS_SIGNATURES_MAX, NULL,
	  signature_row, NULL },
	{ "base", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

/* ---- the state of one verification ---- */

struct check {
	const struct order_rules *rules;
	const json_t *order;
	json_t *plan; /* owned */
	json_t *base; /* owned; the plan that an end undoes */
	char digest[DIGEST_TEXT_LEN];
	char execution[SEEN_EXECUTION_MAX];
	char request[SEEN_EXECUTION_MAX]; /* that it spends; "" if none */
	int64_t not_after_ms;		  /* of a request or a drill */
	uint64_t index;
	struct checkpoint head;
	struct connector_reply *reply;
};

static void check_clear(struct check *check)
{
	json_decref(check->plan);
	json_decref(check->base);
}

/* Says why the order is refused; returns false, as the check that calls it. */
PRINTF_LIKE(2, 3)
static bool refuse(struct check *check, const char *format, ...)
{
	char detail[CONNECTOR_DETAIL_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	discard(connector_refuse(check->reply, "order", "%s", detail));
	return false;
}

static bool has_shape(struct check *check, const struct schema *rows,
		      const json_t *value)
{
	CLEANUP(json_put_p) json_t *faults = NULL;

	schema_check(rows, value, NULL, &faults);
	if (json_array_size(faults) == 0)
		return true;
	return refuse(check, "the order is malformed at '%s'",
		      json_text(json_array_get(faults, 0), "at", "?"));
}

static bool shape_holds(struct check *check)
{
	const json_t *base = json_object_get(check->order, "base");

	if (!has_shape(check, order_rows, check->order))
		return false;
	check->index = (uint64_t)json_int(check->order, "index", 0);
	return json_is_null(base) || has_shape(check, base_rows, base);
}

/* ---- the log ---- */

void order_head_clear(struct order_head *head)
{
	free(head->note);
	head->note = NULL;
}

static bool checkpoint_holds(struct check *check)
{
	const char *note = json_text(check->order, "checkpoint", "");
	struct order_head *head = check->rules->head;

	if (!check->rules->vkey)
		return refuse(check, "this connector has no authority");
	if (head && head->note && !strcmp(head->note, note)) {
		check->head = head->checkpoint;
		return true;
	}
	if (checkpoint_open(slice_str(note), check->rules->vkey, &check->head) <
	    0)
		return refuse(check, "checkpoint: %s", error_message());
	if (head) {
		order_head_clear(head);
		head->note = mem_str(note);
		head->checkpoint = check->head;
	}
	return true;
}

/* bytes: its memory is used again and again. */
static bool read_digest(const char *text, struct buf *bytes,
			struct digest *ret_digest)
{
	buf_reset(bytes);
	if (text_from_base64(slice_str(text), bytes) < 0 ||
	    bytes->len != DIGEST_LEN)
		return false;
	memcpy(ret_digest->bytes, bytes->data, DIGEST_LEN);
	return true;
}

/* holder: the order or its base, with "leaf", "index" and "proof". */
static bool is_included(struct check *check, const json_t *holder)
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(DIGEST_LEN);
	const json_t *proof = json_array_in(holder, "proof");
	const char *leaf = json_text(holder, "leaf", "");
	uint64_t index = (uint64_t)json_int(holder, "index", 0);
	struct digest hash = merkle_leaf(slice_str(leaf));
	struct merkle_proof nodes = { 0 };

	for (size_t i = 0; i < json_array_size(proof); i++) {
		const char *node = json_string_value(json_array_get(proof, i));

		if (!read_digest(node, &bytes, &nodes.nodes[i]))
			return refuse(check, "a node of the proof is damaged");
		nodes.count++;
	}
	if (index >= check->head.size ||
	    !merkle_inclusion_holds(index, check->head.size, &hash, nodes.nodes,
				    nodes.count, &check->head.root))
		return refuse(check, "the leaf is not in the log");
	return true;
}

static bool inclusion_holds(struct check *check)
{
	return is_included(check, check->order);
}

/* Whether the holder's leaf arms the holder's plan, whose digest it fills. */
static bool is_armed(struct check *check, const json_t *holder,
		     char digest_text[DIGEST_TEXT_LEN])
{
	const char *text = json_text(holder, "plan", "");
	struct digest digest = digest_of(slice_str(text));
	CLEANUP(json_put_p) json_t *leaf = NULL;

	digest_format(&digest, digest_text);
	if (json_parse(slice_str(json_text(holder, "leaf", "")), LEAF_MAX,
		       &leaf) < 0 ||
	    strcmp(json_text(leaf, "kind", ""), "armed") != 0)
		return refuse(check, "the leaf arms nothing");
	if (strcmp(json_text(leaf, "digest", ""), digest_text) != 0)
		return refuse(check, "the leaf arms another plan");
	return true;
}

static bool leaf_holds(struct check *check)
{
	return is_armed(check, check->order, check->digest);
}

/* ---- the plan ---- */

/* Reads a plan; it must be spelled as it was digested by whoever signed. */
static bool read_plan(const char *text, json_t **ret_plan)
{
	CLEANUP(buf_clear) struct buf canonical = BUF_INIT(ORDER_PLAN_MAX);
	CLEANUP(json_put_p) json_t *plan = NULL;

	if (json_parse(slice_str(text), ORDER_PLAN_MAX, &plan) < 0 ||
	    json_put_canonical(&canonical, plan) < 0 ||
	    !slice_is(buf_slice(&canonical), text) ||
	    json_int(plan, "v", 0) != 1)
		return false;
	*ret_plan = TAKE(plan);
	return true;
}

static const struct connector_action *
find_action(const struct connector_info *info, const char *name)
{
	for (const struct connector_action *a = info->actions; a->action; a++)
		if (!strcmp(a->action, name))
			return a;
	return NULL;
}

/* The execution an order belongs to: its own, else its request's. */
static bool take_execution(struct check *check)
{
	const char *request = json_text(check->plan, "request", "");
	const char *execution = json_text(check->plan, "execution", request);

	if (!execution[0] || strlen(execution) >= sizeof(check->execution))
		return refuse(check, "the plan names no execution");
	snprintf(check->execution, sizeof(check->execution), "%s", execution);
	return true;
}

static bool plan_holds(struct check *check)
{
	const struct order_rules *rules = check->rules;
	const json_t *plan;

	if (!read_plan(json_text(check->order, "plan", ""), &check->plan))
		return refuse(check, "the plan is not in canonical form");
	plan = check->plan;
	if (strcmp(json_text(plan, "target", ""), rules->target) != 0)
		return refuse(check, "the plan is for another target");
	if (strcmp(json_text(plan, "connectorBuild", ""), rules->build) != 0)
		return refuse(check, "the plan is for another build");
	if (!find_action(rules->ops->info, json_text(plan, "action", "")))
		return refuse(check, "the plan's action is not known here");
	if (!json_object_in(plan, "parameters") ||
	    !json_is_integer(json_object_get(plan, "tier")))
		return refuse(check, "the plan is not whole");
	/* Only an effect that was decided as one may happen. */
	if (strcmp(json_text(plan, "mode", "execute"), "execute") != 0)
		return refuse(check, "the plan is not one to execute");
	return take_execution(check);
}

static bool resource_holds(struct check *check)
{
	CLEANUP(buf_clear) struct buf normal = BUF_INIT(64 * 1024);
	const struct order_rules *rules = check->rules;
	const char *resource = json_text(check->plan, "resource", "");

	if (!resource[0])
		return refuse(check, "the plan names no resource");
	if (!rules->ops->normalise)
		return true;
	if (rules->ops->normalise(rules->self, resource, &normal) < 0 ||
	    !slice_is(buf_slice(&normal), resource))
		return refuse(check, "the resource is not in normal form");
	return true;
}

/* ---- the purpose ---- */

/* True when members a and b of two objects are both there and equal. */
static bool same_member(const json_t *a, const json_t *b, const char *name)
{
	const json_t *left = json_object_get(a, name);
	const json_t *right = json_object_get(b, name);

	return left && right && json_equal(left, right);
}

static bool request_holds(struct check *check)
{
	const char *name = json_text(check->plan, "request", "");

	if (!json_is_null(json_object_get(check->order, "base")))
		return refuse(check, "a request undoes nothing");
	if (!name[0] || strlen(name) >= sizeof(check->request))
		return refuse(check, "the plan names no request");
	snprintf(check->request, sizeof(check->request), "%s", name);
	return true;
}

/* What an end undoes was armed, and this takes away what that gave. */
static bool base_holds(struct check *check, const json_t *base,
		       const struct connector_action *action)
{
	const struct order_rules *rules = check->rules;
	const struct connector_action *undone;
	char digest[DIGEST_TEXT_LEN];

	if (!read_plan(json_text(base, "plan", ""), &check->base))
		return refuse(check, "what it undoes is no plan");
	if (!is_included(check, base) || !is_armed(check, base, digest))
		return false;
	if (strcmp(json_text(check->base, "target", ""), rules->target) != 0 ||
	    strcmp(json_text(check->base, "purpose", ""), "request") != 0)
		return refuse(check, "what it undoes was no request here");
	undone = find_action(rules->ops->info,
			     json_text(check->base, "action", ""));
	if (!undone || !undone->inverse ||
	    strcmp(undone->inverse, action->action) != 0)
		return refuse(check, "it is no inverse of what it undoes");
	return true;
}

/* An end needs nobody's signature, so it can only take power away. */
static bool end_holds(struct check *check)
{
	const json_t *base = json_object_in(check->order, "base");
	const struct connector_action *action = find_action(
		check->rules->ops->info, json_text(check->plan, "action", ""));
	const json_t *undo;

	if (!action || !action->takes)
		return refuse(check, "an end only takes away");
	if (!base)
		return refuse(check, "an end needs the plan it undoes");
	if (!base_holds(check, base, action))
		return false;
	undo = json_object_in(check->base, "undo");
	if (!same_member(undo, check->plan, "action") ||
	    !same_member(undo, check->plan, "resource") ||
	    !same_member(undo, check->plan, "parameters"))
		return refuse(check, "it is not the undo of its plan");
	return true;
}

static bool is_drill(const json_t *drill, const json_t *plan)
{
	return drill && same_member(drill, plan, "resource") &&
	       same_member(drill, plan, "parameters");
}

/* Whether the plan is the drill's action, or its way back. */
static bool is_action_of(struct check *check, const json_t *drill)
{
	const char *name = json_text(check->plan, "action", "");
	const struct connector_action *action = find_action(
		check->rules->ops->info, json_text(drill, "action", ""));

	return action && (!strcmp(action->action, name) ||
			  (action->inverse && !strcmp(action->inverse, name)));
}

static bool drill_holds(struct check *check)
{
	const struct order_rules *rules = check->rules;
	const json_t *drill;
	size_t at;

	if (!json_is_null(json_object_get(check->order, "base")))
		return refuse(check, "a drill undoes nothing");
	if (!rules->drill && json_array_size(rules->drills) == 0)
		return refuse(check, "this connector has no drill");
	if (is_drill(rules->drill, check->plan))
		return true;
	json_array_foreach(rules->drills, at, drill) {
		if (is_drill(drill, check->plan) && is_action_of(check, drill))
			return true;
	}
	return refuse(check, "it is not this connector's drill");
}

static const struct {
	const char *name;
	bool (*holds)(struct check *check);
	bool expires;	/* it is void after its time */
	bool is_signed; /* humans' signatures count for it */
} purposes[] = {
	{ "request", request_holds, true, true },
	{ "end", end_holds, false, false },
	{ "drill", drill_holds, true, false },
};

static bool is_late(int64_t not_after_ms)
{
	return clock_wall_ms() > not_after_ms + ORDER_LEEWAY_MS;
}

static bool time_holds(struct check *check)
{
	const char *text = json_text(check->plan, "notAfter", "");

	if (clock_parse(text, &check->not_after_ms) < 0 ||
	    check->not_after_ms <= 0)
		return refuse(check, "the plan does not say when it is void");
	if (is_late(check->not_after_ms))
		return refuse(check, "the plan is void since %s", text);
	return true;
}

/* ---- the signatures ---- */

static bool signatures_hold(struct check *check)
{
	const struct order_rules *rules = check->rules;
	const json_t *plan = check->plan;
	size_t count;

	if (!rules->approvers ||
	    (json_int(plan, "tier", INT64_MAX) < rules->from_tier &&
	     !json_has_text(rules->always, json_text(plan, "resource", ""))))
		return true;
	count = approvers_count(rules->approvers,
				json_array_in(check->order, "signatures"),
				rules->vkey->name, check->digest);
	if (count < rules->needed)
		return refuse(check, "%zu of %zu approvers have signed it",
			      count, rules->needed);
	return true;
}

static bool purpose_holds(struct check *check)
{
	const char *name = json_text(check->plan, "purpose", "");

	for (size_t i = 0; i < ARRAY_LEN(purposes); i++) {
		if (strcmp(name, purposes[i].name) != 0)
			continue;
		return purposes[i].holds(check) &&
		       (!purposes[i].expires || time_holds(check)) &&
		       (!purposes[i].is_signed || signatures_hold(check));
	}
	return refuse(check, "the plan has no purpose known here");
}

/* ---- once only ---- */

static bool is_new(struct check *check)
{
	const struct seen_order order = {
		.execution = check->execution,
		.index = check->index,
		.request = check->request[0] ? check->request : NULL,
		.not_after_ms = check->not_after_ms,
	};
	struct seen *seen = check->rules->seen;
	const char *why = seen_objection(seen, &order);

	if (why)
		return refuse(check, "%s", why);
	if (seen_add(seen, &order, clock_wall_ms() - ORDER_LEEWAY_MS) == 0)
		return true;
	discard(connector_refuse(check->reply, "state", "%s", error_message()));
	return false;
}

/* All must hold, in this order; the last one remembers. */
static bool (*const checks[])(struct check *check) = {
	shape_holds, checkpoint_holds, inclusion_holds, leaf_holds,
	plan_holds,  resource_holds,   purpose_holds,	is_new,
};

static void fill(struct order *order, json_t *plan, uint64_t index,
		 const char *execution)
{
	order->plan = plan;
	snprintf(order->execution, sizeof(order->execution), "%s", execution);
	order->view = (struct connector_order){
		.action = json_text(plan, "action", ""),
		.resource = json_text(plan, "resource", ""),
		.parameters = json_object_in(plan, "parameters"),
		.precondition = json_object_in(plan, "precondition"),
		.plan = plan,
		.purpose = json_text(plan, "purpose", ""),
		.index = index,
	};
}

bool order_verify(const struct order_rules *rules, const json_t *order,
		  struct order *ret_order, struct connector_reply *reply)
{
	CLEANUP(check_clear)
	struct check check = { .rules = rules, .order = order, .reply = reply };

	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		if (!checks[i](&check))
			return false;
	fill(ret_order, TAKE(check.plan), check.index, check.execution);
	memcpy(ret_order->request, check.request, sizeof(check.request));
	ret_order->not_after_ms = check.not_after_ms;
	return true;
}

int order_record(const struct order_rules *rules)
{
	return rules->seen ? seen_sync(rules->seen) : 0;
}

bool order_in_time(const struct order *order, struct connector_reply *reply)
{
	if (order->not_after_ms == 0 || !is_late(order->not_after_ms))
		return true;
	discard(connector_refuse(reply, "order",
				 "the plan became void while it waited"));
	return false;
}

int order_release(const struct order_rules *rules, const struct order *order)
{
	return order->request[0] ? seen_release(rules->seen, order->request)
				 : 0;
}

bool order_trust(const struct connector_info *info, const json_t *order,
		 struct order *ret_order, struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *plan = NULL;

	if (json_parse(slice_str(json_text(order, "plan", "")), ORDER_PLAN_MAX,
		       &plan) < 0 ||
	    !find_action(info, json_text(plan, "action", "")) ||
	    !json_object_in(plan, "parameters") ||
	    !json_text(plan, "resource", NULL)) {
		discard(connector_refuse(reply, "order",
					 "the plan is not whole"));
		return false;
	}
	fill(ret_order, TAKE(plan), (uint64_t)json_int(order, "index", 0), "");
	return true;
}

void order_clear(struct order *order)
{
	json_decref(order->plan);
	order->plan = NULL;
}
