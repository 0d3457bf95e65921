/* writ apply, writ change ... */
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/manifests.h"
#include "cli/output.h"
#include "cli/review.h"

static json_t *change_body(json_t *manifests, bool prune, bool dry_run)
{
	json_t *body = json_object();

	json_object_set(body, "manifests", manifests);
	json_set_flag(body, "prune", prune);
	if (dry_run)
		json_set_flag(body, "dryRun", true);
	return body;
}

/* Says all faults; true if there are none. */
static bool report_faults(struct cli *cli, const json_t *faults)
{
	const json_t *fault;
	size_t i;

	json_array_foreach(faults, i, fault) {
		CLEANUP(mem_free_p)
		char *clean = output_clean(json_string_value(fault), false);

		fprintf(cli->err, "%s\n", clean);
	}
	return json_array_size(faults) == 0;
}

/* What ends before what is removed is gone. */
static void show_ends(FILE *to, const json_t *ends)
{
	int64_t tasks = json_int(ends, "tasks", 0);
	int64_t grants = json_int(ends, "grants", 0);

	if (tasks || grants)
		fprintf(to,
			"Ends first: %lld open tasks, %lld grants, each read "
			"back at its target.\n",
			(long long)tasks, (long long)grants);
}

/* The diff and the digest, on out or, before a question, on err. */
static size_t show_change(struct cli *cli, FILE *to, const json_t *change,
			  const char *digest)
{
	size_t count = review_show_diff(
		to, to == cli->out ? cli->colour : output_wants_colour(to),
		json_array_in(change, "diff"));
	int64_t needs = json_int(change, "needs", 1);

	show_ends(to, json_object_in(change, "ends"));
	fprintf(to, "%zu to change.  Digest: %s\n", count, digest);
	if (count > 0)
		fprintf(to, "Signatures of administrators needed: %lld\n",
			(long long)needs);
	return count;
}

/* Says what came of a signature, and what the next person has to do. */
static void show_result(struct cli *cli, const struct client_answer *a)
{
	CLEANUP(mem_free_p)
	char *id = output_clean(json_text(a->json, "id", "?"), false);
	CLEANUP(mem_free_p)
	char *names = output_value(json_object_get(a->json, "signatures"));
	CLEANUP(mem_free_p) char *clean = output_clean(names, false);

	if (cli->json) {
		output_json(cli->out, a->json);
		return;
	}
	if (a->status != 202) {
		fputs(strcmp(json_text(a->json, "state", ""), "ending") != 0
			      ? "Applied.\n"
			      : "Applied; what is removed goes once all it "
				"holds has ended.\n",
		      cli->out);
		return;
	}
	fprintf(cli->out,
		"Signed by %s; %lld are needed.  The next administrator "
		"runs:\n  writ change sign %s\n",
		clean, (long long)json_int(a->json, "needs", 2), id);
}

/* Tries the change at the authority: its answer, and the digest that we
 * computed ourselves. */
static int rehearse(struct cli *cli, struct client *c, json_t *manifests,
		    struct client_answer *a, char digest[DIGEST_TEXT_LEN],
		    int *ret_code)
{
	bool prune = args_flag(&cli->args, "prune");
	CLEANUP(json_put_p) json_t *body = change_body(manifests, prune, true);

	TRY(exchange_ask(cli, c, "/v1/changes", body, a, ret_code));
	if (*ret_code != CLI_OK)
		return 0;
	return review_manifests(manifests, prune,
				json_text(a->json, "digest", NULL), digest);
}

static int sign_and_submit(struct cli *cli, struct client *c, json_t *manifests,
			   const char *digest)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	CLEANUP(json_put_p)
	json_t *body =
		change_body(manifests, args_flag(&cli->args, "prune"), false);
	json_t *form = NULL;
	int code;

	TRY(exchange_statement(cli, c, STATEMENT_CHANGE, &statement));
	json_set_text(statement, "digest", digest);
	TRY(exchange_sign(cli, STATEMENT_CHANGE, statement, &form));
	json_set_new(body, "signed", form);
	TRY(exchange_ask(cli, c, "/v1/changes", body, &a, &code));
	if (code != CLI_OK)
		return code;
	show_result(cli, &a);
	return a.status == 202 ? CLI_WAITING : CLI_OK;
}

static int apply(struct cli *cli, json_t *manifests)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	bool dry = args_flag(&cli->args, "dry-run");
	char digest[DIGEST_TEXT_LEN];
	size_t count;
	bool yes;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(rehearse(cli, c, manifests, &a, digest, &code));
	if (code != CLI_OK)
		return code;
	count = show_change(cli, cli->json ? cli->err : cli->out, a.json,
			    digest);
	if (dry || count == 0) {
		if (cli->json)
			output_json(cli->out, a.json);
		return CLI_OK;
	}
	fflush(cli->out);
	TRY(cli_confirm(cli, "Sign and submit this change?", &yes));
	if (yes)
		return sign_and_submit(cli, c, manifests, digest);
	fputs("Nothing was signed.\n", cli->err);
	return CLI_FAILED;
}

int cmd_apply(struct cli *cli)
{
	CLEANUP(json_put_p) json_t *manifests = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	const char *path = args_text(&cli->args, "file", NULL);

	TRY(manifests_read(path, &manifests, &faults));
	if (!report_faults(cli, faults))
		return CLI_FAILED;
	if (json_array_size(manifests) == 0)
		return cli_usage(cli, "there are no manifests in %s", path);
	return apply(cli, manifests);
}

static const struct output_column columns[] = {
	{ "CHANGE", "id" },
	{ "STATE", "state" },
	{ "SIGNED BY", "signatures" },
	{ "NEEDS", "needs" },
	{ "DIGEST", "digest" },
	{ "CREATED", "created" },
};

int cmd_change_list(struct cli *cli)
{
	CLEANUP(mem_free_p)
	char *path = exchange_list_path(cli, "/v1/changes");

	return exchange_list(cli, path, "changes", columns, ARRAY_LEN(columns));
}

/* Fetches a change and computes the digest of its manifests. */
static int fetch(struct cli *cli, struct client *c, struct client_answer *a,
		 char digest[DIGEST_TEXT_LEN], int *ret_code)
{
	CLEANUP(mem_free_p)
	char *path =
		exchange_path("/v1/changes", args_operand(&cli->args, 0), "");
	const json_t *manifests;

	TRY(exchange_get(cli, c, path, a, ret_code));
	if (*ret_code != CLI_OK)
		return 0;
	manifests = json_array_in(a->json, "manifests");
	if (json_array_size(manifests) == 0)
		return error_set(ERR_CORRUPT, "the authority does not show "
					      "what would change; nothing was "
					      "signed");
	return review_manifests(manifests, json_flag(a->json, "prune", false),
				json_text(a->json, "digest", NULL), digest);
}

static void show_manifests(FILE *out, const json_t *manifests)
{
	const json_t *manifest;
	size_t i;

	json_array_foreach(manifests, i, manifest) {
		CLEANUP(mem_free_p)
		char *text = json_dumps(manifest, JSON_INDENT(2));
		CLEANUP(mem_free_p) char *clean = output_clean(text, true);

		fprintf(out, "%s\n", clean);
	}
}

/* How many of each kind a change lists. */
static void count_manifests(FILE *out, const json_t *manifests)
{
	CLEANUP(json_put_p) json_t *counts = json_object();
	const json_t *manifest;
	const char *kind;
	json_t *count;
	size_t i;

	json_array_foreach(manifests, i, manifest) {
		kind = json_text(manifest, "kind", "?");
		json_set_int(counts, kind, json_int(counts, kind, 0) + 1);
	}
	fputs("Listed, and all that stays:", out);
	json_object_foreach(counts, kind, count) {
		CLEANUP(mem_free_p) char *clean = output_clean(kind, false);

		fprintf(out, " %lld %s", (long long)json_integer_value(count),
			clean);
	}
	fputs("\n(--verbose and 'writ change show' show each)\n", out);
}

/* What a signature covers is the manifests, so they are what is shown.  A prune
 * lists all that stays: there the summary says what goes. */
static void show_covered(struct cli *cli, const json_t *change)
{
	const json_t *manifests = json_array_in(change, "manifests");

	if (json_flag(change, "prune", false) &&
	    !args_flag(&cli->args, "verbose"))
		count_manifests(cli->err, manifests);
	else
		show_manifests(cli->err, manifests);
}

int cmd_change_show(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	char digest[DIGEST_TEXT_LEN];
	int code;

	TRY(exchange_open(cli, &c));
	TRY(fetch(cli, c, &a, digest, &code));
	if (code != CLI_OK)
		return code;
	if (cli->json) {
		output_json(cli->out, a.json);
		return CLI_OK;
	}
	show_manifests(cli->out, json_array_in(a.json, "manifests"));
	show_change(cli, cli->out, a.json, digest);
	return CLI_OK;
}

int cmd_change_sign(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer shown = { 0 };
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/changes", args_operand(&cli->args, 0),
				   "/signatures");
	char digest[DIGEST_TEXT_LEN];
	int code;

	TRY(exchange_open(cli, &c));
	TRY(fetch(cli, c, &shown, digest, &code));
	if (code != CLI_OK)
		return code;
	show_covered(cli, shown.json);
	show_change(cli, cli->err, shown.json, digest);
	TRY(exchange_statement(cli, c, STATEMENT_CHANGE, &statement));
	json_set_text(statement, "digest", digest);
	TRY(exchange_ask_and_send(cli, c, STATEMENT_CHANGE, statement,
				  "Sign this change?", path, &a, &code));
	if (code != CLI_OK)
		return code;
	show_result(cli, &a);
	return a.status == 202 ? CLI_WAITING : CLI_OK;
}
