/* One refusal for each clause of SPIFFE JWT-SVID, sections 2 to 6. */
#include "tokens.h"

#include "base/mem.h"

#define SUB "\"sub\":\"spiffe://example.org/agent\""
#define AUD "\"aud\":[\"other\",\"" TEST_AUDIENCE "\"]"
#define IAT "\"iat\":1800000000"
#define EXP "\"exp\":1800000300"
#define CLAIMS "{" SUB "," AUD "," IAT "," EXP "}"
#define HEADER "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"JWT\"}"

static struct test_folder folder;
static struct test_key key, other_key;
static struct trust *t;
static struct svid svid;

static int setup(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *bundle = NULL;

	test_folder_make(&folder);
	test_key_make(&key, "P-256");
	test_key_make(&other_key, "P-256");
	bundle = test_bundle(&key);
	test_write(&folder, "bundle", bundle);
	t = trust_new();
	test_trust(t, &folder, "example.org", "bundle", 0);
	return 0;
}

static int teardown(void **state UNUSED)
{
	trust_free(t);
	test_key_clear(&key);
	test_key_clear(&other_key);
	test_folder_remove(&folder);
	return 0;
}

static enum svid_verdict verify(const char *token)
{
	return svid_verify(t, slice_str(token), TEST_AUDIENCE, TEST_NOW_MS,
			   &svid);
}

static enum svid_verdict verify_as(const struct test_key *signer,
				   const char *alg, const char *header,
				   const char *claims)
{
	CLEANUP(mem_free_p)
	char *token = test_token(signer, alg, header, claims);

	return verify(token);
}

static enum svid_verdict with_header(const char *header)
{
	return verify_as(&key, "ES256", header, CLAIMS);
}

static enum svid_verdict with_claims(const char *claims)
{
	return verify_as(&key, "ES256", HEADER, claims);
}

static void a_right_token_is_valid(void **state UNUSED)
{
	assert_int_equal(with_claims("{" SUB "," AUD "," IAT "," EXP
				     ",\"jti\":\"j1\",\"x\":[1]}"),
			 SVID_VALID);
	assert_string_equal(svid.id.text, "spiffe://example.org/agent");
	assert_string_equal(svid.id.domain, "example.org");
	assert_string_equal(svid.jti, "j1");
	assert_int_equal(svid.expires_ms, 1800000310000);
}

static void section_1_only_the_compact_form_is_taken(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *token = test_token(&key, "ES256", HEADER, CLAIMS);
	CLEANUP(mem_free_p) char *more = mem_format("%s.", token);
	CLEANUP(mem_free_p) char *padded = mem_format("%s=", token);
	CLEANUP(mem_free_p) char *newline = mem_format("%s\n", token);

	assert_int_equal(verify("{\"payload\":\"e30\",\"signatures\":[]}"),
			 SVID_MALFORMED);
	assert_int_equal(verify(""), SVID_MALFORMED);
	assert_int_equal(verify(".."), SVID_MALFORMED);
	assert_int_equal(verify("A=AA.AAAA.AAAA"), SVID_MALFORMED);
	assert_int_equal(verify(more), SVID_MALFORMED);
	assert_int_equal(verify(padded), SVID_MALFORMED);
	assert_int_equal(verify(newline), SVID_MALFORMED);
	*strrchr(token, '.') = 0;
	assert_int_equal(verify(token), SVID_MALFORMED);
}

static void section_1_a_token_that_is_too_long_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *claims = mem_format(
		"{" SUB "," AUD "," IAT "," EXP ",\"x\":\"%013000d\"}", 1);

	assert_int_equal(with_claims(claims), SVID_MALFORMED);
}

static void section_2_other_header_members_are_refused(void **state UNUSED)
{
	static const char *const members[] = {
		"\"jku\":\"https://a\"", "\"jwk\":{}",
		"\"x5u\":\"https://a\"", "\"x5c\":[]",
		"\"cty\":\"JWT\"",	 "\"b64\":false",
		"\"crit\":[\"b64\"]",	 "\"crit\":[]",
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		CLEANUP(mem_free_p)
		char *header = mem_format("{\"alg\":\"ES256\",\"kid\":\"k1\","
					  "%s}",
					  members[i]);

		assert_int_equal(with_header(header), SVID_HEADER);
	}
}

static void section_2_a_doubled_header_member_is_refused(void **state UNUSED)
{
	assert_int_equal(with_header("{\"alg\":\"ES256\",\"alg\":\"ES256\"}"),
			 SVID_MALFORMED);
}

static void
section_2_1_each_of_the_nine_algorithms_is_taken(void **state UNUSED)
{
	static const struct {
		const char *alg;
		const char *curve;
	} rows[] = {
		{ "RS256", NULL },    { "RS384", NULL },
		{ "RS512", NULL },    { "PS256", NULL },
		{ "PS384", NULL },    { "PS512", NULL },
		{ "ES256", "P-256" }, { "ES384", "P-384" },
		{ "ES512", "P-521" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(test_key_clear) struct test_key signer;
		CLEANUP(mem_free_p) char *bundle = NULL;
		CLEANUP(mem_free_p)
		char *header = mem_format("{\"alg\":\"%s\",\"kid\":\"k1\"}",
					  rows[i].alg);

		test_key_make(&signer, rows[i].curve);
		bundle = test_bundle(&signer);
		test_write(&folder, "bundle", bundle);
		trust_refresh(t, NULL);
		assert_int_equal(
			verify_as(&signer, rows[i].alg, header, CLAIMS),
			SVID_VALID);
	}
}

static void section_2_1_another_algorithm_is_refused(void **state UNUSED)
{
	static const char *const names[] = { "none",  "HS256",	"EdDSA",
					     "es256", "ES256K", "RSA-OAEP",
					     "" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p)
		char *header =
			mem_format("{\"alg\":\"%s\",\"kid\":\"k1\"}", names[i]);

		assert_int_equal(with_header(header), SVID_ALGORITHM);
	}
	assert_int_not_equal(with_header("{\"kid\":\"k1\"}"), SVID_VALID);
}

static void section_2_1_the_algorithm_must_be_the_keys(void **state UNUSED)
{
	static const char *const names[] = { "RS256", "PS256", "ES384",
					     "ES512" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p)
		char *header =
			mem_format("{\"alg\":\"%s\",\"kid\":\"k1\"}", names[i]);

		assert_int_equal(with_header(header), SVID_ALGORITHM);
	}
}

static void section_2_2_a_token_without_kid_is_taken(void **state UNUSED)
{
	assert_int_equal(with_header("{\"alg\":\"ES256\"}"), SVID_VALID);
}

static void
section_2_2_without_kid_an_unknown_key_is_refused(void **state UNUSED)
{
	assert_int_equal(
		verify_as(&other_key, "ES256", "{\"alg\":\"ES256\"}", CLAIMS),
		SVID_SIGNATURE);
	assert_int_equal(
		verify_as(&key, "ES256", "{\"alg\":\"RS256\"}", CLAIMS),
		SVID_ALGORITHM);
}

static void
section_2_2_a_kid_that_is_not_in_the_bundle_is_refused(void **state UNUSED)
{
	assert_int_equal(with_header("{\"alg\":\"ES256\",\"kid\":\"k2\"}"),
			 SVID_UNTRUSTED);
}

static void section_2_2_a_kid_that_is_no_text_is_refused(void **state UNUSED)
{
	assert_int_not_equal(with_header("{\"alg\":\"ES256\",\"kid\":1}"),
			     SVID_VALID);
	assert_int_equal(with_header("{\"alg\":\"ES256\",\"kid\":\"\"}"),
			 SVID_HEADER);
}

static void section_2_3_typ_is_absent_or_jwt_or_jose(void **state UNUSED)
{
	assert_int_equal(with_header("{\"alg\":\"ES256\",\"typ\":\"JOSE\"}"),
			 SVID_VALID);
	assert_int_equal(with_header("{\"alg\":\"ES256\",\"typ\":\"wit+jwt\"}"),
			 SVID_HEADER);
	assert_int_equal(with_header("{\"alg\":\"ES256\",\"typ\":\"jwt\"}"),
			 SVID_HEADER);
	assert_int_equal(with_header("{\"alg\":\"ES256\",\"typ\":\"\"}"),
			 SVID_HEADER);
}

static void section_3_1_sub_must_be_a_spiffe_id(void **state UNUSED)
{
	static const char *const subs[] = {
		"",
		"\"sub\":\"agent\",",
		"\"sub\":\"https://example.org/agent\",",
		"\"sub\":\"spiffe://example.org\",", /* a domain, no workload */
		"\"sub\":\"spiffe://example.org/a/../b\",",
		"\"sub\":\"spiffe://Example.org/a\",",
		"\"sub\":[\"spiffe://example.org/a\"],",
		"\"sub\":null,",
	};

	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		CLEANUP(mem_free_p)
		char *claims =
			mem_format("{%s" AUD "," IAT "," EXP "}", subs[i]);

		assert_int_equal(with_claims(claims), SVID_SUBJECT);
	}
}

static void section_3_2_aud_may_be_one_text(void **state UNUSED)
{
	assert_int_equal(with_claims("{" SUB ",\"aud\":\"" TEST_AUDIENCE
				     "\"," IAT "," EXP "}"),
			 SVID_VALID);
}

static void section_3_2_aud_must_be_there_and_hold_ours(void **state UNUSED)
{
	static const char *const auds[] = {
		"",
		"\"aud\":\"https://writ.example.org\",",
		"\"aud\":\"https://writ.example/\",",
		"\"aud\":\"HTTPS://writ.example\",",
		"\"aud\":\"\",",
		"\"aud\":[],",
		"\"aud\":[\"other\"],",
		"\"aud\":[\"" TEST_AUDIENCE "\",1],",
		"\"aud\":{\"" TEST_AUDIENCE "\":1},",
		"\"aud\":null,",
	};

	for (size_t i = 0; i < ARRAY_LEN(auds); i++) {
		CLEANUP(mem_free_p)
		char *claims =
			mem_format("{" SUB ",%s" IAT "," EXP "}", auds[i]);

		assert_int_equal(with_claims(claims), SVID_AUDIENCE);
	}
}

static enum svid_verdict with_times(const char *times)
{
	CLEANUP(mem_free_p)
	char *claims = mem_format("{" SUB "," AUD "%s}", times);

	return with_claims(claims);
}

static void section_3_3_exp_must_be_there(void **state UNUSED)
{
	assert_int_equal(with_times("," IAT), SVID_EXPIRED);
}

static void section_3_3_a_token_past_its_exp_is_refused(void **state UNUSED)
{
	assert_int_equal(with_times(",\"exp\":1799999990"), SVID_EXPIRED);
	assert_int_equal(with_times(",\"exp\":0"), SVID_EXPIRED);
	/* Ten seconds of leeway (appendix A). */
	assert_int_equal(with_times(",\"exp\":1799999991"), SVID_VALID);
}

static void section_3_3_an_exp_that_is_no_date_is_refused(void **state UNUSED)
{
	assert_int_equal(with_times(",\"exp\":\"1800000300\""), SVID_MALFORMED);
	assert_int_equal(with_times(",\"exp\":null"), SVID_MALFORMED);
	assert_int_equal(with_times(",\"exp\":-1"), SVID_MALFORMED);
	assert_int_equal(with_times(",\"exp\":1800000300.5"), SVID_MALFORMED);
	assert_int_equal(with_times(",\"exp\":9223372036854775807"),
			 SVID_MALFORMED);
}

static void an_nbf_in_the_future_is_refused(void **state UNUSED)
{
	assert_int_equal(with_times("," EXP ",\"nbf\":1800000011"),
			 SVID_NOT_YET);
	assert_int_equal(with_times("," EXP ",\"nbf\":1800000010"), SVID_VALID);
	assert_int_equal(with_times("," EXP ",\"nbf\":\"0\""), SVID_MALFORMED);
}

static void an_iat_in_the_future_is_refused(void **state UNUSED)
{
	assert_int_equal(with_times("," EXP ",\"iat\":1800000011"),
			 SVID_NOT_YET);
}

static void
a_token_that_lives_longer_than_ten_minutes_is_refused(void **state UNUSED)
{
	assert_int_equal(with_times("," IAT ",\"exp\":1800000600"), SVID_VALID);
	assert_int_equal(with_times("," IAT ",\"exp\":1800000601"),
			 SVID_TOO_LONG);
	assert_int_equal(with_times(",\"exp\":1800000601"), SVID_TOO_LONG);
	assert_int_equal(with_times(",\"iat\":0,\"exp\":1800000001"),
			 SVID_TOO_LONG);
}

static void a_jti_that_is_too_long_or_no_text_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *claims =
		mem_format("{" SUB "," AUD "," EXP ",\"jti\":\"%0128d\"}", 1);

	assert_int_equal(with_claims(claims), SVID_MALFORMED);
	assert_int_equal(with_times("," EXP ",\"jti\":7"), SVID_MALFORMED);
}

static void section_4_a_changed_token_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *token = test_token(&key, "ES256", HEADER, CLAIMS);
	CLEANUP(mem_free_p)
	char *other =
		test_token(&key, "ES256", HEADER, "{" SUB "," AUD "," EXP "}");
	CLEANUP(mem_free_p)
	char *joined = mem_format("%.*s%s", (int)(strrchr(other, '.') - other),
				  other, strrchr(token, '.'));

	assert_int_equal(verify(token), SVID_VALID);
	assert_int_equal(verify(joined), SVID_SIGNATURE);
}

static void
section_6_a_domain_without_a_bundle_is_untrusted(void **state UNUSED)
{
	assert_int_equal(
		with_claims("{\"sub\":\"spiffe://example.net/agent\"," AUD
			    "," EXP "}"),
		SVID_UNTRUSTED);
}

static void section_6_another_domains_key_does_not_count(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *bundle = test_bundle(&other_key);
	CLEANUP(mem_free_p) char *ours = test_path(&folder, "bundle");
	CLEANUP(mem_free_p) char *theirs = test_path(&folder, "theirs");
	CLEANUP(json_put_p)
	json_t *domains =
		json_pack("[{s:s, s:s}, {s:s, s:s}]", "trustDomain",
			  "example.org", "bundleFile", ours, "trustDomain",
			  "example.net", "bundleFile", theirs);

	test_write(&folder, "theirs", bundle);
	trust_set(t, domains, NULL);
	assert_int_equal(verify_as(&other_key, "ES256", HEADER, CLAIMS),
			 SVID_SIGNATURE);
	assert_int_equal(
		verify_as(&other_key, "ES256", HEADER,
			  "{\"sub\":\"spiffe://example.net/agent\"," AUD "," EXP
			  "}"),
		SVID_VALID);
}

static void section_6_a_key_for_another_use_does_not_count(void **state UNUSED)
{
	static const char *const uses[] = { "x509-svid", "wit-svid", "sig",
					    NULL };

	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		CLEANUP(json_put_p)
		json_t *bundle = json_pack("{s:[o]}", "keys",
					   test_jwk(&key, "k1", uses[i]));
		CLEANUP(mem_free_p) char *text = json_canonical(bundle);

		test_write(&folder, "bundle", text);
		trust_refresh(t, NULL);
		assert_int_equal(with_claims(CLAIMS), SVID_UNTRUSTED);
	}
}

static void a_bundle_without_keys_trusts_nobody(void **state UNUSED)
{
	test_write(&folder, "bundle", "{\"keys\":[]}");
	trust_refresh(t, NULL);
	assert_int_equal(with_claims(CLAIMS), SVID_UNTRUSTED);
}

static void every_verdict_has_a_name(void **state UNUSED)
{
	for (int v = SVID_VALID; v <= SVID_USAGE; v++)
		assert_string_not_equal(svid_verdict_name((enum svid_verdict)v),
					"?");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_right_token_is_valid),
		TEST(section_1_only_the_compact_form_is_taken),
		TEST(section_1_a_token_that_is_too_long_is_refused),
		TEST(section_2_other_header_members_are_refused),
		TEST(section_2_a_doubled_header_member_is_refused),
		TEST(section_2_1_each_of_the_nine_algorithms_is_taken),
		TEST(section_2_1_another_algorithm_is_refused),
		TEST(section_2_1_the_algorithm_must_be_the_keys),
		TEST(section_2_2_a_token_without_kid_is_taken),
		TEST(section_2_2_without_kid_an_unknown_key_is_refused),
		TEST(section_2_2_a_kid_that_is_not_in_the_bundle_is_refused),
		TEST(section_2_2_a_kid_that_is_no_text_is_refused),
		TEST(section_2_3_typ_is_absent_or_jwt_or_jose),
		TEST(section_3_1_sub_must_be_a_spiffe_id),
		TEST(section_3_2_aud_may_be_one_text),
		TEST(section_3_2_aud_must_be_there_and_hold_ours),
		TEST(section_3_3_exp_must_be_there),
		TEST(section_3_3_a_token_past_its_exp_is_refused),
		TEST(section_3_3_an_exp_that_is_no_date_is_refused),
		TEST(an_nbf_in_the_future_is_refused),
		TEST(an_iat_in_the_future_is_refused),
		TEST(a_token_that_lives_longer_than_ten_minutes_is_refused),
		TEST(a_jti_that_is_too_long_or_no_text_is_refused),
		TEST(section_4_a_changed_token_is_refused),
		TEST(section_6_a_domain_without_a_bundle_is_untrusted),
		TEST(section_6_another_domains_key_does_not_count),
		TEST(section_6_a_key_for_another_use_does_not_count),
		TEST(a_bundle_without_keys_trusts_nobody),
		TEST(every_verdict_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
