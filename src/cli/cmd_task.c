/* writ task ... */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/delegate.h"
#include "cli/exchange.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/returned.h"

static const struct output_column task_rows[] = {
	{ "Task", "id" },
	{ "State", "state" },
	{ "Class", "class" },
	{ "Agent", "agent" },
	{ "Intent", "intent" },
	{ "Targets", "targets" },
	{ "Opened", "opened" },
	{ "Expires", "expires" },
	{ "Ended", "ended" },
	{ "How", "endedHow" },
	{ "From", "parent" },
	{ "Chain", "chain" },
	{ "Ended with", "endedWith" },
	{ "Leaf", "evidence.index" },
};

static const struct output_column task_columns[] = {
	{ "TASK", "id" },	  { "STATE", "state" },
	{ "CLASS", "class" },	  { "AGENT", "agent" },
	{ "TARGETS", "targets" }, { "EXPIRES", "expires" },
};

static int show(struct cli *cli, const struct client_answer *a)
{
	if (cli->json)
		output_json(cli->out, a->json);
	else
		output_record(cli->out, a->json, task_rows,
			      ARRAY_LEN(task_rows));
	return CLI_OK;
}

int cmd_task_open(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *body = json_object();
	int code;

	json_set_text(body, "class", args_text(&cli->args, "class", NULL));
	json_set_text(body, "intent", args_text(&cli->args, "intent", NULL));
	json_set_new(body, "targets", input_list(&cli->args, "target"));
	json_set_text(body, "ttl", args_text(&cli->args, "ttl", NULL));
	TRY(exchange_open(cli, &c));
	TRY(exchange_post(cli, c, "/v1/tasks", body, 0, &a, &code));
	return code == CLI_OK ? show(cli, &a) : code;
}

int cmd_task_show(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path =
		exchange_path("/v1/tasks", args_operand(&cli->args, 0), "");
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, path, &a, &code));
	if (code != CLI_OK)
		return code;
	show(cli, &a);
	if (cli->json)
		return CLI_OK;
	TRY(delegate_put_children(cli, c, a.json));
	returned_show(cli, a.json);
	return CLI_OK;
}

int cmd_task_list(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path = exchange_list_path(cli, "/v1/tasks");

	return exchange_list(cli, path, "tasks", task_columns,
			     ARRAY_LEN(task_columns));
}

int cmd_task_complete(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/tasks", args_operand(&cli->args, 0),
				   "/complete");
	CLEANUP(json_put_p) json_t *body = json_object();
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_ask(cli, c, path, body, &a, &code));
	if (code != CLI_OK)
		return code;
	show(cli, &a);
	return a.status == 202 ? CLI_WAITING : CLI_OK;
}

int cmd_task_attach(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/tasks", args_operand(&cli->args, 0),
				   "/records");
	CLEANUP(buf_clear) struct buf content = BUF_INIT(INPUT_RECORD_MAX);
	CLEANUP(json_put_p) json_t *body = json_object();
	int code;

	TRY(input_read(cli, args_text(&cli->args, "file", "-"), &content));
	json_set_text(body, "kind", args_text(&cli->args, "kind", NULL));
	json_set_text(body, "tool", args_text(&cli->args, "tool", NULL));
	json_set_text(body, "content", buf_text(&content));
	TRY(exchange_open(cli, &c));
	TRY(exchange_post(cli, c, path, body, 0, &a, &code));
	if (code != CLI_OK)
		return code;
	if (cli->json)
		output_json(cli->out, a.json);
	else
		fprintf(cli->out, "Attached %zu bytes as %s.\n", content.len,
			args_text(&cli->args, "kind", "?"));
	return CLI_OK;
}
