/*
 * /oauth/token: three grants, one kind of token.
 *
 *   form -> who (by the grant's own rule) -> bound to what -> flow_token()
 */
#include "api/oauth.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/url.h"
#include "crypto/jose.h"

#define GRANT "urn:ietf:params:oauth:grant-type:"
#define TOKEN_TYPE "urn:ietf:params:oauth:token-type:"

static const char access_token[] = TOKEN_TYPE "access_token";

struct grant {
	const char *type;
	/* Proves who asks; answers and returns false if nobody is proved. */
	bool (*prove)(struct api *api, struct http_exchange *x,
		      const struct form *form, struct caller *ret_caller);
	const char *error; /* of an assertion that has served */
	unsigned status;
	bool exchange; /* a subject_token comes with it */
};

/* What may be sent; schema of the document alone, for what is not known is
 * passed over (RFC 6749, 3.2). */
const struct schema form_token[] = {
	{ "grant_type", SCHEMA_ENUM, .required = true,
	  .choices = "client_credentials|" GRANT "jwt-bearer|" GRANT
		     "token-exchange" },
	{ "assertion", SCHEMA_TEXT, .min = 1, .max = JOSE_TOKEN_MAX,
	  .help = "of jwt-bearer: a JWT-SVID or OIDC token of the agent" },
	{ "client_assertion", SCHEMA_TEXT, .min = 1, .max = JOSE_TOKEN_MAX,
	  .help = "the same, of the others; or an X.509-SVID in the "
		  "handshake" },
	{ "client_assertion_type", SCHEMA_TEXT, .min = 1, .max = 256 },
	{ "client_id", SCHEMA_TEXT, .min = 1, .max = SPIFFE_ID_MAX,
	  .help = "the agent's SPIFFE ID, or its sub" },
	{ "subject_token", SCHEMA_TEXT, .min = 1, .max = JOSE_TOKEN_MAX,
	  .help = "of token-exchange: a token of the task above" },
	{ "subject_token_type", SCHEMA_TEXT, .min = 1, .max = 256 },
	{ "actor_token", SCHEMA_TEXT, .min = 1, .max = JOSE_TOKEN_MAX,
	  .help = "of token-exchange: as assertion" },
	{ "actor_token_type", SCHEMA_TEXT, .min = 1, .max = 256 },
	{ "requested_token_type", SCHEMA_TEXT, .min = 1, .max = 256 },
	{ "authorization_details", SCHEMA_TEXT, .min = 2, .max = 16 * 1024,
	  .help = "JSON: a list of one object of type writ_task" },
	{ "resource", SCHEMA_TEXT, .min = 1, .max = 2048,
	  .help = "URL of whom the token is for" },
	{ "audience", SCHEMA_TEXT, .min = 1, .max = 2048,
	  .help = "the same, or the name of the target" },
	{ "scope", SCHEMA_TEXT, .min = 1, .max = 1024,
	  .help = "a role of the target" },
	{ "request_id", SCHEMA_TEXT, .min = 1, .max = 64,
	  .help = "what was asked before, to redeem it" },
	{ "ttl", SCHEMA_DURATION, .min = 1, .max = 3600,
	  .help = "how long the token counts (5m)" },
	{ 0 },
};

/* A call that waits for its token. */
struct asking {
	struct api *api;
	struct http_exchange *exchange; /* NULL once the peer is gone */
	const struct grant *grant;
	struct caller caller;
};

/* ---- who asks ---- */

/* RFC 7523, 2.1: the assertion is all the authentication there is. */
static bool prove_bearer(struct api *api, struct http_exchange *x,
			 const struct form *form, struct caller *ret_caller)
{
	const char *assertion = form_get(form, "assertion");
	CLEANUP(mem_free_p) char *words = NULL;
	const char *class = "";

	if (!assertion || form_get(form, "client_assertion")) {
		oauth_refuse(x, 400, "invalid_request",
			     assertion ? "The assertion proves the client: "
					 "send no client_assertion."
				       : "assertion is missing.",
			     NULL);
		return false;
	}
	if (oauth_prove(api, x, slice_str(assertion), ret_caller, &class))
		return oauth_client_id(api, x, form, ret_caller);
	if (!class)
		return false;
	words = mem_format("The assertion proves no agent (%s).", class);
	oauth_refuse(x, 400, "invalid_grant", words, NULL);
	return false;
}

static const char *const actor_types[] = { TOKEN_TYPE "jwt",
					   TOKEN_TYPE "id_token" };
static const char *const subject_types[] = { TOKEN_TYPE "access_token",
					     TOKEN_TYPE "jwt" };

static bool is_among(const char *text, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(text, list[i]))
			return true;
	}
	return false;
}

/* What is wrong with the types of an exchange (RFC 8693, 2.1), or NULL. */
static const char *exchange_fault(const struct form *form)
{
	const char *subject = form_get(form, "subject_token_type");
	const char *actor = form_get(form, "actor_token_type");
	const char *wanted = form_get(form, "requested_token_type");

	if (!form_get(form, "subject_token") || !subject)
		return "subject_token and subject_token_type are wanted.";
	if (!form_get(form, "actor_token") != !actor)
		return "actor_token and actor_token_type come together.";
	if (!is_among(subject, subject_types, ARRAY_LEN(subject_types)))
		return "The subject_token is an access token of this "
		       "authority.";
	if (actor && !is_among(actor, actor_types, ARRAY_LEN(actor_types)))
		return "The actor_token is a JWT-SVID or an OIDC token.";
	if (wanted && strcmp(wanted, access_token) != 0 &&
	    strcmp(wanted, TOKEN_TYPE "jwt") != 0)
		return "Only access tokens are made here.";
	if (actor && form_get(form, "client_assertion"))
		return "The actor_token proves the client: send no "
		       "client_assertion.";
	return NULL;
}

/* RFC 8693, 2.1: whom the token is for acts for whom subject_token names. */
static bool prove_actor(struct api *api, struct http_exchange *x,
			const struct form *form, struct caller *ret_caller)
{
	const char *fault = exchange_fault(form);
	const char *actor = form_get(form, "actor_token");
	CLEANUP(mem_free_p) char *words = NULL;
	const char *class = "";

	if (fault) {
		oauth_refuse(x, 400, "invalid_request", fault, NULL);
		return false;
	}
	if (!actor)
		return oauth_client(api, x, form, ret_caller);
	if (oauth_prove(api, x, slice_str(actor), ret_caller, &class))
		return oauth_client_id(api, x, form, ret_caller);
	if (!class)
		return false;
	words = mem_format("The actor_token proves no agent (%s).", class);
	oauth_refuse(x, 400, "invalid_request", words, NULL);
	return false;
}

static const struct grant grants[] = {
	{ "client_credentials", oauth_client, "invalid_client", 401, false },
	{ GRANT "jwt-bearer", prove_bearer, "invalid_grant", 400, false },
	{ GRANT "token-exchange", prove_actor, "invalid_request", 400, true },
};

/* ---- the token ---- */

static int64_t seconds_left(const json_t *claims)
{
	int64_t left = json_int(claims, "exp", 0) - clock_wall_ms() / 1000;

	return left > 0 ? left : 0;
}

/* RFC 6749, 5.1; RFC 8693, 2.2.1; RFC 9396, 7; RFC 9449, 5. */
static void reply_token(struct asking *asking, const json_t *body)
{
	CLEANUP(jose_token_clear) struct jose_token token = { 0 };
	json_t *text = json_object_get(json_object_in(body, "secret"), "token");
	json_t *out = json_object();
	bool bound;

	discard(jose_token_parse(slice_str(json_string_value(text)), &token));
	bound = json_text(json_object_in(token.claims, "cnf"), "jkt", NULL);
	json_object_set(out, "access_token", text);
	json_set_text(out, "token_type", bound ? "DPoP" : "Bearer");
	json_set_int(out, "expires_in", seconds_left(token.claims));
	json_set_text(out, "scope", json_text(token.claims, "scope", NULL));
	if (json_object_get(token.claims, "authorization_details"))
		json_object_set(
			out, "authorization_details",
			json_object_get(token.claims, "authorization_details"));
	if (asking->grant->exchange)
		json_set_text(out, "issued_token_type", access_token);
	json_set_text(out, "request_id", json_text(body, "request", NULL));
	http_add_header(asking->exchange, "Pragma", "no-cache");
	http_reply_json(asking->exchange, 200, out);
}

/* ---- why there is none ---- */

/* Flow's codes in the words of RFC 6749, 5.2, 8628, 3.5, 8707, 2 and 9396, 5;
 * what is not here is invalid_grant. */
static const struct {
	const char *code;
	const char *error;
} errors[] = {
	{ "which-task", "invalid_request" },
	{ "task", "invalid_authorization_details" },
	{ "details", "invalid_authorization_details" },
	{ "target", "invalid_target" },
	{ "target-not-declared", "invalid_target" },
	{ "scope", "invalid_scope" },
	{ "binding", "invalid_request" },
	{ "ttl", "invalid_request" },
	{ "subject", "invalid_request" },
	{ "expired", "expired_token" },
};

static const char *error_of(const char *code)
{
	for (size_t i = 0; code && i < ARRAY_LEN(errors); i++) {
		if (!strcmp(code, errors[i].code))
			return errors[i].error;
	}
	return "invalid_grant";
}

static json_t *about_request(const struct answer *a)
{
	json_t *more = json_object();

	json_set_text(more, "request_id", json_text(a->body, "id", NULL));
	return more;
}

/* People are asked: by its id the request can be redeemed later. */
static void reply_pending(struct asking *asking, const struct answer *a)
{
	json_t *more = about_request(a);
	int64_t interval_s;
	int64_t expires_ms;
	bool early = !oauth_poll(asking->api->oauth->polls,
				 json_text(a->body, "id", ""), clock_boot_ms(),
				 &interval_s);

	json_set_int(more, "interval", interval_s);
	if (clock_parse(json_text(a->body, "expires", ""), &expires_ms) == 0)
		json_set_int(more, "expires_in",
			     (expires_ms - clock_wall_ms()) / 1000);
	oauth_refuse(asking->exchange, 400,
		     early ? "slow_down" : "authorization_pending",
		     "People are asked. Come again with request_id, after "
		     "interval seconds.",
		     more);
}

static void reply_replayed(struct asking *asking)
{
	flow_replay(asking->api->flow, &asking->caller, "assertion");
	if (asking->grant->status == 401)
		oauth_refuse_client(asking->exchange,
				    "The client_assertion has served "
				    "already.");
	else
		oauth_refuse(asking->exchange, asking->grant->status,
			     asking->grant->error,
			     "The assertion has served already.", NULL);
}

static void reply_limited(struct asking *asking, const struct answer *a)
{
	char seconds[24];

	snprintf(seconds, sizeof(seconds), "%lld",
		 (long long)json_int(a->body, "retryAfter", 1));
	http_add_header(asking->exchange, "Retry-After", seconds);
	oauth_refuse(asking->exchange, a->kind == ANSWER_LIMITED ? 429 : 503,
		     "temporarily_unavailable", a->detail, NULL);
}

static void reply_answer(struct asking *asking, const struct answer *a)
{
	switch (a->kind) {
	case ANSWER_OK:
	case ANSWER_CREATED:
		reply_token(asking, a->body);
		return;
	case ANSWER_WAITING:
		reply_pending(asking, a);
		return;
	case ANSWER_DENIED:
		oauth_refuse(asking->exchange, 400, "access_denied", a->detail,
			     about_request(a));
		return;
	case ANSWER_UNPROVED:
		reply_replayed(asking);
		return;
	case ANSWER_BUSY:
	case ANSWER_UNAVAILABLE:
	case ANSWER_LIMITED:
	case ANSWER_FULL:
		reply_limited(asking, a);
		return;
	case ANSWER_INVALID:
	case ANSWER_MALFORMED:
	case ANSWER_NOT_FOUND:
	case ANSWER_CONFLICT:
	case ANSWER_MISMATCH:
	case ANSWER_KIND_COUNT:
		break;
	}
	oauth_refuse(asking->exchange, 400, error_of(a->code), a->detail, NULL);
}

/* Nobody is there to take it: it is not left lying about. */
static void give_back(struct asking *asking, const struct answer *a)
{
	const char *token =
		json_text(json_object_in(a->body, "secret"), "token", NULL);

	if (a->kind == ANSWER_OK && token)
		flow_token_revoke(asking->api->flow, &asking->caller, token,
				  (struct reply_to){ NULL, NULL });
}

static void answered(void *cookie, const struct answer *a)
{
	struct asking *asking = cookie;

	if (asking->exchange) {
		http_on_gone(asking->exchange, NULL, NULL);
		reply_answer(asking, a);
	} else {
		give_back(asking, a);
	}
	free(asking);
}

static void exchange_gone(struct http_exchange *x UNUSED, void *cookie)
{
	struct asking *asking = cookie;

	asking->exchange = NULL;
}

/* ---- what is asked ---- */

/* Whether a text is an absolute URI without a fragment (RFC 8707, 2). */
static bool is_resource(const char *text)
{
	size_t scheme = strcspn(text, ":/?#");

	return scheme > 0 && text[scheme] == ':' && !strchr(text, '#');
}

/* The one value of a field that may be repeated; NULL if it is not there.
 * Answers and returns false if its values differ. */
static bool take_same(struct http_exchange *x, const struct form *form,
		      const char *name, const char **ret_value)
{
	*ret_value = form_get(form, name);
	for (unsigned i = 0; i < form->count; i++) {
		if (strcmp(form->fields[i].name, name) != 0 ||
		    !strcmp(form->fields[i].value, *ret_value))
			continue;
		oauth_refuse(x, 400, "invalid_target",
			     "A token is for one target: ask for each by "
			     "itself.",
			     NULL);
		return false;
	}
	return true;
}

static bool take_targets(struct http_exchange *x, const struct form *form,
			 struct token_ask *ask)
{
	if (!take_same(x, form, "resource", &ask->resource) ||
	    !take_same(x, form, "audience", &ask->audience))
		return false;
	if (!ask->resource || is_resource(ask->resource))
		return true;
	oauth_refuse(x, 400, "invalid_target",
		     "resource is an absolute URI without a fragment.", NULL);
	return false;
}

static bool take_detail(struct http_exchange *x, const struct form *form,
			json_t **ret_detail)
{
	CLEANUP(mem_free_p)
	char *why = oauth_details(form_get(form, "authorization_details"),
				  ret_detail);

	if (why)
		oauth_refuse(x, 400, "invalid_authorization_details", why,
			     NULL);
	return !why;
}

static void ask_flow(struct api *api, struct http_exchange *x,
		     const struct grant *grant, const struct caller *caller,
		     const struct token_ask *ask)
{
	struct asking *asking = mem_new(struct asking);

	*asking = (struct asking){ api, x, grant, *caller };
	http_on_gone(x, exchange_gone, asking);
	flow_token(api->flow, caller, ask,
		   (struct reply_to){ answered, asking });
}

static const struct grant *grant_of(struct api *api, struct http_exchange *x,
				    const struct form *form)
{
	const char *type = form_get(form, "grant_type");

	for (size_t i = 0; type && i < ARRAY_LEN(grants); i++) {
		if (!strcmp(type, grants[i].type))
			return &grants[i];
	}
	flow_count_refusal(api->flow, "unknown-grant");
	oauth_refuse(x, 400,
		     type ? "unsupported_grant_type" : "invalid_request",
		     type ? "There is no such grant here."
			  : "grant_type is missing.",
		     NULL);
	return NULL;
}

/* What is sent in HTTP's own way proves nobody at this endpoint. */
static bool has_scheme(struct http_exchange *x)
{
	if (!http_header_count(x, "Authorization"))
		return false;
	oauth_refuse_client(x, "Clients prove themselves by a "
			       "client_assertion or a certificate, not by "
			       "Authorization.");
	return true;
}

void oauth_token(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(form_clear) struct form form = { .count = 0 };
	CLEANUP(json_put_p) json_t *detail = NULL;
	CLEANUP(json_put_p) json_t *cnf = NULL;
	struct token_ask ask = { 0 };
	const struct grant *grant;
	struct caller caller;

	if (!oauth_is_there(api, x) || !oauth_form(x, &form))
		return;
	grant = grant_of(api, x, &form);
	if (!grant || has_scheme(x) || !grant->prove(api, x, &form, &caller) ||
	    !take_targets(x, &form, &ask) || !take_detail(x, &form, &detail) ||
	    !oauth_binding(api, x, &caller, &cnf, &ask.not_after_ms))
		return;
	ask.request = form_get(&form, "request_id");
	ask.scope = form_get(&form, "scope");
	ask.ttl = form_get(&form, "ttl");
	ask.detail = detail;
	ask.cnf = cnf;
	if (grant->exchange)
		ask.subject = form_get(&form, "subject_token");
	ask_flow(api, x, grant, &caller, &ask);
}
