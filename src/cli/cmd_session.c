/* writ login, whoami, help. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/output.h"
#include "cli/session.h"

int cmd_help(struct cli *cli)
{
	const char *noun = args_operand(&cli->args, 0);
	const char *verb = args_operand(&cli->args, 1);
	const struct command *c =
		noun ? args_find(cli->table, noun, verb) : NULL;

	if (verb && !c)
		return cli_usage(cli, "no command '%s %s'", noun, verb);
	for (size_t i = 0; noun && !c; i++) {
		if (i == cli->table->count)
			return cli_usage(cli, "no command '%s'", noun);
		if (!strcmp(cli->table->commands[i].noun, noun))
			break;
	}
	args_help(cli->table, noun, c, cli->out);
	return CLI_OK;
}

static int keep(struct cli *cli, struct client *c, const json_t *statement,
		const json_t *answer)
{
	CLEANUP(json_put_p) json_t *session = json_object();
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	struct client_call call = { .method = "GET", .path = "/v1/authority" };

	TRY(client_call(c, &call, &a));
	json_set_text(session, "url", cli->settings.url);
	json_set_text(session, "origin",
		      json_text(statement, "authority", NULL));
	json_set_text(session, "vkey", json_text(a.json, "vkey", NULL));
	json_set_text(session, "human", cli->settings.human);
	json_set_text(session, "token", json_text(answer, "token", NULL));
	json_set_text(session, "expires", json_text(answer, "expires", NULL));
	return session_keep(session);
}

int cmd_login(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(json_put_p) json_t *statement = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	int code;

	TRY(client_open(&cli->settings, &c));
	TRY(exchange_statement(cli, c, STATEMENT_LOGIN, &statement));
	TRY(exchange_send_signed(cli, c, STATEMENT_LOGIN, statement,
				 "/v1/login", &a, &code));
	if (code != CLI_OK)
		return code;
	if (!json_text(a.json, "token", NULL))
		return error_set(ERR_UNAVAILABLE, "the answer has no session");
	TRY(keep(cli, c, statement, a.json));
	json_object_del(a.json, "token"); /* it stays in its file */
	if (cli->json) {
		output_json(cli->out, a.json);
		return CLI_OK;
	}
	fprintf(cli->out,
		"Logged in to %s as %s until %s.\n"
		"This session reads; every act is signed by itself.\n",
		json_text(statement, "authority", "?"), cli->settings.human,
		json_text(a.json, "expires", "?"));
	return CLI_OK;
}

static const struct output_column whoami_rows[] = {
	{ "URL", "url" },
	{ "Authority", "origin" },
	{ "Human", "human" },
	{ "Key", "key" },
	{ "Session", "session" },
	{ "Expires", "expires" },
	{ "Agent token", "agentToken" },
	{ "Why not", "reason" },
	{ "Proved as", "proved.kind" },
	{ "Name", "proved.name" },
};

/*
 * Asks the authority whom a token proves, and keeps its word in who: member
 * name is "accepted", "refused" or "not asked" when it did not answer.  Returns
 * the exit code.
 */
static int ask_who(struct cli *cli, const char *token, const char *name,
		   json_t *who)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	struct client_call call = { .method = "GET", .path = "/v1/whoami" };
	int code;

	json_set_text(who, name, "not asked");
	TRY(client_open(&cli->settings, &c));
	client_set_token(c, token);
	TRY(client_call(c, &call, &a));
	code = exchange_exit_for_status(a.status);
	if (code == CLI_OK) {
		json_set_text(who, name, "accepted");
		json_object_set(who, "proved", a.json);
	} else if (a.status == 401) {
		json_set_text(who, name, "refused");
		json_set_text(who, "reason", json_text(a.json, "reason", NULL));
	} else {
		exchange_explain(cli, &a);
	}
	return code;
}

/* Of two answers the worse one. */
static int ask_both(struct cli *cli, const json_t *session, json_t *who)
{
	const char *kept = json_text(session, "token", NULL);
	int code = CLI_OK;
	int of_token = CLI_OK;

	json_set_text(who, "session", "none");
	json_set_text(who, "agentToken", "none");
	if (kept)
		code = ask_who(cli, kept, "session", who);
	if (cli->settings.token)
		of_token = ask_who(cli, cli->settings.token, "agentToken", who);
	return of_token != CLI_OK ? of_token : code;
}

/* What this machine knows, and whom the authority takes us for: not what was
 * true when the session was opened. */
int cmd_whoami(struct cli *cli)
{
	CLEANUP(json_put_p)
	json_t *session = session_of(cli->settings.url, cli->settings.human);
	CLEANUP(json_put_p) json_t *who = json_object();
	const char *origin = cli->settings.origin;
	int code;

	json_set_text(who, "url", cli->settings.url);
	json_set_text(who, "origin",
		      origin ? origin : json_text(session, "origin", NULL));
	json_set_text(who, "human", cli->settings.human);
	json_set_text(who, "key", cli->settings.key);
	json_set_text(who, "expires", json_text(session, "expires", NULL));
	code = ask_both(cli, session, who);
	exchange_put(cli, who, whoami_rows, ARRAY_LEN(whoami_rows));
	if (code == CLI_DENIED) {
		fputs("writ: what is kept here proves nobody any more\n",
		      cli->err);
		exchange_hint(cli, 401);
	}
	return code;
}
