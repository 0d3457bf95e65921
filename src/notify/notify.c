/* Endpoints as they are configured, and what is put into the outbox. */
#include "notify/internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "notify/mail.h"
#include "notify/webhook.h"

/* ---- configuration ---- */

static int64_t duration_ms(const json_t *from, const char *name,
			   const char *fallback)
{
	int64_t seconds = 0;

	discard(clock_parse_duration(json_text(from, name, fallback),
				     &seconds));
	return seconds * 1000;
}

static void read_retry(struct notifier *n, const json_t *retry)
{
	n->first_ms = duration_ms(retry, "first", "5s");
	n->longest_ms = duration_ms(retry, "longest", "1h");
	n->age_ms = duration_ms(retry, "age", "3d");
	n->attempts = json_int(retry, "attempts", 50);
}

static void choose_events(struct endpoint *e, const json_t *names)
{
	for (size_t i = 0; i < NOTIFY_EVENT_COUNT; i++)
		e->events[i] =
			!names ||
			json_has_text(names,
				      notify_event_name((enum notify_event)i));
}

void endpoint_keys(struct endpoint *e, const struct webhook_secrets *secrets)
{
	json_t *keys = json_array();

	for (size_t i = 0; i < secrets->seed_count; i++) {
		CLEANUP(mem_free_p) char *key = webhook_public_key(secrets, i);

		if (key)
			json_array_append_new(keys, json_string(key));
	}
	json_decref(e->public);
	e->public = keys;
}

static int read_webhook(struct endpoint *e, const json_t *row,
			const struct reach *reach)
{
	CLEANUP(webhook_secrets_clear) struct webhook_secrets secrets = { 0 };

	e->name = mem_str(json_text(row, "name", ""));
	e->url = mem_str(json_text(row, "url", ""));
	e->secrets = mem_str(json_text(row, "secretFile", NULL));
	e->keys = mem_str(json_text(row, "keyFile", NULL));
	e->ca_file = mem_str(json_text(row, "caFile", NULL));
	e->only = json_incref(json_object_get(row, "for"));
	choose_events(e, json_object_get(row, "events"));
	TRY(transfer_check_reach(reach, e->url));
	if (e->ca_file)
		TRY(transfer_check_ca(e->ca_file));
	TRY(webhook_secrets_read(e->secrets, e->keys, &secrets));
	endpoint_keys(e, &secrets);
	return 0;
}

/* The files are read again for each mail. */
static int check_mail_files(const struct endpoint *e)
{
	CLEANUP(buf_clear) struct buf user = BUF_INIT(MAIL_LINE_MAX);
	CLEANUP(buf_clear) struct buf password = BUF_INIT(MAIL_LINE_MAX);

	if (!e->user != !e->password)
		return error_set(ERR_SYNTAX,
				 "userFile and passwordFile go together");
	if (e->plain && e->user)
		return error_set(ERR_REFUSED,
				 "a password is not sent without TLS: drop "
				 "plain, or userFile and passwordFile");
	TRY(mail_read_line(e->user, false, &user));
	TRY(mail_read_line(e->password, true, &password));
	return e->ca_file ? transfer_check_ca(e->ca_file) : 0;
}

static int read_mail(struct endpoint *e, const json_t *smtp,
		     const struct reach *reach)
{
	e->name = mem_str(NOTIFY_MAIL);
	e->url = mem_str(json_text(smtp, "url", ""));
	e->from = mem_str(json_text(smtp, "from", ""));
	e->user = mem_str(json_text(smtp, "userFile", NULL));
	e->password = mem_str(json_text(smtp, "passwordFile", NULL));
	e->ca_file = mem_str(json_text(smtp, "caFile", NULL));
	e->plain = json_flag(smtp, "plain", false);
	choose_events(e, json_object_get(smtp, "events"));
	TRY(transfer_check_mail(reach, e->url, e->plain));
	if (!mail_address_is_good(e->from))
		return error_set(ERR_SYNTAX, "'%s' is no address", e->from);
	return check_mail_files(e);
}

static int read_endpoints(struct notifier *n, const json_t *config,
			  const struct reach *reach)
{
	const json_t *webhooks = json_object_get(config, "webhooks");
	const json_t *smtp = json_object_get(config, "smtp");
	const json_t *row;
	size_t at;
	int r;

	n->endpoints =
		mem_array(json_array_size(webhooks) + 1, sizeof(*n->endpoints));
	json_array_foreach(webhooks, at, row) {
		r = read_webhook(&n->endpoints[n->count++], row, reach);
		if (r < 0)
			return error_context(r, "notify: webhook '%s'",
					     json_text(row, "name", ""));
	}
	r = smtp ? read_mail(&n->endpoints[n->count++], smtp, reach) : 0;
	return r < 0 ? error_context(r, "notify: smtp") : 0;
}

static struct endpoint *find_endpoint(const struct notifier *n,
				      const char *name)
{
	for (size_t i = 0; i < n->count; i++) {
		if (!strcmp(n->endpoints[i].name, name))
			return &n->endpoints[i];
	}
	return NULL;
}

/* What is in the outbox from before the start. */
static int take_up(struct notifier *n)
{
	CLEANUP(json_put_p) json_t *counts = NULL;
	const char *name;
	const json_t *count;

	TRY(store_outbox_endpoints(evidence_reader(n->config.evidence),
				   &counts));
	json_object_foreach(counts, name, count) {
		struct endpoint *e = find_endpoint(n, name);
		struct outbox_change orphan = {
			.act = OUTBOX_ORPHAN,
			.endpoint = name,
			.why = "it is not configured any more",
		};

		if (e)
			e->rows = json_integer_value(count);
		else
			courier_change(n, &orphan, NULL, NULL);
	}
	return 0;
}

static void outbox_changed(void *cookie)
{
	courier_wake(cookie);
}

int notify_open(const struct notify_config *config,
		struct notifier **ret_notifier)
{
	CLEANUP(notify_close_p) struct notifier *n = mem_new(struct notifier);

	n->config = *config;
	n->flights = map_new();
	n->link = mem_str(json_text(config->config, "link", ""));
	n->rows_max =
		json_int(config->config, "keep", NOTIFY_ENDPOINT_ROWS_MAX);
	read_retry(n, json_object_get(config->config, "retry"));
	TRY(read_endpoints(
		n, config->config,
		config->transfers ? transfers_reach(config->transfers) : NULL));
	n->config.config = NULL; /* the caller's */
	TRY(take_up(n));
	evidence_on_outbox(config->evidence, outbox_changed, n);
	courier_wake(n);
	*ret_notifier = TAKE(n);
	return 0;
}

static void endpoint_clear(struct endpoint *e)
{
	free(e->name);
	free(e->url);
	free(e->ca_file);
	free(e->secrets);
	free(e->keys);
	json_decref(e->public);
	free(e->from);
	free(e->user);
	free(e->password);
	json_decref(e->only);
}

static void endpoints_free(struct notifier *n)
{
	for (size_t i = 0; i < n->count; i++)
		endpoint_clear(&n->endpoints[i]);
	free(n->endpoints);
}

int notify_check(const json_t *config, const struct reach *reach)
{
	struct notifier n = { 0 };
	int r = read_endpoints(&n, config, reach);

	endpoints_free(&n);
	return r;
}

void notify_close(struct notifier *n)
{
	if (!n)
		return;
	evidence_on_outbox(n->config.evidence, NULL, NULL);
	courier_close(n);
	endpoints_free(n);
	map_free(n->flights);
	free(n->link);
	free(n);
}

/* ---- putting ---- */

bool notify_wants(const struct notifier *n, enum notify_event event)
{
	for (size_t i = 0; n && i < n->count; i++) {
		if (n->endpoints[i].events[event])
			return true;
	}
	return false;
}

static bool is_for(const struct endpoint *e, const struct notice *notice)
{
	static const char *const lists[] = {
		[NOTICE_TO_HUMAN] = "humans",
		[NOTICE_TO_GROUP] = "groups",
		[NOTICE_TO_AGENT] = "agents",
	};

	for (size_t i = 0; i < notice->to_count; i++) {
		const struct notice_to *to = &notice->to[i];

		if (!e->only ||
		    json_has_text(json_object_get(e->only, lists[to->kind]),
				  to->name))
			return true;
	}
	return false;
}

/* One row; where the endpoint has too many the oldest make room. */
static void put_row(struct notifier *n, struct evidence_txn *t,
		    struct endpoint *e, const struct notice *notice,
		    const char *human)
{
	int64_t now_ms = clock_wall_ms();
	char id[ID_MAX];
	struct outbox_change add = {
		.act = OUTBOX_ADD,
		.id = id,
		.endpoint = e->name,
		.event = notify_event_name(notice->event),
		.about = notice->about,
		.role = notice->role,
		.human = human,
		.at_ms = now_ms,
		.until_ms = now_ms + n->age_ms,
	};
	struct outbox_change trim = {
		.act = OUTBOX_TRIM,
		.endpoint = e->name,
		.at_most = n->rows_max,
	};

	id_new("ntc", id);
	evidence_outbox(t, &add);
	if (++e->rows <= n->rows_max)
		return;
	evidence_outbox(t, &trim);
	e->rows = n->rows_max;
}

/* Mail goes to each human who has an address. */
static void put_mails(struct notifier *n, struct evidence_txn *t,
		      struct endpoint *e, const struct notice *notice)
{
	for (size_t i = 0; i < notice->to_count; i++) {
		const struct notice_to *to = &notice->to[i];

		if (to->kind == NOTICE_TO_HUMAN &&
		    n->config.address(n->config.cookie, to->name))
			put_row(n, t, e, notice, to->name);
	}
}

void notify_put(struct notifier *n, struct evidence_txn *t,
		const struct notice *notice)
{
	for (size_t i = 0; n && i < n->count; i++) {
		struct endpoint *e = &n->endpoints[i];

		if (!e->events[notice->event])
			continue;
		if (e->from)
			put_mails(n, t, e, notice);
		else if (is_for(e, notice))
			put_row(n, t, e, notice, NULL);
	}
}

/* ---- what people see and do ---- */

static json_t *endpoints_json(const struct notifier *n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n->count; i++) {
		const struct endpoint *e = &n->endpoints[i];
		json_t *row = json_object();

		json_set_text(row, "name", e->name);
		json_set_flag(row, "works", e->failures == 0);
		json_set_text(row, "why", e->failures ? e->why : NULL);
		json_set_int(row, "held", e->rows);
		if (json_array_size(e->public))
			json_object_set(row, "publicKeys", e->public);
		json_array_append_new(list, row);
	}
	return list;
}

json_t *notify_health(const struct notifier *n)
{
	struct outbox_counts counts = { 0 };
	json_t *health = json_object();

	discard(store_outbox_counts(evidence_reader(n->config.evidence),
				    &counts));
	json_set_int(health, "waiting", counts.waiting);
	json_set_int(health, "dead", counts.dead);
	json_set_int(health, "dropped", counts.dropped);
	if (counts.oldest_ms)
		json_set_time(health, "oldest", counts.oldest_ms);
	json_set_new(health, "endpoints", endpoints_json(n));
	return health;
}

static json_t *row_view(const json_t *row)
{
	static const char *const members[] = { "id",	"endpoint", "event",
					       "about", "role",	    "human",
					       "state", "attempts", "why" };
	json_t *view = json_object();

	json_pick(view, row, members, ARRAY_LEN(members));
	json_set_time(view, "made", json_int(row, "madeMs", 0));
	if (!strcmp(json_text(row, "state", ""), "waiting"))
		json_set_time(view, "next", json_int(row, "dueMs", 0));
	return view;
}

int notify_list(const struct notifier *n, const char *state, unsigned max,
		json_t **ret_rows)
{
	CLEANUP(json_put_p) json_t *rows = NULL;
	const json_t *row;
	size_t at;

	TRY(store_outbox_list(evidence_reader(n->config.evidence), state, max,
			      &rows));
	*ret_rows = json_array();
	json_array_foreach(rows, at, row)
		json_array_append_new(*ret_rows, row_view(row));
	return 0;
}

int notify_find(const struct notifier *n, const char *id, json_t **ret_row)
{
	CLEANUP(json_put_p) json_t *row = NULL;

	TRY(store_outbox_get(evidence_reader(n->config.evidence), id, &row));
	*ret_row = row_view(row);
	return 0;
}

void notify_retry(struct notifier *n, struct evidence_txn *t, const char *id)
{
	int64_t now_ms = clock_wall_ms();
	struct outbox_change again = {
		.act = OUTBOX_AGAIN,
		.id = id,
		.at_ms = now_ms,
		.until_ms = now_ms + n->age_ms,
	};

	evidence_outbox(t, &again);
}

void notify_drop(struct notifier *n, struct evidence_txn *t, const json_t *row)
{
	struct outbox_change drop = {
		.act = OUTBOX_DROP,
		.id = json_text(row, "id", ""),
	};
	struct endpoint *e = find_endpoint(n, json_text(row, "endpoint", ""));

	evidence_outbox(t, &drop);
	if (e && e->rows > 0)
		e->rows--;
}
