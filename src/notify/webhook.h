/*
 * Signatures of webhooks, as Standard Webhooks (1.0) says, over
 * "ID.SECONDS.BODY": HMAC-SHA256 ("v1") for each secret that is shared with the
 * receiver, Ed25519 ("v1a") for each key of our own; several of them sign while
 * they are exchanged.
 */
#pragma once

#include "base/buf.h"
#include "crypto/ed25519.h"

enum {
	WEBHOOK_SECRETS_MAX = 4, /* of each kind */
	WEBHOOK_SECRET_MIN = 24, /* bytes, decoded */
	WEBHOOK_SECRET_MAX = 64,
};

struct webhook_secrets {
	uint8_t keys[WEBHOOK_SECRETS_MAX][WEBHOOK_SECRET_MAX];
	size_t lens[WEBHOOK_SECRETS_MAX];
	size_t count;
	uint8_t seeds[WEBHOOK_SECRETS_MAX][ED25519_SEED_LEN];
	size_t seed_count;
};

/*
 * Adds what the text of a secret's file holds: one "whsec_" and base64 (RFC
 * 4648) a line, 24 to 64 bytes each, the newest first.  Errors: ERR_SYNTAX,
 * ERR_LIMIT; they never tell what the text was, and add nothing.
 */
MUST_USE int webhook_secrets_parse(struct slice text,
				   struct webhook_secrets *secrets);
/* The same for the text of a key's file: "whsk_" and the base64 of 32 bytes (a
 * seed) or 64 (a seed and its public key). */
MUST_USE int webhook_keys_parse(struct slice text,
				struct webhook_secrets *secrets);

/* Reads the files; either may be NULL, not both.  Errors: also ERR_IO,
 * ERR_NOT_FOUND. */
MUST_USE int webhook_secrets_read(const char *secret_path, const char *key_path,
				  struct webhook_secrets *ret_secrets);
/* For CLEANUP(): wipes them. */
void webhook_secrets_clear(struct webhook_secrets *secrets);

/* The public half of key number i, as "whpk_" and base64; owned, NULL if the
 * crypto library fails. */
char *webhook_public_key(const struct webhook_secrets *secrets, size_t i);

/* The value of webhook-signature: "v1,BASE64" for each secret and "v1a,BASE64"
 * for each key, with spaces in between; owned, NULL if the crypto library
 * fails. */
char *webhook_signature(const struct webhook_secrets *secrets, const char *id,
			int64_t at_s, struct slice body);
