/* writ notification ... */
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/output.h"

static const struct output_column columns[] = {
	{ "NOTICE", "id" },	    { "STATE", "state" },
	{ "ENDPOINT", "endpoint" }, { "EVENT", "event" },
	{ "ABOUT", "about" },	    { "MADE", "made" },
	{ "TRIES", "attempts" },    { "WHY", "why" },
};

static const struct output_column rows[] = {
	{ "Notice", "id" },
	{ "State", "state" },
	{ "Leaf", "evidence.index" },
};

int cmd_notification_list(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path = exchange_list_path(cli, "/v1/notifications");

	return exchange_list(cli, path, "notifications", columns,
			     ARRAY_LEN(columns));
}

static int act(struct cli *cli, const char *what, const char *question)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	const char *id = args_operand(&cli->args, 0);
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/notifications", id, "");
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, STATEMENT_NOTICE, &statement));
	json_set_text(statement, "notification", id);
	json_set_text(statement, "act", what);
	TRY(exchange_ask_and_send(cli, c, STATEMENT_NOTICE, statement, question,
				  path, &a, &code));
	if (code == CLI_OK)
		exchange_put(cli, a.json, rows, ARRAY_LEN(rows));
	return code;
}

int cmd_notification_retry(struct cli *cli)
{
	return act(cli, "retry", "Send it again?");
}

int cmd_notification_drop(struct cli *cli)
{
	return act(cli, "drop", "Let go of it, so that nobody is told?");
}
