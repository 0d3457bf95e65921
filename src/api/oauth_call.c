/* Who calls the OAuth endpoints, and how they are refused. */
#include <strings.h>

#include "api/oauth.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/url.h"
#include "crypto/digest.h"
#include "crypto/x509.h"

enum {
	PROOFS_MAX = 65536, /* that are remembered at once */
	DESCRIPTION_MAX = 512,
};

/* ---- the endpoints ---- */

static char *beside(const char *issuer, const char *path)
{
	CLEANUP(buf_clear) struct buf origin = BUF_INIT(URL_MAX + 1);

	discard(url_normalize(issuer, URL_ORIGIN, &origin));
	return mem_format("%s%s", buf_text(&origin), path);
}

struct oauth *oauth_new(const char *issuer, const char *audience)
{
	struct oauth *o;

	if (!issuer)
		return NULL;
	o = mem_new(struct oauth);
	o->issuer = mem_str(issuer);
	o->token_url = beside(issuer, "/oauth/token");
	o->revoke_url = beside(issuer, "/oauth/revoke");
	o->introspect_url = beside(issuer, "/oauth/introspect");
	o->jwks_url = beside(issuer, "/oauth/jwks");
	o->audiences[0] = o->issuer;
	o->audiences[1] = o->token_url;
	o->audiences[2] = audience;
	o->dpop = dpop_new(PROOFS_MAX, clock_wall_ms());
	o->polls = oauth_polls_new();
	return o;
}

void oauth_free(struct oauth *o)
{
	if (!o)
		return;
	free(o->issuer);
	free(o->token_url);
	free(o->revoke_url);
	free(o->introspect_url);
	free(o->jwks_url);
	dpop_free(o->dpop);
	oauth_polls_free(o->polls);
	free(o);
}

bool oauth_is_there(const struct api *api, struct http_exchange *x)
{
	if (api->oauth)
		return true;
	http_reply_problem(x, 404, "no-oauth",
			   "This authority gives no tokens: its configuration "
			   "names no issuer (oauth in writd.yaml).",
			   NULL);
	return false;
}

/* ---- errors ---- */

/* RFC 6749, 5.2: %x20-21 / %x23-5B / %x5D-7E. */
static void put_description(json_t *body, const char *description)
{
	char text[DESCRIPTION_MAX];
	size_t len = 0;

	for (; *description && len + 1 < sizeof(text); description++) {
		char c = *description;

		if (c == '"')
			c = '\'';
		else if (c < ' ' || c > '~' || c == '\\')
			c = '?';
		text[len++] = c;
	}
	text[len] = '\0';
	if (len)
		json_set_text(body, "error_description", text);
}

void oauth_refuse(struct http_exchange *x, unsigned status, const char *error,
		  const char *description, json_t *more)
{
	json_t *body = json_object();

	json_set_text(body, "error", error);
	put_description(body, description ? description : "");
	if (more)
		json_object_update(body, more);
	json_decref(more);
	http_add_header(x, "Pragma", "no-cache");
	http_reply_json(x, status, body);
}

/* A client that came with a scheme of HTTP is answered in it. */
void oauth_refuse_client(struct http_exchange *x, const char *description)
{
	const char *sent = http_header(x, "Authorization");
	bool basic = sent && !strncasecmp(sent, "Basic ", 6);

	http_add_header(x, "WWW-Authenticate",
			basic ? "Basic realm=\"writ\""
			      : "Bearer realm=\"writ\"");
	oauth_refuse(x, 401, "invalid_client", description, NULL);
}

/* ---- forms ---- */

static const char *const repeatable[] = { "resource", "audience", NULL };

bool oauth_form(struct http_exchange *x, struct form *ret_form)
{
	const char *why = "The body is a form: "
			  "application/x-www-form-urlencoded.";

	if (form_is_type(http_header(x, "Content-Type")))
		why = form_parse(http_body(x), repeatable, ret_form);
	if (!why)
		return true;
	oauth_refuse(x, 400, "invalid_request", why, NULL);
	return false;
}

/* ---- clients ---- */

/* One caller does not take the places of all. */
static bool may_wait(struct http_exchange *x, const struct caller *caller)
{
	CLEANUP(mem_free_p) char *name = mem_format("agent:%s", caller->name);

	return http_set_principal(x, name);
}

bool oauth_prove(struct api *api, struct http_exchange *x,
		 struct slice assertion, struct caller *ret_caller,
		 const char **ret_class)
{
	struct slice chain[HTTP_CHAIN_MAX];
	const struct proof proof = {
		.bearer = assertion,
		.chain = chain,
		.chain_count = http_peer_chain(x, chain),
		.audiences = api->oauth->audiences,
	};

	if (!flow_prove(api->flow, &proof, ret_caller, ret_class)) {
		if (assertion.len)
			flow_token_shown(api->flow, assertion);
		return false;
	}
	*ret_class = NULL;
	return may_wait(x, ret_caller);
}

static const struct {
	const char *type;
	bool spiffe; /* a JWT-SVID alone */
} assertion_types[] = {
	{ "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe", true },
	{ "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", false },
};

static bool is_svid(const char *assertion)
{
	CLEANUP(jose_token_clear) struct jose_token token = { 0 };

	return jose_token_parse_any(slice_str(assertion), &token) ==
		       JOSE_VALID &&
	       !strncmp(json_text(token.claims, "sub", ""), "spiffe://", 9);
}

/* What is wrong with the type of an assertion, or NULL; static text. */
static const char *type_fault(const char *type, const char *assertion)
{
	for (size_t i = 0; i < ARRAY_LEN(assertion_types); i++) {
		if (strcmp(type, assertion_types[i].type) != 0)
			continue;
		return assertion_types[i].spiffe && !is_svid(assertion)
			       ? "The client_assertion is no JWT-SVID."
			       : NULL;
	}
	return "The client_assertion_type is not known here.";
}

bool oauth_client_id(struct api *api, struct http_exchange *x,
		     const struct form *form, const struct caller *caller)
{
	const char *id = form_get(form, "client_id");

	if (!id || flow_agent_is(api->flow, caller->name, id))
		return true;
	flow_count_refusal(api->flow, "client-id");
	oauth_refuse_client(x, "The client_id is not that of the proved "
			       "agent.");
	return false;
}

/* The assertion of a form, NULL for none; answers and returns false if what is
 * there is not right. */
static bool take_assertion(struct http_exchange *x, const struct form *form,
			   const char **ret_assertion)
{
	const char *assertion = form_get(form, "client_assertion");
	const char *type = form_get(form, "client_assertion_type");
	const char *fault;

	*ret_assertion = assertion;
	if (!assertion != !type) {
		oauth_refuse(x, 400, "invalid_request",
			     "client_assertion and client_assertion_type come "
			     "together.",
			     NULL);
		return false;
	}
	if (form_get(form, "client_secret")) {
		oauth_refuse_client(x, "There are no client secrets here.");
		return false;
	}
	fault = assertion ? type_fault(type, assertion) : NULL;
	if (fault)
		oauth_refuse_client(x, fault);
	return !fault;
}

static void refuse_unproved(struct http_exchange *x, const char *class)
{
	CLEANUP(mem_free_p)
	char *words = mem_format(
		"Which agent this is, is not proved (%s): send a "
		"client_assertion for this authority alone, or show an "
		"X.509-SVID.",
		class);

	oauth_refuse_client(x, words);
}

bool oauth_client(struct api *api, struct http_exchange *x,
		  const struct form *form, struct caller *ret_caller)
{
	const char *assertion;
	const char *class = "";

	if (!take_assertion(x, form, &assertion))
		return false;
	if (!oauth_prove(api, x, slice_str(assertion), ret_caller, &class)) {
		if (class)
			refuse_unproved(x, class);
		return false;
	}
	return oauth_client_id(api, x, form, ret_caller);
}

/* ---- what a token is bound to ---- */

static void refuse_proof(struct api *api, struct http_exchange *x,
			 const struct caller *caller, enum dpop_verdict verdict)
{
	bool nonce = verdict == DPOP_NONCE;

	if (verdict == DPOP_FULL) {
		http_add_header(x, "Retry-After", "5");
		oauth_refuse(x, 503, "temporarily_unavailable",
			     dpop_verdict_words(verdict), NULL);
		return;
	}
	if (verdict == DPOP_REPLAYED)
		flow_replay(api->flow, caller, "proof");
	else if (!nonce)
		flow_count_refusal(api->flow, "proof");
	http_add_header(x, "DPoP-Nonce",
			dpop_nonce(api->oauth->dpop, clock_boot_ms()));
	oauth_refuse(x, 400, nonce ? "use_dpop_nonce" : "invalid_dpop_proof",
		     dpop_verdict_words(verdict), NULL);
}

static bool bind_to_proof(struct api *api, struct http_exchange *x,
			  const struct caller *caller, json_t **ret_cnf)
{
	const struct dpop_call call = {
		.method = http_method(x),
		.url = api->oauth->token_url,
		.now_ms = clock_wall_ms(),
		.boot_ms = clock_boot_ms(),
	};
	char thumbprint[JOSE_THUMBPRINT_LEN];
	enum dpop_verdict verdict =
		dpop_verify(api->oauth->dpop, slice_str(http_header(x, "DPoP")),
			    &call, thumbprint);

	if (verdict != DPOP_VALID) {
		refuse_proof(api, x, caller, verdict);
		return false;
	}
	*ret_cnf = json_object();
	json_set_text(*ret_cnf, "jkt", thumbprint);
	return true;
}

/* RFC 8705, 3.1; flow_prove() has found the certificate to be the agent's. */
static json_t *bind_to_certificate(struct slice der, int64_t *ret_until_ms)
{
	struct digest digest = digest_of(der);
	CLEANUP(mem_free_p)
	char *thumbprint = text_base64url(digest_slice(&digest));
	struct x509_leaf leaf;
	json_t *cnf = json_object();

	json_set_text(cnf, "x5t#S256", thumbprint);
	if (x509_read_leaf(der, &leaf) == X509_VALID)
		*ret_until_ms = leaf.until_ms;
	return cnf;
}

bool oauth_binding(struct api *api, struct http_exchange *x,
		   const struct caller *caller, json_t **ret_cnf,
		   int64_t *ret_until_ms)
{
	struct slice chain[HTTP_CHAIN_MAX];
	size_t count = http_peer_chain(x, chain);

	*ret_cnf = NULL;
	*ret_until_ms = 0;
	if (http_header_count(x, "DPoP") > 0)
		return bind_to_proof(api, x, caller, ret_cnf);
	if (count)
		*ret_cnf = bind_to_certificate(chain[0], ret_until_ms);
	return true;
}
