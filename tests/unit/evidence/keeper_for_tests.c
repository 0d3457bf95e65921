/*
 * A keeper for the tests of the evidence layer: signs with a key made from a
 * constant, keeps the last checkpoint in FOLDER/last, and misbehaves when a
 * file in FOLDER asks for it:
 *
 *   refuse   every signature is refused
 *   lie      signs another root
 *   die      ends at the next question
 *   silent   answers nothing
 */
#include <inttypes.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/merkle.h"
#include "crypto/note.h"
#include "crypto/seal.h"

static const char origin[] = "example.com/writ-test";
static const uint8_t seed[32] = "a seed that serves in tests only";
static const uint8_t kek[32] = "a key that serves in tests only.";

struct keeper {
	const char *folder;
	struct note_signer *signer;
	struct checkpoint last;
};

static bool has(const struct keeper *k, const char *name)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/%s", k->folder, name);

	return file_exists(path);
}

static void load_last(struct keeper *k)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/last", k->folder);
	CLEANUP(buf_clear) struct buf text = BUF_INIT(4096);

	k->last.root = digest_of(slice_of(NULL, 0));
	if (file_read(path, &text) == 0 &&
	    checkpoint_parse(buf_slice(&text), &k->last) < 0)
		exit(3);
}

static void save_last(struct keeper *k)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/last", k->folder);
	CLEANUP(buf_clear) struct buf text = BUF_INIT(4096);

	if (checkpoint_format(&k->last, &text) < 0 ||
	    file_write(path, buf_slice(&text), 0600) < 0)
		exit(3);
}

static json_t *base64(struct slice bytes)
{
	CLEANUP(mem_free_p) char *text = text_base64(bytes);

	return json_string(text);
}

static bool decode(const char *text, uint8_t *ret_bytes, size_t len)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(len);

	if (text_from_base64(slice_str(text), &b) < 0 || b.len != len)
		return false;
	memcpy(ret_bytes, b.data, len);
	return true;
}

static json_t *hello(struct keeper *k)
{
	char vkey[NOTE_VKEY_MAX];
	struct note_vkey v;
	json_t *last = json_object();
	json_t *result = json_object();

	note_signer_vkey(k->signer, &v);
	note_vkey_format(&v, vkey);
	json_set_int(last, "size", (int64_t)k->last.size);
	json_set_new(last, "root", base64(digest_slice(&k->last.root)));
	json_set_text(result, "origin", origin);
	json_set_text(result, "vkey", vkey);
	json_set_int(result, "kek", 1);
	json_set_new(result, "last", last);
	return result;
}

static const char *check(struct keeper *k, const struct checkpoint *c,
			 const json_t *proof)
{
	struct digest nodes[64];
	size_t count = json_array_size(proof);

	for (size_t i = 0; i < count; i++) {
		if (i == 64 ||
		    !decode(json_string_value(json_array_get(proof, i)),
			    nodes[i].bytes, DIGEST_LEN))
			return "malformed";
	}
	if (has(k, "refuse"))
		return "refused";
	if (c->size < k->last.size)
		return "rollback";
	if (c->size == k->last.size && !digest_equals(&c->root, &k->last.root))
		return "fork";
	if (!merkle_consistency_holds(k->last.size, c->size, &k->last.root,
				      &c->root, nodes, count))
		return "inconsistent";
	return NULL;
}

static json_t *sign(struct keeper *k, const json_t *params, const char **why)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(4096);
	CLEANUP(buf_clear) struct buf note = BUF_INIT(4096);
	struct checkpoint c = { 0 };
	json_t *result;

	snprintf(c.origin, sizeof(c.origin), "%s", origin);
	c.size = (uint64_t)json_int(params, "size", 0);
	*why = "malformed";
	if (!decode(json_text(params, "root", ""), c.root.bytes, DIGEST_LEN))
		return NULL;
	*why = check(k, &c, json_array_in(params, "proof"));
	if (*why)
		return NULL;
	k->last = c;
	save_last(k);
	if (has(k, "lie"))
		c.root.bytes[0] ^= 1;
	if (checkpoint_format(&c, &text) < 0 ||
	    note_sign(k->signer, buf_slice(&text), &note) < 0)
		exit(3);
	result = json_object();
	json_set_text(result, "note", buf_text(&note));
	return result;
}

static json_t *make_keys(const json_t *params)
{
	json_t *keys = json_array();
	json_t *result = json_object();

	for (int64_t i = json_int(params, "count", 0); i > 0; i--) {
		uint8_t key[SEAL_KEY_LEN];
		uint8_t wrapped[SEAL_WRAPPED_LEN];
		json_t *row = json_object();

		random_bytes(key, sizeof(key));
		if (seal_wrap(kek, key, wrapped) < 0)
			exit(3);
		json_set_new(row, "key", base64(slice_of(key, sizeof(key))));
		json_set_new(row, "wrapped",
			     base64(slice_of(wrapped, sizeof(wrapped))));
		json_array_append_new(keys, row);
	}
	json_set_int(result, "kek", 1);
	json_set_new(result, "keys", keys);
	return result;
}

static json_t *unwrap(const json_t *params, const char **why)
{
	uint8_t wrapped[SEAL_WRAPPED_LEN];
	uint8_t key[SEAL_KEY_LEN];
	json_t *result;

	*why = "malformed";
	if (!decode(json_text(params, "wrapped", ""), wrapped,
		    sizeof(wrapped)) ||
	    seal_unwrap(kek, wrapped, key) < 0)
		return NULL;
	result = json_object();
	json_set_new(result, "key", base64(slice_of(key, sizeof(key))));
	return result;
}

static json_t *handle(struct keeper *k, const json_t *question,
		      const char **why)
{
	const char *method = json_text(question, "method", "");
	const json_t *params = json_object_in(question, "params");

	*why = "malformed";
	if (!strcmp(method, "hello"))
		return hello(k);
	if (!strcmp(method, "checkpoint"))
		return sign(k, params, why);
	if (!strcmp(method, "key"))
		return make_keys(params);
	if (!strcmp(method, "unwrap"))
		return unwrap(params, why);
	return NULL;
}

static void answer(struct keeper *k, struct slice body)
{
	CLEANUP(json_put_p) json_t *question = NULL;
	CLEANUP(json_put_p) json_t *reply = json_object();
	CLEANUP(mem_free_p) char *text = NULL;
	const char *why;
	json_t *result;

	if (has(k, "die"))
		exit(4);
	if (json_parse(body, FRAME_MAX, &question) < 0)
		exit(3);
	result = handle(k, question, &why);
	json_set_text(reply, "jsonrpc", "2.0");
	json_set_int(reply, "id", json_int(question, "id", 0));
	if (result) {
		json_set_new(reply, "result", result);
	} else {
		json_t *data = json_object();
		json_t *error = json_object();

		json_set_text(data, "reason", why);
		json_set_int(error, "code", -32000);
		json_set_text(error, "message", "not in this test");
		json_set_new(error, "data", data);
		json_set_new(reply, "error", error);
	}
	text = json_canonical(reply);
	if (!has(k, "silent") &&
	    frame_write(STDOUT_FILENO, slice_str(text)) < 0)
		exit(3);
}

int main(int argc, char **argv)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	struct keeper k = { .folder = argc == 2 ? argv[1] : "." };
	bool end = false;

	if (note_signer_new(origin, slice_of(seed, sizeof(seed)), &k.signer) <
	    0)
		return 3;
	load_last(&k);
	while (frame_read(STDIN_FILENO, &body, &end) == 0 && !end)
		answer(&k, buf_slice(&body));
	note_signer_free(k.signer);
	return 0;
}
