/*
 * The keeper's secrets: the key that signs checkpoints and the keys that wrap
 * data keys (KEKs), in one file keys.json of mode 0600:
 *
 *   {"keks": [{"key": base64, "number": 1}], "log": base64 of the seed,
 *    "origin": name, "v": 1}
 */
#pragma once

#include "base/slice.h"
#include "crypto/note.h"
#include "crypto/seal.h"

enum { KEYS_KEK_MAX = 32, KEYS_FILE_MAX = 16 * 1024 };

struct keys_kek {
	unsigned number; /* 1 .. */
	uint8_t key[SEAL_KEY_LEN];
};

struct keys {
	struct note_signer *signer;
	struct note_vkey vkey; /* its name is the log's origin */
	size_t count;
	struct keys_kek keks[KEYS_KEK_MAX]; /* numbers ascend */
};

/* The text of a file with fresh keys, appended to out.
 * Errors: ERR_SYNTAX for an origin that C2SP does not allow, ERR_CRYPTO. */
MUST_USE int keys_generate(const char *origin, struct buf *out);

/*
 * Reads the text of a file.
 *
 * ret_keys: owned, keys_free(); its memory is locked where that is allowed.
 * Errors: ERR_CORRUPT, ERR_CRYPTO.
 */
MUST_USE int keys_parse(struct slice text, struct keys **ret_keys);

/* The KEK of a number, NULL if there is none. */
const struct keys_kek *keys_kek(const struct keys *keys, int64_t number);

/* The KEK that new data keys are wrapped with: the last. */
const struct keys_kek *keys_current(const struct keys *keys);

void keys_free(struct keys *keys); /* wipes */
DEFINE_CLEANUP(struct keys *, keys_free)

/* Makes every later JSON value of this process wipe its memory when it is
 * released.  Called once, before the first of them. */
void keys_wipe_json(void);
