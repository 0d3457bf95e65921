#include "tokens.h"

#include "base/mem.h"

static struct test_folder folder;
static struct test_key key, other_key;
static struct trust *t;
static struct token_cache *cache;
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
	cache = token_cache_new(4);
	return 0;
}

static int teardown(void **state UNUSED)
{
	token_cache_free(cache);
	trust_free(t);
	test_key_clear(&key);
	test_key_clear(&other_key);
	test_folder_remove(&folder);
	return 0;
}

static char *token_of(int n)
{
	CLEANUP(mem_free_p)
	char *claims =
		mem_format("{\"sub\":\"spiffe://example.org/a%d\","
			   "\"aud\":\"" TEST_AUDIENCE "\",\"jti\":\"j%d\","
			   "\"exp\":1800000300}",
			   n, n);

	return test_token(&key, "ES256", "{\"alg\":\"ES256\"}", claims);
}

static enum svid_verdict verify(const char *token, int64_t now_ms)
{
	return svid_cache_verify(cache, t, slice_str(token), TEST_AUDIENCE,
				 now_ms, &svid);
}

static void a_cached_token_says_what_the_token_said(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *token = token_of(1);
	struct svid first;

	assert_int_equal(verify(token, TEST_NOW_MS), SVID_VALID);
	first = svid;
	memset(&svid, 0, sizeof(svid));
	assert_int_equal(verify(token, TEST_NOW_MS), SVID_VALID);
	assert_string_equal(svid.id.text, "spiffe://example.org/a1");
	assert_string_equal(svid.id.domain, "example.org");
	assert_string_equal(svid.jti, "j1");
	assert_int_equal(svid.expires_ms, first.expires_ms);
	assert_true(digest_equals(&svid.token, &first.token));
}

static void a_cached_token_expires(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *token = token_of(1);

	assert_int_equal(verify(token, TEST_NOW_MS), SVID_VALID);
	assert_int_equal(verify(token, TEST_NOW_MS + 309999), SVID_VALID);
	assert_int_equal(verify(token, TEST_NOW_MS + 310000), SVID_EXPIRED);
}

static void a_changed_bundle_drops_its_tokens(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *token = token_of(1);
	CLEANUP(mem_free_p) char *bundle = test_bundle(&other_key);

	assert_int_equal(verify(token, TEST_NOW_MS), SVID_VALID);
	test_write(&folder, "bundle", bundle);
	assert_true(trust_refresh(t, NULL));
	assert_int_equal(verify(token, TEST_NOW_MS), SVID_SIGNATURE);
}

static void a_dropped_domain_drops_its_tokens(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *token = token_of(1);

	assert_int_equal(verify(token, TEST_NOW_MS), SVID_VALID);
	test_trust(t, &folder, "example.net", "bundle", 0);
	assert_int_equal(verify(token, TEST_NOW_MS), SVID_UNTRUSTED);
}

static void
a_token_cached_for_one_audience_is_refused_for_another(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *token = token_of(1);

	assert_int_equal(verify(token, TEST_NOW_MS), SVID_VALID);
	assert_int_equal(svid_cache_verify(cache, t, slice_str(token), "other",
					   TEST_NOW_MS, &svid),
			 SVID_AUDIENCE);
}

static void a_refused_token_is_not_remembered(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *token = token_of(1);
	CLEANUP(mem_free_p)
	char *cut = mem_format("%.*s", (int)strlen(token) - 4, token);

	for (int i = 0; i < 3; i++)
		assert_int_not_equal(verify(cut, TEST_NOW_MS), SVID_VALID);
}

static void more_tokens_than_fit_are_all_right(void **state UNUSED)
{
	char *tokens[11];

	for (int i = 0; i < 11; i++)
		tokens[i] = token_of(i);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 11; i++) {
			char jti[8];

			snprintf(jti, sizeof(jti), "j%d", i);
			assert_int_equal(verify(tokens[i], TEST_NOW_MS),
					 SVID_VALID);
			assert_int_equal(verify(tokens[i], TEST_NOW_MS),
					 SVID_VALID);
			assert_string_equal(svid.jti, jti);
		}
	}
	for (int i = 0; i < 11; i++)
		free(tokens[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_cached_token_says_what_the_token_said),
		TEST(a_cached_token_expires),
		TEST(a_changed_bundle_drops_its_tokens),
		TEST(a_dropped_domain_drops_its_tokens),
		TEST(a_token_cached_for_one_audience_is_refused_for_another),
		TEST(a_refused_token_is_not_remembered),
		TEST(more_tokens_than_fit_are_all_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
