/*
 * JWT-SVID, sections 2 to 5.  The cheap clauses come first, the signature last:
 * what is refused for its claims costs no public-key operation.
 */
#include "identity/svid.h"

#include "base/error.h"
#include "identity/private.h"

enum { MS_PER_S = 1000 };

static const char *const verdict_names[] = {
	[SVID_VALID] = "valid",
	[SVID_MALFORMED] = "malformed",
	[SVID_HEADER] = "header",
	[SVID_ALGORITHM] = "algorithm",
	[SVID_SUBJECT] = "subject",
	[SVID_AUDIENCE] = "audience",
	[SVID_EXPIRED] = "expired",
	[SVID_NOT_YET] = "not-yet-valid",
	[SVID_TOO_LONG] = "lives-too-long",
	[SVID_UNTRUSTED] = "untrusted",
	[SVID_SIGNATURE] = "signature",
	[SVID_ISSUER] = "issuer",
	[SVID_AUTHORITY] = "authority",
	[SVID_USAGE] = "key-usage",
};

const char *svid_verdict_name(enum svid_verdict verdict)
{
	size_t i = (size_t)verdict;

	return i < ARRAY_LEN(verdict_names) ? verdict_names[i] : "?";
}

/* What the clauses look at, and what they find. */
struct check {
	const struct trust *trust;
	const struct jose_token *token;
	const char *audience;
	int64_t now_s;
	struct svid *svid;
};

/* Section 2: alg, kid and typ; others are gone already (jose_token_parse). */
static enum svid_verdict check_header(const void *check)
{
	const struct check *c = check;
	const json_t *header = c->token->header;
	const json_t *typ = json_object_get(header, "typ");
	const json_t *kid = json_object_get(header, "kid");
	const char *type;

	if (kid && (!json_is_string(kid) || !*json_string_value(kid)))
		return SVID_HEADER;
	if (!typ)
		return SVID_VALID;
	type = json_is_string(typ) ? json_string_value(typ) : "";
	if (strcmp(type, "JWT") != 0 && strcmp(type, "JOSE") != 0)
		return SVID_HEADER;
	return SVID_VALID;
}

/* Section 3.1; a workload's ID has a path (SPIFFE-ID, section 2.2). */
static enum svid_verdict check_subject(const void *check)
{
	const struct check *c = check;
	const char *sub = json_text(c->token->claims, "sub", NULL);
	struct spiffe_id *id = &c->svid->id;

	if (!sub || spiffe_id_parse(sub, id) < 0)
		return SVID_SUBJECT;
	if (strlen(id->text) == strlen("spiffe://") + strlen(id->domain))
		return SVID_SUBJECT;
	return SVID_VALID;
}

static struct token_check token_of(const struct check *c)
{
	return (struct token_check){ c->token, c->audience, c->now_s,
				     SVID_LIFETIME_MAX_S };
}

/* Section 3.2. */
static enum svid_verdict check_audience(const void *check)
{
	const struct check *c = check;
	const struct token_check token = token_of(c);

	return token_check_audience(&token);
}

/* Section 3.3. */
static enum svid_verdict check_times(const void *check)
{
	const struct check *c = check;
	const struct token_check token = token_of(c);

	return token_check_times(&token, &c->svid->expires_ms);
}

static enum svid_verdict check_jti(const void *check)
{
	const struct check *c = check;
	const struct token_check token = token_of(c);

	return token_check_jti(&token, c->svid->jti, sizeof(c->svid->jti));
}

/* Only keys of the subject's own trust domain count. */
static enum svid_verdict check_signature(const void *check)
{
	const struct check *c = check;

	return token_check_signature(c->token,
				     trust_keys(c->trust, c->svid->id.domain));
}

static const token_clause_fn clauses[] = {
	check_header, check_subject, check_audience,
	check_times,  check_jti,     check_signature,
};

enum svid_verdict svid_verify(const struct trust *t, struct slice token,
			      const char *audience, int64_t now_ms,
			      struct svid *ret_svid)
{
	CLEANUP(jose_token_clear) struct jose_token parts = { 0 };
	struct check c = { t, &parts, audience, now_ms / MS_PER_S, ret_svid };
	enum jose_verdict parsed = jose_token_parse(token, &parts);

	if (parsed != JOSE_VALID)
		return svid_from_jose(parsed);
	ret_svid->token = digest_of(token);
	return token_check_clauses(clauses, ARRAY_LEN(clauses), &c);
}
