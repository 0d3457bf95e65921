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
	{ "Proved as", "proved.kind" },
	{ "Name", "proved.name" },
};

static const char *session_state(const json_t *session)
{
	int64_t expires;

	if (!session)
		return "none";
	if (clock_parse(json_text(session, "expires", ""), &expires) < 0)
		return "unclear";
	return expires > clock_wall_ms() ? "open" : "expired";
}

/* Asks the authority who our token is, if it is there to be asked. */
static void ask_who(struct cli *cli, json_t *who)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	struct client_call call = { .method = "GET", .path = "/v1/whoami" };

	if (exchange_open(cli, &c) == 0 && client_call(c, &call, &a) == 0 &&
	    a.status == 200)
		json_object_set(who, "proved", a.json);
}

/* What this machine knows, and whom the authority takes us for. */
int cmd_whoami(struct cli *cli)
{
	CLEANUP(json_put_p)
	json_t *session = session_of(cli->settings.url, cli->settings.human);
	CLEANUP(json_put_p) json_t *who = json_object();
	const char *origin = cli->settings.origin;

	json_set_text(who, "url", cli->settings.url);
	json_set_text(who, "origin",
		      origin ? origin : json_text(session, "origin", NULL));
	json_set_text(who, "human", cli->settings.human);
	json_set_text(who, "key", cli->settings.key);
	json_set_text(who, "session", session_state(session));
	json_set_text(who, "expires", json_text(session, "expires", NULL));
	json_set_flag(who, "agentToken", cli->settings.token != NULL);
	if (session || cli->settings.token)
		ask_who(cli, who);
	if (cli->json)
		output_json(cli->out, who);
	else
		output_record(cli->out, who, whoami_rows,
			      ARRAY_LEN(whoami_rows));
	return CLI_OK;
}
