/* Recent data keys lie in sets of four; a full set drops the least used. */
#include "evidence/internal.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/digest.h"

enum {
	SALT_LEN = 32,
	SETS = 512,
	WAYS = 4,
	/* What canonical JSON may be, with its salt, nonce and tag. */
	SEALED_MAX =
		EVIDENCE_PAYLOAD_MAX + SALT_LEN + SEAL_NONCE_LEN + SEAL_TAG_LEN,
};

static const char tag[] = "evc1"; /* with its NUL */

struct vault {
	uint64_t clock;
	struct data_key *sets[SETS][WAYS];
};

struct vault *vault_new(void)
{
	return mem_new(struct vault);
}

void vault_free(struct vault *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < SETS; i++) {
		for (size_t k = 0; k < WAYS; k++)
			data_key_free(v->sets[i][k]);
	}
	free(v);
}

/* FNV-1a; only where a key lies depends on it. */
static struct data_key **set_of(struct vault *v, const char *subject)
{
	uint32_t hash = 2166136261u;

	for (const char *c = subject; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	return v->sets[hash % SETS];
}

struct data_key *vault_find(struct vault *v, const char *subject)
{
	struct data_key **set = set_of(v, subject);

	for (size_t i = 0; i < WAYS; i++) {
		if (!set[i] || strcmp(set[i]->subject, subject) != 0)
			continue;
		set[i]->used = ++v->clock;
		return set[i];
	}
	return NULL;
}

void vault_add(struct vault *v, struct data_key *key)
{
	struct data_key **set = set_of(v, key->subject);
	size_t at = 0;

	for (size_t i = 0; i < WAYS; i++) {
		if (!set[i] || !strcmp(set[i]->subject, key->subject)) {
			at = i;
			break;
		}
		if (set[i]->used < set[at]->used)
			at = i;
	}
	data_key_free(set[at]);
	key->used = ++v->clock;
	key->next = NULL;
	set[at] = key;
}

void vault_drop(struct vault *v, const char *subject)
{
	struct data_key **set = set_of(v, subject);

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i] && !strcmp(set[i]->subject, subject))
			data_key_free(TAKE(set[i]));
	}
}

/* ---- sealing --------------------------------------------------------------
 */

/* Makes a data key for subject and has it stored with t. */
static int make_key(struct evidence_txn *t, const char *subject, uint64_t leaf,
		    struct data_key **ret_key)
{
	struct data_key *key = mem_new(struct data_key);
	uint8_t wrapped[SEAL_WRAPPED_LEN];
	struct op *op;
	unsigned kek;
	int r;

	r = keeper_take_key(t->evidence->config.keeper, key->key, wrapped,
			    &kek);
	if (r < 0) {
		data_key_free(key);
		return r;
	}
	key->subject = mem_str(subject);
	key->name = mem_format("%s#%" PRIu64, subject, leaf);
	key->next = t->keys;
	t->keys = key;
	op = txn_op(t, OP_SUBJECT);
	op->number = kek;
	op->name = txn_put_text(t, key->name);
	op->bytes = txn_put(t, slice_of(wrapped, sizeof(wrapped)));
	*ret_key = key;
	return 0;
}

/* Keys of this transaction first: they are not in the vault before it is
 * committed, as it may be abandoned. */
static int key_for(struct evidence_txn *t, const char *subject, uint64_t leaf,
		   struct data_key **ret_key)
{
	for (struct data_key *k = t->keys; k; k = k->next) {
		if (!strcmp(k->subject, subject)) {
			*ret_key = k;
			return 0;
		}
	}
	*ret_key = vault_find(t->evidence->vault, subject);
	if (*ret_key)
		return 0;
	return make_key(t, subject, leaf, ret_key);
}

static void format_place(char place[32], uint64_t leaf, unsigned part)
{
	snprintf(place, 32, "%" PRIu64 "/%u", leaf, part);
}

char *evidence_commitment(const uint8_t salt[32], struct slice payload)
{
	const struct slice parts[] = {
		slice_of(tag, sizeof(tag)),
		slice_of(salt, SALT_LEN),
		payload,
	};
	struct digest digest = digest_of_parts(parts, ARRAY_LEN(parts));
	CLEANUP(mem_free_p) char *text = text_base64url(digest_slice(&digest));

	return mem_format("c:%s", text);
}

/* salt || canonical JSON. */
static int write_plain(struct buf *plain, const json_t *value)
{
	uint8_t salt[SALT_LEN];
	int r;

	random_bytes(salt, sizeof(salt));
	buf_put(plain, slice_of(salt, sizeof(salt)));
	mem_wipe(salt, sizeof(salt));
	r = json_put_canonical(plain, value);
	if (r == 0 && plain->overflow)
		return error_set(ERR_LIMIT, "a payload of more than %d bytes",
				 EVIDENCE_PAYLOAD_MAX);
	return r;
}

static void append_commitment(json_t *commit, const struct buf *plain)
{
	CLEANUP(mem_free_p)
	char *text = evidence_commitment(
		plain->data,
		slice_of(plain->data + SALT_LEN, plain->len - SALT_LEN));

	json_array_append_new(commit, json_string(text));
}

int vault_seal(struct evidence_txn *t, uint64_t leaf, unsigned part,
	       const struct evidence_part *what, json_t *commit)
{
	CLEANUP(buf_clear)
	struct buf plain = BUF_INIT(SALT_LEN + EVIDENCE_PAYLOAD_MAX);
	struct data_key *key;
	struct span sealed;
	struct op *op;
	char place[32];
	size_t mark;

	TRY(write_plain(&plain, what->value));
	TRY(key_for(t, what->subject, leaf, &key));
	format_place(place, leaf, part);
	mark = t->bytes.len;
	TRY(seal_close(key->key, slice_str(place), buf_slice(&plain),
		       &t->bytes));
	sealed = txn_span_since(t, mark);
	op = txn_op(t, OP_PAYLOAD);
	op->index = leaf;
	op->number = part;
	op->name = txn_put_text(t, key->name);
	op->bytes = sealed;
	append_commitment(commit, &plain);
	return 0;
}

int vault_unseal(const uint8_t key[SEAL_KEY_LEN], uint64_t leaf, unsigned part,
		 struct slice sealed, json_t **ret_payload)
{
	CLEANUP(buf_clear) struct buf plain = BUF_INIT(SEALED_MAX);
	CLEANUP(mem_free_p) char *salt = NULL;
	json_t *value;
	char place[32];

	format_place(place, leaf, part);
	TRY(seal_open(key, slice_str(place), sealed, &plain));
	if (plain.len < SALT_LEN)
		return error_set(ERR_CORRUPT, "payload without its salt");
	if (json_parse(slice_of(plain.data + SALT_LEN, plain.len - SALT_LEN),
		       EVIDENCE_PAYLOAD_MAX, &value) < 0)
		return error_context(ERR_CORRUPT, "payload");
	salt = text_base64url(slice_of(plain.data, SALT_LEN));
	*ret_payload = json_object();
	json_set_text(*ret_payload, "salt", salt);
	json_set_new(*ret_payload, "payload", value);
	return 0;
}

/* ---- disclosing -----------------------------------------------------------
 */

struct disclosure {
	struct disclosure *next;
	struct evidence *evidence;
	uint64_t leaf;
	unsigned part;
	struct buf sealed;
	struct loop_timer *timer;
	json_t *payload; /* the answer, or */
	const char *why;
	void (*fn)(void *cookie, json_t *payload, const char *why);
	void *cookie;
};

static void disclosure_free(struct disclosure *d)
{
	struct disclosure **link = &d->evidence->disclosures;

	while (*link != d)
		link = &(*link)->next;
	*link = d->next;
	loop_timer_end(d->timer);
	keeper_forget(d->evidence->config.keeper, d);
	buf_clear(&d->sealed);
	json_decref(d->payload);
	free(d);
}

void disclosures_drop(struct evidence *e)
{
	while (e->disclosures)
		disclosure_free(e->disclosures);
}

static void answer(void *cookie)
{
	struct disclosure *d = cookie;
	void (*fn)(void *cookie, json_t *payload, const char *why) = d->fn;
	void *fn_cookie = d->cookie;
	json_t *payload = TAKE(d->payload);
	const char *why = d->why;

	d->timer = NULL;
	disclosure_free(d);
	fn(fn_cookie, payload, payload ? NULL : why);
}

static void answer_soon(struct disclosure *d, const char *why)
{
	d->why = why;
	d->timer = loop_timer(d->evidence->config.loop, 0, answer, d);
}

static void open_with(struct disclosure *d, const uint8_t *key)
{
	int r = vault_unseal(key, d->leaf, d->part, buf_slice(&d->sealed),
			     &d->payload);

	answer_soon(d, r < 0 ? "damaged" : NULL);
}

static void on_key(void *cookie, const uint8_t *key, const char *why UNUSED)
{
	struct disclosure *d = cookie;

	if (key)
		open_with(d, key);
	else
		answer_soon(d, "the keeper does not give the key");
}

/* A payload that the leaf commits to and that is not there was erased. */
static const char *why_missing(struct evidence *e, uint64_t leaf, unsigned part)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(EVIDENCE_LEAF_MAX);
	CLEANUP(json_put_p) json_t *value = NULL;

	if (store_leaf_get(e->reader, leaf, &body, NULL) < 0 ||
	    json_parse(buf_slice(&body), EVIDENCE_LEAF_MAX, &value) < 0 ||
	    part >= json_array_size(json_array_in(value, "commit")))
		return "not found";
	return "erased";
}

/* The data key of that name, if it is at hand. */
static const struct data_key *find_named(struct vault *v, const char *name)
{
	CLEANUP(mem_free_p) char *subject = mem_str(name);
	char *mark = strrchr(subject, '#');
	const struct data_key *key;

	if (!mark)
		return NULL;
	*mark = '\0';
	key = vault_find(v, subject);
	return key && !strcmp(key->name, name) ? key : NULL;
}

static void look_up(struct disclosure *d)
{
	struct evidence *e = d->evidence;
	CLEANUP(buf_clear) struct buf wrapped = BUF_INIT(SEAL_WRAPPED_LEN);
	CLEANUP(mem_free_p) char *name = NULL;
	const struct data_key *key;
	unsigned kek;

	if (store_payload_get(e->reader, d->leaf, d->part, &name, &d->sealed) <
	    0) {
		answer_soon(d, why_missing(e, d->leaf, d->part));
		return;
	}
	key = find_named(e->vault, name);
	if (key) {
		open_with(d, key->key);
		return;
	}
	if (store_subject_get(e->reader, name, &wrapped, &kek) < 0 ||
	    wrapped.len != SEAL_WRAPPED_LEN) {
		answer_soon(d, "erased");
		return;
	}
	keeper_unwrap(e->config.keeper, wrapped.data, kek, on_key, d);
}

void evidence_disclose(struct evidence *e, uint64_t leaf, unsigned part,
		       void (*fn)(void *cookie, json_t *payload,
				  const char *why),
		       void *cookie)
{
	struct disclosure *d = mem_new(struct disclosure);

	d->evidence = e;
	d->leaf = leaf;
	d->part = part;
	d->sealed = (struct buf)BUF_INIT(SEALED_MAX);
	d->fn = fn;
	d->cookie = cookie;
	d->next = e->disclosures;
	e->disclosures = d;
	look_up(d);
}
