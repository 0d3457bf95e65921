#include "identity/oidc.h"

#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "identity/issuer.h"
#include "identity/private.h"

enum { MS_PER_S = 1000, SUBJECT_MAX = 1024 };

/* What the clauses look at, and what they find. */
struct check {
	const struct issuer *issuer;
	struct token_check token;
	struct oidc_token *found;
};

/* Other kinds of JWT do not pass for one (RFC 8725, 3.11). */
static enum svid_verdict check_header(const void *check)
{
	const struct check *c = check;
	const json_t *header = c->token.token->header;
	const char *typ = json_text(header, "typ", "JWT");
	const json_t *kid = json_object_get(header, "kid");

	if (kid && !*json_string_value(kid))
		return SVID_HEADER;
	if (strcasecmp(typ, "JWT") != 0 && strcasecmp(typ, "at+jwt") != 0)
		return SVID_HEADER;
	return SVID_VALID;
}

/* One without sub is no identity's (OpenID Connect Core, section 2). */
static enum svid_verdict check_subject(const void *check)
{
	const struct check *c = check;
	const char *sub = json_text(c->token.token->claims, "sub", "");

	return *sub && strlen(sub) <= SUBJECT_MAX ? SVID_VALID : SVID_SUBJECT;
}

static enum svid_verdict check_audience(const void *check)
{
	const struct check *c = check;

	return token_check_audience(&c->token);
}

static enum svid_verdict check_times(const void *check)
{
	const struct check *c = check;

	return token_check_times(&c->token, &c->found->expires_ms);
}

/* Two issuers may give the same jti: what serves once is the pair. */
static void bind_jti(struct oidc_token *found)
{
	const struct slice parts[] = {
		slice_of(found->issuer, strlen(found->issuer) + 1),
		slice_str(found->jti),
	};
	struct digest digest = digest_of_parts(parts, ARRAY_LEN(parts));

	digest_format(&digest, found->jti);
}

static enum svid_verdict check_jti(const void *check)
{
	const struct check *c = check;
	struct oidc_token *found = c->found;
	enum svid_verdict verdict =
		token_check_jti(&c->token, found->jti, sizeof(found->jti));

	if (!issuer_is_single_use(c->issuer))
		found->jti[0] = '\0';
	if (verdict == SVID_VALID && *found->jti)
		bind_jti(found);
	return verdict;
}

static enum svid_verdict check_signature(const void *check)
{
	const struct check *c = check;

	return token_check_signature(c->token.token, issuer_keys(c->issuer));
}

static const token_clause_fn clauses[] = {
	check_header, check_subject, check_audience,
	check_times,  check_jti,     check_signature,
};

static bool is_svid(const json_t *claims)
{
	return !strncasecmp(json_text(claims, "sub", ""), "spiffe:", 7);
}

enum svid_verdict oidc_verify(struct trust *t, struct slice token,
			      const char *audience, int64_t now_ms,
			      struct oidc_token *ret)
{
	CLEANUP(jose_token_clear) struct jose_token parts = { 0 };
	struct oidc_token found = { 0 };
	struct check c = { .found = &found };
	enum jose_verdict parsed = jose_token_parse_any(token, &parts);
	enum svid_verdict verdict;

	if (parsed != JOSE_VALID)
		return svid_from_jose(parsed);
	c.issuer = trust_issuer(t, json_text(parts.claims, "iss", ""));
	if (!c.issuer || is_svid(parts.claims))
		return SVID_ISSUER;
	found.issuer = issuer_name(c.issuer);
	c.token = (struct token_check){ &parts, audience, now_ms / MS_PER_S,
					issuer_longest_s(c.issuer) };
	verdict = token_check_clauses(clauses, ARRAY_LEN(clauses), &c);
	if (verdict == SVID_UNTRUSTED)
		trust_hurry(t, found.issuer);
	if (verdict != SVID_VALID)
		return verdict;
	*ret = found;
	ret->claims = TAKE(parts.claims);
	return SVID_VALID;
}

void oidc_token_clear(struct oidc_token *token)
{
	json_decref(token->claims);
	*token = (struct oidc_token){ 0 };
}

/* An issuer whose keys changed, or that is gone, has another generation. */
bool oidc_cache_find(struct token_cache *c, const struct trust *t,
		     struct slice token, const char *audience, int64_t now_ms,
		     struct oidc_token *ret)
{
	struct digest digest = digest_of(token);
	const struct issuer *issuer;
	struct token_known known;

	if (!token_cache_find(c, t, &digest, audience, now_ms, &known) ||
	    !known.claims)
		return false;
	issuer = trust_issuer(t, known.source);
	if (!issuer)
		return false;
	ret->issuer = issuer_name(issuer);
	ret->claims = json_incref(known.claims);
	ret->expires_ms = known.expires_ms;
	snprintf(ret->jti, sizeof(ret->jti), "%s", known.jti);
	return true;
}

enum svid_verdict oidc_cache_verify(struct token_cache *c, struct trust *t,
				    struct slice token, const char *audience,
				    int64_t now_ms, struct oidc_token *ret)
{
	enum svid_verdict verdict;

	if (oidc_cache_find(c, t, token, audience, now_ms, ret))
		return SVID_VALID;
	verdict = oidc_verify(t, token, audience, now_ms, ret);
	if (verdict == SVID_VALID && token.len <= TOKEN_CACHED_MAX) {
		const struct token_known known = {
			.token = digest_of(token),
			.audience = audience,
			.source = ret->issuer,
			.jti = ret->jti,
			.claims = ret->claims,
			.expires_ms = ret->expires_ms,
		};

		token_cache_put(c, t, &known);
	}
	return verdict;
}
