/* What a task has handed to other agents, for who is shown the task. */
#pragma once

#include "cli/cli.h"
#include "cli/client.h"

/* A table of the children of a task as they stand now, after a blank line;
 * nothing for none.  Errors: those of client_call(). */
MUST_USE int delegate_put_children(struct cli *cli, struct client *c,
				   const json_t *task);
