/*
 * The clauses of tokens.  No key set is fetched here, so that a token which is
 * right in all else is "untrusted"; the rest is in tests/integration.
 */
#include "tokens.h"

#include "base/mem.h"
#include "identity/oidc.h"

#define ISSUER "https://issuer.example"
#define GOOD                                                                   \
	"\"iss\":\"" ISSUER "\",\"aud\":\"" TEST_AUDIENCE                      \
	"\",\"exp\":1800000300,\"sub\":\"pod\""

static struct trust *t;
static struct test_key key;

static int setup(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *specs = json_pack("[{s:{s:s}}]", "oidc", "issuer", ISSUER);

	test_key_make(&key, "P-256");
	t = trust_new();
	trust_set(t, specs, NULL);
	return 0;
}

static int teardown(void **state UNUSED)
{
	trust_free(t);
	test_key_clear(&key);
	return 0;
}

static enum svid_verdict verify(const char *header, const char *claims)
{
	CLEANUP(mem_free_p)
	char *token = test_token(&key, "ES256", header, claims);
	CLEANUP(oidc_token_clear) struct oidc_token found = { 0 };

	return oidc_verify(t, slice_str(token), TEST_AUDIENCE, TEST_NOW_MS,
			   &found);
}

static enum svid_verdict with(const char *claims)
{
	return verify("{\"alg\":\"ES256\"}", claims);
}

static void without_the_issuers_keys_nothing_is_believed(void **state UNUSED)
{
	assert_true(trust_has_issuers(t));
	assert_int_equal(with("{" GOOD "}"), SVID_UNTRUSTED);
}

static void a_token_of_no_issuer_of_ours_is_refused(void **state UNUSED)
{
	static const char *const claims[] = {
		"{}",
		"{\"iss\":1}",
		"{\"iss\":\"https://issuer.example/\",\"sub\":\"pod\"}",
		"{\"iss\":\"https://ISSUER.example\",\"sub\":\"pod\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(claims); i++)
		assert_int_equal(with(claims[i]), SVID_ISSUER);
}

static void a_spiffe_id_is_no_subject_of_an_issuer(void **state UNUSED)
{
	assert_int_equal(with("{\"iss\":\"" ISSUER
			      "\",\"sub\":\"spiffe://example.org/a\"}"),
			 SVID_ISSUER);
	assert_int_equal(with("{\"iss\":\"" ISSUER
			      "\",\"sub\":\"SPIFFE://example.org/a\"}"),
			 SVID_ISSUER);
}

static void a_token_without_a_subject_is_refused(void **state UNUSED)
{
	assert_int_equal(with("{\"iss\":\"" ISSUER "\"}"), SVID_SUBJECT);
	assert_int_equal(with("{\"iss\":\"" ISSUER "\",\"sub\":\"\"}"),
			 SVID_SUBJECT);
}

static void other_kinds_of_tokens_are_refused(void **state UNUSED)
{
	assert_int_equal(
		verify("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", "{" GOOD "}"),
		SVID_UNTRUSTED);
	assert_int_equal(verify("{\"alg\":\"ES256\",\"typ\":\"secevent+jwt\"}",
				"{" GOOD "}"),
			 SVID_HEADER);
	assert_int_equal(
		verify("{\"alg\":\"ES256\",\"kid\":\"\"}", "{" GOOD "}"),
		SVID_HEADER);
	assert_int_equal(verify("{\"alg\":\"ES256\",\"x5t\":1}", "{" GOOD "}"),
			 SVID_UNTRUSTED);
	assert_int_equal(
		verify("{\"alg\":\"ES256\",\"crit\":[\"x5t\"]}", "{" GOOD "}"),
		SVID_HEADER);
	assert_int_equal(verify("{\"alg\":\"none\"}", "{" GOOD "}"),
			 SVID_ALGORITHM);
}

static bool has_one_audience(const char *claims)
{
	CLEANUP(mem_free_p)
	char *token = test_token(&key, "ES256", "{\"alg\":\"ES256\"}", claims);

	return token_has_one_audience(slice_str(token));
}

static void a_token_for_several_is_no_assertion_for_one(void **state UNUSED)
{
	assert_true(has_one_audience("{\"aud\":\"a\"}"));
	assert_true(has_one_audience("{\"aud\":[\"a\"]}"));
	assert_true(has_one_audience("{}"));
	assert_false(has_one_audience("{\"aud\":[\"a\",\"b\"]}"));
	assert_false(has_one_audience("{\"aud\":[\"a\",\"a\"]}"));
	assert_true(token_has_one_audience(slice_str("no token")));
}

static void audience_and_times_are_checked(void **state UNUSED)
{
	assert_int_equal(with("{\"iss\":\"" ISSUER "\",\"sub\":\"p\","
			      "\"aud\":\"x\",\"exp\":1800000300}"),
			 SVID_AUDIENCE);
	assert_int_equal(with("{\"iss\":\"" ISSUER "\",\"sub\":\"p\","
			      "\"aud\":\"" TEST_AUDIENCE
			      "\",\"exp\":1799999000}"),
			 SVID_EXPIRED);
	assert_int_equal(with("{\"iss\":\"" ISSUER "\",\"sub\":\"p\","
			      "\"aud\":\"" TEST_AUDIENCE
			      "\",\"exp\":1800003601}"),
			 SVID_TOO_LONG);
	assert_int_equal(with("{" GOOD ",\"nbf\":1800000100}"), SVID_NOT_YET);
	assert_int_equal(with("{" GOOD ",\"jti\":1}"), SVID_MALFORMED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_the_issuers_keys_nothing_is_believed),
		TEST(a_token_of_no_issuer_of_ours_is_refused),
		TEST(a_spiffe_id_is_no_subject_of_an_issuer),
		TEST(a_token_without_a_subject_is_refused),
		TEST(other_kinds_of_tokens_are_refused),
		TEST(a_token_for_several_is_no_assertion_for_one),
		TEST(audience_and_times_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
