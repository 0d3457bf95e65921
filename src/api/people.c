/* /v1/login, /v1/approvals, /v1/vouchers: what people do and are asked. */
#include "api/call.h"

void people_login(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_login(api->flow, form, call_reply(x));
}

void people_whoami(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	json_t *body;

	if (!call_prove(api, x, ANYBODY, &caller))
		return;
	body = json_object();
	json_set_text(body, "kind",
		      caller.kind == CALLER_AGENT ? "agent" : "human");
	json_set_text(body, "name", caller.name);
	http_reply_json(x, 200, body);
}

void people_vouch(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_vouch(api->flow, form, call_reply(x));
}

void approvals_list(struct http_exchange *x, void *cookie)
{
	call_list(cookie, x, HUMANS, VIEW_APPROVAL);
}

void approvals_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, HUMANS, &caller))
		flow_view(api->flow, &caller, VIEW_APPROVAL,
			  http_param(x, "id"), NULL, call_reply(x));
}
