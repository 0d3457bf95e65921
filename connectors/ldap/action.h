/* The table of actions of this connector: one row each, with what it is called
 * and the functions that do it. */
#pragma once

#include "connectors/sdk/connector.h"

/* The rows as the kit tells them, ended by one without an action. */
const struct connector_action *action_rows(void);

/* The operations of struct connector_ops, handed to the action's own. */
int action_plan(void *self, const struct connector_ask *ask,
		struct connector_reply *reply);
int action_apply(void *self, const struct connector_order *order,
		 struct connector_reply *reply);
int action_read(void *self, const struct connector_ask *ask,
		struct connector_reply *reply);
