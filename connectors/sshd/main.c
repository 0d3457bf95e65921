/*
 * writ-connect-sshd: what SSH certificates were used for, out of the log that
 * sshd's messages arrive in.  It only reads; certificates are made and revoked
 * by Writ itself.  Configuration and use: docs/connectors/sshd.md.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "connectors/sdk/connector.h"
#include "connectors/sshd/authlog.h"

enum {
	LOG_MAX = 16 << 20, /* bytes read of its end */
	DEEDS_DEFAULT = 500,
	ACCOUNT_MAX = 256, /* bytes */
	HOST_MAX = 128,
};

static const struct schema rows[] = {
	{ "log", SCHEMA_TEXT, true, 1, 4096, NULL, NULL,
	  "file that sshd's messages arrive in, with RFC 3339 times" },
	{ "whole", SCHEMA_FLAG, false, 0, 0, NULL, NULL,
	  "every host that takes the certificates sends all there, at LogLevel "
	  "VERBOSE" },
	{ NULL },
};

static const struct connector_action actions[] = { { NULL } };
static const char *const files[] = { "log", NULL };

static const struct connector_info info = {
	.kind = "sshd",
	.version = WRIT_VERSION,
	.actions = actions,
	.pipeline = 2,
	.config = rows,
	.files = files,
};

struct reader {
	const char *log;
	bool whole; /* silence of it means that nothing was done */
};

static int open_reader(const json_t *config, void **ret_self)
{
	struct reader *reader = mem_new(struct reader);

	reader->log = json_text(config, "log", "");
	reader->whole = json_flag(config, "whole", false);
	*ret_self = reader;
	return 0;
}

static void close_reader(void *self)
{
	free(self);
}

static int check(void *self, struct connector_reply *reply)
{
	const struct reader *reader = self;

	if (!file_exists(reader->log))
		return connector_refuse(reply, "unavailable",
					"there is no log '%s'", reader->log);
	return 0;
}

/* ---- what it cannot do ---- */

static int no_plan(void *self, const struct connector_ask *ask,
		   struct connector_reply *reply)
{
	(void)self;
	return connector_refuse(reply, "invalid", "'%s': nothing is changed",
				ask->action);
}

static int no_apply(void *self, const struct connector_order *order,
		    struct connector_reply *reply)
{
	(void)self;
	return connector_refuse(reply, "invalid", "'%s': nothing is changed",
				order->action);
}

/* ---- activity ---- */

struct search {
	const char *account; /* key id of the certificate */
	int64_t since_ms;
	size_t limit;
	json_t *deeds;	   /* owned */
	struct map *peers; /* connections of the account: peer -> peer */
	int64_t first_ms;  /* of the log */
	bool complete;
};

static void add_deed(struct search *s, const struct authlog_line *line,
		     enum authlog_event event)
{
	char host[HOST_MAX];
	json_t *deed = json_object();
	int len = line->host.len < sizeof(host) ? (int)line->host.len
						: (int)sizeof(host) - 1;

	snprintf(host, sizeof(host), "%.*s", len, (const char *)line->host.ptr);
	for (char *p = host; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			*p = '?';
	json_set_time(deed, "at", line->at_ms);
	json_set_text(deed, "source", "log");
	json_set_text(deed, "command", authlog_event_name(event));
	json_set_text(deed, "where", host);
	if (json_array_size(s->deeds) == s->limit) {
		discard(json_array_remove(s->deeds, 0));
		s->complete = false;
	}
	discard(json_array_append_new(s->deeds, deed));
}

/* A connection is known by its host and peer, until that peer comes again. */
static void take_message(struct search *s, const struct authlog_line *line)
{
	CLEANUP(mem_free_p) char *name = NULL;
	struct slice peer = { 0 };
	struct slice key_id = { 0 };
	enum authlog_event event = authlog_read(line->message, &peer, &key_id);

	if (event == AUTHLOG_NOTHING)
		return;
	name = mem_format("%.*s %.*s", (int)line->host.len,
			  (const char *)line->host.ptr, (int)peer.len,
			  (const char *)peer.ptr);
	if (event == AUTHLOG_LOGIN) {
		map_remove(s->peers, name);
		if (!slice_is(key_id, s->account))
			return;
		map_put(s->peers, name, s);
	} else if (!map_get(s->peers, name)) {
		return;
	}
	if (line->at_ms >= s->since_ms)
		add_deed(s, line, event);
}

static void search_log(struct search *s, struct slice text)
{
	struct authlog_line line;
	enum authlog_kind kind;

	while ((kind = authlog_next(&text, &line)) != AUTHLOG_END) {
		if (kind == AUTHLOG_ODD) {
			s->complete = false;
			continue;
		}
		if (line.at_ms < s->first_ms)
			s->first_ms = line.at_ms;
		if (kind == AUTHLOG_SSHD)
			take_message(s, &line);
	}
}

/* Cut in the middle, a text begins with a part of a line. */
static struct slice skip_part(struct slice text)
{
	const uint8_t *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
	size_t len = end ? (size_t)(end + 1 - text.ptr) : text.len;

	return slice_of(text.ptr + len, text.len - len);
}

static json_t *answer_of(struct search *s)
{
	json_t *answer = json_object();

	/* A log that was begun later may follow on another; and of what is of
	 * one moment some may have been cut off. */
	json_set_flag(answer, "complete",
		      s->complete && s->first_ms < s->since_ms);
	json_set_text(answer, "source", "log");
	json_set_new(answer, "deeds", TAKE(s->deeds));
	return answer;
}

static int activity(void *self, const json_t *params,
		    struct connector_reply *reply)
{
	const struct reader *reader = self;
	CLEANUP(buf_clear) struct buf text = BUF_INIT(LOG_MAX + 1);
	struct search s = {
		.account = json_text(params, "account", ""),
		.limit = (size_t)json_int(params, "limit", DEEDS_DEFAULT),
		.first_ms = INT64_MAX,
		.complete = reader->whole,
	};
	bool whole = false;

	if (strlen(s.account) > ACCOUNT_MAX || !strchr(s.account, '/'))
		return connector_refuse(reply, "invalid",
					"'%.64s' is no certificate of Writ's: "
					"TASK/CREDENTIAL is wanted",
					s.account);
	TRY(clock_parse(json_text(params, "since", ""), &s.since_ms));
	TRY(file_read_end(reader->log, LOG_MAX, &text, &whole));
	s.deeds = json_array();
	s.peers = map_new();
	search_log(&s, whole ? buf_slice(&text) : skip_part(buf_slice(&text)));
	map_free(s.peers);
	reply->result = answer_of(&s);
	return 0;
}

static const struct connector_ops ops = {
	.info = &info,
	.open = open_reader,
	.close = close_reader,
	.check = check,
	.plan = no_plan,
	.apply = no_apply,
	.read = no_plan,
	.activity = activity,
};

int main(int argc, char **argv)
{
	return connector_main(argc, argv, &ops);
}
