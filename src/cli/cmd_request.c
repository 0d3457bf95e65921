/* writ request ..., writ policy explain. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/input.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "govern/action.h"

enum {
	WAIT_STEP_S = 25,	/* of one call; the server holds at most 30 s */
	WAIT_USUAL_S = 15 * 60, /* without --for */
};

static const struct output_column list_columns[] = {
	{ "REQUEST", "id" },	  { "STATE", "state" },
	{ "AGENT", "agent" },	  { "ACTION", "action" },
	{ "TARGET", "target" },	  { "RESOURCE", "resource" },
	{ "CREATED", "created" },
};

/* ---- answers ----------------------------------------------------------------
 */

/* A denial comes as a problem with the whole request in it. */
static const json_t *request_in(const struct client_answer *a)
{
	json_t *inner = json_object_in(a->json, "request");

	return inner ? inner : a->json;
}

static bool is_request(const json_t *r)
{
	return json_text(r, "id", NULL) && json_text(r, "state", NULL);
}

/* What was lent is told by another call, once. */
static void say_where_the_secret_is(struct cli *cli, const json_t *request)
{
	const struct action *action =
		action_find(json_text(request, "action", NULL));
	CLEANUP(mem_free_p) char *id = NULL;

	if (!action || !action->lends ||
	    strcmp(json_text(request, "state", ""), "done") != 0)
		return;
	id = output_clean(json_text(request, "id", "?"), false);
	fprintf(cli->err,
		"What it lent is told once, and soon:\n"
		"  writ request secret %s\n",
		id);
}

/* Shows the request that a call answered; its state is how we end. */
static int conclude(struct cli *cli, const struct client_answer *a, int code)
{
	const json_t *request = request_in(a);

	if (code != CLI_OK && code != CLI_DENIED)
		return code;
	if (!is_request(request))
		return code;
	if (code == CLI_OK || !cli->json)
		outcome_show(cli, request);
	if (!cli->json)
		say_where_the_secret_is(cli, request);
	if (code == CLI_DENIED)
		return code;
	return outcome_exit(json_text(request, "state", ""));
}

/* "KIND=REFERENCE", as many as there are. */
static int read_evidence(struct cli *cli, json_t *body)
{
	CLEANUP(json_put_p) json_t *pairs = NULL;
	json_t *list;
	const char *kind;
	json_t *reference;

	TRY(input_pairs(&cli->args, "evidence", &pairs));
	if (!json_object_size(pairs))
		return 0;
	list = json_array();
	json_set_new(body, "evidence", list);
	json_object_foreach(pairs, kind, reference) {
		json_t *row = json_object();

		json_set_text(row, "kind", kind);
		json_object_set(row, "reference", reference);
		json_array_append_new(list, row);
	}
	return 0;
}

static int read_body(struct cli *cli, json_t **ret_body)
{
	static const char *const names[] = { "task",	 "action", "target",
					     "resource", "mode",   "ttl" };
	CLEANUP(json_put_p) json_t *body = json_object();
	json_t *parameters;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		json_set_text(body, names[i],
			      args_text(&cli->args, names[i], NULL));
	if (!json_object_get(body, "mode"))
		json_set_text(body, "mode", "execute");
	TRY(input_pairs(&cli->args, "parameter", &parameters));
	json_set_new(body, "parameters", parameters);
	TRY(read_evidence(cli, body));
	*ret_body = TAKE(body);
	return 0;
}

/* ---- waiting ----------------------------------------------------------------
 */

/* Asks until the request has ended or the time is over; each call is held by
 * the server until something happens. */
static int follow(struct cli *cli, struct client *c, const char *id,
		  int64_t seconds, struct client_answer *a, int *ret_code)
{
	int64_t end = clock_boot_ms() + seconds * 1000;

	for (;;) {
		int64_t left = (end - clock_boot_ms() + 999) / 1000;
		int64_t step = left < 0		    ? 0
			       : left > WAIT_STEP_S ? WAIT_STEP_S
						    : left;
		CLEANUP(mem_free_p)
		char *suffix = mem_format("?wait=%lld", (long long)step);
		CLEANUP(mem_free_p)
		char *path = exchange_path("/v1/requests", id, suffix);
		struct client_call call = { .method = "GET",
					    .path = path,
					    .wait_ms = step * 1000 };

		client_answer_clear(a);
		TRY(exchange_call(cli, c, &call, a, ret_code));
		if (*ret_code != CLI_OK || step == 0)
			return 0;
		if (!outcome_is_open(json_text(a->json, "state", "")))
			return 0;
	}
}

static int read_wait(struct cli *cli, const char *name, int64_t fallback,
		     int64_t *ret_seconds)
{
	const char *text = args_text(&cli->args, name, NULL);

	*ret_seconds = fallback;
	return text ? clock_parse_duration(text, ret_seconds) : 0;
}

/* Sends a new request, then waits as long as the person said: the first part
 * of that on the call itself. */
static int submit(struct cli *cli, const char *path, const json_t *body)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p) char *id = NULL;
	CLEANUP(mem_free_p) char *full = NULL;
	int64_t began = clock_boot_ms();
	int64_t seconds;
	int64_t first;
	int64_t left;
	int code;

	TRY(read_wait(cli, "wait", 0, &seconds));
	first = seconds < WAIT_STEP_S ? seconds : WAIT_STEP_S;
	full = first > 0 ? mem_format("%s?wait=%lld", path, (long long)first)
			 : mem_str(path);
	TRY(exchange_open(cli, &c));
	TRY(exchange_post(cli, c, full, body, first * 1000, &a, &code));
	id = mem_str(json_text(request_in(&a), "id", NULL));
	/* Where people are asked, the answer comes at once. */
	left = seconds - (clock_boot_ms() - began) / 1000;
	if (code == CLI_OK && left > 0 && id &&
	    outcome_is_open(json_text(request_in(&a), "state", "")))
		TRY(follow(cli, c, id, left, &a, &code));
	return conclude(cli, &a, code);
}

/* ---- commands ---- */

int cmd_request_create(struct cli *cli)
{
	CLEANUP(json_put_p) json_t *body = NULL;

	TRY(read_body(cli, &body));
	return submit(cli, "/v1/requests", body);
}

int cmd_request_rollback(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/requests", args_operand(&cli->args, 0),
				   "/rollback");
	CLEANUP(json_put_p) json_t *body = json_object();

	json_set_text(body, "task", args_text(&cli->args, "task", NULL));
	json_set_text(body, "ttl", args_text(&cli->args, "ttl", NULL));
	return submit(cli, path, body);
}

int cmd_request_cancel(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/requests", args_operand(&cli->args, 0),
				   "/cancel");
	CLEANUP(json_put_p) json_t *body = json_object();
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_ask(cli, c, path, body, &a, &code));
	if (code == CLI_OK)
		outcome_show(cli, request_in(&a));
	return code;
}

/* Fetches one request; the caller clears ret_answer. */
static int fetch(struct cli *cli, struct client_answer *ret_answer,
		 int *ret_code)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(mem_free_p)
	char *path =
		exchange_path("/v1/requests", args_operand(&cli->args, 0), "");

	TRY(exchange_open(cli, &c));
	return exchange_get(cli, c, path, ret_answer, ret_code);
}

int cmd_request_show(struct cli *cli)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	int code;

	TRY(fetch(cli, &a, &code));
	if (code == CLI_OK)
		outcome_show(cli, request_in(&a));
	return code;
}

static const struct output_column replay_rows[] = {
	{ "Leaf", "index" },	  { "Decided", "was.route" },
	{ "By", "was.policies" }, { "Bundle", "was.bundle" },
	{ "Again", "now.route" }, { "By now", "now.policies" },
};

/* The decision made again; another answer than the one on record is a finding.
 */
static int replay(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/requests", args_operand(&cli->args, 0),
				   "/replay");
	CLEANUP(json_put_p) json_t *body = json_object();
	bool moved;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_ask(cli, c, path, body, &a, &code));
	if (code != CLI_OK)
		return code;
	exchange_put(cli, a.json, replay_rows, ARRAY_LEN(replay_rows));
	moved = json_flag(a.json, "inventoryChanged", false);
	if (moved)
		fputs("The inventory has changed since it was decided.\n",
		      cli->err);
	if (json_flag(a.json, "same", false))
		return CLI_OK;
	fprintf(cli->err, "The answer is another one than on record%s.\n",
		moved ? "; that may be why"
		      : ", though nothing has changed that it rests on");
	return CLI_FINDING;
}

int cmd_request_explain(struct cli *cli)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	int code;

	if (args_flag(&cli->args, "replay"))
		return replay(cli);

	TRY(fetch(cli, &a, &code));
	if (code == CLI_OK)
		outcome_explain(cli, request_in(&a));
	return code;
}

int cmd_request_list(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path = exchange_list_path(cli, "/v1/requests");

	return exchange_list(cli, path, "requests", list_columns,
			     ARRAY_LEN(list_columns));
}

int cmd_request_wait(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	int64_t seconds;
	int code;

	TRY(read_wait(cli, "for", WAIT_USUAL_S, &seconds));
	TRY(exchange_open(cli, &c));
	TRY(follow(cli, c, args_operand(&cli->args, 0), seconds, &a, &code));
	return conclude(cli, &a, code);
}

int cmd_request_resolve(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	const char *id = args_operand(&cli->args, 0);
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/requests", id, "/resolve");
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, STATEMENT_RESOLVE, &statement));
	json_set_text(statement, "request", id);
	json_set_text(statement, "outcome", args_text(&cli->args, "as", NULL));
	json_set_text(statement, "reason",
		      args_text(&cli->args, "reason", NULL));
	TRY(exchange_ask_and_send(cli, c, STATEMENT_RESOLVE, statement,
				  "Is that what happened?", path, &a, &code));
	if (code == CLI_OK)
		outcome_show(cli, request_in(&a));
	return code;
}

int cmd_policy_explain(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *body = NULL;
	int code;

	TRY(read_body(cli, &body));
	TRY(exchange_open(cli, &c));
	TRY(exchange_ask(cli, c, "/v1/explain", body, &a, &code));
	if (code == CLI_OK)
		outcome_explain(cli, request_in(&a));
	return code;
}
