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
	{ "lease", SCHEMA_DURATION, .min = 5, .max = 3600,
	  .help = "it ends when this goes by without a renewal" },
	{ 0 },
};

static const struct schema effect_rows[] = {
	{ "target", SCHEMA_NAME, .required = true },
	{ "action", SCHEMA_TEXT, .required = true, .min = 1, .max = 64,
	  .help = "what was done, in the target's own word: INSERT, session" },
	{ "object", SCHEMA_TEXT, .min = 1, .max = 256, .help = "to what" },
	{ "count", SCHEMA_INT, .min = 0, .max = 1000 * 1000 * 1000,
	  .help = "how often" },
	{ "note", SCHEMA_TEXT, .min = 1, .max = 1024, .choices = "multiline" },
	{ 0 },
};

static const struct schema effect_row = { "effect", SCHEMA_OBJECT,
					  .rows = effect_rows };

const struct schema body_task_report[] = {
	{ "effects", SCHEMA_LIST, .required = true, .max = 256,
	  .rows = &effect_row,
	  .help = "what was done with what was lent; may be empty" },
	{ 0 },
};

static const struct schema action_row = { "action", SCHEMA_TEXT, .min = 1,
					  .max = 64 };

const struct schema body_task_delegate[] = {
	{ "agent", SCHEMA_NAME, .required = true,
	  .help = "who gets a part of the task" },
	{ "intent", SCHEMA_TEXT, .required = true, .min = 3, .max = 4096,
	  .choices = "multiline", .help = "what it is for, in words" },
	{ "actions", SCHEMA_LIST, .required = true, .min = 1, .max = 32,
	  .rows = &action_row, .help = "some of those of the task" },
	{ "targets", SCHEMA_LIST, .required = true, .min = 1, .max = 32,
	  .rows = &name_row, .help = "some of those of the task" },
	{ "ttl", SCHEMA_DURATION, .min = 1, .max = 30 * 86400,
	  .help = "how long it may last; no longer than the task" },
	{ "class", SCHEMA_NAME,
	  .help = "a narrower task class (default: that of the task)" },
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

void tasks_lease(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, AGENTS, &caller) && call_no_body(x))
		flow_task_lease(api->flow, &caller, http_param(x, "id"),
				call_reply(x));
}

/* What an agent says to its own task with a body. */
typedef void (*say_fn)(struct flow *f, const struct caller *caller,
		       const struct acting *acting, const char *task,
		       const json_t *body, struct reply_to reply);

static void say(struct http_exchange *x, struct api *api, bool key,
		const struct schema *rows, say_fn fn)
{
	struct caller caller;
	struct acting acting;
	CLEANUP(json_put_p) json_t *body = NULL;

	if (call_prove(api, x, AGENTS, &caller) &&
	    call_acting(x, key, &acting) && call_body(x, rows, &body))
		fn(api->flow, &caller, &acting, http_param(x, "id"), body,
		   call_reply(x));
}

void tasks_delegate(struct http_exchange *x, void *cookie)
{
	say(x, cookie, true, body_task_delegate, flow_task_delegate);
}

void tasks_report(struct http_exchange *x, void *cookie)
{
	say(x, cookie, false, body_task_report, flow_task_report);
}

void tasks_attach(struct http_exchange *x, void *cookie)
{
	say(x, cookie, false, body_task_attach, flow_task_attach);
}
