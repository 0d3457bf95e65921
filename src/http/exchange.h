/*
 * The inside of an exchange, shared by server.c (which moves it through its
 * phases) and exchange.c (what handlers see of it).  Not for other layers.
 */
#pragma once

#include <microhttpd.h>

#include "http/router.h"
#include "http/server.h"

enum exchange_phase {
	EXCHANGE_HEAD,	   /* the request line is there */
	EXCHANGE_BODY,	   /* the head is right, the body comes in */
	EXCHANGE_TOO_LONG, /* the body is over its limit and dropped */
	EXCHANGE_HANDLING, /* within the handler */
	EXCHANGE_WAITING,  /* suspended, in the server's list */
	EXCHANGE_REPLIED,  /* response is set or queued */
	EXCHANGE_ORPHAN,   /* connection gone; the handler still holds it */
};

/* One connection. */
struct http_peer {
	struct http_peer *previous, *next;
	int fd;
	bool handling;	  /* not transferring anything */
	int64_t since_ms; /* boot clock: when this transfer began */
};

struct http_exchange {
	struct http_server *server;
	struct MHD_Connection *connection;
	struct http_peer *peer;
	struct http_exchange *previous, *next; /* waiting or orphans */
	enum exchange_phase phase;
	bool owed; /* the handler was told nothing and may still reply */
	bool has_body;
	bool close; /* end the connection after the reply */
	const char *method;
	struct target target;
	const char *target_fault; /* NULL: none */
	struct route_match match;
	struct buf body;
	size_t dropped;		       /* bytes of a body that is not wanted */
	struct buf headers;	       /* "name\0value\0" and so on */
	struct MHD_Response *response; /* owned until it is queued */
	unsigned status;
	char principal[80]; /* for whom it waits; "" if nobody said */
	void *tag;
	void (*gone)(struct http_exchange *x, void *cookie);
	void *gone_cookie;
	int64_t began_ms; /* boot clock: handed over */
	char memory[];	  /* of target */
};

/* server.c: takes ownership of response. */
void exchange_finish(struct http_exchange *x, unsigned status,
		     struct MHD_Response *response);

/* exchange.c: releases everything. */
void exchange_free(struct http_exchange *x);
