/*
 * X.509-SVIDs (SPIFFE X509-SVID, section 5): the leaf says which trust domain
 * it is of, and that domain's own authorities say whether it is.
 */
#include "identity/private.h"

enum { MS_PER_S = 1000 };

static enum svid_verdict from_x509(enum x509_verdict verdict)
{
	switch (verdict) {
	case X509_VALID:
		return SVID_VALID;
	case X509_MALFORMED:
		return SVID_MALFORMED;
	case X509_SUBJECT:
		return SVID_SUBJECT;
	case X509_AUTHORITY:
		return SVID_AUTHORITY;
	case X509_USAGE:
		return SVID_USAGE;
	case X509_EXPIRED:
		return SVID_EXPIRED;
	case X509_NOT_YET:
		return SVID_NOT_YET;
	case X509_UNTRUSTED:
		return SVID_UNTRUSTED;
	}
	return SVID_MALFORMED;
}

/* A workload's ID has a path (section 5.2). */
static bool is_workload(const struct spiffe_id *id)
{
	return strlen(id->text) > strlen("spiffe://") + strlen(id->domain);
}

/* The leaf's form and its ID. */
static enum svid_verdict read_leaf(const struct slice *chain, size_t count,
				   struct x509_leaf *leaf, struct spiffe_id *id)
{
	enum x509_verdict verdict;

	if (count == 0 || count > X509_CHAIN_MAX)
		return SVID_MALFORMED;
	verdict = x509_read_leaf(chain[0], leaf);
	if (verdict != X509_VALID)
		return from_x509(verdict);
	if (spiffe_id_parse(leaf->uri, id) < 0 || !is_workload(id))
		return SVID_SUBJECT;
	return SVID_VALID;
}

/* Each certificate behind its size, so that no two chains read the same. */
struct digest chain_digest(const struct slice *chain, size_t count)
{
	uint64_t sizes[X509_CHAIN_MAX];
	struct slice parts[2 * X509_CHAIN_MAX];

	for (size_t i = 0; i < count; i++) {
		sizes[i] = chain[i].len;
		parts[2 * i] = slice_of(&sizes[i], sizeof(sizes[i]));
		parts[2 * i + 1] = chain[i];
	}
	return digest_of_parts(parts, 2 * count);
}

static enum svid_verdict check_path(const struct x509_roots *roots,
				    const struct slice *chain, size_t count,
				    int64_t now_ms, int64_t longest_s,
				    const struct x509_leaf *leaf)
{
	if (!roots)
		return SVID_UNTRUSTED;
	if (leaf->until_ms - leaf->from_ms > longest_s * MS_PER_S)
		return SVID_TOO_LONG;
	return from_x509(x509_verify(roots, chain, count, now_ms));
}

enum svid_verdict x509_svid_check(const struct x509_roots *roots,
				  const struct slice *chain, size_t count,
				  int64_t now_ms, int64_t longest_s,
				  struct spiffe_id *ret_id,
				  int64_t *ret_until_ms)
{
	struct x509_leaf leaf;
	enum svid_verdict verdict = read_leaf(chain, count, &leaf, ret_id);

	if (verdict != SVID_VALID)
		return verdict;
	if (ret_until_ms)
		*ret_until_ms = leaf.until_ms;
	return check_path(roots, chain, count, now_ms, longest_s, &leaf);
}

enum svid_verdict x509_svid_verify(const struct trust *t,
				   const struct slice *chain, size_t count,
				   int64_t now_ms, struct svid *ret_svid)
{
	struct x509_leaf leaf;
	struct spiffe_id *id = &ret_svid->id;
	enum svid_verdict verdict = read_leaf(chain, count, &leaf, id);

	if (verdict != SVID_VALID)
		return verdict;
	ret_svid->jti[0] = '\0';
	ret_svid->expires_ms = leaf.until_ms;
	ret_svid->token = chain_digest(chain, count);
	return check_path(trust_roots(t, id->domain), chain, count, now_ms,
			  trust_certificate_longest_s(t, id->domain), &leaf);
}
