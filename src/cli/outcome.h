/* A request as the authority tells it: what to show, how to end. */
#pragma once

#include "cli/cli.h"

/*
 * The exit code that a request's state means: CLI_OK for what ended well,
 * CLI_WAITING while it waits or runs, CLI_DENIED, CLI_CONFLICT for a state that
 * is another or unknown, else CLI_FAILED, also for states we do not know.
 */
int outcome_exit(const char *state);

/* True while a request may still change by itself. */
bool outcome_is_open(const char *state);

/* Shows a request, or prints it as JSON. */
void outcome_show(struct cli *cli, const json_t *request);

/* Shows what decided it and why, in the words for people. */
void outcome_explain(struct cli *cli, const json_t *request);

/* Says on standard error, in some short lines, why it ended other than well:
 * the outcome's words, those of whoever said no, and those of a denial. */
void outcome_say_why(struct cli *cli, const json_t *request);
