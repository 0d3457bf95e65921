/*
 * The tokens here are made with the library's own signing calls, not with the
 * code under test.
 */
#include "cmocka_first.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/jose.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

static EVP_PKEY *rsa;
static EVP_PKEY *other_rsa;
static EVP_PKEY *weak_rsa; /* 1024 bits */
static EVP_PKEY *p256;
static EVP_PKEY *p384;
static EVP_PKEY *p521;

static const char claims[] = "{\"sub\":\"a\",\"exp\":1}";

struct recipe {
	const char *alg;
	EVP_PKEY **key;
	const char *md;
	bool pss;
	const char *curve; /* NULL for RSA */
	size_t half;	   /* bytes of r */
};

static const struct recipe recipes[] = {
	{ "RS256", &rsa, "SHA256", false, NULL, 0 },
	{ "RS384", &rsa, "SHA384", false, NULL, 0 },
	{ "RS512", &rsa, "SHA512", false, NULL, 0 },
	{ "PS256", &rsa, "SHA256", true, NULL, 0 },
	{ "PS384", &rsa, "SHA384", true, NULL, 0 },
	{ "PS512", &rsa, "SHA512", true, NULL, 0 },
	{ "ES256", &p256, "SHA256", false, "P-256", 32 },
	{ "ES384", &p384, "SHA384", false, "P-384", 48 },
	{ "ES512", &p521, "SHA512", false, "P-521", 66 },
};

enum { RS256 = 0, PS256 = 3, ES256 = 6, ES384 = 7, ES512 = 8 };

static int make_keys(void **state)
{
	(void)state;
	rsa = EVP_RSA_gen(2048);
	other_rsa = EVP_RSA_gen(2048);
	weak_rsa = EVP_RSA_gen(1024);
	p256 = EVP_EC_gen("P-256");
	p384 = EVP_EC_gen("P-384");
	p521 = EVP_EC_gen("P-521");
	return rsa && other_rsa && weak_rsa && p256 && p384 && p521 ? 0 : -1;
}

static int free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(other_rsa);
	EVP_PKEY_free(weak_rsa);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(p521);
	return 0;
}

/* A number of a key, filled up to len bytes (0: as short as it is). */
static char *number_text(const EVP_PKEY *key, const char *name, size_t len)
{
	BIGNUM *number = NULL;
	uint8_t bytes[1024];

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
	if (len == 0)
		len = (size_t)BN_num_bytes(number);
	assert_int_equal(BN_bn2binpad(number, bytes, (int)len), len);
	BN_free(number);
	return text_base64url(slice_of(bytes, len));
}

static void set_number(json_t *jwk, const char *member, const EVP_PKEY *key,
		       const char *name, size_t len)
{
	char *text = number_text(key, name, len);

	json_set_text(jwk, member, text);
	free(text);
}

static json_t *rsa_jwk(const EVP_PKEY *key)
{
	json_t *jwk = json_object();

	json_set_text(jwk, "kty", "RSA");
	set_number(jwk, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
	set_number(jwk, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
	return jwk;
}

static json_t *ec_jwk(const EVP_PKEY *key, const char *curve, size_t len)
{
	json_t *jwk = json_object();

	json_set_text(jwk, "kty", "EC");
	json_set_text(jwk, "crv", curve);
	set_number(jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, len);
	set_number(jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, len);
	return jwk;
}

static json_t *recipe_jwk(const struct recipe *r)
{
	return r->curve ? ec_jwk(*r->key, r->curve, r->half) : rsa_jwk(*r->key);
}

/* salt: as RSA_PSS_SALTLEN_*, used for PSS only. */
static size_t sign_der(EVP_PKEY *key, const char *md, bool pss, int salt,
		       const char *input, uint8_t signature[1100])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_ctx = NULL;
	size_t len = 1100;

	assert_int_equal(
		EVP_DigestSignInit_ex(ctx, &key_ctx, md, NULL, NULL, key, NULL),
		1);
	if (pss) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(
					 key_ctx, RSA_PKCS1_PSS_PADDING),
				 1);
		assert_int_equal(
			EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, salt), 1);
	}
	assert_int_equal(EVP_DigestSign(ctx, signature, &len,
					(const uint8_t *)input, strlen(input)),
			 1);
	EVP_MD_CTX_free(ctx);
	return len;
}

/* Turns a DER signature into r || s, half bytes each; returns their length. */
static size_t der_to_raw(uint8_t signature[1100], size_t len, size_t half)
{
	const uint8_t *at = signature;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	uint8_t raw[200];

	assert_non_null(sig);
	assert_true(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)half) > 0);
	assert_true(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, (int)half) >
		    0);
	ECDSA_SIG_free(sig);
	memcpy(signature, raw, 2 * half);
	return 2 * half;
}

static char *signing_input(const char *header, const char *payload)
{
	char *first = text_base64url(slice_str(header));
	char *second = text_base64url(slice_str(payload));
	char *input = mem_format("%s.%s", first, second);

	free(first);
	free(second);
	return input;
}

static char *with_signature(const char *input, const uint8_t *signature,
			    size_t len)
{
	char *last = text_base64url(slice_of(signature, len));
	char *token = mem_format("%s.%s", input, last);

	free(last);
	return token;
}

static char *sign_input(const struct recipe *r, EVP_PKEY *key,
			const char *input)
{
	uint8_t signature[1100];
	size_t len = sign_der(key, r->md, r->pss, RSA_PSS_SALTLEN_DIGEST, input,
			      signature);

	if (r->curve)
		len = der_to_raw(signature, len, r->half);
	return with_signature(input, signature, len);
}

/* A token with any header and payload, truly signed by the recipe. */
static char *make(const struct recipe *r, const char *header,
		  const char *payload)
{
	char *input = signing_input(header, payload);
	char *token = sign_input(r, *r->key, input);

	free(input);
	return token;
}

static char *header_of(const char *alg)
{
	return mem_format("{\"alg\":\"%s\"}", alg);
}

static char *make_plain(const struct recipe *r)
{
	char *header = header_of(r->alg);
	char *token = make(r, header, claims);

	free(header);
	return token;
}

/* jwk: owned here. */
static struct jose_key *key_of(json_t *jwk)
{
	struct jose_key *key = NULL;

	assert_int_equal(jose_key_parse(jwk, &key), 0);
	json_decref(jwk);
	return key;
}

static enum jose_verdict judge_slice(struct slice token,
				     const struct jose_key *key)
{
	struct jose_token parsed;
	enum jose_verdict verdict = jose_token_parse(token, &parsed);

	if (verdict != JOSE_VALID)
		return verdict;
	verdict = jose_verify(&parsed, key);
	jose_token_clear(&parsed);
	return verdict;
}

/* token: owned here. */
static enum jose_verdict judge(char *token, const struct jose_key *key)
{
	enum jose_verdict verdict = judge_slice(slice_str(token), key);

	free(token);
	return verdict;
}

static void each_of_the_nine_algorithms_verifies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recipes); i++) {
		CLEANUP(jose_key_free_p)
		struct jose_key *key = key_of(recipe_jwk(&recipes[i]));

		assert_non_null(key);
		assert_int_equal(judge(make_plain(&recipes[i]), key),
				 JOSE_VALID);
	}
}

static void a_token_is_taken_apart(void **state)
{
	char *token = make(&recipes[ES256],
			   "{\"typ\":\"JWT\",\"alg\":\"ES256\",\"kid\":\"k\"}",
			   "{\"sub\":\"a\"}");
	struct jose_token parsed;

	(void)state;
	assert_int_equal(jose_token_parse(slice_str(token), &parsed),
			 JOSE_VALID);
	assert_string_equal(json_text(parsed.header, "typ", ""), "JWT");
	assert_string_equal(json_text(parsed.header, "kid", ""), "k");
	assert_string_equal(json_text(parsed.claims, "sub", ""), "a");
	assert_int_equal(parsed.signature_len, 64);
	assert_ptr_equal(parsed.signing_input.ptr, token);
	assert_int_equal(parsed.signing_input.len, strrchr(token, '.') - token);
	jose_token_clear(&parsed);
	free(token);
}

static void no_algorithm_is_taken_for_another(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recipes); i++) {
		CLEANUP(jose_key_free_p)
		struct jose_key *key = key_of(recipe_jwk(&recipes[i]));

		for (size_t k = 0; k < ARRAY_LEN(recipes); k++) {
			bool family = !recipes[i].curve && !recipes[k].curve;
			char *header = header_of(recipes[k].alg);

			/* The header says k, the signature is i's. */
			if (i != k)
				assert_int_equal(
					judge(make(&recipes[i], header, claims),
					      key),
					family ? JOSE_BAD_SIGNATURE
					       : JOSE_ALGORITHM);
			free(header);
		}
	}
}

static void an_algorithm_goes_with_its_curve_only(void **state)
{
	/* ES384 on P-256 and the like, truly signed with that curve. */
	static const struct recipe mixed[] = {
		{ "ES384", &p256, "SHA384", false, "P-256", 32 },
		{ "ES512", &p256, "SHA512", false, "P-256", 32 },
		{ "ES256", &p384, "SHA256", false, "P-384", 48 },
		{ "ES512", &p384, "SHA512", false, "P-384", 48 },
		{ "ES256", &p521, "SHA256", false, "P-521", 66 },
		{ "ES384", &p521, "SHA384", false, "P-521", 66 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mixed); i++) {
		CLEANUP(jose_key_free_p)
		struct jose_key *key = key_of(recipe_jwk(&mixed[i]));

		assert_int_equal(judge(make_plain(&mixed[i]), key),
				 JOSE_ALGORITHM);
	}
}

static void other_algorithms_are_refused(void **state)
{
	static const char *const names[] = {
		"none",	  "None",   "NONE",  "nOnE",	    "",
		"HS256",  "HS384",  "HS512", "EdDSA",	    "Ed25519",
		"ES256K", "es256",  "Es256", "rs256",	    "ES256 ",
		" ES256", "ES2566", "ES25",  "RSA1_5",	    "RSA-OAEP",
		"dir",	  "A256KW", "RS1",   "ES256,RS256",
	};
	CLEANUP(jose_key_free_p)
	struct jose_key *key = key_of(recipe_jwk(&recipes[ES256]));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *header = header_of(names[i]);

		assert_int_equal(
			judge(make(&recipes[ES256], header, claims), key),
			JOSE_ALGORITHM);
		free(header);
	}
}

static void a_token_without_signature_is_refused(void **state)
{
	CLEANUP(jose_key_free_p)
	struct jose_key *key = key_of(recipe_jwk(&recipes[ES256]));
	char *none = signing_input("{\"alg\":\"none\"}", claims);
	char *empty = signing_input("{\"alg\":\"ES256\"}", claims);

	(void)state;
	assert_int_equal(judge(mem_format("%s.", none), key), JOSE_ALGORITHM);
	assert_int_equal(judge(mem_format("%s.", empty), key), JOSE_MALFORMED);
	assert_int_equal(judge(mem_format("%s", empty), key), JOSE_MALFORMED);
	free(none);
	free(empty);
}

/* The classic: a MAC made with the public key as if it were a secret. */
static void a_public_key_is_never_a_secret(void **state)
{
	CLEANUP(jose_key_free_p)
	struct jose_key *key = key_of(recipe_jwk(&recipes[RS256]));
	char *input = signing_input("{\"alg\":\"HS256\"}", claims);
	char *same = signing_input("{\"alg\":\"RS256\"}", claims);
	uint8_t *der = NULL;
	int der_len = i2d_PUBKEY(rsa, &der);
	uint8_t mac[64];
	size_t mac_len = 0;

	(void)state;
	assert_true(der_len > 0);
	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, der,
				  (size_t)der_len, (const uint8_t *)input,
				  strlen(input), mac, sizeof(mac), &mac_len));
	assert_int_equal(judge(with_signature(input, mac, mac_len), key),
			 JOSE_ALGORITHM);
	assert_int_equal(judge(with_signature(same, mac, mac_len), key),
			 JOSE_BAD_SIGNATURE);
	OPENSSL_free(der);
	free(input);
	free(same);
}

static void headers_are_held_to_a_short_list(void **state)
{
	static const struct {
		const char *header;
		enum jose_verdict wanted;
	} cases[] = {
		{ "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", JOSE_VALID },
		{ "{\"alg\":\"ES256\",\"kid\":\"x\"}", JOSE_VALID },
		{ " {\"alg\" : \"ES256\"} ", JOSE_VALID },
		{ "{}", JOSE_ALGORITHM },
		{ "{\"typ\":\"JWT\"}", JOSE_ALGORITHM },
		{ "{\"alg\":null}", JOSE_HEADER },
		{ "{\"alg\":256}", JOSE_HEADER },
		{ "{\"alg\":[\"ES256\"]}", JOSE_HEADER },
		{ "{\"alg\":{\"ES256\":1}}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"kid\":7}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"kid\":null}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"typ\":{}}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"crit\":[]}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}",
		  JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"b64\":false}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"b64\":true}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"b64\":false,\"crit\":[\"b64\"]}",
		  JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"jwk\":{}}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"jku\":\"https://a.example/\"}",
		  JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"x5u\":\"https://a.example/\"}",
		  JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"x5c\":[]}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"x5t\":\"AAAA\"}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"x5t#S256\":\"AAAA\"}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"cty\":\"JWT\"}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"zip\":\"DEF\"}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"enc\":\"A128GCM\"}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"nonce\":\"x\"}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"\":\"x\"}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"ALG\":\"ES256\"}", JOSE_HEADER },
		{ "{\"alg\":\"ES256\",\"alg\":\"ES256\"}", JOSE_MALFORMED },
		{ "{\"alg\":\"none\",\"alg\":\"ES256\"}", JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\",\"alg\":\"none\"}", JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}",
		  JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\",\"kid\":\"a\",\"kid\":\"b\"}",
		  JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\\u0000\"}", JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\",\"kid\":\"\\ud800\"}", JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\",\"kid\":\"\xff\"}", JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\",\"kid\":\"\x01\"}", JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\"}x", JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\"}{}", JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\",}", JOSE_MALFORMED },
		{ "{\"alg\":\"ES256\"", JOSE_MALFORMED },
		{ "{'alg':'ES256'}", JOSE_MALFORMED },
		{ "\xef\xbb\xbf{\"alg\":\"ES256\"}", JOSE_MALFORMED },
		{ "[{\"alg\":\"ES256\"}]", JOSE_MALFORMED },
		{ "\"ES256\"", JOSE_MALFORMED },
		{ "null", JOSE_MALFORMED },
		{ "", JOSE_MALFORMED },
	};
	CLEANUP(jose_key_free_p)
	struct jose_key *key = key_of(recipe_jwk(&recipes[ES256]));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum jose_verdict verdict = judge(
			make(&recipes[ES256], cases[i].header, claims), key);

		if (verdict != cases[i].wanted)
			fail_msg("%s: %s", cases[i].header,
				 jose_verdict_name(verdict));
	}
}

static void a_payload_must_be_one_clean_object(void **state)
{
	static const char *const payloads[] = {
		"",
		"x",
		"null",
		"[]",
		"\"a\"",
		"1",
		"{}{}",
		"{} x",
		"{\"a\":1,\"a\":2}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"\xc3\"}",
	};
	CLEANUP(jose_key_free_p)
	struct jose_key *key = key_of(recipe_jwk(&recipes[ES256]));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(payloads); i++)
		assert_int_equal(judge(make(&recipes[ES256],
					    "{\"alg\":\"ES256\"}", payloads[i]),
				       key),
				 JOSE_MALFORMED);
}

static void texts_that_are_no_token_are_malformed(void **state)
{
	static const char *const tokens[] = {
		"",
		".",
		"..",
		"...",
		"A",
		"A=AA.AAAA.AAAA",
		"AA=A.AAAA.AAAA",
		"AAA=.AAAA.AAAA",
		"A.A.A",
		"AAAAA.AAAA.AAAA",
		"=.=.=",
		"eyJhbGciOiJFUzI1NiJ9.e30",
		"eyJhbGciOiJFUzI1NiJ9..AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.",
		".e30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA.",
		".e30.e30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9..e30.AAAA",
		"Bearer e30.e30.AAAA",
		/* {"alg":"ES256"} and {}, with signatures that are none */
		"eyJhbGciOiJFUzI1NiJ9.e30.A",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAAA==",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA=",
		"eyJhbGciOiJFUzI1NiJ9.e30.AB",
		"eyJhbGciOiJFUzI1NiJ9.e30.AA A",
		"eyJhbGciOiJFUzI1NiJ9.e30.AA+/",
		"eyJhbGciOiJFUzI1NiJ9.e30=.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e31.AAAA",
		"eyJhbGciOiJFUzI1NiJ9=.e30.AAAA",
		" eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA\n",
		"eyJhbGciOiJFUzI1NiJ9.\ne30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA\xc3\xa9",
	};
	static const char with_nul[] = "eyJhbGciOiJFUzI1NiJ9.e3\0000.AAAA";
	struct jose_token parsed;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++)
		assert_int_equal(
			jose_token_parse(slice_str(tokens[i]), &parsed),
			JOSE_MALFORMED);
	assert_int_equal(jose_token_parse(slice_of(NULL, 0), &parsed),
			 JOSE_MALFORMED);
	assert_int_equal(
		jose_token_parse(slice_of(with_nul, sizeof(with_nul) - 1),
				 &parsed),
		JOSE_MALFORMED);
}

/* Two spellings of one token would make caches and logs disagree. */
static void a_token_has_one_spelling(void **state)
{
	CLEANUP(jose_key_free_p)
	struct jose_key *key = key_of(recipe_jwk(&recipes[ES256]));
	char *token = make_plain(&recipes[ES256]);
	size_t len = strlen(token);

	(void)state;
	assert_int_equal(judge(mem_format("%s=", token), key), JOSE_MALFORMED);
	assert_int_equal(judge(mem_format("%s==", token), key), JOSE_MALFORMED);
	assert_int_equal(judge(mem_format("%s ", token), key), JOSE_MALFORMED);
	assert_int_equal(judge(mem_format("%sA", token), key),
			 JOSE_BAD_SIGNATURE);
	assert_int_equal(judge(mem_format("%sAA", token), key),
			 JOSE_BAD_SIGNATURE);
	assert_int_equal(judge(mem_format("%sAAA", token), key),
			 JOSE_MALFORMED);
	/* 64 bytes leave four unused bits in the last digit. */
	token[len - 1]++;
	assert_int_equal(judge(token, key), JOSE_MALFORMED);
}

static void no_bit_of_a_token_can_change(void **state)
{
	static const size_t which[] = { RS256, PS256, ES256 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(which); i++) {
		const struct recipe *r = &recipes[which[i]];
		CLEANUP(jose_key_free_p)
		struct jose_key *key = key_of(recipe_jwk(r));
		char *token = make_plain(r);
		size_t len = strlen(token);

		for (size_t bit = 0; bit < len * 8; bit++) {
			token[bit / 8] ^= (char)(1 << bit % 8);
			assert_int_not_equal(
				judge_slice(slice_of(token, len), key),
				JOSE_VALID);
			token[bit / 8] ^= (char)(1 << bit % 8);
		}
		assert_int_equal(judge(token, key), JOSE_VALID);
	}
}

static void the_key_of_somebody_else_does_not_verify(void **state)
{
	CLEANUP(jose_key_free_p)
	struct jose_key *key = key_of(rsa_jwk(other_rsa));

	(void)state;
	assert_int_equal(judge(make_plain(&recipes[RS256]), key),
			 JOSE_BAD_SIGNATURE);
	assert_int_equal(judge(make_plain(&recipes[PS256]), key),
			 JOSE_BAD_SIGNATURE);
}

static enum jose_verdict judge_signature(const struct recipe *r,
					 const uint8_t *signature, size_t len)
{
	CLEANUP(jose_key_free_p) struct jose_key *key = key_of(recipe_jwk(r));
	char *header = header_of(r->alg);
	char *input = signing_input(header, claims);
	char *token = with_signature(input, signature, len);

	free(header);
	free(input);
	return judge(token, key);
}

static void a_salt_of_another_length_is_refused(void **state)
{
	static const int salts[] = { 0, 20, 33, RSA_PSS_SALTLEN_MAX };
	char *input = signing_input("{\"alg\":\"PS256\"}", claims);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(salts); i++) {
		uint8_t signature[1100];
		size_t len = sign_der(rsa, "SHA256", true, salts[i], input,
				      signature);

		assert_int_equal(
			judge_signature(&recipes[PS256], signature, len),
			JOSE_BAD_SIGNATURE);
	}
	free(input);
}

static void an_ecdsa_signature_has_its_exact_length(void **state)
{
	const struct recipe *r = &recipes[ES256];
	char *input = signing_input("{\"alg\":\"ES256\"}", claims);
	uint8_t der[1100];
	uint8_t raw[1100];
	uint8_t padded[66] = { 0 };
	size_t der_len = sign_der(p256, "SHA256", false, 0, input, der);

	(void)state;
	assert_int_equal(judge_signature(r, der, der_len), JOSE_BAD_SIGNATURE);
	memcpy(raw, der, der_len);
	assert_int_equal(der_to_raw(raw, der_len, 32), 64);
	assert_int_equal(judge_signature(r, raw, 64), JOSE_VALID);
	for (size_t len = 1; len < 64; len++)
		assert_int_equal(judge_signature(r, raw, len),
				 JOSE_BAD_SIGNATURE);
	/* r and s with a zero byte in front of each. */
	memcpy(padded + 1, raw, 32);
	memcpy(padded + 34, raw + 32, 32);
	assert_int_equal(judge_signature(r, padded, 66), JOSE_BAD_SIGNATURE);
	/* s, r; nothing; and numbers beyond the order. */
	memcpy(padded, raw + 32, 32);
	memcpy(padded + 32, raw, 32);
	assert_int_equal(judge_signature(r, padded, 64), JOSE_BAD_SIGNATURE);
	memset(padded, 0, sizeof(padded));
	assert_int_equal(judge_signature(r, padded, 64), JOSE_BAD_SIGNATURE);
	memset(padded, 0xff, sizeof(padded));
	assert_int_equal(judge_signature(r, padded, 64), JOSE_BAD_SIGNATURE);
	free(input);
}

static void an_rsa_signature_is_as_long_as_the_modulus(void **state)
{
	uint8_t signature[1 + 1100] = { 0 };
	char *input = signing_input("{\"alg\":\"RS256\"}", claims);
	size_t len = sign_der(rsa, "SHA256", false, 0, input, signature + 1);

	(void)state;
	assert_int_equal(len, 256);
	assert_int_equal(judge_signature(&recipes[RS256], signature + 1, len),
			 JOSE_VALID);
	assert_int_equal(judge_signature(&recipes[RS256], signature, len + 1),
			 JOSE_BAD_SIGNATURE);
	assert_int_equal(
		judge_signature(&recipes[RS256], signature + 1, len - 1),
		JOSE_BAD_SIGNATURE);
	/* More than any key that is taken could make. */
	assert_int_equal(judge_signature(&recipes[RS256], signature, 1025),
			 JOSE_MALFORMED);
	memset(signature, 0xff, sizeof(signature));
	assert_int_equal(judge_signature(&recipes[RS256], signature, 256),
			 JOSE_BAD_SIGNATURE);
	free(input);
}

static char *make_long(size_t payload_len)
{
	char *payload = mem_alloc(payload_len + 1);
	char *token;

	memset(payload, ' ', payload_len);
	memcpy(payload, "{}", 2);
	token = make(&recipes[ES256], "{\"alg\":\"ES256\"}", payload);
	free(payload);
	return token;
}

static void a_token_longer_than_the_limit_is_malformed(void **state)
{
	CLEANUP(jose_key_free_p)
	struct jose_key *key = key_of(recipe_jwk(&recipes[ES256]));
	/* 20 + 1 + 16256 + 1 + 86 = 16364 bytes, and 16384 + 4 */
	char *within = make_long(12192);
	char *beyond = make_long(12210);

	(void)state;
	assert_in_range(strlen(within), JOSE_TOKEN_MAX - 40, JOSE_TOKEN_MAX);
	assert_in_range(strlen(beyond), JOSE_TOKEN_MAX + 1,
			JOSE_TOKEN_MAX + 40);
	assert_int_equal(judge(within, key), JOSE_VALID);
	assert_int_equal(judge(beyond, key), JOSE_MALFORMED);
	assert_int_equal(judge(make_long(1 << 20), key), JOSE_MALFORMED);
}

static enum jose_verdict judge_with(size_t recipe, const char *header,
				    const char *member, const char *value)
{
	json_t *jwk = recipe_jwk(&recipes[recipe]);

	json_set_text(jwk, member, value);
	CLEANUP(jose_key_free_p) struct jose_key *key = key_of(jwk);
	if (!key)
		return JOSE_MALFORMED; /* stands for "no key" in this file */
	return judge(make(&recipes[recipe], header, claims), key);
}

static void the_algorithm_of_a_key_narrows_it(void **state)
{
	static const char rs256[] = "{\"alg\":\"RS256\"}";

	(void)state;
	assert_int_equal(judge_with(RS256, rs256, "alg", "RS256"), JOSE_VALID);
	assert_int_equal(judge_with(RS256, rs256, "alg", "PS256"),
			 JOSE_ALGORITHM);
	assert_int_equal(judge_with(RS256, rs256, "alg", "RS512"),
			 JOSE_ALGORITHM);
	/* A key for something that is not ours is no key for us. */
	assert_int_equal(judge_with(RS256, rs256, "alg", "RSA-OAEP"),
			 JOSE_MALFORMED);
	assert_int_equal(judge_with(RS256, rs256, "alg", "HS256"),
			 JOSE_MALFORMED);
	assert_int_equal(judge_with(RS256, rs256, "alg", "none"),
			 JOSE_MALFORMED);
}

static void the_use_of_a_key_is_honoured(void **state)
{
	static const char header[] = "{\"alg\":\"ES256\"}";

	(void)state;
	assert_int_equal(judge_with(ES256, header, "use", "sig"), JOSE_VALID);
	assert_int_equal(judge_with(ES256, header, "use", "jwt-svid"),
			 JOSE_VALID);
	assert_int_equal(judge_with(ES256, header, "use", "enc"),
			 JOSE_ALGORITHM);
	assert_int_equal(judge_with(ES256, header, "use", "x509-svid"),
			 JOSE_ALGORITHM);
	assert_int_equal(judge_with(ES256, header, "use", "SIG"),
			 JOSE_ALGORITHM);
}

static void a_token_that_names_another_key_is_refused(void **state)
{
	static const char plain[] = "{\"alg\":\"ES256\"}";
	static const char header[] = "{\"alg\":\"ES256\",\"kid\":\"a\"}";

	(void)state;
	assert_int_equal(judge_with(ES256, header, "kid", "a"), JOSE_VALID);
	assert_int_equal(judge_with(ES256, plain, "kid", "a"), JOSE_VALID);
	assert_int_equal(judge_with(ES256, header, "kid", NULL), JOSE_VALID);
	assert_int_equal(judge_with(ES256, header, "kid", "b"), JOSE_HEADER);
	assert_int_equal(judge_with(ES256, header, "kid", "A"), JOSE_HEADER);
}

static void a_key_tells_its_id_and_use(void **state)
{
	json_t *jwk = recipe_jwk(&recipes[ES256]);
	CLEANUP(jose_key_free_p)
	struct jose_key *bare = key_of(recipe_jwk(&recipes[ES256]));

	(void)state;
	json_set_text(jwk, "kid", "k-1");
	json_set_text(jwk, "use", "sig");
	CLEANUP(jose_key_free_p) struct jose_key *key = key_of(jwk);
	assert_string_equal(jose_key_id(key), "k-1");
	assert_string_equal(jose_key_use(key), "sig");
	assert_string_equal(jose_key_id(bare), "");
	assert_string_equal(jose_key_use(bare), "");
}

static void keys_of_other_kinds_are_passed_over(void **state)
{
	static const char *const texts[] = {
		"{\"kty\":\"oct\",\"k\":\"AAAA\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
		"{\"kty\":\"rsa\",\"n\":\"AAAA\",\"e\":\"AQAB\"}",
		"{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"A\"}",
		"{\"kty\":\"EC\",\"crv\":\"p-256\",\"x\":\"A\"}",
		"{\"kty\":\"\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_null(key_of(json_loads(texts[i], 0, NULL)));
}

static void a_key_not_meant_to_verify_is_passed_over(void **state)
{
	json_t *jwk = recipe_jwk(&recipes[ES256]);
	json_t *both = recipe_jwk(&recipes[ES256]);

	(void)state;
	json_set_new(jwk, "key_ops", json_pack("[s]", "deriveKey"));
	assert_null(key_of(jwk));
	json_set_new(both, "key_ops", json_pack("[ss]", "sign", "verify"));
	CLEANUP(jose_key_free_p) struct jose_key *key = key_of(both);
	assert_non_null(key);
}

/* One damage done to a sound key: a member set to a JSON value, or taken out
 * where the value is "". */
struct damage {
	const char *member;
	const char *value;
};

static void expect_refusal(json_t *jwk, struct damage damage)
{
	json_t *value = NULL;
	struct jose_key *key = NULL;

	if (damage.value[0])
		value = json_loads(damage.value, JSON_DECODE_ANY, NULL);
	assert_int_equal(value != NULL, damage.value[0] != '\0');
	if (value)
		json_object_set_new(jwk, damage.member, value);
	else
		json_object_del(jwk, damage.member);
	if (jose_key_parse(jwk, &key) != ERR_SYNTAX)
		fail_msg("%s: %s", damage.member, damage.value);
	assert_null(key);
	json_decref(jwk);
}

static void damaged_rsa_keys_are_refused(void **state)
{
	static const struct damage damages[] = {
		{ "kty", "" },
		{ "kty", "7" },
		{ "kty", "null" },
		{ "n", "" },
		{ "n", "7" },
		{ "n", "\"\"" },
		{ "n", "\"AQAB\"" },
		{ "n", "\"A\"" },
		{ "n", "\"AQAB=\"" },
		{ "e", "" },
		{ "e", "65537" },
		{ "e", "\"\"" },
		{ "e", "\"AQ\"" },	     /* 1 */
		{ "e", "\"Ag\"" },	     /* 2 */
		{ "e", "\"AQAA\"" },	     /* even */
		{ "e", "\"AAEAAQ\"" },	     /* a zero in front */
		{ "e", "\"AA\"" },	     /* 0 */
		{ "e", "\"AQAB=\"" },	     /* padded */
		{ "e", "\"AQAAAAAAAAAB\"" }, /* nine bytes */
		{ "d", "\"AQAB\"" },
		{ "p", "\"AQAB\"" },
		{ "q", "\"AQAB\"" },
		{ "dp", "\"AQAB\"" },
		{ "dq", "\"AQAB\"" },
		{ "qi", "\"AQAB\"" },
		{ "oth", "[]" },
		{ "k", "\"AQAB\"" },
		{ "kid", "7" },
		{ "kid", "null" },
		{ "use", "[\"sig\"]" },
		{ "alg", "256" },
		{ "alg", "[\"RS256\"]" },
		{ "alg", "\"ES256\"" },
		{ "key_ops", "\"verify\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(damages); i++)
		expect_refusal(rsa_jwk(rsa), damages[i]);
}

static void damaged_ec_keys_are_refused(void **state)
{
	static const struct damage damages[] = {
		{ "crv", "" },
		{ "crv", "256" },
		{ "crv", "\"P-384\"" }, /* coordinates too short for it */
		{ "crv", "\"P-521\"" },
		{ "x", "" },
		{ "y", "" },
		{ "y", "1" },
		{ "x", "\"\"" },
		{ "x", "\"AAAA\"" },
		{ "y", "\"AAAA\"" },
		/* zero, and the field's own prime */
		{ "x", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"" },
		{ "y", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"" },
		{ "x", "\"_____wAAAAEAAAAAAAAAAAAAAAD_______________8\"" },
		/* a zero byte in front */
		{ "x", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"" },
		{ "y", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"" },
		{ "d", "\"AAAA\"" },
		{ "alg", "\"ES384\"" },
		{ "alg", "\"RS256\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(damages); i++)
		expect_refusal(ec_jwk(p256, "P-256", 32), damages[i]);
}

static void points_off_the_curve_are_refused(void **state)
{
	struct jose_key *key = NULL;

	(void)state;
	for (size_t i = ES256; i <= ES512; i++) {
		json_t *jwk = recipe_jwk(&recipes[i]);
		char *x = mem_str(json_text(jwk, "x", ""));

		json_set_text(jwk, "x", json_text(jwk, "y", ""));
		json_set_text(jwk, "y", x);
		assert_int_equal(jose_key_parse(jwk, &key), ERR_SYNTAX);
		json_set_text(jwk, "x", x);
		x[1] = x[1] == 'A' ? 'B' : 'A';
		json_set_text(jwk, "y", x);
		assert_int_equal(jose_key_parse(jwk, &key), ERR_SYNTAX);
		free(x);
		json_decref(jwk);
	}
}

static void a_private_key_is_refused_where_a_public_one_is_meant(void **state)
{
	json_t *jwk = ec_jwk(p256, "P-256", 32);
	json_t *rsa_private = rsa_jwk(rsa);
	struct jose_key *key = NULL;

	(void)state;
	set_number(jwk, "d", p256, OSSL_PKEY_PARAM_PRIV_KEY, 32);
	assert_int_equal(jose_key_parse(jwk, &key), ERR_SYNTAX);
	set_number(rsa_private, "d", rsa, OSSL_PKEY_PARAM_RSA_D, 0);
	assert_int_equal(jose_key_parse(rsa_private, &key), ERR_SYNTAX);
	json_decref(jwk);
	json_decref(rsa_private);
}

static void set_modulus(json_t *jwk, const uint8_t *bytes, size_t len)
{
	char *text = text_base64url(slice_of(bytes, len));

	json_set_text(jwk, "n", text);
	free(text);
}

static void weak_and_huge_rsa_keys_are_refused(void **state)
{
	json_t *weak = rsa_jwk(weak_rsa);
	json_t *made = rsa_jwk(rsa);
	struct jose_key *key = NULL;
	uint8_t modulus[1026];

	(void)state;
	assert_int_equal(jose_key_parse(weak, &key), ERR_SYNTAX);
	memset(modulus, 0xff, sizeof(modulus));
	/* 2047 bits, and 2048 but even */
	modulus[0] = 0x7f;
	set_modulus(made, modulus, 256);
	assert_int_equal(jose_key_parse(made, &key), ERR_SYNTAX);
	modulus[0] = 0xff;
	modulus[255] = 0xfe;
	set_modulus(made, modulus, 256);
	assert_int_equal(jose_key_parse(made, &key), ERR_SYNTAX);
	modulus[255] = 0xff;
	/* a zero in front, 8193 bits and more */
	modulus[0] = 0x00;
	set_modulus(made, modulus, 257);
	assert_int_equal(jose_key_parse(made, &key), ERR_SYNTAX);
	modulus[0] = 0x01;
	set_modulus(made, modulus, 1025);
	assert_int_equal(jose_key_parse(made, &key), ERR_SYNTAX);
	set_modulus(made, modulus, 1026);
	assert_int_equal(jose_key_parse(made, &key), ERR_SYNTAX);
	/* 8192 bits are taken */
	modulus[0] = 0xff;
	set_modulus(made, modulus, 1024);
	assert_int_equal(jose_key_parse(made, &key), 0);
	assert_non_null(key);
	jose_key_free(key);
	json_decref(weak);
	json_decref(made);
}

static void what_is_no_object_is_no_key(void **state)
{
	static const char *const texts[] = { "[]", "\"RSA\"", "null", "1" };
	struct jose_key *key = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(json_put_p)
		json_t *jwk = json_loads(texts[i], JSON_DECODE_ANY, NULL);

		assert_int_equal(jose_key_parse(jwk, &key), ERR_SYNTAX);
	}
	assert_int_equal(jose_key_parse(NULL, &key), ERR_SYNTAX);
}

/* RFC 7515, A.3: the key, token and claims of the standard itself. */
static void the_example_of_rfc_7515_verifies(void **state)
{
	static const char jwk[] =
		"{\"kty\":\"EC\",\"crv\":\"P-256\","
		"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
	static const char token[] =
		"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkz"
		"ODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3"
		"ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmW"
		"QxfKTUJqPP3-Kg6NU1Q";
	CLEANUP(jose_key_free_p)
	struct jose_key *key = key_of(json_loads(jwk, 0, NULL));

	(void)state;
	assert_int_equal(judge(mem_str(token), key), JOSE_VALID);
}

static void verdicts_have_names(void **state)
{
	(void)state;
	assert_string_equal(jose_verdict_name(JOSE_VALID), "valid");
	assert_string_equal(jose_verdict_name(JOSE_MALFORMED), "malformed");
	assert_string_equal(jose_verdict_name(JOSE_HEADER), "header");
	assert_string_equal(jose_verdict_name(JOSE_ALGORITHM), "algorithm");
	assert_string_equal(jose_verdict_name(JOSE_BAD_SIGNATURE), "signature");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_of_the_nine_algorithms_verifies),
		cmocka_unit_test(the_example_of_rfc_7515_verifies),
		cmocka_unit_test(a_token_is_taken_apart),
		cmocka_unit_test(no_algorithm_is_taken_for_another),
		cmocka_unit_test(an_algorithm_goes_with_its_curve_only),
		cmocka_unit_test(other_algorithms_are_refused),
		cmocka_unit_test(a_token_without_signature_is_refused),
		cmocka_unit_test(a_public_key_is_never_a_secret),
		cmocka_unit_test(headers_are_held_to_a_short_list),
		cmocka_unit_test(a_payload_must_be_one_clean_object),
		cmocka_unit_test(texts_that_are_no_token_are_malformed),
		cmocka_unit_test(a_token_has_one_spelling),
		cmocka_unit_test(no_bit_of_a_token_can_change),
		cmocka_unit_test(the_key_of_somebody_else_does_not_verify),
		cmocka_unit_test(a_salt_of_another_length_is_refused),
		cmocka_unit_test(an_ecdsa_signature_has_its_exact_length),
		cmocka_unit_test(an_rsa_signature_is_as_long_as_the_modulus),
		cmocka_unit_test(a_token_longer_than_the_limit_is_malformed),
		cmocka_unit_test(the_algorithm_of_a_key_narrows_it),
		cmocka_unit_test(the_use_of_a_key_is_honoured),
		cmocka_unit_test(a_token_that_names_another_key_is_refused),
		cmocka_unit_test(a_key_tells_its_id_and_use),
		cmocka_unit_test(keys_of_other_kinds_are_passed_over),
		cmocka_unit_test(a_key_not_meant_to_verify_is_passed_over),
		cmocka_unit_test(damaged_rsa_keys_are_refused),
		cmocka_unit_test(damaged_ec_keys_are_refused),
		cmocka_unit_test(points_off_the_curve_are_refused),
		cmocka_unit_test(
			a_private_key_is_refused_where_a_public_one_is_meant),
		cmocka_unit_test(weak_and_huge_rsa_keys_are_refused),
		cmocka_unit_test(what_is_no_object_is_no_key),
		cmocka_unit_test(verdicts_have_names),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
