/* /v1/requests: asking, waiting, signing, undoing. */
#include "api/call.h"
#include "govern/action.h"

static const struct schema parameter_rows[] = {
	{ "member", SCHEMA_TEXT, .min = 1, .max = 1024,
	  .help = "who is added or removed; of accounts there is none" },
	{ "login", SCHEMA_TEXT, .min = 1, .max = 256,
	  .help = "of a posixGroup's member whose account is gone" },
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
		     "SuspendAccount|ResumeAccount" },
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

/* What is done to an account has no parameters, everything else a member. */
static bool take_request(struct http_exchange *x, json_t **ret_body)
{
	CLEANUP(json_put_p) json_t *body = NULL;
	const json_t *parameters;
	const struct action *action;
	bool of_account;

	if (!call_body(x, body_request_create, &body))
		return false;
	action = action_find(json_text(body, "action", ""));
	parameters = json_object_in(body, "parameters");
	of_account = action && !strcmp(action->resource_type, "Account");
	if (of_account && json_object_size(parameters) > 0) {
		call_refuse(x, "/parameters", "of an account there are none");
		return false;
	}
	if (!of_account && !json_object_get(parameters, "member")) {
		call_refuse(x, "/parameters/member", "is required");
		return false;
	}
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
