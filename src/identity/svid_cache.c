/* SVIDs by way of the cache of what was found valid. */
#include "base/mem.h"
#include "identity/private.h"
#include "identity/svid.h"

static bool recall(struct token_cache *c, const struct trust *t,
		   const struct digest *digest, const char *audience,
		   int64_t now_ms, struct svid *ret_svid)
{
	struct token_known known;

	if (!token_cache_find(c, t, digest, audience, now_ms, &known) ||
	    !known.id || spiffe_id_parse(known.id, &ret_svid->id) < 0)
		return false;
	snprintf(ret_svid->jti, sizeof(ret_svid->jti), "%s", known.jti);
	ret_svid->expires_ms = known.expires_ms;
	ret_svid->token = known.token;
	return true;
}

/* Keeps what is valid, and has a bundle without its key fetched early. */
static void note(struct token_cache *c, struct trust *t, const char *audience,
		 enum svid_verdict verdict, const struct svid *svid)
{
	const struct token_known known = {
		.token = svid->token,
		.audience = audience,
		.source = svid->id.domain,
		.id = svid->id.text,
		.jti = svid->jti,
		.expires_ms = svid->expires_ms,
	};

	if (verdict == SVID_VALID)
		token_cache_put(c, t, &known);
	if (verdict == SVID_UNTRUSTED)
		trust_hurry(t, svid->id.domain);
}

enum svid_verdict svid_cache_verify(struct token_cache *c, struct trust *t,
				    struct slice token, const char *audience,
				    int64_t now_ms, struct svid *ret_svid)
{
	struct digest digest = digest_of(token);
	enum svid_verdict verdict;

	if (recall(c, t, &digest, audience, now_ms, ret_svid))
		return SVID_VALID;
	verdict = svid_verify(t, token, audience, now_ms, ret_svid);
	note(c, t, audience, verdict, ret_svid);
	return verdict;
}

/* A chain is kept under no audience, which no token has. */
enum svid_verdict svid_cache_verify_x509(struct token_cache *c, struct trust *t,
					 const struct slice *chain,
					 size_t count, int64_t now_ms,
					 struct svid *ret_svid)
{
	struct digest digest;
	enum svid_verdict verdict;

	if (count == 0 || count > X509_CHAIN_MAX)
		return SVID_MALFORMED;
	digest = chain_digest(chain, count);
	if (recall(c, t, &digest, "", now_ms, ret_svid))
		return SVID_VALID;
	verdict = x509_svid_verify(t, chain, count, now_ms, ret_svid);
	note(c, t, "", verdict, ret_svid);
	return verdict;
}
