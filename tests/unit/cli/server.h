/*
 * A tiny HTTP server for tests: one thread, one connection after another, every
 * answer by a function of the test.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

enum { SERVER_PATH_MAX = 108 };

/* A request as it came in. */
struct server_request {
	const char *head; /* request line and headers */
	const char *body;
	unsigned number; /* from 0 */
};

/* How it is answered, if not with 200 and a JSON text. */
struct server_reply {
	int status;
	const char *type; /* media type */
	size_t len;	  /* of bytes that are no text, else 0 */
};

/* Returns an owned body, or NULL to hang up without an answer. */
typedef char *(*server_fn)(void *cookie, const struct server_request *request,
			   struct server_reply *reply);

struct server;

/* path: a Unix socket to listen on, or NULL for a port on 127.0.0.1. */
struct server *server_start(const char *path, server_fn fn, void *cookie);

/* "http://127.0.0.1:PORT" or "unix:PATH"; borrowed. */
const char *server_url(const struct server *s);

/* How many requests were answered or hung up on so far. */
unsigned server_count(struct server *s);

void server_stop(struct server *s);
