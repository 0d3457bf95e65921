#include "crypto/evp.h"

#include "crypto/jose.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/digest.h"

enum {
	RSA_MIN = 2048 / 8,	  /* bytes of a modulus */
	RSA_MAX = 8192 / 8,	  /* bytes of a modulus */
	RSA_EXPONENT_MAX = 8,	  /* bytes */
	MEMBER_MAX = 2 * RSA_MAX, /* bytes of a number's text */
	NAME_MAX_LEN = 256,	  /* bytes of a kid or use */
};

enum family { FAMILY_RSA, FAMILY_EC };

/* A curve and how RFC 7518, 6.2.1.1 calls it. */
struct curve {
	const char *name;
	size_t len; /* bytes of a coordinate */
};

enum { P256, P384, P521, CURVES };

static const struct curve curves[CURVES] = {
	[P256] = { "P-256", 32 },
	[P384] = { "P-384", 48 },
	[P521] = { "P-521", 66 },
};

/* RFC 7518, 3.1, without those that need a shared secret or protect nothing. */
struct algorithm {
	const char *name;
	enum family family;
	enum evp_hash hash;
	bool pss;
	const struct curve *curve; /* NULL for RSA */
};

static const struct algorithm algorithms[] = {
	{ "RS256", FAMILY_RSA, EVP_HASH_SHA256, false, NULL },
	{ "RS384", FAMILY_RSA, EVP_HASH_SHA384, false, NULL },
	{ "RS512", FAMILY_RSA, EVP_HASH_SHA512, false, NULL },
	{ "PS256", FAMILY_RSA, EVP_HASH_SHA256, true, NULL },
	{ "PS384", FAMILY_RSA, EVP_HASH_SHA384, true, NULL },
	{ "PS512", FAMILY_RSA, EVP_HASH_SHA512, true, NULL },
	{ "ES256", FAMILY_EC, EVP_HASH_SHA256, false, &curves[P256] },
	{ "ES384", FAMILY_EC, EVP_HASH_SHA384, false, &curves[P384] },
	{ "ES512", FAMILY_EC, EVP_HASH_SHA512, false, &curves[P521] },
};

const char *const jose_algorithms[] = { "RS256", "RS384", "RS512", "PS256",
					"PS384", "PS512", "ES256", "ES384",
					"ES512", NULL };

/* What a key may be for ("use") if it is to verify tokens. */
static const char *const signing_uses[] = { "", "sig", "jwt-svid", "wit-svid" };

/* Members that hold private parts (RFC 7518, 6.2.2 and 6.3.2) or a secret. */
static const char *const private_members[] = { "d",  "p",  "q",	  "dp",
					       "dq", "qi", "oth", "k" };

/* Members of a header that this program understands, all of them texts. */
static const char *const header_members[] = { "alg", "kid", "typ" };

struct jose_key {
	EVP_PKEY *pkey; /* owned */
	enum family family;
	const struct curve *curve;	   /* NULL for RSA */
	const struct algorithm *algorithm; /* the key's "alg", or NULL */
	size_t signature_len;
	char *id;  /* owned */
	char *use; /* owned */
};

static bool among(const char *text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, names[i]) == 0)
			return true;
	return false;
}

static const struct algorithm *find_algorithm(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
		if (strcmp(name, algorithms[i].name) == 0)
			return &algorithms[i];
	return NULL;
}

static const struct curve *find_curve(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (strcmp(name, curves[i].name) == 0)
			return &curves[i];
	return NULL;
}

static int damaged(const char *what)
{
	return error_set(ERR_SYNTAX, "JWK: %s", what);
}

/* Reads a member that must hold base64url. */
static int get_bytes(const json_t *jwk, const char *name, struct buf *bytes)
{
	struct slice text = slice_str(json_text(jwk, name, ""));

	if (text.len == 0 || text.len > MEMBER_MAX ||
	    text_from_base64url(text, bytes) < 0)
		return error_set(ERR_SYNTAX, "JWK: \"%s\" is no number", name);
	return 0;
}

/* Reads a Base64urlUInt (RFC 7518, 2) above zero: no leading zero bytes. */
static int get_number(const json_t *jwk, const char *name, struct buf *bytes)
{
	TRY(get_bytes(jwk, name, bytes));
	if (bytes->data[0] == 0)
		return error_set(ERR_SYNTAX, "JWK: \"%s\" starts with zero",
				 name);
	return 0;
}

static bool is_odd(const struct buf *number)
{
	return number->data[number->len - 1] & 1;
}

static int check_rsa(const struct buf *n, const struct buf *e)
{
	if (n->len < RSA_MIN || (n->len == RSA_MIN && n->data[0] < 0x80))
		return damaged("RSA key of less than 2048 bits");
	if (n->len > RSA_MAX || !is_odd(n))
		return damaged("RSA modulus");
	if (e->len > RSA_EXPONENT_MAX || !is_odd(e) ||
	    (e->len == 1 && e->data[0] == 1))
		return damaged("RSA exponent");
	return 0;
}

static int parse_rsa(const json_t *jwk, struct jose_key *key)
{
	CLEANUP(buf_clear) struct buf n = BUF_INIT(MEMBER_MAX);
	CLEANUP(buf_clear) struct buf e = BUF_INIT(MEMBER_MAX);

	TRY(get_number(jwk, "n", &n));
	TRY(get_number(jwk, "e", &e));
	TRY(check_rsa(&n, &e));
	key->family = FAMILY_RSA;
	key->signature_len = n.len;
	key->pkey = evp_rsa(buf_slice(&n), buf_slice(&e));
	return key->pkey ? 0 : damaged("RSA key");
}

static int parse_ec(const json_t *jwk, struct jose_key *key)
{
	CLEANUP(buf_clear) struct buf point = BUF_INIT(EVP_POINT_MAX);
	const char *name = json_text(jwk, "crv", NULL);

	if (!name)
		return damaged("no curve");
	key->family = FAMILY_EC;
	key->curve = find_curve(name);
	if (!key->curve)
		return 0;
	key->signature_len = 2 * key->curve->len;
	buf_put_u8(&point, EVP_POINT_UNCOMPRESSED);
	TRY(get_bytes(jwk, "x", &point));
	if (point.len != 1 + key->curve->len)
		return damaged("coordinate of the wrong length");
	TRY(get_bytes(jwk, "y", &point));
	if (point.len != 1 + 2 * key->curve->len)
		return damaged("coordinate of the wrong length");
	key->pkey = evp_ec(key->curve->name, buf_slice(&point));
	return key->pkey ? 0 : damaged("point is not on the curve");
}

/* Key types (RFC 7518, 6.1); other types are passed over. */
static const struct {
	const char *name;
	int (*parse)(const json_t *jwk, struct jose_key *key);
} key_types[] = {
	{ "EC", parse_ec },
	{ "RSA", parse_rsa },
};

/* Copies a member that may be absent but must be a text. */
static int copy_text(const json_t *jwk, const char *name, char **ret_text)
{
	const json_t *value = json_object_get(jwk, name);

	if (value && !json_is_string(value))
		return error_set(ERR_SYNTAX, "JWK: \"%s\" is no text", name);
	if (value && json_string_length(value) > NAME_MAX_LEN)
		return error_set(ERR_SYNTAX, "JWK: \"%s\" is too long", name);
	*ret_text = mem_str(value ? json_string_value(value) : "");
	return 0;
}

static int check_public(const json_t *jwk)
{
	for (size_t i = 0; i < ARRAY_LEN(private_members); i++)
		if (json_object_get(jwk, private_members[i]))
			return damaged("holds private parts");
	return 0;
}

/* Says whether the key's "key_ops" (RFC 7517, 4.3) let it verify. */
static int check_operations(const json_t *jwk, bool *ret_usable)
{
	const json_t *operations = json_object_get(jwk, "key_ops");

	if (operations && !json_is_array(operations))
		return damaged("\"key_ops\" is no list");
	*ret_usable = !operations || json_has_text(operations, "verify");
	return 0;
}

static bool fits(const struct jose_key *key, const struct algorithm *algorithm)
{
	return algorithm->family == key->family &&
	       algorithm->curve == key->curve;
}

/* Narrows key to its "alg"; one that is none of ours makes it unusable. */
static int set_algorithm(const json_t *jwk, struct jose_key *key,
			 bool *ret_usable)
{
	const json_t *name = json_object_get(jwk, "alg");

	*ret_usable = true;
	if (!name)
		return 0;
	if (!json_is_string(name))
		return damaged("\"alg\" is no text");
	key->algorithm = find_algorithm(json_string_value(name));
	*ret_usable = key->algorithm != NULL;
	if (key->algorithm && !fits(key, key->algorithm))
		return damaged("\"alg\" does not suit the key");
	return 0;
}

static int fill_key(const json_t *jwk, struct jose_key *key, bool *ret_usable)
{
	bool for_verifying = false;
	bool known = false;

	TRY(check_public(jwk));
	TRY(copy_text(jwk, "kid", &key->id));
	TRY(copy_text(jwk, "use", &key->use));
	TRY(check_operations(jwk, &for_verifying));
	TRY(set_algorithm(jwk, key, &known));
	*ret_usable = for_verifying && known;
	return 0;
}

int jose_key_parse(const json_t *jwk, struct jose_key **ret_key)
{
	CLEANUP(jose_key_free_p) struct jose_key *key = NULL;
	const char *type = json_text(jwk, "kty", NULL);
	bool usable = false;

	if (!json_is_object(jwk) || !type)
		return damaged("no object with \"kty\"");
	for (size_t i = 0; i < ARRAY_LEN(key_types) && !key; i++) {
		if (strcmp(type, key_types[i].name) != 0)
			continue;
		key = mem_new(struct jose_key);
		TRY(key_types[i].parse(jwk, key));
	}
	if (key && key->pkey)
		TRY(fill_key(jwk, key, &usable));
	*ret_key = usable ? TAKE(key) : NULL;
	return 0;
}

/* RFC 7638, 3.2: the members that make up a key, and no others. */
void jose_thumbprint(const json_t *jwk, char ret_text[JOSE_THUMBPRINT_LEN])
{
	static const char *const required[] = {
		"kty", "crv", "x", "y", "n", "e"
	};
	bool rsa = !strcmp(json_text(jwk, "kty", ""), "RSA");
	CLEANUP(json_put_p) json_t *key = json_object();
	CLEANUP(mem_free_p) char *text = NULL;
	CLEANUP(mem_free_p) char *thumbprint = NULL;
	struct digest digest;

	json_pick(key, jwk, required, ARRAY_LEN(required));
	for (size_t i = 1; i < ARRAY_LEN(required); i++) {
		if (rsa != (i >= 4))
			json_object_del(key, required[i]);
	}
	text = json_canonical(key);
	digest = digest_of(slice_str(text));
	thumbprint = text_base64url(digest_slice(&digest));
	snprintf(ret_text, JOSE_THUMBPRINT_LEN, "%s", thumbprint);
}

const char *jose_key_id(const struct jose_key *key)
{
	return key->id;
}

const char *jose_key_use(const struct jose_key *key)
{
	return key->use;
}

void jose_key_free(struct jose_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key->id);
	free(key->use);
	free(key);
}

const char *jose_verdict_name(enum jose_verdict verdict)
{
	static const char *const names[] = {
		[JOSE_VALID] = "valid",
		[JOSE_MALFORMED] = "malformed",
		[JOSE_HEADER] = "header",
		[JOSE_ALGORITHM] = "algorithm",
		[JOSE_BAD_SIGNATURE] = "signature",
	};

	return names[verdict];
}

enum { PART_HEADER, PART_CLAIMS, PART_SIGNATURE, PARTS };

/* Parts a token at its dots, of which there must be exactly two. */
static bool split(struct slice token, struct slice parts[PARTS])
{
	const uint8_t *end = token.ptr + token.len;
	const uint8_t *start = token.ptr;
	size_t count = 0;

	for (const uint8_t *at = token.ptr; at < end; at++) {
		if (*at != '.')
			continue;
		if (count == PARTS - 1)
			return false;
		parts[count++] = slice_of(start, (size_t)(at - start));
		start = at + 1;
	}
	parts[count++] = slice_of(start, (size_t)(end - start));
	return count == PARTS;
}

/* Decodes a part that must be a JSON object; NULL if it is none. */
static json_t *decode_object(struct slice part)
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(JOSE_TOKEN_MAX);
	json_t *value = NULL;

	if (text_from_base64url(part, &bytes) < 0 ||
	    json_parse(buf_slice(&bytes), JOSE_TOKEN_MAX, &value) < 0)
		return NULL;
	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

/* strict: members that are not ours are refused, else only "crit", which says
 * that they must be understood (RFC 7515, 4.1.11). */
static enum jose_verdict check_header(json_t *header, bool strict)
{
	const char *name;
	json_t *value;

	json_object_foreach(header, name, value) {
		bool ours =
			among(name, header_members, ARRAY_LEN(header_members));

		if (ours ? !json_is_string(value)
			 : strict || !strcmp(name, "crit"))
			return JOSE_HEADER;
	}
	if (!find_algorithm(json_text(header, "alg", "")))
		return JOSE_ALGORITHM;
	return JOSE_VALID;
}

static bool decode_signature(struct slice part, struct jose_token *token)
{
	CLEANUP(buf_clear)
	struct buf bytes = BUF_INIT(sizeof(token->signature));

	if (part.len == 0 || text_from_base64url(part, &bytes) < 0)
		return false;
	memcpy(token->signature, bytes.data, bytes.len);
	token->signature_len = bytes.len;
	return true;
}

/* The header comes first, so that the reason given is the earliest one. */
static enum jose_verdict fill_token(const struct slice parts[PARTS],
				    bool strict, struct jose_token *token)
{
	enum jose_verdict verdict;

	token->header = decode_object(parts[PART_HEADER]);
	if (!token->header)
		return JOSE_MALFORMED;
	verdict = check_header(token->header, strict);
	if (verdict != JOSE_VALID)
		return verdict;
	token->claims = decode_object(parts[PART_CLAIMS]);
	if (!token->claims || !decode_signature(parts[PART_SIGNATURE], token))
		return JOSE_MALFORMED;
	return JOSE_VALID;
}

static enum jose_verdict parse(struct slice token, bool strict,
			       struct jose_token *ret_token)
{
	CLEANUP(jose_token_clear) struct jose_token parsed = { NULL };
	struct slice parts[PARTS];
	enum jose_verdict verdict;

	if (token.len == 0 || token.len > JOSE_TOKEN_MAX ||
	    !split(token, parts))
		return JOSE_MALFORMED;
	parsed.signing_input = slice_of(
		token.ptr, parts[PART_HEADER].len + 1 + parts[PART_CLAIMS].len);
	verdict = fill_token(parts, strict, &parsed);
	if (verdict != JOSE_VALID)
		return verdict;
	*ret_token = parsed;
	parsed.header = NULL;
	parsed.claims = NULL;
	return JOSE_VALID;
}

enum jose_verdict jose_token_parse(struct slice token,
				   struct jose_token *ret_token)
{
	return parse(token, true, ret_token);
}

enum jose_verdict jose_token_parse_any(struct slice token,
				       struct jose_token *ret_token)
{
	return parse(token, false, ret_token);
}

const char *jose_token_fault(struct slice token)
{
	static const char *const words[PARTS][2] = {
		[PART_HEADER] = { "its header is not base64url",
				  "its header is not a JSON object" },
		[PART_CLAIMS] = { "its claims are not base64url",
				  "its claims are not a JSON object" },
		[PART_SIGNATURE] = { "its signature is not base64url" },
	};
	struct slice parts[PARTS];

	if (token.len > JOSE_TOKEN_MAX)
		return "it is too long";
	if (!token.len || !split(token, parts))
		return "it has not three parts with dots in between";
	for (size_t i = 0; i < PARTS; i++) {
		CLEANUP(buf_clear) struct buf bytes = BUF_INIT(JOSE_TOKEN_MAX);
		CLEANUP(json_put_p) json_t *object = NULL;

		if (!parts[i].len || text_from_base64url(parts[i], &bytes) < 0)
			return words[i][0];
		if (i == PART_SIGNATURE)
			continue;
		object = decode_object(parts[i]);
		if (!object)
			return words[i][1];
	}
	return NULL;
}

void jose_token_clear(struct jose_token *token)
{
	json_decref(token->header);
	json_decref(token->claims);
	mem_wipe(token, sizeof(*token));
}

static bool signature_holds(const struct jose_token *token,
			    const struct jose_key *key,
			    const struct algorithm *algorithm)
{
	const EVP_MD *md = evp_md(algorithm->hash);
	const struct evp_scheme scheme = { .md = md, .pss = algorithm->pss };
	struct slice signature =
		slice_of(token->signature, token->signature_len);
	size_t half = token->signature_len / 2;

	if (token->signature_len != key->signature_len)
		return false;
	if (algorithm->family == FAMILY_RSA)
		return evp_verify(key->pkey, scheme, signature,
				  token->signing_input);
	return evp_verify_ecdsa(key->pkey, md, slice_of(signature.ptr, half),
				slice_of(signature.ptr + half, half),
				token->signing_input);
}

enum jose_verdict jose_verify(const struct jose_token *token,
			      const struct jose_key *key)
{
	const struct algorithm *algorithm =
		find_algorithm(json_text(token->header, "alg", ""));
	const char *id = json_text(token->header, "kid", key->id);

	if (!algorithm || !fits(key, algorithm) ||
	    (key->algorithm && key->algorithm != algorithm) ||
	    !among(key->use, signing_uses, ARRAY_LEN(signing_uses)))
		return JOSE_ALGORITHM;
	if (key->id[0] && strcmp(id, key->id) != 0)
		return JOSE_HEADER;
	if (!signature_holds(token, key, algorithm))
		return JOSE_BAD_SIGNATURE;
	return JOSE_VALID;
}
