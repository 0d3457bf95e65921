/* /v1/evidence, /log/: leaves, proofs, tiles; and what strangers may know. */
#include "api/call.h"

#include "base/error.h"
#include "base/mem.h"

enum {
	FILE_MAX = 32 << 20,
	PROOF_MAX = 96 * 1024,
};

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

/* Somebody waits for a receipt. */
struct proving {
	struct api *api;
	struct http_exchange *exchange; /* NULL once the peer is gone */
	uint64_t index;
	enum receipt_strength strength;
};

static void put_proof(struct http_exchange *x, struct api *api, uint64_t index,
		      enum receipt_strength strength, const char *why)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(PROOF_MAX);

	if (evidence_receipt(api->evidence, index, strength, &b) == 0)
		http_reply(x, 200, "text/plain; charset=utf-8", buf_slice(&b));
	else if (strength == RECEIPT_WITNESSED)
		http_reply_problem(x, 404, "not-witnessed",
				   why ? why
				       : "No checkpoint that covers this leaf "
					 "has a quorum of cosignatures yet; "
					 "ask again, or wait with ?wait=20.",
				   NULL);
	else
		http_reply_problem(x, 404, "not-signed",
				   "No signed checkpoint covers this leaf yet; "
				   "ask again in a second.",
				   NULL);
}

static void proof_gone(struct http_exchange *x UNUSED, void *cookie)
{
	struct proving *p = cookie;

	p->exchange = NULL;
}

static void proof_came(void *cookie, struct slice note UNUSED,
		       uint64_t size UNUSED, const char *why)
{
	struct proving *p = cookie;
	CLEANUP(mem_free_p)
	char *detail =
		why ? mem_format("The leaf is there, and %s.", why) : NULL;

	if (p->exchange) {
		http_on_gone(p->exchange, NULL, NULL);
		put_proof(p->exchange, p->api, p->index, p->strength, detail);
	}
	free(p);
}

/* The index and hash alone: what is durable, without a proof. */
static void put_durable(struct http_exchange *x, struct api *api,
			uint64_t index)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(EVIDENCE_LEAF_MAX);
	char text[DIGEST_TEXT_LEN];
	struct digest hash;
	json_t *answer;

	if (store_leaf_get(evidence_reader(api->evidence), index, &body,
			   &hash) < 0) {
		http_reply_problem(x, 404, "not-found",
				   "There is no such leaf.", NULL);
		return;
	}
	digest_format(&hash, text);
	answer = json_object();
	json_set_int(answer, "index", (int64_t)index);
	json_set_text(answer, "hash", text);
	http_reply_json(x, 200, answer);
}

static void wait_for_proof(struct http_exchange *x, struct api *api,
			   uint64_t index, enum receipt_strength strength,
			   int64_t wait_ms)
{
	struct proving *p;

	if (wait_ms <= 0 || index >= evidence_durable_size(api->evidence)) {
		put_proof(x, api, index, strength, NULL);
		return;
	}
	/* Strangers may wait, too, but not without number. */
	if (!http_set_principal(x, "receipts"))
		return;
	p = mem_new(struct proving);
	*p = (struct proving){ api, x, index, strength };
	http_on_gone(x, proof_gone, p);
	evidence_when_receipt(api->evidence, index, strength, wait_ms,
			      proof_came, p);
}

void evidence_proof(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	const char *strength = http_query(x, "strength");
	uint64_t index;
	int64_t wait_ms;

	if (!index_of(x, &index))
		return;
	wait_ms = call_wait_ms(x, 0);
	if (wait_ms < 0)
		return;
	if (!strength || !strcmp(strength, "signed"))
		wait_for_proof(x, api, index, RECEIPT_SIGNED, wait_ms);
	else if (!strcmp(strength, "witnessed"))
		wait_for_proof(x, api, index, RECEIPT_WITNESSED, wait_ms);
	else if (!strcmp(strength, "durable"))
		put_durable(x, api, index);
	else
		http_reply_problem(x, 400, "strength",
				   "A receipt is durable, signed or witnessed.",
				   NULL);
}

void evidence_disclose_leaf(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;
	uint64_t index;

	if (index_of(x, &index) && call_signed(x, &form))
		flow_disclose(api->flow, index, form, call_reply(x));
}

void subjects_erase(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	CLEANUP(json_put_p) json_t *form = NULL;

	if (call_signed(x, &form))
		flow_erase(api->flow, http_param(x, "subject"), form,
			   call_reply(x));
}

void erasures_list(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct caller caller;

	if (call_prove(api, x, HUMANS, &caller))
		flow_erasures(api->flow, &caller, call_reply(x));
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
	return http_bearer(x).len > 0 && call_who(api, x, &caller, &class) &&
	       caller.kind == CALLER_HUMAN;
}

void health_show(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	bool details = may_see_health(api, x);
	json_t *health = flow_health(api->flow, details);

	if (details && api->sandbox)
		json_set_new(health, "sandbox", json_incref(api->sandbox));
	http_reply_json(x, 200, health);
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
