/*
 * Plans, applies and reads for targets that Writ signs for.  Nothing of the
 * target is asked or changed: what is placed is a document and what the keeper
 * makes of a leaf; taking it back is a document that says so.
 *
 * The keeper is asked once for a leaf.  What becomes of a credential whose
 * making was refused, or cut short, is that it is taken back at once.
 */
#include "flow/mint.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "govern/credential.h"

enum {
	KEEPER_MS = 10 * 1000, /* for making one */
	TOKEN_KEYS_MAX = 8,    /* the keeper keeps four */
};

const char mint_build[] = "writ-issuer/1";

/* A call that has not been answered. */
struct minting {
	struct minting *next; /* of the mint's */
	struct mint *mint;
	const struct target *target;
	connector_done_fn done;
	void *cookie;
	struct loop_timer *timer; /* while the keeper is asked */
	bool sent;		  /* an apply that has a document */

	/* of what is made */
	enum credential_form form;
	char id[64];
	uint64_t leaf;
	int64_t expires_s;
	struct buf note;
	uint64_t size;
	struct merkle_proof proof;

	/* the answer */
	enum connect_status status;
	const char *reason; /* static */
	char detail[CREDENTIAL_WHY_MAX];
	json_t *result; /* owned */
};

struct mint {
	struct flow *flow;
	struct evidence_keeper *keeper;
	char *issuer;
	struct jose_key *keys[TOKEN_KEYS_MAX]; /* those that were read */
	size_t key_count;
	struct minting *first;
};

/* They stay the same as long as the keeper runs. */
static void read_keys(struct mint *mint)
{
	const json_t *keys = json_array_in(keeper_jwks(mint->keeper), "keys");
	const json_t *jwk;
	size_t at;

	json_array_foreach(keys, at, jwk) {
		struct jose_key *key = NULL;

		if (mint->key_count < TOKEN_KEYS_MAX &&
		    jose_key_parse(jwk, &key) == 0 && key)
			mint->keys[mint->key_count++] = key;
	}
}

const struct jose_key *mint_key(const struct mint *mint, const char *kid)
{
	for (size_t i = 0; i < mint->key_count; i++) {
		if (!strcmp(jose_key_id(mint->keys[i]), kid))
			return mint->keys[i];
	}
	return NULL;
}

struct mint *mint_new(struct flow *f, struct evidence_keeper *keeper,
		      const char *issuer)
{
	struct mint *mint = mem_new(struct mint);

	mint->flow = f;
	mint->keeper = keeper;
	mint->issuer = mem_str(issuer);
	if (keeper)
		read_keys(mint);
	return mint;
}

static bool has_keys(const json_t *set)
{
	return json_array_size(json_array_in(set, "keys")) > 0;
}

bool mint_is_up(const struct mint *mint)
{
	return mint->keeper && has_keys(keeper_jwks(mint->keeper)) &&
	       has_keys(keeper_ssh_keys(mint->keeper));
}

struct evidence_keeper *mint_keeper(const struct mint *mint)
{
	return mint->keeper;
}

const char *mint_issuer(const struct mint *mint)
{
	return mint->issuer;
}

/* ---- answering ---- */

/* A plan is kept by whom it was told; a secret that nobody took is not. */
static void result_free(json_t *result)
{
	json_t *secret = json_incref(json_object_get(result, "secret"));

	if (secret)
		json_object_del(result, "secret");
	json_wipe(secret);
	json_decref(result);
}

static void minting_free(struct minting *m)
{
	struct minting **place = &m->mint->first;

	while (*place != m)
		place = &(*place)->next;
	*place = m->next;
	loop_timer_end(m->timer);
	loop_defer_end(m->mint->flow->loop, m);
	if (m->mint->keeper)
		keeper_forget(m->mint->keeper, m);
	buf_clear(&m->note);
	result_free(m->result);
	free(m);
}

static void answer_now(void *cookie)
{
	struct minting *m = cookie;
	struct connector_result r = {
		.status = m->status,
		.json = m->result,
		.reason = m->reason,
		.detail = m->detail,
	};

	m->done(m->cookie, &r);
	minting_free(m);
}

static void answer_soon(struct minting *m)
{
	loop_defer(m->mint->flow->loop, answer_now, m);
}

static void answer_ok(struct minting *m, json_t *owned_result)
{
	m->status = CONNECT_OK;
	m->reason = connect_status_name(CONNECT_OK);
	m->result = owned_result;
	answer_soon(m);
}

static void answer_not(struct minting *m, enum connect_status status,
		       const char *reason, const char *detail)
{
	m->status = status;
	m->reason = reason;
	snprintf(m->detail, sizeof(m->detail), "%s", detail);
	answer_soon(m);
}

static void refuse(struct minting *m, const char *reason, const char *detail)
{
	answer_not(m, CONNECT_REFUSED, reason, detail);
}

/* What cannot be read has neither ended nor never been: it is asked again. */
static void answer_unread(struct minting *m)
{
	answer_not(m, CONNECT_BUSY, "unavailable", error_message());
}

void mint_close(struct mint *mint)
{
	if (!mint)
		return;
	while (mint->first) {
		struct minting *m = mint->first;

		m->status = m->sent ? CONNECT_DIED : CONNECT_BUSY;
		m->reason = connect_status_name(m->status);
		snprintf(m->detail, sizeof(m->detail),
			 "the authority is closing");
		answer_now(m);
	}
	for (size_t i = 0; i < mint->key_count; i++)
		jose_key_free(mint->keys[i]);
	free(mint->issuer);
	free(mint);
}

/* ---- plans ---- */

/* A credential has the name of its request: "req_X" asks for "crd_X". */
static void credential_id(const char *request, char ret_id[64])
{
	const char *rest = strchr(request, '_');

	snprintf(ret_id, 64, "crd_%s", rest ? rest + 1 : request);
}

/* What a request would have signed; owned. */
static json_t *payload_of(const struct flow *f, const struct request *r,
			  struct credential_fault *fault)
{
	const char *name = json_text(r->doc, "task", "");
	const struct task *task = map_get(f->tasks, name);
	struct credential_ask ask = {
		.inventory = f->inventory,
		.issuer = mint_issuer(f->mint),
		.target = json_text(r->doc, "target", ""),
		.agent = json_text(r->doc, "agent", ""),
		.chain = task ? json_array_in(task->doc, "chain") : NULL,
		.task = name,
		.role = json_text(r->doc, "resource", ""),
		.parameters = json_object_in(r->doc, "parameters"),
		.ttl_s = json_int(r->doc, "ttlSeconds", 0),
	};

	return credential_payload(&ask, fault);
}

static void payload_digest(const json_t *payload, char text[DIGEST_TEXT_LEN])
{
	CLEANUP(mem_free_p) char *canonical = json_canonical(payload);
	struct digest digest = digest_of(slice_str(canonical));

	digest_format(&digest, text);
}

static void diff_add(json_t *diff, const char *op, const char *attribute,
		     const char *value)
{
	json_t *row = json_object();

	json_set_text(row, "op", op);
	json_set_text(row, "attribute", attribute);
	json_set_text(row, "value", value);
	json_array_append_new(diff, row);
}

/* What people read before they sign: each thing that the credential says. */
static json_t *diff_of(const json_t *payload)
{
	json_t *diff = json_array();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)payload, name, value) {
		CLEANUP(mem_free_p)
		char *text = json_is_string(value)
				     ? mem_str(json_string_value(value))
				     : json_canonical(value);

		diff_add(diff, "add", name, text);
	}
	return diff;
}

static json_t *state_of(bool there)
{
	json_t *state = json_object();

	json_set_flag(state, "credential", there);
	return state;
}

static json_t *subject_of(const char *agent)
{
	json_t *list = json_array();
	json_t *row = json_object();

	json_set_text(row, "type", "agent");
	json_set_text(row, "id", agent);
	json_array_append_new(list, row);
	return list;
}

static json_t *parameters_of(const char *id)
{
	json_t *parameters = json_object();

	json_set_text(parameters, "credential", id);
	return parameters;
}

static json_t *undo_of(const char *resource, const char *id)
{
	json_t *undo = json_object();

	json_set_text(undo, "action", "RevokeCredential");
	json_set_text(undo, "resource", resource);
	json_set_new(undo, "parameters", parameters_of(id));
	return undo;
}

static json_t *found_issue(const struct request *r, json_t *payload)
{
	const char *resource = json_text(r->doc, "resource", "");
	json_t *found = json_object();
	json_t *after = state_of(true);
	json_t *precondition = json_object();
	char digest[DIGEST_TEXT_LEN];
	char id[64];

	credential_id(r->id, id);
	payload_digest(payload, digest);
	json_set_text(precondition, "payload", digest);
	json_object_set(after, "payload", payload);
	json_set_text(found, "resource", resource);
	json_set_new(found, "parameters", parameters_of(id));
	json_set_new(found, "before", state_of(false));
	json_set_new(found, "after", after);
	json_set_new(found, "diff", diff_of(payload));
	json_set_new(found, "gains",
		     subject_of(json_text(r->doc, "agent", "")));
	json_set_new(found, "loses", json_array());
	json_set_new(found, "nestedIn", json_array());
	json_set_int(found, "blastRadius", 1);
	json_set_new(found, "precondition", precondition);
	json_set_flag(found, "noChange", false);
	json_set_flag(found, "atomic", true);
	json_set_new(found, "undo", undo_of(resource, id));
	return found;
}

static void plan_issue(struct minting *m, const json_t *params)
{
	struct flow *f = m->mint->flow;
	const char *request =
		json_text(json_object_in(params, "parameters"), "request", "");
	const struct request *r = request_find(f, request);
	CLEANUP(json_put_p) json_t *payload = NULL;
	struct credential_fault fault;

	if (!r) {
		refuse(m, "invalid", "a credential is for a request");
		return;
	}
	payload = payload_of(f, r, &fault);
	if (payload)
		answer_ok(m, found_issue(r, payload));
	else
		refuse(m, fault.reason, fault.detail);
}

/* Whether it is of the target and the role that were decided on. */
static bool is_there(const struct target *t, const json_t *doc,
		     const json_t *params)
{
	return !strcmp(json_text(doc, "target", ""), t->name) &&
	       !strcmp(json_text(doc, "resource", ""),
		       json_text(params, "resource", ""));
}

/* The document that parameters name, of a role; NULL with an answer. */
static json_t *credential_of(struct minting *m, const json_t *params)
{
	const char *id = json_text(json_object_in(params, "parameters"),
				   "credential", "");
	CLEANUP(json_put_p) json_t *doc = NULL;
	int r = issued_get(m->mint->flow, id, &doc);

	if (r < 0 && r != ERR_NOT_FOUND) {
		answer_unread(m);
		return NULL;
	}
	if (doc && is_there(m->target, doc, params))
		return TAKE(doc);
	refuse(m, "no-such-resource", "there is no such credential");
	return NULL;
}

static json_t *found_revoke(const json_t *doc, bool stands, bool brief)
{
	const char *id = json_text(doc, "id", "");
	json_t *found = json_object();
	json_t *diff = json_array();

	if (stands)
		diff_add(diff, "delete", "credential", id);
	json_object_set(found, "resource", json_object_get(doc, "resource"));
	json_set_new(found, "parameters", parameters_of(id));
	json_set_new(found, "before", state_of(stands));
	json_set_new(found, "after", state_of(false));
	json_set_new(found, "diff", diff);
	json_set_new(found, "gains", json_array());
	json_set_new(found, "loses",
		     stands && !brief ? subject_of(json_text(doc, "agent", ""))
				      : json_array());
	json_set_new(found, "nestedIn", json_array());
	json_set_int(found, "blastRadius", stands && !brief);
	json_set_new(found, "precondition", json_object());
	json_set_flag(found, "noChange", !stands);
	json_set_flag(found, "atomic", true);
	json_set_new(found, "undo", json_null());
	return found;
}

static void plan_revoke(struct minting *m, const json_t *params)
{
	CLEANUP(json_put_p) json_t *doc = credential_of(m, params);

	if (doc)
		answer_ok(m,
			  found_revoke(doc, issued_stands(doc, clock_wall_ms()),
				       json_flag(params, "brief", false)));
}

/* ---- reading ---- */

static void read_credential(struct minting *m, const json_t *params, bool there)
{
	CLEANUP(json_put_p) json_t *doc = NULL;
	const char *id = json_text(json_object_in(params, "parameters"),
				   "credential", "");
	int r = issued_get(m->mint->flow, id, &doc);
	bool stands;
	json_t *result;

	if (r < 0 && r != ERR_NOT_FOUND) {
		answer_unread(m);
		return;
	}
	stands = doc && issued_stands(doc, clock_wall_ms());
	result = json_object();
	json_set_flag(result, "present", stands == there);
	json_set_new(result, "state", state_of(stands));
	answer_ok(m, result);
}

static void read_issue(struct minting *m, const json_t *params)
{
	read_credential(m, params, true);
}

static void read_revoke(struct minting *m, const json_t *params)
{
	read_credential(m, params, false);
}

/* ---- making one ---- */

/* It was not made, and nobody will have it. */
static void taken_back(void *cookie)
{
	answer_soon(cookie);
}

static void take_back(struct minting *m, const char *reason, const char *detail)
{
	struct flow *f = m->mint->flow;
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(json_put_p) json_t *doc = issued_find(f, m->id);

	loop_timer_end(m->timer);
	m->timer = NULL;
	keeper_forget(m->mint->keeper, m);
	m->status = CONNECT_REFUSED;
	m->reason = reason;
	snprintf(m->detail, sizeof(m->detail), "%s", detail);
	log_warning("credential-not-made", "credential=%s why=\"%s\"", m->id,
		    detail);
	if (doc)
		issued_revoke(f, t, doc, reason);
	evidence_commit(t, taken_back, m);
}

static json_t *secret_of(const struct minting *m, const char *credential)
{
	json_t *secret = json_object();

	json_set_text(secret, "form", credential_form_name(m->form));
	json_set_text(secret,
		      m->form == CREDENTIAL_SSH ? "certificate" : "token",
		      credential);
	if (m->form == CREDENTIAL_SSH)
		json_set_int(secret, "serial", (int64_t)m->leaf);
	json_set_time(secret, "expires", m->expires_s * 1000);
	return secret;
}

static void made(void *cookie, const char *credential, const char *why)
{
	struct minting *m = cookie;
	json_t *result;

	if (!credential) {
		take_back(m, "keeper", why ? why : "the keeper refused");
		return;
	}
	loop_timer_end(m->timer);
	m->timer = NULL;
	result = json_object();
	json_set_text(result, "result", "applied");
	json_set_new(result, "observed", state_of(true));
	json_set_new(result, "secret", secret_of(m, credential));
	answer_ok(m, result);
}

static void keeper_is_silent(void *cookie)
{
	struct minting *m = cookie;

	m->timer = NULL;
	take_back(m, "keeper", "the keeper does not answer");
}

static int ask_keeper(struct minting *m, const json_t *disclosed)
{
	struct evidence *e = m->mint->flow->evidence;
	CLEANUP(buf_clear) struct buf leaf = BUF_INIT(EVIDENCE_LEAF_MAX + 1);
	struct keeper_issue issue = {
		.form = m->form == CREDENTIAL_SSH ? KEEPER_SSH : KEEPER_TOKEN,
		.index = m->leaf,
		.proof = &m->proof,
		.note = buf_slice(&m->note),
		.salt = json_text(disclosed, "salt", ""),
		.payload = json_object_get(disclosed, "payload"),
	};

	TRY(evidence_prove(e, m->leaf, m->size, &m->proof));
	TRY(store_leaf_get(evidence_reader(e), m->leaf, &leaf, NULL));
	issue.leaf = buf_text(&leaf);
	TRY(keeper_issue(m->mint->keeper, &issue, made, m));
	m->timer =
		loop_timer(m->mint->flow->loop, KEEPER_MS, keeper_is_silent, m);
	return 0;
}

/* What the leaf commits to, with its salt, as it was sealed. */
static void opened(void *cookie, json_t *owned_disclosed, const char *why)
{
	struct minting *m = cookie;

	if (!owned_disclosed)
		take_back(m, "unavailable", why ? why : "its payload is gone");
	else if (ask_keeper(m, owned_disclosed) < 0)
		take_back(m, "unavailable", error_message());
	json_wipe(owned_disclosed);
}

static void leaf_signed(void *cookie, struct slice note, uint64_t size)
{
	struct minting *m = cookie;

	if (!note.len) {
		take_back(m, "keeper", "the keeper did not sign the log");
		return;
	}
	buf_put(&m->note, note);
	m->size = size;
	evidence_disclose(m->mint->flow->evidence, m->leaf, 0, opened, m);
}

/* ---- the leaf and the document ---- */

/* When it ends, in seconds: as its grant does, or before. */
static int64_t end_of(const struct request *r, const json_t *plan)
{
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));
	int64_t ends = json_int(r->doc, "armedAtMs", 0) +
		       json_int(plan, "ttl", 0) * 1000;
	int64_t window = task ? task_window_ms(task) : 0;

	return (ends < window ? ends : window) / 1000;
}

static json_t *issued_fields(const struct minting *m, const struct request *r)
{
	json_t *fields = json_object();

	json_set_text(fields, "form", credential_form_name(m->form));
	json_set_text(fields, "task", json_text(r->doc, "task", ""));
	json_set_int(fields, "expires", m->expires_s);
	json_set_int(fields, "armed", json_int(r->doc, "armedLeaf", 0));
	json_set_text(fields, "request", r->id);
	return fields;
}

static json_t *issued_doc(const struct minting *m, const struct request *r,
			  const json_t *payload)
{
	static const char *const members[] = { "agent", "task", "target",
					       "resource" };
	json_t *doc = json_object();
	json_t *cnf = json_object_in(payload, "cnf");

	json_set_text(doc, "id", m->id);
	json_set_text(doc, "state", "active");
	json_set_text(doc, "form", credential_form_name(m->form));
	json_pick(doc, r->doc, members, ARRAY_LEN(members));
	json_set_text(doc, "request", r->id);
	json_set_int(doc, "serial", (int64_t)m->leaf);
	json_set_int(doc, "expires", m->expires_s);
	if (cnf)
		json_object_set(doc, "cnf", cnf);
	return doc;
}

/* Records what is to be made.  Errors: those of evidence_leaf(). */
static int record_issued(struct minting *m, const struct request *r,
			 const json_t *payload, struct evidence_txn *t)
{
	CLEANUP(mem_free_p)
	char *subject = mem_format("agent:%s", json_text(r->doc, "agent", ""));
	CLEANUP(json_put_p) json_t *doc = NULL;
	struct evidence_part part = { subject, payload };
	struct leaf_ref leaf;

	TRY(evidence_leaf(t, LEAF_ISSUED, m->id, issued_fields(m, r), &part, 1,
			  &leaf));
	m->leaf = leaf.index;
	doc = issued_doc(m, r, payload);
	leaf_note(doc, "issued", &leaf);
	evidence_put(t, NOUN_CREDENTIAL, m->id, doc);
	return 0;
}

static void issue(struct minting *m, const struct request *r,
		  const json_t *payload)
{
	struct flow *f = m->mint->flow;
	struct evidence_txn *t = evidence_begin(f->evidence);

	if (record_issued(m, r, payload, t) < 0) {
		evidence_abandon(t);
		answer_not(m, CONNECT_BUSY, "busy", error_message());
		return;
	}
	m->sent = true;
	evidence_commit(t, NULL, NULL);
	evidence_when_signed(f->evidence, m->leaf, leaf_signed, m);
}

/* Whether what would be signed is what was decided on. */
static bool is_as_planned(const json_t *plan, const json_t *payload)
{
	char digest[DIGEST_TEXT_LEN];

	payload_digest(payload, digest);
	return !strcmp(
		json_text(json_object_in(plan, "precondition"), "payload", ""),
		digest);
}

static void apply_issue(struct minting *m, const json_t *plan)
{
	struct flow *f = m->mint->flow;
	const struct request *r =
		request_find(f, json_text(plan, "request", ""));
	CLEANUP(json_put_p) json_t *payload = NULL;
	CLEANUP(json_put_p) json_t *before = NULL;
	int looked;
	struct credential_fault fault = { 0 };

	if (r)
		payload = payload_of(f, r, &fault);
	if (!payload || !is_as_planned(plan, payload)) {
		refuse(m, "precondition",
		       "what would be signed is not what was decided on");
		return;
	}
	credential_id(r->id, m->id);
	looked = issued_get(f, m->id, &before);
	m->expires_s = end_of(r, plan);
	discard(credential_form_of(
		inventory_spec(f->inventory, MANIFEST_TARGET,
			       json_text(plan, "target", "")),
		&m->form));
	if (looked < 0 && looked != ERR_NOT_FOUND)
		answer_unread(m);
	else if (before)
		refuse(m, "used", "a credential was made for this request");
	else if (m->expires_s * 1000 <= clock_wall_ms())
		refuse(m, "expired", "its time is over already");
	else if (!mint_is_up(m->mint))
		refuse(m, "keeper", "the keeper issues no credentials");
	else
		issue(m, r, payload);
}

static void apply_revoke(struct minting *m, const json_t *plan)
{
	struct flow *f = m->mint->flow;
	CLEANUP(json_put_p) json_t *doc = credential_of(m, plan);
	struct evidence_txn *t;

	if (!doc)
		return;
	m->sent = true;
	m->status = CONNECT_OK;
	m->reason = connect_status_name(CONNECT_OK);
	m->result = json_object();
	json_set_text(m->result, "result",
		      issued_stands(doc, clock_wall_ms()) ? "applied"
							  : "no-change");
	t = evidence_begin(f->evidence);
	issued_revoke(f, t, doc, "taken back");
	evidence_commit(t, taken_back, m);
}

/* ---- calls ---- */

typedef void (*mint_fn)(struct minting *m, const json_t *about);

static const struct {
	const char *action;
	mint_fn plan;
	mint_fn read;
	mint_fn apply; /* gets the order's plan */
} actions[] = {
	{ "IssueCredential", plan_issue, read_issue, apply_issue },
	{ "RevokeCredential", plan_revoke, read_revoke, apply_revoke },
};

static mint_fn find_fn(enum connect_method method, const char *action)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].action, action) != 0)
			continue;
		if (method == CONNECT_PLAN)
			return actions[i].plan;
		if (method == CONNECT_READ)
			return actions[i].read;
		return method == CONNECT_APPLY ? actions[i].apply : NULL;
	}
	return NULL;
}

void mint_call(struct target *t, enum connect_method method, json_t *params,
	       connector_done_fn done, void *cookie)
{
	struct minting *m = mem_new(struct minting);
	const json_t *about = params;
	mint_fn fn;

	m->mint = t->flow->mint;
	m->target = t;
	m->done = done;
	m->cookie = cookie;
	m->note = (struct buf)BUF_INIT(NOTE_MAX);
	m->next = m->mint->first;
	m->mint->first = m;
	if (method == CONNECT_APPLY)
		about = json_object_in(json_object_in(params, "order"), "plan");
	fn = find_fn(method, json_text(about, "action", ""));
	if (fn)
		fn(m, about);
	else
		refuse(m, "invalid", "Writ issues and revokes here, no more");
	json_decref(params);
}

int64_t mint_default_ttl_s(const struct flow *f, const json_t *body)
{
	const json_t *spec = inventory_spec(f->inventory, MANIFEST_TARGET,
					    json_text(body, "target", NULL));
	const struct action *action =
		action_find(json_text(body, "action", NULL));
	enum credential_form form;

	if (!action || !action->lends || json_text(body, "ttl", NULL) ||
	    !credential_form_of(spec, &form))
		return 0;
	return form == CREDENTIAL_SSH ? CREDENTIAL_SSH_DEFAULT_S
				      : CREDENTIAL_TOKEN_DEFAULT_S;
}
