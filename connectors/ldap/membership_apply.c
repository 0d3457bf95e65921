#include "connectors/ldap/membership_private.h"

#include "base/error.h"
#include "base/mem.h"

/* Sees what the directory holds after it said that the change was made. */
static int see(const struct reach *reach, const struct change *change,
	       const struct facts *facts, const struct change_answer *answer,
	       struct connector_reply *reply)
{
	CLEANUP(directory_entry_clear) struct directory_entry group = { 0 };
	const char *version = answer->version;
	bool found = false, holds = false;
	const char *value =
		facts->kind->by_login ? change->login : change->member;
	int r = directory_holds(reach->directory, change->group,
				facts->kind->attribute, value, &holds);

	if (r == 0 && !*version) {
		r = directory_read(reach->directory, change->group, &group,
				   &found);
		version = group.version;
	}
	if (r < 0)
		return error_context(r, "changed, but not seen since");
	reply->result = connector_applied(
		membership_state(holds, facts->primary), version);
	return 0;
}

static int take_answer(const struct reach *reach, const struct change *change,
		       const struct facts *facts,
		       const struct change_answer *answer,
		       struct connector_reply *reply)
{
	if (answer->outcome == CHANGE_DONE)
		return see(reach, change, facts, answer, reply);
	if (answer->outcome == CHANGE_UNKNOWN)
		return error_set(ERR_UNAVAILABLE, "modify: %s", answer->detail);
	if (answer->outcome == CHANGE_ALREADY) {
		reply->result = connector_no_change();
		return 0;
	}
	return reach_refuse_change(reply, answer);
}

static int carry_out(const struct reach *reach, const struct change *change,
		     const struct facts *facts, struct connector_reply *reply)
{
	CLEANUP(buf_clear) struct buf assertion = BUF_INIT(FILTER_MAX);
	const struct filter_change terms = membership_terms(change, facts);
	const struct directory_mod mod = { change->add, facts->kind->attribute,
					   membership_value(change, facts) };
	struct directory_change request = { change->group, &mod, 1, NULL };
	struct change_answer answer;
	struct slice bytes;

	filter_put_assertion(&assertion, &terms);
	if (buf_finish(&assertion, &bytes) < 0)
		return connector_refuse(reply, "too-large", "the assertion");
	request.assertion = buf_text(&assertion);
	directory_change(reach->directory, &request, &answer);
	return take_answer(reach, change, facts, &answer, reply);
}

/* The same where there is no assertion: the two entries are named so that no
 * other can be meant. */
static int carry_out_ad(const struct reach *reach, const struct change *change,
			const struct facts *facts,
			struct connector_reply *reply)
{
	CLEANUP(mem_free_p) char *group = NULL;
	CLEANUP(mem_free_p) char *member = NULL;
	struct directory_mod mod = { change->add, facts->kind->attribute,
				     NULL };
	struct directory_change request = { NULL, &mod, 1, NULL };
	struct change_answer answer;

	if (!facts->group.uuid || !facts->member.uuid)
		return connector_refuse(reply, "not-allowed",
					"objectGUID cannot be read");
	group = reach_by_guid(facts->group.uuid);
	member = reach_by_guid(facts->member.uuid);
	request.name = group;
	mod.value = member;
	directory_change(reach->directory, &request, &answer);
	return take_answer(reach, change, facts, &answer, reply);
}

/* Is the world still the one that the order was made in? */
static int judge_order(const struct connector_order *order,
		       const struct change *change, const struct facts *facts,
		       struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *now = NULL;

	if (membership_precondition(change, facts, &now) < 0)
		return reach_refuse_failure(reply, ERR_LIMIT);
	if (!order->precondition || !json_equal(now, order->precondition))
		return connector_refuse(reply, "precondition",
					"the group or the member is another "
					"entry than the one planned");
	return 0;
}

/* The names of the order must be the directory's own, so that no second
 * spelling of a group slips past what was decided about it. */
static int judge_spelling(const struct connector_order *order,
			  const struct change *change,
			  const struct facts *facts,
			  struct connector_reply *reply)
{
	CLEANUP(json_put_p)
	json_t *parameters = membership_parameters(change, facts);

	if (strcmp(order->resource, change->group) != 0 ||
	    !json_equal(order->parameters, parameters))
		return connector_refuse(reply, "order",
					"names are not spelled as the "
					"directory spells them");
	return 0;
}

int membership_apply(void *self, const struct connector_order *order,
		     struct connector_reply *reply)
{
	const struct reach *reach = self;
	CLEANUP(change_clear) struct change change = { 0 };
	CLEANUP(facts_clear) struct facts facts = { 0 };
	int r;

	r = membership_take(reach, order->action, order->resource,
			    order->parameters, &change, reply);
	if (r < 0 || is_refused(reply))
		return r;
	r = membership_look(reach, &change, &facts);
	if (r < 0)
		return reach_refuse_failure(reply, r);
	discard(membership_judge(reach, &change, &facts, reply));
	if (!is_refused(reply))
		discard(judge_spelling(order, &change, &facts, reply));
	if (is_refused(reply))
		return 0;
	if (membership_stands(&change, &facts)) {
		reply->result = connector_no_change();
		return 0;
	}
	discard(judge_order(order, &change, &facts, reply));
	if (is_refused(reply))
		return 0;
	if (facts.is_ad)
		return carry_out_ad(reach, &change, &facts, reply);
	return carry_out(reach, &change, &facts, reply);
}
