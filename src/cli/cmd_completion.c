/* writ completion: scripts for shells, made from the tables. */
#include "base/mem.h"
#include "cli/commands.h"

/* True for the first command of its noun, so that each noun comes once. */
static bool is_first(const struct command_table *t, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(t->commands[k].noun, t->commands[i].noun))
			return false;
	return true;
}

static void put_nouns(const struct command_table *t, FILE *out)
{
	for (size_t i = 0; i < t->count; i++)
		if (is_first(t, i))
			fprintf(out, "%s%s", i ? " " : "", t->commands[i].noun);
}

static void put_verbs(const struct command_table *t, const char *noun,
		      FILE *out)
{
	const char *gap = "";

	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(t->commands[i].noun, noun) || !t->commands[i].verb)
			continue;
		fprintf(out, "%s%s", gap, t->commands[i].verb);
		gap = " ";
	}
}

static void put_options(const struct option_row *rows, FILE *out)
{
	for (; rows && rows->name; rows++)
		fprintf(out, " --%s", rows->name);
}

/* command: "noun verb", or "*" for any. */
static void put_choices(const char *command, const struct option_row *rows,
			FILE *out)
{
	for (; rows && rows->name; rows++) {
		if (!rows->choices)
			continue;
		fprintf(out, "\t%s' --%s') candidates='", command, rows->name);
		for (const char *p = rows->choices; *p; p++)
			fputc(*p == '|' ? ' ' : *p, out);
		fputs("' ;;\n", out);
	}
}

/* "case" arms of the words that may follow. */
static void put_verb_arms(const struct command_table *t, FILE *out)
{
	for (size_t i = 0; i < t->count; i++) {
		if (!is_first(t, i))
			continue;
		fprintf(out, "\t%s) verbs='", t->commands[i].noun);
		put_verbs(t, t->commands[i].noun, out);
		fputs("' ;;\n", out);
	}
}

static void put_option_arms(const struct command_table *t, FILE *out)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct command *c = &t->commands[i];

		fprintf(out, "\t'%s%s%s') options='", c->noun,
			c->verb ? " " : "", c->verb ? c->verb : "");
		put_options(c->options, out);
		fputs("' ;;\n", out);
	}
}

static void put_choice_arms(const struct command_table *t, FILE *out)
{
	put_choices("*", t->globals, out);
	for (size_t i = 0; i < t->count; i++) {
		const struct command *c = &t->commands[i];
		CLEANUP(mem_free_p)
		char *name = mem_format("'%s%s%s'", c->noun, c->verb ? " " : "",
					c->verb ? c->verb : "");

		put_choices(name, c->options, out);
	}
}

/* One function for both shells: reads words before the cursor from "$@", the
 * last being the one to complete, and sets "candidates". */
static void put_function(const struct command_table *t, FILE *out)
{
	fputs("_writ_words() {\n"
	      "\tlocal noun= verb= word previous= verbs= options=\n"
	      "\tcandidates=\n"
	      "\twhile [ $# -gt 1 ]; do\n"
	      "\t\tword=$1; previous=$1; shift\n"
	      "\t\tcase $word in\n"
	      "\t\t-*) ;;\n"
	      "\t\t*)\n"
	      "\t\t\tif [ -z \"$noun\" ]; then noun=$word\n"
	      "\t\t\telif [ -z \"$verb\" ]; then verb=$word; fi ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase \"$noun${verb:+ $verb} $previous\" in\n",
	      out);
	put_choice_arms(t, out);
	fputs("\tesac\n"
	      "\t[ -n \"$candidates\" ] && return\n"
	      "\tif [ -z \"$noun\" ]; then\n"
	      "\t\tcandidates='",
	      out);
	put_nouns(t, out);
	fputs("'\n\t\treturn\n\tfi\n\tcase $noun in\n", out);
	put_verb_arms(t, out);
	fputs("\tesac\n"
	      "\tif [ -n \"$verbs\" ] && [ -z \"$verb\" ]; then\n"
	      "\t\tcandidates=$verbs\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\t[ -z \"$verbs\" ] && verb=\n"
	      "\tcase \"$noun${verb:+ $verb}\" in\n",
	      out);
	put_option_arms(t, out);
	fputs("\tesac\n\tcandidates=\"$options", out);
	put_options(t->globals, out);
	fputs("\"\n}\n", out);
}

static void put_bash(const struct command_table *t, FILE *out)
{
	fputs("# bash completion of writ: source it, or put it into\n"
	      "# /usr/share/bash-completion/completions/writ\n",
	      out);
	put_function(t, out);
	fputs("_writ() {\n"
	      "\tlocal candidates\n"
	      "\t_writ_words \"${COMP_WORDS[@]:1:COMP_CWORD}\"\n"
	      "\tCOMPREPLY=($(compgen -W \"$candidates\" -- "
	      "\"${COMP_WORDS[COMP_CWORD]}\"))\n"
	      "}\n"
	      "complete -o bashdefault -o default -F _writ writ\n",
	      out);
}

static void put_zsh(const struct command_table *t, FILE *out)
{
	fputs("#compdef writ\n"
	      "# zsh completion of writ: a file _writ in a folder of $fpath\n",
	      out);
	put_function(t, out);
	fputs("_writ() {\n"
	      "\tlocal candidates\n"
	      "\t_writ_words \"${(@)words[2,CURRENT]}\"\n"
	      "\tcompadd -- ${=candidates} || _files\n"
	      "}\n"
	      "compdef _writ writ\n",
	      out);
}

int cmd_completion(struct cli *cli)
{
	const char *shell = args_operand(&cli->args, 0);

	if (!strcmp(shell, "bash"))
		put_bash(cli->table, cli->out);
	else if (!strcmp(shell, "zsh"))
		put_zsh(cli->table, cli->out);
	else
		return cli_usage(cli, "completion for bash or zsh");
	return CLI_OK;
}
