/* The courier against a web server of this test's own, over plain HTTP on
 * loopback; that TLS, mail and all the rest work is shown by
 * tests/integration/test_notification.py. */
#include "notify/notify.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum { CALLS_MAX = 64, POLL_MS = 5, PATIENCE_MS = 20 * 1000 };

/* Answers with a status for each call; the last one for all that come after. */
struct server {
	int fd;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock;
	int statuses[CALLS_MAX];
	size_t status_count;
	char ids[CALLS_MAX][64];
	size_t calls;
};

struct place {
	struct world *world;
	void *world_state;
	struct server server;
	struct reach *reach;
	struct transfers *transfers;
	struct notifier *notifier;
	char secret[96];
	bool (*until)(struct place *p);
	bool late;
	int64_t waited_ms;
	unsigned changes; /* of the endpoint, for better or worse */
};

/* ---- the server ---- */

static void serve(struct server *s, int fd)
{
	char text[8192];
	size_t length = 0;
	const char *id;
	ssize_t n = 1;
	int status;

	while (n > 0 && length < sizeof(text) - 1) {
		n = read(fd, text + length, sizeof(text) - 1 - length);
		length += n > 0 ? (size_t)n : 0;
		text[length] = '\0';
		if (strchr(text, '}'))
			break; /* the end of the body's "data", near enough */
	}
	id = strstr(text, "webhook-id: ");
	pthread_mutex_lock(&s->lock);
	if (id && s->calls < CALLS_MAX)
		snprintf(s->ids[s->calls], sizeof(s->ids[0]), "%.*s",
			 (int)strcspn(id + 12, "\r"), id + 12);
	status = s->statuses[s->calls < s->status_count ? s->calls
							: s->status_count - 1];
	s->calls++;
	pthread_mutex_unlock(&s->lock);
	length = (size_t)snprintf(text, sizeof(text),
				  "HTTP/1.1 %d X\r\nContent-Length: 0\r\n"
				  "Connection: close\r\n\r\n",
				  status);
	discard(write(fd, text, length));
}

static void *run(void *cookie)
{
	struct server *s = cookie;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		serve(s, fd);
		close(fd);
	}
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t length = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->fd, 16), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &length), 0);
	s->port = ntohs(a.sin_port);
	pthread_mutex_init(&s->lock, NULL);
	s->statuses[0] = 204;
	s->status_count = 1;
	assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

static size_t calls_of(struct place *p)
{
	size_t calls;

	pthread_mutex_lock(&p->server.lock);
	calls = p->server.calls;
	pthread_mutex_unlock(&p->server.lock);
	return calls;
}

static void answer_with(struct place *p, int first, int then)
{
	pthread_mutex_lock(&p->server.lock);
	p->server.statuses[p->server.calls] = first;
	p->server.statuses[p->server.calls + 1] = then;
	p->server.status_count = p->server.calls + 2;
	pthread_mutex_unlock(&p->server.lock);
}

/* ---- the notifier ---- */

static const char *address(void *cookie UNUSED, const char *human UNUSED)
{
	return NULL;
}

static void changed(void *cookie, const char *endpoint, bool works UNUSED,
		    const char *why UNUSED)
{
	assert_string_equal(endpoint, "hook");
	((struct place *)cookie)->changes++;
}

static json_t *config_of(const struct place *p, const char *more)
{
	CLEANUP(mem_free_p)
	char *text = mem_format(
		"{\"link\":\"https://c.example\",\"webhooks\":[{\"name\":"
		"\"hook\",\"url\":\"http://127.0.0.1:%u/x\",\"secretFile\":"
		"\"%s\"%s}],\"retry\":{\"first\":\"1s\",\"attempts\":2},"
		"\"keep\":10}",
		p->server.port, p->secret, more);
	json_t *config = NULL;

	assert_int_equal(json_parse(slice_str(text), 4096, &config), 0);
	return config;
}

static int try_open_with(struct place *p, const json_t *config)
{
	struct notify_config c = {
		.loop = p->world->loop,
		.evidence = p->world->evidence,
		.transfers = p->transfers,
		.config = config,
		.address = address,
		.changed = changed,
		.cookie = p,
	};

	return notify_open(&c, &p->notifier);
}

static void open_with(struct place *p, const char *more)
{
	CLEANUP(json_put_p) json_t *config = config_of(p, more);

	assert_int_equal(try_open_with(p, config), 0);
}

static void close_notifier(struct place *p)
{
	notify_close(TAKE(p->notifier));
}

static struct evidence_txn *put(struct place *p, const char *about)
{
	struct evidence_txn *t = evidence_begin(p->world->evidence);
	struct notice_to to = { NOTICE_TO_AGENT, "hr-bot" };
	struct notice notice = { .event = NOTIFY_REQUEST_ENDED,
				 .about = about,
				 .role = "requester",
				 .to = &to,
				 .to_count = 1 };

	notify_put(p->notifier, t, &notice);
	return t;
}

static void put_and_commit(struct place *p, const char *about)
{
	evidence_commit(put(p, about), NULL, NULL);
}

/* ---- waiting ---- */

static void poll_it(void *cookie)
{
	struct place *p = cookie;

	p->waited_ms += POLL_MS;
	p->late = p->waited_ms > PATIENCE_MS;
	if (p->until(p) || p->late)
		loop_stop(p->world->loop);
	else
		loop_timer(p->world->loop, POLL_MS, poll_it, p);
}

static void wait_for(struct place *p, bool (*until)(struct place *p))
{
	p->until = until;
	p->waited_ms = 0;
	loop_timer(p->world->loop, 0, poll_it, p);
	assert_int_equal(loop_run(p->world->loop), 0);
	assert_false(p->late);
}

static struct outbox_counts counts(struct place *p)
{
	struct outbox_counts c = { 0 };

	assert_int_equal(
		store_outbox_counts(evidence_reader(p->world->evidence), &c),
		0);
	return c;
}

static bool is_empty(struct place *p)
{
	struct outbox_counts c = counts(p);

	return c.waiting == 0 && c.dead == 0;
}

static bool was_called_and_is_empty(struct place *p)
{
	return calls_of(p) > 0 && is_empty(p);
}

static bool is_dead(struct place *p)
{
	return counts(p).dead > 0;
}

static bool is_written(struct place *p)
{
	return counts(p).waiting > 0;
}

static bool is_full(struct place *p)
{
	return counts(p).dropped == 5;
}

/* ---- set-up ---- */

static int set_up(void **state)
{
	static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
	struct place *p = mem_new(struct place);
	CLEANUP(json_put_p) json_t *names = json_array();
	struct transfers_config config = { 0 };

	assert_int_equal(world_set_up(&p->world_state), 0);
	p->world = p->world_state;
	world_open(p->world);
	server_start(&p->server);
	snprintf(p->secret, sizeof(p->secret), "%s/secret", p->world->folder);
	assert_int_equal(file_write(p->secret, slice_str(secret), 0600), 0);
	json_array_append_new(names, json_string("127.0.0.1"));
	assert_int_equal(reach_new(names, &p->reach), 0);
	config.loop = p->world->loop;
	config.reach = p->reach;
	assert_int_equal(transfers_open(&config, &p->transfers), 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	notify_close(p->notifier);
	transfers_close(p->transfers);
	reach_free(p->reach);
	shutdown(p->server.fd, SHUT_RDWR);
	pthread_join(p->server.thread, NULL);
	close(p->server.fd);
	pthread_mutex_destroy(&p->server.lock);
	assert_int_equal(world_tear_down(&p->world_state), 0);
	free(p);
	return 0;
}

/* ---- tests ---- */

static void what_is_durable_is_sent_once_and_goes(void **state)
{
	struct place *p = *state;

	open_with(p, "");
	put_and_commit(p, "req_1");
	wait_for(p, was_called_and_is_empty);
	assert_int_equal(calls_of(p), 1);
	assert_memory_equal(p->server.ids[0], "ntc_", 4);
}

static void what_did_not_happen_is_not_told(void **state)
{
	struct place *p = *state;

	open_with(p, "");
	evidence_abandon(put(p, "req_1"));
	put_and_commit(p, "req_2");
	wait_for(p, was_called_and_is_empty);
	assert_int_equal(calls_of(p), 1);
}

static void what_fails_comes_again_under_the_same_id(void **state)
{
	struct place *p = *state;

	answer_with(p, 500, 200);
	open_with(p, "");
	put_and_commit(p, "req_1");
	wait_for(p, was_called_and_is_empty);
	assert_int_equal(calls_of(p), 2);
	assert_string_equal(p->server.ids[0], p->server.ids[1]);
	assert_int_equal(p->changes, 2); /* it failed, it works again */
}

static void what_nobody_takes_is_a_dead_letter_that_can_begin_anew(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *rows = NULL;
	CLEANUP(json_put_p) json_t *health = NULL;
	struct evidence_txn *t;

	answer_with(p, 500, 503);
	open_with(p, "");
	put_and_commit(p, "req_1");
	wait_for(p, is_dead);
	assert_int_equal(calls_of(p), 2);
	health = notify_health(p->notifier);
	assert_int_equal(json_int(health, "dead", 0), 1);
	assert_int_equal(notify_list(p->notifier, "dead", 10, &rows), 0);
	assert_string_equal(json_text(json_array_get(rows, 0), "why", ""),
			    "it answered 503");
	answer_with(p, 200, 200);
	t = evidence_begin(p->world->evidence);
	notify_retry(p->notifier, t,
		     json_text(json_array_get(rows, 0), "id", ""));
	evidence_commit(t, NULL, NULL);
	wait_for(p, is_empty);
	assert_string_equal(p->server.ids[0], p->server.ids[2]);
}

static void who_says_gone_gets_it_no_second_time(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *rows = NULL;
	struct evidence_txn *t;

	answer_with(p, 410, 200);
	open_with(p, "");
	put_and_commit(p, "req_1");
	wait_for(p, is_dead);
	assert_int_equal(calls_of(p), 1);
	assert_int_equal(notify_list(p->notifier, NULL, 10, &rows), 0);
	t = evidence_begin(p->world->evidence);
	notify_drop(p->notifier, t, json_array_get(rows, 0));
	evidence_commit(t, NULL, NULL);
	wait_for(p, is_empty);
	assert_int_equal(calls_of(p), 1);
}

static void what_was_not_sent_before_a_stop_is_sent_after_it(void **state)
{
	struct place *p = *state;

	open_with(p, "");
	put_and_commit(p, "req_1");
	close_notifier(p);
	wait_for(p, is_written);
	assert_int_equal(calls_of(p), 0);
	open_with(p, "");
	wait_for(p, was_called_and_is_empty);
	assert_int_equal(calls_of(p), 1);
}

static void an_endpoint_that_is_full_loses_its_oldest_and_says_so(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *health = NULL;

	answer_with(p, 500, 500);
	open_with(p, "");
	for (int i = 0; i < 15; i++)
		put_and_commit(p, "req_1");
	wait_for(p, is_full);
	health = notify_health(p->notifier);
	assert_int_equal(json_int(health, "dropped", 0), 5);
	assert_true(json_int(health, "waiting", 0) +
			    json_int(health, "dead", 0) <=
		    10);
}

static void
an_endpoint_that_is_not_configured_any_more_leaves_dead_letters(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *none = json_object();

	open_with(p, "");
	put_and_commit(p, "req_1");
	close_notifier(p);
	wait_for(p, is_written);
	assert_int_equal(try_open_with(p, none), 0);
	wait_for(p, is_dead);
	assert_int_equal(calls_of(p), 0);
}

static void who_asked_for_other_things_is_not_told(void **state)
{
	struct place *p = *state;

	open_with(p, ",\"events\":[\"request.waiting\"]");
	put_and_commit(p, "req_1");
	close_notifier(p);
	open_with(p,
		  ",\"for\":{\"agents\":[\"other\"],\"humans\":[\"hr-bot\"]}");
	put_and_commit(p, "req_1");
	close_notifier(p);
	assert_false(notify_wants(p->notifier, NOTIFY_REQUEST_ENDED));
	open_with(p, ",\"for\":{\"agents\":[\"hr-bot\"]}");
	put_and_commit(p, "req_2");
	wait_for(p, was_called_and_is_empty);
	assert_int_equal(calls_of(p), 1);
}

static void a_secret_that_cannot_be_used_keeps_it_from_starting(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *config = config_of(p, "");

	assert_int_equal(file_write(p->secret, slice_str("open sesame"), 0600),
			 0);
	assert_int_equal(try_open_with(p, config), ERR_SYNTAX);
	assert_null(strstr(error_message(), "sesame"));
	assert_int_equal(remove(p->secret), 0);
	assert_int_equal(try_open_with(p, config), ERR_NOT_FOUND);
}

static void a_secret_is_exchanged_while_it_runs(void **state)
{
	struct place *p = *state;

	open_with(p, "");
	assert_int_equal(file_write(p->secret, slice_str("spoilt"), 0600), 0);
	put_and_commit(p, "req_1");
	wait_for(p, is_dead);
	assert_int_equal(calls_of(p), 0);
}

static void nobody_is_told_where_nothing_is_configured(void **state)
{
	struct place *p = *state;
	struct evidence_txn *t = evidence_begin(p->world->evidence);
	struct notice notice = { .event = NOTIFY_REQUEST_ENDED };

	notify_put(NULL, t, &notice);
	evidence_abandon(t);
	assert_false(notify_wants(NULL, NOTIFY_REQUEST_ENDED));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(what_is_durable_is_sent_once_and_goes),
		T(what_did_not_happen_is_not_told),
		T(what_fails_comes_again_under_the_same_id),
		T(what_nobody_takes_is_a_dead_letter_that_can_begin_anew),
		T(who_says_gone_gets_it_no_second_time),
		T(what_was_not_sent_before_a_stop_is_sent_after_it),
		T(an_endpoint_that_is_full_loses_its_oldest_and_says_so),
		T(an_endpoint_that_is_not_configured_any_more_leaves_dead_letters),
		T(who_asked_for_other_things_is_not_told),
		T(a_secret_that_cannot_be_used_keeps_it_from_starting),
		T(a_secret_is_exchanged_while_it_runs),
		T(nobody_is_told_where_nothing_is_configured),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
