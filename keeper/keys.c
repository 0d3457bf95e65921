#include "keeper/keys.h"

#include <sys/mman.h>

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/schema.h"
#include "base/text.h"

enum {
	SECRET_TEXT = 44, /* 32 bytes in base64 */
	KEK_NUMBER_MAX = 1 << 20,
	VERSION = 2,
};

#define TOKENS "tokens"
#define SSH "ssh"

static const struct schema kek_rows[] = {
	{ "number", SCHEMA_INT, true, 1, KEK_NUMBER_MAX, NULL, NULL, NULL },
	{ "key", SCHEMA_TEXT, true, SECRET_TEXT, SECRET_TEXT, NULL, NULL,
	  NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema kek_element[] = {
	{ "kek", SCHEMA_OBJECT, true, 0, 0, NULL, kek_rows, NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema file_rows[] = {
	{ "v", SCHEMA_INT, true, 1, VERSION, NULL, NULL, NULL },
	{ "origin", SCHEMA_TEXT, true, 1, NOTE_NAME_MAX - 1, NULL, NULL, NULL },
	{ "log", SCHEMA_TEXT, true, SECRET_TEXT, SECRET_TEXT, NULL, NULL,
	  NULL },
	{ "keks", SCHEMA_LIST, true, 1, KEYS_KEK_MAX, NULL, kek_element, NULL },
	/* Required from version 2 on. */
	{ TOKENS, SCHEMA_LIST, false, 1, KEYS_ISSUER_MAX, NULL, kek_element,
	  NULL },
	{ SSH, SCHEMA_LIST, false, 1, KEYS_ISSUER_MAX, NULL, kek_element,
	  NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

/* The kept size in front of a block, in a unit that keeps alignment. */
union block_head {
	size_t size;
	max_align_t align;
};

static void *wiping_malloc(size_t size)
{
	union block_head *head;

	if (size > SIZE_MAX - sizeof(*head))
		return NULL;
	head = malloc(sizeof(*head) + size);
	if (!head)
		return NULL;
	head->size = size;
	return head + 1;
}

static void wiping_free(void *block)
{
	union block_head *head = block;

	if (!block)
		return;
	head--;
	mem_wipe(head + 1, head->size);
	free(head);
}

void keys_wipe_json(void)
{
	json_set_alloc_funcs(wiping_malloc, wiping_free);
}

/* Sets a member to a secret in base64. */
static void set_secret(json_t *object, const char *name,
		       const uint8_t bytes[SEAL_KEY_LEN])
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(SECRET_TEXT + 1);

	text_put_base64(&text, slice_of(bytes, SEAL_KEY_LEN));
	json_set_text(object, name, buf_text(&text));
}

/* Makes a secret for a list, or for the log (NULL). */
static void make_secret(const char *list, uint8_t ret_bytes[SEAL_KEY_LEN])
{
	if (list && !strcmp(list, TOKENS))
		es256_secret(ret_bytes);
	else
		random_bytes(ret_bytes, SEAL_KEY_LEN);
}

/* Appends a fresh secret to a list of the file, dropping the first beyond
 * max. */
static void add_secret(json_t *file, const char *list, size_t max)
{
	json_t *rows = json_object_get(file, list);
	uint8_t bytes[SEAL_KEY_LEN];
	json_t *row = json_object();
	int64_t number;

	if (!rows) {
		rows = json_array();
		json_set_new(file, list, rows);
	}
	number = json_int(json_array_get(rows, json_array_size(rows) - 1),
			  "number", 0);
	make_secret(list, bytes);
	json_set_int(row, "number", number + 1);
	set_secret(row, "key", bytes);
	mem_wipe(bytes, sizeof(bytes));
	json_array_append_new(rows, row);
	if (json_array_size(rows) > max)
		json_array_remove(rows, 0);
}

static int get_secret(const json_t *object, const char *name,
		      uint8_t ret_bytes[SEAL_KEY_LEN])
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(SEAL_KEY_LEN);

	TRY(text_from_base64(slice_str(json_text(object, name, "")), &bytes));
	if (bytes.len != SEAL_KEY_LEN)
		return error_set(ERR_CORRUPT, "'%s' has %zu bytes", name,
				 bytes.len);
	memcpy(ret_bytes, bytes.data, SEAL_KEY_LEN);
	return 0;
}

static int put_file(const json_t *file, struct buf *out)
{
	struct slice all;

	TRY(json_put_canonical(out, file));
	buf_put_str(out, "\n");
	return buf_finish(out, &all);
}

int keys_generate(const char *origin, struct buf *out)
{
	CLEANUP(keys_free_p) struct keys *keys = NULL;
	CLEANUP(json_put_p) json_t *file = json_object();
	uint8_t seed[SEAL_KEY_LEN];

	make_secret(NULL, seed);
	set_secret(file, "log", seed);
	mem_wipe(seed, sizeof(seed));
	json_set_int(file, "v", VERSION);
	json_set_text(file, "origin", origin);
	add_secret(file, "keks", KEYS_KEK_MAX);
	add_secret(file, TOKENS, KEYS_ISSUER_MAX);
	add_secret(file, SSH, KEYS_ISSUER_MAX);
	TRY(put_file(file, out));
	if (keys_parse(buf_slice(out), &keys) < 0)
		return error_set(ERR_SYNTAX, "'%s' cannot be an origin",
				 origin);
	return 0;
}

int keys_complete(struct slice text, struct buf *out)
{
	CLEANUP(json_put_p) json_t *file = NULL;

	TRY(json_parse(text, KEYS_FILE_MAX, &file));
	json_set_int(file, "v", VERSION);
	if (!json_object_get(file, TOKENS))
		add_secret(file, TOKENS, KEYS_ISSUER_MAX);
	if (!json_object_get(file, SSH))
		add_secret(file, SSH, KEYS_ISSUER_MAX);
	return put_file(file, out);
}

int keys_rotate(struct slice text, const char *list, struct buf *out)
{
	CLEANUP(json_put_p) json_t *file = NULL;

	if (strcmp(list, TOKENS) != 0 && strcmp(list, SSH) != 0)
		return error_set(ERR_SYNTAX, "'%s' is neither '%s' nor '%s'",
				 list, TOKENS, SSH);
	TRY(json_parse(text, KEYS_FILE_MAX, &file));
	json_set_int(file, "v", VERSION);
	add_secret(file, list, KEYS_ISSUER_MAX);
	return put_file(file, out);
}

static int parse_keks(const json_t *keks, struct keys *keys)
{
	for (size_t i = 0; i < json_array_size(keks); i++) {
		const json_t *row = json_array_get(keks, i);
		struct keys_kek *kek = &keys->keks[i];

		kek->number = (unsigned)json_int(row, "number", 0);
		if (i > 0 && kek->number <= keys->keks[i - 1].number)
			return error_set(ERR_CORRUPT, "keks out of order");
		TRY(get_secret(row, "key", kek->key));
		keys->count++;
	}
	return 0;
}

/* The secrets of a list in order; what takes one sets the next key of keys. */
static int parse_issuers(const json_t *file, const char *list,
			 int (*take)(struct keys *keys, const uint8_t *secret),
			 struct keys *keys)
{
	const json_t *rows = json_array_in(file, list);
	int64_t last = 0;

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		uint8_t secret[SEAL_KEY_LEN];
		int r = get_secret(row, "key", secret);

		if (r == 0)
			r = take(keys, secret);
		mem_wipe(secret, sizeof(secret));
		TRY(r);
		if (json_int(row, "number", 0) <= last)
			return error_set(ERR_CORRUPT, "'%s' out of order",
					 list);
		last = json_int(row, "number", 0);
	}
	if (last == 0 && json_int(file, "v", 0) >= 2)
		return error_set(ERR_CORRUPT, "no '%s'", list);
	return 0;
}

static int take_token(struct keys *keys, const uint8_t *secret)
{
	TRY(es256_key_new(secret, &keys->tokens[keys->token_count]));
	keys->token_count++;
	return 0;
}

static int take_ssh(struct keys *keys, const uint8_t *secret)
{
	TRY(sshcert_authority_new(secret, &keys->ssh[keys->ssh_count]));
	keys->ssh_count++;
	return 0;
}

static int parse_signer(const json_t *file, struct keys *keys)
{
	uint8_t seed[SEAL_KEY_LEN];
	int r;

	TRY(get_secret(file, "log", seed));
	r = note_signer_new(json_text(file, "origin", ""),
			    slice_of(seed, sizeof(seed)), &keys->signer);
	mem_wipe(seed, sizeof(seed));
	TRY(r);
	note_signer_vkey(keys->signer, &keys->vkey);
	return 0;
}

static int parse_file(struct slice text, struct keys *keys)
{
	CLEANUP(json_put_p) json_t *file = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;

	TRY(json_parse(text, KEYS_FILE_MAX, &file));
	schema_check(file_rows, file, NULL, &faults);
	/* What a fault says could quote a secret: only its place is told. */
	if (json_array_size(faults) > 0)
		return error_set(
			ERR_CORRUPT, "at '%s'",
			json_text(json_array_get(faults, 0), "at", "?"));
	TRY(parse_keks(json_array_in(file, "keks"), keys));
	TRY(parse_issuers(file, TOKENS, take_token, keys));
	TRY(parse_issuers(file, SSH, take_ssh, keys));
	return parse_signer(file, keys);
}

int keys_parse(struct slice text, struct keys **ret_keys)
{
	CLEANUP(keys_free_p) struct keys *keys = mem_new(struct keys);
	int r;

	/* Best effort: without the right the keys may be swapped out. */
	discard(mlock(keys, sizeof(*keys)));
	r = parse_file(text, keys);
	if (r < 0 && r != ERR_CRYPTO)
		return error_context(ERR_CORRUPT, "keys");
	TRY(r);
	*ret_keys = TAKE(keys);
	return 0;
}

const struct keys_kek *keys_kek(const struct keys *keys, int64_t number)
{
	for (size_t i = 0; i < keys->count; i++)
		if ((int64_t)keys->keks[i].number == number)
			return &keys->keks[i];
	return NULL;
}

const struct keys_kek *keys_current(const struct keys *keys)
{
	return &keys->keks[keys->count - 1];
}

bool keys_is_old(const struct keys *keys)
{
	return keys->token_count == 0 || keys->ssh_count == 0;
}

const struct es256_key *keys_token(const struct keys *keys)
{
	return keys->token_count ? keys->tokens[keys->token_count - 1] : NULL;
}

const struct sshcert_authority *keys_ssh(const struct keys *keys)
{
	return keys->ssh_count ? keys->ssh[keys->ssh_count - 1] : NULL;
}

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	note_signer_free(keys->signer);
	for (size_t i = 0; i < keys->token_count; i++)
		es256_key_free(keys->tokens[i]);
	for (size_t i = 0; i < keys->ssh_count; i++)
		sshcert_authority_free(keys->ssh[i]);
	mem_wipe(keys, sizeof(*keys));
	discard(munlock(keys, sizeof(*keys)));
	free(keys);
}
