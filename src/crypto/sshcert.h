/*
 * OpenSSH user certificates (PROTOCOL.certkeys of OpenSSH), signed by an
 * Ed25519 certificate authority.
 */
#pragma once

#include "crypto/sshsig.h"

enum {
	SSHCERT_SEED_LEN = 32,
	SSHCERT_PRINCIPALS_MAX = 32,
	SSHCERT_NAME_MAX = 64,	      /* bytes of a principal */
	SSHCERT_ID_MAX = 256,	      /* bytes of a key id */
	SSHCERT_COMMAND_MAX = 4096,   /* bytes of a forced command */
	SSHCERT_SOURCES_MAX = 1024,   /* bytes of a list of addresses */
	SSHCERT_LINE_MAX = 16 * 1024, /* bytes of a certificate's line */
};

/* What a session may do beside running a command; flags. */
enum sshcert_permit {
	SSHCERT_PTY = 1,
	SSHCERT_PORT_FORWARDING = 2,
	SSHCERT_AGENT_FORWARDING = 4,
	SSHCERT_X11_FORWARDING = 8,
	SSHCERT_USER_RC = 16,
};

/* The flag of "pty", "port-forwarding", "agent-forwarding", "X11-forwarding",
 * "user-rc"; 0 for another word. */
unsigned sshcert_permit_find(const char *name);

/* Whether text can stand in a certificate: as a principal, as its sources
 * (addresses or networks in CIDR form, comma-separated), as its command. */
bool sshcert_takes_principal(const char *text);
bool sshcert_takes_sources(const char *text);
bool sshcert_takes_command(const char *text);

struct sshcert_authority;

/* seed: a secret of SSHCERT_SEED_LEN bytes.  ret_authority: owned.
 * Errors: ERR_CRYPTO. */
MUST_USE int sshcert_authority_new(const uint8_t seed[SSHCERT_SEED_LEN],
				   struct sshcert_authority **ret_authority);
void sshcert_authority_free(struct sshcert_authority *a); /* wipes */
DEFINE_CLEANUP(struct sshcert_authority *, sshcert_authority_free)

/* Its public key as a line for TrustedUserCAKeys, without a line feed; owned by
 * the authority. */
const char *sshcert_authority_line(const struct sshcert_authority *a);

/* What a certificate says; everything is borrowed. */
struct sshcert {
	const struct ssh_key *key; /* its holder's */
	uint64_t serial;	   /* not 0, which no list can revoke */
	const char *id;		   /* that sshd logs */
	const char *const *principals;
	size_t principal_count; /* 1 to SSHCERT_PRINCIPALS_MAX */
	int64_t valid_after;	/* seconds since 1970 */
	int64_t valid_before;
	const char *sources; /* source-address, comma-separated; NULL: any */
	const char *command; /* force-command; NULL: none */
	unsigned permits;    /* of enum sshcert_permit */
};

/*
 * Appends the certificate as a line "type base64 id" without a line feed.
 *
 * Texts have no control characters; principals have no comma and no space;
 * sources are addresses or networks in CIDR form, as sshd would take them.
 * Errors: ERR_SYNTAX (also for no principal, which would mean anybody, and a
 * time that is none), ERR_LIMIT, ERR_CRYPTO.
 */
MUST_USE int sshcert_sign(const struct sshcert_authority *a,
			  const struct sshcert *cert, struct buf *out);
