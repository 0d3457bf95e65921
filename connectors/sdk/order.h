/*
 * Whether an order may be carried out: what the connector checks instead of
 * trusting whoever sends it.  docs/connector-protocol.md says why each.
 */
#pragma once

#include "base/json.h"
#include "connectors/sdk/approvers.h"
#include "connectors/sdk/connector.h"
#include "connectors/sdk/seen.h"
#include "crypto/digest.h"
#include "crypto/note.h"

enum {
	ORDER_PLAN_MAX = 1 << 20,  /* bytes of a plan's text */
	ORDER_LEEWAY_MS = 5 * 1000 /* that clocks may differ by */
};

/* What orders are held against; everything is borrowed. */
struct order_rules {
	const struct connector_ops *ops;
	void *self; /* for ops->normalise() */
	const char *target;
	const char *build;
	const struct note_vkey *vkey; /* NULL: every order is refused */
	struct seen *seen;
	const struct approvers *approvers; /* NULL: no signature is asked */
	int64_t from_tier;
	size_t needed;
	const json_t *always; /* resources in normal form; NULL if none */
	const json_t *drill;  /* {"resource", "parameters"}; NULL if none */
};

struct order {
	json_t *plan; /* owned; holds what view points to */
	char execution[SEEN_EXECUTION_MAX];
	char request[SEEN_EXECUTION_MAX]; /* that it spends; "" if none */
	struct connector_order view;
};

/*
 * Verifies the "order" of an apply.  On success its leaf, and its request if it
 * is one, have been added to what was seen, durably.  A refusal is told in
 * reply (reason "order", or "state" when that could not be written), which is
 * otherwise untouched.
 *
 * ret_order: set when true is returned; order_clear().
 */
MUST_USE bool order_verify(const struct order_rules *rules, const json_t *order,
			   struct order *ret_order,
			   struct connector_reply *reply);

/* Nothing happened for certain: another leaf of its request may serve.
 * Errors: those of seen_release(). */
MUST_USE int order_release(const struct order_rules *rules,
			   const struct order *order);

/* The same as order_verify() without any verification, for a kind without
 * effects. */
MUST_USE bool order_trust(const struct connector_info *info,
			  const json_t *order, struct order *ret_order,
			  struct connector_reply *reply);

void order_clear(struct order *order);
