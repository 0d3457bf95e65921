/* writ evidence erase, writ erasure ...: what is kept of somebody, for good. */
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/output.h"

static const struct output_column columns[] = {
	{ "SUBJECT", "subject" }, { "SIGNED BY", "signers" },
	{ "NEEDS", "needs" },	  { "REASON", "reason" },
	{ "UNTIL", "expires" },
};

static const struct output_column rows[] = {
	{ "Subject", "subject" },     { "State", "state" },
	{ "Signatures", "signers" },  { "Parts", "parts" },
	{ "Documents", "documents" }, { "Leaf", "evidence.index" },
};

int cmd_erasure_list(struct cli *cli)
{
	return exchange_list(cli, "/v1/erasures", "erasures", columns,
			     ARRAY_LEN(columns));
}

static int check_subject(const char *subject)
{
	if (strncmp(subject, "human:", 6) != 0 &&
	    strncmp(subject, "agent:", 6) != 0)
		return error_set(ERR_USAGE,
				 "a subject is human:NAME or agent:NAME");
	return 0;
}

/* What is erased is gone for good, so two administrators sign the same words.
 */
static int erase(struct cli *cli, struct client *c, const char *subject,
		 const char *reason)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/subjects", subject, "/erase");
	CLEANUP(mem_free_p) char *clean = NULL;
	int code;

	TRY(exchange_statement(cli, c, STATEMENT_ERASE, &statement));
	json_set_text(statement, "subject", subject);
	json_set_text(statement, "reason", reason);
	TRY(exchange_ask_and_send(cli, c, STATEMENT_ERASE, statement,
				  "Erase it? Nobody can bring it back.", path,
				  &a, &code));
	if (code != CLI_OK)
		return code;
	exchange_put(cli, a.json, rows, ARRAY_LEN(rows));
	if (a.status != 202)
		return CLI_OK;
	clean = output_clean(subject, false);
	fprintf(cli->err,
		"Nothing is erased yet.  The next administrator runs:\n"
		"  writ erasure sign %s\n",
		clean);
	return CLI_WAITING;
}

int cmd_evidence_erase(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	const char *subject = args_operand(&cli->args, 0);

	TRY(check_subject(subject));
	TRY(exchange_open(cli, &c));
	return erase(cli, c, subject, args_text(&cli->args, "reason", NULL));
}

/* The same words, signed by one more. */
int cmd_erasure_sign(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	const char *subject = args_operand(&cli->args, 0);
	const json_t *row;
	size_t i;
	int code;

	TRY(check_subject(subject));
	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, "/v1/erasures", &a, &code));
	if (code != CLI_OK)
		return code;
	json_array_foreach(json_array_in(a.json, "erasures"), i, row) {
		if (!strcmp(json_text(row, "subject", ""), subject))
			return erase(cli, c, subject,
				     json_text(row, "reason", NULL));
	}
	return error_set(ERR_NOT_FOUND, "no erasure of '%s' waits", subject);
}
