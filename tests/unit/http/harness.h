/* A server on a thread of its own, and a client that speaks raw bytes to it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/loop.h"
#include "http/server.h"

enum { HELD_MAX = 512, REPLY_MAX = 64 * 1024 };

struct harness {
	struct loop *loop;
	struct http_server *server;
	pthread_t thread;
	char address[128];
	/* What handlers hold; the loop's thread changes it. */
	struct http_exchange *held[HELD_MAX];
	size_t held_count;
	sem_t held_sem; /* one up for each that is held */
	sem_t gone_sem; /* one up for each that was told gone */
	sem_t done_sem; /* drained, or a posted call is through */
	bool reply_when_gone;
	atomic_uint turns; /* of the loop */
};

/* config: address, limits and certificate are used; NULL for the defaults. */
void harness_start(struct harness *h, const struct http_config *config);

/* Drains, stops and closes; fails the test if drained is not called. */
void harness_stop(struct harness *h);

/* Runs fn(h) on the loop's thread and waits until it is through. */
void harness_call(struct harness *h, void (*fn)(struct harness *h));

/* Replies 200 to everything that is held. */
void reply_to_held(struct harness *h);

void wait_for(sem_t *sem, unsigned count);

/* A connection that gives up after some seconds. */
int client_connect(const struct harness *h);
void client_send(int fd, const char *text);

struct reply {
	unsigned status;      /* 0: connection ended before a reply */
	char text[REPLY_MAX]; /* head and body */
	const char *body;     /* in text */
};

/* Reads one whole reply. */
void client_read(int fd, struct reply *r);

/* True if the peer has ended the connection and nothing more comes. */
bool client_at_end(int fd);

/* One request on a connection of its own. */
void client_ask(const struct harness *h, const char *request, struct reply *r);

/* The value of a header in r, into value; "" if absent. */
void reply_header(const struct reply *r, const char *name, char value[256]);
