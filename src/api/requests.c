/* /v1/requests: asking, waiting, signing, undoing. */
#include "api/call.h"

static const struct schema parameter_rows[] = {
	{ "member", SCHEMA_TEXT, .required = true, .min = 1, .max = 1024,
	  .help = "who is added or removed" },
	{ 0 },
};

const struct schema body_request_create[] = {
	{ "task", SCHEMA_TEXT, .required = true, .min = 1, .max = 64 },
	{ "action", SCHEMA_ENUM, .required = true,
	  .choices = "AddToGroup|RemoveFromGroup" },
	{ "target", SCHEMA_NAME, .required = true },
	{ "resource", SCHEMA_TEXT, .required = true, .min = 1, .max = 1024 },
	{ "parameters", SCHEMA_OBJECT, .required = true,
	  .rows = parameter_rows },
	{ "mode", SCHEMA_ENUM, .choices = "execute|recommend" },
	{ "ttl", SCHEMA_DURATION, .min = 0, .max = 365 * 86400,
	  .help = "how long what it grants may last; lowered where policy "
		  "says less" },
	{ 0 },
};

const struct schema body_request_rollback[] = {
	{ "task", SCHEMA_TEXT, .min = 1, .max = 64,
	  .help = "an open task to do it in, if not the one it was done in" },
	{ "ttl", SCHEMA_DURATION, .min = 0, .max = 365 * 86400 },
	{ 0 },
};

void requests_create(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	struct acting acting;
	int64_t wait_ms;
	CLEANUP(json_put_p) json_t *body = NULL;

	if (!call_prove(api, x, AGENTS, &caller) ||
	    !call_acting(x, true, &acting) ||
	    !call_body(x, body_request_create, &body))
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

	if (call_prove(api, x, AGENTS, &caller) &&
	    call_body(x, body_request_create, &body))
		flow_explain(api->flow, &caller, body, call_reply(x));
}

void requests_list(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, ANYBODY, &caller))
		flow_view(api->flow, &caller, VIEW_REQUEST, NULL,
			  http_query(x, "state"), call_reply(x));
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
