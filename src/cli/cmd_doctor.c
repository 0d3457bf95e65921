/* writ doctor: what is wrong with this installation, and what to do about it.
 */
#include <errno.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/schema.h"
#include "base/yaml.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/process.h"

enum {
	CONFIG_MAX = 1024 * 1024,
	KEEPER_TIMEOUT_MS = 10000,
	CLOCK_OFF_MS = 2000, /* beside the daemon's; Date has whole seconds */
	SQLITE_LEAST = 3037000,
};

static const uint64_t disk_least = 256u << 20; /* bytes */

enum level { OK, WARNING, BAD };

struct doctor {
	struct cli *cli;
	const char *config_path;
	json_t *config;	  /* owned; NULL if it cannot be used */
	json_t *findings; /* owned */
	json_t *health;	  /* owned; NULL if the daemon does not answer */
	int64_t date_ms;  /* the daemon's clock, 0 if unknown */
	int64_t asked_ms; /* our own at that time */
	bool bad;
};

static void doctor_clear(struct doctor *d)
{
	json_decref(d->config);
	json_decref(d->findings);
	json_decref(d->health);
}

/* Notes one finding; takes what, which may be NULL for the last error. */
static void note(struct doctor *d, enum level level, const char *check,
		 char *what, const char *next)
{
	static const char *const names[] = { "ok", "warning", "bad" };
	json_t *finding = json_object();

	json_set_text(finding, "check", check);
	json_set_text(finding, "state", names[level]);
	json_set_text(finding, "what", what ? what : error_message());
	if (level != OK)
		json_set_text(finding, "next", next);
	json_array_append_new(d->findings, finding);
	d->bad |= level == BAD;
	free(what);
}

/* ---- configuration ---- */

static const struct schema word_row = { "word", SCHEMA_TEXT, .min = 1,
					.max = 4096 };

static const struct schema tls_rows[] = {
	{ "cert", SCHEMA_TEXT, .required = true, .min = 1, .max = 4096 },
	{ "key", SCHEMA_TEXT, .required = true, .min = 1, .max = 4096 },
	{ 0 },
};

static const struct schema keeper_rows[] = {
	{ "command", SCHEMA_LIST, .min = 1, .max = 32, .rows = &word_row },
	{ "socket", SCHEMA_TEXT, .min = 1, .max = 100 },
	{ 0 },
};

static const struct schema connector_rows[] = {
	{ "target", SCHEMA_NAME, .required = true },
	{ "command", SCHEMA_LIST, .required = true, .min = 1, .max = 32,
	  .rows = &word_row },
	{ 0 },
};

static const struct schema connector_row = { "connector", SCHEMA_OBJECT,
					     .rows = connector_rows };

static const struct schema config_rows[] = {
	{ "data", SCHEMA_TEXT, .required = true, .min = 1, .max = 4096 },
	{ "origin", SCHEMA_TEXT, .required = true, .min = 1, .max = 255 },
	{ "audience", SCHEMA_TEXT, .required = true, .min = 1, .max = 255 },
	{ "listen", SCHEMA_TEXT, .required = true, .min = 1, .max = 255 },
	{ "tls", SCHEMA_OBJECT, .rows = tls_rows },
	{ "keeper", SCHEMA_OBJECT, .required = true, .rows = keeper_rows },
	{ "connectors", SCHEMA_LIST, .max = 256, .rows = &connector_row },
	{ "policy", SCHEMA_TEXT, .min = 1, .max = 4096 },
	{ "log", SCHEMA_ENUM, .choices = "error|warning|info|debug" },
	{ 0 },
};

/* Relative paths are meant from the folder of the configuration. */
static void settle_path(struct doctor *d, const char *member)
{
	const char *path = json_text(d->config, member, NULL);
	const char *slash = strrchr(d->config_path, '/');
	CLEANUP(mem_free_p) char *full = NULL;

	if (!path || *path == '/' || !slash)
		return;
	full = mem_format("%.*s/%s", (int)(slash - d->config_path),
			  d->config_path, path);
	json_set_text(d->config, member, full);
}

static int read_config(struct doctor *d, json_t **ret_faults)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(CONFIG_MAX);
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;

	TRY(file_read(d->config_path, &text));
	TRY(yaml_parse(buf_slice(&text), &documents, &places));
	if (json_array_size(documents) != 1)
		return error_set(ERR_SYNTAX, "one document is wanted");
	schema_check(config_rows, json_array_get(documents, 0), places,
		     ret_faults);
	d->config = json_incref(json_array_get(documents, 0));
	settle_path(d, "data");
	return 0;
}

static void check_config(struct doctor *d)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	const json_t *fault;
	size_t i;

	if (read_config(d, &faults) < 0) {
		note(d, BAD, "config",
		     mem_format("%s: %s", d->config_path, error_message()),
		     "make one with 'writ init', or name it with --config");
		return;
	}
	json_array_foreach(faults, i, fault)
		note(d, BAD, "config",
		     mem_format("%s:%s: %s", d->config_path,
				json_text(fault, "at", "?"),
				json_text(fault, "detail", "?")),
		     "correct the line; writd.yaml(5) lists all members");
	if (json_array_size(faults) == 0)
		note(d, OK, "config",
		     mem_format("%s reads well", d->config_path), NULL);
}

/* ---- folders ---- */

static void check_private(struct doctor *d, const char *check, const char *path,
			  const char *remedy)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		note(d, BAD, check, mem_format("%s: %s", path, strerror(errno)),
		     remedy);
		return;
	}
	if (st.st_mode & 077)
		note(d, BAD, check,
		     mem_format("%s can be used by others (mode %03o)", path,
				(unsigned)st.st_mode & 0777),
		     "take their permissions away: chmod go= PATH");
	else if (st.st_uid != geteuid() && geteuid() != 0)
		note(d, WARNING, check,
		     mem_format("%s belongs to user %u, not to you", path,
				(unsigned)st.st_uid),
		     "run doctor as the user of writd to see more");
	else
		note(d, OK, check, mem_format("%s is private", path), NULL);
}

static void check_data(struct doctor *d)
{
	const char *data = json_text(d->config, "data", NULL);

	if (data)
		check_private(d, "data folder", data,
			      "make it with 'writ init', or correct data");
}

static const json_t *keeper_command(const struct doctor *d)
{
	return json_array_in(json_object_get(d->config, "keeper"), "command");
}

/* The word after --folder, or NULL. */
static const char *keeper_folder(const struct doctor *d)
{
	const json_t *command = keeper_command(d);
	const json_t *word;
	size_t i;

	json_array_foreach(command, i, word) if (
		json_is_string(word) &&
		!strcmp(json_string_value(word),
			"--folder")) return json_string_value(json_array_get(command,
									     i + 1));
	return NULL;
}

static void check_keeper_folder(struct doctor *d)
{
	static const char *const files[] = { "keys.json", "last" };
	const char *folder = keeper_folder(d);

	if (!folder)
		return;
	check_private(d, "keeper folder", folder,
		      "make it with 'writ init', or correct keeper.command");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(mem_free_p)
		char *path = mem_format("%s/%s", folder, files[i]);

		check_private(d, "keeper files", path,
			      "restore it from the copy of the keys; without "
			      "its last checkpoint the keeper does not start");
	}
}

/* ---- the daemon ---- */

/* Where the daemon listens, as a URL; owned. */
static char *daemon_url(const struct doctor *d)
{
	const char *listen = json_text(d->config, "listen", NULL);
	bool tls = json_object_in(d->config, "tls") != NULL;

	if (d->cli->settings.url || !listen)
		return mem_str(d->cli->settings.url);
	if (!strncmp(listen, "unix:", 5))
		return mem_str(listen);
	return mem_format("%s://%s", tls ? "https" : "http", listen);
}

static int ask_health(struct doctor *d, const char *url)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	struct client_call call = { .method = "GET", .path = "/v1/health" };
	struct settings s = d->cli->settings;

	s.url = (char *)(uintptr_t)url; /* borrowed, only read */
	TRY(settings_check_url(url));
	TRY(client_open(&s, &c));
	TRY(client_call(c, &call, &a));
	d->asked_ms = clock_wall_ms();
	d->date_ms = a.date_ms;
	if (!json_is_object(a.json))
		return error_set(ERR_UNAVAILABLE, "%s: status %ld", url,
				 a.status);
	d->health = json_incref(a.json);
	return 0;
}

static void check_daemon(struct doctor *d)
{
	CLEANUP(mem_free_p) char *url = daemon_url(d);
	const char *status;

	if (!url) {
		note(d, WARNING, "daemon", mem_str("nobody knows where it is"),
		     "give --url or --config");
		return;
	}
	if (ask_health(d, url) < 0) {
		note(d, BAD, "daemon", NULL,
		     "start it: writd --config FILE; its log says why not");
		return;
	}
	status = json_text(d->health, "status", "?");
	if (strcmp(status, "ok") != 0)
		note(d, BAD, "daemon",
		     mem_format("%s answers, and is %s: %s", url, status,
				json_text(d->health, "why", "no reason")),
		     "while degraded nothing new is armed; see its log");
	else
		note(d, OK, "daemon", mem_format("%s answers: ok", url), NULL);
}

static void check_connector(struct doctor *d, const json_t *row)
{
	const char *target = json_text(row, "target", "?");

	if (json_flag(row, "up", false))
		note(d, OK, "connector", mem_format("%s is up", target), NULL);
	else
		note(d, BAD, "connector",
		     mem_format("%s is down: %s", target,
				json_text(row, "why", "no reason")),
		     "see writd's log; try the connector with --check FILE");
}

static void check_connectors(struct doctor *d)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_array_in(d->health, "connectors"), i, row)
		check_connector(d, row);
}

/* What waits for people: outcomes nobody knows, ends nobody confirmed. */
static void check_open(struct doctor *d)
{
	int64_t unknown = json_int(d->health, "unknown", 0);
	int64_t unconfirmed = json_int(d->health, "unconfirmedEnds", 0);

	if (unknown > 0)
		note(d, WARNING, "unknown outcomes",
		     mem_format("%lld", (long long)unknown),
		     "writ request list; then writ request resolve ID");
	if (unconfirmed > 0)
		note(d, WARNING, "unconfirmed ends",
		     mem_format("%lld grants", (long long)unconfirmed),
		     "writ grant list; the authority keeps trying");
}

/* ---- the keeper ---- */

static int take_hello(struct slice bytes, json_t **ret_result)
{
	CLEANUP(json_put_p) json_t *answer = NULL;
	struct reader r = reader_of(bytes);
	struct slice body = reader_string(&r);

	if (reader_finish(&r) < 0)
		return error_set(ERR_UNAVAILABLE, "it did not answer");
	TRY(json_parse(body, FRAME_MAX, &answer));
	if (!json_object_in(answer, "result"))
		return error_set(ERR_REFUSED, "it refused: %s",
				 json_text(json_object_get(answer, "error"),
					   "message", "no reason"));
	*ret_result = json_incref(json_object_in(answer, "result"));
	return 0;
}

static int say_hello(const json_t *command, json_t **ret_result)
{
	static const char hello[] = "{\"id\":1,\"jsonrpc\":\"2.0\","
				    "\"method\":\"hello\",\"params\":{}}";
	CLEANUP(buf_clear) struct buf in = BUF_INIT(1024);
	CLEANUP(buf_clear) struct buf out = BUF_INIT(FRAME_MAX);
	const char *argv[65] = { 0 };
	struct process p = { argv, { 0 }, true, KEEPER_TIMEOUT_MS };
	const json_t *word;
	size_t i;
	int status;

	json_array_foreach(command, i, word) if (i + 1 < ARRAY_LEN(argv))
		argv[i] = json_string_value(word);
	if (!argv[0])
		return error_set(ERR_SYNTAX, "keeper.command is empty");
	buf_put_string(&in, slice_str(hello));
	p.input = buf_slice(&in);
	TRY(process_run(&p, &out, &status));
	return take_hello(buf_slice(&out), ret_result);
}

static void check_keeper(struct doctor *d)
{
	CLEANUP(json_put_p) json_t *hello = NULL;
	const char *origin = json_text(d->config, "origin", "");

	if (!keeper_command(d))
		return;
	if (d->health) {
		note(d, OK, "keeper",
		     mem_str("the daemon runs, and does not without it"), NULL);
		return;
	}
	if (say_hello(keeper_command(d), &hello) < 0) {
		note(d, BAD, "keeper", NULL,
		     "run keeper.command by hand and read what it says");
		return;
	}
	if (strcmp(json_text(hello, "origin", ""), origin) != 0)
		note(d, BAD, "keeper",
		     mem_format("its keys are of '%s', the configuration says "
				"'%s'",
				json_text(hello, "origin", "?"), origin),
		     "correct origin, or name the right keeper folder");
	else
		note(d, OK, "keeper",
		     mem_format("it starts and answers for "
				"%s",
				origin),
		     NULL);
}

/* ---- the machine ---- */

static void check_clock(struct doctor *d)
{
	struct timex t = { .modes = 0 };
	int64_t off = d->date_ms ? d->asked_ms - d->date_ms : 0;

	if (off > CLOCK_OFF_MS || off < -CLOCK_OFF_MS)
		note(d, BAD, "clock",
		     mem_format("%lld s away from the daemon's",
				(long long)(off / 1000)),
		     "statements are refused beyond five minutes; "
		     "synchronise both clocks");
	else if (adjtimex(&t) < 0 || (t.status & STA_UNSYNC))
		note(d, WARNING, "clock",
		     mem_str("the kernel says it is not synchronised"),
		     "run a time service such as chrony");
	else
		note(d, OK, "clock", mem_str("synchronised"), NULL);
}

static void check_disk(struct doctor *d)
{
	const char *data = json_text(d->config, "data", NULL);
	struct statvfs s;
	uint64_t space;

	if (!data || statvfs(data, &s) < 0)
		return;
	space = (uint64_t)s.f_bavail * s.f_frsize;
	if (space < disk_least || s.f_bavail < s.f_blocks / 20)
		note(d, space < disk_least ? BAD : WARNING, "disk",
		     mem_format("%llu MiB free for %s",
				(unsigned long long)(space >> 20), data),
		     "a full disk stops arming: make room");
	else
		note(d, OK, "disk",
		     mem_format("%llu MiB free",
				(unsigned long long)(space >> 20)),
		     NULL);
}

static void check_versions(struct doctor *d)
{
	const char *theirs = json_text(d->health, "version", NULL);
	bool old = sqlite3_libversion_number() < SQLITE_LEAST;

	note(d, old ? BAD : OK, "sqlite",
	     mem_format("linked with SQLite %s", sqlite3_libversion()),
	     "install SQLite 3.37 or newer");
	if (theirs && strcmp(theirs, WRIT_VERSION) != 0)
		note(d, WARNING, "version",
		     mem_format("writ is " WRIT_VERSION ", the daemon %s",
				theirs),
		     "bring both to one version");
	else
		note(d, OK, "version", mem_str("writ " WRIT_VERSION), NULL);
}

static void check_signing(struct doctor *d)
{
	CLEANUP(mem_free_p) char *program = process_find("ssh-keygen");
	const char *key = d->cli->settings.key;

	if (!program)
		note(d, WARNING, "signing", mem_str("there is no ssh-keygen"),
		     "install OpenSSH's client: people sign with it");
	else if (key && access(key, R_OK) < 0)
		note(d, WARNING, "signing",
		     mem_format("your key %s cannot be read", key),
		     "correct key in ~/.config/writ/config.yaml");
	else
		note(d, OK, "signing", mem_str("ssh-keygen is there"), NULL);
}

static void (*const checks[])(struct doctor *d) = {
	check_config, check_data,	check_keeper_folder, check_daemon,
	check_keeper, check_connectors, check_open,	     check_clock,
	check_disk,   check_versions,	check_signing,
};

static void show(struct doctor *d)
{
	static const struct {
		const char *state;
		enum paint paint;
	} paints[] = { { "ok", PAINT_GOOD },
		       { "warning", PAINT_CARE },
		       { "bad", PAINT_BAD } };
	FILE *out = d->cli->out;
	const json_t *f;
	size_t i;

	json_array_foreach(d->findings, i, f)
	{
		const char *state = json_text(f, "state", "?");
		const char *next = json_text(f, "next", NULL);

		for (size_t k = 0; k < ARRAY_LEN(paints); k++)
			if (!strcmp(paints[k].state, state))
				output_paint(out, d->cli->colour,
					     paints[k].paint, state);
		fprintf(out, "%*s%-16s ", 9 - (int)strlen(state), "",
			json_text(f, "check", "?"));
		output_paint(out, false, PAINT_PLAIN, json_text(f, "what", ""));
		fputc('\n', out);
		if (next)
			fprintf(out, "%26s-> %s\n", "", next);
	}
}

int cmd_doctor(struct cli *cli)
{
	CLEANUP(doctor_clear)
	struct doctor d = {
		.cli = cli,
		.config_path =
			args_text(&cli->args, "config", "/etc/writ/writd.yaml"),
		.findings = json_array(),
	};

	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		checks[i](&d);
	if (cli->json)
		output_json(cli->out, d.findings);
	else
		show(&d);
	return d.bad ? CLI_FAILED : CLI_OK;
}
