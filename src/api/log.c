/* /v1/evidence, /log/: leaves, proofs, tiles; and what strangers may know. */
#include "api/call.h"

#include "base/error.h"
#include "base/mem.h"

enum { FILE_MAX = 32 << 20 };

/* The leaf index of the path; answers 404 if it is none. */
static bool index_of(struct http_exchange *x, uint64_t *ret_index)
{
	const char *text = http_param(x, "index");
	char *end = NULL;

	if (text && *text >= '0' && *text <= '9' && strlen(text) < 19) {
		*ret_index = strtoull(text, &end, 10);
		if (!*end)
			return true;
	}
	http_reply_problem(x, 404, "not-found", "There is no such leaf.", NULL);
	return false;
}

void evidence_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;
	uint64_t index;

	if (call_prove(api, x, HUMANS, &caller) && index_of(x, &index))
		flow_leaf(api->flow, &caller, index, call_reply(x));
}

void evidence_proof(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(buf_clear) struct buf b = BUF_INIT(64 * 1024);
	uint64_t index;

	if (!index_of(x, &index))
		return;
	if (evidence_receipt(api->evidence, index, &b) < 0)
		http_reply_problem(x, 404, "not-signed",
				   "No signed checkpoint covers this leaf yet; "
				   "ask again in a second.",
				   NULL);
	else
		http_reply(x, 200, "text/plain; charset=utf-8", buf_slice(&b));
}

void evidence_disclose_leaf(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;
	uint64_t index;

	if (index_of(x, &index) && call_signed(x, &form))
		flow_disclose(api->flow, index, form, call_reply(x));
}

void log_file(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILE_MAX);
	const char *type = NULL;
	const char *path = http_param(x, "path");

	if (evidence_public_file(api->evidence, path ? path : "", &b, &type) <
	    0)
		http_reply_problem(x, 404, "not-found",
				   "The log has no such file.", NULL);
	else
		http_reply(x, 200, type, buf_slice(&b));
}

/* Strangers learn whether it is well; why not, and what it is connected to, is
 * for its people and for who may use its socket. */
static bool may_see_health(struct api *api, struct http_exchange *x)
{
	struct caller caller;
	const char *class = "";

	if (http_is_local(x))
		return true;
	return http_bearer(x).len > 0 &&
	       flow_prove(api->flow, http_bearer(x), &caller, &class) &&
	       caller.kind == CALLER_HUMAN;
}

void health_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;

	http_reply_json(x, 200, flow_health(api->flow, may_see_health(api, x)));
}

void authority_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	json_t *body = json_object();
	char vkey[NOTE_VKEY_MAX];

	note_vkey_format(evidence_vkey(api->evidence), vkey);
	json_set_text(body, "origin", api->origin);
	json_set_text(body, "audience", api->audience);
	json_set_text(body, "vkey", vkey);
	json_set_text(body, "version", WRIT_VERSION);
	http_reply_json(x, 200, body);
}

void openapi_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;

	http_reply(x, 200, "application/json", slice_str(api->openapi));
}
