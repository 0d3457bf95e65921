/* What accounts and groups there are, a page at a time: the method "discover"
 * of docs/connector-protocol.md.  A connector_survey_fn; self is a struct
 * reach.
 */
#pragma once

#include "connectors/ldap/reach.h"

int discover_survey(void *self, const json_t *params,
		    struct connector_reply *reply);
