#include "api/call.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum { BODY_MAX = 2 << 20, KEY_MAX = 128, WAIT_MAX_S = 30 };

/* ---- answers ---- */

/* Flow's words as statuses.  A problem's code comes with the answer. */
static const struct {
	unsigned status;
	const char *code; /* where the answer has none */
} statuses[ANSWER_KIND_COUNT] = {
	[ANSWER_OK] = { 200, NULL },
	[ANSWER_CREATED] = { 201, NULL },
	[ANSWER_WAITING] = { 202, NULL },
	[ANSWER_INVALID] = { 422, "invalid" },
	[ANSWER_MALFORMED] = { 400, "malformed" },
	[ANSWER_UNPROVED] = { 401, "unproved" },
	[ANSWER_DENIED] = { 403, "denied" },
	[ANSWER_NOT_FOUND] = { 404, "not-found" },
	[ANSWER_CONFLICT] = { 409, "conflict" },
	[ANSWER_MISMATCH] = { 422, "key-reused" },
	[ANSWER_BUSY] = { 503, "busy" },
	[ANSWER_UNAVAILABLE] = { 503, "unavailable" },
	[ANSWER_FULL] = { 507, "disk-full" },
	[ANSWER_LIMITED] = { 429, "quota" },
};

/* The exchange that waits; empty once the peer or the deadline ended it. */
struct ticket {
	struct http_exchange *exchange;
	bool gone;
};

static void exchange_gone(struct http_exchange *x, void *cookie)
{
	struct ticket *ticket = cookie;

	discard(x != NULL);
	ticket->gone = true;
	ticket->exchange = NULL;
}

static json_t *problem_members(const struct answer *a)
{
	json_t *more;

	if (!a->body)
		return NULL;
	more = json_object();
	if (a->kind == ANSWER_DENIED && json_text(a->body, "id", NULL))
		json_object_set(more, "request", a->body);
	else
		json_object_update(more, a->body);
	return more;
}

static void add_retry_after(struct http_exchange *x, const json_t *body)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld",
		 (long long)json_int(body, "retryAfter", 1));
	http_add_header(x, "Retry-After", text);
}

static void answered(void *cookie, const struct answer *a)
{
	struct ticket *ticket = cookie;
	struct http_exchange *x = ticket->exchange;
	unsigned status = statuses[a->kind].status;
	const char *code = a->code ? a->code : statuses[a->kind].code;

	if (x) {
		http_on_gone(x, NULL, NULL);
		if (status == 503 || status == 507)
			http_add_header(x, "Retry-After", "1");
		if (status == 429)
			add_retry_after(x, a->body);
		if (status == 401)
			http_add_header(x, "WWW-Authenticate",
					"Bearer realm=\"writ\"");
		if (status < 300)
			http_reply_json(x, status,
					a->body ? json_incref(a->body)
						: json_object());
		else
			http_reply_problem(x, status, code, a->detail,
					   problem_members(a));
	}
	free(ticket);
}

struct reply_to call_reply(struct http_exchange *x)
{
	struct ticket *ticket = mem_new(struct ticket);

	ticket->exchange = x;
	http_on_gone(x, exchange_gone, ticket);
	return (struct reply_to){ answered, ticket };
}

/* ---- reading a call ---- */

/* RFC 6750, section 3.1: a credential that is not in the form of one is a wrong
 * request; what is in that form and proves nobody is a wrong token; nothing at
 * all is neither. */
static void challenge(struct http_exchange *x, const char *error)
{
	CLEANUP(mem_free_p)
	char *value =
		error ? mem_format("Bearer realm=\"writ\", error=\"%s\"", error)
		      : mem_str("Bearer realm=\"writ\"");

	http_add_header(x, "WWW-Authenticate", value);
}

static void refuse_broken(struct http_exchange *x)
{
	challenge(x, "invalid_request");
	http_reply_problem(x, 400, "bearer",
			   "Authorization says Bearer and no single token "
			   "follows.",
			   NULL);
}

static void refuse_unproved(struct http_exchange *x, const char *class)
{
	json_t *more = json_object();
	const char *fault = NULL;

	if (!strcmp(class, "malformed") && http_bearer(x).len) {
		fault = jose_token_fault(http_bearer(x));
		json_set_text(more, "part",
			      fault ? fault
				    : "one of its claims is no such "
				      "claim");
	}
	json_set_text(more, "reason", class);
	json_set_text(more, "way_forward",
		      "Agents send a fresh JWT-SVID or OIDC token for this "
		      "audience or show an X.509-SVID, humans send a session "
		      "from /v1/login.");
	challenge(x, http_bearer(x).len ? "invalid_token" : NULL);
	http_reply_problem(x, 401, "unproved",
			   "Who asks is not proved by what was sent.", more);
}

/* One caller does not take the places of all. */
static bool may_wait(struct http_exchange *x, const struct caller *caller)
{
	CLEANUP(mem_free_p)
	char *name = mem_format(
		"%s:%s", caller->kind == CALLER_AGENT ? "agent" : "human",
		caller->name);

	return http_set_principal(x, name);
}

bool call_who(struct api *api, struct http_exchange *x,
	      struct caller *ret_caller, const char **ret_class)
{
	struct slice chain[HTTP_CHAIN_MAX];
	const struct proof proof = {
		.bearer = http_bearer(x),
		.chain = chain,
		.chain_count = http_peer_chain(x, chain),
	};

	return flow_prove(api->flow, &proof, ret_caller, ret_class);
}

bool call_prove(struct api *api, struct http_exchange *x, unsigned kinds,
		struct caller *ret_caller)
{
	const char *class = "";

	if (http_bearer_is_broken(x)) {
		refuse_broken(x);
		return false;
	}
	if (!call_who(api, x, ret_caller, &class)) {
		refuse_unproved(x, class);
		return false;
	}
	if (kinds & (1u << ret_caller->kind))
		return may_wait(x, ret_caller);
	http_reply_problem(x, 403, "wrong-caller",
			   kinds == AGENTS
				   ? "Only agents call this; people sign."
				   : "Only people read this.",
			   NULL);
	return false;
}

static void refuse_faults(struct http_exchange *x, json_t *owned_faults)
{
	json_t *more = json_object();

	json_set_new(more, "errors", owned_faults);
	http_reply_problem(x, 422, "invalid",
			   "The body is not right; nothing was done.", more);
}

void call_refuse(struct http_exchange *x, const char *at, const char *detail)
{
	json_t *faults = json_array();
	json_t *fault = json_object();

	json_set_text(fault, "at", at);
	json_set_text(fault, "detail", detail);
	json_array_append_new(faults, fault);
	refuse_faults(x, faults);
}

bool call_body(struct http_exchange *x, const struct schema *rows,
	       json_t **ret_body)
{
	CLEANUP(json_put_p) json_t *body = NULL;
	json_t *faults = NULL;
	int r = json_parse(http_body(x), BODY_MAX, &body);

	if (r < 0) {
		http_reply_problem(x, r == ERR_LIMIT ? 413 : 400,
				   r == ERR_LIMIT ? "too-large" : "not-json",
				   error_message(), NULL);
		return false;
	}
	schema_check(rows, body, NULL, &faults);
	if (json_array_size(faults)) {
		refuse_faults(x, faults);
		return false;
	}
	json_decref(faults);
	*ret_body = TAKE(body);
	return true;
}

const struct schema body_signed[] = {
	{ "statement", SCHEMA_TEXT, .required = true, .min = 2,
	  .max = STATEMENT_MAX, .choices = "multiline",
	  .help = "canonical JSON (RFC 8785), see docs/statements.md" },
	{ "signature", SCHEMA_TEXT, .required = true, .min = 2,
	  .max = SSHSIG_ARMOR_MAX, .choices = "multiline",
	  .help = "armored SSH signature of it" },
	{ 0 },
};

const struct schema body_none[] = { { 0 } };

bool call_no_body(struct http_exchange *x)
{
	CLEANUP(json_put_p) json_t *body = NULL;

	return !http_body(x).len || call_body(x, body_none, &body);
}

bool call_signed(struct http_exchange *x, json_t **ret_form)
{
	return call_body(x, body_signed, ret_form);
}

static bool key_is_fit(const char *key)
{
	size_t length = strlen(key);

	if (length == 0 || length > KEY_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (key[i] <= 0x20 || key[i] >= 0x7f)
			return false;
	}
	return true;
}

bool call_acting(struct http_exchange *x, bool required,
		 struct acting *ret_acting)
{
	const char *key = http_header(x, "Idempotency-Key");

	if (!key && required) {
		http_reply_problem(x, 400, "key-missing",
				   "This call needs an Idempotency-Key header.",
				   NULL);
		return false;
	}
	if (key && !key_is_fit(key)) {
		http_reply_problem(x, 400, "key",
				   "An Idempotency-Key is 1 to 128 visible "
				   "ASCII characters.",
				   NULL);
		return false;
	}
	*ret_acting = (struct acting){
		.route = http_path(x),
		.key = key,
		.body = digest_of(http_body(x)),
	};
	return true;
}

static bool page_limit(const char *text, unsigned *ret_limit)
{
	char *end = NULL;
	long limit;

	if (!text)
		return true;
	limit = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || limit < 1 || limit > PAGE_MAX)
		return false;
	*ret_limit = (unsigned)limit;
	return true;
}

bool call_limit(struct http_exchange *x, unsigned *ret_limit)
{
	if (page_limit(http_query(x, "limit"), ret_limit))
		return true;
	http_reply_problem(x, 400, "limit",
			   "limit is a number of rows, 1 to 500.", NULL);
	return false;
}

bool call_page(struct http_exchange *x, enum view view, struct page *ret_page)
{
	struct page page = { .state = http_query(x, "state"),
			     .after = http_query(x, "after") };

	if (!call_limit(x, &page.limit))
		return false;
	if (page.after && (!*page.after || strlen(page.after) > KEY_MAX)) {
		http_reply_problem(x, 400, "after",
				   "after is the \"next\" of the page before.",
				   NULL);
		return false;
	}
	if (page.state && view != VIEW_COUNT &&
	    !flow_view_has_state(view, page.state)) {
		http_reply_problem(x, 400, "state",
				   "There is no such state here.", NULL);
		return false;
	}
	*ret_page = page;
	return true;
}

void call_list(struct api *api, struct http_exchange *x, unsigned kinds,
	       enum view view)
{
	struct caller caller;
	struct page page;

	if (call_prove(api, x, kinds, &caller) && call_page(x, view, &page))
		flow_list(api->flow, &caller, view, &page, call_reply(x));
}

int64_t call_wait_ms(struct http_exchange *x, int64_t fallback_s)
{
	const char *text = http_query(x, "wait");
	char *end = NULL;
	long seconds;

	if (!text)
		return fallback_s * 1000;
	seconds = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || seconds > WAIT_MAX_S) {
		http_reply_problem(x, 400, "wait",
				   "wait is a number of seconds, 0 to 30.",
				   NULL);
		return -1;
	}
	return seconds * 1000;
}
