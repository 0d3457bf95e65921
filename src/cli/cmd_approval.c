/* writ approval ..., writ request adopt, writ voucher create. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/input.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/review.h"

static const struct output_column list_columns[] = {
	{ "REQUEST", "request.id" },
	{ "AGENT", "request.agent" },
	{ "ACTION", "request.action" },
	{ "TARGET", "request.target" },
	{ "RESOURCE", "request.resource" },
	{ "TIER", "request.tier" },
	{ "ASKED", "groups" },
	{ "EXPIRES", "request.expires" },
};

int cmd_approval_list(struct cli *cli)
{
	return exchange_list(cli, "/v1/approvals", "approvals", list_columns,
			     ARRAY_LEN(list_columns));
}

/* What is asked of people, checked and ready to be shown. */
struct question {
	struct client_answer answer;
	const char *id;
	json_t *plan;
	char digest[DIGEST_TEXT_LEN];
};

static void question_clear(struct question *q)
{
	client_answer_clear(&q->answer);
	json_decref(q->plan);
}

static int ask(struct cli *cli, struct client *c, struct question *q,
	       int *ret_code)
{
	CLEANUP(mem_free_p) char *path = NULL;
	const char *text;

	q->id = args_operand(&cli->args, 0);
	path = exchange_path("/v1/approvals", q->id, "");
	TRY(exchange_get(cli, c, path, &q->answer, ret_code));
	if (*ret_code != CLI_OK)
		return 0;
	text = json_text(q->answer.json, "plan", "");
	return review_plan(text, json_text(q->answer.json, "digest", NULL),
			   q->id, &q->plan, q->digest);
}

static void show_groups(struct cli *cli, const json_t *groups)
{
	const char *name;
	json_t *state;

	json_object_foreach((json_t *)(uintptr_t)groups, name, state) {
		CLEANUP(mem_free_p) char *value = output_value(state);
		CLEANUP(mem_free_p)
		char *line = mem_format("  %s: %s", name, value);

		output_paint(cli->out, false, PAINT_PLAIN, line);
		fputc('\n', cli->out);
	}
}

int cmd_approval_show(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(question_clear) struct question q = { 0 };
	int code;

	TRY(exchange_open(cli, &c));
	TRY(ask(cli, c, &q, &code));
	if (code != CLI_OK)
		return code;
	if (cli->json) {
		output_json(cli->out, q.answer.json);
		return CLI_OK;
	}
	review_show_plan(cli->out, cli->colour, q.plan, q.digest);
	fprintf(cli->out, "\nThe digest was computed here and is the "
			  "authority's.  Asked:\n");
	show_groups(cli, json_object_get(q.answer.json, "groups"));
	output_record(
		cli->out, q.answer.json,
		(const struct output_column[]){ { "May not sign", "barred" } },
		1);
	return CLI_OK;
}

/* The group to sign for: the one named, or the only one asked. */
static int choose_group(struct cli *cli, const json_t *groups,
			const char **ret_group)
{
	const char *named = args_text(&cli->args, "group", NULL);
	void *first;

	if (named && json_object_size(groups) > 0 &&
	    !json_object_get(groups, named))
		return error_set(ERR_USAGE, "group '%s' is not asked", named);
	if (named) {
		*ret_group = named;
		return 0;
	}
	if (json_object_size(groups) != 1)
		return error_set(ERR_USAGE, "several groups are asked; say "
					    "for which you sign with --group");
	first = json_object_iter((json_t *)(uintptr_t)groups);
	*ret_group = json_object_iter_key(first);
	return 0;
}

static int fill_approval(struct cli *cli, const struct question *q,
			 const char *decision, json_t *statement)
{
	const char *group = NULL;

	TRY(choose_group(cli, json_object_get(q->answer.json, "groups"),
			 &group));
	json_set_text(statement, "request", q->id);
	json_set_text(statement, "digest", q->digest);
	json_set_text(statement, "group", group);
	json_set_text(statement, "decision", decision);
	json_set_text(statement, "reason", args_text(&cli->args, "reason", ""));
	return 0;
}

static int send(struct cli *cli, struct client *c, const struct question *q,
		enum statement_type type, json_t *statement, const char *action)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/requests", q->id, action);
	const json_t *request;
	int code;

	TRY(exchange_send_signed(cli, c, type, statement, path, &a, &code));
	if (code != CLI_OK)
		return code;
	request = json_object_in(a.json, "request");
	if (!request)
		request = a.json;
	outcome_show(cli, request);
	/* Others are asked, too. */
	return !strcmp(json_text(request, "state", ""), "waiting") ? CLI_WAITING
								   : CLI_OK;
}

static int decide(struct cli *cli, const char *decision, const char *question)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(question_clear) struct question q = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	bool yes;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(ask(cli, c, &q, &code));
	if (code != CLI_OK)
		return code;
	TRY(exchange_statement(cli, c, STATEMENT_APPROVAL, &statement));
	TRY(fill_approval(cli, &q, decision, statement));
	review_show_plan(cli->err, output_wants_colour(cli->err), q.plan,
			 q.digest);
	TRY(cli_confirm(cli, question, &yes));
	if (!yes) {
		fputs("Nothing was signed.\n", cli->err);
		return CLI_FAILED;
	}
	return send(cli, c, &q, STATEMENT_APPROVAL, statement, "/approvals");
}

int cmd_approval_approve(struct cli *cli)
{
	return decide(cli, "approve", "Approve exactly this?");
}

int cmd_approval_deny(struct cli *cli)
{
	return decide(cli, "deny", "Deny this?");
}

/* Adopting makes a recommendation a request of its own, sponsored by the one
 * who signs. */
int cmd_request_adopt(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(question_clear) struct question q = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	bool yes;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(ask(cli, c, &q, &code));
	if (code != CLI_OK)
		return code;
	TRY(exchange_statement(cli, c, STATEMENT_ADOPT, &statement));
	json_set_text(statement, "request", q.id);
	json_set_text(statement, "digest", q.digest);
	json_set_text(statement, "task", args_text(&cli->args, "task", NULL));
	review_show_plan(cli->err, output_wants_colour(cli->err), q.plan,
			 q.digest);
	TRY(cli_confirm(cli, "Adopt exactly this as yours?", &yes));
	if (!yes) {
		fputs("Nothing was signed.\n", cli->err);
		return CLI_FAILED;
	}
	return send(cli, c, &q, STATEMENT_ADOPT, statement, "/adopt");
}

static const struct output_column voucher_rows[] = {
	{ "Voucher", "id" },
	{ "Kind", "kind" },
	{ "By", "human" },
	{ "Action", "action" },
	{ "Target", "target" },
	{ "Resource", "resource" },
	{ "Reference", "reference" },
	{ "Text", "text" },
	{ "Expires", "expires" },
	{ "Leaf", "evidence.index" },
};

int cmd_voucher_create(struct cli *cli)
{
	static const char *const names[] = { "kind",	 "action",    "target",
					     "resource", "reference", "text" };
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	int64_t expires;
	int code;

	TRY(input_time(args_text(&cli->args, "expires", "24h"), clock_wall_ms(),
		       &expires));
	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, STATEMENT_VOUCHER, &statement));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		json_set_text(statement, names[i],
			      args_text(&cli->args, names[i], ""));
	json_set_time(statement, "expires", expires);
	TRY(exchange_ask_and_send(cli, c, STATEMENT_VOUCHER, statement,
				  "Do you vouch for this?", "/v1/vouchers", &a,
				  &code));
	if (code == CLI_OK)
		exchange_put(cli, a.json, voucher_rows,
			     ARRAY_LEN(voucher_rows));
	return code;
}
