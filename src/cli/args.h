/*
 * The command line: commands and options are rows of tables, and parsing, help,
 * shell completion and the check of the manual page all read the same rows.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

enum {
	ARGS_VALUES_MAX = 128,	  /* options given on one command line */
	ARGS_OPERANDS_MAX = 1024, /* words after the verb */
};

/* An error beside those of base/error.h: what was typed, or what is set, is
 * wrong; another command line would help. */
enum { ERR_USAGE = -100 };

struct cli;

struct option_row {
	const char *name;     /* long name without dashes; NULL ends a table */
	char letter;	      /* short name, 0 for none */
	const char *argument; /* what it takes, as help shows it; NULL: none */
	bool required;
	bool many;	     /* may be given more than once */
	const char *choices; /* "a|b|c"; NULL for anything */
	const char *help;    /* one line */
};

struct command {
	const char *noun;
	const char *verb; /* NULL: the noun alone is the command */
	/* Returns an exit code (cli.h) or a negative error. */
	int (*run)(struct cli *cli);
	const struct option_row *options; /* NULL for none */
	/* As help shows them, "" for none; what begins with "-- " is the
	 * command line of another program. */
	const char *operands;
	unsigned operands_min;
	unsigned operands_max;
	const char *help; /* one line */
};

struct command_table {
	const struct command *commands;
	size_t count;
	const struct option_row *globals; /* options that every command has */
};

struct args_value {
	const struct option_row *row;
	const char *text; /* NULL for an option without argument */
};

/* What was given; texts are borrowed from argv. */
struct args {
	const char *noun;	       /* NULL if there was none */
	const struct command *command; /* NULL: the noun alone, or nothing */
	struct args_value values[ARGS_VALUES_MAX];
	size_t value_count;
	const char *operands[ARGS_OPERANDS_MAX];
	size_t operand_count;
	bool help;    /* --help or -h stood somewhere */
	bool version; /* --version stood somewhere */
};

/*
 * Reads a command line.  Options may stand anywhere after the word they belong
 * to; "--" ends them; "--name=value" and "--name value" are the same.  With
 * --help or --version nothing that is missing is a fault.
 *
 * Errors: ERR_SYNTAX (unknown, missing, given twice, not a choice, not of the
 * kind that argument names: DURATION, WHEN, N, INDEX), ERR_LIMIT.  After one
 * ret_args has what was read before it.
 */
MUST_USE int args_parse(const struct command_table *table, int argc,
			const char *const *argv, struct args *ret_args);

/* The last value of an option, or fallback if it was not given. */
const char *args_text(const struct args *a, const char *name,
		      const char *fallback);
bool args_flag(const struct args *a, const char *name);

/* Operand number i (from 0), NULL if it was not given. */
const char *args_operand(const struct args *a, size_t i);

/* The command of that noun and verb (NULL: the noun alone); NULL if none. */
const struct command *args_find(const struct command_table *table,
				const char *noun, const char *verb);

/* Help: for everything (noun NULL), one noun, or one command. */
void args_help(const struct command_table *table, const char *noun,
	       const struct command *command, FILE *out);
