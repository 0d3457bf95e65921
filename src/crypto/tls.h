/*
 * TLS connections whose peer is judged by us.  The context is libssl's, handed
 * through by the library that connects (libcurl).
 */
#pragma once

#include "base/slice.h"

enum { TLS_CHAIN_MAX = 10 }; /* certificates of a peer */

/*
 * Says whether a peer may go on, by its certificates in DER, its own first;
 * they are valid during the call.
 */
typedef bool (*tls_peer_fn)(void *cookie, const struct slice *chain,
			    size_t count);

/* What tls_ask() leaves in the context; outlives its connections. */
struct tls_judge {
	tls_peer_fn fn;
	void *cookie;
};

/*
 * Makes the connections of an SSL_CTX that verify their peer ask the judge, and
 * nobody else, whether its certificate is right.  A peer with more than
 * TLS_CHAIN_MAX certificates is refused unasked.
 */
void tls_ask(void *ssl_ctx, struct tls_judge *judge);

/* Whether text is PEM (RFC 7468) with at least one certificate, and all of them
 * can be read.  Errors: ERR_SYNTAX. */
MUST_USE int tls_check_authorities(struct slice pem);
