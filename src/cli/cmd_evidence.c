/* writ evidence ... */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/output.h"
#include "cli/session.h"
#include "evidence/tile.h"
#include "evidence/verify.h"

/* An index is a decimal number without sign. */
static int read_index(const char *text, int64_t *ret_index)
{
	char *end;

	if (!*text || strspn(text, "0123456789") != strlen(text) ||
	    strlen(text) > 18)
		return error_set(ERR_USAGE, "'%s' is not the index of a leaf",
				 text);
	*ret_index = strtoll(text, &end, 10);
	return 0;
}

static char *leaf_path(int64_t index, const char *suffix)
{
	return mem_format("/v1/evidence/%" PRId64 "%s", index, suffix);
}

int cmd_evidence_show(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p) char *path = NULL;
	int64_t index;
	int code;

	TRY(read_index(args_operand(&cli->args, 0), &index));
	path = leaf_path(index, "");
	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, path, &a, &code));
	if (code == CLI_OK)
		output_json(cli->out, a.json);
	return code;
}

/* What the authority is to wait for a receipt. */
static int read_wait(struct cli *cli, int64_t *ret_wait_s)
{
	const char *text = args_text(&cli->args, "wait", "0s");

	if (clock_parse_duration(text, ret_wait_s) < 0 || *ret_wait_s > 30)
		return error_set(ERR_USAGE,
				 "--wait is a duration of at most 30s");
	return 0;
}

static void put_proof(struct cli *cli, int64_t index, const char *file,
		      const struct buf *proof)
{
	CLEANUP(json_put_p) json_t *doc = json_object();

	json_set_int(doc, "index", index);
	json_set_text(doc, "file", file);
	json_set_text(doc, "proof", buf_text(proof));
	output_json(cli->out, doc);
}

/* The receipt as it is (C2SP tlog-proof), to a file or on standard output. */
int cmd_evidence_prove(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p) char *path = NULL;
	const char *to = args_text(&cli->args, "to", NULL);
	CLEANUP(mem_free_p) char *query = NULL;
	int64_t wait_s;
	int64_t index;
	int code;

	TRY(read_index(args_operand(&cli->args, 0), &index));
	TRY(read_wait(cli, &wait_s));
	query = mem_format("/proof?strength=%s&wait=%" PRId64,
			   args_text(&cli->args, "strength", "signed"), wait_s);
	path = leaf_path(index, query);
	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, path, &a, &code));
	if (code != CLI_OK)
		return code;
	if (to)
		TRY(file_write(to, buf_slice(&a.body), 0644));
	if (cli->json)
		put_proof(cli, index, to, &a.body);
	else if (!to)
		fwrite(a.body.data, 1, a.body.len, cli->out);
	return CLI_OK;
}

int cmd_evidence_disclose(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	CLEANUP(mem_free_p) char *path = NULL;
	int64_t index;
	int code;

	TRY(read_index(args_operand(&cli->args, 0), &index));
	path = leaf_path(index, "/disclose");
	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, STATEMENT_DISCLOSE, &statement));
	json_set_int(statement, "index", index);
	json_set_text(statement, "part", args_text(&cli->args, "part", "0"));
	json_set_text(statement, "reason",
		      args_text(&cli->args, "reason", NULL));
	TRY(exchange_ask_and_send(cli, c, STATEMENT_DISCLOSE, statement,
				  "Read it? The log will say that you did.",
				  path, &a, &code));
	if (code == CLI_OK)
		output_json(cli->out, a.json);
	return code;
}

/* ---- the public files ---- */

/* A log elsewhere, asked over HTTP. */
struct remote {
	struct settings settings; /* borrowed texts but the URL */
	struct client *client;
};

static void remote_clear(struct remote *r)
{
	client_close(r->client);
}

/* Opens the public files below url, without any token. */
static int remote_open(struct cli *cli, const char *url, struct remote *r)
{
	r->settings = cli->settings;
	/* Borrowed: it is only read. */
	r->settings.url = (char *)(uintptr_t)url;
	TRY(settings_check_url(url));
	return client_open(&r->settings, &r->client);
}

static int fetch_remote(void *cookie, const char *path, struct buf *b)
{
	struct remote *r = cookie;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p) char *full = mem_format("/log/%s", path);
	struct client_call call = { .method = "GET", .path = full };
	struct slice all;

	TRY(client_call(r->client, &call, &a));
	if (a.status == 404)
		return error_set(ERR_NOT_FOUND, "the log has no %s", path);
	if (a.status != 200)
		return error_set(ERR_UNAVAILABLE, "%s: status %ld", path,
				 a.status);
	buf_put(b, buf_slice(&a.body));
	return buf_finish(b, &all);
}

static bool is_url(const char *text)
{
	return !strncmp(text, "https:", 6) || !strncmp(text, "http:", 5) ||
	       !strncmp(text, "unix:", 5);
}

/* The log's key: named, from a file, or as met at login.  Never from the log
 * that is verified. */
static int find_vkey(struct cli *cli, const char *url, char **ret_vkey)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(NOTE_VKEY_MAX);
	CLEANUP(json_put_p) json_t *session = NULL;
	const char *given = args_text(&cli->args, "vkey", NULL);
	const char *path = args_text(&cli->args, "vkey-file", NULL);

	if (path) {
		TRY(file_read(path, &text));
		given = buf_text(&text);
	}
	if (!given) {
		session = session_find(url ? url : cli->settings.url);
		given = json_text(session, "vkey", NULL);
	}
	if (!given)
		return error_set(ERR_USAGE, "which key must the log have? "
					    "Give --vkey or --vkey-file");
	*ret_vkey = mem_format("%.*s", (int)strcspn(given, "\r\n"), given);
	return 0;
}

/* Where this person's own memory of logs is; made if it is not there. */
static int find_state(struct cli *cli, char **ret_path)
{
	const char *given = args_text(&cli->args, "state", NULL);
	CLEANUP(mem_free_p)
	char *path = given ? mem_str(given) : settings_state_path("logs.json");
	CLEANUP(mem_free_p) char *folder = mem_str(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!given && slash && slash != folder) {
		*slash = '\0';
		TRY(file_make_folder(folder));
	}
	*ret_path = TAKE(path);
	return 0;
}

static const struct output_column report_rows[] = {
	{ "Verdict", "verdict" },
	{ "Origin", "origin" },
	{ "Size", "size" },
	{ "Root", "root" },
	{ "Seen before", "previous.size" },
	{ "Seen at", "previous.at" },
	{ "Age (s)", "previous.ageSeconds" },
	{ "Witnessed", "witnessed.size" },
};

static const struct output_column witness_columns[] = {
	{ "WITNESS", "name" },
	{ "COSIGNED", "at" },
	{ "AGE (S)", "ageSeconds" },
};

static const struct output_column finding_columns[] = {
	{ "INDEX", "index" },
	{ "FINDING", "what" },
};

static const struct output_column open_columns[] = {
	{ "INDEX", "index" },
	{ "ARMED WITHOUT AN END YET", "about" },
};

static const struct output_column lent_columns[] = {
	{ "INDEX", "index" },
	{ "LENT WITHOUT AN END YET", "about" },
	{ "EXPIRES", "expires" },
};

static void put_witnesses(struct cli *cli, const json_t *report)
{
	const json_t *rows =
		json_array_in(json_object_in(report, "witnessed"), "witnesses");

	if (json_array_size(rows) > 0)
		output_table(cli->out, rows, witness_columns,
			     ARRAY_LEN(witness_columns));
}

static int conclude(struct cli *cli, const json_t *report)
{
	const char *verdict = json_text(report, "verdict", "unknown");
	CLEANUP(mem_free_p)
	char *sentence = output_clean(json_text(report, "sentence", ""), false);

	if (cli->json) {
		output_json(cli->out, report);
	} else {
		fprintf(cli->out, "%s\n", sentence);
		output_record(cli->out, report, report_rows,
			      ARRAY_LEN(report_rows));
		put_witnesses(cli, report);
		if (json_array_size(json_array_in(report, "findings")) > 0)
			output_table(
				cli->out, json_array_in(report, "findings"),
				finding_columns, ARRAY_LEN(finding_columns));
		if (json_array_size(json_array_in(report, "open")) > 0)
			output_table(cli->out, json_array_in(report, "open"),
				     open_columns, ARRAY_LEN(open_columns));
		if (json_array_size(json_array_in(report, "lent")) > 0)
			output_table(cli->out, json_array_in(report, "lent"),
				     lent_columns, ARRAY_LEN(lent_columns));
	}
	if (!strcmp(verdict, "ok"))
		return CLI_OK;
	return strcmp(verdict, "unknown") ? CLI_FINDING : CLI_UNREACHABLE;
}

/* The policy whose quorum is demanded, NULL if none is. */
static int find_policy(struct cli *cli, struct witness_policy **ret_policy)
{
	const char *path = args_text(&cli->args, "policy", NULL);

	return path ? witness_policy_load(path, ret_policy) : 0;
}

static int verify_receipt(struct cli *cli, const char *path, const char *vkey,
			  const struct witness_policy *policy)
{
	CLEANUP(buf_clear) struct buf proof = BUF_INIT(VERIFY_PROOF_MAX);
	CLEANUP(buf_clear) struct buf leaf = BUF_INIT(64 * 1024);
	CLEANUP(json_put_p) json_t *report = NULL;
	const char *file = args_text(&cli->args, "leaf", NULL);

	TRY(file_read(path, &proof));
	TRY(file_read(file, &leaf));
	TRY(verify_proof(vkey, policy, clock_wall_ms(), buf_slice(&proof),
			 buf_slice(&leaf), &report));
	return conclude(cli, report);
}

/* A folder that holds no log at all is a mistake of whoever typed it; one that
 * lacks a part of a log is a finding. */
static int check_place(const char *path)
{
	CLEANUP(mem_free_p)
	char *checkpoint = mem_format("%s/checkpoint", path);
	CLEANUP(mem_free_p) char *tiles = mem_format("%s/tile", path);
	struct stat status;

	if (stat(path, &status) < 0)
		return error_set(ERR_USAGE, "%s: %s", path,
				 strerrordesc_np(errno));
	if (!S_ISDIR(status.st_mode))
		return error_set(ERR_USAGE,
				 "%s is no folder; a receipt is verified with "
				 "--leaf FILE",
				 path);
	if (!file_exists(checkpoint) && !file_exists(tiles))
		return error_set(ERR_USAGE,
				 "%s holds no log: neither checkpoint nor tile "
				 "is in it; give what `writ evidence export` "
				 "made, or a URL",
				 path);
	return 0;
}

int cmd_evidence_verify(struct cli *cli)
{
	CLEANUP(witness_policy_free_p) struct witness_policy *policy = NULL;
	CLEANUP(remote_clear) struct remote remote = { 0 };
	CLEANUP(json_put_p) json_t *report = NULL;
	CLEANUP(mem_free_p) char *vkey = NULL;
	CLEANUP(mem_free_p) char *state = NULL;
	CLEANUP(mem_free_p) char *where = mem_str(args_operand(&cli->args, 0));
	struct verify_config config = { .now_ms = clock_wall_ms() };
	size_t len = strlen(where);

	while (is_url(where) && where[len - 1] == '/')
		where[--len] = '\0';
	TRY(find_vkey(cli, is_url(where) ? where : NULL, &vkey));
	TRY(find_policy(cli, &policy));
	if (args_text(&cli->args, "leaf", NULL))
		return verify_receipt(cli, where, vkey, policy);
	TRY(find_state(cli, &state));
	config.policy = policy;
	config.vkey = vkey;
	config.state = state;
	if (is_url(where)) {
		TRY(remote_open(cli, where, &remote));
		config.fetch = fetch_remote;
		config.cookie = &remote;
	} else {
		TRY(check_place(where));
		config.folder = where;
	}
	TRY(verify_log(&config, &report));
	return conclude(cli, report);
}

/* ---- export ----------------------------------------------------------------
 */

struct export
{
	struct remote *remote;
	const char *folder;
	uint64_t size;
	uint64_t files;
};

static int make_parent(char *path)
{
	char *slash = strrchr(path, '/');
	int r;

	*slash = '\0';
	r = file_make_folder(path);
	*slash = '/';
	return r;
}

/* Fetches one file; what is there and can no longer change is left alone. */
static int export_file(struct export *e, const char *path, bool fixed)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(CLIENT_ANSWER_MAX);
	CLEANUP(mem_free_p) char *to = mem_format("%s/%s", e->folder, path);

	if (fixed && file_exists(to))
		return 0;
	TRY(fetch_remote(e->remote, path, &b));
	TRY(make_parent(to));
	TRY(file_write(to, buf_slice(&b), 0644));
	e->files++;
	return 0;
}

static int export_row(struct export *e, bool entries, unsigned level)
{
	uint64_t size = tile_level_size(level, e->size);
	char path[TILE_PATH_MAX];

	for (uint64_t n = 0; n * TILE_WIDTH < size; n++) {
		uint64_t left = size - n * TILE_WIDTH;
		struct tile_id id = {
			.is_entries = entries,
			.level = level,
			.number = n,
			.width =
				left < TILE_WIDTH ? (unsigned)left : TILE_WIDTH,
		};

		tile_format(&id, path);
		TRY(export_file(e, path, id.width == TILE_WIDTH));
	}
	return 0;
}

/* What witnesses have cosigned; not every log has them. */
static int export_witnessed(struct export *e)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(NOTE_MAX);
	CLEANUP(mem_free_p)
	char *to = mem_format("%s/checkpoint.witnessed", e->folder);
	int r = fetch_remote(e->remote, "checkpoint.witnessed", &b);

	if (r == ERR_NOT_FOUND)
		return 0;
	if (r < 0)
		return r;
	return file_write(to, buf_slice(&b), 0644);
}

/* Everything the checkpoint covers, then the checkpoint itself, so that a
 * folder never claims what it does not hold. */
static int export_all(struct export *e, const struct note_vkey *vkey)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	CLEANUP(mem_free_p) char *to = mem_format("%s/checkpoint", e->folder);
	struct checkpoint checkpoint;

	TRY(file_make_folder(e->folder));
	/* First, so that the checkpoint is not behind it. */
	TRY(export_witnessed(e));
	TRY(fetch_remote(e->remote, "checkpoint", &note));
	TRY(checkpoint_open(buf_slice(&note), vkey, &checkpoint));
	e->size = checkpoint.size;
	for (unsigned level = 0; level < TILE_LEVELS; level++)
		TRY(export_row(e, false, level));
	TRY(export_row(e, true, 0));
	return file_write(to, buf_slice(&note), 0644);
}

static void say_exported(struct cli *cli, const struct export *e)
{
	CLEANUP(json_put_p) json_t *doc = json_object();

	if (!cli->json) {
		fprintf(cli->out,
			"%" PRIu64 " leaves; %" PRIu64
			" files fetched into %s.\n",
			e->size, e->files, e->folder);
		return;
	}
	json_set_int(doc, "leaves", (int64_t)e->size);
	json_set_int(doc, "files", (int64_t)e->files);
	json_set_text(doc, "folder", e->folder);
	output_json(cli->out, doc);
}

int cmd_evidence_export(struct cli *cli)
{
	CLEANUP(remote_clear) struct remote remote = { 0 };
	CLEANUP(mem_free_p) char *text = NULL;
	struct export e = { .remote = &remote,
			    .folder = args_operand(&cli->args, 0) };
	struct note_vkey vkey;

	if (!cli->settings.url)
		return error_set(ERR_USAGE, "which log? Give --url");
	TRY(find_vkey(cli, NULL, &text));
	TRY(note_vkey_parse(text, &vkey));
	TRY(remote_open(cli, cli->settings.url, &remote));
	TRY(export_all(&e, &vkey));
	say_exported(cli, &e);
	return CLI_OK;
}
