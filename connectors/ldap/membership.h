/*
 * Membership of groups and of roles: what AddToGroup, RemoveFromGroup,
 * GrantRole and RevokeRole would change, changing it, and seeing what is the
 * case.  The functions are those of struct connector_ops, with a struct reach
 * as their self.
 *
 * A plan names who gains or loses through the member that is asked for: that
 * account, or every account nested below that group.  An account which belongs
 * to the resource along another way as well is named all the same: the plan
 * then depends on nothing that it does not change.
 */
#pragma once

#include "connectors/ldap/reach.h"

/* Reads the directory and says what the change would do. */
int membership_plan(void *self, const struct connector_ask *ask,
		    struct connector_reply *reply);
/* Makes the change if what the plan depends on still holds. */
int membership_apply(void *self, const struct connector_order *order,
		     struct connector_reply *reply);
/* Whether the after-state stands, by a fresh read. */
int membership_read(void *self, const struct connector_ask *ask,
		    struct connector_reply *reply);
