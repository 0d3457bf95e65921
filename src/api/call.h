/*
 * What the handlers of this folder share: reading a call, answering it.
 */
#pragma once

#include "api/api.h"
#include "base/schema.h"

struct api {
	struct flow *flow;
	struct evidence *evidence;
	char *origin;
	char *audience;
	char *openapi;	     /* the document's text */
	json_t *sandbox;     /* owned */
	struct oauth *oauth; /* oauth.h; NULL: no tokens are made */
};

/* Where flow's answer to this exchange goes.  The reply is dropped quietly if
 * the peer is gone by then. */
struct reply_to call_reply(struct http_exchange *x);

/* Proves the caller by the token and the TLS certificate that it shows; answers
 * nothing.  ret_class: as flow_prove(). */
bool call_who(struct api *api, struct http_exchange *x,
	      struct caller *ret_caller, const char **ret_class);

/* Proves the caller; answers 401 or 403 and returns false if it is not one of
 * the wanted kinds (a mask of 1 << CALLER_...), 503 if too many of its calls
 * wait already. */
bool call_prove(struct api *api, struct http_exchange *x, unsigned kinds,
		struct caller *ret_caller);

/* Parses the body and checks it by rows; answers 400 or 422 and returns false
 * if it is not right.  ret_body: owned. */
bool call_body(struct http_exchange *x, const struct schema *rows,
	       json_t **ret_body);

/* Answers 422 with one fault at a place of the body (a JSON pointer). */
void call_refuse(struct http_exchange *x, const char *at, const char *detail);

/* For a call that says all in its path: the body is empty or {}; answers 400 or
 * 422 and returns false if it is not. */
bool call_no_body(struct http_exchange *x);

/* As call_body() for a signed form alone: {"statement", "signature"}. */
bool call_signed(struct http_exchange *x, json_t **ret_form);

/* Idempotency-Key and body; answers 400 and returns false when the key is
 * required and missing, or not 1 to 128 visible characters. */
bool call_acting(struct http_exchange *x, bool required,
		 struct acting *ret_acting);

/* ?limit= of rows; ret_limit is left as it is without one.  Answers 400 and
 * returns false for what is no number from 1 to 500. */
bool call_limit(struct http_exchange *x, unsigned *ret_limit);

/* Milliseconds of ?wait=SECONDS, 0 to 30 s; -1 after answering 400. */
int64_t call_wait_ms(struct http_exchange *x, int64_t fallback_s);

/* ?state=, ?after= and ?limit= of a list (VIEW_COUNT: one without states);
 * answers 400 and returns false if they are not right. */
bool call_page(struct http_exchange *x, enum view view, struct page *ret_page);

/* Proves the caller as call_prove() does and answers a page of a list. */
void call_list(struct api *api, struct http_exchange *x, unsigned kinds,
	       enum view view);

enum {
	AGENTS = 1 << CALLER_AGENT,
	HUMANS = 1 << CALLER_HUMAN,
	ANYBODY = AGENTS | HUMANS,
};

/* The shapes of bodies; also the source of the OpenAPI document. */
extern const struct schema body_none[];
extern const struct schema body_signed[];
extern const struct schema body_task_open[];
extern const struct schema body_task_attach[];
extern const struct schema body_task_delegate[];
extern const struct schema body_task_report[];
extern const struct schema body_request_create[];
extern const struct schema body_request_rollback[];
extern const struct schema body_change[];
extern const struct schema body_activate[];
extern const struct schema body_simulate[];
/* The same of forms. */
extern const struct schema form_token[];
extern const struct schema form_about_token[];

/* One file per surface. */
void tasks_open(struct http_exchange *x, void *cookie);
void tasks_list(struct http_exchange *x, void *cookie);
void tasks_show(struct http_exchange *x, void *cookie);
void tasks_complete(struct http_exchange *x, void *cookie);
void tasks_attach(struct http_exchange *x, void *cookie);
void tasks_delegate(struct http_exchange *x, void *cookie);
void tasks_lease(struct http_exchange *x, void *cookie);
void tasks_report(struct http_exchange *x, void *cookie);

void requests_create(struct http_exchange *x, void *cookie);
void requests_list(struct http_exchange *x, void *cookie);
void requests_show(struct http_exchange *x, void *cookie);
void requests_secret(struct http_exchange *x, void *cookie);
void requests_cancel(struct http_exchange *x, void *cookie);
void requests_rollback(struct http_exchange *x, void *cookie);
void requests_sign(struct http_exchange *x, void *cookie);
void requests_adopt(struct http_exchange *x, void *cookie);
void requests_resolve(struct http_exchange *x, void *cookie);
void requests_explain(struct http_exchange *x, void *cookie);
void requests_replay(struct http_exchange *x, void *cookie);

void people_login(struct http_exchange *x, void *cookie);
void people_whoami(struct http_exchange *x, void *cookie);
void people_vouch(struct http_exchange *x, void *cookie);
void approvals_list(struct http_exchange *x, void *cookie);
void approvals_show(struct http_exchange *x, void *cookie);

void changes_post(struct http_exchange *x, void *cookie);
void changes_list(struct http_exchange *x, void *cookie);
void changes_show(struct http_exchange *x, void *cookie);
void changes_sign(struct http_exchange *x, void *cookie);
void inventory_list(struct http_exchange *x, void *cookie);
void inventory_show(struct http_exchange *x, void *cookie);
void containments_post(struct http_exchange *x, void *cookie);
void containments_list(struct http_exchange *x, void *cookie);
void containments_show(struct http_exchange *x, void *cookie);
void containments_release(struct http_exchange *x, void *cookie);
void policy_show(struct http_exchange *x, void *cookie);
void policy_activate(struct http_exchange *x, void *cookie);
void policy_simulate(struct http_exchange *x, void *cookie);
void targets_show(struct http_exchange *x, void *cookie);
void targets_drill(struct http_exchange *x, void *cookie);
void targets_discovery(struct http_exchange *x, void *cookie);
void grants_list(struct http_exchange *x, void *cookie);
void grants_show(struct http_exchange *x, void *cookie);
void grants_end(struct http_exchange *x, void *cookie);

void notifications_list(struct http_exchange *x, void *cookie);
void notifications_act(struct http_exchange *x, void *cookie);

void signals_post(struct http_exchange *x, void *cookie);
void signals_list(struct http_exchange *x, void *cookie);
void exceptions_post(struct http_exchange *x, void *cookie);
void exceptions_list(struct http_exchange *x, void *cookie);
void exceptions_show(struct http_exchange *x, void *cookie);
void exceptions_revoke(struct http_exchange *x, void *cookie);

void evidence_show(struct http_exchange *x, void *cookie);
void evidence_proof(struct http_exchange *x, void *cookie);
void evidence_disclose_leaf(struct http_exchange *x, void *cookie);
void subjects_erase(struct http_exchange *x, void *cookie);
void erasures_list(struct http_exchange *x, void *cookie);
void log_file(struct http_exchange *x, void *cookie);
void ssh_krl(struct http_exchange *x, void *cookie);
void ssh_authorities(struct http_exchange *x, void *cookie);
void health_show(struct http_exchange *x, void *cookie);
void authority_show(struct http_exchange *x, void *cookie);
void openapi_show(struct http_exchange *x, void *cookie);

void oauth_metadata(struct http_exchange *x, void *cookie);
void oauth_jwks(struct http_exchange *x, void *cookie);
void oauth_token(struct http_exchange *x, void *cookie);
void oauth_revoke(struct http_exchange *x, void *cookie);
void oauth_introspect(struct http_exchange *x, void *cookie);
