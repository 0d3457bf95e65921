/* /v1/requests: asking, waiting, signing, undoing. */
#include "api/call.h"
#include "govern/action.h"

static const struct schema detail_row = { "detail", SCHEMA_ANY };

static const struct schema parameter_rows[] = {
	{ "member", SCHEMA_TEXT, .min = 1, .max = 1024,
	  .help = "who is added or removed; of accounts there is none" },
	{ "login", SCHEMA_TEXT, .min = 1, .max = 256,
	  .help = "of a posixGroup's member whose account is gone; the one "
		  "that was lent, to take it back" },
	{ "credential", SCHEMA_TEXT, .min = 1, .max = 64,
	  .help = "that the authority issued, to take it back" },
	{ "publicKey", SCHEMA_TEXT, .min = 1, .max = 2048,
	  .help = "that an SSH certificate is for, as in its .pub file" },
	{ "scope", SCHEMA_TEXT, .min = 1, .max = 128,
	  .help = "of a token; the resource, if it is given at all" },
	{ "authorizationDetails", SCHEMA_LIST, .min = 1, .max = 16,
	  .rows = &detail_row,
	  .help = "what a token is narrowed to (RFC 9396), of type writ_task" },
	{ 0 },
};

static const struct schema evidence_members[] = {
	{ "kind", SCHEMA_ENUM, .required = true,
	  .choices = "ticket|justification|change_plan|rollback_plan|"
		     "risk_report|session_recording" },
	{ "reference", SCHEMA_TEXT, .required = true, .min = 1, .max = 128,
	  .help = "what it is called where the authority looks it up" },
	{ 0 },
};
static const struct schema evidence_row = { "evidence", SCHEMA_OBJECT,
					    .rows = evidence_members };

const struct schema body_request_create[] = {
	{ "task", SCHEMA_TEXT, .required = true, .min = 1, .max = 64 },
	{ "action", SCHEMA_ENUM, .required = true,
	  .choices = "AddToGroup|RemoveFromGroup|GrantRole|RevokeRole|"
		     "SuspendAccount|ResumeAccount|ReadEntitlements|"
		     "IssueCredential|RevokeCredential" },
	{ "target", SCHEMA_NAME, .required = true },
	{ "resource", SCHEMA_TEXT, .required = true, .min = 1, .max = 1024 },
	{ "parameters", SCHEMA_OBJECT, .required = true,
	  .rows = parameter_rows },
	{ "mode", SCHEMA_ENUM, .choices = "execute|recommend" },
	{ "ttl", SCHEMA_DURATION, .min = 0, .max = 365 * 86400,
	  .help = "how long what it grants may last; lowered where policy "
		  "says less" },
	{ "evidence", SCHEMA_LIST, .max = 4, .rows = &evidence_row,
	  .help = "what the authority looks up before it decides" },
	{ 0 },
};

const struct schema body_request_rollback[] = {
	{ "task", SCHEMA_TEXT, .min = 1, .max = 64,
	  .help = "an open task to do it in, if not the one it was done in" },
	{ "ttl", SCHEMA_DURATION, .min = 0, .max = 365 * 86400 },
	{ 0 },
};

/* What only reads has no parameters, gives no advice and lends nothing. */
static bool take_read(struct http_exchange *x, const json_t *body)
{
	if (json_object_size(json_object_in(body, "parameters")) > 0)
		call_refuse(x, "/parameters", "of what is read there are none");
	else if (!strcmp(json_text(body, "mode", ""), "recommend"))
		call_refuse(x, "/mode", "what only reads cannot be advised");
	else if (json_object_get(body, "ttl"))
		call_refuse(x, "/ttl", "nothing of what is read can last");
	else
		return true;
	return false;
}

static bool has_none(struct http_exchange *x, const json_t *parameters,
		     const char *const *names, size_t count, const char *detail)
{
	for (size_t i = 0; i < count; i++) {
		char at[64];

		if (!json_object_get(parameters, names[i]))
			continue;
		snprintf(at, sizeof(at), "/parameters/%s", names[i]);
		call_refuse(x, at, detail);
		return false;
	}
	return true;
}

/* Whom it is lent to is known, and what it is called follows from the request.
 */
static bool take_lent(struct http_exchange *x, const json_t *parameters)
{
	static const char *const foreign[] = { "member", "login",
					       "credential" };

	return has_none(x, parameters, foreign, ARRAY_LEN(foreign),
			"of what is lent there is none");
}

static bool take_lent_back(struct http_exchange *x, const json_t *parameters)
{
	if (json_object_size(parameters) == 1 &&
	    (json_object_get(parameters, "login") ||
	     json_object_get(parameters, "credential")))
		return true;
	call_refuse(x, "/parameters",
		    "names what was lent, its login or credential, alone");
	return false;
}

/* What is done to an account has no parameters, everything else a member. */
static bool take_change(struct http_exchange *x, const struct action *action,
			const json_t *parameters)
{
	static const char *const lent[] = { "credential", "publicKey", "scope",
					    "authorizationDetails" };
	bool of_account = !strcmp(action->resource_type, "Account");

	if (!has_none(x, parameters, lent, ARRAY_LEN(lent),
		      "only of what is lent"))
		return false;
	if (of_account && json_object_size(parameters) > 0) {
		call_refuse(x, "/parameters", "of an account there are none");
		return false;
	}
	if (!of_account && !json_object_get(parameters, "member")) {
		call_refuse(x, "/parameters/member", "is required");
		return false;
	}
	return true;
}

/* Whether the parameters are those of the action. */
static bool takes(struct http_exchange *x, const json_t *body)
{
	const struct action *action =
		action_find(json_text(body, "action", ""));
	const json_t *parameters = json_object_in(body, "parameters");

	if (!action) {
		call_refuse(x, "/action", "is not known");
		return false;
	}
	if (action->reads)
		return take_read(x, body);
	if (action->lends)
		return take_lent(x, parameters);
	if (action_takes_back_lent(action))
		return take_lent_back(x, parameters);
	return take_change(x, action, parameters);
}

static bool take_request(struct http_exchange *x, json_t **ret_body)
{
	CLEANUP(json_put_p) json_t *body = NULL;

	if (!call_body(x, body_request_create, &body) || !takes(x, body))
		return false;
	*ret_body = TAKE(body);
	return true;
}

void requests_create(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	struct acting acting;
	int64_t wait_ms;
	CLEANUP(json_put_p) json_t *body = NULL;

	if (!call_prove(api, x, AGENTS, &caller) ||
	    !call_acting(x, true, &acting) || !take_request(x, &body))
		return;
	wait_ms = call_wait_ms(x, 0);
	if (wait_ms >= 0)
		flow_request_create(api->flow, &caller, &acting, body, wait_ms,
				    call_reply(x));
}

void requests_explain(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	CLEANUP(json_put_p) json_t *body = NULL;

	if (call_prove(api, x, AGENTS, &caller) && take_request(x, &body))
		flow_explain(api->flow, &caller, body, call_reply(x));
}

void requests_list(struct http_exchange *x, void *cookie)
{
	call_list(cookie, x, ANYBODY, VIEW_REQUEST);
}

void requests_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	int64_t wait_ms;

	if (!call_prove(api, x, ANYBODY, &caller))
		return;
	wait_ms = call_wait_ms(x, 0);
	if (wait_ms >= 0)
		flow_request_wait(api->flow, &caller, http_param(x, "id"),
				  wait_ms, call_reply(x));
}

void requests_replay(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	/* Not a GET: that somebody looked is recorded. */
	if (call_prove(api, x, HUMANS, &caller) && call_no_body(x))
		flow_request_replay(api->flow, &caller, http_param(x, "id"),
				    call_reply(x));
}

void requests_secret(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	int64_t wait_ms;

	/* Not a GET: it is handed out once, and that is recorded. */
	if (!call_prove(api, x, AGENTS, &caller) || !call_no_body(x))
		return;
	wait_ms = call_wait_ms(x, 0);
	if (wait_ms >= 0)
		flow_secret(api->flow, &caller, http_param(x, "id"), wait_ms,
			    call_reply(x));
}

void requests_cancel(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, AGENTS, &caller) && call_no_body(x))
		flow_request_cancel(api->flow, &caller, http_param(x, "id"),
				    call_reply(x));
}

void requests_rollback(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	struct acting acting;
	int64_t wait_ms;
	CLEANUP(json_put_p) json_t *body = NULL;

	if (!call_prove(api, x, AGENTS, &caller) ||
	    !call_acting(x, true, &acting) ||
	    !call_body(x, body_request_rollback, &body))
		return;
	wait_ms = call_wait_ms(x, 0);
	if (wait_ms >= 0)
		flow_request_rollback(api->flow, &caller, &acting,
				      http_param(x, "id"), body, wait_ms,
				      call_reply(x));
}

void requests_sign(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_sign(api->flow, http_param(x, "id"), form, call_reply(x));
}

void requests_adopt(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_adopt(api->flow, http_param(x, "id"), form, call_reply(x));
}

void requests_resolve(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_resolve(api->flow, http_param(x, "id"), form,
			     call_reply(x));
}
