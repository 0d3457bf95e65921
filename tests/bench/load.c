/*
 * A load generator for a server on this machine: so many connections, each with
 * one request outstanding, until so many replies or seconds.  It refuses every
 * address that is not loopback or a Unix socket.
 *
 *   bench_load [options] ADDRESS PATH
 *
 *   ADDRESS          127.0.0.1:8470, [::1]:8470 or unix:PATH
 *   --connections N  at once (64)
 *   --requests N     in all (10000)
 *   --seconds N      at most (10)
 *   --method NAME    GET, or POST where there is a body
 *   --body FILE      sent as application/json; "{n}" becomes the number of the
 *                    request, "{line}" the line of that number
 *   --form FILE      the same, as application/x-www-form-urlencoded
 *   --lines FILE     for "{line}", from the first one again after the last
 *   --token FILE     sent as a bearer token
 *   --then PATH      after a 200 that tells of a request, "{}" is posted there
 *                    before the next; "{id}" becomes the request's id
 *
 * Each request has an Idempotency-Key of its own.  Prints one line of JSON:
 * figures_report(), "status" with a count for each, "broken" connections.  With
 * --then a time is that of both, and the status that of the second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/id.h"
#include "base/mem.h"
#include "figures.h"

enum {
	CONNECTIONS_MAX = 4096,
	REQUESTS_MAX = 5000000,
	SECONDS_MAX = 120,
	FILE_MAX = 1 << 20,  /* bytes of body or token */
	REPLY_MAX = 1 << 20, /* bytes */
	STATUS_MAX = 600,
};

union any_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un path;
};

struct plan {
	long connections, requests, seconds;
	const char *method, *path;
	const char *then; /* NULL: one exchange is all */
	const char *type; /* of the body */
	union any_address address;
	socklen_t address_len;
	struct buf body;
	struct buf token;
	struct buf text;    /* what lines point into */
	const char **lines; /* owned; NULL without */
	long line_count;
	char run[ID_MAX]; /* makes the keys of this run its own */
};

struct connection {
	int fd;
	long number;	  /* of the request that is outstanding */
	int64_t began_us; /* of it */
	bool follows;	  /* what is outstanding is what comes then */
	struct buf out;	  /* what is left to send */
	struct buf in;
};

struct load {
	struct plan plan;
	struct figures figures;
	int epoll_fd;
	struct connection *connections;
	long sent, done, broken;
	long open; /* connections */
	long status[STATUS_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "bench_load: %s\n", what);
	exit(2);
}

static long number(const char *text, long max)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || value < 1 || value > max)
		die("a number is out of range");
	return value;
}

/* Where to; nothing but this machine. */

static void take_path(struct plan *p, const char *path)
{
	p->address.path.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(p->address.path.sun_path))
		die("path of the socket is too long");
	memcpy(p->address.path.sun_path, path, strlen(path) + 1);
	p->address_len = sizeof(p->address.path);
}

static bool take_v4(struct plan *p, const char *host, in_port_t port)
{
	struct sockaddr_in *a = &p->address.v4;

	a->sin_family = AF_INET;
	a->sin_port = port;
	p->address_len = sizeof(*a);
	return inet_pton(AF_INET, host, &a->sin_addr) == 1 &&
	       ntohl(a->sin_addr.s_addr) >> 24 == 127;
}

static bool take_v6(struct plan *p, const char *host, in_port_t port)
{
	struct sockaddr_in6 *a = &p->address.v6;

	a->sin6_family = AF_INET6;
	a->sin6_port = port;
	p->address_len = sizeof(*a);
	return inet_pton(AF_INET6, host, &a->sin6_addr) == 1 &&
	       IN6_IS_ADDR_LOOPBACK(&a->sin6_addr);
}

static void take_address(struct plan *p, const char *text)
{
	bool brackets = text[0] == '[';
	CLEANUP(mem_free_p) char *host = mem_str(text + brackets);
	char *colon = strrchr(host, ':');
	in_port_t port;

	if (!strncmp(text, "unix:", 5)) {
		take_path(p, text + 5);
		return;
	}
	if (!colon || (brackets && (colon == host || colon[-1] != ']')))
		die("the address is not HOST:PORT or unix:PATH");
	colon[brackets ? -1 : 0] = 0;
	port = htons((uint16_t)number(colon + 1, 65535));
	if (!take_v4(p, host, port) && !take_v6(p, host, port))
		die("the address is not loopback");
}

/* Requests. */

/* What stands for the mark at a place of a template: its length, or 0. */
static size_t put_mark(struct buf *out, const struct plan *p, const char *at,
		       long n)
{
	if (!strncmp(at, "{n}", 3)) {
		buf_putf(out, "%ld", n);
		return 3;
	}
	if (p->lines && !strncmp(at, "{line}", 6)) {
		buf_put_str(out, p->lines[n % p->line_count]);
		return 6;
	}
	return 0;
}

static void put_body(struct buf *out, const struct plan *p, long n)
{
	const char *at = buf_text(&p->body);

	while (*at) {
		size_t len = strcspn(at + 1, "{") + 1;
		size_t mark = put_mark(out, p, at, n);

		if (!mark)
			buf_put(out, slice_of(at, len));
		at += mark ? mark : len;
	}
}

/* part: of the exchanges that the request is made of. */
static void put_head(const struct plan *p, const char *method, const char *path,
		     long n, int part, struct buf *out)
{
	buf_putf(out,
		 "%s %s HTTP/1.1\r\nHost: localhost\r\n"
		 "Idempotency-Key: %s-%ld-%d\r\n",
		 method, path, p->run, n, part);
	if (p->token.len)
		buf_putf(out, "Authorization: Bearer %s\r\n",
			 buf_text(&p->token));
}

static void put_rest(const char *type, struct slice body, struct buf *out)
{
	if (body.len)
		buf_putf(out,
			 "Content-Type: %s\r\n"
			 "Content-Length: %zu\r\n",
			 type, body.len);
	buf_put_str(out, "\r\n");
	buf_put(out, body);
}

static void put_request(const struct plan *p, long n, struct buf *out)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(2 * FILE_MAX);

	put_head(p, p->method, p->path, n, 0, out);
	if (p->body.len)
		put_body(&body, p, n);
	put_rest(p->type, buf_slice(&body), out);
}

/* The second exchange, about the request with this id. */
static void put_follower(const struct plan *p, long n, struct slice id,
			 struct buf *out)
{
	const char *mark = strstr(p->then, "{id}");
	CLEANUP(mem_free_p)
	char *path = mem_format("%.*s%.*s%s", (int)(mark - p->then), p->then,
				(int)id.len, (const char *)id.ptr, mark + 4);

	put_head(p, "POST", path, n, 1, out);
	put_rest("application/json", slice_str("{}"), out);
}

/* Connections. */

static void end_connection(struct load *l, struct connection *c, bool broken)
{
	if (c->fd < 0)
		return;
	fd_close_p(&c->fd);
	l->open--;
	l->broken += broken;
}

static void send_rest(struct load *l, struct connection *c)
{
	ssize_t n;

	if (!c->out.len)
		return;
	n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		buf_consume(&c->out, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		end_connection(l, c, true);
}

/* Starts the connection's next request, or ends it when there is none. */
static void next_request(struct load *l, struct connection *c)
{
	if (l->sent >= l->plan.requests) {
		end_connection(l, c, false);
		return;
	}
	c->number = l->sent++;
	put_request(&l->plan, c->number, &c->out);
	c->began_us = figures_now_us();
	send_rest(l, c);
}

/* Bytes of a reply's body; SIZE_MAX where its head does not say. */
static size_t body_length(const char *head)
{
	const char *line = strcasestr(head, "\r\nContent-Length:");

	return line ? strtoul(line + 17, NULL, 10) : SIZE_MAX;
}

/* The id of the request that a body tells of; empty if it does not. */
static struct slice request_id(struct slice body)
{
	static const char mark[] = "\"id\":\"req_";
	const char *at = memmem(body.ptr, body.len, mark, sizeof(mark) - 1);
	const char *id = at ? strchr(at + 4, '"') + 1 : NULL;

	return id ? slice_of(id, strcspn(id, "\"")) : slice_of(NULL, 0);
}

/* Whether another exchange has begun that belongs to the same request. */
static bool goes_on(struct load *l, struct connection *c, unsigned status,
		    struct slice body)
{
	struct slice id;

	if (c->follows || !l->plan.then || status != 200)
		return false;
	id = request_id(body);
	if (!id.len)
		return false;
	put_follower(&l->plan, c->number, id, &c->out);
	send_rest(l, c);
	return true;
}

/* Takes the whole reply out of c->in; false if it is not whole yet. */
static bool take_reply(struct load *l, struct connection *c)
{
	const char *text = buf_text(&c->in);
	const char *end = strstr(text, "\r\n\r\n");
	size_t head = end ? (size_t)(end - text) + 4 : 0;
	size_t body = end ? body_length(text) : 0;
	unsigned status = 0;

	if (!end)
		return false;
	if (body > REPLY_MAX || sscanf(text, "HTTP/1.1 %u", &status) != 1 ||
	    status >= STATUS_MAX) {
		end_connection(l, c, true);
		return false;
	}
	if (c->in.len < head + body)
		return false;
	c->follows = goes_on(l, c, status, slice_of(text + head, body));
	buf_consume(&c->in, head + body);
	if (c->follows)
		return false;
	l->status[status]++;
	l->done++;
	figures_add(&l->figures, figures_now_us() - c->began_us);
	return true;
}

/* Takes what has come; returns whether there may be more. */
static bool receive(struct load *l, struct connection *c)
{
	uint8_t bytes[16 * 1024];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		end_connection(l, c, true);
		return false;
	}
	buf_put(&c->in, slice_of(bytes, (size_t)n));
	if (take_reply(l, c))
		next_request(l, c);
	else if (c->in.overflow)
		end_connection(l, c, true);
	return (size_t)n == sizeof(bytes);
}

static void open_connection(struct load *l, struct connection *c)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET,
				     .data.ptr = c };
	int on = 1;

	*c = (struct connection){ .out = BUF_INIT(4 * FILE_MAX),
				  .in = BUF_INIT(2 * REPLY_MAX) };
	c->fd = socket(l->plan.address.any.sa_family,
		       SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 ||
	    connect(c->fd, &l->plan.address.any, l->plan.address_len) < 0)
		die(strerror(errno));
	discard(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
		die(strerror(errno));
	l->open++;
}

static void on_event(struct load *l, const struct epoll_event *event)
{
	struct connection *c = event->data.ptr;

	if (c->fd >= 0 && event->events & EPOLLOUT)
		send_rest(l, c);
	if (!(event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	while (c->fd >= 0 && receive(l, c))
		;
}

static void run(struct load *l)
{
	struct epoll_event events[256];
	int64_t end;

	for (long i = 0; i < l->plan.connections; i++)
		open_connection(l, &l->connections[i]);
	l->figures.began_us = figures_now_us();
	end = l->figures.began_us + l->plan.seconds * 1000000;
	for (long i = 0; i < l->plan.connections; i++)
		next_request(l, &l->connections[i]);
	while (l->open && figures_now_us() < end) {
		int count = epoll_wait(l->epoll_fd, events, 256, 100);

		for (int i = 0; i < count; i++)
			on_event(l, &events[i]);
	}
}

static void report(struct load *l)
{
	json_t *value = figures_report(&l->figures);
	json_t *status = json_object();

	for (int i = 0; i < STATUS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		if (l->status[i])
			json_set_int(status, name, l->status[i]);
	}
	json_set_new(value, "status", status);
	json_set_int(value, "connections", l->plan.connections);
	json_set_int(value, "broken", l->broken);
	figures_print(value);
}

/* Options. */

static void take_file(struct buf *b, const char *path)
{
	if (file_read(path, b) < 0)
		die(error_message());
}

static void take_token(struct buf *b, const char *path)
{
	take_file(b, path);
	while (b->len && strchr(" \r\n", b->data[b->len - 1]))
		buf_cut(b, b->len - 1);
}

/* Cuts the text into its lines. */
static void take_lines(struct plan *p, const char *path)
{
	char *rest;
	char *line;

	take_file(&p->text, path);
	p->lines = mem_array(p->text.len + 1, sizeof(*p->lines));
	buf_text(&p->text);
	rest = (char *)p->text.data;
	while ((line = strsep(&rest, "\n"))) {
		if (*line)
			p->lines[p->line_count++] = line;
	}
	if (!p->line_count)
		die("there are no lines");
}

static void take_body(struct plan *p, const char *type, const char *path)
{
	p->type = type;
	take_file(&p->body, path);
}

static const struct option options[] = {
	{ "connections", required_argument, NULL, 'c' },
	{ "requests", required_argument, NULL, 'r' },
	{ "seconds", required_argument, NULL, 's' },
	{ "method", required_argument, NULL, 'm' },
	{ "body", required_argument, NULL, 'b' },
	{ "form", required_argument, NULL, 'f' },
	{ "lines", required_argument, NULL, 'l' },
	{ "token", required_argument, NULL, 't' },
	{ "then", required_argument, NULL, 'n' },
	{ NULL, 0, NULL, 0 },
};

static void take_option(struct plan *p, int option, const char *value)
{
	switch (option) {
	case 'c':
		p->connections = number(value, CONNECTIONS_MAX);
		return;
	case 'r':
		p->requests = number(value, REQUESTS_MAX);
		return;
	case 's':
		p->seconds = number(value, SECONDS_MAX);
		return;
	case 'm':
		p->method = value;
		return;
	case 'b':
		take_body(p, "application/json", value);
		return;
	case 'f':
		take_body(p, "application/x-www-form-urlencoded", value);
		return;
	case 'l':
		take_lines(p, value);
		return;
	case 't':
		take_token(&p->token, value);
		return;
	case 'n':
		if (!strstr(value, "{id}"))
			die("the path of --then has no {id}");
		p->then = value;
		return;
	default:
		die("see the head of load.c for its options");
	}
}

static void read_options(int argc, char **argv, struct plan *p)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(p, option, optarg);
	if (optind + 2 != argc)
		die("usage: bench_load [options] ADDRESS PATH");
	take_address(p, argv[optind]);
	p->path = argv[optind + 1];
	if (!p->method)
		p->method = p->body.len ? "POST" : "GET";
	id_new("load", p->run);
}

int main(int argc, char **argv)
{
	struct load l = { .plan = { .connections = 64,
				    .requests = 10000,
				    .seconds = 10,
				    .body = BUF_INIT(FILE_MAX),
				    .token = BUF_INIT(FILE_MAX),
				    .text = BUF_INIT(FILE_MAX) } };

	signal(SIGPIPE, SIG_IGN);
	read_options(argc, argv, &l.plan);
	l.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l.connections =
		mem_array((size_t)l.plan.connections, sizeof(*l.connections));
	figures_open(&l.figures, (size_t)l.plan.requests);
	run(&l);
	report(&l);
	for (long i = 0; i < l.plan.connections; i++) {
		fd_close_p(&l.connections[i].fd);
		buf_clear(&l.connections[i].out);
		buf_clear(&l.connections[i].in);
	}
	free(l.connections);
	figures_close(&l.figures);
	buf_clear(&l.plan.body);
	buf_clear(&l.plan.token);
	buf_clear(&l.plan.text);
	free(l.plan.lines);
	fd_close_p(&l.epoll_fd);
	return l.done ? 0 : 1;
}
