#include "connectors/postgres/database.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "connectors/postgres/statement.h"

enum {
	LOCK_MS = 750,	 /* a second: locks are given up before statements */
	MARGIN_MS = 500, /* the server is to say so first */
	STATE_LEN = 5,	 /* of a SQLSTATE */
	WORDS_MAX = 400,
};

/* A path that is no file, and cannot become one: libpq then uses none. */
static const char no_file[] = "/dev/null/none";

struct database {
	struct database_options options;
	char *name; /* owned; of the database, where it is not the options' */
	PGconn *conn;
	int64_t deadline_ms;
	bool patient; /* until the transaction ends */
	char state[STATE_LEN + 1];
};

/* ---- options ---- */

static bool is_socket(const char *host)
{
	return host[0] == '/';
}

static bool is_loopback(const char *host)
{
	return !strcmp(host, "127.0.0.1") || !strcmp(host, "::1") ||
	       !strcmp(host, "localhost");
}

static int check_tls(const struct database_options *o)
{
	if (is_socket(o->host)) {
		if (o->ca_file || o->cert_file || o->key_file)
			return error_set(ERR_SYNTAX,
					 "caFile, clientCert: not over a "
					 "Unix socket");
		return 0;
	}
	if (!o->ca_file && !is_loopback(o->host))
		return error_set(ERR_SYNTAX,
				 "caFile: needed for another machine");
	if (!o->cert_file != !o->key_file)
		return error_set(ERR_SYNTAX,
				 "clientCert and clientKey: both or none");
	if (o->cert_file && !o->ca_file)
		return error_set(ERR_SYNTAX, "clientCert: only with caFile");
	return 0;
}

static int check_options(const struct database_options *o)
{
	/* libpq takes a list of hosts, and a string of options as a name. */
	if (!*o->host || strchr(o->host, ','))
		return error_set(ERR_SYNTAX, "host: exactly one server");
	if (!*o->name || strchr(o->name, '=') || strstr(o->name, "://"))
		return error_set(ERR_SYNTAX, "database: not a name");
	if (o->timeout_seconds < 1 ||
	    o->timeout_seconds > DATABASE_TIMEOUT_MAX_SECONDS)
		return error_set(ERR_SYNTAX, "timeoutSeconds: 1 to %d",
				 DATABASE_TIMEOUT_MAX_SECONDS);
	return check_tls(o);
}

/* No PGHOST, PGOPTIONS, PGSERVICE and their like. */
static void clear_environment(void)
{
	char **at = environ;

	while (at && *at) {
		CLEANUP(mem_free_p) char *name = mem_str(*at);
		char *end = strchr(name, '=');

		if (end)
			*end = '\0';
		if (strncmp(name, "PG", 2) == 0 && unsetenv(name) == 0)
			at = environ;
		else
			at++;
	}
}

int database_open(const struct database_options *options,
		  struct database **ret_database)
{
	struct database *d;

	TRY(check_options(options));
	clear_environment();
	d = mem_new(struct database);
	d->options = *options;
	d->name = mem_str(options->name);
	*ret_database = d;
	return 0;
}

struct database *database_beside(const struct database *d, const char *name)
{
	struct database *beside = mem_new(struct database);

	beside->options = d->options;
	beside->name = mem_str(name);
	beside->deadline_ms = d->deadline_ms;
	return beside;
}

static void hang_up(struct database *d)
{
	PQfinish(d->conn);
	d->conn = NULL;
}

void database_close(struct database *d)
{
	if (!d)
		return;
	hang_up(d);
	free(d->name);
	free(d);
}

/* ---- time ---- */

void database_hurry(struct database *d, int64_t budget_ms)
{
	d->deadline_ms = clock_boot_ms() + budget_ms;
}

int64_t database_left_ms(const struct database *d)
{
	int64_t left = d->deadline_ms - clock_boot_ms();

	return left > 0 ? left : 0;
}

/* When the answer to what is sent now must be there. */
static int64_t due_ms(const struct database *d)
{
	int64_t patience =
		(int64_t)d->options.timeout_seconds * 1000 + MARGIN_MS;
	int64_t left = database_left_ms(d);

	return clock_boot_ms() +
	       (left < patience || d->patient ? left : patience);
}

/* Waits for the connection to become readable (or writable, if asked for).
 * Errors: ERR_UNAVAILABLE when it is due. */
static int await(const struct database *d, bool writable, int64_t due)
{
	struct pollfd fd = { PQsocket(d->conn),
			     (short)(POLLIN | (writable ? POLLOUT : 0)), 0 };
	int64_t left = due - clock_boot_ms();
	int count;

	if (fd.fd < 0)
		return error_set(ERR_UNAVAILABLE, "the line is lost");
	if (left <= 0)
		return error_set(ERR_UNAVAILABLE, "no answer in time");
	do
		count = poll(&fd, 1, (int)left);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return error_sys("poll");
	if (count == 0)
		return error_set(ERR_UNAVAILABLE, "no answer in time");
	return 0;
}

/* ---- connecting ---- */

/* What the library or the server says, on one line. */
static void take_words(const char *message, char words[WORDS_MAX])
{
	size_t len;

	snprintf(words, WORDS_MAX, "%s", message ? message : "");
	len = strlen(words);
	while (len > 0 && words[len - 1] == '\n')
		words[--len] = '\0';
	for (char *at = words; *at; at++)
		if ((unsigned char)*at < 0x20)
			*at = ' ';
}

static int lost(struct database *d, const char *what)
{
	char words[WORDS_MAX];

	take_words(PQerrorMessage(d->conn), words);
	hang_up(d);
	return error_set(ERR_UNAVAILABLE, "%s: %s", what, words);
}

/* The first line of the password file, owned. */
static int read_password(const char *path, char **ret_password)
{
	CLEANUP(buf_clear) struct buf file = BUF_INIT(DATABASE_PASSWORD_MAX);
	size_t len;

	TRY(file_read_private(path, &file));
	len = strcspn(buf_text(&file), "\r\n");
	if (len == 0)
		return error_set(ERR_REFUSED, "the password file is empty");
	buf_cut(&file, len);
	*ret_password = buf_take_text(&file);
	return 0;
}

static void secret_free(char *secret)
{
	if (secret)
		mem_wipe(secret, strlen(secret));
	free(secret);
}
DEFINE_CLEANUP(char *, secret_free)

/* libpq prints what it is told of on the side; we do not need it. */
static void drop_notice(void *cookie UNUSED, const PGresult *notice UNUSED)
{
}

/* Starts a connection; all that libpq would look up elsewhere is said here. */
static int start(struct database *d, const char *password)
{
	const struct database_options *o = &d->options;
	CLEANUP(mem_free_p) char *port = mem_format("%d", o->port);
	CLEANUP(mem_free_p)
	char *settings = mem_format("-c search_path=pg_catalog "
				    "-c statement_timeout=%d "
				    "-c lock_timeout=%d "
				    "-c idle_in_transaction_session_timeout=%d "
				    "-c client_min_messages=error",
				    o->timeout_seconds * 1000,
				    o->timeout_seconds * LOCK_MS,
				    DATABASE_TIMEOUT_MAX_SECONDS * 3000);
	const char *const pairs[][2] = {
		{ "host", o->host },
		{ "port", port },
		{ "dbname", d->name },
		{ "user", o->user },
		{ "password", password },
		{ "passfile", "/dev/null" },
		{ "sslmode", o->ca_file ? "verify-full" : "disable" },
		{ "sslrootcert", o->ca_file ? o->ca_file : no_file },
		{ "sslcert", o->cert_file ? o->cert_file : no_file },
		{ "sslkey", o->key_file ? o->key_file : no_file },
		{ "sslcrl", no_file },
		{ "gssencmode", "disable" },
		{ "client_encoding", "UTF8" },
		{ "options", settings },
		{ "application_name", "writ-connect-postgres" },
		{ "fallback_application_name", "" },
		/* A standby could tell, but never do. */
		{ "target_session_attrs", "read-write" },
	};
	const char *names[ARRAY_LEN(pairs) + 1] = { NULL };
	const char *values[ARRAY_LEN(pairs) + 1] = { NULL };

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		names[i] = pairs[i][0];
		values[i] = pairs[i][1];
	}
	d->conn = PQconnectStartParams(names, values, 0);
	if (!d->conn)
		return error_set(ERR_UNAVAILABLE, "no memory for a connection");
	if (PQstatus(d->conn) == CONNECTION_BAD)
		return lost(d, "connect");
	PQsetNoticeReceiver(d->conn, drop_notice, NULL);
	return 0;
}

static int establish(struct database *d)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	int64_t due = due_ms(d);

	while (status != PGRES_POLLING_OK) {
		if (status == PGRES_POLLING_FAILED)
			return lost(d, "connect");
		if (await(d, status == PGRES_POLLING_WRITING, due) < 0) {
			hang_up(d);
			return error_context(ERR_UNAVAILABLE, "connect");
		}
		status = PQconnectPoll(d->conn);
	}
	if (PQsetnonblocking(d->conn, 1) < 0)
		return lost(d, "connect");
	return 0;
}

static int check_server(struct database *d)
{
	int version = PQserverVersion(d->conn);

	if (version >= DATABASE_VERSION_LEAST)
		return 0;
	hang_up(d);
	return error_set(ERR_REFUSED,
			 "the server is PostgreSQL %d; 14 or "
			 "newer is needed",
			 version / 10000);
}

static int connect_anew(struct database *d)
{
	CLEANUP(secret_free_p) char *password = NULL;

	hang_up(d);
	if (d->options.password_file)
		TRY(read_password(d->options.password_file, &password));
	TRY(start(d, password));
	TRY(establish(d));
	return check_server(d);
}

/* Whether the connection is there and at rest.  What a server said when it
 * hung up waits to be read. */
static bool is_idle(struct database *d)
{
	struct pollfd fd = { PQsocket(d->conn), POLLIN, 0 };

	if (!d->conn || PQstatus(d->conn) != CONNECTION_OK)
		return false;
	if (fd.fd < 0 || poll(&fd, 1, 0) != 0)
		return false;
	return PQtransactionStatus(d->conn) == PQTRANS_IDLE;
}

int database_connect(struct database *d)
{
	if (is_idle(d))
		return 0;
	return connect_anew(d);
}

/* ---- asking ---- */

/* Says what the server refused; its context could hold a statement's text. */
static int refused(struct database *d, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	char words[WORDS_MAX], more[WORDS_MAX];

	snprintf(d->state, sizeof(d->state), "%s", state ? state : "");
	take_words(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), words);
	take_words(detail, more);
	return error_set(ERR_REFUSED, "%s%s%s", words, *more ? ": " : "", more);
}

static int send_all(struct database *d, int64_t due)
{
	int left;

	for (;;) {
		left = PQflush(d->conn);
		if (left == 0)
			return 0;
		if (left < 0)
			return lost(d, "send");
		TRY(await(d, true, due));
		if (PQconsumeInput(d->conn) == 0)
			return lost(d, "send");
	}
}

/* The next result of what was sent, owned; NULL after the last. */
static int next_result(struct database *d, int64_t due, PGresult **ret)
{
	while (PQisBusy(d->conn)) {
		TRY(await(d, false, due));
		if (PQconsumeInput(d->conn) == 0)
			return lost(d, "answer");
	}
	*ret = PQgetResult(d->conn);
	return 0;
}

static int judge(struct database *d, const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_COMMAND_OK)
		return 0;
	if (status == PGRES_TUPLES_OK) {
		if (PQntuples(result) > DATABASE_ROWS_MAX)
			return error_set(ERR_LIMIT, "more than %d rows",
					 DATABASE_ROWS_MAX);
		return 0;
	}
	/* What the library itself says has no SQLSTATE: the line is lost. */
	if (!PQresultErrorField(result, PG_DIAG_SQLSTATE))
		return lost(d, "answer");
	return refused(d, result);
}

/* Reads all results; the first one is kept.  The line is at rest afterwards,
 * or hung up. */
static int take_answer(struct database *d, PGresult **ret_rows)
{
	CLEANUP(PQclear_p) PGresult *first = NULL;
	int64_t due = due_ms(d);
	int r;

	TRY(send_all(d, due));
	TRY(next_result(d, due, &first));
	for (;;) {
		CLEANUP(PQclear_p) PGresult *other = NULL;

		TRY(next_result(d, due, &other));
		if (!other)
			break;
	}
	r = judge(d, first);
	if (r == 0 && ret_rows)
		*ret_rows = TAKE(first);
	if (d->conn && PQstatus(d->conn) != CONNECTION_OK)
		hang_up(d);
	return r;
}

static int answer_or_hang_up(struct database *d, PGresult **ret_rows)
{
	int r = take_answer(d, ret_rows);

	/* An answer that is late would be taken for that of the next one. */
	if (r == ERR_UNAVAILABLE || r == ERR_IO)
		hang_up(d);
	return r;
}

int database_ask(struct database *d, const char *question,
		 const char *const *params, int count, PGresult **ret_rows)
{
	d->state[0] = '\0';
	if (!d->conn)
		return error_set(ERR_UNAVAILABLE, "the line is lost");
	if (PQsendQueryParams(d->conn, question, count, NULL, params, NULL,
			      NULL, 0) != 1)
		return lost(d, "send");
	return answer_or_hang_up(d, ret_rows);
}

int database_run(struct database *d, const char *template,
		 const char *const *values)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(STATEMENT_MAX);

	if (!d->conn)
		return error_set(ERR_UNAVAILABLE, "the line is lost");
	TRY(statement_build(d->conn, template, values, &text));
	/* The extended protocol takes exactly one statement. */
	return database_ask(d, buf_text(&text), NULL, 0, NULL);
}

const char *database_state(const struct database *d)
{
	return d->state;
}

/* ---- transactions ---- */

int database_begin(struct database *d)
{
	d->patient = false;
	return database_ask(d, "BEGIN ISOLATION LEVEL READ COMMITTED", NULL, 0,
			    NULL);
}

int database_allow_time(struct database *d)
{
	int64_t left = database_left_ms(d);
	char number[24];

	/* The server is to give up before we do; 0 would mean never. */
	snprintf(number, sizeof(number), "%lld",
		 (long long)(left > MARGIN_MS ? left - MARGIN_MS : 1));
	TRY(DATABASE_RUN(d, "SET LOCAL statement_timeout = %N", number));
	d->patient = true;
	return 0;
}

enum commit_outcome database_commit(struct database *d)
{
	CLEANUP(PQclear_p) PGresult *answer = NULL;
	int r;

	if (!d->conn) {
		discard(error_set(ERR_UNAVAILABLE, "the line is lost"));
		return COMMIT_NOT;
	}
	r = database_ask(d, "COMMIT", NULL, 0, &answer);
	d->patient = false;
	/* Class 57 (the server stops, or ends us) may come after the commit. */
	if (r == ERR_REFUSED && strncmp(d->state, "57", 2) != 0)
		return COMMIT_NOT;
	if (r < 0)
		return COMMIT_UNKNOWN;
	/* A transaction that failed ends so, whatever was asked. */
	if (strcmp(PQcmdStatus(answer), "COMMIT") == 0)
		return COMMIT_DONE;
	discard(error_set(ERR_REFUSED, "the server rolled it back"));
	return COMMIT_NOT;
}

void database_rollback(struct database *d)
{
	d->patient = false;
	if (!d->conn || PQtransactionStatus(d->conn) == PQTRANS_IDLE)
		return;
	if (database_ask(d, "ROLLBACK", NULL, 0, NULL) < 0)
		hang_up(d);
}

/* ---- answers ---- */

const char *database_text(const PGresult *rows, int row, int column)
{
	const char *text = PQgetvalue(rows, row, column);

	return text ? text : "";
}

bool database_flag(const PGresult *rows, int row, int column)
{
	return strcmp(database_text(rows, row, column), "t") == 0;
}

int64_t database_int(const PGresult *rows, int row, int column)
{
	return strtoll(database_text(rows, row, column), NULL, 10);
}
