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

/* The last checkpoint that held, so that it is verified once for all the orders
 * it proves. */
struct order_head {
	char *note; /* owned; NULL before the first */
	struct checkpoint checkpoint;
};

void order_head_clear(struct order_head *head);

/* What orders are held against; everything is borrowed. */
struct order_rules {
	const struct connector_ops *ops;
	void *self; /* for ops->normalise() */
	const char *target;
	const char *build;
	const struct note_vkey *vkey; /* NULL: every order is refused */
	struct order_head *head;      /* NULL: none is remembered */
	struct seen *seen;
	const struct approvers *approvers; /* NULL: no signature is asked */
	int64_t from_tier;
	size_t needed;
	const json_t *always; /* resources in normal form; NULL if none */
	const json_t *drill;  /* {"resource", "parameters"}; NULL if none */
	const json_t *drills; /* array of those with "action"; NULL if none */
};

struct order {
	json_t *plan; /* owned; holds what view points to */
	char execution[SEEN_EXECUTION_MAX];
	char request[SEEN_EXECUTION_MAX]; /* that it spends; "" if none */
	int64_t not_after_ms;		  /* 0: it is never too late */
	struct connector_order view;
};

/*
 * Verifies the "order" of an apply.  On success its leaf, and its request if it
 * is one, are among what was seen; before it is carried out order_record() must
 * have made that durable.  A refusal is told in reply (reason "order", or
 * "state" when that could not be written), which is otherwise untouched.
 *
 * ret_order: set when true is returned; order_clear().
 */
MUST_USE bool order_verify(const struct order_rules *rules, const json_t *order,
			   struct order *ret_order,
			   struct connector_reply *reply);

/* Makes durable that all orders verified so far were seen.  Errors: those of
 * seen_sync(); none of them may be carried out then. */
MUST_USE int order_record(const struct order_rules *rules);

/* Whether an order that was verified a while ago has not become too late; if it
 * has, that is told in reply as by order_verify(). */
MUST_USE bool order_in_time(const struct order *order,
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
