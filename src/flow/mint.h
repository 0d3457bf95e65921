/*
 * The mint: the point of targets without a connector, whose credentials the
 * keeper signs: OAuth access tokens (RFC 9068) and OpenSSH certificates.
 *
 *   leaf "issued" -> checkpoint signed -> the keeper makes it -> handed out
 *
 * A credential is the grant of an IssueCredential; its document says what was
 * signed and until when, the grant whether it still holds.
 */
#pragma once

#include "crypto/jose.h"
#include "evidence/keeper.h"
#include "flow/state.h"

/* ---- mint.c ---- */

struct mint;

/* What plans name as the build of this point. */
extern const char mint_build[];

/* keeper: may be NULL, then nothing is issued.  issuer: "iss" of tokens;
 * copied. */
struct mint *mint_new(struct flow *f, struct evidence_keeper *keeper,
		      const char *issuer);
/* Answers what is under way, as connector_close() does, and goes; accepts NULL.
 */
void mint_close(struct mint *mint);

/* Whether the keeper makes tokens and certificates. */
bool mint_is_up(const struct mint *mint);
struct evidence_keeper *mint_keeper(const struct mint *mint);
const char *mint_issuer(const struct mint *mint);
/* The keeper's key for tokens of this name, borrowed; NULL if it has none. */
const struct jose_key *mint_key(const struct mint *mint, const char *kid);

/* See point_call().  An order's "plan" is the plan itself, not its text, and is
 * all there is of it: its leaf is armed and signed. */
void mint_call(struct target *t, enum connect_method method, json_t *params,
	       connector_done_fn done, void *cookie);

/* Seconds that a request for a credential lasts which does not say so itself; 0
 * for any other request.  body: of it. */
int64_t mint_default_ttl_s(const struct flow *f, const json_t *body);

/* ---- issued.c: what was signed ---- */

struct issued;

/* Knows of nothing until issued_take_up(). */
struct issued *issued_new(void);
void issued_free(struct issued *issued);

/* The document of a credential that is durable; owned.
 * Errors: ERR_NOT_FOUND; those of the store, and then nobody can tell. */
MUST_USE int issued_get(struct flow *f, const char *id, json_t **ret_doc);
/* The same where nothing follows from its absence but a refusal; NULL if there
 * is none, or it cannot be read. */
json_t *issued_find(struct flow *f, const char *id);
/* Whether its time is not over and nothing has taken it back. */
bool issued_stands(const json_t *doc, int64_t now_ms);
/* The same, and its grant is in force. */
bool issued_counts(const struct flow *f, const json_t *doc, int64_t now_ms);
/* Its grant, or NULL once that has ended. */
struct grant *issued_grant(const struct flow *f, const json_t *doc);

/* Takes a credential back, in t; doc is changed. */
void issued_revoke(struct flow *f, struct evidence_txn *t, json_t *doc,
		   const char *why);

/* Once all is loaded: what was signed, or was to be, and has no grant is taken
 * back.  Errors: those of the store. */
MUST_USE int issued_take_up(struct flow *f);
/* Forgets what has been over for long. */
void issued_tick(struct flow *f, int64_t now_ms);
