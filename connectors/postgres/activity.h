/*
 * What a role did: activity() of struct connector_ops, with a struct target as
 * its self.  Out of the server's CSV log where the configuration names it, else
 * a sample of its sessions.
 */
#pragma once

#include "connectors/postgres/target.h"

enum { ACTIVITY_LOG_MAX = 16 << 20 }; /* bytes read of the log's end */

MUST_USE int activity_read(struct target *t, const json_t *params,
			   struct connector_reply *reply);
