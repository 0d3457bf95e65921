/* writ policy show|check|test|pack|activate|simulate. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/output.h"
#include "config/bundle.h"
#include "policy/policy.h"

static const struct output_column bundle_rows[] = {
	{ "Bundle", "bundle" },
	{ "Digest", "digest" },
	{ "Engine", "engine" },
};

static const struct output_column policy_columns[] = {
	{ "POLICY", "id" },
	{ "EFFECT", "effect" },
	{ "SAYS", "title" },
};

static const struct output_column staged_columns[] = {
	{ "STAGED", "name" },
	{ "DIGEST", "digest" },
};

int cmd_policy_show(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, "/v1/policy", &a, &code));
	if (code != CLI_OK)
		return code;
	exchange_put(cli, a.json, bundle_rows, ARRAY_LEN(bundle_rows));
	if (cli->json)
		return CLI_OK;
	fputc('\n', cli->out);
	output_table(cli->out, json_array_in(a.json, "policies"),
		     policy_columns, ARRAY_LEN(policy_columns));
	if (json_array_size(json_array_in(a.json, "staged")) == 0)
		return CLI_OK;
	fputc('\n', cli->out);
	output_table(cli->out, json_array_in(a.json, "staged"), staged_columns,
		     ARRAY_LEN(staged_columns));
	return CLI_OK;
}

/* ---- offline ----------------------------------------------------------------
 */

static void report_fault(struct cli *cli, const json_t *fault)
{
	const char *where = json_text(fault, "file", NULL);
	const char *policy = json_text(fault, "policy", NULL);
	int64_t line = json_int(fault, "line", 0);
	CLEANUP(mem_free_p)
	char *place =
		line > 0 ? mem_format(":%lld", (long long)line) : mem_str("");
	CLEANUP(mem_free_p) char *text = NULL;
	CLEANUP(mem_free_p) char *clean = NULL;

	if (!where)
		where = json_text(fault, "scenario", "bundle");
	text = mem_format("%s%s%s%s: %s", where, place, policy ? ": " : "",
			  policy ? policy : "",
			  json_text(fault, "detail", "?"));
	clean = output_clean(text, false);
	fprintf(cli->err, "%s\n", clean);
}

static int report(struct cli *cli, const json_t *faults)
{
	const json_t *fault;
	size_t i;

	if (json_array_size(faults) == 0)
		return CLI_OK;
	if (cli->json)
		output_json(cli->out, faults);
	json_array_foreach(faults, i, fault)
		report_fault(cli, fault);
	return CLI_FINDING;
}

/* Reads and builds the folder's bundle; code is CLI_OK if it was built. */
static int build(struct cli *cli, json_t **ret_scenarios,
		 struct policy_bundle **ret_bundle, int *ret_code)
{
	CLEANUP(json_put_p) json_t *files = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	const char *folder = args_operand(&cli->args, 0);

	TRY(bundle_read(folder, &files, ret_scenarios));
	TRY(policy_bundle_build(files, ret_bundle, &faults));
	*ret_code = report(cli, faults);
	if (*ret_code == CLI_OK && !*ret_bundle)
		return error_set(ERR_BROKEN, "the engine built nothing");
	return 0;
}

static void show_bundle(struct cli *cli, const struct policy_bundle *b,
			const json_t *policies)
{
	char digest[DIGEST_TEXT_LEN];

	digest_format(policy_bundle_digest(b), digest);
	fprintf(cli->out, "%zu policies are valid (%s).\nDigest: %s\n",
		json_array_size(policies), policy_engine(), digest);
}

int cmd_policy_check(struct cli *cli)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = NULL;
	CLEANUP(json_put_p) json_t *policies = NULL;
	int code;

	TRY(build(cli, NULL, &b, &code));
	if (code != CLI_OK)
		return code;
	policies = policy_list(b);
	if (cli->json)
		output_json(cli->out, policies);
	else
		show_bundle(cli, b, policies);
	return CLI_OK;
}

/* For somebody who watches; a pipeline reads the end alone. */
static bool show_progress(void *cookie, size_t done, size_t total)
{
	struct cli *cli = cookie;

	if (done % 10 == 0 || done == total)
		fprintf(cli->err, "\rtried without %zu of %zu policies%s", done,
			total, done == total ? "\n" : "");
	return true;
}

int cmd_policy_test(struct cli *cli)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = NULL;
	CLEANUP(json_put_p) json_t *scenarios = NULL;
	CLEANUP(json_put_p) json_t *result = NULL;
	bool mutants = args_flag(&cli->args, "mutants");
	int code;

	TRY(build(cli, &scenarios, &b, &code));
	if (code != CLI_OK)
		return code;
	TRY(policy_test_slowly(b, scenarios, mutants,
			       isatty(fileno(cli->err)) ? show_progress : NULL,
			       cli, &result));
	if (json_array_size(json_array_in(result, "faults")) > 0)
		return report(cli, json_array_in(result, "faults"));
	if (cli->json)
		output_json(cli->out, result);
	else
		fprintf(cli->out, "%lld scenarios hold%s.\n",
			(long long)json_int(result, "scenarios", 0),
			mutants ? ", and each policy is missed when deleted"
				: "");
	return CLI_OK;
}

int cmd_policy_pack(struct cli *cli)
{
	CLEANUP(json_put_p) json_t *files = NULL;
	CLEANUP(json_put_p) json_t *manifest = json_object();
	json_t *scenarios = NULL;
	json_t *metadata = json_object();

	TRY(bundle_read(args_operand(&cli->args, 0), &files, &scenarios));
	json_set_new(files, "scenarios", scenarios);
	json_set_text(metadata, "name", args_text(&cli->args, "name", NULL));
	json_set_text(manifest, "kind", "PolicyBundle");
	json_set_new(manifest, "metadata", metadata);
	json_object_set(manifest, "spec", files);
	output_json(cli->out, manifest);
	return CLI_OK;
}

/* ---- activating ---- */

/* The digest of what would be activated: computed from the folder on this
 * machine, or from the staged bundle's own texts. */
static int find_digest(struct cli *cli, struct client *c, const char *name,
		       char digest[DIGEST_TEXT_LEN], int *ret_code)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/inventory/PolicyBundle", name, "");
	CLEANUP(json_put_p) json_t *staged = NULL;
	CLEANUP(json_put_p) json_t *local = NULL;
	const char *folder = args_text(&cli->args, "from", NULL);
	char ours[DIGEST_TEXT_LEN];

	TRY(exchange_get(cli, c, path, &a, ret_code));
	if (*ret_code != CLI_OK)
		return 0;
	staged = bundle_files_of(json_object_get(a.json, "spec"));
	if (json_object_size(staged) != 4)
		return error_set(ERR_CORRUPT, "the authority does not show the "
					      "bundle's texts; nothing was "
					      "signed");
	bundle_digest(staged, digest);
	if (!folder)
		return 0;
	TRY(bundle_read(folder, &local, NULL));
	bundle_digest(local, ours);
	if (strcmp(ours, digest) != 0)
		return error_set(ERR_CORRUPT,
				 "what is staged as '%s' is not what stands in "
				 "%s; nothing was signed",
				 name, folder);
	return 0;
}

int cmd_policy_activate(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	CLEANUP(json_put_p) json_t *body = json_object();
	const char *name = args_operand(&cli->args, 0);
	char digest[DIGEST_TEXT_LEN];
	json_t *form = NULL;
	bool yes;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(find_digest(cli, c, name, digest, &code));
	if (code != CLI_OK)
		return code;
	TRY(exchange_statement(cli, c, STATEMENT_ACTIVATE, &statement));
	json_set_text(statement, "digest", digest);
	exchange_show_statement(cli, statement);
	TRY(cli_confirm(cli, "Let this bundle decide from now on?", &yes));
	if (!yes) {
		fputs("Nothing was signed.\n", cli->err);
		return CLI_FAILED;
	}
	TRY(exchange_sign(cli, STATEMENT_ACTIVATE, statement, &form));
	json_set_new(body, "signed", form);
	json_set_text(body, "bundle", name);
	TRY(exchange_ask(cli, c, "/v1/policy/activate", body, &a, &code));
	if (code != CLI_OK)
		return code;
	output_json(cli->out, a.json);
	if (a.status != 202)
		return CLI_OK;
	fprintf(cli->err,
		"Another administrator must sign as well:\n"
		"  writ policy activate %s\n",
		name);
	return CLI_WAITING;
}

/* ---- simulating ---- */

static const struct output_column changed_columns[] = {
	{ "LEAF", "index" },	{ "REQUEST", "request" },
	{ "ACTION", "action" }, { "WAS", "was.route" },
	{ "NOW", "now.route" }, { "POLICIES NOW", "now.policies" },
};

static const struct output_column missed_columns[] = {
	{ "NOT REPLAYED", "index" },
	{ "REQUEST", "request" },
	{ "WHY", "why" },
};

static const struct output_column simulated_rows[] = {
	{ "Bundle", "bundle" },
	{ "Decisions", "decisions" },
	{ "Unchanged", "unchanged" },
};

/* Sets a member to a number on the command line, if it is there. */
static int take_number(struct cli *cli, const char *name, json_t *body)
{
	const char *text = args_text(&cli->args, name, NULL);
	char *end = NULL;
	long long number;

	if (!text)
		return 0;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || !*text || *end || number < 0)
		return error_set(ERR_USAGE, "--%s: '%s' is no number", name,
				 text);
	json_set_int(body, name, number);
	return 0;
}

/* A folder is sent as it stands; anything else names a staged bundle. */
static int simulate_body(struct cli *cli, json_t **ret_body)
{
	static const char *const numbers[] = { "from", "to", "limit" };
	const char *bundle = args_operand(&cli->args, 0);
	CLEANUP(json_put_p) json_t *body = json_object();
	json_t *files = NULL;
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		TRY(take_number(cli, numbers[i], body));
	if (stat(bundle, &st) == 0 && S_ISDIR(st.st_mode)) {
		TRY(bundle_read(bundle, &files, NULL));
		json_set_new(body, "files", files);
	} else {
		json_set_text(body, "bundle", bundle);
	}
	*ret_body = TAKE(body);
	return 0;
}

static void show_simulated(struct cli *cli, const json_t *answer)
{
	const json_t *missed = json_array_in(answer, "notReplayed");
	int64_t moved = json_int(answer, "inventoryChanged", 0);
	int64_t next = json_int(answer, "next", -1);

	output_record(cli->out, answer, simulated_rows,
		      ARRAY_LEN(simulated_rows));
	fputc('\n', cli->out);
	output_table(cli->out, json_array_in(answer, "changed"),
		     changed_columns, ARRAY_LEN(changed_columns));
	if (json_array_size(missed)) {
		fputc('\n', cli->out);
		output_table(cli->out, missed, missed_columns,
			     ARRAY_LEN(missed_columns));
	}
	if (moved)
		fprintf(cli->err,
			"The inventory has changed since %lld of them were "
			"decided.\n",
			(long long)moved);
	if (next >= 0)
		fprintf(cli->err, "There are more: --from %lld\n",
			(long long)next);
}

int cmd_policy_simulate(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *body = NULL;
	int code;

	TRY(simulate_body(cli, &body));
	TRY(exchange_open(cli, &c));
	TRY(exchange_ask(cli, c, "/v1/policy/simulate", body, &a, &code));
	if (code != CLI_OK)
		return code;
	if (cli->json)
		output_json(cli->out, a.json);
	else
		show_simulated(cli, a.json);
	return CLI_OK;
}
