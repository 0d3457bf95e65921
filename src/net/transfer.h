/*
 * What writd fetches, posts and mails: outgoing HTTPS and SMTP by libcurl's
 * multi interface on the loop's thread, each transfer within limits of size,
 * time and redirects.  Names are resolved in a thread of libcurl's; nothing
 * here blocks the loop.
 *
 * Where a transfer may go: to public addresses, and to an internal one (see
 * reach.h) only if the operator's configuration names it.  The address that is
 * really connected to is checked, each time and after each redirect, so that
 * what a name resolves to cannot change in between.  Everything goes through
 * TLS, except to loopback addresses that the configuration names.  Proxies,
 * .netrc and other variables of the environment are not looked at; no
 * connection, TLS session or name is kept for the next transfer.
 */
#pragma once

#include "base/loop.h"
#include "net/reach.h"

struct transfers; /* the place where they run */
struct transfer;  /* one that is under way */

enum {
	TRANSFER_BYTES_MAX = 1 << 20,	  /* of an answer's body, by default */
	TRANSFER_TIMEOUT_MS = 10 * 1000,  /* from start to end, by default */
	TRANSFER_HEADERS_MAX = 32 * 1024, /* bytes of an answer's header */
	TRANSFER_CONNECTIONS_MAX = 64,	  /* at once; the others wait */
	TRANSFER_TEXT_MAX = 256,	  /* bytes of a kept header or of why */
};

struct transfers_config {
	struct loop *loop;	   /* borrowed; outlives the transfers */
	const struct reach *reach; /* borrowed likewise; NULL: public only */
	const char *ca_file; /* PEM, copied; NULL: the system's authorities */
};

/* Errors: ERR_BROKEN (the library does not start). */
MUST_USE int transfers_open(const struct transfers_config *config,
			    struct transfers **ret_transfers);
/* Ends what is under way without telling anyone.  Accepts NULL; not from within
 * a callback of a transfer. */
void transfers_close(struct transfers *t);
DEFINE_CLEANUP(struct transfers *, transfers_close)

/*
 * Says whether the peer is who it should be, from its certificate chain: count
 * certificates in DER, its own first.  why: filled when it is not.
 */
typedef bool (*transfer_peer_fn)(void *cookie, const struct slice *chain,
				 size_t count, char why[TRANSFER_TEXT_MAX]);

/* One HTTP request.  All is copied but what says otherwise; what is zero has
 * its default. */
struct transfer_request {
	const char *method; /* NULL: "GET" */
	const char *url;    /* absolute; https, or http to a named loopback */
	const char *const *headers; /* "Name: value", NULL-terminated */
	struct slice body;	    /* wiped after use */
	const char *ca_file;	    /* PEM; NULL: that of the transfers */
	size_t bytes_max;	    /* of the answer's body */
	int64_t timeout_ms;	    /* for all of it */
	int redirects;		    /* GET only; followed to https alone */
	/* Decides alone on the peer's certificate instead of the authorities
	 * and the name in the URL.  The cookie is borrowed. */
	transfer_peer_fn peer;
	void *peer_cookie;
};

/* What came of a transfer; everything is borrowed during the callback. */
struct transfer_result {
	const char *why; /* NULL: a whole answer is there; else what failed */
	long status;	 /* of HTTP or SMTP, 0 if none came */
	struct slice body;
	char content_type[TRANSFER_TEXT_MAX]; /* "" if none, as all below */
	char location[TRANSFER_TEXT_MAX];
	int64_t fresh_s; /* by Cache-Control or Expires (RFC 9111, 4.2.1); -1:
			    nothing is said, 0: not to be kept */
	int64_t retry_after_s; /* -1: nothing is said */
};

typedef void (*transfer_done_fn)(void *cookie,
				 const struct transfer_result *result);

/*
 * Starts a transfer.  done is called once, on the loop, never within this call,
 * also when the request cannot be sent at all.  An answer with any status is an
 * answer; a 3xx that is not followed (304 aside) has why set.
 *
 * Returns a handle for transfer_cancel(), valid until done.
 */
struct transfer *transfer_start(struct transfers *t,
				const struct transfer_request *request,
				transfer_done_fn done, void *cookie);

/* One mail by SMTP (RFC 5321) with TLS: STARTTLS (RFC 3207) is demanded on
 * "smtp://", implicit on "smtps://". */
struct transfer_mail {
	const char *url;  /* "smtp://HOST[:PORT]" or "smtps://HOST[:PORT]" */
	const char *user; /* NULL: without authentication */
	const char *password;
	const char *from;      /* envelope address, without brackets */
	const char *const *to; /* the same, NULL-terminated, 1 to 100 */
	struct slice message;  /* RFC 5322, lines end in CR LF */
	const char *ca_file;   /* as above */
	int64_t timeout_ms;    /* for all of it */
	bool plain; /* without TLS and password; smtp:// to a named loopback */
};

/* As transfer_start(); why is NULL once the server has taken the message. */
struct transfer *transfer_mail(struct transfers *t,
			       const struct transfer_mail *mail,
			       transfer_done_fn done, void *cookie);

/* Ends a transfer whose done has not been called; it will not be. */
void transfer_cancel(struct transfer *transfer);

/*
 * Checks a URL's form: https, or http to a loopback address written as such; a
 * host, no user, no fragment, printable ASCII, at most 2048 bytes.
 * Errors: ERR_SYNTAX.
 */
MUST_USE int transfer_check_url(const char *url);

/*
 * The same for manifests and configuration, which are refused what could never
 * be fetched: http goes to a loopback address that reach names, and nowhere
 * else.  reach: NULL names none.
 * Errors: ERR_SYNTAX, ERR_REFUSED (http, and not named).
 */
MUST_USE int transfer_check_reach(const struct reach *reach, const char *url);

/* The same for a mail server's URL, and plain as in struct transfer_mail. */
MUST_USE int transfer_check_mail(const struct reach *reach, const char *url,
				 bool plain);

/* Where these may go; borrowed, NULL: public addresses only. */
const struct reach *transfers_reach(const struct transfers *t);

/* Whether a file can be what ca_file names: PEM with at least one certificate.
 * Errors: ERR_IO, ERR_NOT_FOUND, ERR_LIMIT, ERR_SYNTAX. */
MUST_USE int transfer_check_ca(const char *path);
