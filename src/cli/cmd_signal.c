/* writ signal list|send. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/input.h"

static const struct output_column columns[] = {
	{ "SIGNAL", "id" },	{ "DETECTOR", "detector" }, { "KIND", "kind" },
	{ "ABOUT", "subject" }, { "TARGET", "target" },	    { "NAME", "name" },
	{ "SCORE", "score" },	{ "EXPIRES", "expires" },
};

int cmd_signal_list(struct cli *cli)
{
	return exchange_list(cli, "/v1/signals", "signals", columns,
			     ARRAY_LEN(columns));
}

/* ---- what it is about ---- */

/* "TARGET/ID": the target's name has no slash. */
static int fill_resource(json_t *statement, const char *text)
{
	const char *slash = strchr(text, '/');
	CLEANUP(mem_free_p) char *target = NULL;

	if (!slash || slash == text || !slash[1])
		return error_set(ERR_USAGE, "--resource is TARGET/ID");
	target = mem_format("%.*s", (int)(slash - text), text);
	json_set_text(statement, "subject", "resource");
	json_set_text(statement, "target", target);
	json_set_text(statement, "name", slash + 1);
	return 0;
}

static int fill_subject(struct cli *cli, json_t *statement)
{
	static const char *const subjects[] = { "agent", "task", "resource" };
	const char *given = NULL;
	const char *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		const char *value = args_text(&cli->args, subjects[i], NULL);

		if (!value)
			continue;
		if (given)
			return error_set(ERR_USAGE,
					 "a signal is about one thing: --%s or "
					 "--%s",
					 given, subjects[i]);
		given = subjects[i];
		text = value;
	}
	if (!given)
		return error_set(ERR_USAGE, "say what it is about: --agent, "
					    "--task or --resource");
	if (!strcmp(given, "resource"))
		return fill_resource(statement, text);
	json_set_text(statement, "subject", given);
	json_set_text(statement, "name", text);
	return 0;
}

static int fill_score(struct cli *cli, json_t *statement)
{
	const char *text = args_text(&cli->args, "score", "");
	char *end = NULL;
	long score = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || score > 100)
		return error_set(ERR_USAGE, "--score is 0 to 100");
	json_set_int(statement, "score", score);
	return 0;
}

static int fill_signal(struct cli *cli, json_t *statement)
{
	int64_t now_ms = clock_wall_ms();
	int64_t expires_ms;

	if (!args_text(&cli->args, "kind", NULL))
		return error_set(ERR_USAGE, "say what it is: --kind");
	TRY(fill_subject(cli, statement));
	TRY(fill_score(cli, statement));
	TRY(input_time(args_text(&cli->args, "expires", "15m"), now_ms,
		       &expires_ms));
	json_set_text(statement, "kind", args_text(&cli->args, "kind", ""));
	json_set_time(statement, "expires", expires_ms);
	json_set_text(statement, "reason", args_text(&cli->args, "reason", ""));
	return 0;
}

static const struct output_column sent_rows[] = {
	{ "Signal", "id" },	{ "Detector", "detector" },
	{ "About", "subject" }, { "Name", "name" },
	{ "Score", "score" },	{ "Expires", "expires" },
	{ "Heard", "heard" },	{ "Leaf", "evidence.signal.index" },
};

/* A detector is a program: it is not asked whether it means it. */
int cmd_signal_send(struct cli *cli)
{
	bool beat = args_flag(&cli->args, "heartbeat");
	enum statement_type type =
		beat ? STATEMENT_HEARTBEAT : STATEMENT_SIGNAL;
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, type, &statement));
	if (!beat)
		TRY(fill_signal(cli, statement));
	TRY(exchange_send_signed(cli, c, type, statement, "/v1/signals", &a,
				 &code));
	if (code == CLI_OK)
		exchange_put(cli, a.json, sent_rows, ARRAY_LEN(sent_rows));
	return code;
}
