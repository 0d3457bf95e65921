#include "connectors/ldap/action.h"

#include "connectors/ldap/account.h"
#include "connectors/ldap/membership.h"

static const struct action {
	/* name, wire name, type of the resource, inverse, idempotency, takes */
	struct connector_action told;
	int (*plan)(void *, const struct connector_ask *,
		    struct connector_reply *);
	int (*apply)(void *, const struct connector_order *,
		     struct connector_reply *);
	int (*read)(void *, const struct connector_ask *,
		    struct connector_reply *);
} actions[] = {
	{ { "AddToGroup", "directory.group.add_member", "DirectoryGroup",
	    "RemoveFromGroup", "natural", false },
	  membership_plan,
	  membership_apply,
	  membership_read },
	{ { "RemoveFromGroup", "directory.group.remove_member",
	    "DirectoryGroup", "AddToGroup", "natural", true },
	  membership_plan,
	  membership_apply,
	  membership_read },
	{ { "GrantRole", "directory.role.grant", "Role", "RevokeRole",
	    "natural", false },
	  membership_plan,
	  membership_apply,
	  membership_read },
	{ { "RevokeRole", "directory.role.revoke", "Role", "GrantRole",
	    "natural", true },
	  membership_plan,
	  membership_apply,
	  membership_read },
	{ { "SuspendAccount", "directory.account.suspend", "Account",
	    "ResumeAccount", "natural", true },
	  account_plan,
	  account_apply,
	  account_read },
	{ { "ResumeAccount", "directory.account.resume", "Account",
	    "SuspendAccount", "natural", false },
	  account_plan,
	  account_apply,
	  account_read },
};

const struct connector_action *action_rows(void)
{
	static struct connector_action rows[ARRAY_LEN(actions) + 1];

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		rows[i] = actions[i].told;
	return rows;
}

/* The kit hands on only what is in the table. */
static const struct action *action_of(const char *name)
{
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(actions) &&
	       strcmp(actions[i].told.action, name) != 0)
		i++;
	return &actions[i];
}

int action_plan(void *self, const struct connector_ask *ask,
		struct connector_reply *reply)
{
	return action_of(ask->action)->plan(self, ask, reply);
}

int action_apply(void *self, const struct connector_order *order,
		 struct connector_reply *reply)
{
	return action_of(order->action)->apply(self, order, reply);
}

int action_read(void *self, const struct connector_ask *ask,
		struct connector_reply *reply)
{
	return action_of(ask->action)->read(self, ask, reply);
}
