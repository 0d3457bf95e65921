/*
 * The keeper's secrets: the key that signs checkpoints, the keys that wrap data
 * keys (KEKs), those that sign access tokens, and the SSH certificate
 * authority, in one file keys.json of mode 0600:
 *
 *   {"keks": [{"key": base64, "number": 1}], "log": base64 of the seed,
 *    "origin": name, "ssh": [...], "tokens": [...], "v": 2}
 *
 * "ssh" and "tokens" have the form of "keks".  Of each list the last one is in
 * use.  Version 1 had neither.
 */
#pragma once

#include "base/slice.h"
#include "crypto/es256.h"
#include "crypto/note.h"
#include "crypto/seal.h"
#include "crypto/sshcert.h"

enum {
	KEYS_KEK_MAX = 32,
	KEYS_ISSUER_MAX = 4, /* that sign credentials, of each form */
	KEYS_FILE_MAX = 16 * 1024,
};

struct keys_kek {
	unsigned number; /* 1 .. */
	uint8_t key[SEAL_KEY_LEN];
};

struct keys {
	struct note_signer *signer;
	struct note_vkey vkey; /* its name is the log's origin */
	size_t count;
	struct keys_kek keks[KEYS_KEK_MAX]; /* numbers ascend */
	/* Both owned; the last is in use.  None in a file of version 1. */
	size_t token_count;
	struct es256_key *tokens[KEYS_ISSUER_MAX];
	size_t ssh_count;
	struct sshcert_authority *ssh[KEYS_ISSUER_MAX];
};

/* The text of a file with fresh keys, appended to out.
 * Errors: ERR_SYNTAX for an origin that C2SP does not allow, ERR_CRYPTO. */
MUST_USE int keys_generate(const char *origin, struct buf *out);

/* Whether a file of version 2 must be written: keys_complete(). */
bool keys_is_old(const struct keys *keys);

/* The text of a file with what an earlier version did not have made, appended
 * to out.  Errors: ERR_CORRUPT. */
MUST_USE int keys_complete(struct slice text, struct buf *out);

/*
 * The text of a file with a fresh key in use for list "tokens" or "ssh",
 * appended to out.  Those before it are kept, so that what they signed still
 * verifies; beyond KEYS_ISSUER_MAX the first is dropped.
 * Errors: ERR_CORRUPT, ERR_SYNTAX (no such list).
 */
MUST_USE int keys_rotate(struct slice text, const char *list, struct buf *out);

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

/* What signs credentials; NULL if there is none. */
const struct es256_key *keys_token(const struct keys *keys);
const struct sshcert_authority *keys_ssh(const struct keys *keys);

void keys_free(struct keys *keys); /* wipes */
DEFINE_CLEANUP(struct keys *, keys_free)

/* Makes every later JSON value of this process wipe its memory when it is
 * released.  Called once, before the first of them. */
void keys_wipe_json(void);
