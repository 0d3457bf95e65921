/* writ grant ...: what was granted or lent, and its end before its time. */
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"

static const struct output_column columns[] = {
	{ "GRANT", "id" },	    { "STATE", "state" },
	{ "AGENT", "agent" },	    { "TARGET", "target" },
	{ "RESOURCE", "resource" }, { "PARAMETERS", "parameters" },
	{ "ENDS", "ends" },
};

static const struct output_column rows[] = {
	{ "Grant", "id" },
	{ "State", "state" },
	{ "Agent", "agent" },
	{ "Action", "action" },
	{ "Target", "target" },
	{ "Resource", "resource" },
	{ "Parameters", "parameters" },
	{ "Request", "request" },
	{ "Placed", "placed" },
	{ "Delivered", "delivered" },
	{ "Ends", "ends" },
	{ "Ended", "ended" },
	{ "Because", "why" },
	{ "Unconfirmed", "unconfirmed" },
	{ "Ended leaf", "evidence.ended.index" },
};

int cmd_grant_list(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path = exchange_list_path(cli, "/v1/grants");

	return exchange_list(cli, path, "grants", columns, ARRAY_LEN(columns));
}

int cmd_grant_show(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path =
		exchange_path("/v1/grants", args_operand(&cli->args, 0), "");

	return exchange_show(cli, path, rows, ARRAY_LEN(rows));
}

int cmd_grant_end(struct cli *cli)
{
	const char *id = args_operand(&cli->args, 0);
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/grants", id, "/end");
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, STATEMENT_END_GRANT, &statement));
	json_set_text(statement, "grant", id);
	json_set_text(statement, "reason", args_text(&cli->args, "reason", ""));
	TRY(exchange_ask_and_send(cli, c, STATEMENT_END_GRANT, statement,
				  "End this grant?", path, &a, &code));
	if (code != CLI_OK)
		return code;
	exchange_put(cli, a.json, rows, ARRAY_LEN(rows));
	fputs("It is being taken back; \"writ grant show\" tells when the "
	      "target has confirmed it.\n",
	      cli->err);
	return CLI_OK;
}
