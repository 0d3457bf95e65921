#include "tokens.h"

#include "../crypto/certificates.h"

#include "base/mem.h"
#include "base/text.h"

#define ID "spiffe://example.org/agent"

static struct test_folder folder;
static struct test_cert org, net;
static struct trust *t;
static struct token_cache *cache;
static struct svid svid;

static void write_bundle(const char *name, const struct test_cert *authority)
{
	CLEANUP(mem_free_p) char *der = text_base64(test_cert_der(authority));
	CLEANUP(json_put_p)
	json_t *bundle = json_pack("{s:[{s:s, s:[s]}]}", "keys", "use",
				   "x509-svid", "x5c", der);
	CLEANUP(mem_free_p) char *text = json_canonical(bundle);

	test_write(&folder, name, text);
}

static int setup(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *one = NULL;
	CLEANUP(mem_free_p) char *two = NULL;
	CLEANUP(json_put_p) json_t *specs = NULL;

	test_folder_make(&folder);
	test_cert_authority(&org, NULL);
	test_cert_authority(&net, NULL);
	write_bundle("org", &org);
	write_bundle("net", &net);
	one = test_path(&folder, "org");
	two = test_path(&folder, "net");
	specs = json_pack("[{s:s, s:s}, {s:s, s:s, s:s}]", "trustDomain",
			  "example.org", "bundleFile", one, "trustDomain",
			  "example.net", "bundleFile", two,
			  "longestCertificate", "10m");
	t = trust_new();
	trust_set(t, specs, NULL);
	cache = token_cache_new(4);
	return 0;
}

static int teardown(void **state UNUSED)
{
	token_cache_free(cache);
	trust_free(t);
	test_cert_clear(&org);
	test_cert_clear(&net);
	test_folder_remove(&folder);
	return 0;
}

/* What is said of a leaf of this authority with this ID, twice alike. */
static enum svid_verdict verdict_of(const struct test_cert *authority,
				    const char *id)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	struct slice chain[1];
	enum svid_verdict first;

	test_cert_leaf(&leaf, authority, id);
	chain[0] = test_cert_der(&leaf);
	first = svid_cache_verify_x509(cache, t, chain, 1, CERT_NOW_MS, &svid);
	assert_int_equal(
		svid_cache_verify_x509(cache, t, chain, 1, CERT_NOW_MS, &svid),
		first);
	assert_int_equal(x509_svid_verify(t, chain, 1, CERT_NOW_MS, &svid),
			 first);
	return first;
}

static void a_leaf_of_its_own_domains_authority_is_valid(void **state UNUSED)
{
	assert_int_equal(verdict_of(&org, ID), SVID_VALID);
	assert_string_equal(svid.id.text, ID);
	assert_string_equal(svid.id.domain, "example.org");
	assert_string_equal(svid.jti, "");
	assert_int_equal(svid.expires_ms, (CERT_NOW_S + 3600) * 1000);
}

static void another_domains_authority_does_not_count(void **state UNUSED)
{
	assert_int_equal(verdict_of(&net, ID), SVID_UNTRUSTED);
	assert_int_equal(verdict_of(&org, "spiffe://example.com/a"),
			 SVID_UNTRUSTED);
}

static void an_id_without_a_path_is_no_workloads(void **state UNUSED)
{
	assert_int_equal(verdict_of(&org, "spiffe://example.org"),
			 SVID_SUBJECT);
	assert_int_equal(verdict_of(&org, "https://example.org/a"),
			 SVID_SUBJECT);
}

static void
a_certificate_may_not_live_longer_than_its_domain_says(void **state UNUSED)
{
	assert_int_equal(verdict_of(&net, "spiffe://example.net/a"),
			 SVID_TOO_LONG);
}

static void a_cached_chain_is_no_longer_valid_past_its_end(void **state UNUSED)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	struct slice chain[1];

	test_cert_leaf(&leaf, &org, ID);
	chain[0] = test_cert_der(&leaf);
	assert_int_equal(
		svid_cache_verify_x509(cache, t, chain, 1, CERT_NOW_MS, &svid),
		SVID_VALID);
	assert_int_equal(svid_cache_verify_x509(cache, t, chain, 1,
						CERT_NOW_MS + 3601 * 1000L,
						&svid),
			 SVID_EXPIRED);
}

static void a_changed_bundle_drops_its_chains(void **state UNUSED)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	struct slice chain[1];

	test_cert_leaf(&leaf, &org, ID);
	chain[0] = test_cert_der(&leaf);
	assert_int_equal(
		svid_cache_verify_x509(cache, t, chain, 1, CERT_NOW_MS, &svid),
		SVID_VALID);
	write_bundle("org", &net);
	assert_true(trust_refresh(t, NULL));
	assert_int_equal(
		svid_cache_verify_x509(cache, t, chain, 1, CERT_NOW_MS, &svid),
		SVID_UNTRUSTED);
}

static void a_chain_that_is_empty_or_too_long_is_malformed(void **state UNUSED)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	struct slice chain[X509_CHAIN_MAX + 1];

	test_cert_leaf(&leaf, &org, ID);
	for (size_t i = 0; i < ARRAY_LEN(chain); i++)
		chain[i] = test_cert_der(&leaf);
	assert_int_equal(
		svid_cache_verify_x509(cache, t, chain, 0, CERT_NOW_MS, &svid),
		SVID_MALFORMED);
	assert_int_equal(svid_cache_verify_x509(cache, t, chain,
						ARRAY_LEN(chain), CERT_NOW_MS,
						&svid),
			 SVID_MALFORMED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_leaf_of_its_own_domains_authority_is_valid),
		TEST(another_domains_authority_does_not_count),
		TEST(an_id_without_a_path_is_no_workloads),
		TEST(a_certificate_may_not_live_longer_than_its_domain_says),
		TEST(a_cached_chain_is_no_longer_valid_past_its_end),
		TEST(a_changed_bundle_drops_its_chains),
		TEST(a_chain_that_is_empty_or_too_long_is_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
