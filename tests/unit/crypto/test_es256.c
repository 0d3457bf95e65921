/* What is signed here is verified by crypto/jose.h, which was written from the
 * other end; tests/integration has an independent library verify it too. */
#include "cmocka_first.h"

#include "crypto/es256.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/jose.h"

/* RFC 7515, A.3: the private key and its public half. */
static const char vector_d[] = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
static const char vector_x[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
static const char vector_y[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

static struct es256_key *vector_key(void)
{
	CLEANUP(buf_clear) struct buf secret = BUF_INIT(ES256_SECRET_LEN);
	struct es256_key *key = NULL;

	assert_int_equal(text_from_base64url(slice_str(vector_d), &secret), 0);
	assert_int_equal(es256_key_new(secret.data, &key), 0);
	return key;
}

/* Verifies token with the key's own JWK; owned claims. */
static json_t *verified(const struct es256_key *key, struct slice token)
{
	CLEANUP(json_put_p) json_t *jwk = es256_key_jwk(key);
	CLEANUP(jose_key_free_p) struct jose_key *public = NULL;
	struct jose_token parsed;
	json_t *claims;

	assert_int_equal(jose_key_parse(jwk, &public), 0);
	assert_non_null(public);
	assert_int_equal(jose_token_parse(token, &parsed), JOSE_VALID);
	assert_int_equal(jose_verify(&parsed, public), JOSE_VALID);
	assert_string_equal(json_text(parsed.header, "typ", ""), "at+jwt");
	assert_string_equal(json_text(parsed.header, "kid", ""),
			    es256_key_id(key));
	claims = json_incref(parsed.claims);
	jose_token_clear(&parsed);
	return claims;
}

static void
the_public_key_of_the_standards_example_is_found(void **state UNUSED)
{
	CLEANUP(es256_key_free_p) struct es256_key *key = vector_key();
	CLEANUP(json_put_p) json_t *jwk = es256_key_jwk(key);

	assert_string_equal(json_text(jwk, "x", ""), vector_x);
	assert_string_equal(json_text(jwk, "y", ""), vector_y);
	assert_string_equal(json_text(jwk, "kty", ""), "EC");
	assert_string_equal(json_text(jwk, "crv", ""), "P-256");
	assert_string_equal(json_text(jwk, "kid", ""), es256_key_id(key));
	assert_null(json_object_get(jwk, "d"));
}

static void the_id_of_a_key_is_its_thumbprint(void **state UNUSED)
{
	CLEANUP(es256_key_free_p) struct es256_key *key = vector_key();
	CLEANUP(mem_free_p)
	char *text =
		mem_format("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\","
			   "\"y\":\"%s\"}",
			   vector_x, vector_y);
	struct digest digest = digest_of(slice_str(text));
	CLEANUP(mem_free_p) char *id = text_base64url(digest_slice(&digest));

	assert_string_equal(es256_key_id(key), id);
}

static void a_token_verifies_under_its_key_alone(void **state UNUSED)
{
	uint8_t secret[ES256_SECRET_LEN];
	CLEANUP(json_put_p) json_t *claims = json_pack("{s:s}", "sub", "a");

	/* Often enough for numbers that begin with zeros. */
	for (int i = 0; i < 300; i++) {
		CLEANUP(es256_key_free_p) struct es256_key *key = NULL;
		CLEANUP(buf_clear) struct buf token = BUF_INIT(4096);
		CLEANUP(json_put_p) json_t *said = NULL;

		es256_secret(secret);
		assert_int_equal(es256_key_new(secret, &key), 0);
		assert_int_equal(es256_token(key, "at+jwt", claims, &token), 0);
		said = verified(key, buf_slice(&token));
		assert_true(json_equal(said, claims));
	}
}

static void a_token_of_another_key_is_not_taken(void **state UNUSED)
{
	CLEANUP(es256_key_free_p) struct es256_key *key = vector_key();
	CLEANUP(es256_key_free_p) struct es256_key *other = NULL;
	CLEANUP(json_put_p) json_t *claims = json_pack("{s:s}", "sub", "a");
	CLEANUP(json_put_p) json_t *jwk = NULL;
	CLEANUP(jose_key_free_p) struct jose_key *public = NULL;
	CLEANUP(buf_clear) struct buf token = BUF_INIT(4096);
	uint8_t secret[ES256_SECRET_LEN];
	struct jose_token parsed;

	es256_secret(secret);
	assert_int_equal(es256_key_new(secret, &other), 0);
	jwk = es256_key_jwk(other);
	json_object_set_new(jwk, "kid", json_string(es256_key_id(key)));
	assert_int_equal(jose_key_parse(jwk, &public), 0);
	assert_int_equal(es256_token(key, "at+jwt", claims, &token), 0);
	assert_int_equal(jose_token_parse(buf_slice(&token), &parsed),
			 JOSE_VALID);
	assert_int_equal(jose_verify(&parsed, public), JOSE_BAD_SIGNATURE);
	jose_token_clear(&parsed);
}

static void a_number_that_is_no_private_key_is_refused(void **state UNUSED)
{
	/* The order of the curve, and what is over it. */
	static const uint8_t order[ES256_SECRET_LEN] = {
		0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
		0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51
	};
	uint8_t secret[ES256_SECRET_LEN] = { 0 };
	struct es256_key *key = NULL;

	assert_int_equal(es256_key_new(secret, &key), ERR_SYNTAX);
	assert_int_equal(es256_key_new(order, &key), ERR_SYNTAX);
	memset(secret, 0xff, sizeof(secret));
	assert_int_equal(es256_key_new(secret, &key), ERR_SYNTAX);
	memcpy(secret, order, sizeof(secret));
	secret[31]--;
	assert_int_equal(es256_key_new(secret, &key), 0);
	es256_key_free(key);
}

static void claims_that_are_no_integer_json_are_refused(void **state UNUSED)
{
	CLEANUP(es256_key_free_p) struct es256_key *key = vector_key();
	CLEANUP(json_put_p) json_t *claims = json_pack("{s:f}", "exp", 0.5);
	CLEANUP(buf_clear) struct buf token = BUF_INIT(4096);

	assert_int_equal(es256_token(key, "at+jwt", claims, &token),
			 ERR_SYNTAX);
	assert_int_equal(token.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_public_key_of_the_standards_example_is_found),
		cmocka_unit_test(the_id_of_a_key_is_its_thumbprint),
		cmocka_unit_test(a_token_verifies_under_its_key_alone),
		cmocka_unit_test(a_token_of_another_key_is_not_taken),
		cmocka_unit_test(a_number_that_is_no_private_key_is_refused),
		cmocka_unit_test(claims_that_are_no_integer_json_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
