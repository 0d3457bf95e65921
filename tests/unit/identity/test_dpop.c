/* The clauses of RFC 9449, 4.3, and what serves once. */
#include "identity/dpop.h"

#include "base/mem.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "tokens.h"

#define URL "https://writ.example/oauth/token"
#define RIGHT                                                                  \
	"\"jti\":\"one\",\"htm\":\"POST\",\"htu\":\"" URL                      \
	"\",\"iat\":1800000000"

static struct dpop *d;
static struct test_key key;
static struct dpop_call call;
static char thumbprint[JOSE_THUMBPRINT_LEN];

/* A day after the start: nobody is asked for a nonce. */
static int setup(void **state UNUSED)
{
	d = dpop_new(4, TEST_NOW_MS - 86400000L);
	call = (struct dpop_call){ "POST", URL, slice_str(""), TEST_NOW_MS,
				   1000 };
	thumbprint[0] = '\0';
	return 0;
}

static int teardown(void **state UNUSED)
{
	dpop_free(d);
	return 0;
}

static int make_key(void **state UNUSED)
{
	test_key_make(&key, "P-256");
	return 0;
}

static int clear_key(void **state UNUSED)
{
	test_key_clear(&key);
	return 0;
}

/* A header with the key of signer, and members of it in place of those; owned.
 */
static char *header_of(const struct test_key *signer, const char *alg,
		       const char *type)
{
	CLEANUP(json_put_p)
	json_t *header = json_pack("{s:s,s:s,s:o}", "typ", type, "alg", alg,
				   "jwk", test_jwk(signer, NULL, NULL));

	return json_canonical(header);
}

static enum dpop_verdict verify(const char *header, const char *claims)
{
	CLEANUP(mem_free_p)
	char *proof = test_token(&key, "ES256", header, claims);

	return dpop_verify(d, slice_str(proof), &call, thumbprint);
}

static enum dpop_verdict with(const char *claims)
{
	CLEANUP(mem_free_p)
	char *header = header_of(&key, "ES256", "dpop+jwt");

	return verify(header, claims);
}

static void a_right_proof_gives_its_keys_thumbprint(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *jwk = test_jwk(&key, NULL, NULL);
	char wanted[JOSE_THUMBPRINT_LEN];

	assert_int_equal(with("{" RIGHT "}"), DPOP_VALID);
	jose_thumbprint(jwk, wanted);
	assert_string_equal(thumbprint, wanted);
}

static void thumbprints_are_those_of_the_standards(void **state UNUSED)
{
	static const char *const rows[][2] = {
		/* RFC 9449, 4.1 and 6.1 */
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\","
		  "\"x\":\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\","
		  "\"y\":\"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA\"}",
		  "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" },
		/* RFC 7638, 3.1 */
		{ "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\","
		  "\"e\":\"AQAB\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2"
		  "aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK"
		  "RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6"
		  "Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zg"
		  "dAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZ"
		  "u0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awa"
		  "pJzKnqDKgw\"}",
		  "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(json_put_p) json_t *jwk = NULL;

		assert_int_equal(json_parse(slice_str(rows[i][0]), 4096, &jwk),
				 0);
		jose_thumbprint(jwk, thumbprint);
		assert_string_equal(thumbprint, rows[i][1]);
	}
}

static void a_proof_serves_once(void **state UNUSED)
{
	assert_int_equal(with("{" RIGHT "}"), DPOP_VALID);
	assert_int_equal(with("{" RIGHT "}"), DPOP_REPLAYED);
	assert_int_equal(with("{\"jti\":\"two\",\"htm\":\"POST\",\"htu\":\"" URL
			      "\",\"iat\":1800000001}"),
			 DPOP_VALID);
}

static void the_same_jti_of_another_key_is_another_proof(void **state UNUSED)
{
	struct test_key other;
	CLEANUP(mem_free_p) char *header = NULL;
	CLEANUP(mem_free_p) char *proof = NULL;

	test_key_make(&other, "P-384");
	header = header_of(&other, "ES384", "dpop+jwt");
	proof = test_token(&other, "ES384", header, "{" RIGHT "}");
	assert_int_equal(with("{" RIGHT "}"), DPOP_VALID);
	assert_int_equal(dpop_verify(d, slice_str(proof), &call, thumbprint),
			 DPOP_VALID);
	test_key_clear(&other);
}

static void an_rsa_key_proves_too(void **state UNUSED)
{
	struct test_key other;
	CLEANUP(mem_free_p) char *header = NULL;
	CLEANUP(mem_free_p) char *proof = NULL;

	test_key_make(&other, NULL);
	header = header_of(&other, "PS256", "dpop+jwt");
	proof = test_token(&other, "PS256", header, "{" RIGHT "}");
	assert_int_equal(dpop_verify(d, slice_str(proof), &call, thumbprint),
			 DPOP_VALID);
	test_key_clear(&other);
}

static void what_is_no_proof_is_refused(void **state UNUSED)
{
	static const char *const texts[] = { "",	 "x",	       "a.b.c",
					     "e30.e30.", "e30.e30.AA", "..",
					     "a.b" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_not_equal(
			dpop_verify(d, slice_str(texts[i]), &call, thumbprint),
			DPOP_VALID);
	assert_string_equal(thumbprint, "");
}

static void another_type_of_token_is_refused(void **state UNUSED)
{
	static const char *const types[] = { "JWT", "at+jwt", "DPOP+JWT", "" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		CLEANUP(mem_free_p)
		char *header = header_of(&key, "ES256", types[i]);

		assert_int_equal(verify(header, "{" RIGHT "}"), DPOP_TYPE);
	}
}

static void algorithms_that_prove_nothing_are_refused(void **state UNUSED)
{
	static const char *const algorithms[] = { "none", "HS256", "EdDSA" };

	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		CLEANUP(mem_free_p)
		char *header = header_of(&key, algorithms[i], "dpop+jwt");

		assert_int_equal(verify(header, "{" RIGHT "}"), DPOP_ALGORITHM);
	}
}

static void an_algorithm_that_is_not_the_keys_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *header = header_of(&key, "RS256", "dpop+jwt");

	assert_int_equal(verify(header, "{" RIGHT "}"), DPOP_ALGORITHM);
}

static void a_key_that_is_not_public_is_refused(void **state UNUSED)
{
	static const char *const keys[] = {
		"null",
		"{}",
		"\"x\"",
		"{\"kty\":\"oct\",\"k\":\"AAAA\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"AA\",\"x\":"
		"\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\",\"y\":"
		"\"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		"\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\",\"y\":"
		"\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		CLEANUP(mem_free_p)
		char *header = mem_format("{\"typ\":\"dpop+jwt\",\"alg\":"
					  "\"ES256\",\"jwk\":%s}",
					  keys[i]);

		assert_int_equal(verify(header, "{" RIGHT "}"), DPOP_KEY);
	}
	assert_int_equal(verify("{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"}",
				"{" RIGHT "}"),
			 DPOP_KEY);
}

static void a_proof_that_its_key_has_not_signed_is_refused(void **state UNUSED)
{
	struct test_key other;
	CLEANUP(mem_free_p) char *header = NULL;

	test_key_make(&other, "P-256");
	header = header_of(&other, "ES256", "dpop+jwt");
	assert_int_equal(verify(header, "{" RIGHT "}"), DPOP_SIGNATURE);
	test_key_clear(&other);
}

static void every_claim_must_be_there(void **state UNUSED)
{
	static const char *const claims[] = {
		"{}",
		"{\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1800000000}",
		"{\"jti\":\"a\",\"htu\":\"" URL "\",\"iat\":1800000000}",
		"{\"jti\":\"a\",\"htm\":\"POST\",\"iat\":1800000000}",
		"{\"jti\":\"a\",\"htm\":\"POST\",\"htu\":\"" URL "\"}",
		"{\"jti\":\"\",\"htm\":\"POST\",\"htu\":\"" URL
		"\",\"iat\":1800000000}",
		"{\"jti\":1,\"htm\":\"POST\",\"htu\":\"" URL
		"\",\"iat\":1800000000}",
		"{\"jti\":\"a\",\"htm\":\"POST\",\"htu\":\"" URL
		"\",\"iat\":\"1800000000\"}",
		"{\"jti\":\"a\",\"htm\":\"POST\",\"htu\":\"" URL
		"\",\"iat\":-1}",
		"{\"jti\":\"a\",\"htm\":\"POST\",\"htu\":\"" URL
		"\",\"iat\":9223372036854775807}",
		"{" RIGHT ",\"nonce\":1}",
	};

	for (size_t i = 0; i < ARRAY_LEN(claims); i++)
		assert_int_equal(with(claims[i]), DPOP_CLAIMS);
}

static void a_proof_for_another_call_is_refused(void **state UNUSED)
{
	static const char *const urls[] = {
		"https://writ.example/oauth/revoke",
		"https://writ.example/oauth/token/",
		"http://writ.example/oauth/token",
		"https://writ.example:8443/oauth/token",
		"https://other.example/oauth/token",
		"https://writ.example/OAuth/token",
		"/oauth/token",
		"",
	};

	assert_int_equal(with("{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" URL
			      "\",\"iat\":1800000000}"),
			 DPOP_METHOD);
	assert_int_equal(with("{\"jti\":\"a\",\"htm\":\"post\",\"htu\":\"" URL
			      "\",\"iat\":1800000000}"),
			 DPOP_METHOD);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		CLEANUP(mem_free_p)
		char *claims = mem_format("{\"jti\":\"a\",\"htm\":\"POST\","
					  "\"htu\":\"%s\",\"iat\":1800000000}",
					  urls[i]);

		assert_int_equal(with(claims), DPOP_URL);
	}
}

static void the_same_address_may_be_written_otherwise(void **state UNUSED)
{
	static const char *const urls[] = {
		"HTTPS://WRIT.example:443/oauth/token",
		"https://writ.example/oauth/./%74oken?x=1#y",
	};

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		CLEANUP(mem_free_p)
		char *claims = mem_format("{\"jti\":\"%zu\",\"htm\":\"POST\","
					  "\"htu\":\"%s\",\"iat\":1800000000}",
					  i, urls[i]);

		assert_int_equal(with(claims), DPOP_VALID);
	}
}

static enum dpop_verdict made_at(long iat)
{
	CLEANUP(mem_free_p)
	char *claims = mem_format("{\"jti\":\"at%ld\",\"htm\":\"POST\","
				  "\"htu\":\"" URL "\",\"iat\":%ld}",
				  iat, iat);

	return with(claims);
}

static void a_proof_counts_for_a_minute(void **state UNUSED)
{
	assert_int_equal(made_at(TEST_NOW_S - DPOP_AGE_MAX_S), DPOP_VALID);
	assert_int_equal(made_at(TEST_NOW_S - DPOP_AGE_MAX_S - 1), DPOP_TIME);
	assert_int_equal(made_at(TEST_NOW_S + DPOP_AHEAD_MAX_S), DPOP_VALID);
	assert_int_equal(made_at(TEST_NOW_S + DPOP_AHEAD_MAX_S + 1), DPOP_TIME);
}

static void a_clock_that_goes_back_lets_nothing_in_again(void **state UNUSED)
{
	assert_int_equal(made_at(TEST_NOW_S), DPOP_VALID);
	call.now_ms += 200 * 1000;
	call.boot_ms += 200 * 1000;
	assert_int_equal(made_at(TEST_NOW_S), DPOP_TIME);
	call.now_ms -= 200 * 1000;
	assert_int_equal(made_at(TEST_NOW_S), DPOP_TIME);
}

static void a_proof_for_a_token_names_it(void **state UNUSED)
{
	struct digest digest = digest_of(slice_str("token"));
	CLEANUP(mem_free_p)
	char *text = text_base64url(digest_slice(&digest));
	CLEANUP(mem_free_p)
	char *claims = mem_format("{" RIGHT ",\"ath\":\"%s\"}", text);

	call.token = slice_str("token");
	assert_int_equal(with("{" RIGHT "}"), DPOP_TOKEN);
	assert_int_equal(with("{" RIGHT ",\"ath\":\"x\"}"), DPOP_TOKEN);
	assert_int_equal(with(claims), DPOP_VALID);
	call.token = slice_str("other");
	assert_int_equal(with(claims), DPOP_TOKEN);
}

static void after_a_start_only_a_nonce_proves_it_is_new(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *claims = NULL;

	dpop_free(d);
	d = dpop_new(4, TEST_NOW_MS - 1000);
	assert_int_equal(with("{" RIGHT "}"), DPOP_NONCE);
	assert_int_equal(with("{" RIGHT ",\"nonce\":\"x\"}"), DPOP_NONCE);
	assert_int_equal(with("{" RIGHT ",\"nonce\":\"\"}"), DPOP_NONCE);
	claims = mem_format("{" RIGHT ",\"nonce\":\"%s\"}",
			    dpop_nonce(d, call.boot_ms));
	assert_int_equal(with(claims), DPOP_VALID);
	assert_int_equal(with(claims), DPOP_REPLAYED);
}

static void a_nonce_counts_as_long_again_as_it_is_given(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *first = mem_str(dpop_nonce(d, call.boot_ms));
	CLEANUP(mem_free_p)
	char *claims = mem_format("{" RIGHT ",\"nonce\":\"%s\"}", first);

	assert_string_equal(dpop_nonce(d, DPOP_NONCE_MS - 1), first);
	assert_string_not_equal(dpop_nonce(d, DPOP_NONCE_MS), first);
	call.boot_ms = DPOP_NONCE_MS + 1;
	assert_int_equal(with(claims), DPOP_VALID);
	call.boot_ms = 2 * DPOP_NONCE_MS;
	assert_int_equal(with(claims), DPOP_NONCE);
}

static void an_old_nonce_does_not_count_after_a_silence(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *claims = mem_format("{" RIGHT ",\"nonce\":\"%s\"}",
				  dpop_nonce(d, call.boot_ms));

	call.boot_ms = 10 * DPOP_NONCE_MS;
	assert_int_equal(with(claims), DPOP_NONCE);
}

static void what_cannot_be_remembered_is_not_taken(void **state UNUSED)
{
	for (long i = 0; i < 4; i++)
		assert_int_equal(made_at(TEST_NOW_S - i), DPOP_VALID);
	assert_int_equal(made_at(TEST_NOW_S - 5), DPOP_FULL);
	assert_int_equal(made_at(TEST_NOW_S), DPOP_REPLAYED);
	call.now_ms += 72 * 1000;
	call.boot_ms += 72 * 1000;
	for (long i = 0; i < 4; i++)
		assert_int_equal(made_at(TEST_NOW_S + 70 - i), DPOP_VALID);
	assert_int_equal(made_at(TEST_NOW_S + 70), DPOP_REPLAYED);
	assert_int_equal(made_at(TEST_NOW_S + 60), DPOP_FULL);
}

static void every_verdict_has_its_words(void **state UNUSED)
{
	for (int v = DPOP_VALID; v <= DPOP_FULL; v++) {
		assert_true(*dpop_verdict_name((enum dpop_verdict)v));
		assert_true(*dpop_verdict_words((enum dpop_verdict)v));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_right_proof_gives_its_keys_thumbprint),
		TEST(thumbprints_are_those_of_the_standards),
		TEST(a_proof_serves_once),
		TEST(the_same_jti_of_another_key_is_another_proof),
		TEST(an_rsa_key_proves_too),
		TEST(what_is_no_proof_is_refused),
		TEST(another_type_of_token_is_refused),
		TEST(algorithms_that_prove_nothing_are_refused),
		TEST(an_algorithm_that_is_not_the_keys_is_refused),
		TEST(a_key_that_is_not_public_is_refused),
		TEST(a_proof_that_its_key_has_not_signed_is_refused),
		TEST(every_claim_must_be_there),
		TEST(a_proof_for_another_call_is_refused),
		TEST(the_same_address_may_be_written_otherwise),
		TEST(a_proof_counts_for_a_minute),
		TEST(a_clock_that_goes_back_lets_nothing_in_again),
		TEST(a_proof_for_a_token_names_it),
		TEST(after_a_start_only_a_nonce_proves_it_is_new),
		TEST(a_nonce_counts_as_long_again_as_it_is_given),
		TEST(an_old_nonce_does_not_count_after_a_silence),
		TEST(what_cannot_be_remembered_is_not_taken),
		TEST(every_verdict_has_its_words),
#undef TEST
	};

	return cmocka_run_group_tests(tests, make_key, clear_key);
}
