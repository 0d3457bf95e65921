/*
 * What an account has, directly and through nested groups, as ReadEntitlements
 * reads it: the method "entitlements" of docs/connector-protocol.md.  A
 * connector_survey_fn; self is a struct reach.
 */
#pragma once

#include "connectors/ldap/reach.h"

int entitlements_survey(void *self, const json_t *params,
			struct connector_reply *reply);
