#include "connectors/ldap/membership_private.h"

#include "base/error.h"

/* Turns a failure into a refusal, where nothing was changed for certain.  */
static int refuse_failure(struct connector_reply *reply, int r)
{
	if (r >= 0)
		return r;
	return connector_refuse(reply,
				r == ERR_LIMIT ? "too-large" : "unavailable",
				"%s", error_message());
}

static const struct {
	const char *reason;
	const char *words;
} refusals[] = {
	[CHANGE_ASSERTION] = { "precondition",
			       "the group changed since it was planned" },
	[CHANGE_CONSTRAINT] = { "constraint",
				"the directory's rules forbid it" },
	[CHANGE_NOT_ALLOWED] = { "not-allowed",
				 "the connector's account may not do it" },
	[CHANGE_NO_ENTRY] = { "no-such-resource", "the group is gone" },
	[CHANGE_REFUSED] = { "refused", "the directory refused" },
	[CHANGE_NOT_SENT] = { "unavailable", "nothing was sent" },
};

/* Sees what the directory holds after it said that the change was made. */
static int see(const struct membership *m, const struct change *change,
	       const struct change_answer *answer,
	       struct connector_reply *reply)
{
	CLEANUP(directory_entry_clear) struct directory_entry group = { 0 };
	const char *version = answer->version;
	bool found = false, holds = false;
	int r = directory_holds(m->directory, change->group, change->member,
				&holds);

	if (r == 0 && !*version) {
		r = directory_read(m->directory, change->group, &group, &found);
		version = group.version;
	}
	if (r < 0)
		return error_context(r, "changed, but not seen since");
	reply->result = connector_applied(membership_state(holds), version);
	return 0;
}

static int carry_out(const struct membership *m, const struct change *change,
		     const struct facts *facts, struct connector_reply *reply)
{
	CLEANUP(buf_clear) struct buf assertion = BUF_INIT(FILTER_MAX);
	const struct filter_change terms = membership_terms(change, facts);
	struct directory_change request = {
		.name = change->group,
		.add = change->add,
		.member = membership_value(change, facts),
	};
	struct change_answer answer;
	struct slice bytes;

	filter_put_assertion(&assertion, &terms);
	if (buf_finish(&assertion, &bytes) < 0)
		return connector_refuse(reply, "too-large", "the assertion");
	request.assertion = buf_text(&assertion);
	directory_change(m->directory, &request, &answer);
	if (answer.outcome == CHANGE_DONE)
		return see(m, change, &answer, reply);
	if (answer.outcome == CHANGE_UNKNOWN)
		return error_set(ERR_UNAVAILABLE, "modify: %s", answer.detail);
	if (answer.outcome == CHANGE_ALREADY) {
		reply->result = connector_no_change();
		return 0;
	}
	return connector_refuse(reply, refusals[answer.outcome].reason,
				"%s (%s)", refusals[answer.outcome].words,
				answer.detail);
}

/* Is the world still the one that the order was made in? */
static int judge_order(const struct connector_order *order,
		       const struct change *change, const struct facts *facts,
		       struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *now = NULL;

	if (membership_precondition(change, facts, &now) < 0)
		return refuse_failure(reply, ERR_LIMIT);
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
			  struct connector_reply *reply)
{
	const char *member = json_text(order->parameters, "member", "");

	if (strcmp(order->resource, change->group) != 0 ||
	    strcmp(member, change->member) != 0)
		return connector_refuse(reply, "order",
					"names are not spelled as the "
					"directory spells them");
	return 0;
}

int membership_apply(void *self, const struct connector_order *order,
		     struct connector_reply *reply)
{
	struct membership *m = self;
	CLEANUP(change_clear) struct change change = { 0 };
	CLEANUP(facts_clear) struct facts facts = { 0 };
	int r;

	r = membership_take(m, order->action, order->resource,
			    order->parameters, &change, reply);
	if (r < 0 || membership_refused(reply))
		return r;
	r = membership_look(m, &change, &facts);
	if (r < 0)
		return refuse_failure(reply, r);
	discard(membership_judge(m, &change, &facts, reply));
	if (!membership_refused(reply))
		discard(judge_spelling(order, &change, reply));
	if (membership_refused(reply))
		return 0;
	if (facts.holds == change.add) {
		reply->result = connector_no_change();
		return 0;
	}
	discard(judge_order(order, &change, &facts, reply));
	if (membership_refused(reply))
		return 0;
	return carry_out(m, &change, &facts, reply);
}
