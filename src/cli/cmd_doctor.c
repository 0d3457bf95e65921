/* writ doctor: what is wrong with this installation, and what to do about it.
 */
#include <errno.h>
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
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/process.h"
#include "cli/session.h"
#include "config/bundle.h"
#include "config/config.h"
#include "crypto/note.h"
#include "evidence/writer.h"
#include "store/store.h"

enum {
	KEEPER_TIMEOUT_MS = 10000,
	CLOCK_OFF_MS = 2000, /* beside the daemon's; Date has whole seconds */
};

static const uint64_t disk_least = 256u << 20; /* bytes */

enum level { OK, WARNING, BAD };

struct doctor {
	struct cli *cli;
	const char *config_path;
	struct config config; /* empty if it cannot be used */
	json_t *findings;     /* owned */
	json_t *health;	      /* owned; NULL if the daemon does not answer */
	int64_t date_ms;      /* the daemon's clock, 0 if unknown */
	int64_t asked_ms;     /* our own at that time */
	bool bad;
};

static void doctor_clear(struct doctor *d)
{
	config_clear(&d->config);
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

static void check_config(struct doctor *d)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	const json_t *fault;
	size_t i;

	if (config_load(d->config_path, &d->config, &faults) < 0) {
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
	if (json_array_size(faults) > 0)
		config_clear(&d->config);
	else
		note(d, OK, "config",
		     mem_format("%s reads well", d->config_path), NULL);
}

/* The bundle that the log begins with, which later starts do not read. */
static void check_policy(struct doctor *d)
{
	CLEANUP(json_put_p) json_t *files = NULL;
	CLEANUP(json_put_p) json_t *scenarios = NULL;

	if (!d->config.policy)
		return;
	if (bundle_read(d->config.policy, &files, &scenarios) < 0)
		note(d, WARNING, "policy", NULL,
		     "the first start needs it: correct policy, or restore "
		     "the folder");
	else
		note(d, OK, "policy",
		     mem_format("%s is a bundle", d->config.policy), NULL);
}

/* ---- folders ---- */

/* What only another user may look at says nothing about what is wrong. */
static void note_missing(struct doctor *d, const char *check, const char *path,
			 const char *remedy)
{
	bool hidden = errno == EACCES;

	note(d, hidden ? WARNING : BAD, check,
	     mem_format("%s: %s", path, strerror(errno)),
	     hidden ? "run doctor as the user of writd to see more" : remedy);
}

/* The chmod that closes what is open to others; owned. */
static char *chmod_of(const char *path)
{
	return mem_format("take their permissions away: chmod go= %s", path);
}

/* Returns whether it is there. */
static bool check_private(struct doctor *d, const char *check, const char *path,
			  const char *remedy)
{
	CLEANUP(mem_free_p) char *close = chmod_of(path);
	struct stat st;

	if (stat(path, &st) < 0) {
		note_missing(d, check, path, remedy);
		return false;
	}
	if (!file_is_private(&st))
		note(d, BAD, check,
		     mem_format("%s can be used by others (mode %03o)", path,
				(unsigned)st.st_mode & 0777),
		     close);
	else if (st.st_uid != geteuid() && geteuid() != 0)
		note(d, WARNING, check,
		     mem_format("%s belongs to user %u, not to you", path,
				(unsigned)st.st_uid),
		     "run doctor as the user of writd to see more");
	else
		note(d, OK, check, mem_format("%s is private", path), NULL);
	return true;
}

static void check_data(struct doctor *d)
{
	if (d->config.data)
		check_private(d, "data folder", d->config.data,
			      "restore it from a backup, or correct data");
}

/* The word after --folder, or NULL. */
static const char *keeper_folder(const struct doctor *d)
{
	char *const *word = d->config.keeper_command;

	for (; word && *word; word++)
		if (!strcmp(*word, "--folder"))
			return word[1];
	return NULL;
}

static void check_keeper_folder(struct doctor *d)
{
	static const struct {
		const char *name;
		const char *remedy;
	} files[] = {
		{ "keys.json", "put back the copy of the keys; see "
			       "docs/recovery.md" },
		{ "last", "the keeper does not start without it; put back the "
			  "newest copy of the folder, see docs/recovery.md" },
		{ "issued", "the keeper does not start without it; put back "
			    "the newest copy of the folder, see "
			    "docs/recovery.md" },
	};
	const char *folder = keeper_folder(d);

	if (!folder)
		return;
	if (!check_private(d, "keeper folder", folder,
			   "put back the newest copy of it, see "
			   "docs/recovery.md, or correct keeper.command"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(mem_free_p)
		char *path = mem_format("%s/%s", folder, files[i].name);

		check_private(d, "keeper files", path, files[i].remedy);
	}
}

/* ---- whether it would start ---- */

/* Each line that writd said. */
static void note_faults(struct doctor *d, enum level level, const char *check,
			char *said)
{
	char *rest = NULL;

	for (char *line = strtok_r(said, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		note(d, level, check, mem_str(line),
		     level == BAD ? "writd does not start with it: do as it "
				    "says"
				  : "run doctor as the user of writd to see "
				    "more");
}

/* Whether what writd reads is somebody else's, and may be hidden from us. */
static bool is_of_another(const struct doctor *d)
{
	struct stat st;

	return geteuid() != 0 && d->config.data &&
	       (stat(d->config.data, &st) < 0 || st.st_uid != geteuid());
}

/* A program that the daemon starts. */
static void check_program(struct doctor *d, const char *what,
			  char *const *command)
{
	if (!command || access(command[0], X_OK) == 0)
		return;
	note(d, BAD, "programs",
	     mem_format("%s: %s: %s", what, command[0], strerror(errno)),
	     "install it, or correct command in the configuration");
}

static void check_programs(struct doctor *d)
{
	check_program(d, "keeper", d->config.keeper_command);
	for (size_t i = 0; i < d->config.connector_count; i++)
		check_program(d, d->config.connectors[i].target,
			      d->config.connectors[i].command);
}

/* The same check as at each start, by the program that starts. */
static void check_start(struct doctor *d)
{
	CLEANUP(buf_clear) struct buf said = BUF_INIT(FRAME_MAX);
	CLEANUP(mem_free_p) char *program = process_find("writd");
	const char *argv[] = { program, "--check-config", "--config",
			       d->config_path, NULL };
	struct process p = { argv, slice_of(NULL, 0), true, KEEPER_TIMEOUT_MS };
	int status = 0;

	if (!d->config.data)
		return;
	if (!program) {
		note(d, WARNING, "start",
		     mem_str("writd is neither beside writ nor in PATH"),
		     "run writd --check-config --config FILE by hand");
		check_programs(d);
		return;
	}
	if (process_run(&p, &said, &status) < 0)
		note(d, WARNING, "start", NULL,
		     "run writd --check-config --config FILE by hand");
	else if (status == 0)
		note(d, OK, "start", mem_str("writd takes it"), NULL);
	else
		note_faults(d, is_of_another(d) ? WARNING : BAD, "start",
			    (char *)(uintptr_t)buf_text(&said));
}

/* ---- the daemon ---- */

/* Where the daemon listens, as a URL; owned. */
static char *daemon_url(const struct doctor *d)
{
	const char *listen = d->config.listen;

	if (d->cli->settings.url || !listen)
		return mem_str(d->cli->settings.url);
	if (!strncmp(listen, "unix:", 5))
		return mem_str(listen);
	return mem_format("%s://%s", d->config.tls_cert ? "https" : "http",
			  listen);
}

static int ask(struct doctor *d, const char *url, const char *path,
	       json_t **ret_json)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *session = NULL;
	struct client_call call = { .method = "GET", .path = path };
	struct settings s = d->cli->settings;

	s.url = (char *)(uintptr_t)url; /* borrowed, only read */
	TRY(settings_check_url(url));
	TRY(client_open(&s, &c));
	session = session_find(url);
	client_set_token(c, json_text(session, "token", NULL));
	TRY(client_call(c, &call, &a));
	d->asked_ms = clock_wall_ms();
	d->date_ms = a.date_ms;
	if (!json_is_object(a.json))
		return error_set(ERR_UNAVAILABLE, "%s: status %ld", url,
				 a.status);
	*ret_json = json_incref(a.json);
	return 0;
}

/* ---- whose daemon it is ---- */

static void note_stranger(struct doctor *d, const char *url, char *what)
{
	CLEANUP(mem_free_p) char *owned = what;

	note(d, BAD, "authority", mem_format("%s is another: %s", url, owned),
	     "another authority's daemon listens there: correct listen or "
	     "--url; if it should be this one, somebody stands in between or "
	     "its data were exchanged");
}

static bool note_ours(struct doctor *d, const char *origin)
{
	note(d, OK, "authority", mem_format("it is %s", origin), NULL);
	return true;
}

/* Appends the newest checkpoint of the log on this machine. */
static int read_local_note(const struct doctor *d, struct buf *note)
{
	CLEANUP(store_close_p) struct store *s = NULL;
	uint64_t size;

	TRY(store_open_reader(d->config.data, &s));
	return store_checkpoint_last(s, &size, note);
}

/* Whether the log on this machine is signed by another key than told; one that
 * cannot be read says nothing. */
static bool is_other_log(const struct doctor *d, const char *told)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	struct note_vkey vkey;
	struct checkpoint head;

	return d->config.data && note_vkey_parse(told, &vkey) == 0 &&
	       read_local_note(d, &note) == 0 &&
	       checkpoint_open(buf_slice(&note), &vkey, &head) < 0;
}

/* Returns whether the daemon is the one that is meant: by its name, by the key
 * that was met at login, and by the log that lies here. */
static bool check_authority(struct doctor *d, const char *url)
{
	CLEANUP(json_put_p) json_t *told = NULL;
	CLEANUP(json_put_p) json_t *session = session_find(url);
	const char *pinned = json_text(session, "vkey", NULL);
	const char *wanted =
		d->config.origin ? d->config.origin : d->cli->settings.origin;
	const char *origin;
	const char *vkey;

	if (ask(d, url, "/v1/authority", &told) < 0) {
		note(d, WARNING, "authority", NULL,
		     "it does not tell which log is its own");
		return true;
	}
	origin = json_text(told, "origin", "?");
	vkey = json_text(told, "vkey", "?");
	if (wanted && strcmp(origin, wanted) != 0)
		note_stranger(
			d, url,
			mem_format("it is '%s', not '%s'", origin, wanted));
	else if (is_other_log(d, vkey))
		note_stranger(d, url,
			      mem_format("its key %s did not sign the log in "
					 "%s",
					 vkey, d->config.data));
	else if (pinned && strcmp(pinned, vkey) != 0)
		note_stranger(d, url,
			      mem_format("its key is %s, the one met at login "
					 "was %s",
					 vkey, pinned));
	else
		return note_ours(d, origin);
	return false;
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
	if (ask(d, url, "/v1/health", &d->health) < 0) {
		note(d, BAD, "daemon", NULL,
		     "start it: writd --config FILE; its log says why not");
		return;
	}
	if (!check_authority(d, url)) {
		json_decref(TAKE(d->health));
		return;
	}
	status = json_text(d->health, "status", "?");
	if (strcmp(status, "ok") != 0)
		note(d, BAD, "daemon",
		     mem_format(
			     "%s answers, and is %s: %s", url, status,
			     json_text(d->health, "why", "log in to see why")),
		     strstr(json_text(d->health, "why", ""), "disk is full")
			     ? "make room on the disk of the data folder; it "
			       "goes on by itself"
			     : "while degraded nothing new is armed; see its "
			       "log");
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
	if (!json_flag(row, "readerUp", true))
		note(d, BAD, "connector",
		     mem_format("the one that reads back for %s is down: %s",
				target,
				json_text(row, "readerWhy", "no reason")),
		     "see writd's log; try readCommand with --check FILE");
	if (!json_flag(row, "connectorUp", true))
		note(d, BAD, "connector",
		     mem_format("the one that reads %s is down: %s", target,
				json_text(row, "connectorWhy", "no reason")),
		     "see writd's log; try the connector with --check FILE");
	if (!json_flag(row, "listed", true))
		note(d, WARNING, "connector",
		     mem_format("%s is no Target of the inventory: nobody can "
				"ask for anything there",
				target),
		     "writ apply its manifest, or take the connector out of "
		     "writd.yaml");
}

static void check_lonely(struct doctor *d)
{
	const json_t *name;
	size_t i;

	json_array_foreach(json_array_in(d->health, "targetsWithoutConnector"),
			   i, name)
		note(d, BAD, "connector",
		     mem_format("Target %s has no connector: every request for "
				"it fails",
				json_string_value(name)),
		     "add it to connectors in writd.yaml and start writd "
		     "again");
}

static void check_connectors(struct doctor *d)
{
	const json_t *row;
	size_t i;

	/* The daemon tells strangers no more than that it is there. */
	if (d->health && !json_array_in(d->health, "connectors"))
		note(d, WARNING, "connector",
		     mem_str("the daemon tells only people it knows"),
		     "writ login, then run doctor again to see more");
	json_array_foreach(json_array_in(d->health, "connectors"), i, row)
		check_connector(d, row);
	check_lonely(d);
}

/* ---- what the programs have shut ---- */

static void check_sandbox(struct doctor *d, const char *who,
			  const json_t *report)
{
	const char *why = json_text(report, "why", NULL);
	long long landlock = (long long)json_int(report, "landlock", 0);

	if (!report)
		return;
	if (why)
		note(d, WARNING, "sandbox", mem_format("%s: %s", who, why),
		     "its own protection is not whole; see writd.yaml(5)");
	else if (landlock > 0)
		note(d, OK, "sandbox",
		     mem_format("%s: seccomp and Landlock %lld", who, landlock),
		     NULL);
	else
		note(d, OK, "sandbox",
		     mem_format("%s: seccomp; it may write where its user may, "
				"for `writable` is not set",
				who),
		     NULL);
}

/* Connectors and keepers of others need not tell. */
static void check_sandboxes(struct doctor *d)
{
	const json_t *own = json_object_in(d->health, "sandbox");
	const json_t *row;
	size_t i;

	check_sandbox(d, "writd", own);
	check_sandbox(d, "keeper", json_object_in(own, "keeper"));
	json_array_foreach(json_array_in(d->health, "connectors"), i, row)
		check_sandbox(d, json_text(row, "target", "?"),
			      json_object_in(row, "sandbox"));
}

/* ---- trust domains and issuers ---- */

static void check_trust_row(struct doctor *d, const json_t *row)
{
	const char *name = json_text(row, "name", "?");
	const char *trouble = json_text(row, "trouble", NULL);

	if (!json_flag(row, "usable", false))
		note(d, BAD, "trust",
		     mem_format("nobody of %s is believed: %s", name,
				trouble ? trouble : "nothing is there yet"),
		     "see its TrustDomain, and outgoing in writd.yaml");
	else if (trouble)
		note(d, WARNING, "trust", mem_format("%s: %s", name, trouble),
		     "what was read last still counts; see its TrustDomain");
	else
		note(d, OK, "trust", mem_format("%s is known", name), NULL);
}

static void check_trust(struct doctor *d)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_array_in(d->health, "trust"), i, row)
		check_trust_row(d, row);
}

/* ---- witnesses ---- */

static void check_witness(struct doctor *d, const json_t *row)
{
	const char *why = json_text(row, "why", NULL);

	if (why)
		note(d, WARNING, "witness",
		     mem_format("%s: %s", json_text(row, "name", "?"), why),
		     "it is asked again by itself; if it has seen more than "
		     "this log has, a backup was restored");
}

static void check_witnesses(struct doctor *d)
{
	const json_t *of = json_object_in(d->health, "witnesses");
	int64_t published = json_int(of, "published", 0);
	int64_t witnessed = json_int(of, "witnessed", 0);
	const json_t *row;
	size_t i;

	json_array_foreach(json_array_in(of, "witnesses"), i, row)
		check_witness(d, row);
	if (of && witnessed == 0 && published > 0)
		note(d, WARNING, "witnesses",
		     mem_str("no checkpoint has a quorum of cosignatures"),
		     "see which of them do not answer");
	else if (of)
		note(d, OK, "witnesses",
		     mem_format("%lld of %lld leaves are cosigned by a quorum",
				(long long)witnessed, (long long)published),
		     NULL);
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

/* ---- notices ---- */

static void check_endpoint(struct doctor *d, const json_t *row)
{
	const char *name = json_text(row, "name", "?");

	if (json_flag(row, "works", true))
		return;
	note(d, WARNING, "notification",
	     mem_format("%s takes no notices: %s (%lld held)", name,
			json_text(row, "why", "no reason"),
			(long long)json_int(row, "held", 0)),
	     "it is tried again by itself; see what stands in its way");
}

/* What nobody took, and what was dropped for want of room. */
static void check_notifications(struct doctor *d)
{
	const json_t *of = json_object_in(d->health, "notifications");
	int64_t dead = json_int(of, "dead", 0);
	int64_t dropped = json_int(of, "dropped", 0);
	const json_t *row;
	size_t i;

	json_array_foreach(json_array_in(of, "endpoints"), i, row)
		check_endpoint(d, row);
	if (dead > 0)
		note(d, WARNING, "dead letters",
		     mem_format("%lld notices that nobody took",
				(long long)dead),
		     "writ notification list --state dead; then retry or drop "
		     "them");
	if (dropped > 0)
		note(d, WARNING, "dropped notices",
		     mem_format("%lld, because their endpoint held too many",
				(long long)dropped),
		     "repair the endpoint, or raise notify.keep");
	if (of && !dead && !dropped)
		note(d, OK, "notification",
		     mem_format("%lld notices wait",
				(long long)json_int(of, "waiting", 0)),
		     NULL);
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

static int say_hello(char *const *command, json_t **ret_result)
{
	static const char hello[] = "{\"id\":1,\"jsonrpc\":\"2.0\","
				    "\"method\":\"hello\",\"params\":{}}";
	CLEANUP(buf_clear) struct buf in = BUF_INIT(1024);
	CLEANUP(buf_clear) struct buf out = BUF_INIT(FRAME_MAX);
	struct process p = {
		(const char *const *)command, { 0 }, true, KEEPER_TIMEOUT_MS
	};
	int status;

	buf_put_string(&in, slice_str(hello));
	p.input = buf_slice(&in);
	TRY(process_run(&p, &out, &status));
	return take_hello(buf_slice(&out), ret_result);
}

/* The leaves of the log on this machine; 0 where there is none yet. */
static int read_log_size(const struct doctor *d, uint64_t *ret_size)
{
	CLEANUP(store_close_p) struct store *s = NULL;
	struct store_head head = { 0 };
	int r = store_open_reader(d->config.data, &s);

	if (r == 0)
		r = store_head_get(s, &head);
	if (r < 0 && r != ERR_NOT_FOUND)
		return r;
	*ret_size = head.size;
	return 0;
}

/* Whether the log has all that the keeper has signed; without it writd does not
 * start.  The log is always written first, so it is read last. */
static void check_log(struct doctor *d, const json_t *hello)
{
	int64_t last = json_int(json_object_in(hello, "last"), "size", 0);
	uint64_t is_signed = last < 0 ? 0 : (uint64_t)last;
	uint64_t size;

	if (!d->config.data)
		return;
	if (read_log_size(d, &size) < 0)
		note(d, WARNING, "log",
		     mem_format("whether it has all that the keeper has signed "
				"is not known: %s",
				error_message()),
		     "run doctor as the user of writd to see more; writd says "
		     "it when it starts");
	else if (size < is_signed)
		note(d, BAD, "log",
		     mem_format("writd does not start: the log in %s has %llu "
				"leaves, the keeper has signed %llu",
				d->config.data, (unsigned long long)size,
				(unsigned long long)is_signed),
		     "the data are older than the keeper: put back the newest, "
		     "see docs/recovery.md");
	else
		note(d, OK, "log",
		     mem_format("its %llu leaves have all that the keeper has "
				"signed",
				(unsigned long long)size),
		     NULL);
}

/* Says that the keeper's folder is another user's, if it is. */
static bool is_hidden_keeper(struct doctor *d)
{
	const char *folder = keeper_folder(d);

	if (!folder || access(folder, R_OK | X_OK) == 0 || errno != EACCES)
		return false;
	note(d, WARNING, "keeper",
	     mem_format("%s cannot be read: whether the keeper starts, and the "
			"log has all that it has signed, is not known",
			folder),
	     "run doctor as the user of the keeper to see more");
	return true;
}

static void check_keeper(struct doctor *d)
{
	CLEANUP(json_put_p) json_t *hello = NULL;
	const char *origin = d->config.origin;

	if (!d->config.keeper_command)
		return;
	if (d->health) {
		note(d, OK, "keeper",
		     mem_str("the daemon runs, and does not without it"), NULL);
		return;
	}
	if (is_hidden_keeper(d))
		return;
	if (say_hello(d->config.keeper_command, &hello) < 0) {
		note(d, BAD, "keeper", NULL,
		     "run keeper.command by hand and read what it says");
		return;
	}
	if (strcmp(json_text(hello, "origin", ""), origin) != 0) {
		note(d, BAD, "keeper",
		     mem_format("its keys are of '%s', the configuration says "
				"'%s'",
				json_text(hello, "origin", "?"), origin),
		     "correct origin, or name the right keeper folder");
		return;
	}
	note(d, OK, "keeper",
	     mem_format("it starts and answers for %s", origin), NULL);
	check_log(d, hello);
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

/* What writd keeps for a full disk, and gives up there; or we may not see. */
static bool has_ballast(const char *data)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/ballast", data);

	return access(path, F_OK) == 0 || errno != ENOENT;
}

static void check_disk(struct doctor *d)
{
	const char *data = d->config.data;
	struct statvfs s;
	uint64_t space;

	if (!data || statvfs(data, &s) < 0)
		return;
	space = (uint64_t)s.f_bavail * s.f_frsize;
	if (!has_ballast(data) && space < 2ULL * WRITER_BALLAST)
		note(d, BAD, "disk",
		     mem_format("%llu MiB free for %s: writd wants %d MiB to "
				"start with, and arms nothing before",
				(unsigned long long)(space >> 20), data,
				2 * WRITER_BALLAST >> 20),
		     "make room");
	else if (space < disk_least || s.f_bavail < s.f_blocks / 20)
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
	bool old;
	const char *database = store_version(&old);

	note(d, old ? BAD : OK, "sqlite",
	     mem_format("linked with SQLite %s", database),
	     "install SQLite " STORE_SQLITE_LEAST " or newer");
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
	check_config,	     check_start,   check_policy, check_data,
	check_keeper_folder, check_daemon,  check_keeper, check_connectors,
	check_sandboxes,     check_open,    check_clock,  check_disk,
	check_versions,	     check_signing, check_trust,  check_notifications,
	check_witnesses,
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

	json_array_foreach(d->findings, i, f) {
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
