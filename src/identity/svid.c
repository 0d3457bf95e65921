/*
 * JWT-SVID, sections 2 to 5.  The cheap clauses come first, the signature last:
 * what is refused for its claims costs no public-key operation.
 */
#include "identity/svid.h"

#include "base/error.h"

enum {
	MS_PER_S = 1000,
	SIGNATURE_TRIES_MAX = 8, /* keys that a token without kid may cost */
};

/* A date no token of ours can hold; keeps the sums below from overflowing. */
static const int64_t date_max = INT64_MAX / MS_PER_S / 4;

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
};

const char *svid_verdict_name(enum svid_verdict verdict)
{
	size_t i = (size_t)verdict;

	return i < ARRAY_LEN(verdict_names) ? verdict_names[i] : "?";
}

static enum svid_verdict from_jose(enum jose_verdict verdict)
{
	switch (verdict) {
	case JOSE_VALID:
		return SVID_VALID;
	case JOSE_MALFORMED:
		return SVID_MALFORMED;
	case JOSE_HEADER:
		return SVID_HEADER;
	case JOSE_ALGORITHM:
		return SVID_ALGORITHM;
	case JOSE_BAD_SIGNATURE:
		return SVID_SIGNATURE;
	}
	return SVID_MALFORMED;
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
static enum svid_verdict check_header(const struct check *c)
{
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
static enum svid_verdict check_subject(const struct check *c)
{
	const char *sub = json_text(c->token->claims, "sub", NULL);
	struct spiffe_id *id = &c->svid->id;

	if (!sub || spiffe_id_parse(sub, id) < 0)
		return SVID_SUBJECT;
	if (strlen(id->text) == strlen("spiffe://") + strlen(id->domain))
		return SVID_SUBJECT;
	return SVID_VALID;
}

static bool all_texts(const json_t *array)
{
	const json_t *value;
	size_t i;

	json_array_foreach(array, i, value) {
		if (!json_is_string(value))
			return false;
	}
	return true;
}

/* Section 3.2: one string or an array of them (RFC 7519, 4.1.3). */
static enum svid_verdict check_audience(const struct check *c)
{
	const json_t *aud = json_object_get(c->token->claims, "aud");
	bool ours;

	if (json_is_string(aud))
		ours = !strcmp(json_string_value(aud), c->audience);
	else
		ours = json_is_array(aud) && all_texts(aud) &&
		       json_has_text(aud, c->audience);
	return ours ? SVID_VALID : SVID_AUDIENCE;
}

/* Reads a NumericDate in whole seconds; false if it is there but is none. */
static bool read_date(const json_t *claims, const char *name, int64_t absent,
		      int64_t *ret_date)
{
	const json_t *value = json_object_get(claims, name);

	*ret_date = absent;
	if (!value)
		return true;
	if (!json_is_integer(value))
		return false;
	*ret_date = json_integer_value(value);
	return *ret_date >= 0 && *ret_date <= date_max;
}

/* Section 3.3, and nbf, iat of RFC 7519, 4.1.5 and 4.1.6. */
static enum svid_verdict check_times(const struct check *c)
{
	const json_t *claims = c->token->claims;
	int64_t exp, nbf, iat;

	if (!json_object_get(claims, "exp"))
		return SVID_EXPIRED;
	if (!read_date(claims, "exp", 0, &exp) ||
	    !read_date(claims, "nbf", 0, &nbf) ||
	    !read_date(claims, "iat", c->now_s, &iat))
		return SVID_MALFORMED;
	if (exp + SVID_LEEWAY_S <= c->now_s)
		return SVID_EXPIRED;
	if (nbf > c->now_s + SVID_LEEWAY_S || iat > c->now_s + SVID_LEEWAY_S)
		return SVID_NOT_YET;
	if (exp - iat > SVID_LIFETIME_MAX_S)
		return SVID_TOO_LONG;
	c->svid->expires_ms = (exp + SVID_LEEWAY_S) * MS_PER_S;
	return SVID_VALID;
}

static enum svid_verdict check_jti(const struct check *c)
{
	const json_t *jti = json_object_get(c->token->claims, "jti");
	size_t len;

	c->svid->jti[0] = 0;
	if (!jti)
		return SVID_VALID;
	len = json_string_length(jti);
	if (!json_is_string(jti) || len >= sizeof(c->svid->jti))
		return SVID_MALFORMED;
	memcpy(c->svid->jti, json_string_value(jti), len + 1);
	return SVID_VALID;
}

/*
 * Only keys of the subject's own trust domain count.  A token without kid is
 * tried with each of them; the algorithm must be the key's in any case, so
 * only keys of its family are really used.
 */
static enum svid_verdict check_signature(const struct check *c)
{
	const char *kid = json_text(c->token->header, "kid", NULL);
	struct jose_key *const *keys = trust_keys(c->trust, c->svid->id.domain);
	enum svid_verdict verdict = SVID_UNTRUSTED;
	int tries = 0;

	for (size_t i = 0; keys && keys[i]; i++) {
		enum jose_verdict v;

		if (kid && strcmp(kid, jose_key_id(keys[i])) != 0)
			continue;
		v = jose_verify(c->token, keys[i]);
		if (v == JOSE_VALID)
			return SVID_VALID;
		if (verdict != SVID_SIGNATURE)
			verdict = from_jose(v);
		if (v == JOSE_BAD_SIGNATURE && ++tries == SIGNATURE_TRIES_MAX)
			break;
	}
	return verdict;
}

typedef enum svid_verdict (*clause_fn)(const struct check *c);

static const clause_fn clauses[] = {
	check_header, check_subject, check_audience,
	check_times,  check_jti,     check_signature,
};

static enum svid_verdict check_clauses(const struct check *c)
{
	for (size_t i = 0; i < ARRAY_LEN(clauses); i++) {
		enum svid_verdict verdict = clauses[i](c);

		if (verdict != SVID_VALID)
			return verdict;
	}
	return SVID_VALID;
}

enum svid_verdict svid_verify(const struct trust *t, struct slice token,
			      const char *audience, int64_t now_ms,
			      struct svid *ret_svid)
{
	CLEANUP(jose_token_clear) struct jose_token parts = { 0 };
	struct check c = { t, &parts, audience, now_ms / MS_PER_S, ret_svid };
	enum jose_verdict parsed = jose_token_parse(token, &parts);

	if (parsed != JOSE_VALID)
		return from_jose(parsed);
	ret_svid->token = digest_of(token);
	return check_clauses(&c);
}
