/* What a connector shuts behind itself once all is open. */
#pragma once

#include "connectors/sdk/server.h"

/*
 * Enters the sandbox as the configuration wants it: the files that it names
 * with their folders, because they may be replaced by rename; what a kind that
 * connects needs to find its target; and nothing else.  Says in the log what is
 * missing.
 *
 * server: opened; gets what describe tells.
 * Errors: ERR_UNAVAILABLE where all of it is required and cannot be.
 */
MUST_USE int shut_in(struct server *server);
