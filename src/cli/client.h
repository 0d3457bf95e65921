/*
 * Calls to the authority's API.  Only GETs are tried again; an acting call
 * carries an Idempotency-Key, so that a person can repeat it safely.
 */
#pragma once

#include "base/json.h"
#include "cli/settings.h"

enum {
	CLIENT_ANSWER_MAX = 32 << 20, /* bytes */
	CLIENT_TRIES = 3,	      /* of a GET */
};

struct client;

/*
 * s is borrowed and must outlive the client.
 * Errors: ERR_USAGE (no URL known), ERR_BROKEN (libcurl).
 */
MUST_USE int client_open(const struct settings *s, struct client **ret_client);
void client_close(struct client *c);
DEFINE_CLEANUP(struct client *, client_close)

/* The bearer token of the calls that follow; copied; NULL for none. */
void client_set_token(struct client *c, const char *token);

/* How long to wait before the first repetition; doubled after each. */
void client_set_retry_delay(struct client *c, int64_t delay_ms);

struct client_call {
	const char *method;	     /* "GET", "POST" */
	const char *path;	     /* from "/v1/...", already escaped */
	const json_t *body;	     /* NULL for none */
	const char *idempotency_key; /* NULL for none */
	int64_t wait_ms; /* how long the server may hold the call, beyond the
			    timeout of the settings */
};

struct client_answer {
	long status;
	json_t *json;	 /* owned; NULL if the body was no JSON */
	struct buf body; /* as it came */
	int64_t date_ms; /* the server's clock, 0 if it did not tell */
};

/*
 * Makes one call.  A status of 400 and above is an answer, not an error.
 *
 * ret_answer: released with client_answer_clear(); cleared when it fails.
 * Errors: ERR_UNAVAILABLE (no connection, time out, broken off), ERR_LIMIT,
 * ERR_SYNTAX (said to be JSON and is not).
 */
MUST_USE int client_call(struct client *c, const struct client_call *call,
			 struct client_answer *ret_answer);
void client_answer_clear(struct client_answer *a);

/* Percent-escapes one path segment or query value (RFC 3986); owned. */
char *client_escape(const char *text);
