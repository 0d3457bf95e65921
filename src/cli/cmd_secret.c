/* writ request secret: what a request lent, told once. */
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/outcome.h"

enum { STEP_S = 25 }; /* of one call; the server holds at most 30 s */

static const struct output_column rows[] = {
	{ "Request", "request" },
	{ "Grant", "grant" },
	{ "Ends", "expires" },
	{ "User", "secret.user" },
	{ "Password", "secret.password" },
	{ "Host", "secret.host" },
	{ "Port", "secret.port" },
	{ "Database", "secret.database" },
	{ "Role", "secret.role" },
	{ "Valid until", "secret.validUntil" },
	{ "Token", "secret.token" },
	{ "Certificate", "secret.certificate" },
	{ "Serial", "secret.serial" },
	{ "Expires", "secret.expires" },
};

/* The text that an answer holds is a secret, too. */
static void forget(struct client_answer *a)
{
	json_wipe(TAKE(a->json));
	mem_wipe(a->body.data, a->body.len);
	client_answer_clear(a);
}

/* Asks until there is something to tell or the time is over. */
static int take(struct cli *cli, struct client *c, int64_t seconds,
		struct client_answer *a, int *ret_code)
{
	CLEANUP(json_put_p) json_t *nothing = json_object();
	int64_t end = clock_boot_ms() + seconds * 1000;

	for (;;) {
		int64_t left = (end - clock_boot_ms() + 999) / 1000;
		int64_t step = left < 0 ? 0 : left > STEP_S ? STEP_S : left;
		CLEANUP(mem_free_p)
		char *suffix = mem_format("/secret?wait=%lld", (long long)step);
		CLEANUP(mem_free_p)
		char *path = exchange_path("/v1/requests",
					   args_operand(&cli->args, 0), suffix);
		struct client_call call = { .method = "POST",
					    .path = path,
					    .body = nothing,
					    .wait_ms = step * 1000 };

		client_answer_clear(a);
		TRY(exchange_call(cli, c, &call, a, ret_code));
		if (*ret_code != CLI_OK || a->status != 202 || step == 0)
			return 0;
	}
}

/* What may be lent has these members. */
static const char *const fields[] = {
	"user",	      "password", "host",    "port",	    "database", "role",
	"validUntil", "token",	  "expires", "certificate", "serial",
};

/* What is asked for is told once: a name that never can be there is refused
 * before. */
static int check_field(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (!name || !strcmp(name, fields[i]))
			return 0;
	return error_set(
		ERR_USAGE,
		"nothing that is lent has a field '%s', and nothing was "
		"fetched: a login has user, password, host, port, database, "
		"role and validUntil, a token has token and expires, a "
		"certificate has certificate, serial and expires",
		name);
}

/* One member alone, for a script: --field password. */
static int put_field(struct cli *cli, const json_t *secret, const char *name)
{
	const json_t *value = json_object_get(secret, name);
	CLEANUP(mem_free_p) char *text = value ? output_value(value) : NULL;
	CLEANUP(mem_free_p) char *clean = NULL;

	if (!text)
		return error_set(ERR_NOT_FOUND,
				 "what was lent has no '%s'; it was told once, "
				 "and is not again",
				 name);
	clean = output_clean(text, true);
	fprintf(cli->out, "%s\n", clean);
	mem_wipe(text, strlen(text));
	mem_wipe(clean, strlen(clean));
	return CLI_OK;
}

static int tell(struct cli *cli, const struct client_answer *a)
{
	const char *field = args_text(&cli->args, "field", NULL);

	if (isatty(fileno(cli->out)) == 1)
		fputs("What follows is a secret: it stands on this screen and "
		      "in its history from now on.\n",
		      cli->err);
	if (field)
		return put_field(cli, json_object_in(a->json, "secret"), field);
	exchange_put(cli, a->json, rows, ARRAY_LEN(rows));
	return CLI_OK;
}

int cmd_request_secret(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(forget) struct client_answer a = { 0 };
	const char *text = args_text(&cli->args, "for", "0s");
	int64_t seconds;
	int code;

	TRY(clock_parse_duration(text, &seconds));
	TRY(check_field(args_text(&cli->args, "field", NULL)));
	TRY(exchange_open(cli, &c));
	TRY(take(cli, c, seconds, &a, &code));
	if (code != CLI_OK)
		return code;
	if (a.status == 202) {
		outcome_show(cli, a.json);
		return CLI_WAITING;
	}
	return tell(cli, &a);
}
