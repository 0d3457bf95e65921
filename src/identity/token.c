/*
 * What both kinds of tokens are checked for: audience, times, jti, signature.
 */
#include "identity/private.h"

enum {
	MS_PER_S = 1000,
	SIGNATURE_TRIES_MAX = 8, /* keys that a token without kid may cost */
};

/* A date no token of ours can hold; keeps the sums below from overflowing. */
static const int64_t date_max = INT64_MAX / MS_PER_S / 4;

enum svid_verdict svid_from_jose(enum jose_verdict verdict)
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

enum svid_verdict token_check_clauses(const token_clause_fn *clauses,
				      size_t count, const void *check)
{
	for (size_t i = 0; i < count; i++) {
		enum svid_verdict verdict = clauses[i](check);

		if (verdict != SVID_VALID)
			return verdict;
	}
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

/* One string or an array of them (RFC 7519, 4.1.3). */
enum svid_verdict token_check_audience(const struct token_check *c)
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

bool token_has_one_audience(struct slice text)
{
	CLEANUP(jose_token_clear) struct jose_token token = { 0 };

	return jose_token_parse_any(text, &token) != JOSE_VALID ||
	       json_array_size(json_object_get(token.claims, "aud")) <= 1;
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

/* RFC 7519, 4.1.4 to 4.1.6. */
enum svid_verdict token_check_times(const struct token_check *c,
				    int64_t *ret_expires_ms)
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
	if (exp - iat > c->longest_s)
		return SVID_TOO_LONG;
	*ret_expires_ms = (exp + SVID_LEEWAY_S) * MS_PER_S;
	return SVID_VALID;
}

enum svid_verdict token_check_jti(const struct token_check *c, char *jti,
				  size_t size)
{
	const json_t *value = json_object_get(c->token->claims, "jti");
	size_t len;

	jti[0] = 0;
	if (!value)
		return SVID_VALID;
	len = json_string_length(value);
	if (!json_is_string(value) || len >= size)
		return SVID_MALFORMED;
	memcpy(jti, json_string_value(value), len + 1);
	return SVID_VALID;
}

/*
 * A token without kid is tried with each key; the algorithm must be the key's
 * in any case, so only keys of its family are really used.
 */
enum svid_verdict token_check_signature(const struct jose_token *token,
					struct jose_key *const *keys)
{
	const char *kid = json_text(token->header, "kid", NULL);
	enum svid_verdict verdict = SVID_UNTRUSTED;
	int tries = 0;

	for (size_t i = 0; keys && keys[i]; i++) {
		enum jose_verdict v;

		if (kid && strcmp(kid, jose_key_id(keys[i])) != 0)
			continue;
		v = jose_verify(token, keys[i]);
		if (v == JOSE_VALID)
			return SVID_VALID;
		if (verdict != SVID_SIGNATURE)
			verdict = svid_from_jose(v);
		if (v == JOSE_BAD_SIGNATURE && ++tries == SIGNATURE_TRIES_MAX)
			break;
	}
	return verdict;
}
