/*
 * The HTTP server: libmicrohttpd in external epoll mode on the loop's thread.
 * It limits, checks the framing that libmicrohttpd does not (RFC 9112), routes,
 * and hands whole requests to handlers, which reply now or later.
 *
 * What it cannot see: bare line feeds, folded header lines, and a NUL in a
 * header (which ends the value), all of which libmicrohttpd takes.  A proxy in
 * front must refuse or normalise them.
 *
 * The program ignores SIGPIPE.
 */
#pragma once

#include "base/buf.h"
#include "base/json.h"
#include "base/loop.h"

enum {
	HTTP_PARAMS_MAX = 4,
	HTTP_CONNECTIONS_MAX = 1024,
	HTTP_WAIT_MAX_MS = 35 * 1000, /* longest a reply may be outstanding */
	HTTP_WAITS_MAX = 768, /* requests handed over and not answered yet */
	/* One part in so many of them is not for calls that come with a token
	 * and would wait: whoever signs finds a place. */
	HTTP_RESERVE_PART = 6,
	HTTP_PRINCIPAL_WAITS_MAX = 96, /* of them, for one principal */
	HTTP_ADDRESS_CONNECTIONS_MAX = 512,
	/* Longest a request may take to arrive, and a reply to be read. */
	HTTP_TRANSFER_MAX_MS = 60 * 1000,
	HTTP_HEADERS_MAX = 4 * 1024, /* bytes of added response headers */
};

struct http_exchange; /* one request and its reply */

typedef void (*http_handler_fn)(struct http_exchange *x, void *cookie);

/* A row of the routing table; {name} segments become parameters, a last
 * segment {name...} takes the rest of the path. */
struct http_route {
	const char *method;
	const char *path;
	size_t body_max; /* bytes; 0: no body is accepted */
	http_handler_fn handler;
	const char *summary; /* for the OpenAPI document */
	/* The body is a form: the handler says itself what is wrong with its
	 * type.  All others take JSON. */
	bool form;
};

struct http_config {
	struct loop *loop;
	const char *address;  /* "127.0.0.1:8470", "[::1]:8470", "unix:PATH" */
	const char *tls_cert; /* PEM file, NULL for plain HTTP, which is only
				 taken on loopback and Unix sockets */
	const char *tls_key;
	const struct http_route *routes;
	size_t route_count;
	void *cookie;		  /* for all handlers */
	int64_t wait_ms;	  /* 0: HTTP_WAIT_MAX_MS */
	int64_t transfer_ms;	  /* 0: HTTP_TRANSFER_MAX_MS */
	size_t waits_max;	  /* 0: HTTP_WAITS_MAX */
	unsigned per_address_max; /* connections of one address; 0:
				     HTTP_ADDRESS_CONNECTIONS_MAX */
};

struct http_server;

/*
 * routes, cookie and loop are borrowed for the server's life.
 *
 * Errors: ERR_IO, ERR_SYNTAX (address), ERR_BUSY (the Unix socket is in use),
 * ERR_NOT_FOUND, ERR_LIMIT (certificate or key), ERR_REFUSED (plain HTTP
 * elsewhere than loopback, or a key that is open to others), ERR_CRYPTO.
 */
MUST_USE int http_open(const struct http_config *config,
		       struct http_server **ret_server);
/* What of that can be seen without opening anything: address, tls_cert and
 * tls_key are looked at.  Errors: as above, without ERR_BUSY. */
MUST_USE int http_check(const struct http_config *config);
/* The port that was bound (for ":0"), 0 for a Unix socket. */
unsigned http_port(const struct http_server *s);
/* Stops accepting, answers 503 to what waits and what still comes, then calls
 * done on the loop: when all is answered, at the latest after two seconds. */
void http_drain(struct http_server *s, void (*done)(void *cookie),
		void *cookie);
/* Ends all connections; what waits is told through its gone function.  The loop
 * must not run again after this (only be closed). */
void http_close(struct http_server *s);
DEFINE_CLEANUP(struct http_server *, http_close)

/* The request: borrowed until the reply is queued. */

/* "GET", "POST", ...; "HEAD" is served by GET rows. */
const char *http_method(const struct http_exchange *x);
/* As it was sent: not decoded, without the query. */
const char *http_path(const struct http_exchange *x);
/* A path parameter, decoded and free of control bytes; NULL if there is none.
 */
const char *http_param(const struct http_exchange *x, const char *name);
/* A query parameter; NULL if absent. */
const char *http_query(const struct http_exchange *x, const char *name);
/* A header; NULL if absent or given twice. */
const char *http_header(const struct http_exchange *x, const char *name);
/* How often a header is given. */
unsigned http_header_count(const struct http_exchange *x, const char *name);
struct slice http_body(const struct http_exchange *x);
/* "Bearer" token of Authorization (RFC 6750), empty if none. */
struct slice http_bearer(const struct http_exchange *x);
/* True if Authorization says Bearer and has no token that could be one. */
bool http_bearer_is_broken(const struct http_exchange *x);
/*
 * The certificates that the peer has shown in the TLS handshake, in DER, its
 * own first: it holds that one's key, and nothing else is known of them.
 * Borrowed until the reply is queued.  More than fit are counted as
 * HTTP_CHAIN_MAX.
 *
 * Returns how many; 0 without a certificate or without TLS.
 */
enum { HTTP_CHAIN_MAX = 16 };
size_t http_peer_chain(const struct http_exchange *x,
		       struct slice chain[HTTP_CHAIN_MAX]);
/* The matched row. */
const struct http_route *http_matched(const struct http_exchange *x);

/* True if the request came over a Unix socket. */
bool http_is_local(const struct http_exchange *x);

/*
 * Says for whom the exchange waits, if it will: the name is copied.  False if
 * HTTP_PRINCIPAL_WAITS_MAX of the same name wait already; then 503 "busy" has
 * been answered.
 */
bool http_set_principal(struct http_exchange *x, const char *name);

/* A number of the handler's own, to find what waits; 0 at first. */
void http_set_tag(struct http_exchange *x, void *tag);
void *http_tag(const struct http_exchange *x);
/*
 * Calls gone when the peer, the deadline or a drain ends a request that has no
 * reply yet.  gone may reply itself; else 503 is answered.  The exchange is no
 * more after the call.  Without a gone function the exchange stays until the
 * reply, which then goes nowhere.  A peer's leaving is seen about a second
 * late.
 */
void http_on_gone(struct http_exchange *x,
		  void (*gone)(struct http_exchange *x, void *cookie),
		  void *cookie);

/* The reply: exactly one per exchange, in the handler or later, always on the
 * loop's thread. */

/* Adds a response header before the reply; Cache-Control replaces "no-store".
 * A value with a control byte is left out. */
void http_add_header(struct http_exchange *x, const char *name,
		     const char *value);
/* body is copied. */
void http_reply(struct http_exchange *x, unsigned status, const char *type,
		struct slice body);
/* Takes ownership of value.  type: application/json. */
void http_reply_json(struct http_exchange *x, unsigned status, json_t *value);

/*
 * An RFC 9457 problem document.
 *
 * code: machine-readable word; detail: for the person; more: further members,
 * ownership taken, NULL for none.
 */
void http_reply_problem(struct http_exchange *x, unsigned status,
			const char *code, const char *detail, json_t *more);
