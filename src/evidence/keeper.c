/*
 * Questions are sent as they come and answered in order, so the oldest one
 * waiting is the one an answer belongs to; its id is checked all the same.
 */
#include "evidence/keeper.h"

#include <inttypes.h>

#include "base/channel.h"
#include "base/error.h"
#include "base/frame.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/seal.h"

enum {
	HELLO_TIMEOUT_MS = 10 * 1000,
	POOL_MAX = 1024,    /* data keys at hand */
	POOL_RESERVE = 256, /* below this no new work is taken */
	POOL_FETCH = 64,    /* asked for at once */
	WHY_MAX = 256,	    /* bytes of a refusal's text with NUL */
	/* Bytes of a request for a credential, less than what the keeper reads:
	 * it cannot answer what it does not read. */
	ISSUE_MAX = 60 * 1024,
};

typedef void (*note_fn)(void *cookie, struct slice note, const char *why);
typedef void (*key_fn)(void *cookie, const uint8_t *key, const char *why);
typedef void (*credential_fn)(void *cookie, const char *credential,
			      const char *why);

/* A question that waits for its answer. */
struct question {
	struct question *next;
	int64_t id;
	/* result is NULL when it was refused, with why. */
	void (*answered)(struct evidence_keeper *k, struct question *q,
			 const json_t *result, const char *why);
	struct checkpoint wanted; /* of a signature */
	note_fn note_fn;
	key_fn key_fn;
	credential_fn credential_fn;
	enum keeper_form form; /* of a credential */
	void *cookie;
};

struct data_key {
	uint8_t key[SEAL_KEY_LEN];
	uint8_t wrapped[SEAL_WRAPPED_LEN];
	unsigned kek;
};

struct evidence_keeper {
	struct keeper_config config;
	struct channel *channel;
	struct loop_timer *timer; /* hello's, later that of a lost keeper */
	bool is_ready, is_lost, is_waiting;
	char why[WHY_MAX]; /* it was lost */
	int64_t next_id;
	struct question *first, **last;
	struct note_vkey vkey;
	struct note_verifier *verifier; /* owned; of vkey */
	json_t *jwks;			/* owned; NULL if there is none */
	json_t *ssh_keys;		/* owned; NULL if there is none */
	json_t *sandbox;		/* owned; NULL if it tells none */
	struct checkpoint signed_last;
	struct data_key pool[POOL_MAX];
	unsigned pooled, asked;
};

static void refuse_all(struct evidence_keeper *k)
{
	while (k->first) {
		CLEANUP(mem_free_p) struct question *q = k->first;

		k->first = q->next;
		if (!k->first)
			k->last = &k->first;
		q->answered(k, q, NULL, k->why);
	}
}

/* The keeper cannot be used any more. */
static void lose(struct evidence_keeper *k, const char *why)
{
	if (k->is_lost)
		return;
	k->is_lost = true;
	snprintf(k->why, sizeof(k->why), "%s", why);
	if (k->is_waiting)
		loop_stop(k->config.loop);
	refuse_all(k);
	if (k->is_ready && k->config.lost)
		k->config.lost(k->config.cookie, k->why);
}

static void refuse_later(void *cookie)
{
	struct evidence_keeper *k = cookie;

	k->timer = NULL;
	refuse_all(k);
}

static void send_question(struct evidence_keeper *k, struct question *q,
			  const char *method, struct slice params)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);

	q->id = ++k->next_id;
	*k->last = q;
	k->last = &q->next;
	if (k->is_lost) {
		if (!k->timer)
			k->timer =
				loop_timer(k->config.loop, 0, refuse_later, k);
		return;
	}
	buf_putf(&body, "{\"id\":%" PRId64 ",\"jsonrpc\":\"2.0\",", q->id);
	buf_putf(&body, "\"method\":\"%s\",\"params\":", method);
	buf_put(&body, params);
	buf_put_str(&body, "}");
	if (body.overflow || channel_send(k->channel, buf_slice(&body)) < 0)
		lose(k, "the keeper takes no more questions");
}

/* ---- answers ---- */

/* Why an answer is a refusal, NULL if it is none. */
static const char *refusal_of(const json_t *answer, char why[WHY_MAX])
{
	const json_t *error = json_object_in(answer, "error");
	const char *reason =
		json_text(json_object_in(error, "data"), "reason", "refused");

	if (json_object_in(answer, "result"))
		return NULL;
	snprintf(why, WHY_MAX, "keeper: %s: %s", reason,
		 json_text(error, "message", "no words"));
	return why;
}

static void on_answer(struct evidence_keeper *k, const json_t *answer)
{
	CLEANUP(mem_free_p) struct question *q = k->first;
	char text[WHY_MAX];
	const char *why;

	k->first = q->next;
	if (!k->first)
		k->last = &k->first;
	why = refusal_of(answer, text);
	q->answered(k, q, why ? NULL : json_object_in(answer, "result"), why);
}

static void on_message(void *cookie, struct slice body)
{
	struct evidence_keeper *k = cookie;
	CLEANUP(json_put_p) json_t *answer = NULL;

	if (k->is_lost)
		return;
	if (json_parse(body, FRAME_MAX, &answer) < 0 || !k->first ||
	    json_int(answer, "id", 0) != k->first->id)
		lose(k, "the keeper answers something else");
	else
		on_answer(k, answer);
}

/* What ended a process is in its own words, and those are in a log. */
static void on_closed(void *cookie, const char *why)
{
	struct evidence_keeper *k = cookie;
	char text[WHY_MAX];

	if (strstr(why, "too large"))
		snprintf(text, sizeof(text), "the keeper: %s", why);
	else if (k->config.command)
		snprintf(text, sizeof(text),
			 "the keeper ended: its line keeper-ended in this log "
			 "says why; without one it was killed, see the "
			 "kernel's log");
	else
		snprintf(text, sizeof(text),
			 "the keeper ended: see the log of the one behind %s",
			 k->config.socket);
	lose(k, text);
}

/* Decodes base64 of exactly len bytes. */
static bool decode(const json_t *object, const char *name, uint8_t *ret_bytes,
		   size_t len)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(len);
	const char *text = json_text(object, name, "");

	if (text_from_base64(slice_str(text), &b) < 0 || b.len != len)
		return false;
	memcpy(ret_bytes, b.data, len);
	return true;
}

/* ---- hello ---- */

static int read_hello(struct evidence_keeper *k, const json_t *result)
{
	const json_t *last = json_object_in(result, "last");
	int64_t size = json_int(last, "size", -1);

	TRY(note_vkey_parse(json_text(result, "vkey", ""), &k->vkey));
	if (strcmp(json_text(result, "origin", ""), k->vkey.name) != 0)
		return error_set(ERR_CORRUPT, "its key has another name");
	TRY(note_verifier_new(&k->vkey, &k->verifier));
	if (size < 0 ||
	    !decode(last, "root", k->signed_last.root.bytes, DIGEST_LEN))
		return error_set(ERR_CORRUPT, "it does not say what it signed");
	memcpy(k->signed_last.origin, k->vkey.name,
	       sizeof(k->signed_last.origin));
	k->signed_last.size = (uint64_t)size;
	k->sandbox = json_deep_copy(json_object_in(result, "sandbox"));
	return 0;
}

static void on_keys(struct evidence_keeper *k, struct question *q,
		    const json_t *result, const char *why);

static void fill_pool(struct evidence_keeper *k)
{
	while (!k->is_lost && k->pooled + k->asked + POOL_FETCH <= POOL_MAX) {
		struct question *q = mem_new(struct question);
		char params[32];

		q->answered = on_keys;
		k->asked += POOL_FETCH;
		snprintf(params, sizeof(params), "{\"count\":%d}", POOL_FETCH);
		send_question(k, q, "key", slice_str(params));
	}
}

/* A keeper may issue nothing; it is one all the same. */
static void on_jwks(struct evidence_keeper *k, struct question *q UNUSED,
		    const json_t *result, const char *why UNUSED)
{
	if (json_array_in(result, "keys"))
		k->jwks = json_deep_copy(result);
}

static void on_ssh_keys(struct evidence_keeper *k, struct question *q UNUSED,
			const json_t *result, const char *why UNUSED)
{
	if (json_array_in(result, "keys"))
		k->ssh_keys = json_deep_copy(result);
}

/* Answered before the first data keys, so it is known once the keeper is
 * ready. */
static void ask_public(struct evidence_keeper *k)
{
	struct question *jwks = mem_new(struct question);
	struct question *ssh = mem_new(struct question);

	jwks->answered = on_jwks;
	send_question(k, jwks, "jwks", slice_str("{}"));
	ssh->answered = on_ssh_keys;
	send_question(k, ssh, "ssh-authorities", slice_str("{}"));
}

static void on_hello(struct evidence_keeper *k, struct question *q UNUSED,
		     const json_t *result, const char *why)
{
	if (!result) {
		lose(k, why);
		return;
	}
	if (read_hello(k, result) < 0) {
		lose(k, error_message());
		return;
	}
	ask_public(k);
	fill_pool(k);
}

/* ---- data keys ---- */

static bool pool_add(struct evidence_keeper *k, const json_t *row, unsigned kek)
{
	struct data_key *key = &k->pool[k->pooled];

	if (k->pooled == POOL_MAX ||
	    !decode(row, "key", key->key, sizeof(key->key)) ||
	    !decode(row, "wrapped", key->wrapped, sizeof(key->wrapped)))
		return false;
	key->kek = kek;
	k->pooled++;
	return true;
}

static void on_keys(struct evidence_keeper *k, struct question *q UNUSED,
		    const json_t *result, const char *why)
{
	const json_t *keys = json_array_in(result, "keys");
	int64_t kek = json_int(result, "kek", 0);
	size_t count = json_array_size(keys);

	k->asked -= POOL_FETCH;
	if (!result) {
		lose(k, why);
		return;
	}
	if (count != POOL_FETCH || kek < 1 || kek > UINT16_MAX) {
		lose(k, "the keeper gives no data keys");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (!pool_add(k, json_array_get(keys, i), (unsigned)kek))
			lose(k, "the keeper gives damaged data keys");
	}
	if (!k->is_waiting || !keeper_has_keys(k))
		return;
	k->is_ready = true;
	loop_stop(k->config.loop);
}

bool keeper_has_keys(const struct evidence_keeper *k)
{
	return k->pooled >= POOL_RESERVE;
}

int keeper_take_key(struct evidence_keeper *k, uint8_t key[32],
		    uint8_t wrapped[40], unsigned *ret_kek)
{
	struct data_key *from;

	fill_pool(k);
	if (k->pooled == 0)
		return error_set(ERR_BUSY, "no data key at hand");
	from = &k->pool[--k->pooled];
	memcpy(key, from->key, sizeof(from->key));
	memcpy(wrapped, from->wrapped, sizeof(from->wrapped));
	*ret_kek = from->kek;
	mem_wipe(from, sizeof(*from));
	return 0;
}

static void on_unwrapped(struct evidence_keeper *k UNUSED, struct question *q,
			 const json_t *result, const char *why)
{
	uint8_t key[SEAL_KEY_LEN];

	if (!q->key_fn)
		return;
	if (!result || !decode(result, "key", key, sizeof(key)))
		q->key_fn(q->cookie, NULL, why ? why : "keeper: no key");
	else
		q->key_fn(q->cookie, key, NULL);
	mem_wipe(key, sizeof(key));
}

void keeper_unwrap(struct evidence_keeper *k, const uint8_t wrapped[40],
		   unsigned kek, key_fn fn, void *cookie)
{
	struct question *q = mem_new(struct question);
	CLEANUP(buf_clear) struct buf params = BUF_INIT(256);

	q->answered = on_unwrapped;
	q->key_fn = fn;
	q->cookie = cookie;
	buf_putf(&params, "{\"kek\":%u,\"wrapped\":\"", kek);
	text_put_base64(&params, slice_of(wrapped, SEAL_WRAPPED_LEN));
	buf_put_str(&params, "\"}");
	send_question(k, q, "unwrap", buf_slice(&params));
}

/* ---- signatures ---- */

/* Takes a note as the keeper's only if it says what was asked. */
static int take_note(struct evidence_keeper *k, const struct question *q,
		     struct slice note)
{
	struct checkpoint c;

	TRY(checkpoint_verify(note, k->verifier, &c));
	if (c.size != q->wanted.size ||
	    !digest_equals(&c.root, &q->wanted.root))
		return error_set(ERR_CORRUPT, "it is another tree's");
	k->signed_last = c;
	return 0;
}

static void on_signed(struct evidence_keeper *k, struct question *q,
		      const json_t *result, const char *why)
{
	struct slice note = slice_str(json_text(result, "note", ""));
	char text[WHY_MAX];

	if (result && take_note(k, q, note) < 0) {
		snprintf(text, sizeof(text), "keeper: the note: %.200s",
			 error_message());
		why = text;
	}
	if (q->note_fn)
		q->note_fn(q->cookie, why ? slice_of(NULL, 0) : note, why);
}

static void put_proof(struct buf *params, const struct merkle_proof *proof)
{
	for (unsigned i = 0; proof && i < proof->count; i++) {
		buf_put_str(params, i ? ",\"" : "\"");
		text_put_base64(params, digest_slice(&proof->nodes[i]));
		buf_put_str(params, "\"");
	}
}

void keeper_sign(struct evidence_keeper *k, uint64_t size,
		 const struct digest *root, const struct merkle_proof *proof,
		 note_fn fn, void *cookie)
{
	struct question *q = mem_new(struct question);
	CLEANUP(buf_clear) struct buf params = BUF_INIT(8192);

	q->answered = on_signed;
	q->note_fn = fn;
	q->cookie = cookie;
	q->wanted.size = size;
	q->wanted.root = *root;
	buf_put_str(&params, "{\"proof\":[");
	put_proof(&params, proof);
	buf_put_str(&params, "],\"root\":\"");
	text_put_base64(&params, digest_slice(root));
	buf_putf(&params, "\",\"size\":%" PRIu64 "}", size);
	send_question(k, q, "checkpoint", buf_slice(&params));
}

/* ---- credentials ---- */

static const struct {
	const char *method;
	const char *result; /* its member with the credential */
} forms[] = {
	[KEEPER_TOKEN] = { "token", "token" },
	[KEEPER_SSH] = { "ssh-certificate", "certificate" },
};

static void on_issued(struct evidence_keeper *k UNUSED, struct question *q,
		      const json_t *result, const char *why)
{
	const char *text = json_text(result, forms[q->form].result, NULL);

	if (!text && !why)
		why = "keeper: no credential";
	if (q->credential_fn)
		q->credential_fn(q->cookie, text, text ? NULL : why);
	/* The value is the message's own and goes with it. */
	if (text)
		mem_wipe((char *)(uintptr_t)text, strlen(text));
}

static json_t *issue_params(const struct keeper_issue *issue)
{
	json_t *params = json_object();
	json_t *proof = json_array();

	for (unsigned i = 0; i < issue->proof->count; i++) {
		CLEANUP(mem_free_p)
		char *node = text_base64(digest_slice(&issue->proof->nodes[i]));

		json_array_append_new(proof, json_string(node));
	}
	json_set_text(params, "leaf", issue->leaf);
	json_set_int(params, "index", (int64_t)issue->index);
	json_set_new(params, "proof", proof);
	json_set_new(
		params, "checkpoint",
		json_stringn((const char *)issue->note.ptr, issue->note.len));
	json_set_text(params, "salt", issue->salt);
	json_set_new(params, "payload", json_deep_copy(issue->payload));
	return params;
}

int keeper_issue(struct evidence_keeper *k, const struct keeper_issue *issue,
		 credential_fn fn, void *cookie)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(ISSUE_MAX);
	CLEANUP(json_put_p) json_t *params = issue_params(issue);
	struct question *q;
	struct slice bytes;

	TRY(json_put_canonical(&text, params));
	TRY(buf_finish(&text, &bytes));
	q = mem_new(struct question);
	q->answered = on_issued;
	q->credential_fn = fn;
	q->form = issue->form;
	q->cookie = cookie;
	send_question(k, q, forms[issue->form].method, bytes);
	return 0;
}

void keeper_forget(struct evidence_keeper *k, const void *cookie)
{
	for (struct question *q = k->first; q; q = q->next) {
		if (q->cookie != cookie)
			continue;
		q->note_fn = NULL;
		q->key_fn = NULL;
		q->credential_fn = NULL;
	}
}

/* ---- opening and closing ---- */

static void on_timeout(void *cookie)
{
	struct evidence_keeper *k = cookie;

	k->timer = NULL;
	lose(k, "no answer");
}

static int start(struct evidence_keeper *k)
{
	static const struct channel_events events = { on_message, on_closed };
	const struct keeper_config *c = &k->config;

	if (c->command)
		return channel_spawn(c->loop, c->command, &events, k,
				     &k->channel);
	if (c->socket)
		return channel_connect(c->loop, c->socket, &events, k,
				       &k->channel);
	return error_set(ERR_UNAVAILABLE, "neither command nor socket");
}

/* Runs the loop until hello and the first data keys are here. */
static int await_hello(struct evidence_keeper *k)
{
	struct question *q = mem_new(struct question);

	q->answered = on_hello;
	k->is_waiting = true;
	k->timer = loop_timer(k->config.loop, HELLO_TIMEOUT_MS, on_timeout, k);
	send_question(k, q, "hello", slice_str("{}"));
	while (!k->is_ready && !k->is_lost)
		TRY(loop_run(k->config.loop));
	k->is_waiting = false;
	if (k->is_lost)
		return error_set(ERR_UNAVAILABLE, "%s", k->why);
	loop_timer_end(TAKE(k->timer));
	return 0;
}

int keeper_open(const struct keeper_config *config,
		struct evidence_keeper **ret_keeper)
{
	CLEANUP(keeper_close_p)
	struct evidence_keeper *k = mem_new(struct evidence_keeper);
	int r;

	k->config = *config;
	k->last = &k->first;
	r = start(k);
	if (r == 0)
		r = await_hello(k);
	if (r < 0)
		return error_context(r, "keeper");
	*ret_keeper = TAKE(k);
	return 0;
}

void keeper_close(struct evidence_keeper *k)
{
	if (!k)
		return;
	channel_close(k->channel);
	loop_timer_end(k->timer);
	note_verifier_free(k->verifier);
	json_decref(k->jwks);
	json_decref(k->ssh_keys);
	json_decref(k->sandbox);
	while (k->first) {
		struct question *next = k->first->next;

		free(k->first);
		k->first = next;
	}
	mem_wipe(k, sizeof(*k));
	free(k);
}

const struct note_vkey *keeper_vkey(const struct evidence_keeper *k)
{
	return &k->vkey;
}

const json_t *keeper_sandbox(const struct evidence_keeper *k)
{
	return k->sandbox;
}

const json_t *keeper_jwks(const struct evidence_keeper *k)
{
	return k->jwks;
}

const json_t *keeper_ssh_keys(const struct evidence_keeper *k)
{
	return k->ssh_keys;
}

const struct checkpoint *keeper_last(const struct evidence_keeper *k)
{
	return &k->signed_last;
}
