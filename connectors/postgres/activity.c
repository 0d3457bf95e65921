#include "connectors/postgres/activity.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "connectors/postgres/csvlog.h"

enum { DEEDS_DEFAULT = 500, COMMAND_MAX = 64, WHERE_MAX = 256 };

/* What is asked for. */
struct wish {
	char name[ROLENAME_MAX + 1];
	int64_t since_ms;
	size_t limit;
};

/* What is found, the oldest first; beyond the limit the oldest goes. */
struct found {
	json_t *deeds; /* owned */
	size_t limit;
	bool complete;
};

/* A text of the log or the server's, as one word or name. */
static void put_text(json_t *deed, const char *name, struct slice text,
		     size_t max)
{
	char words[WHERE_MAX];
	size_t len = text.len < max - 1 ? text.len : max - 1;

	memcpy(words, text.ptr ? text.ptr : (const uint8_t *)"", len);
	words[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (words[i] > 0 && (words[i] < 0x20 || words[i] == 0x7f))
			words[i] = '?';
	if (len > 0)
		json_set_text(deed, name, words);
}

static void put_digest(json_t *deed, struct slice statement)
{
	char text[DIGEST_TEXT_LEN];
	struct digest digest;

	if (statement.len == 0)
		return;
	digest = digest_of(statement);
	digest_format(&digest, text);
	json_set_text(deed, "digest", text);
}

static void add(struct found *found, json_t *deed)
{
	if (json_array_size(found->deeds) == found->limit) {
		discard(json_array_remove(found->deeds, 0));
		found->complete = false;
	}
	discard(json_array_append_new(found->deeds, deed));
}

/* ---- the log ---- */

/* Cut in the middle of a record, a text goes on as if it were outside of all
 * quotes; a record begins where a line begins with a time. */
static struct slice skip_part(struct slice text)
{
	int64_t at_ms;

	while (text.len > 0) {
		const uint8_t *end = memchr(text.ptr, '\n', text.len);
		size_t comma;

		if (!end)
			break;
		text = slice_of(end + 1,
				text.len - (size_t)(end + 1 - text.ptr));
		for (comma = 0; comma < text.len && text.ptr[comma] != ',';)
			comma++;
		if (comma < text.len &&
		    csvlog_time(slice_of(text.ptr, comma), &at_ms) == 0)
			return text;
	}
	return slice_of(NULL, 0);
}

/* The first word of a statement, in capitals. */
static void put_command(json_t *deed, struct slice statement)
{
	char word[COMMAND_MAX] = "";
	size_t len = 0;

	while (statement.len > 0 && strchr(" \t\r\n(", *statement.ptr))
		statement = slice_of(statement.ptr + 1, statement.len - 1);
	while (len < statement.len && len < sizeof(word) - 1) {
		uint8_t letter = statement.ptr[len] & 0xdf;

		if (letter < 'A' || letter > 'Z')
			break;
		word[len++] = (char)letter;
	}
	word[len] = '\0';
	json_set_text(deed, "command", len > 0 ? word : "session");
}

/* What failed has no statement in its record, but the kind of it. */
static bool has_failed(const struct csvlog_record *record)
{
	struct slice severity = record->fields[CSVLOG_FIELD_SEVERITY];

	return csvlog_is(severity, "ERROR") || csvlog_is(severity, "FATAL");
}

/* A statement in the log, in which quotes are doubled. */
static void put_logged(json_t *deed, struct slice statement)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(ACTIVITY_LOG_MAX);

	csvlog_put(&text, statement);
	put_digest(deed, buf_slice(&text));
}

static void take_record(const struct csvlog_record *record, int64_t at_ms,
			struct found *found)
{
	struct slice statement =
		csvlog_statement(record->fields[CSVLOG_FIELD_MESSAGE]);
	json_t *deed = json_object();

	json_set_time(deed, "at", at_ms);
	json_set_text(deed, "source", "log");
	put_text(deed, "where", record->fields[CSVLOG_FIELD_DATABASE],
		 WHERE_MAX);
	if (has_failed(record)) {
		put_command(deed, record->fields[CSVLOG_FIELD_COMMAND]);
		json_set_flag(deed, "failed", true);
	} else {
		put_command(deed, statement);
		put_logged(deed, statement);
	}
	add(found, deed);
}

static int read_log(const char *path, const struct wish *wish,
		    struct found *found)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(ACTIVITY_LOG_MAX + 1);
	int64_t first_ms = INT64_MAX, at_ms = 0;
	struct csvlog_record record;
	struct slice left;
	bool whole = false;

	TRY(file_read_end(path, ACTIVITY_LOG_MAX, &text, &whole));
	left = whole ? buf_slice(&text) : skip_part(buf_slice(&text));
	while (csvlog_next(&left, &record)) {
		if (record.count < CSVLOG_FIELDS_LEAST ||
		    csvlog_time(record.fields[CSVLOG_FIELD_TIME], &at_ms) < 0) {
			found->complete = false;
			continue;
		}
		first_ms = at_ms < first_ms ? at_ms : first_ms;
		if (at_ms >= wish->since_ms &&
		    csvlog_is(record.fields[CSVLOG_FIELD_USER], wish->name))
			take_record(&record, at_ms, found);
	}
	/* A log that was begun later may follow on another. */
	found->complete = found->complete && first_ms < wish->since_ms;
	return 0;
}

/* Whether the server writes down every statement. */
static bool logs_all(struct target *t)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	return target_begin(t, TARGET_LOOK_MS) == 0 &&
	       database_ask(t->database,
			    "SELECT current_setting('log_statement') = 'all'",
			    NULL, 0, &rows) == 0 &&
	       database_flag(rows, 0, 0);
}

/* ---- the sessions ---- */

static const char ask_sessions[] =
	"SELECT (extract(epoch FROM coalesce(query_start, backend_start)) "
	" * 1000)::bigint, datname, "
	"query "
	"FROM pg_stat_activity WHERE usename = $1 "
	"AND coalesce(query_start, backend_start) IS NOT NULL "
	"AND backend_type = 'client backend' "
	"ORDER BY 1 DESC LIMIT 1000";

static void take_session(const PGresult *rows, int i, const struct wish *wish,
			 struct found *found)
{
	json_t *deed;

	if (database_int(rows, i, 0) < wish->since_ms)
		return;
	deed = json_object();
	json_set_time(deed, "at", database_int(rows, i, 0));
	json_set_text(deed, "source", "session");
	put_text(deed, "where", slice_str(database_text(rows, i, 1)),
		 WHERE_MAX);
	put_command(deed, slice_str(database_text(rows, i, 2)));
	put_digest(deed, slice_str(database_text(rows, i, 2)));
	add(found, deed);
}

static int read_sessions(struct target *t, const struct wish *wish,
			 struct found *found)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	TRY(target_begin(t, TARGET_LOOK_MS));
	TRY(DATABASE_ASK(t->database, &rows, ask_sessions, wish->name));
	for (int i = PQntuples(rows) - 1; i >= 0; i--)
		take_session(rows, i, wish, found);
	found->complete = false;
	return 0;
}

int activity_read(struct target *t, const json_t *params,
		  struct connector_reply *reply)
{
	const char *account = json_text(params, "account", NULL);
	CLEANUP(json_put_p) json_t *deeds = json_array();
	struct wish wish = {
		.limit = (size_t)json_int(params, "limit", DEEDS_DEFAULT),
	};
	struct found found = { deeds, wish.limit, true };

	target_take_name(account, "account", wish.name, reply);
	if (target_refused(reply))
		return 0;
	TRY(clock_parse(json_text(params, "since", ""), &wish.since_ms));
	if (t->log)
		TRY(read_log(t->log, &wish, &found));
	else
		TRY(read_sessions(t, &wish, &found));
	found.complete = found.complete && logs_all(t);
	reply->result = json_object();
	json_object_set(reply->result, "deeds", deeds);
	json_set_flag(reply->result, "complete", found.complete);
	json_set_text(reply->result, "source", t->log ? "log" : "session");
	return 0;
}
