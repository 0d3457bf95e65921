/*
 * How an exchange goes:
 *
 *   request line -> head checked -> body read -> handler
 *   -> reply at once, or suspended until the reply, the deadline or a drain
 *
 * libmicrohttpd calls on_request() for each step.  Its epoll descriptor is one
 * of the loop's; it is run when that is ready, once before the loop waits if
 * replies were queued meanwhile (so that a batch is resumed in one run), and on
 * a tick, which also looks after what libmicrohttpd does not: suspended
 * connections and slow peers.
 */
#include "http/server.h"

#include <assert.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "http/address.h"
#include "http/exchange.h"
#include "http/framing.h"

enum {
	TICK_MS = 1000,
	DRAIN_MS = 2000,
	IDLE_MAX_S = 30, /* libmicrohttpd's own, without any byte */
	CONNECTION_MEMORY =
		48 * 1024,     /* bytes: request head and upload chunk */
	PEM_MAX = 256 * 1024,  /* bytes of a certificate or key file */
	DROPPED_MAX = 1 << 20, /* bytes of a too long body that are read */
	RUNS_PER_TURN = 16,
};

struct exchange_list {
	struct http_exchange *first, *last;
	size_t count;
};

struct http_server {
	struct loop *loop;
	const struct http_route *routes;
	size_t route_count;
	void *cookie;
	int64_t wait_ms;
	int64_t transfer_ms;
	size_t waits_max;
	unsigned per_address_max;
	char *socket_path; /* owned; NULL: not a Unix socket */
	unsigned port;
	struct MHD_Daemon *daemon;
	struct loop_watch *watch;
	struct loop_timer *tick;
	bool pending; /* libmicrohttpd must run before the loop waits */
	struct http_peer *peers;
	size_t live;		      /* exchanges that are not orphans */
	struct exchange_list waiting; /* oldest first */
	struct exchange_list orphans;
	bool accepting;
	bool draining;
	bool drained; /* done was called */
	int64_t drain_ends_ms;
	void (*done)(void *cookie);
	void *done_cookie;
};

static void list_add(struct exchange_list *list, struct http_exchange *x)
{
	x->previous = list->last;
	x->next = NULL;
	if (list->last)
		list->last->next = x;
	else
		list->first = x;
	list->last = x;
	list->count++;
}

static void list_remove(struct exchange_list *list, struct http_exchange *x)
{
	if (x->previous)
		x->previous->next = x->next;
	else
		list->first = x->next;
	if (x->next)
		x->next->previous = x->previous;
	else
		list->last = x->previous;
	list->count--;
}

/* Running libmicrohttpd. */

static bool must_run_again(const struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(s->daemon, &ms) == MHD_YES && ms == 0;
}

/* Runs it until it has nothing left to do at once, but not for ever: the loop
 * has other work. */
static void run(struct http_server *s)
{
	s->pending = true;
	for (int i = 0; s->pending && i < RUNS_PER_TURN; i++) {
		s->pending = false;
		MHD_run(s->daemon);
		s->pending |= must_run_again(s);
	}
}

static void on_ready(void *cookie, uint32_t events UNUSED)
{
	run(cookie);
}

/* Keeps the loop from waiting while something is pending. */
static void nothing(void *cookie UNUSED)
{
}

static void before_wait(void *cookie)
{
	struct http_server *s = cookie;

	if (s->pending && s->daemon)
		run(s);
	if (s->pending)
		loop_defer(s->loop, nothing, s);
}

/* Replies. */

static enum MHD_Result queue(struct http_exchange *x)
{
	enum MHD_Result r =
		MHD_queue_response(x->connection, x->status, x->response);

	MHD_destroy_response(TAKE(x->response));
	x->peer->handling = false;
	x->peer->since_ms = clock_boot_ms();
	return r;
}

static void free_orphan(struct http_exchange *x)
{
	list_remove(&x->server->orphans, x);
	exchange_free(x);
}

void exchange_finish(struct http_exchange *x, unsigned status,
		     struct MHD_Response *response)
{
	struct http_server *s = x->server;

	if (x->owed) { /* it came too late: another answer was given */
		MHD_destroy_response(response);
		x->owed = false;
		if (x->phase == EXCHANGE_ORPHAN)
			free_orphan(x);
		return;
	}
	assert(x->phase != EXCHANGE_REPLIED && x->phase != EXCHANGE_ORPHAN);
	x->status = status;
	x->response = response;
	if (x->phase == EXCHANGE_WAITING) {
		list_remove(&s->waiting, x);
		MHD_resume_connection(x->connection);
		s->pending = true;
	}
	x->phase = EXCHANGE_REPLIED;
}

/* Ends a wait for the handler, which learns it where it has asked to. */
static void end_wait(struct http_exchange *x, const char *code,
		     const char *detail)
{
	void (*gone)(struct http_exchange * x, void *cookie) = TAKE(x->gone);

	if (gone)
		gone(x, x->gone_cookie);
	if (x->phase != EXCHANGE_WAITING)
		return;
	http_add_header(x, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	http_reply_problem(x, 503, code, detail, NULL);
	x->owed = !gone;
}

static void end_all_waits(struct http_server *s)
{
	while (s->waiting.first) {
		s->waiting.first->close = true;
		end_wait(s->waiting.first, "stopping",
			 "the server is stopping");
	}
}

/* The tick. */

static void end_late_waits(struct http_server *s, int64_t now)
{
	while (s->waiting.first &&
	       s->waiting.first->began_ms + s->wait_ms <= now)
		end_wait(s->waiting.first, "timeout",
			 "no answer could be had in time");
}

/* Fills fds with the peers that have waited for a tick or more. */
static size_t gather(const struct http_server *s, int64_t now,
		     struct pollfd *fds, struct http_exchange **exchanges)
{
	struct http_exchange *x = s->waiting.first;
	size_t count = 0;

	for (; x && x->began_ms + TICK_MS <= now; x = x->next) {
		fds[count] = (struct pollfd){ x->peer->fd, POLLRDHUP, 0 };
		exchanges[count++] = x;
	}
	return count;
}

/*
 * Ends the waits of peers that have hung up, which a suspended connection does
 * not notice.  A peer that only stopped sending gets the 503 as well.
 * end_wait() ends no other exchange than its own, so the gathered ones hold;
 * the handlers' replies only move them out of WAITING.
 */
static void end_left_waits(struct http_server *s, int64_t now)
{
	size_t count = s->waiting.count;
	CLEANUP(mem_free_p) struct pollfd *fds = NULL;
	CLEANUP(mem_free_p) struct http_exchange **exchanges = NULL;

	if (!count || s->waiting.first->began_ms + TICK_MS > now)
		return;
	fds = mem_array(count, sizeof(*fds));
	exchanges = mem_array(count, sizeof(struct http_exchange *));
	count = gather(s, now, fds, exchanges);
	if (poll(fds, count, 0) <= 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (fds[i].revents && exchanges[i]->phase == EXCHANGE_WAITING)
			end_wait(exchanges[i], "gone", "the peer has left");
	}
}

/* Lets libmicrohttpd see the end of peers that trickle. */
static void end_slow_peers(struct http_server *s, int64_t now)
{
	for (struct http_peer *p = s->peers; p; p = p->next) {
		if (!p->handling && p->since_ms + s->transfer_ms <= now)
			discard(shutdown(p->fd, SHUT_RDWR));
	}
}

static void call_done(void *cookie)
{
	struct http_server *s = cookie;

	s->done(s->done_cookie);
}

static void check_drained(struct http_server *s)
{
	if (!s->draining || s->drained)
		return;
	if (s->live && clock_boot_ms() < s->drain_ends_ms)
		return;
	s->drained = true;
	loop_defer(s->loop, call_done, s);
}

static int64_t tick_ms(const struct http_server *s)
{
	int64_t ms = TICK_MS;

	if (s->wait_ms < ms)
		ms = s->wait_ms;
	return s->transfer_ms < ms ? s->transfer_ms : ms;
}

static void on_tick(void *cookie);

/* Without connections there is nothing to look after. */
static void start_tick(struct http_server *s)
{
	if (!s->tick && (s->peers || s->draining) && !s->drained)
		s->tick = loop_timer(s->loop, tick_ms(s), on_tick, s);
}

static void on_tick(void *cookie)
{
	struct http_server *s = cookie;
	int64_t now = clock_boot_ms();

	s->tick = NULL;
	end_late_waits(s, now);
	end_left_waits(s, now);
	end_slow_peers(s, now);
	run(s);
	check_drained(s);
	start_tick(s);
}

/* Connections. */

/*
 * A peer may show a certificate, and then proves in the handshake that it holds
 * the key; whom it names is not judged here.  No authorities are named to it,
 * for which ones count changes while connections live.
 */
static void ask_for_certificate(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	if (!info || !info->tls_session)
		return;
	gnutls_certificate_send_x509_rdn_sequence(info->tls_session, 1);
	gnutls_certificate_server_set_request(info->tls_session,
					      GNUTLS_CERT_REQUEST);
}

static void on_connection(void *cookie, struct MHD_Connection *connection,
			  void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = cookie;
	struct http_peer *p = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		ask_for_certificate(connection);
		p = mem_new(struct http_peer);
		p->fd = MHD_get_connection_info(
				connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				->connect_fd;
		p->since_ms = clock_boot_ms();
		p->next = s->peers;
		if (p->next)
			p->next->previous = p;
		s->peers = p;
		*context = p;
		start_tick(s);
		return;
	}
	if (p->previous)
		p->previous->next = p->next;
	else
		s->peers = p->next;
	if (p->next)
		p->next->previous = p->previous;
	free(p);
	*context = NULL;
}

/* Steps of a request. */

/* The request line: the only place where the target is seen undecoded. */
static void *on_target(void *cookie, const char *target,
		       struct MHD_Connection *connection)
{
	struct http_server *s = cookie;
	size_t len = strlen(target);
	size_t memory = len > TARGET_MAX ? 2 : target_memory(len);
	struct http_exchange *x = mem_alloc(sizeof(*x) + memory);

	x->server = s;
	x->connection = connection;
	x->peer = MHD_get_connection_info(connection,
					  MHD_CONNECTION_INFO_SOCKET_CONTEXT)
			  ->socket_context;
	x->headers.max = HTTP_HEADERS_MAX;
	x->method = "";
	if (len > TARGET_MAX) {
		x->target.path = x->memory;
		x->target_fault = "the request target is too long";
		x->status = 414;
	} else {
		x->target_fault = target_parse(target, x->memory, &x->target);
		x->status = 400;
	}
	s->live++;
	return x;
}

/* Refuses a request whose body will not be read, and its connection with it:
 * what follows cannot be trusted to be the next request. */
static void refuse(struct http_exchange *x, unsigned status, const char *code,
		   const char *detail)
{
	x->close = true;
	http_reply_problem(x, status, code, detail, NULL);
}

static enum MHD_Result look_at_header(void *cookie,
				      enum MHD_ValueKind kind UNUSED,
				      const char *name, size_t name_len,
				      const char *value, size_t value_len)
{
	framing_header(cookie, slice_of(name, name_len),
		       slice_of(value ? value : "", value ? value_len : 0));
	return MHD_YES;
}

static void refuse_no_route(struct http_exchange *x)
{
	x->close = x->has_body;
	if (!x->match.allow[0]) {
		http_reply_problem(x, 404, "no-such-resource",
				   "there is nothing at this path", NULL);
		return;
	}
	http_add_header(x, MHD_HTTP_HEADER_ALLOW, x->match.allow);
	http_reply_problem(x, 405, "method-not-allowed",
			   "the path does not have this method", NULL);
}

static void refuse_busy(struct http_exchange *x, const char *code,
			const char *detail)
{
	http_add_header(x, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	refuse(x, 503, code, detail);
}

static void route(struct http_exchange *x, struct framing *f,
		  const char *version)
{
	struct http_server *s = x->server;

	route_find(s->routes, s->route_count, x->method, &x->target, &x->match);
	if (!x->match.route) {
		refuse_no_route(x);
		return;
	}
	framing_finish(f, version, x->match.route->body_max,
		       x->match.route->form);
	if (f->refusal.status) {
		refuse(x, f->refusal.status, f->refusal.code,
		       f->refusal.detail);
		return;
	}
	x->body.max = x->match.route->body_max;
	x->phase = EXCHANGE_BODY;
}

/* The head: everything that can be refused before the body is. */
static void on_head(struct http_exchange *x, const char *version)
{
	struct framing f = { 0 };

	MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND,
				    look_at_header, &f);
	framing_finish_head(&f, version);
	x->has_body = f.chunked || f.content_length;
	if (f.refusal.status)
		refuse(x, f.refusal.status, f.refusal.code, f.refusal.detail);
	else if (x->target_fault)
		refuse(x, x->status, "target", x->target_fault);
	else if (x->server->draining)
		refuse_busy(x, "stopping", "the server is stopping");
	else
		route(x, &f, version);
}

/* libmicrohttpd takes no reply while a body comes in, so one that is too long
 * or not wanted is read to its end, within reason. */
static enum MHD_Result on_data(struct http_exchange *x, const char *data,
			       size_t *len)
{
	struct slice bytes = slice_of(data, *len);

	*len = 0;
	if (x->phase == EXCHANGE_BODY) {
		buf_put(&x->body, bytes);
		if (x->body.overflow)
			x->phase = EXCHANGE_TOO_LONG;
		return MHD_YES;
	}
	x->dropped += bytes.len;
	return x->dropped > DROPPED_MAX ? MHD_NO : MHD_YES;
}

/* Calls with a token that want to wait leave a part to the others. */
static bool is_full(const struct http_exchange *x)
{
	const struct http_server *s = x->server;
	bool patient = http_bearer(x).len > 0 && http_query(x, "wait");
	size_t reserve = patient ? s->waits_max / HTTP_RESERVE_PART : 0;

	return s->waiting.count >= s->waits_max - reserve;
}

bool http_set_principal(struct http_exchange *x, const char *name)
{
	const struct http_exchange *other = x->server->waiting.first;
	size_t count = 0;

	snprintf(x->principal, sizeof(x->principal), "%s", name);
	for (; other; other = other->next)
		count += !strcmp(other->principal, x->principal);
	if (count < HTTP_PRINCIPAL_WAITS_MAX)
		return true;
	http_add_header(x, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	http_reply_problem(x, 503, "busy",
			   "too many calls of this caller wait for an answer",
			   NULL);
	return false;
}

static void hand_over(struct http_exchange *x)
{
	struct http_server *s = x->server;

	x->phase = EXCHANGE_HANDLING;
	x->began_ms = clock_boot_ms();
	x->peer->handling = true;
	x->match.route->handler(x, s->cookie);
	if (x->phase != EXCHANGE_HANDLING)
		return;
	x->phase = EXCHANGE_WAITING;
	list_add(&s->waiting, x);
	MHD_suspend_connection(x->connection);
	if (s->draining)
		end_all_waits(s);
}

static void on_whole(struct http_exchange *x)
{
	struct http_server *s = x->server;

	if (x->phase == EXCHANGE_TOO_LONG)
		refuse(x, 413, "body-too-large",
		       "the body is larger than accepted here");
	else if (s->draining)
		refuse_busy(x, "stopping", "the server is stopping");
	else if (is_full(x))
		refuse_busy(x, "busy", "too many requests wait for an answer");
	else
		hand_over(x);
}

/* A reply queued in the first call leaves the body unread and ends the
 * connection, which is right only where there is a body. */
static enum MHD_Result on_first_call(struct http_exchange *x,
				     const char *method, const char *version)
{
	x->method = method;
	on_head(x, version);
	return x->response && x->has_body ? queue(x) : MHD_YES;
}

static enum MHD_Result on_request(void *cookie UNUSED,
				  struct MHD_Connection *connection UNUSED,
				  const char *url UNUSED, const char *method,
				  const char *version, const char *data,
				  size_t *data_len, void **context)
{
	struct http_exchange *x = *context;

	if (x->phase == EXCHANGE_HEAD)
		return on_first_call(x, method, version);
	if (*data_len)
		return on_data(x, data, data_len);
	if (x->phase == EXCHANGE_BODY || x->phase == EXCHANGE_TOO_LONG)
		on_whole(x);
	return x->response ? queue(x) : MHD_YES;
}

static void on_completed(void *cookie, struct MHD_Connection *connection UNUSED,
			 void **context,
			 enum MHD_RequestTerminationCode code UNUSED)
{
	struct http_server *s = cookie;
	struct http_exchange *x = TAKE(*context);

	if (!x)
		return;
	s->live--;
	x->peer->handling = false;
	x->peer->since_ms = clock_boot_ms();
	x->connection = NULL;
	x->peer = NULL;
	if (x->owed) {
		x->phase = EXCHANGE_ORPHAN;
		x->method = "";
		list_add(&s->orphans, x);
	} else {
		exchange_free(x);
	}
	check_drained(s);
}

/* Nothing is decoded behind our back. */
static size_t leave_escapes(void *cookie UNUSED,
			    struct MHD_Connection *connection UNUSED,
			    char *text)
{
	return strlen(text);
}

/* Opening and closing. */

struct pem {
	struct buf cert;
	struct buf key;
};

static void pem_clear(struct pem *pem)
{
	buf_clear(&pem->cert);
	buf_clear(&pem->key);
}

/* Nothing before TLS 1.2 (RFC 8996), nothing below 128 bits. */
static const char priorities[] =
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static int start_daemon(struct http_server *s, int fd, const struct pem *pem)
{
	bool tls = pem->cert.len > 0;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
			 (tls ? MHD_USE_TLS : 0U);
	struct MHD_OptionItem tls_options[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, tls ? pem->cert.data : NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, tls ? pem->key.data : NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
		  (char *)(uintptr_t)priorities },
		{ MHD_OPTION_END, 0, NULL },
	};

	if (!tls)
		tls_options[0].option = MHD_OPTION_END;
	s->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET,
		fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_MAX_S,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, s->per_address_max,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, s,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
		MHD_OPTION_ARRAY, tls_options, MHD_OPTION_END);
	if (!s->daemon)
		return error_set(ERR_IO, "the HTTP server does not start%s",
				 tls ? " (certificate or key?)" : "");
	return 0;
}

static int watch_daemon(struct http_server *s)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	TRY(loop_watch(s->loop, info->epoll_fd, EPOLLIN, on_ready, s,
		       &s->watch));
	loop_before_wait(s->loop, before_wait, s);
	return 0;
}

static gnutls_datum_t datum_of(const struct buf *b)
{
	return (gnutls_datum_t){ b->data, (unsigned)b->len };
}

/* Whether the key is the certificate's, as what serves them reads them. */
static int check_pair(const struct http_config *config, const struct pem *pem)
{
	gnutls_datum_t cert = datum_of(&pem->cert);
	gnutls_datum_t key = datum_of(&pem->key);
	gnutls_certificate_credentials_t pair;
	int r = gnutls_certificate_allocate_credentials(&pair);

	if (r < 0)
		return error_set(ERR_CRYPTO, "TLS: %s", gnutls_strerror(r));
	r = gnutls_certificate_set_x509_key_mem(pair, &cert, &key,
						GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(pair);
	if (r < 0)
		return error_set(ERR_SYNTAX,
				 "'%s' and '%s' are no certificate and its "
				 "key: %s",
				 config->tls_cert, config->tls_key,
				 gnutls_strerror(r));
	return 0;
}

static int read_pem(const struct http_config *config, struct pem *pem)
{
	if (!config->tls_cert)
		return 0;
	if (!config->tls_key)
		return error_set(ERR_REFUSED, "a certificate without a key");
	TRY(file_read(config->tls_cert, &pem->cert));
	TRY(file_read_private(config->tls_key, &pem->key));
	if (!pem->cert.len || !pem->key.len)
		return error_set(ERR_IO, "certificate or key file is empty");
	return check_pair(config, pem);
}

/* All that can be known before anything is opened. */
static int check(const struct http_config *config, struct pem *pem)
{
	bool local;

	TRY(address_check(config->address, &local));
	if (!config->tls_cert && !local)
		return error_set(ERR_REFUSED,
				 "plain HTTP on %s: only loopback addresses "
				 "and Unix sockets go without TLS",
				 config->address);
	return read_pem(config, pem);
}

int http_check(const struct http_config *config)
{
	CLEANUP(pem_clear)
	struct pem pem = { BUF_INIT(PEM_MAX), BUF_INIT(PEM_MAX) };

	return check(config, &pem);
}

/* libmicrohttpd owns the socket from here on, also when it does not start. */
static int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static int start(struct http_server *s, const struct http_config *config)
{
	CLEANUP(pem_clear)
	struct pem pem = { BUF_INIT(PEM_MAX), BUF_INIT(PEM_MAX) };
	CLEANUP(fd_close_p) int fd = -1;

	TRY(check(config, &pem));
	TRY(address_listen(config->address, &fd));
	s->socket_path = mem_str(address_path(config->address));
	s->port = address_port(fd);
	TRY(start_daemon(s, take_fd(&fd), &pem));
	s->accepting = true;
	return watch_daemon(s);
}

int http_open(const struct http_config *config, struct http_server **ret_server)
{
	CLEANUP(http_close_p)
	struct http_server *s = mem_new(struct http_server);

	s->loop = config->loop;
	s->routes = config->routes;
	s->route_count = config->route_count;
	s->cookie = config->cookie;
	s->wait_ms = config->wait_ms ? config->wait_ms : HTTP_WAIT_MAX_MS;
	s->transfer_ms = config->transfer_ms ? config->transfer_ms
					     : HTTP_TRANSFER_MAX_MS;
	s->waits_max = config->waits_max ? config->waits_max : HTTP_WAITS_MAX;
	s->per_address_max = config->per_address_max
				     ? config->per_address_max
				     : HTTP_ADDRESS_CONNECTIONS_MAX;
	TRY(start(s, config));
	*ret_server = TAKE(s);
	return 0;
}

unsigned http_port(const struct http_server *s)
{
	return s->port;
}

static void remove_socket(struct http_server *s)
{
	if (s->socket_path)
		discard(unlink(s->socket_path));
	free(TAKE(s->socket_path));
}

/* The socket is ours again after this, and asked for twice it comes twice. */
static void stop_accepting(struct http_server *s)
{
	int fd = s->accepting ? MHD_quiesce_daemon(s->daemon) : -1;

	s->accepting = false;
	if (fd >= 0)
		discard(close(fd));
	remove_socket(s);
}

void http_drain(struct http_server *s, void (*done)(void *cookie), void *cookie)
{
	s->done = done;
	s->done_cookie = cookie;
	s->draining = true;
	s->drain_ends_ms = clock_boot_ms() + DRAIN_MS;
	stop_accepting(s);
	end_all_waits(s);
	check_drained(s);
	start_tick(s);
}

/* No connection may be suspended when the daemon stops. */
static void stop_daemon(struct http_server *s)
{
	stop_accepting(s);
	s->draining = true;
	s->drained = true;
	end_all_waits(s);
	run(s);
	loop_watch_end(s->watch);
	MHD_stop_daemon(TAKE(s->daemon));
}

void http_close(struct http_server *s)
{
	if (!s)
		return;
	if (s->daemon)
		stop_daemon(s);
	loop_timer_end(s->tick);
	loop_defer_end(s->loop, s);
	loop_before_wait_end(s->loop, before_wait, s);
	while (s->orphans.first)
		free_orphan(s->orphans.first);
	remove_socket(s);
	free(s);
}
