/* writ task delegate, and what a task has delegated. */
#include "cli/delegate.h"

#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/input.h"
#include "cli/output.h"

static const struct output_column child_rows[] = {
	{ "Task", "id" },	  { "State", "state" },
	{ "Class", "class" },	  { "Agent", "agent" },
	{ "From", "parent" },	  { "Chain", "chain" },
	{ "Intent", "intent" },	  { "Actions", "actions" },
	{ "Targets", "targets" }, { "Expires", "expires" },
};

static const struct output_column children_columns[] = {
	{ "DELEGATED", "id" },
	{ "TO", "agent" },
	{ "STATE", "state" },
	{ "EXPIRES", "expires" },
};

int cmd_task_delegate(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/tasks", args_operand(&cli->args, 0),
				   "/children");
	CLEANUP(json_put_p) json_t *body = json_object();
	int code;

	json_set_text(body, "agent", args_text(&cli->args, "agent", NULL));
	json_set_text(body, "intent", args_text(&cli->args, "intent", NULL));
	json_set_new(body, "actions", input_list(&cli->args, "action"));
	json_set_new(body, "targets", input_list(&cli->args, "target"));
	json_set_text(body, "ttl", args_text(&cli->args, "ttl", NULL));
	json_set_text(body, "class", args_text(&cli->args, "class", NULL));
	TRY(exchange_open(cli, &c));
	TRY(exchange_post(cli, c, path, body, 0, &a, &code));
	if (code == CLI_OK)
		exchange_put(cli, a.json, child_rows, ARRAY_LEN(child_rows));
	return code;
}

/* The row of a child as it stands now, where the caller may read it; else what
 * the parent says of it. */
static int add_row(struct client *c, json_t *child, json_t *rows)
{
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/tasks", json_text(child, "id", ""), "");
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	struct client_call call = { .method = "GET", .path = path };

	TRY(client_call(c, &call, &a));
	json_array_append(rows, a.status == 200 ? a.json : child);
	return 0;
}

int delegate_put_children(struct cli *cli, struct client *c, const json_t *task)
{
	CLEANUP(json_put_p) json_t *rows = json_array();
	json_t *child;
	size_t at;

	json_array_foreach(json_array_in(task, "children"), at, child)
		TRY(add_row(c, child, rows));
	if (!json_array_size(rows))
		return 0;
	fputc('\n', cli->out);
	output_table(cli->out, rows, children_columns,
		     ARRAY_LEN(children_columns));
	return 0;
}
