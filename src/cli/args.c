#include "cli/args.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/slice.h"

static const struct option_row *find_long(const struct option_row *rows,
					  struct slice name)
{
	for (; rows && rows->name; rows++)
		if (slice_is(name, rows->name))
			return rows;
	return NULL;
}

static const struct option_row *find_short(const struct option_row *rows,
					   char letter)
{
	for (; rows && rows->name; rows++)
		if (rows->letter == letter)
			return rows;
	return NULL;
}

const struct command *args_find(const struct command_table *table,
				const char *noun, const char *verb)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct command *c = &table->commands[i];

		if (strcmp(c->noun, noun))
			continue;
		if (!verb && !c->verb)
			return c;
		if (verb && c->verb && !strcmp(c->verb, verb))
			return c;
	}
	return NULL;
}

static bool has_noun(const struct command_table *table, const char *noun)
{
	for (size_t i = 0; i < table->count; i++)
		if (!strcmp(table->commands[i].noun, noun))
			return true;
	return false;
}

static bool is_choice(const char *choices, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || strchr(text, '|'))
		return false;
	for (const char *at = choices; at; at = strchr(at, '|')) {
		if (*at == '|')
			at++;
		if (!strncmp(at, text, len) &&
		    (at[len] == '|' || at[len] == '\0'))
			return true;
	}
	return false;
}

static const struct args_value *find_value(const struct args *a,
					   const char *name)
{
	for (size_t i = a->value_count; i > 0; i--)
		if (!strcmp(a->values[i - 1].row->name, name))
			return &a->values[i - 1];
	return NULL;
}

static bool is_duration(const char *text)
{
	int64_t seconds;

	return clock_parse_duration(text, &seconds) == 0;
}

/* A time, or a duration from now. */
static bool is_moment(const char *text)
{
	int64_t ms;

	return strchr(text, 'T') ? clock_parse(text, &ms) == 0
				 : is_duration(text);
}

/* At most 18 digits, so that it fits. */
static bool is_number(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= 18 && strspn(text, "0123456789") == len;
}

/* Values whose kind help names and that are checked by it. */
static const struct {
	const char *argument;
	bool (*is)(const char *text);
	const char *words;
} kinds[] = {
	{ "DURATION", is_duration, "a duration such as 90s, 15m or 2d" },
	{ "WHEN", is_moment, "a time (RFC 3339) or a duration such as 15m" },
	{ "N", is_number, "a number" },
	{ "INDEX", is_number, "a number" },
};

static int check_kind(const struct option_row *row, const char *text)
{
	for (size_t i = 0; text && i < ARRAY_LEN(kinds); i++) {
		if (!strcmp(kinds[i].argument, row->argument) &&
		    !kinds[i].is(text))
			return error_set(ERR_SYNTAX, "--%s is %s", row->name,
					 kinds[i].words);
	}
	return 0;
}

static int add_value(struct args *a, const struct option_row *row,
		     const char *text)
{
	if (!row->many && find_value(a, row->name))
		return error_set(ERR_SYNTAX, "--%s was given twice", row->name);
	if (row->choices && !is_choice(row->choices, text))
		return error_set(ERR_SYNTAX, "--%s must be one of %s",
				 row->name, row->choices);
	TRY(check_kind(row, text));
	if (a->value_count == ARGS_VALUES_MAX)
		return error_set(ERR_LIMIT, "more than %d options",
				 ARGS_VALUES_MAX);
	a->values[a->value_count++] = (struct args_value){ row, text };
	if (!strcmp(row->name, "help"))
		a->help = true;
	if (!strcmp(row->name, "version"))
		a->version = true;
	return 0;
}

struct words {
	int count;
	const char *const *list;
	int next;
};

/* "--name", "--name=value" or "--name value". */
static int take_long(const struct command_table *table, struct words *w,
		     const char *word, struct args *a)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	struct slice name = slice_of(word + 2, len - 2);
	const struct option_row *row = NULL;

	if (a->command)
		row = find_long(a->command->options, name);
	if (!row)
		row = find_long(table->globals, name);
	if (!row)
		return error_set(ERR_SYNTAX, "unknown option %.*s", (int)len,
				 word);
	if (!row->argument && equals)
		return error_set(ERR_SYNTAX, "--%s takes no value", row->name);
	if (!row->argument)
		return add_value(a, row, NULL);
	if (equals)
		return add_value(a, row, equals + 1);
	if (w->next == w->count)
		return error_set(ERR_SYNTAX, "--%s needs a value (%s)",
				 row->name, row->argument);
	return add_value(a, row, w->list[w->next++]);
}

/* "-x", "-xVALUE" or "-x VALUE"; letters are not gathered. */
static int take_short(const struct command_table *table, struct words *w,
		      const char *word, struct args *a)
{
	const struct option_row *row = NULL;

	if (a->command)
		row = find_short(a->command->options, word[1]);
	if (!row)
		row = find_short(table->globals, word[1]);
	if (!row || (!row->argument && word[2]))
		return error_set(ERR_SYNTAX, "unknown option %s", word);
	if (!row->argument)
		return add_value(a, row, NULL);
	if (word[2])
		return add_value(a, row, word + 2);
	if (w->next == w->count)
		return error_set(ERR_SYNTAX, "-%c needs a value (%s)",
				 row->letter, row->argument);
	return add_value(a, row, w->list[w->next++]);
}

static int take_word(const struct command_table *table, const char *word,
		     struct args *a)
{
	if (!a->noun) {
		if (!has_noun(table, word))
			return error_set(ERR_SYNTAX, "no command '%s'", word);
		a->noun = word;
		a->command = args_find(table, word, NULL);
		return 0;
	}
	if (!a->command) {
		a->command = args_find(table, a->noun, word);
		if (!a->command)
			return error_set(ERR_SYNTAX, "no command '%s %s'",
					 a->noun, word);
		return 0;
	}
	if (a->operand_count == ARGS_OPERANDS_MAX)
		return error_set(ERR_LIMIT, "more than %d words",
				 ARGS_OPERANDS_MAX);
	a->operands[a->operand_count++] = word;
	return 0;
}

/* What must be there is there. */
static int check_whole(const struct args *a)
{
	const struct command *c = a->command;

	if (a->help || a->version || !c)
		return 0;
	if (a->operand_count < c->operands_min)
		return error_set(ERR_SYNTAX, "missing: %s", c->operands);
	if (a->operand_count > c->operands_max)
		return error_set(ERR_SYNTAX, "what is '%s'?",
				 a->operands[c->operands_max]);
	for (const struct option_row *row = c->options; row && row->name; row++)
		if (row->required && !find_value(a, row->name))
			return error_set(ERR_SYNTAX, "--%s is required: %s",
					 row->name, row->help);
	return 0;
}

/* What is wrong behind the first word of somebody else's command line is most
 * likely an option of theirs. */
static int add_hint(const struct args *a, int r)
{
	char fault[256];

	if (r == 0 || a->operand_count == 0 ||
	    strncmp(a->command->operands, "-- ", 3) != 0)
		return r;
	snprintf(fault, sizeof(fault), "%s", error_message());
	return error_set(r, "%s; to hand it on, put -- before '%s'", fault,
			 a->operands[0]);
}

static int take_option(const struct command_table *table, struct words *w,
		       const char *word, struct args *a)
{
	int r = word[1] == '-' ? take_long(table, w, word, a)
			       : take_short(table, w, word, a);

	return add_hint(a, r);
}

int args_parse(const struct command_table *table, int argc,
	       const char *const *argv, struct args *ret_args)
{
	struct words w = { argc, argv, 1 };
	struct args *a = ret_args;
	bool options = true;

	*a = (struct args){ 0 };
	while (w.next < w.count) {
		const char *word = w.list[w.next++];

		if (!options || word[0] != '-' || !word[1])
			TRY(take_word(table, word, a));
		else if (!strcmp(word, "--"))
			options = false;
		else
			TRY(take_option(table, &w, word, a));
	}
	return check_whole(a);
}

const char *args_text(const struct args *a, const char *name,
		      const char *fallback)
{
	const struct args_value *v = find_value(a, name);

	return v ? v->text : fallback;
}

bool args_flag(const struct args *a, const char *name)
{
	return find_value(a, name) != NULL;
}

const char *args_operand(const struct args *a, size_t i)
{
	return i < a->operand_count ? a->operands[i] : NULL;
}

/* ---- help ---- */

static int command_width(const struct command *c)
{
	size_t len = strlen(c->noun) + (c->verb ? 1 + strlen(c->verb) : 0);

	return (int)len;
}

static void help_line(const struct command *c, FILE *out)
{
	fprintf(out, "  %s%s%s%*s  %s\n", c->noun, c->verb ? " " : "",
		c->verb ? c->verb : "", 20 - command_width(c), "", c->help);
}

static void help_options(const struct option_row *rows, FILE *out)
{
	for (; rows && rows->name; rows++) {
		int len = (int)strlen(rows->name);

		if (rows->argument)
			len += 1 + (int)strlen(rows->argument);
		if (rows->letter)
			fprintf(out, "  -%c, ", rows->letter);
		else
			fputs("      ", out);
		fprintf(out, "--%s%s%s%*s  %s%s%s%s%s%s\n", rows->name,
			rows->argument ? " " : "",
			rows->argument ? rows->argument : "",
			len < 24 ? 24 - len : 0, "", rows->help,
			rows->choices ? ": " : "",
			rows->choices ? rows->choices : "",
			rows->required ? " (required)" : "",
			rows->many ? " (repeatable)" : "", "");
	}
}

static void help_command(const struct command *c, FILE *out)
{
	const char *options =
		c->options && c->options->name ? " [options]" : "";
	bool theirs = !strncmp(c->operands, "-- ", 3);

	fprintf(out, "usage: writ %s%s%s%s%s%s%s\n\n%s.\n", c->noun,
		c->verb ? " " : "", c->verb ? c->verb : "",
		theirs ? options : "", *c->operands ? " " : "", c->operands,
		theirs ? "" : options, c->help);
	if (!c->options || !c->options->name)
		return;
	fputs("\noptions:\n", out);
	help_options(c->options, out);
}

void args_help(const struct command_table *table, const char *noun,
	       const struct command *command, FILE *out)
{
	if (command) {
		help_command(command, out);
	} else {
		fprintf(out, "usage: writ %s [options]\n\ncommands:\n",
			noun ? noun : "NOUN [VERB]");
		for (size_t i = 0; i < table->count; i++) {
			const struct command *c = &table->commands[i];

			if (!noun || !strcmp(c->noun, noun))
				help_line(c, out);
		}
	}
	fputs("\noptions of every command:\n", out);
	help_options(table->globals, out);
	fputs("\nExit codes: 0 ok, 1 failed, 2 usage, 3 denied, 4 waiting, "
	      "5 unreachable,\n6 conflict or unknown, 7 verification "
	      "finding.  See writ(1).\n",
	      out);
}
