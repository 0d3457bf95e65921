/*
 * An order: after 'p' the text of a plan that is armed as it should be, so that
 * what lies behind the proofs is reached; anything else is the whole order, and
 * must be refused, for nobody signed it.
 */
#include <assert.h>

#include "base/mem.h"
#include "base/text.h"
#include "connectors/sdk/order.h"
#include "tests/unit/connectors/authority.h"
#include "tests/unit/connectors/signatures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing is written: what was seen is not what is tried here. */
const char *__wrap_seen_objection(const struct seen *seen,
				  const struct seen_order *order);
int __wrap_seen_add(struct seen *seen, const struct seen_order *order,
		    int64_t over_ms);

const char *__wrap_seen_objection(const struct seen *seen UNUSED,
				  const struct seen_order *order UNUSED)
{
	return NULL;
}

int __wrap_seen_add(struct seen *seen UNUSED,
		    const struct seen_order *order UNUSED,
		    int64_t over_ms UNUSED)
{
	return 0;
}

static const struct connector_action actions[] = {
	{ "AddToGroup", "add", "Group", "RemoveFromGroup", "natural", false },
	{ "RemoveFromGroup", "remove", "Group", "AddToGroup", "natural", true },
	{ NULL, NULL, NULL, NULL, NULL, false },
};

static const struct connector_info info = { .kind = "fuzz",
					    .actions = actions };
static const struct connector_ops ops = { .info = &info };
static struct authority authority;
static struct approvers *approvers;

static void set_up(void)
{
	if (authority.signer)
		return;
	authority = authority_new();
	if (approvers_parse(slice_str("alice " KEY_ALICE "\n"), &approvers) < 0)
		abort();
}

/* The order that the input stands for; NULL if it is none. */
static json_t *order_of(const char *text, size_t size)
{
	json_t *order = NULL;

	if (text[0] == 'p')
		return text_is_utf8(slice_str(text + 1))
			       ? authority_arm(&authority, text + 1, "armed")
			       : NULL;
	if (json_parse(slice_of(text, size), 1 << 20, &order) < 0)
		return NULL;
	return order;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct order_rules rules = {
		.ops = &ops,
		.target = "t",
		.build = "b",
		.vkey = &authority.vkey,
		.from_tier = 2,
		.needed = 1,
	};
	CLEANUP(mem_free_p)
	char *text = mem_format("%.*s", (int)size, (const char *)data);
	CLEANUP(json_put_p) json_t *value = NULL;
	CLEANUP(order_clear) struct order order = { 0 };
	struct connector_reply reply = { 0 };

	set_up();
	rules.approvers = approvers;
	value = order_of(text, strlen(text));
	if (!value)
		return 0;
	if (!order_verify(&rules, value, &order, &reply)) {
		assert(reply.reason[0]);
		return 0;
	}
	/* Only what is fit for this target, and below the tier, got through. */
	assert(text[0] == 'p');
	assert(!strcmp(json_text(order.plan, "target", ""), "t"));
	assert(json_int(order.plan, "tier", 99) < 2);
	assert(!strcmp(order.view.purpose, "request"));
	return 0;
}
