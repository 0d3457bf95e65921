/*
 * Signatures of webhooks, as Standard Webhooks (1.0) says: HMAC-SHA256 over
 * "ID.SECONDS.BODY", one for each secret, so that secrets can be exchanged.
 */
#pragma once

#include "base/buf.h"

enum {
	WEBHOOK_SECRETS_MAX = 4,
	WEBHOOK_SECRET_MIN = 24, /* bytes, decoded */
	WEBHOOK_SECRET_MAX = 64,
};

struct webhook_secrets {
	uint8_t keys[WEBHOOK_SECRETS_MAX][WEBHOOK_SECRET_MAX];
	size_t lens[WEBHOOK_SECRETS_MAX];
	size_t count;
};

/* Reads the text of a secret's file: one "whsec_" and base64 (RFC 4648) a line,
 * 24 to 64 bytes each, the newest first.  Errors: ERR_SYNTAX, ERR_LIMIT; they
 * never tell what the text was. */
MUST_USE int webhook_secrets_parse(struct slice text,
				   struct webhook_secrets *ret_secrets);
/* The same from a file.  Errors: also ERR_IO, ERR_NOT_FOUND. */
MUST_USE int webhook_secrets_read(const char *path,
				  struct webhook_secrets *ret_secrets);
/* For CLEANUP(): wipes them. */
void webhook_secrets_clear(struct webhook_secrets *secrets);

/* The value of webhook-signature: "v1,BASE64" for each secret, with spaces in
 * between; owned. */
char *webhook_signature(const struct webhook_secrets *secrets, const char *id,
			int64_t at_s, struct slice body);
