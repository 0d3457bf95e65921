#include "keeper/requests.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/schema.h"
#include "base/text.h"
#include "crypto/merkle.h"
#include "keeper/credential.h"

enum {
	DIGEST_TEXT = 44,  /* 32 bytes in base64 */
	WRAPPED_TEXT = 56, /* 40 bytes in base64 */
	KEY_COUNT_MAX = 64,
	ORIGIN_AND_ROOT_MAX = 1024,
	CREDENTIAL_MAX = 64 * 1024, /* bytes of a token or a certificate */
	REQUEST_MAX = 64 * 1024,    /* bytes of the largest request */
};

/* ---- the folder ---- */

static int open_folder(const char *folder, int *ret_fd)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return error_set(ERR_NOT_FOUND, "no folder '%s'", folder);
	if (fd < 0)
		return error_sys("open '%s'", folder);
	*ret_fd = fd;
	return 0;
}

/* Appends the signed checkpoint of head to note. */
static int sign_head(const struct keys *keys, const struct checkpoint *head,
		     struct buf *note)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(ORIGIN_AND_ROOT_MAX);

	TRY(checkpoint_format(head, &text));
	return note_sign(keys->signer, buf_slice(&text), note);
}

static int write_folder(int folder_fd, const char *origin)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(KEYS_FILE_MAX);
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	CLEANUP(keys_free_p) struct keys *keys = NULL;
	struct merkle_frontier empty = { 0 };
	struct checkpoint head = { .root = merkle_frontier_root(&empty) };

	TRY(keys_generate(origin, &text));
	TRY(keys_parse(buf_slice(&text), &keys));
	snprintf(head.origin, sizeof(head.origin), "%s", keys->vkey.name);
	TRY(sign_head(keys, &head, &note));
	/* The keys come last: a folder with keys is a whole one. */
	TRY(last_make(folder_fd, buf_slice(&note)));
	TRY(issued_make(folder_fd));
	return slots_replace(folder_fd, "keys.json", buf_slice(&text));
}

int keeper_init(const char *folder, const char *origin)
{
	static const char *const memories[] = { "last", "issued" };
	CLEANUP(fd_close_p) int fd = -1;

	TRY(file_make_folder(folder));
	TRY(open_folder(folder, &fd));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(ERR_BUSY, "'%s' is in use", folder);
	if (faccessat(fd, "keys.json", F_OK, 0) == 0)
		return error_set(ERR_BUSY, "'%s' holds keys already", folder);
	for (size_t i = 0; i < ARRAY_LEN(memories); i++)
		if (faccessat(fd, memories[i], F_OK, 0) == 0)
			return error_set(ERR_BUSY,
					 "'%s' remembers a log already",
					 folder);
	return write_folder(fd, origin);
}

/* Opens and locks a folder with keys. */
static int lock_folder(const char *folder, int *ret_fd)
{
	CLEANUP(fd_close_p) int fd = -1;

	TRY(open_folder(folder, &fd));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(ERR_BUSY, "another keeper has '%s'", folder);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int read_keys(const char *folder, struct buf *text)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/keys.json", folder);

	return file_read_private(path, text);
}

/* Makes what an earlier version did not have.  Its memory comes first, so that
 * new keys are never without it. */
static int upgrade(int folder_fd, struct slice old, struct keys **ret_keys)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(KEYS_FILE_MAX);
	CLEANUP(keys_free_p) struct keys *keys = NULL;

	TRY(keys_complete(old, &text));
	TRY(keys_parse(buf_slice(&text), &keys));
	TRY(issued_make(folder_fd));
	TRY(slots_replace(folder_fd, "keys.json", buf_slice(&text)));
	*ret_keys = TAKE(keys);
	return 0;
}

static int load_keys(const char *folder, int folder_fd, struct keys **ret_keys)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(KEYS_FILE_MAX);
	CLEANUP(keys_free_p) struct keys *keys = NULL;

	TRY(read_keys(folder, &text));
	TRY(keys_parse(buf_slice(&text), &keys));
	if (keys_is_old(keys))
		return upgrade(folder_fd, buf_slice(&text), ret_keys);
	*ret_keys = TAKE(keys);
	return 0;
}

/* Nothing of it may be open to others.  What is not there yet is seen later. */
static int check_private(const char *folder)
{
	static const char *const names[] = { "keys.json", "last", "issued" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p)
		char *path = mem_format("%s/%s", folder, names[i]);
		int r = file_test_private(path);

		if (r < 0 && r != ERR_NOT_FOUND)
			return r;
	}
	return 0;
}

static int load(const char *folder, struct keeper *keeper)
{
	TRY(lock_folder(folder, &keeper->lock_fd));
	TRY(check_private(folder));
	TRY(load_keys(folder, keeper->lock_fd, &keeper->keys));
	TRY(note_verifier_new(&keeper->keys->vkey, &keeper->verifier));
	TRY(last_open(&keeper->last, keeper->lock_fd, &keeper->keys->vkey));
	return issued_open(&keeper->issued, keeper->lock_fd);
}

int keeper_load(const char *folder, struct keeper *ret_keeper)
{
	struct keeper keeper = { .last.slots.fd = -1,
				 .issued.slots.fd = -1,
				 .lock_fd = -1 };
	int r = load(folder, &keeper);

	if (r < 0) {
		keeper_clear(&keeper);
		return error_context(r, "'%s'", folder);
	}
	*ret_keeper = keeper;
	return 0;
}

int keeper_rotate(const char *folder, const char *list)
{
	CLEANUP(buf_clear) struct buf old = BUF_INIT(KEYS_FILE_MAX);
	CLEANUP(buf_clear) struct buf text = BUF_INIT(KEYS_FILE_MAX);
	CLEANUP(keys_free_p) struct keys *keys = NULL;
	CLEANUP(fd_close_p) int fd = -1;
	struct keeper keeper;

	/* All is as it should be before, and upgraded. */
	TRY(keeper_load(folder, &keeper));
	keeper_clear(&keeper);
	TRY(lock_folder(folder, &fd));
	TRY(read_keys(folder, &old));
	TRY(keys_rotate(buf_slice(&old), list, &text));
	TRY(keys_parse(buf_slice(&text), &keys));
	return slots_replace(fd, "keys.json", buf_slice(&text));
}

void keeper_clear(struct keeper *keeper)
{
	keys_free(keeper->keys);
	keeper->keys = NULL;
	note_verifier_free(keeper->verifier);
	keeper->verifier = NULL;
	free(keeper->note);
	keeper->note = NULL;
	json_decref(keeper->sandbox);
	keeper->sandbox = NULL;
	last_close(&keeper->last);
	issued_close(&keeper->issued);
	fd_close_p(&keeper->lock_fd);
	keeper->lock_fd = -1;
}

/* ---- the requests ---- */

/* Sets a member to bytes in base64, leaving no copy behind. */
static void set_base64(json_t *object, const char *name, struct slice bytes)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(256);

	text_put_base64(&text, bytes);
	json_set_text(object, name, buf_text(&text));
}

/* Reads exactly size bytes from base64; false if it is anything else. */
static bool get_base64(const char *text, void *ret_bytes, size_t size)
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(size);

	if (text_from_base64(slice_str(text), &bytes) < 0 || bytes.len != size)
		return false;
	memcpy(ret_bytes, bytes.data, size);
	return true;
}

static int hello(struct keeper *keeper, const json_t *params UNUSED,
		 json_t *result, struct rpc_fault *fault UNUSED)
{
	const struct checkpoint *head = &keeper->last.head;
	char vkey[NOTE_VKEY_MAX];
	json_t *last = json_object();

	note_vkey_format(&keeper->keys->vkey, vkey);
	json_set_text(result, "origin", keeper->keys->vkey.name);
	json_set_text(result, "vkey", vkey);
	json_set_int(result, "kek", keys_current(keeper->keys)->number);
	json_set_int(last, "size", (int64_t)head->size);
	set_base64(last, "root", digest_slice(&head->root));
	json_set_new(result, "last", last);
	json_set_text(result, "version", WRIT_VERSION);
	if (keeper->sandbox)
		json_set_new(result, "sandbox", json_incref(keeper->sandbox));
	return 0;
}

struct asked {
	struct checkpoint head;
	struct merkle_proof proof;
};

/* False when a digest is not 32 bytes of base64. */
static bool read_asked(const struct keeper *keeper, const json_t *params,
		       struct asked *ret_asked)
{
	const json_t *proof = json_array_in(params, "proof");

	*ret_asked = (struct asked){ 0 };
	ret_asked->head.size = (uint64_t)json_int(params, "size", 0);
	snprintf(ret_asked->head.origin, sizeof(ret_asked->head.origin), "%s",
		 keeper->keys->vkey.name);
	if (!get_base64(json_text(params, "root", ""),
			ret_asked->head.root.bytes, DIGEST_LEN))
		return false;
	for (size_t i = 0; i < json_array_size(proof); i++) {
		const char *node = json_string_value(json_array_get(proof, i));

		if (!get_base64(node, ret_asked->proof.nodes[i].bytes,
				DIGEST_LEN))
			return false;
		ret_asked->proof.count++;
	}
	return true;
}

/* Says in fault why the checkpoint asked for does not follow the last one. */
static void judge(const struct checkpoint *last, const struct asked *asked,
		  struct rpc_fault *fault)
{
	const struct checkpoint *head = &asked->head;
	bool same = digest_equals(&head->root, &last->root);

	if (head->size < last->size) {
		discard(rpc_fault_set(fault, RPC_REFUSED, "rollback",
				      "size %llu, but %llu was signed",
				      (unsigned long long)head->size,
				      (unsigned long long)last->size));
		return;
	}
	if (head->size == last->size && !same) {
		discard(rpc_fault_set(fault, RPC_REFUSED, "fork",
				      "another root at size %llu was signed",
				      (unsigned long long)head->size));
		return;
	}
	if (!merkle_consistency_holds(last->size, head->size, &last->root,
				      &head->root, asked->proof.nodes,
				      asked->proof.count))
		discard(rpc_fault_set(
			fault, RPC_REFUSED, "inconsistent",
			"the proof from %llu to %llu does not hold",
			(unsigned long long)last->size,
			(unsigned long long)head->size));
}

static int checkpoint(struct keeper *keeper, const json_t *params,
		      json_t *result, struct rpc_fault *fault)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	struct asked asked;

	if (!read_asked(keeper, params, &asked))
		return rpc_fault_set(fault, RPC_PARAMS, "malformed",
				     "a digest is 32 bytes in base64");
	judge(&keeper->last.head, &asked, fault);
	if (fault->code)
		return 0;
	TRY(sign_head(keeper->keys, &asked.head, &note));
	TRY(last_put(&keeper->last, &asked.head, buf_slice(&note)));
	json_set_text(result, "note", buf_text(&note));
	return 0;
}

/* Appends a fresh data key and its wrapped form to keys. */
static int add_key(const struct keys_kek *kek, json_t *keys)
{
	uint8_t wrapped[SEAL_WRAPPED_LEN];
	uint8_t key[SEAL_KEY_LEN];
	json_t *row = json_object();
	int r;

	random_bytes(key, sizeof(key));
	r = seal_wrap(kek->key, key, wrapped);
	if (r == 0) {
		set_base64(row, "key", slice_of(key, sizeof(key)));
		set_base64(row, "wrapped", slice_of(wrapped, sizeof(wrapped)));
	}
	mem_wipe(key, sizeof(key));
	json_array_append_new(keys, row);
	return r;
}

static int key(struct keeper *keeper, const json_t *params, json_t *result,
	       struct rpc_fault *fault UNUSED)
{
	const struct keys_kek *kek = keys_current(keeper->keys);
	int64_t count = json_int(params, "count", 0);
	json_t *keys = json_array();

	json_set_new(result, "keys", keys);
	json_set_int(result, "kek", kek->number);
	for (int64_t i = 0; i < count; i++)
		TRY(add_key(kek, keys));
	return 0;
}

static int unwrap(struct keeper *keeper, const json_t *params, json_t *result,
		  struct rpc_fault *fault)
{
	const struct keys_kek *kek =
		keys_kek(keeper->keys, json_int(params, "kek", 0));
	uint8_t wrapped[SEAL_WRAPPED_LEN];
	uint8_t data_key[SEAL_KEY_LEN];
	int r;

	if (!kek)
		return rpc_fault_set(fault, RPC_REFUSED, "unknown-kek",
				     "there is no key of this number");
	if (!get_base64(json_text(params, "wrapped", ""), wrapped,
			sizeof(wrapped)))
		return rpc_fault_set(fault, RPC_PARAMS, "malformed",
				     "a wrapped key is 40 bytes in base64");
	r = seal_unwrap(kek->key, wrapped, data_key);
	if (r == ERR_CORRUPT)
		return rpc_fault_set(fault, RPC_REFUSED, "corrupt",
				     "it was not wrapped by this key");
	TRY(r);
	set_base64(result, "key", slice_of(data_key, sizeof(data_key)));
	mem_wipe(data_key, sizeof(data_key));
	return 0;
}

/* ---- credentials ---- */

static int jwks(struct keeper *keeper, const json_t *params UNUSED,
		json_t *result, struct rpc_fault *fault UNUSED)
{
	json_t *keys = json_array();

	for (size_t i = 0; i < keeper->keys->token_count; i++)
		json_array_append_new(keys,
				      es256_key_jwk(keeper->keys->tokens[i]));
	json_set_new(result, "keys", keys);
	return 0;
}

static int ssh_authorities(struct keeper *keeper, const json_t *params UNUSED,
			   json_t *result, struct rpc_fault *fault UNUSED)
{
	json_t *lines = json_array();

	for (size_t i = 0; i < keeper->keys->ssh_count; i++)
		json_array_append_new(lines, json_string(sshcert_authority_line(
						     keeper->keys->ssh[i])));
	json_set_new(result, "keys", lines);
	return 0;
}

/* Verifies a checkpoint of our own, once for all that name it. */
static bool take_head(struct keeper *keeper, const char *note,
		      struct rpc_fault *fault)
{
	struct checkpoint head;

	if (keeper->note && !strcmp(keeper->note, note))
		return true;
	if (checkpoint_verify(slice_str(note), keeper->verifier, &head) < 0) {
		discard(rpc_fault_set(fault, RPC_REFUSED, "checkpoint", "%s",
				      error_message()));
		return false;
	}
	free(keeper->note);
	keeper->note = mem_str(note);
	keeper->head = head;
	return true;
}

/* Opens the leaf that a request names, if it has not served yet. */
static void open_leaf(struct keeper *keeper, const json_t *params,
		      const char *form, int64_t life, struct credential *c,
		      struct rpc_fault *fault)
{
	if (!take_head(keeper, json_text(params, "checkpoint", ""), fault))
		return;
	credential_open(params, &keeper->head, form, life, c, fault);
	if (!fault->code && issued_has(&keeper->issued, c->index))
		discard(rpc_fault_set(fault, RPC_REFUSED, "used",
				      "a credential was made for this leaf"));
}

static int token(struct keeper *keeper, const json_t *params, json_t *result,
		 struct rpc_fault *fault)
{
	CLEANUP(credential_clear) struct credential c = { 0 };
	CLEANUP(buf_clear) struct buf text = BUF_INIT(CREDENTIAL_MAX);
	const struct es256_key *key = keys_token(keeper->keys);

	open_leaf(keeper, params, "token", CREDENTIAL_TOKEN_S, &c, fault);
	if (fault->code)
		return 0;
	TRY(credential_token(&c, key, &text, fault));
	if (fault->code)
		return 0;
	TRY(issued_add(&keeper->issued, c.index));
	json_set_text(result, "token", buf_text(&text));
	json_set_text(result, "kid", es256_key_id(key));
	json_set_int(result, "expires", c.expires);
	return 0;
}

static int ssh_certificate(struct keeper *keeper, const json_t *params,
			   json_t *result, struct rpc_fault *fault)
{
	CLEANUP(credential_clear) struct credential c = { 0 };
	CLEANUP(buf_clear) struct buf line = BUF_INIT(CREDENTIAL_MAX);

	open_leaf(keeper, params, "ssh", CREDENTIAL_SSH_S, &c, fault);
	if (fault->code)
		return 0;
	TRY(credential_ssh(&c, keys_ssh(keeper->keys), &line, fault));
	if (fault->code)
		return 0;
	TRY(issued_add(&keeper->issued, c.index));
	json_set_text(result, "certificate", buf_text(&line));
	json_set_int(result, "serial", (int64_t)c.index);
	json_set_int(result, "expires", c.expires);
	return 0;
}

/* ---- the table ---- */

static const struct schema no_rows[] = {
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema node_row[] = {
	{ "node", SCHEMA_TEXT, true, DIGEST_TEXT, DIGEST_TEXT, NULL, NULL,
	  NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema checkpoint_rows[] = {
	{ "size", SCHEMA_INT, true, 0, INT64_MAX, NULL, NULL, NULL },
	{ "root", SCHEMA_TEXT, true, DIGEST_TEXT, DIGEST_TEXT, NULL, NULL,
	  NULL },
	{ "proof", SCHEMA_LIST, true, 0, MERKLE_PROOF_MAX, NULL, node_row,
	  NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema key_rows[] = {
	{ "count", SCHEMA_INT, true, 1, KEY_COUNT_MAX, NULL, NULL, NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema unwrap_rows[] = {
	{ "kek", SCHEMA_INT, true, 1, INT32_MAX, NULL, NULL, NULL },
	{ "wrapped", SCHEMA_TEXT, true, WRAPPED_TEXT, WRAPPED_TEXT, NULL, NULL,
	  NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

struct request_row {
	const char *method;
	int (*handler)(struct keeper *keeper, const json_t *params,
		       json_t *result, struct rpc_fault *fault);
	size_t max; /* bytes of the whole message */
	const struct schema *params;
};

static const struct request_row requests[] = {
	{ "hello", hello, 256, no_rows },
	{ "checkpoint", checkpoint, 8 * 1024, checkpoint_rows },
	{ "key", key, 256, key_rows },
	{ "unwrap", unwrap, 512, unwrap_rows },
	{ "jwks", jwks, 256, no_rows },
	{ "ssh-authorities", ssh_authorities, 256, no_rows },
	{ "token", token, REQUEST_MAX, credential_rows },
	{ "ssh-certificate", ssh_certificate, REQUEST_MAX, credential_rows },
};

static const struct request_row *find_row(const char *method)
{
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		if (!strcmp(method, requests[i].method))
			return &requests[i];
	return NULL;
}

/* Runs the row of a request; what goes wrong is told in fault. */
static void run(struct keeper *keeper, const struct rpc_request *request,
		size_t size, json_t *result, struct rpc_fault *fault)
{
	const struct request_row *row = find_row(request->method);
	CLEANUP(json_put_p) json_t *faults = NULL;
	int r;

	if (!row) {
		discard(rpc_fault_set(fault, RPC_METHOD, "malformed",
				      "no such method"));
		return;
	}
	if (size > row->max) {
		discard(rpc_fault_set(fault, RPC_INVALID, "too-large",
				      "%s of %zu bytes", row->method, size));
		return;
	}
	schema_check(row->params, request->params, NULL, &faults);
	if (json_array_size(faults) > 0) {
		discard(rpc_fault_set(
			fault, RPC_PARAMS, "malformed", "params at '%s'",
			json_text(json_array_get(faults, 0), "at", "?")));
		return;
	}
	r = row->handler(keeper, request->params, result, fault);
	if (r < 0)
		discard(rpc_fault_set(fault, RPC_REFUSED,
				      r == ERR_CRYPTO ? "crypto" : "storage",
				      "%s", error_message()));
}

/* A message and its answer. */
struct job {
	int64_t id;
	bool remembers; /* its answer waits for the disk */
	struct buf reply;
};

static int work(struct keeper *keeper, struct slice body, struct job *job)
{
	CLEANUP(rpc_request_clear) struct rpc_request request = { 0 };
	CLEANUP(json_put_p) json_t *result = NULL;
	struct rpc_fault fault = { 0 };

	job->reply = (struct buf)BUF_INIT(FRAME_MAX);
	rpc_request_parse(body, REQUEST_MAX, &request, &fault);
	if (fault.code)
		return rpc_put_fault(&job->reply, -1, &fault);
	job->id = request.id;
	result = json_object();
	run(keeper, &request, body.len, result, &fault);
	if (fault.code)
		return rpc_put_fault(&job->reply, request.id, &fault);
	/* What waited before this one waits for the same sync. */
	job->remembers = keeper->last.note.len > 0 || keeper->issued.changed;
	return rpc_put_result(&job->reply, request.id, TAKE(result));
}

/* Has what is to be remembered on disk; if it cannot be, nothing that waits for
 * it leaves. */
static int remember(struct keeper *keeper, struct job *jobs, size_t count)
{
	struct rpc_fault fault = { 0 };
	int r = last_sync(&keeper->last);

	if (r == 0)
		r = issued_sync(&keeper->issued);
	if (r == 0)
		return 0;
	discard(rpc_fault_set(&fault, RPC_REFUSED, "storage", "%s",
			      error_message()));
	for (size_t i = 0; i < count; i++) {
		if (!jobs[i].remembers)
			continue;
		buf_clear(&jobs[i].reply);
		TRY(rpc_put_fault(&jobs[i].reply, jobs[i].id, &fault));
	}
	return 0;
}

static int answer_all(struct keeper *keeper, const struct slice *bodies,
		      size_t count, struct job *jobs,
		      const struct rpc_sink *sink)
{
	for (size_t i = 0; i < count; i++)
		TRY(work(keeper, bodies[i], &jobs[i]));
	TRY(remember(keeper, jobs, count));
	for (size_t i = 0; i < count; i++)
		TRY(sink->put(sink->cookie, buf_slice(&jobs[i].reply)));
	return 0;
}

int keeper_answer(void *cookie, const struct slice *bodies, size_t count,
		  const struct rpc_sink *sink)
{
	CLEANUP(mem_free_p)
	struct job *jobs = mem_array(count, sizeof(*jobs));
	int r = answer_all(cookie, bodies, count, jobs, sink);

	for (size_t i = 0; i < count; i++)
		buf_clear(&jobs[i].reply);
	return r;
}
