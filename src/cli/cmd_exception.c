/* writ exception ...: break-glass. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/input.h"

static const struct output_column columns[] = {
	{ "EXCEPTION", "id" },	    { "STATE", "state" },
	{ "TASK", "task" },	    { "AGENT", "agent" },
	{ "TIER CAP", "tierCap" },  { "EXPIRES", "expires" },
	{ "SIGNED BY", "signers" },
};

static const struct output_column rows[] = {
	{ "Exception", "id" },
	{ "State", "state" },
	{ "Task", "task" },
	{ "Agent", "agent" },
	{ "Tier cap", "tierCap" },
	{ "Expires", "expires" },
	{ "Reason", "reason" },
	{ "Signed by", "signers" },
	{ "Created", "created" },
	{ "Revoked by", "revoked.by" },
	{ "Because", "revoked.reason" },
	{ "Used by", "uses" },
};

int cmd_exception_list(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path = exchange_list_path(cli, "/v1/exceptions");

	return exchange_list(cli, path, "exceptions", columns,
			     ARRAY_LEN(columns));
}

int cmd_exception_show(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/exceptions",
				   args_operand(&cli->args, 0), "");

	return exchange_show(cli, path, rows, ARRAY_LEN(rows));
}

/* Says what came of a signature, and what the next person has to do. */
static int conclude(struct cli *cli, const struct client_answer *a, int code)
{
	CLEANUP(mem_free_p) char *id = NULL;

	if (code != CLI_OK)
		return code;
	exchange_put(cli, a->json, rows, ARRAY_LEN(rows));
	if (a->status != 202)
		return CLI_OK;
	id = output_clean(json_text(a->json, "id", "?"), false);
	fprintf(cli->err,
		"Not in force yet.  The next administrator runs:\n"
		"  writ exception sign %s\n",
		id);
	return CLI_WAITING;
}

static int fill_terms(struct cli *cli, json_t *statement)
{
	const char *cap = args_text(&cli->args, "tier-cap", "");
	int64_t expires_ms;

	if (strlen(cap) != 1 || *cap < '0' || *cap > '3')
		return error_set(ERR_USAGE, "--tier-cap is 0 to 3");
	TRY(input_time(args_text(&cli->args, "expires", "1h"), clock_wall_ms(),
		       &expires_ms));
	json_set_text(statement, "task", args_text(&cli->args, "task", ""));
	json_set_int(statement, "tierCap", *cap - '0');
	json_set_time(statement, "expires", expires_ms);
	json_set_text(statement, "reason", args_text(&cli->args, "reason", ""));
	return 0;
}

int cmd_exception_create(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, STATEMENT_EXCEPTION, &statement));
	TRY(fill_terms(cli, statement));
	TRY(exchange_ask_and_send(cli, c, STATEMENT_EXCEPTION, statement,
				  "Sign this exception?", "/v1/exceptions", &a,
				  &code));
	return conclude(cli, &a, code);
}

/* The same terms, word for word, signed by one more. */
int cmd_exception_sign(struct cli *cli)
{
	static const char *const terms[] = { "task", "tierCap", "expires",
					     "reason" };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/exceptions",
				   args_operand(&cli->args, 0), "");
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer shown = { 0 };
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, path, &shown, &code));
	if (code != CLI_OK)
		return code;
	TRY(exchange_statement(cli, c, STATEMENT_EXCEPTION, &statement));
	json_pick(statement, shown.json, terms, ARRAY_LEN(terms));
	TRY(exchange_ask_and_send(cli, c, STATEMENT_EXCEPTION, statement,
				  "Sign this exception?", "/v1/exceptions", &a,
				  &code));
	return conclude(cli, &a, code);
}

int cmd_exception_revoke(struct cli *cli)
{
	const char *id = args_operand(&cli->args, 0);
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/exceptions", id, "/revoke");
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, STATEMENT_REVOKE, &statement));
	json_set_text(statement, "exception", id);
	json_set_text(statement, "reason", args_text(&cli->args, "reason", ""));
	TRY(exchange_ask_and_send(cli, c, STATEMENT_REVOKE, statement,
				  "Take this exception back?", path, &a,
				  &code));
	return conclude(cli, &a, code);
}
