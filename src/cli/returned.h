/* The return of a task, as people read it. */
#pragma once

#include "cli/cli.h"

/*
 * Shows in short rows what came of a task: what was changed, lent, reported and
 * observed, and in words where these differ.  Nothing for a task without one.
 *
 * task: as GET /v1/tasks/{id} answers it.
 */
void returned_show(struct cli *cli, const json_t *task);
