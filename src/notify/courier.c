/*
 * The courier: takes what is due from the outbox, sends it, and writes down
 * what came of it.  A notice under way is a flight; it lasts until what came of
 * it is durable, so that nothing is sent twice by one process.
 */
#include "notify/internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "notify/mail.h"
#include "notify/webhook.h"

enum {
	PAUSE_MAX_MS = 60 * 1000, /* of an endpoint that failed */
	LOOK_MIN_MS = 20,
	LOOK_MAX_MS = 3600 * 1000,
	SWEEP_MS = 3600 * 1000, /* between looks for old dead letters */
	STATUS_GONE = 410,
	MESSAGE_MAX = 16 * 1024,
};

static const int64_t DEAD_KEPT_MS = 30LL * 24 * 3600 * 1000;

struct flight {
	struct notifier *notifier;
	struct endpoint *endpoint;
	json_t *row;
	struct transfer *transfer; /* NULL before and after */
};

static const char *id_of(const struct flight *x)
{
	return json_text(x->row, "id", "");
}

void courier_change(struct notifier *n, const struct outbox_change *change,
		    void (*done)(void *cookie), void *cookie)
{
	struct evidence_txn *t = evidence_begin(n->config.evidence);

	evidence_outbox(t, change);
	evidence_commit(t, done, cookie);
}

/* ---- what came of it ---- */

static void flight_free(struct flight *x)
{
	x->endpoint->flying--;
	json_decref(x->row);
	free(x);
}

static void flight_over(void *cookie)
{
	struct flight *x = cookie;
	struct notifier *n = x->notifier;

	map_remove(n->flights, id_of(x));
	flight_free(x);
	courier_wake(n);
}

/* What comes next of base, doubled with each failure: half of it, and up to
 * the other half by chance. */
static int64_t back_off_ms(int64_t base_ms, int64_t failures, int64_t most_ms)
{
	int64_t wait_ms = base_ms;
	uint32_t chance;

	for (int64_t i = 1; i < failures && wait_ms < most_ms; i++)
		wait_ms *= 2;
	if (wait_ms > most_ms)
		wait_ms = most_ms;
	random_bytes(&chance, sizeof(chance));
	return wait_ms / 2 + (int64_t)(chance % (uint32_t)(wait_ms / 2 + 1));
}

static void took(struct flight *x)
{
	struct notifier *n = x->notifier;
	struct endpoint *e = x->endpoint;
	struct outbox_change drop = { .act = OUTBOX_DROP, .id = id_of(x) };

	if (e->failures && n->config.changed)
		n->config.changed(n->config.cookie, e->name, true, "");
	e->failures = 0;
	e->not_before_ms = 0;
	if (e->rows > 0)
		e->rows--;
	courier_change(n, &drop, flight_over, x);
}

/* Nobody will ever take it. */
static void bury(struct flight *x, const char *why)
{
	struct outbox_change move = {
		.act = OUTBOX_MOVE,
		.id = id_of(x),
		.attempts = json_int(x->row, "attempts", 0) + 1,
		.at_ms = clock_wall_ms(),
		.is_dead = true,
		.why = why,
	};

	courier_change(x->notifier, &move, flight_over, x);
}

/* An endpoint that fails is left alone for a moment, with all it has. */
static void pause_endpoint(struct notifier *n, struct endpoint *e,
			   const char *why, int64_t at_least_ms)
{
	int64_t wait_ms = back_off_ms(n->first_ms, ++e->failures, PAUSE_MAX_MS);

	if (wait_ms < at_least_ms)
		wait_ms = at_least_ms;
	snprintf(e->why, sizeof(e->why), "%s", why);
	e->not_before_ms = clock_boot_ms() + wait_ms;
	if (e->failures == 1 && n->config.changed)
		n->config.changed(n->config.cookie, e->name, false, why);
}

static void failed(struct flight *x, const char *why, int64_t retry_after_s)
{
	struct notifier *n = x->notifier;
	int64_t attempts = json_int(x->row, "attempts", 0) + 1;
	int64_t until_ms = json_int(x->row, "untilMs", 0);
	int64_t now_ms = clock_wall_ms();
	int64_t asked_ms = 0;
	int64_t wait_ms = back_off_ms(n->first_ms, attempts, n->longest_ms);
	struct outbox_change move = {
		.act = OUTBOX_MOVE,
		.id = id_of(x),
		.attempts = attempts,
		.is_dead = attempts >= n->attempts || now_ms >= until_ms,
		.why = why,
	};

	/* However long they ask for, it ends with the notice's age. */
	if (retry_after_s > 0)
		asked_ms = retry_after_s > n->age_ms / 1000
				   ? n->age_ms
				   : retry_after_s * 1000;
	if (wait_ms < asked_ms)
		wait_ms = asked_ms;
	move.at_ms = now_ms + wait_ms;
	if (move.at_ms > until_ms && until_ms > now_ms)
		move.at_ms = until_ms;
	pause_endpoint(n, x->endpoint, why, asked_ms);
	courier_change(n, &move, flight_over, x);
}

static void webhook_done(void *cookie, const struct transfer_result *result)
{
	struct flight *x = cookie;
	char why[TRANSFER_TEXT_MAX];

	x->transfer = NULL;
	/* Who took it may say what they like, and as long as they like. */
	if (result->status >= 200 && result->status < 300) {
		took(x);
		return;
	}
	if (result->status == STATUS_GONE) {
		bury(x, "it answered 410: it wants no notices");
		return;
	}
	if (result->status)
		snprintf(why, sizeof(why), "it answered %ld", result->status);
	else
		snprintf(why, sizeof(why), "%s", result->why);
	failed(x, why, result->retry_after_s);
}

/* There is no such mailbox (RFC 5321, 4.2.3). */
static bool is_no_mailbox(long status)
{
	return status == 550 || status == 551 || status == 553;
}

static void mail_done(void *cookie, const struct transfer_result *result)
{
	struct flight *x = cookie;
	char why[TRANSFER_TEXT_MAX];

	x->transfer = NULL;
	if (!result->why) {
		took(x);
		return;
	}
	snprintf(why, sizeof(why), "%s (status %ld)", result->why,
		 result->status);
	if (is_no_mailbox(result->status))
		bury(x, why);
	else
		failed(x, why, 0);
}

/* ---- sending ---- */

static enum notify_event event_of(const json_t *row)
{
	enum notify_event event = NOTIFY_REQUEST_ENDED;

	discard(notify_event_find(json_text(row, "event", ""), &event));
	return event;
}

static char *link_of(const struct flight *x)
{
	return notify_event_link(event_of(x->row), x->notifier->link,
				 json_text(x->row, "about", ""));
}

static void send_webhook(struct flight *x)
{
	CLEANUP(webhook_secrets_clear) struct webhook_secrets secrets = { 0 };
	CLEANUP(mem_free_p) char *link = link_of(x);
	CLEANUP(mem_free_p)
	char *body = notify_event_body(
		event_of(x->row), link, json_text(x->row, "about", ""),
		json_text(x->row, "role", ""), json_int(x->row, "madeMs", 0));
	CLEANUP(mem_free_p) char *id = NULL;
	CLEANUP(mem_free_p) char *at = NULL;
	CLEANUP(mem_free_p) char *signature = NULL;
	CLEANUP(mem_free_p) char *tags = NULL;
	int64_t at_s = clock_wall_ms() / 1000;

	/* Read anew each time: a secret is exchanged without a restart. */
	if (webhook_secrets_read(x->endpoint->secrets, x->endpoint->keys,
				 &secrets) < 0) {
		failed(x, "its secret cannot be read", 0);
		return;
	}
	endpoint_keys(x->endpoint, &secrets);
	tags = webhook_signature(&secrets, id_of(x), at_s, slice_str(body));
	if (!tags) {
		failed(x, "it could not be signed", 0);
		return;
	}
	id = mem_format("webhook-id: %s", id_of(x));
	at = mem_format("webhook-timestamp: %lld", (long long)at_s);
	signature = mem_format("webhook-signature: %s", tags);
	x->transfer = transfer_start(
		x->notifier->config.transfers,
		&(struct transfer_request){
			.method = "POST",
			.url = x->endpoint->url,
			.headers =
				(const char *const[]){
					"Content-Type: application/json", id,
					at, signature, NULL },
			.body = slice_str(body),
			.ca_file = x->endpoint->ca_file,
			.bytes_max = NOTIFY_ANSWER_MAX,
			.timeout_ms = NOTIFY_TIMEOUT_MS,
		},
		webhook_done, x);
}

static int compose(const struct flight *x, const char *to, struct buf *message)
{
	CLEANUP(mem_free_p) char *link = link_of(x);
	const struct endpoint *e = x->endpoint;
	struct mail_parts parts = {
		.id = id_of(x),
		.domain = strchr(e->from, '@') + 1,
		.from = e->from,
		.to = to,
		.subject = notify_event_subject(event_of(x->row)),
		.link = link,
		.made_ms = json_int(x->row, "madeMs", 0),
	};

	return mail_compose(&parts, message);
}

static void hand_to_server(struct flight *x, const char *to,
			   struct slice message)
{
	CLEANUP(buf_clear) struct buf user = BUF_INIT(MAIL_LINE_MAX);
	CLEANUP(buf_clear) struct buf password = BUF_INIT(MAIL_LINE_MAX);
	const struct endpoint *e = x->endpoint;

	if (mail_read_line(e->user, false, &user) < 0 ||
	    mail_read_line(e->password, true, &password) < 0) {
		failed(x, "user or password cannot be read", 0);
		return;
	}
	x->transfer = transfer_mail(
		x->notifier->config.transfers,
		&(struct transfer_mail){
			.url = e->url,
			.user = e->user ? buf_text(&user) : NULL,
			.password = e->user ? buf_text(&password) : NULL,
			.from = e->from,
			.to = (const char *const[]){ to, NULL },
			.message = message,
			.ca_file = e->ca_file,
			.timeout_ms = NOTIFY_TIMEOUT_MS,
			.plain = e->plain,
		},
		mail_done, x);
}

/* The address is looked up now: it may have changed, or gone. */
static void send_mail(struct flight *x)
{
	struct notifier *n = x->notifier;
	const char *to = n->config.address(n->config.cookie,
					   json_text(x->row, "human", ""));
	CLEANUP(buf_clear) struct buf message = BUF_INIT(MESSAGE_MAX);

	if (!to)
		bury(x, "this person has no address any more");
	else if (compose(x, to, &message) < 0)
		bury(x, "this person's address is none for mail");
	else
		hand_to_server(x, to, buf_slice(&message));
}

static void take_off(struct notifier *n, struct endpoint *e, json_t *row)
{
	struct flight *x = mem_new(struct flight);

	x->notifier = n;
	x->endpoint = e;
	x->row = json_incref(row);
	e->flying++;
	map_put(n->flights, id_of(x), x);
	if (e->from)
		send_mail(x);
	else
		send_webhook(x);
}

/* ---- looking ---- */

static bool may_fly(const struct notifier *n, const struct endpoint *e)
{
	return map_count(n->flights) < NOTIFY_FLYING_MAX &&
	       e->flying < NOTIFY_ENDPOINT_FLYING_MAX &&
	       e->not_before_ms <= clock_boot_ms();
}

/* Twice as many as may be under way, since those that are still look due. */
static int look_at(struct notifier *n, struct endpoint *e, int64_t now_ms)
{
	CLEANUP(json_put_p) json_t *rows = NULL;
	json_t *row;
	size_t at;

	if (!may_fly(n, e))
		return 0;
	TRY(store_outbox_due(evidence_reader(n->config.evidence), e->name,
			     now_ms, 2 * NOTIFY_ENDPOINT_FLYING_MAX, &rows));
	json_array_foreach(rows, at, row) {
		if (may_fly(n, e) &&
		    !map_get(n->flights, json_text(row, "id", "")))
			take_off(n, e, row);
	}
	return 0;
}

/* Milliseconds until something may be due that is not now. */
static int64_t next_look_ms(const struct notifier *n, int64_t now_ms)
{
	int64_t due_ms = INT64_MAX;
	int64_t boot_ms = clock_boot_ms();
	int64_t wait_ms = LOOK_MAX_MS;

	if (store_outbox_next(evidence_reader(n->config.evidence), now_ms,
			      &due_ms) == 0 &&
	    due_ms - now_ms < wait_ms)
		wait_ms = due_ms - now_ms;
	for (size_t i = 0; i < n->count; i++) {
		const struct endpoint *e = &n->endpoints[i];
		int64_t left_ms = e->not_before_ms - boot_ms;

		if (e->rows > 0 && left_ms > 0 && left_ms < wait_ms)
			wait_ms = left_ms;
	}
	return wait_ms > LOOK_MIN_MS ? wait_ms : LOOK_MIN_MS;
}

/* After dead letters have gone: what is left of each endpoint. */
static void swept(void *cookie)
{
	struct notifier *n = cookie;
	CLEANUP(json_put_p) json_t *counts = NULL;

	if (store_outbox_endpoints(evidence_reader(n->config.evidence),
				   &counts) < 0)
		return;
	for (size_t i = 0; i < n->count; i++)
		n->endpoints[i].rows =
			json_int(counts, n->endpoints[i].name, 0);
}

static void sweep(struct notifier *n, int64_t now_ms)
{
	struct outbox_change expire = {
		.act = OUTBOX_EXPIRE,
		.at_ms = now_ms - DEAD_KEPT_MS,
	};

	if (n->swept_ms && clock_boot_ms() < n->swept_ms + SWEEP_MS)
		return;
	n->swept_ms = clock_boot_ms();
	courier_change(n, &expire, swept, n);
}

static void look_again(void *cookie)
{
	struct notifier *n = cookie;

	n->timer = NULL;
	courier_wake(n);
}

static void look(void *cookie)
{
	struct notifier *n = cookie;
	int64_t now_ms = clock_wall_ms();

	n->called = false;
	sweep(n, now_ms);
	/* What cannot be read now is looked at again. */
	for (size_t i = 0; i < n->count; i++)
		discard(look_at(n, &n->endpoints[(n->turn + i) % n->count],
				now_ms));
	n->turn++;
	loop_timer_end(n->timer);
	n->timer = loop_timer(n->config.loop, next_look_ms(n, now_ms),
			      look_again, n);
}

void courier_wake(struct notifier *n)
{
	if (n->called)
		return;
	n->called = true;
	loop_defer(n->config.loop, look, n);
}

void courier_close(struct notifier *n)
{
	struct flight *x;
	size_t at = 0;

	loop_defer_end(n->config.loop, n);
	loop_timer_end(n->timer);
	while ((x = map_next(n->flights, &at, NULL))) {
		if (x->transfer)
			transfer_cancel(x->transfer);
		flight_free(x);
	}
}
