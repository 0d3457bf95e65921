/*
 * Who is there and what they may do: discover() and entitlements() of struct
 * connector_ops, with a struct target as their self.
 */
#pragma once

#include "connectors/postgres/target.h"

/* A page of the roles that are not the server's own. */
MUST_USE int survey_discover(struct target *t, const json_t *params,
			     struct connector_reply *reply);

/* What a role is in, what powers it has, and what it may do in the configured
 * database, counted. */
MUST_USE int survey_entitlements(struct target *t, const json_t *params,
				 struct connector_reply *reply);
