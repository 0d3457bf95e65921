/* /v1/signals, /v1/exceptions: what raises or lifts guards. */
#include "api/call.h"
#include "base/mem.h"

void signals_post(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_signal(api->flow, form, call_reply(x));
}

void signals_list(struct http_exchange *x, void *cookie)
{
	call_list(cookie, x, HUMANS, VIEW_SIGNAL);
}

void exceptions_post(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_exception_sign(api->flow, form, call_reply(x));
}

void exceptions_list(struct http_exchange *x, void *cookie)
{
	call_list(cookie, x, HUMANS, VIEW_EXCEPTION);
}

void exceptions_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, HUMANS, &caller))
		flow_view(api->flow, &caller, VIEW_EXCEPTION,
			  http_param(x, "id"), NULL, call_reply(x));
}

void exceptions_revoke(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_exception_revoke(api->flow, http_param(x, "id"), form,
				      call_reply(x));
}
