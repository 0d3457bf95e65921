/*
 * What humans and detectors sign: canonical JSON statements in SSHSIG
 * namespaces that are never interchangeable.  One row per type says its
 * namespace and members.  "human" below is whoever signs; a detector's
 * statements name it in the member "detector".
 */
#pragma once

#include "base/schema.h"
#include "crypto/sshsig.h"

enum {
	STATEMENT_MAX = 16 * 1024,	  /* bytes */
	STATEMENT_AGE_MAX_MS = 5 * 60000, /* either side of now */
};

/* type, text, namespace */
#define STATEMENT_TYPES(ROW)                                                   \
	ROW(LOGIN, "login/v1", "writ-login")                                   \
	ROW(APPROVAL, "approval/v1", "writ-approval")                          \
	ROW(ADOPT, "adopt/v1", "writ-approval")                                \
	ROW(RESOLVE, "resolve/v1", "writ-approval")                            \
	ROW(VOUCHER, "voucher/v1", "writ-evidence")                            \
	ROW(CHANGE, "change/v1", "writ-admin")                                 \
	ROW(ACTIVATE, "activate/v1", "writ-admin")                             \
	ROW(CONTAIN, "contain/v1", "writ-admin")                               \
	ROW(RELEASE, "release/v1", "writ-admin")                               \
	ROW(DRILL, "drill/v1", "writ-admin")                                   \
	ROW(DISCLOSE, "disclose/v1", "writ-admin")                             \
	ROW(ERASE, "erase/v1", "writ-admin")                                   \
	ROW(NOTICE, "notice/v1", "writ-admin")                                 \
	ROW(EXCEPTION, "exception/v1", "writ-admin")                           \
	ROW(REVOKE, "revoke/v1", "writ-admin")                                 \
	ROW(END_GRANT, "end-grant/v1", "writ-admin")                           \
	ROW(SIGNAL, "signal/v1", "writ-signal")                                \
	ROW(HEARTBEAT, "heartbeat/v1", "writ-signal")

enum statement_type {
#define STATEMENT_ENUM(name, text, namespace) STATEMENT_##name,
	STATEMENT_TYPES(STATEMENT_ENUM)
#undef STATEMENT_ENUM
		STATEMENT_TYPE_COUNT
};

const char *statement_type_name(enum statement_type type);
const char *statement_namespace(enum statement_type type);

/* The member that names who signs: "human" or "detector". */
const char *statement_signer(enum statement_type type);

/* True if signed_form holds a text that says it is of this type; nothing of it
 * is checked. */
bool statement_claims(const json_t *signed_form, enum statement_type type);

/*
 * A fresh statement with type, authority, human, at and nonce; the caller adds
 * the type's own members, then signs its canonical text.  Owned.
 */
json_t *statement_new(enum statement_type type, const char *authority,
		      const char *human, int64_t now_ms);

enum statement_verdict {
	STATEMENT_VALID,
	STATEMENT_MALFORMED,  /* shape, canonical form, size, armor */
	STATEMENT_WRONG_TYPE, /* not the type that is wanted here */
	STATEMENT_ELSEWHERE,  /* for another authority */
	STATEMENT_STALE,      /* at is too far from now */
	STATEMENT_UNKNOWN,    /* no such human, or none of their keys */
	STATEMENT_SIGNATURE,
};
const char *statement_verdict_name(enum statement_verdict verdict);

/* What is wrong with a form that is STATEMENT_MALFORMED, for whoever made it:
 * owned array of {"at": JSON pointer, "detail"}, at least one. */
json_t *statement_faults(const json_t *signed_form, enum statement_type wanted);

struct statement {
	json_t *body;	      /* owned: the statement's members */
	char *text;	      /* owned: the bytes that were signed */
	char *signature;      /* owned: armored */
	const char *human;    /* in body */
	const char *nonce;    /* in body; the caller sees that it serves once */
	char fingerprint[64]; /* of the key that signed */
	bool step_up;	      /* sk- key with user presence and verification */
};

/* The public keys of a human: lines for ssh_key_parse(), borrowed array of
 * strings; NULL for no such human. */
typedef const json_t *(*statement_keys_fn)(void *cookie, const char *human);

/*
 * Checks {"statement": text, "signature": armored} of the wanted type.
 *
 * ret_statement: set on STATEMENT_VALID, released with statement_clear().
 */
enum statement_verdict statement_verify(const json_t *signed_form,
					enum statement_type wanted,
					const char *authority, int64_t now_ms,
					statement_keys_fn keys, void *cookie,
					struct statement *ret_statement);
void statement_clear(struct statement *s);
