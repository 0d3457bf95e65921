/*
 * What the OAuth endpoints share (docs/oauth.md): forms, clients, proofs of
 * keys, errors as RFC 6749, 5.2 has them.
 */
#pragma once

#include "api/call.h"
#include "http/form.h"
#include "identity/dpop.h"

/* Beside an issuer's URL; a request that waits for people has its place among
 * those that are polled. */
struct oauth {
	char *issuer;
	char *token_url;
	char *revoke_url;
	char *introspect_url;
	char *jwks_url;
	const char *audiences[4]; /* of assertions, NULL-terminated */
	struct dpop *dpop;
	struct oauth_polls *polls;
};

/* issuer: NULL for an authority without these endpoints, then NULL comes back.
 * audience: the authority's own; borrowed. */
struct oauth *oauth_new(const char *issuer, const char *audience);
void oauth_free(struct oauth *o);

/* ---- oauth_call.c ---- */

/* Answers 404 if there are no such endpoints; returns false then. */
bool oauth_is_there(const struct api *api, struct http_exchange *x);

/*
 * Answers an error.
 *
 * error: as an RFC names it.
 * description: for the person; what may not stand there is replaced.
 * more: further members, ownership taken; NULL for none.
 */
void oauth_refuse(struct http_exchange *x, unsigned status, const char *error,
		  const char *description, json_t *more);
/* The same for a client that is not proved: 401. */
void oauth_refuse_client(struct http_exchange *x, const char *description);

/* The body as a form; answers 400 invalid_request and returns false if it is
 * not right.  ret_form: form_clear(). */
bool oauth_form(struct http_exchange *x, struct form *ret_form);

/*
 * Proves an agent by an assertion, empty for none, and the TLS certificate that
 * it shows.  Answers nothing but for a caller of whom too many calls wait.
 *
 * ret_class: why not, as flow_prove(); NULL if it was answered.
 */
bool oauth_prove(struct api *api, struct http_exchange *x,
		 struct slice assertion, struct caller *ret_caller,
		 const char **ret_class);

/*
 * The client of a form: client_assertion (RFC 7521, 4.2), or its certificate
 * (RFC 8705, 2); with client_id its own, if it is there.  Answers
 * invalid_request or invalid_client and returns false if it is not proved.
 */
bool oauth_client(struct api *api, struct http_exchange *x,
		  const struct form *form, struct caller *ret_caller);
/* client_id is the proved agent's, if it is there; else answers invalid_client.
 */
bool oauth_client_id(struct api *api, struct http_exchange *x,
		     const struct form *form, const struct caller *caller);

/*
 * What the token is to be bound to: the key of a DPoP proof, else that of the
 * TLS certificate, else nothing.  Answers invalid_dpop_proof or use_dpop_nonce
 * and returns false if a proof is not right.
 *
 * ret_cnf: owned, NULL for nothing.
 * ret_until_ms: when that certificate ends; 0 for none.
 */
bool oauth_binding(struct api *api, struct http_exchange *x,
		   const struct caller *caller, json_t **ret_cnf,
		   int64_t *ret_until_ms);

/* ---- oauth_details.c ---- */

/*
 * Reads authorization_details (RFC 9396, 2): a list of one object of type
 * writ_task.
 *
 * ret_detail: owned; NULL for a text of NULL.
 * Returns NULL, or what is wrong, owned.
 */
char *oauth_details(const char *text, json_t **ret_detail);

/* ---- oauth_poll.c: who asks how things stand, and how often ---- */

struct oauth_polls;

struct oauth_polls *oauth_polls_new(void);
void oauth_polls_free(struct oauth_polls *polls);

/*
 * Notes that a request was asked about and still waits.
 *
 * ret_interval_s: seconds to wait before the next time.
 * Returns false if that was too early (RFC 8628, 3.5: slow_down).
 */
bool oauth_poll(struct oauth_polls *polls, const char *request, int64_t boot_ms,
		int64_t *ret_interval_s);
