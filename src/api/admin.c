/* /v1/changes, inventory, containments, policy, targets, grants. */
#include "api/call.h"
#include "base/mem.h"

static const struct schema any_row = { "manifest", SCHEMA_ANY };

const struct schema body_change[] = {
	{ "manifests", SCHEMA_LIST, .required = true, .min = 1, .max = 1024,
	  .rows = &any_row },
	{ "dryRun", SCHEMA_FLAG, .help = "only show what would change" },
	{ "prune", SCHEMA_FLAG,
	  .help = "what is not listed is removed, once what it holds has "
		  "ended" },
	{ "signed", SCHEMA_OBJECT, .rows = body_signed },
	{ 0 },
};

const struct schema body_activate[] = {
	{ "bundle", SCHEMA_NAME, .required = true },
	{ "signed", SCHEMA_OBJECT, .required = true, .rows = body_signed },
	{ 0 },
};

static const struct schema file_row = { "text", SCHEMA_TEXT, .max = 256 * 1024,
					.choices = "multiline" };

static const struct schema bundle_files[] = {
	{ "schema", SCHEMA_TEXT, .required = true, .max = 256 * 1024,
	  .choices = "multiline" },
	{ "policies", SCHEMA_MAP, .required = true, .max = 64,
	  .rows = &file_row, .help = "texts by file name" },
	{ "invariants", SCHEMA_TEXT, .required = true, .max = 256 * 1024,
	  .choices = "multiline" },
	{ "templates", SCHEMA_TEXT, .required = true, .max = 256 * 1024,
	  .choices = "multiline" },
	{ 0 },
};

const struct schema body_simulate[] = {
	{ "bundle", SCHEMA_NAME, .help = "the name of a staged bundle, or" },
	{ "files", SCHEMA_OBJECT, .rows = bundle_files,
	  .help = "a bundle that is not staged" },
	{ "from", SCHEMA_INT, .help = "first leaf to look at (0)" },
	{ "to", SCHEMA_INT, .help = "leaf to end before (all)" },
	{ "limit", SCHEMA_INT, .min = 1, .max = SIMULATE_MAX,
	  .help = "decisions to make again (1000)" },
	{ 0 },
};

static bool change_is_fit(struct http_exchange *x, const json_t *body)
{
	bool preview = json_flag(body, "dryRun", false);

	if (!preview && !json_object_get(body, "signed")) {
		http_reply_problem(x, 422, "unsigned",
				   "A change carries a signed statement, or "
				   "says dryRun.",
				   NULL);
		return false;
	}
	return true;
}

void changes_post(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	CLEANUP(json_put_p) json_t *body = NULL;
	const json_t *manifests;

	if (!call_body(x, body_change, &body) || !change_is_fit(x, body))
		return;
	manifests = json_object_get(body, "manifests");
	if (!json_flag(body, "dryRun", false))
		flow_change_propose(
			api->flow, manifests, json_flag(body, "prune", false),
			json_object_get(body, "signed"), call_reply(x));
	else if (call_prove(api, x, HUMANS, &caller))
		flow_change_preview(api->flow, manifests,
				    json_flag(body, "prune", false),
				    call_reply(x));
}

void changes_list(struct http_exchange *x, void *cookie)
{
	call_list(cookie, x, HUMANS, VIEW_CHANGE);
}

void changes_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, HUMANS, &caller))
		flow_view(api->flow, &caller, VIEW_CHANGE, http_param(x, "id"),
			  NULL, call_reply(x));
}

void changes_sign(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_change_sign(api->flow, http_param(x, "id"), form,
				 call_reply(x));
}

void inventory_list(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	struct page page;

	if (call_prove(api, x, HUMANS, &caller) &&
	    call_page(x, VIEW_COUNT, &page))
		flow_inventory_list(api->flow, &caller, http_param(x, "kind"),
				    &page, call_reply(x));
}

void inventory_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, HUMANS, &caller))
		flow_inventory(api->flow, &caller, http_param(x, "kind"),
			       http_param(x, "name"), call_reply(x));
}

void containments_post(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_contain(api->flow, form, call_reply(x));
}

void containments_list(struct http_exchange *x, void *cookie)
{
	call_list(cookie, x, HUMANS, VIEW_CONTAINMENT);
}

void containments_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, HUMANS, &caller))
		flow_view(api->flow, &caller, VIEW_CONTAINMENT,
			  http_param(x, "id"), NULL, call_reply(x));
}

void containments_release(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_release(api->flow, http_param(x, "id"), form,
			     call_reply(x));
}

void policy_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, HUMANS, &caller))
		flow_policy(api->flow, &caller, call_reply(x));
}

void policy_activate(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *body = NULL;

	if (call_body(x, body_activate, &body))
		flow_activate(api->flow, json_text(body, "bundle", ""),
			      json_object_get(body, "signed"), call_reply(x));
}

void policy_simulate(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	CLEANUP(json_put_p) json_t *body = NULL;

	if (!call_prove(api, x, HUMANS, &caller) ||
	    !call_body(x, body_simulate, &body))
		return;
	if (!json_object_get(body, "bundle") == !json_object_get(body, "files"))
		call_refuse(x, "/bundle",
			    "name a staged bundle, or send files");
	else
		flow_simulate(api->flow, &caller, body, call_reply(x));
}

void targets_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, ANYBODY, &caller))
		flow_target(api->flow, http_param(x, "name"), call_reply(x));
}

void targets_drill(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_drill(api->flow, http_param(x, "name"), form,
			   call_reply(x));
}

enum { CURSOR_MAX = 8 * 1024, DISCOVERED = 200 /* rows of a page */ };

void targets_discovery(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	const char *after = http_query(x, "after");
	unsigned limit = DISCOVERED;
	struct caller caller;

	if (!call_prove(api, x, HUMANS, &caller) || !call_limit(x, &limit))
		return;
	if (after && (!*after || strlen(after) > CURSOR_MAX)) {
		http_reply_problem(x, 400, "after",
				   "after is the \"next\" of the page before.",
				   NULL);
		return;
	}
	flow_discover(api->flow, &caller, http_param(x, "name"), after, limit,
		      call_reply(x));
}

void grants_list(struct http_exchange *x, void *cookie)
{
	call_list(cookie, x, ANYBODY, VIEW_GRANT);
}

void grants_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, ANYBODY, &caller))
		flow_view(api->flow, &caller, VIEW_GRANT, http_param(x, "id"),
			  NULL, call_reply(x));
}

void grants_end(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_grant_end(api->flow, http_param(x, "id"), form,
			       call_reply(x));
}

void notifications_list(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, HUMANS, &caller))
		flow_notifications(api->flow, &caller, http_query(x, "state"),
				   call_reply(x));
}

void notifications_act(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_notification_act(api->flow, http_param(x, "id"), form,
				      call_reply(x));
}
