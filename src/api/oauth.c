/* /.well-known/oauth-authorization-server, /oauth/jwks, /oauth/revoke,
 * /oauth/introspect: what is known of tokens, and their end. */
#include "api/oauth.h"

#include "base/mem.h"

const struct schema form_about_token[] = {
	{ "token", SCHEMA_TEXT, .required = true, .min = 1,
	  .max = JOSE_TOKEN_MAX, .help = "the token, or its jti to revoke it" },
	{ "token_type_hint", SCHEMA_TEXT, .min = 1, .max = 64 },
	{ "client_assertion", SCHEMA_TEXT, .min = 1, .max = JOSE_TOKEN_MAX,
	  .help = "of the agent; or Authorization: Bearer, or an X.509-SVID" },
	{ "client_assertion_type", SCHEMA_TEXT, .min = 1, .max = 256 },
	{ "client_id", SCHEMA_TEXT, .min = 1, .max = SPIFFE_ID_MAX },
	{ 0 },
};

static const char cached[] = "public, max-age=300";

/* ---- metadata (RFC 8414) ---- */

static json_t *texts(const char *const *list)
{
	json_t *array = json_array();

	for (; *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

static const char *const grants[] = {
	"client_credentials",
	"urn:ietf:params:oauth:grant-type:jwt-bearer",
	"urn:ietf:params:oauth:grant-type:token-exchange",
	NULL,
};
static const char *const nothing[] = { NULL };
static const char *const token_clients[] = {
	"spiffe_jwt",	   "spiffe_x509", "private_key_jwt",
	"tls_client_auth", "none",	  NULL
};
static const char *const clients[] = { "spiffe_jwt", "spiffe_x509",
				       "private_key_jwt", "tls_client_auth",
				       NULL };
static const char *const detail_types[] = { "writ_task", NULL };

static const struct {
	const char *name;
	const char *const *values;
} lists[] = {
	{ "grant_types_supported", grants },
	{ "response_types_supported", nothing },
	{ "token_endpoint_auth_methods_supported", token_clients },
	{ "token_endpoint_auth_signing_alg_values_supported", jose_algorithms },
	{ "introspection_endpoint_auth_methods_supported", clients },
	{ "introspection_endpoint_auth_signing_alg_values_supported",
	  jose_algorithms },
	{ "revocation_endpoint_auth_methods_supported", clients },
	{ "revocation_endpoint_auth_signing_alg_values_supported",
	  jose_algorithms },
	{ "dpop_signing_alg_values_supported", jose_algorithms },
	{ "authorization_details_types_supported", detail_types },
};

static json_t *metadata_of(const struct oauth *o)
{
	json_t *body = json_object();

	json_set_text(body, "issuer", o->issuer);
	json_set_text(body, "token_endpoint", o->token_url);
	json_set_text(body, "jwks_uri", o->jwks_url);
	json_set_text(body, "revocation_endpoint", o->revoke_url);
	json_set_text(body, "introspection_endpoint", o->introspect_url);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		json_set_new(body, lists[i].name, texts(lists[i].values));
	json_set_flag(body, "tls_client_certificate_bound_access_tokens", true);
	return body;
}

/* The path of an issuer, "" if it has none. */
static const char *path_of(const char *issuer)
{
	const char *path = strchr(strstr(issuer, "://") + 3, '/');

	return path ? path + 1 : "";
}

/* Section 3.1: the well-known part stands before the issuer's path, and there
 * is no other issuer here. */
void oauth_metadata(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	const char *path = http_param(x, "path");

	if (!oauth_is_there(api, x))
		return;
	if (strcmp(path ? path : "", path_of(api->oauth->issuer)) != 0) {
		http_reply_problem(x, 404, "no-such-issuer",
				   "This authority has no such issuer.", NULL);
		return;
	}
	http_add_header(x, "Cache-Control", cached);
	http_reply_json(x, 200, metadata_of(api->oauth));
}

/* RFC 7517, 5: all keys that have signed what may still count. */
void oauth_jwks(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	const json_t *keys = flow_jwks(api->flow);
	json_t *body;

	if (!oauth_is_there(api, x))
		return;
	body = json_object();
	json_set_new(body, "keys", json_deep_copy(json_array_in(keys, "keys")));
	if (!json_array_in(body, "keys"))
		json_set_new(body, "keys", json_array());
	http_add_header(x, "Cache-Control", cached);
	http_reply_json(x, 200, body);
}

/* ---- those who ask about tokens ---- */

static void refuse_bearer(struct http_exchange *x, const char *class)
{
	CLEANUP(mem_free_p)
	char *words =
		mem_format("The bearer token proves no agent (%s).", class);

	http_add_header(x, "WWW-Authenticate",
			"Bearer realm=\"writ\", error=\"invalid_token\"");
	oauth_refuse(x, 401, "invalid_token", words, NULL);
}

/* RFC 6750, 2.1, as everywhere in this interface; or as at the token
 * endpoint. */
static bool prove_asker(struct api *api, struct http_exchange *x,
			const struct form *form, struct caller *ret)
{
	struct slice bearer = http_bearer(x);
	const char *class = "";

	if (!http_header_count(x, "Authorization"))
		return oauth_client(api, x, form, ret);
	if (!bearer.len) {
		oauth_refuse_client(x, "Only Bearer is taken.");
		return false;
	}
	if (form_get(form, "client_assertion")) {
		oauth_refuse(x, 400, "invalid_request",
			     "A client proves itself in one way.", NULL);
		return false;
	}
	if (oauth_prove(api, x, bearer, ret, &class))
		return oauth_client_id(api, x, form, ret);
	if (class)
		refuse_bearer(x, class);
	return false;
}

/* The token of a form; answers if there is none. */
static const char *token_of(struct http_exchange *x, const struct form *form)
{
	const char *token = form_get(form, "token");

	if (!token)
		oauth_refuse(x, 400, "invalid_request", "token is missing.",
			     NULL);
	return token;
}

/* The exchange that waits; empty once the peer or the deadline ended it. */
struct ticket {
	struct http_exchange *exchange;
};

static void exchange_gone(struct http_exchange *x UNUSED, void *cookie)
{
	struct ticket *ticket = cookie;

	ticket->exchange = NULL;
}

static void refuse_busy(struct http_exchange *x, const struct answer *a)
{
	http_add_header(x, "Retry-After", "1");
	oauth_refuse(x, 503, "temporarily_unavailable", a->detail, NULL);
}

static void answered(void *cookie, const struct answer *a)
{
	struct ticket *ticket = cookie;
	struct http_exchange *x = ticket->exchange;

	free(ticket);
	if (!x)
		return;
	http_on_gone(x, NULL, NULL);
	if (a->kind == ANSWER_OK)
		http_reply_json(x, 200,
				a->body ? json_incref(a->body) : json_object());
	else if (a->kind == ANSWER_DENIED)
		oauth_refuse(x, 400, "invalid_grant", a->detail, NULL);
	else
		refuse_busy(x, a);
}

static struct reply_to reply_to_asker(struct http_exchange *x)
{
	struct ticket *ticket = mem_new(struct ticket);

	ticket->exchange = x;
	http_on_gone(x, exchange_gone, ticket);
	return (struct reply_to){ answered, ticket };
}

typedef void (*asking_fn)(struct flow *f, const struct caller *caller,
			  const char *token, struct reply_to reply);

/* A hint (token_type_hint) says nothing here: there is one kind of tokens. */
static void ask(struct http_exchange *x, struct api *api, asking_fn fn)
{
	CLEANUP(form_clear) struct form form = { .count = 0 };
	struct caller caller;
	const char *token;

	if (!oauth_is_there(api, x) || !oauth_form(x, &form) ||
	    !prove_asker(api, x, &form, &caller))
		return;
	token = token_of(x, &form);
	if (token)
		fn(api->flow, &caller, token, reply_to_asker(x));
}

void oauth_introspect(struct http_exchange *x, void *cookie)
{
	ask(x, cookie, flow_introspect);
}

void oauth_revoke(struct http_exchange *x, void *cookie)
{
	ask(x, cookie, flow_token_revoke);
}
