/* A connector at work: its configuration taken in, and its answers. */
#pragma once

#include "connect/protocol.h"
#include "connect/rpc.h"
#include "connectors/sdk/order.h"

struct server {
	const struct connector_ops *ops;
	void *self;
	json_t *config; /* owned */
	char build[DIGEST_TEXT_LEN];
	bool trusts; /* verifyOrders: false */
	struct note_vkey vkey;
	struct order_head head;
	struct seen *seen;	     /* owned */
	struct approvers *approvers; /* owned */
	json_t *always;		     /* owned */
	json_t *sandbox;	     /* owned; for describe, or NULL */
	struct order_rules rules;    /* borrows from the above */
};

/*
 * Takes the text of a configuration file and opens all it names.
 *
 * build: the program's digest, connect_build_of().
 * ret_server: filled in place, must not move; server_close(), also after an
 * error.
 * Errors: ERR_SYNTAX with "line:column", and whatever ops->open() says.
 */
MUST_USE int server_open(const struct connector_ops *ops, struct slice config,
			 const char *build, struct server *ret_server);
void server_close(struct server *server);

/*
 * Answers messages that came in together, in order; an rpc_together_fn, cookie
 * is the struct server.  All their orders are verified and written down as seen
 * first, with one sync, and then carried out.
 */
MUST_USE int server_answer(void *cookie, const struct slice *bodies,
			   size_t count, const struct rpc_sink *sink);

/* The text of the configuration that "a" or "a.b" names, borrowed; NULL if
 * there is none. */
const char *server_member(const json_t *config, const char *name);

/* The rows of the configuration that all kinds share, ended by one without a
 * name; for --help. */
const struct schema *server_common_rows(void);
