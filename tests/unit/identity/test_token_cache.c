#include "tokens.h"

#include "base/mem.h"
#include "identity/oidc.h"
#include "identity/token_cache.h"

#define DOMAIN "example.org"

static struct test_folder folder;
static struct test_key key, other_key;
static struct trust *t;
static struct token_cache *cache;

static int setup(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *bundle = NULL;

	test_folder_make(&folder);
	test_key_make(&key, "P-256");
	test_key_make(&other_key, "P-256");
	bundle = test_bundle(&key);
	test_write(&folder, "bundle", bundle);
	t = trust_new();
	test_trust(t, &folder, DOMAIN, "bundle", 0);
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

static struct digest digest_number(int n)
{
	return digest_of(slice_of(&n, sizeof(n)));
}

static void put(int n, json_t *claims)
{
	char jti[16];
	const struct token_known known = {
		.token = digest_number(n),
		.audience = TEST_AUDIENCE,
		.source = DOMAIN,
		.jti = jti,
		.claims = claims,
		.expires_ms = TEST_NOW_MS + 1000,
	};

	snprintf(jti, sizeof(jti), "j%d", n);
	token_cache_put(cache, t, &known);
}

static bool find_at(int n, const char *audience, int64_t now_ms,
		    struct token_known *ret)
{
	struct digest digest = digest_number(n);

	return token_cache_find(cache, t, &digest, audience, now_ms, ret);
}

static bool find(int n, struct token_known *ret)
{
	return find_at(n, TEST_AUDIENCE, TEST_NOW_MS, ret);
}

static void what_a_token_said_is_told_again(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *claims = json_pack("{s:s}", "sub", "pod");
	struct token_known known;

	put(1, claims);
	assert_true(find(1, &known));
	assert_true(known.claims == claims);
	assert_string_equal(known.jti, "j1");
	assert_string_equal(known.source, DOMAIN);
	assert_null(known.id);
	assert_int_equal(known.expires_ms, TEST_NOW_MS + 1000);
	assert_false(find(2, &known));
}

static void what_has_expired_is_forgotten(void **state UNUSED)
{
	struct token_known known;

	put(1, NULL);
	assert_true(find_at(1, TEST_AUDIENCE, TEST_NOW_MS + 999, &known));
	assert_false(find_at(1, TEST_AUDIENCE, TEST_NOW_MS + 1000, &known));
	assert_false(find(1, &known));
}

static void another_audience_does_not_know_it(void **state UNUSED)
{
	struct token_known known;

	put(1, NULL);
	assert_false(find_at(1, "other", TEST_NOW_MS, &known));
}

static void what_other_keys_verified_is_forgotten(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *bundle = test_bundle(&other_key);
	struct token_known known;

	put(1, NULL);
	test_write(&folder, "bundle", bundle);
	assert_true(trust_refresh(t, NULL));
	assert_false(find(1, &known));
}

static void of_a_source_without_keys_nothing_is_kept(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *specs = json_pack("[{s:{s:s}}]", "oidc", "issuer",
				  "https://issuer.example");
	const struct token_known put_in = {
		.token = digest_number(1),
		.audience = TEST_AUDIENCE,
		.source = "https://issuer.example",
		.jti = "",
		.expires_ms = TEST_NOW_MS + 1000,
	};
	struct token_known known;

	trust_set(t, specs, NULL);
	token_cache_put(cache, t, &put_in);
	assert_false(find(1, &known));
}

static void more_than_fit_push_out_the_oldest(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *claims = json_object();
	struct token_known known;

	for (int n = 0; n < 7; n++)
		put(n, claims);
	for (int n = 0; n < 7; n++)
		assert_int_equal(find(n, &known), n >= 3);
	assert_int_equal(claims->refcount, 5);
}

static void the_same_token_takes_one_place(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *claims = json_object();
	struct token_known known;

	for (int i = 0; i < 9; i++)
		put(1, claims);
	assert_true(find(1, &known));
	assert_int_equal(claims->refcount, 2);
}

static void an_svid_is_not_taken_for_a_platforms_token(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *token =
		test_token(&key, "ES256", "{\"alg\":\"ES256\"}",
			   "{\"sub\":\"spiffe://" DOMAIN "/a\","
			   "\"aud\":\"" TEST_AUDIENCE "\",\"exp\":1800000300}");
	struct oidc_token found = { 0 };
	struct svid svid;

	assert_int_equal(svid_cache_verify(cache, t, slice_str(token),
					   TEST_AUDIENCE, TEST_NOW_MS, &svid),
			 SVID_VALID);
	assert_false(oidc_cache_find(cache, t, slice_str(token), TEST_AUDIENCE,
				     TEST_NOW_MS, &found));
	assert_null(found.claims);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_token_said_is_told_again),
		TEST(what_has_expired_is_forgotten),
		TEST(another_audience_does_not_know_it),
		TEST(what_other_keys_verified_is_forgotten),
		TEST(of_a_source_without_keys_nothing_is_kept),
		TEST(more_than_fit_push_out_the_oldest),
		TEST(the_same_token_takes_one_place),
		TEST(an_svid_is_not_taken_for_a_platforms_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
