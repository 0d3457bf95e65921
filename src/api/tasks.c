/* /v1/tasks: opening, reading, attaching, completing. */
#include "api/call.h"

static const struct schema name_row = { "name", SCHEMA_NAME };

const struct schema body_task_open[] = {
	{ "class", SCHEMA_NAME, .required = true, .help = "the task class" },
	{ "intent", SCHEMA_TEXT, .required = true, .min = 3, .max = 4096,
	  .choices = "multiline", .help = "what it is for, in words" },
	{ "targets", SCHEMA_LIST, .required = true, .min = 1, .max = 32,
	  .rows = &name_row, .help = "the targets it will touch" },
	{ "ttl", SCHEMA_DURATION, .min = 1, .max = 30 * 86400,
	  .help = "how long it may last" },
	{ 0 },
};

const struct schema body_task_attach[] = {
	{ "kind", SCHEMA_ENUM, .required = true,
	  .choices = "prompt|tool_trace" },
	{ "content", SCHEMA_TEXT, .required = true, .min = 1, .max = 512 * 1024,
	  .choices = "multiline" },
	{ "tool", SCHEMA_TEXT, .min = 1, .max = 256 },
	{ 0 },
};

void tasks_open(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	struct acting acting;
	CLEANUP(json_put_p) json_t *body = NULL;

	if (call_prove(api, x, AGENTS, &caller) &&
	    call_acting(x, true, &acting) &&
	    call_body(x, body_task_open, &body))
		flow_task_open(api->flow, &caller, &acting, body,
			       call_reply(x));
}

void tasks_list(struct http_exchange *x, void *cookie)
{
	call_list(cookie, x, ANYBODY, VIEW_TASK);
}

void tasks_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, ANYBODY, &caller))
		flow_view(api->flow, &caller, VIEW_TASK, http_param(x, "id"),
			  NULL, call_reply(x));
}

void tasks_complete(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, AGENTS, &caller) && call_no_body(x))
		flow_task_complete(api->flow, &caller, http_param(x, "id"),
				   call_reply(x));
}

void tasks_attach(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	struct acting acting;
	CLEANUP(json_put_p) json_t *body = NULL;

	if (call_prove(api, x, AGENTS, &caller) &&
	    call_acting(x, false, &acting) &&
	    call_body(x, body_task_attach, &body))
		flow_task_attach(api->flow, &caller, &acting,
				 http_param(x, "id"), body, call_reply(x));
}
