/*
 * GrantRole and RevokeRole: membership of roles.  The functions are those of
 * struct connector_ops, with a struct target as their self.
 *
 * What is granted and taken is the grant of this connector's own account.  One
 * that somebody else made is told, and never touched.
 */
#pragma once

#include "connectors/postgres/target.h"

/* Reads the server and says what the change would do. */
MUST_USE int membership_plan(struct target *t, const struct connector_ask *ask,
			     struct connector_reply *reply);

/* Makes the change and looks at it in one transaction, which is undone when
 * what it found is not what was planned. */
MUST_USE int membership_apply(struct target *t,
			      const struct connector_order *order,
			      struct connector_reply *reply);

/* Whether the after-state stands, by a fresh read. */
MUST_USE int membership_read(struct target *t, const struct connector_ask *ask,
			     struct connector_reply *reply);
