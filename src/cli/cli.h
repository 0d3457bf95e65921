/*
 * What the commands of `writ` share: the parsed command line, settings, where
 * output goes, and the exit codes, which are part of the interface.
 */
#pragma once

#include <stdio.h>

#include "base/json.h"
#include "cli/args.h"
#include "cli/settings.h"

/* Stable and documented in writ(1). */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_DENIED = 3,	     /* policy or a person said no */
	CLI_WAITING = 4,     /* needs approval, or is still under way */
	CLI_UNREACHABLE = 5, /* the authority does not answer */
	CLI_CONFLICT = 6,    /* the state is another, or nobody knows it */
	CLI_FINDING = 7,     /* verification found something */
};

struct cli {
	const struct command_table *table;
	struct args args;
	struct settings settings;
	FILE *in;
	FILE *out;
	FILE *err;
	bool json;     /* --output json */
	bool colour;   /* of out */
	bool no_input; /* never ask */
	bool yes;      /* asked and answered on the command line */
};

/* Runs `writ` with these words (argv[0] is the program); returns the exit
 * code. */
int cli_main(const struct command_table *table, int argc,
	     const char *const *argv, FILE *in, FILE *out, FILE *err);

/* The exit code for an error code of base/error.h. */
int cli_exit_for_error(int error);

/* Says what is wrong with the command line; returns CLI_USAGE. */
PRINTF_LIKE(2, 3) int cli_usage(struct cli *cli, const char *format, ...);

/*
 * Asks a yes-or-no question on the terminal.
 * ret_yes: true also when --yes was given.
 * Errors: ERR_REFUSED when nobody can be asked (--no-input, no terminal).
 */
MUST_USE int cli_confirm(struct cli *cli, const char *question, bool *ret_yes);
