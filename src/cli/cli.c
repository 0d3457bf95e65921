#include "cli/cli.h"

#include <signal.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/output.h"

static const struct {
	int error;
	int exit;
} exits[] = {
	{ ERR_USAGE, CLI_USAGE },     { ERR_BUSY, CLI_CONFLICT },
	{ ERR_CORRUPT, CLI_FINDING }, { ERR_UNAVAILABLE, CLI_UNREACHABLE },
	{ ERR_REFUSED, CLI_FAILED },
};

int cli_exit_for_error(int error)
{
	for (size_t i = 0; i < ARRAY_LEN(exits); i++)
		if (exits[i].error == error)
			return exits[i].exit;
	return CLI_FAILED;
}

static void say_where_help_is(struct cli *cli)
{
	const char *noun = cli->args.noun;

	fprintf(cli->err, "\nSee 'writ help%s%s'.\n", noun ? " " : "",
		noun ? noun : "");
}

int cli_usage(struct cli *cli, const char *format, ...)
{
	va_list arguments;

	fputs("writ: ", cli->err);
	va_start(arguments, format);
	vfprintf(cli->err, format, arguments);
	va_end(arguments);
	say_where_help_is(cli);
	return CLI_USAGE;
}

static bool is_yes(const char *line)
{
	return !strcmp(line, "y\n") || !strcmp(line, "Y\n") ||
	       !strcmp(line, "yes\n");
}

int cli_confirm(struct cli *cli, const char *question, bool *ret_yes)
{
	char line[16];

	if (cli->yes) {
		*ret_yes = true;
		return 0;
	}
	if (cli->no_input || isatty(fileno(cli->in)) != 1)
		return error_set(ERR_REFUSED, "nobody can be asked here; read "
					      "it and give --yes to agree");
	fprintf(cli->err, "%s [y/N] ", question);
	fflush(cli->err);
	*ret_yes = fgets(line, sizeof(line), cli->in) && is_yes(line);
	return 0;
}

static void say_error(struct cli *cli)
{
	CLEANUP(mem_free_p) char *clean = output_clean(error_message(), true);

	fprintf(cli->err, "writ: %s\n", clean);
}

static int run(struct cli *cli)
{
	const struct args *a = &cli->args;
	int r;

	cli->json = !strcmp(args_text(a, "output", "table"), "json");
	cli->no_input = args_flag(a, "no-input");
	cli->yes = args_flag(a, "yes");
	cli->colour = output_wants_colour(cli->out);
	r = settings_load(a, &cli->settings);
	if (r == 0)
		r = a->command->run(cli);
	settings_clear(&cli->settings);
	if (r >= 0)
		return r;
	say_error(cli);
	return cli_exit_for_error(r);
}

int cli_main(const struct command_table *table, int argc,
	     const char *const *argv, FILE *in, FILE *out, FILE *err)
{
	struct cli cli = { .table = table, .in = in, .out = out, .err = err };
	int code;

	signal(SIGPIPE, SIG_IGN);
	if (args_parse(table, argc, argv, &cli.args) < 0)
		return cli_usage(&cli, "%s", error_message());
	if (cli.args.version) {
		fputs("writ " WRIT_VERSION "\n", out);
		return CLI_OK;
	}
	if (cli.args.help || !cli.args.noun) {
		args_help(table, cli.args.noun, cli.args.command,
			  cli.args.help ? out : err);
		return cli.args.help ? CLI_OK : CLI_USAGE;
	}
	if (!cli.args.command)
		return cli_usage(&cli, "'%s' needs a verb", cli.args.noun);
	code = run(&cli);
	if (fflush(out) != 0 && code == CLI_OK)
		code = CLI_FAILED;
	return code;
}
