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
};

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
	{ "v", SCHEMA_INT, true, 1, 1, NULL, NULL, NULL },
	{ "origin", SCHEMA_TEXT, true, 1, NOTE_NAME_MAX - 1, NULL, NULL, NULL },
	{ "log", SCHEMA_TEXT, true, SECRET_TEXT, SECRET_TEXT, NULL, NULL,
	  NULL },
	{ "keks", SCHEMA_LIST, true, 1, KEYS_KEK_MAX, NULL, kek_element, NULL },
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

/* Sets a member to 32 random bytes in base64. */
static void set_secret(json_t *object, const char *name)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(SECRET_TEXT + 1);
	uint8_t bytes[SEAL_KEY_LEN];

	random_bytes(bytes, sizeof(bytes));
	text_put_base64(&text, slice_of(bytes, sizeof(bytes)));
	json_set_text(object, name, buf_text(&text));
	mem_wipe(bytes, sizeof(bytes));
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

int keys_generate(const char *origin, struct buf *out)
{
	CLEANUP(keys_free_p) struct keys *keys = NULL;
	CLEANUP(json_put_p) json_t *file = json_object();
	json_t *keks = json_array();
	json_t *kek = json_object();
	int r;

	json_set_int(kek, "number", 1);
	set_secret(kek, "key");
	json_array_append_new(keks, kek);
	json_set_int(file, "v", 1);
	json_set_text(file, "origin", origin);
	set_secret(file, "log");
	json_set_new(file, "keks", keks);
	TRY(json_put_canonical(out, file));
	buf_put_str(out, "\n");
	r = keys_parse(buf_slice(out), &keys);
	if (r < 0)
		return error_set(ERR_SYNTAX, "'%s' cannot be an origin",
				 origin);
	return 0;
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

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	note_signer_free(keys->signer);
	mem_wipe(keys, sizeof(*keys));
	discard(munlock(keys, sizeof(*keys)));
	free(keys);
}
