/* writ agent|task contain, agent release, containment ... */
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/output.h"

static const struct output_column rows[] = {
	{ "Containment", "id" },
	{ "State", "state" },
	{ "Kind", "kind" },
	{ "Name", "name" },
	{ "By", "by" },
	{ "Reason", "reason" },
	{ "At", "at" },
	{ "Leaf", "evidence.index" },
	{ "Release signed", "signers" },
	{ "Released", "released.index" },
};

static const struct output_column columns[] = {
	{ "CONTAINMENT", "id" }, { "STATE", "state" }, { "KIND", "kind" },
	{ "NAME", "name" },	 { "BY", "by" },       { "AT", "at" },
};

static const struct output_column point_columns[] = {
	{ "POINT", "kind" },
	{ "ID", "id" },
	{ "STATE", "state" },
	{ "LEAF", "evidence.index" },
};

static void show(struct cli *cli, const json_t *containment)
{
	const json_t *points = json_array_in(containment, "points");

	if (cli->json) {
		output_json(cli->out, containment);
		return;
	}
	output_record(cli->out, containment, rows, ARRAY_LEN(rows));
	if (json_array_size(points) == 0)
		return;
	fputc('\n', cli->out);
	output_table(cli->out, points, point_columns, ARRAY_LEN(point_columns));
}

int cmd_contain(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, STATEMENT_CONTAIN, &statement));
	json_set_text(statement, "kind", cli->args.noun);
	json_set_text(statement, "name", args_operand(&cli->args, 0));
	json_set_text(statement, "reason",
		      args_text(&cli->args, "reason", NULL));
	TRY(exchange_ask_and_send(cli, c, STATEMENT_CONTAIN, statement,
				  "Stop it now?", "/v1/containments", &a,
				  &code));
	if (code == CLI_OK)
		show(cli, a.json);
	return code;
}

int cmd_containment_list(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path = exchange_list_path(cli, "/v1/containments");

	return exchange_list(cli, path, "containments", columns,
			     ARRAY_LEN(columns));
}

int cmd_containment_show(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/containments",
				   args_operand(&cli->args, 0), "");
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, path, &a, &code));
	if (code == CLI_OK)
		show(cli, a.json);
	return code;
}

static int release(struct cli *cli, struct client *c, const char *id)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/containments", id, "/release");
	CLEANUP(mem_free_p) char *clean = NULL;
	int code;

	TRY(exchange_statement(cli, c, STATEMENT_RELEASE, &statement));
	json_set_text(statement, "containment", id);
	json_set_text(statement, "reason",
		      args_text(&cli->args, "reason", NULL));
	TRY(exchange_ask_and_send(cli, c, STATEMENT_RELEASE, statement,
				  "Let it act again?", path, &a, &code));
	if (code != CLI_OK)
		return code;
	show(cli, a.json);
	if (a.status != 202)
		return CLI_OK;
	clean = output_clean(id, false);
	fprintf(cli->err,
		"Another one must sign as well:\n"
		"  writ containment release %s --reason ...\n",
		clean);
	return CLI_WAITING;
}

int cmd_containment_release(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;

	TRY(exchange_open(cli, &c));
	return release(cli, c, args_operand(&cli->args, 0));
}

static bool is_open_for(const json_t *one, const char *agent)
{
	return !strcmp(json_text(one, "kind", ""), "agent") &&
	       !strcmp(json_text(one, "name", ""), agent) &&
	       strcmp(json_text(one, "state", ""), "released") != 0;
}

/* Finds the one containment that holds the agent. */
static int find_open(const json_t *list, const char *agent, const char **ret_id)
{
	const json_t *one;
	size_t i;

	*ret_id = NULL;
	json_array_foreach(list, i, one) {
		if (!is_open_for(one, agent))
			continue;
		if (*ret_id)
			return error_set(ERR_USAGE,
					 "'%s' is held by several: name one "
					 "with 'writ containment release'",
					 agent);
		*ret_id = json_text(one, "id", NULL);
	}
	if (!*ret_id)
		return error_set(ERR_NOT_FOUND, "'%s' is not contained", agent);
	return 0;
}

int cmd_agent_release(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	const json_t *list;
	const char *id = NULL;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, "/v1/containments", &a, &code));
	if (code != CLI_OK)
		return code;
	list = json_is_array(a.json) ? a.json
				     : json_array_in(a.json, "containments");
	TRY(find_open(list, args_operand(&cli->args, 0), &id));
	return release(cli, c, id);
}
