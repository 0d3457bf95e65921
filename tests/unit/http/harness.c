#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

enum { PATIENCE_S = 20 };

static void hello(struct http_exchange *x, void *cookie UNUSED)
{
	json_t *value = json_object();

	json_set_flag(value, "hello", true);
	http_reply_json(x, 200, value);
}

static void echo(struct http_exchange *x, void *cookie UNUSED)
{
	http_add_header(x, "X-Method", http_method(x));
	http_reply(x, 200, "text/plain", http_body(x));
}

static void count(struct http_exchange *x, void *cookie UNUSED)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%zu", http_body(x).len);

	http_reply(x, 200, "text/plain", slice_of(text, (size_t)len));
}

static void name_of(struct http_exchange *x, void *cookie UNUSED)
{
	http_reply(x, 200, "text/plain", slice_str(http_param(x, "name")));
}

static void rest_of(struct http_exchange *x, void *cookie UNUSED)
{
	http_add_header(x, "Cache-Control", "max-age=60");
	http_reply(x, 200, "text/plain", slice_str(http_param(x, "rest")));
}

static void query_of(struct http_exchange *x, void *cookie UNUSED)
{
	const char *value = http_query(x, "a");

	http_reply(x, 200, "text/plain", slice_str(value ? value : "(none)"));
}

static void bearer_of(struct http_exchange *x, void *cookie UNUSED)
{
	http_add_header(x, "X-Bad", "a\r\nSet-Cookie: b");
	http_reply(x, 200, "text/plain", http_bearer(x));
}

static void on_gone(struct http_exchange *x, void *cookie)
{
	struct harness *h = cookie;

	for (size_t i = 0; i < h->held_count; i++) {
		if (h->held[i] == x)
			h->held[i] = h->held[--h->held_count];
	}
	if (h->reply_when_gone)
		http_reply(x, 202, "text/plain", slice_str("later"));
	sem_post(&h->gone_sem);
}

static void hold_silently(struct http_exchange *x, void *cookie)
{
	struct harness *h = cookie;

	h->held[h->held_count++] = x;
	sem_post(&h->held_sem);
}

static void hold(struct http_exchange *x, void *cookie)
{
	http_on_gone(x, on_gone, cookie);
	hold_silently(x, cookie);
}

static void hold_for(struct http_exchange *x, void *cookie)
{
	if (http_set_principal(x, http_param(x, "name")))
		hold(x, cookie);
}

static const struct http_route routes[] = {
	{ "GET", "/hello", 0, hello, "" },
	{ "POST", "/echo", 1024, echo, "" },
	{ "POST", "/count", 1 << 20, count, "" },
	{ "GET", "/names/{name}", 0, name_of, "" },
	{ "GET", "/files/{rest...}", 0, rest_of, "" },
	{ "GET", "/query", 0, query_of, "" },
	{ "GET", "/bearer", 0, bearer_of, "" },
	{ "POST", "/hold", 1024, hold, "" },
	{ "GET", "/hold", 0, hold, "" },
	{ "GET", "/hold-for/{name}", 0, hold_for, "" },
	{ "GET", "/hold-silently", 0, hold_silently, "" },
};

static void count_turn(void *cookie)
{
	struct harness *h = cookie;

	atomic_fetch_add(&h->turns, 1);
}

static void *run_loop(void *cookie)
{
	struct harness *h = cookie;

	assert_int_equal(loop_run(h->loop), 0);
	return NULL;
}

void harness_start(struct harness *h, const struct http_config *config)
{
	struct http_config c = config ? *config : (struct http_config){ 0 };

	signal(SIGPIPE, SIG_IGN);
	memset(h, 0, sizeof(*h));
	sem_init(&h->held_sem, 0, 0);
	sem_init(&h->gone_sem, 0, 0);
	sem_init(&h->done_sem, 0, 0);
	assert_int_equal(loop_open(&h->loop), 0);
	loop_before_wait(h->loop, count_turn, h);
	c.loop = h->loop;
	c.routes = routes;
	c.route_count = ARRAY_LEN(routes);
	c.cookie = h;
	if (!c.address)
		c.address = "127.0.0.1:0";
	snprintf(h->address, sizeof(h->address), "%s", c.address);
	if (http_open(&c, &h->server) < 0)
		fail_msg("%s", error_message());
	pthread_create(&h->thread, NULL, run_loop, h);
}

static void on_drained(void *cookie)
{
	struct harness *h = cookie;

	sem_post(&h->done_sem);
}

static void drain(void *cookie)
{
	struct harness *h = cookie;

	http_drain(h->server, on_drained, h);
}

void wait_for(sem_t *sem, unsigned count)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	while (count--) {
		if (sem_timedwait(sem, &until) < 0)
			fail_msg("nothing happened in %d s", PATIENCE_S);
	}
}

void harness_stop(struct harness *h)
{
	loop_post(h->loop, drain, h);
	wait_for(&h->done_sem, 1);
	loop_stop(h->loop);
	pthread_join(h->thread, NULL);
	http_close(h->server);
	loop_close(h->loop);
	sem_destroy(&h->held_sem);
	sem_destroy(&h->gone_sem);
	sem_destroy(&h->done_sem);
}

struct call {
	struct harness *h;
	void (*fn)(struct harness *h);
};

static void make_call(void *cookie)
{
	struct call *call = cookie;

	call->fn(call->h);
	sem_post(&call->h->done_sem);
}

void harness_call(struct harness *h, void (*fn)(struct harness *h))
{
	struct call call = { h, fn };

	loop_post(h->loop, make_call, &call);
	wait_for(&h->done_sem, 1);
}

void reply_to_held(struct harness *h)
{
	while (h->held_count) {
		struct http_exchange *x = h->held[--h->held_count];

		http_reply(x, 200, "text/plain", slice_str("released"));
	}
}

static int open_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static int open_tcp(unsigned port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

int client_connect(const struct harness *h)
{
	struct timeval patience = { PATIENCE_S, 0 };
	int fd = strncmp(h->address, "unix:", 5)
			 ? open_tcp(http_port(h->server))
			 : open_unix(h->address + 5);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

void client_send(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0) /* refused early: the reply is what counts */
			return;
		text += n;
		len -= (size_t)n;
	}
}

void reply_header(const struct reply *r, const char *name, char value[256])
{
	size_t len = strlen(name);
	const char *line = strchr(r->text, '\n');

	value[0] = 0;
	for (; line && line + 1 < r->body; line = strchr(line + 1, '\n')) {
		if (strncasecmp(line + 1, name, len) || line[1 + len] != ':')
			continue;
		snprintf(value, 256, "%.*s",
			 (int)strcspn(line + len + 3, "\r\n"), line + len + 3);
		return;
	}
}

/* Reads one byte after the other: slow, and never too much. */
static bool read_byte(int fd, struct reply *r, size_t *len)
{
	assert_true(*len + 1 < sizeof(r->text));
	if (recv(fd, r->text + *len, 1, 0) != 1)
		return false;
	r->text[++*len] = 0;
	return true;
}

void client_read(int fd, struct reply *r)
{
	size_t len = 0, body;
	char value[256];

	r->status = 0;
	r->text[0] = 0;
	r->body = r->text;
	while (len < 4 || memcmp(r->text + len - 4, "\r\n\r\n", 4) != 0) {
		if (!read_byte(fd, r, &len))
			return;
	}
	r->body = r->text + len;
	if (sscanf(r->text, "HTTP/1.1 %u", &r->status) != 1)
		return;
	reply_header(r, "Content-Length", value);
	for (body = strtoul(value, NULL, 10); body; body--) {
		if (!read_byte(fd, r, &len))
			return;
	}
}

bool client_at_end(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

void client_ask(const struct harness *h, const char *request, struct reply *r)
{
	int fd = client_connect(h);

	client_send(fd, request);
	client_read(fd, r);
	close(fd);
}
