/*
 * Who asks: agents by their tokens, humans by what they sign.  A session only
 * reads.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/state.h"
#include "identity/oidc.h"

enum {
	SESSION_MS = 8 * 3600 * 1000,
	SESSIONS_MAX = 4096,
	SESSIONS_OF_ONE = 16, /* of a human; another one ends the oldest */
};

static const char session_prefix[] = "writs_";

static void digest_text_of(struct slice bytes, char text[DIGEST_TEXT_LEN])
{
	struct digest digest = digest_of(bytes);

	digest_format(&digest, text);
}

/* Counts a refusal; the tick makes one leaf of them all. */
static bool refuse(struct flow *f, const char *class, const char **ret_class)
{
	json_set_int(f->refusals, class, json_int(f->refusals, class, 0) + 1);
	*ret_class = class;
	return false;
}

void flow_count_refusal(struct flow *f, const char *class)
{
	const char *same;

	discard(refuse(f, class, &same));
}

static bool prove_session(struct flow *f, struct slice bearer,
			  struct caller *ret, const char **ret_class)
{
	char key[DIGEST_TEXT_LEN];
	const json_t *session;

	digest_text_of(bearer, key);
	session = json_object_get(f->sessions, key);
	if (!session)
		return refuse(f, "unknown-session", ret_class);
	if (clock_boot_ms() >= json_int(session, "until", 0)) {
		json_object_del(f->sessions, key);
		return refuse(f, "expired", ret_class);
	}
	*ret = (struct caller){ .kind = CALLER_HUMAN };
	snprintf(ret->name, sizeof(ret->name), "%s",
		 json_text(session, "human", ""));
	if (!inventory_human_is_active(f->inventory, ret->name))
		return refuse(f, "not-active", ret_class);
	return true;
}

/* An identity is proved; whether it is an agent's that may act. */
static bool take_agent(struct flow *f, const char *agent, int64_t expires_ms,
		       const char *jti, struct caller *ret,
		       const char **ret_class)
{
	if (!agent)
		return refuse(f, "unknown-agent", ret_class);
	if (inventory_agent_fault(f->inventory, agent, clock_wall_ms()))
		return refuse(f, "not-active", ret_class);
	*ret = (struct caller){ .kind = CALLER_AGENT,
				.expires_ms = expires_ms,
				.attested_by = "token" };
	snprintf(ret->name, sizeof(ret->name), "%s", agent);
	snprintf(ret->jti, sizeof(ret->jti), "%s", jti);
	return true;
}

static bool take_svid(struct flow *f, const struct svid *svid,
		      struct caller *ret, const char **ret_class)
{
	return take_agent(f, inventory_agent_of(f->inventory, svid->id.text),
			  svid->expires_ms, svid->jti, ret, ret_class);
}

static bool take_oidc(struct flow *f, const struct oidc_token *token,
		      struct caller *ret, const char **ret_class)
{
	bool several = false;
	const char *agent = inventory_agent_of_claims(
		f->inventory, token->issuer, token->claims, &several);

	if (several)
		return refuse(f, "several-agents", ret_class);
	return take_agent(f, agent, token->expires_ms, token->jti, ret,
			  ret_class);
}

/*
 * Verifies a token for one audience, and says whose it is.  It is one of the
 * two kinds by its sub; the other kind's word about it is of no interest.
 *
 * ret_taken: false if it is valid and yet nobody's that may act.
 */
static enum svid_verdict verify_token(struct flow *f, struct slice bearer,
				      const char *audience, struct caller *ret,
				      bool *ret_taken, const char **ret_class)
{
	CLEANUP(oidc_token_clear) struct oidc_token token = { 0 };
	struct svid svid;
	int64_t now_ms = clock_wall_ms();
	bool issuers = trust_has_issuers(f->trust);
	enum svid_verdict other = SVID_ISSUER;
	enum svid_verdict verdict;

	if (issuers && oidc_cache_find(f->tokens, f->trust, bearer, audience,
				       now_ms, &token)) {
		*ret_taken = take_oidc(f, &token, ret, ret_class);
		return SVID_VALID;
	}
	verdict = svid_cache_verify(f->tokens, f->trust, bearer, audience,
				    now_ms, &svid);
	if (verdict == SVID_VALID) {
		*ret_taken = take_svid(f, &svid, ret, ret_class);
		return SVID_VALID;
	}
	if (issuers)
		other = oidc_cache_verify(f->tokens, f->trust, bearer, audience,
					  now_ms, &token);
	if (other == SVID_VALID) {
		*ret_taken = take_oidc(f, &token, ret, ret_class);
		return SVID_VALID;
	}
	return other != SVID_ISSUER ? other : verdict;
}

/* An assertion that others could show to us, too, is none (RFC 7523, 3). */
static bool prove_assertion(struct flow *f, const struct proof *proof,
			    struct caller *ret, const char **ret_class)
{
	const char *const *audience = proof->audiences;
	enum svid_verdict verdict = SVID_AUDIENCE;
	bool taken = false;

	for (; *audience && verdict == SVID_AUDIENCE; audience++)
		verdict = verify_token(f, proof->bearer, *audience, ret, &taken,
				       ret_class);
	if (verdict == SVID_VALID && !token_has_one_audience(proof->bearer))
		verdict = SVID_AUDIENCE;
	if (verdict == SVID_VALID)
		return taken;
	return refuse(f, svid_verdict_name(verdict), ret_class);
}

static bool prove_token(struct flow *f, struct slice bearer, struct caller *ret,
			const char **ret_class)
{
	bool taken = false;
	enum svid_verdict verdict =
		verify_token(f, bearer, f->audience, ret, &taken, ret_class);

	return verdict == SVID_VALID
		       ? taken
		       : refuse(f, svid_verdict_name(verdict), ret_class);
}

static bool prove_bearer(struct flow *f, const struct proof *proof,
			 struct caller *ret, const char **ret_class)
{
	size_t length = strlen(session_prefix);
	struct slice bearer = proof->bearer;

	if (proof->audiences)
		return prove_assertion(f, proof, ret, ret_class);
	if (bearer.len > length && !memcmp(bearer.ptr, session_prefix, length))
		return prove_session(f, bearer, ret, ret_class);
	return prove_token(f, bearer, ret, ret_class);
}

static bool prove_chain(struct flow *f, const struct proof *proof,
			struct caller *ret, const char **ret_class)
{
	struct svid svid;
	enum svid_verdict verdict = svid_cache_verify_x509(
		f->tokens, f->trust, proof->chain, proof->chain_count,
		clock_wall_ms(), &svid);

	if (verdict != SVID_VALID)
		return refuse(f, svid_verdict_name(verdict), ret_class);
	if (!take_svid(f, &svid, ret, ret_class))
		return false;
	ret->attested_by = "certificate";
	return true;
}

/* Each of them proves alone; where both are given they name one caller. */
bool flow_prove(struct flow *f, const struct proof *proof,
		struct caller *ret_caller, const char **ret_class)
{
	struct caller other;

	if (proof->bearer.len && proof->chain_count)
		return prove_chain(f, proof, &other, ret_class) &&
		       prove_bearer(f, proof, ret_caller, ret_class) &&
		       ((ret_caller->kind == other.kind &&
			 !strcmp(ret_caller->name, other.name)) ||
			refuse(f, "two-callers", ret_class));
	if (proof->chain_count)
		return prove_chain(f, proof, ret_caller, ret_class);
	if (!proof->bearer.len)
		return refuse(f, "missing", ret_class);
	if (prove_bearer(f, proof, ret_caller, ret_class))
		return true;
	flow_token_shown(f, proof->bearer);
	return false;
}

bool human_is(const struct flow *f, const char *human, const char *group)
{
	return inventory_human_is_active(f->inventory, human) &&
	       inventory_is_member(f->inventory, human, group);
}

/* ---- signed forms ---- */

static const json_t *keys_of(void *cookie, const char *human)
{
	const struct flow *f = cookie;

	if (!inventory_human_is_active(f->inventory, human))
		return NULL;
	return json_object_get(
		inventory_spec(f->inventory, MANIFEST_HUMAN, human), "keys");
}

/* A detector speaks while it and its owner are active. */
static const json_t *detector_keys(void *cookie, const char *detector)
{
	return json_object_get(detector_spec(cookie, detector), "keys");
}

/* What is said while nothing can be recorded would wait for space: it is told
 * to come again.  Stopping something and looking are always taken. */
static bool must_come_again(struct flow *f, enum statement_type type,
			    struct reply_to reply)
{
	if (type == STATEMENT_CONTAIN || type == STATEMENT_LOGIN ||
	    type == STATEMENT_RESOLVE)
		return false;
	return answer_if_degraded(f, reply);
}

/* What whoever made the form could have seen: each fault at its place. */
static void refuse_malformed(const json_t *signed_form,
			     enum statement_type type, struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *body = json_object();
	struct answer a = {
		.kind = ANSWER_MALFORMED,
		.code = "malformed",
		.detail = "The signed statement is not in its form; see "
			  "errors.",
		.body = body,
	};

	json_set_new(body, "errors", statement_faults(signed_form, type));
	if (reply.fn)
		reply.fn(reply.cookie, &a);
}

bool signed_take(struct flow *f, const json_t *signed_form,
		 enum statement_type type, struct reply_to reply,
		 struct statement *ret_statement)
{
	const char *class = "";
	enum seen seen;
	enum statement_verdict verdict = statement_verify(
		signed_form, type, f->origin, clock_wall_ms(),
		strcmp(statement_signer(type), "human") != 0 ? detector_keys
							     : keys_of,
		f, ret_statement);

	if (verdict == STATEMENT_VALID && must_come_again(f, type, reply)) {
		statement_clear(ret_statement);
		return false;
	}
	if (verdict == STATEMENT_MALFORMED) {
		refuse(f, statement_verdict_name(verdict), &class);
		refuse_malformed(signed_form, type, reply);
		return false;
	}
	if (verdict != STATEMENT_VALID) {
		refuse(f, statement_verdict_name(verdict), &class);
		answer_problem(reply, ANSWER_UNPROVED, class,
			       "The signed statement is not accepted: %s.",
			       class);
		return false;
	}
	seen = once_seen(f, "nonce", ret_statement->nonce);
	if (seen == SEEN_UNKNOWN) {
		statement_clear(ret_statement);
		answer_unreadable(reply);
		return false;
	}
	if (seen == SEEN_BEFORE) {
		statement_clear(ret_statement);
		refuse(f, "replayed", &class);
		answer_problem(reply, ANSWER_UNPROVED, "replayed",
			       "This statement has been used already.");
		return false;
	}
	return true;
}

void signed_put(struct flow *f, struct evidence_txn *t,
		const struct statement *s)
{
	once_seen_put(f, t, "nonce", s->nonce,
		      clock_wall_ms() + 2 * STATEMENT_AGE_MAX_MS);
}

json_t *signed_json(const struct statement *s)
{
	json_t *kept = json_object();

	json_set_text(kept, "statement", s->text);
	json_set_text(kept, "signature", s->signature);
	json_set_text(kept, "human", s->human);
	json_set_text(kept, "fingerprint", s->fingerprint);
	return kept;
}

/* ---- login ---- */

static void drop_old_sessions(struct flow *f)
{
	const char *key;
	json_t *session;
	void *next;
	int64_t now_ms = clock_boot_ms();

	json_object_foreach_safe(f->sessions, next, key, session) {
		if (json_int(session, "until", 0) < now_ms)
			json_object_del(f->sessions, key);
	}
}

/* Makes room for one more session of a human. */
static void drop_surplus_sessions(struct flow *f, const char *human)
{
	const char *oldest = NULL;
	int64_t least = INT64_MAX;
	size_t count = 0;
	const char *key;
	json_t *session;

	json_object_foreach(f->sessions, key, session) {
		if (strcmp(json_text(session, "human", ""), human) != 0)
			continue;
		count++;
		if (json_int(session, "until", 0) < least) {
			least = json_int(session, "until", 0);
			oldest = key;
		}
	}
	if (count >= SESSIONS_OF_ONE)
		json_object_del(f->sessions, oldest);
}

static char *session_new(struct flow *f, const char *human)
{
	CLEANUP(mem_free_p) char *secret = NULL;
	uint8_t bytes[32];
	char key[DIGEST_TEXT_LEN];
	char *token;
	json_t *session = json_object();

	random_bytes(bytes, sizeof(bytes));
	secret = text_base64url(slice_of(bytes, sizeof(bytes)));
	mem_wipe(bytes, sizeof(bytes));
	token = mem_format("%s%s", session_prefix, secret);
	mem_wipe(secret, strlen(secret));
	digest_text_of(slice_str(token), key);
	json_set_text(session, "human", human);
	json_set_int(session, "until", clock_boot_ms() + SESSION_MS);
	json_set_new(f->sessions, key, session);
	return token;
}

void flow_login(struct flow *f, const json_t *signed_form,
		struct reply_to reply)
{
	struct statement s;
	struct evidence_txn *t;
	CLEANUP(mem_free_p) char *token = NULL;
	CLEANUP(mem_free_p) char *subject = NULL;
	CLEANUP(json_put_p) json_t *kept = NULL;
	struct evidence_part part;
	struct leaf_ref leaf;
	json_t *body;

	if (!signed_take(f, signed_form, STATEMENT_LOGIN, reply, &s))
		return;
	drop_old_sessions(f);
	drop_surplus_sessions(f, s.human);
	if (json_object_size(f->sessions) >= SESSIONS_MAX) {
		statement_clear(&s);
		answer_problem(reply, ANSWER_BUSY, "busy",
			       "Too many people are logged in.");
		return;
	}
	subject = mem_format("human:%s", s.human);
	kept = signed_json(&s);
	part = (struct evidence_part){ subject, kept };
	token = session_new(f, s.human);
	body = json_object();
	json_set_text(body, "token", token);
	json_set_text(body, "human", s.human);
	json_set_time(body, "expires", clock_wall_ms() + SESSION_MS);
	t = evidence_begin(f->evidence);
	must(evidence_leaf(t, LEAF_LOGIN, NULL, NULL, &part, 1, &leaf),
	     "a login's leaf");
	signed_put(f, t, &s);
	commit_answer(f, t, reply, ANSWER_OK, body);
	mem_wipe(token, strlen(token));
	statement_clear(&s);
}
