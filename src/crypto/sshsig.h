/*
 * SSH signatures (PROTOCOL.sshsig of OpenSSH), as `ssh-keygen -Y sign` makes
 * them.  Key types: ssh-ed25519, ecdsa-sha2-nistp256 and their sk- forms.
 */
#pragma once

#include "crypto/digest.h"

enum {
	SSHSIG_ARMOR_MAX = 8 * 1024, /* bytes of an armored signature */
	SSHSIG_KEY_MAX = 2 * 1024,   /* bytes of a public key line */
};

/* A public key as it stands in an authorized_keys or .pub line. */
struct ssh_key {
	char type[48];
	uint8_t blob[1024]; /* RFC 4253 encoding */
	size_t blob_len;
	bool hardware; /* an sk- type */
};

/*
 * Reads "type base64 [comment]", one line with or without its line feed.
 * Options before the type and other key types (RSA among them) are refused;
 * the application of an sk- key must begin with "ssh:".
 * Errors: ERR_SYNTAX, ERR_LIMIT.
 */
MUST_USE int ssh_key_parse(const char *line, struct ssh_key *ret_key);

/* "SHA256:" and unpadded base64, as ssh-keygen -l prints it; owned. */
char *ssh_key_fingerprint(const struct ssh_key *key);

struct sshsig_outcome {
	bool valid;
	const char *why; /* static text, "" when valid */
	/* For sk- keys, what the authenticator said; false and 0 otherwise. */
	bool user_present;
	bool user_verified;
	uint32_t counter;
};

/*
 * Verifies that armored signs message in namespace (never "") with exactly key.
 * An sk- signature without user presence is not valid.  ECDSA signatures can be
 * altered into other valid ones: do not use their bytes as an identity.
 */
struct sshsig_outcome sshsig_verify(struct slice armored, const char *namespace,
				    struct slice message,
				    const struct ssh_key *key);
