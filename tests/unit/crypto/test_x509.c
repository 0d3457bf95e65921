#include "cmocka_first.h"

#include "certificates.h"

#include "crypto/x509.h"

#include "base/error.h"

#define URI "spiffe://example.org/agent"
#define USAGE "keyUsage", "critical,digitalSignature"
#define LEAF "basicConstraints", "critical,CA:FALSE"
#define NAMES "subjectAltName", "URI:" URI

static struct test_cert root, other, between;
static struct x509_roots *roots;

static int setup(void **state)
{
	discard(state != NULL);
	test_cert_authority(&root, NULL);
	test_cert_authority(&other, NULL);
	test_cert_authority(&between, &root);
	roots = x509_roots_new();
	assert_int_equal(x509_roots_add(roots, test_cert_der(&root)), 0);
	return 0;
}

static int teardown(void **state)
{
	discard(state != NULL);
	x509_roots_free(roots);
	test_cert_clear(&root);
	test_cert_clear(&other);
	test_cert_clear(&between);
	return 0;
}

static enum x509_verdict path(const struct test_cert *leaf,
			      const struct test_cert *second,
			      const struct test_cert *third, int64_t now_ms)
{
	struct slice chain[3] = { test_cert_der(leaf) };
	size_t count = 1;

	if (second)
		chain[count++] = test_cert_der(second);
	if (third)
		chain[count++] = test_cert_der(third);
	return x509_verify(roots, chain, count, now_ms);
}

static void a_leaf_of_the_authority_is_taken(void **state)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	struct x509_leaf read;

	discard(state != NULL);
	test_cert_leaf(&leaf, &root, URI);
	assert_int_equal(x509_read_leaf(test_cert_der(&leaf), &read),
			 X509_VALID);
	assert_string_equal(read.uri, URI);
	assert_int_equal(read.from_ms, (CERT_NOW_S - 60) * 1000);
	assert_int_equal(read.until_ms, (CERT_NOW_S + 3600) * 1000);
	assert_int_equal(path(&leaf, NULL, NULL, CERT_NOW_MS), X509_VALID);
}

static void a_path_by_way_of_another_authority_is_found(void **state)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };

	discard(state != NULL);
	test_cert_leaf(&leaf, &between, URI);
	assert_int_equal(path(&leaf, NULL, NULL, CERT_NOW_MS), X509_UNTRUSTED);
	assert_int_equal(path(&leaf, &between, NULL, CERT_NOW_MS), X509_VALID);
	assert_int_equal(path(&leaf, &root, &between, CERT_NOW_MS), X509_VALID);
}

static void an_authority_of_the_bundle_ends_the_path(void **state)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	CLEANUP(x509_roots_free_p) struct x509_roots *only = x509_roots_new();
	struct slice chain[1];

	discard(state != NULL);
	test_cert_leaf(&leaf, &between, URI);
	chain[0] = test_cert_der(&leaf);
	assert_int_equal(x509_roots_add(only, test_cert_der(&between)), 0);
	assert_int_equal(x509_roots_count(only), 1);
	assert_int_equal(x509_verify(only, chain, 1, CERT_NOW_MS), X509_VALID);
}

static void a_foreign_chain_is_untrusted(void **state)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	CLEANUP(test_cert_clear) struct test_cert alone = { 0 };

	discard(state != NULL);
	test_cert_leaf(&leaf, &other, URI);
	test_cert_leaf(&alone, NULL, URI);
	assert_int_equal(path(&leaf, &other, NULL, CERT_NOW_MS),
			 X509_UNTRUSTED);
	assert_int_equal(path(&alone, NULL, NULL, CERT_NOW_MS), X509_UNTRUSTED);
}

static void without_authorities_nobody_is_trusted(void **state)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	CLEANUP(x509_roots_free_p) struct x509_roots *none = x509_roots_new();
	struct slice chain[1];

	discard(state != NULL);
	test_cert_leaf(&leaf, &root, URI);
	chain[0] = test_cert_der(&leaf);
	assert_int_equal(x509_verify(none, chain, 1, CERT_NOW_MS),
			 X509_UNTRUSTED);
}

static void a_certificate_counts_in_its_time_alone(void **state)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };

	discard(state != NULL);
	test_cert_leaf(&leaf, &root, URI);
	assert_int_equal(path(&leaf, NULL, NULL, CERT_NOW_MS + 3601 * 1000L),
			 X509_EXPIRED);
	assert_int_equal(path(&leaf, NULL, NULL, CERT_NOW_MS - 61 * 1000L),
			 X509_NOT_YET);
	assert_int_equal(path(&leaf, NULL, NULL, CERT_NOW_MS + 86401 * 1000L),
			 X509_EXPIRED);
}

/* A leaf of the root's with these extensions; what x509_read_leaf() says. */
static enum x509_verdict read_with(const char *const *extensions)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	struct x509_leaf read;

	test_cert_make(&leaf, &root, CERT_NOW_S - 60, CERT_NOW_S + 60,
		       extensions);
	return x509_read_leaf(test_cert_der(&leaf), &read);
}

static void a_leaf_has_exactly_one_uri(void **state)
{
	static const char *const none[] = { LEAF, USAGE, NULL };
	static const char *const dns[] = { LEAF, USAGE, "subjectAltName",
					   "DNS:a.example", NULL };
	static const char *const two[] = { LEAF, USAGE, "subjectAltName",
					   "URI:" URI ",URI:https://a.example",
					   NULL };
	static const char *const twice[] = { LEAF, USAGE, NAMES, NAMES, NULL };
	static const char *const both[] = { LEAF, USAGE, "subjectAltName",
					    "DNS:a.example,URI:" URI, NULL };

	discard(state != NULL);
	assert_int_equal(read_with(none), X509_SUBJECT);
	assert_int_equal(read_with(dns), X509_SUBJECT);
	assert_int_equal(read_with(two), X509_SUBJECT);
	assert_int_not_equal(read_with(twice), X509_VALID);
	assert_int_equal(read_with(both), X509_VALID);
}

static void a_leaf_that_may_sign_others_is_refused(void **state)
{
	static const char *const ca[] = { "basicConstraints",
					  "critical,CA:TRUE", USAGE, NAMES,
					  NULL };
	static const char *const signs[] = {
		LEAF, "keyUsage", "critical,digitalSignature,keyCertSign",
		NAMES, NULL
	};
	static const char *const crl[] = { LEAF, "keyUsage",
					   "critical,digitalSignature,cRLSign",
					   NAMES, NULL };

	discard(state != NULL);
	assert_int_equal(read_with(ca), X509_AUTHORITY);
	assert_int_equal(read_with(signs), X509_AUTHORITY);
	assert_int_equal(read_with(crl), X509_USAGE);
}

static void a_leafs_key_is_for_signing_and_says_so(void **state)
{
	static const char *const none[] = { LEAF, NAMES, NULL };
	static const char *const tolerant[] = { LEAF, NAMES, "keyUsage",
						"digitalSignature", NULL };
	static const char *const other_use[] = { LEAF, NAMES, "keyUsage",
						 "critical,keyAgreement",
						 NULL };
	static const char *const half[] = { LEAF,	  NAMES,
					    USAGE,	  "extendedKeyUsage",
					    "serverAuth", NULL };
	static const char *const mail[] = {
		LEAF, NAMES, USAGE, "extendedKeyUsage", "emailProtection", NULL
	};
	static const char *const good[] = { LEAF, NAMES, USAGE, NULL };

	discard(state != NULL);
	assert_int_equal(read_with(none), X509_USAGE);
	assert_int_equal(read_with(tolerant), X509_USAGE);
	assert_int_equal(read_with(other_use), X509_USAGE);
	assert_int_equal(read_with(half), X509_USAGE);
	assert_int_equal(read_with(mail), X509_USAGE);
	assert_int_equal(read_with(good), X509_VALID);
}

static void a_leaf_does_not_sign_for_another(void **state)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	CLEANUP(test_cert_clear) struct test_cert below = { 0 };

	discard(state != NULL);
	test_cert_leaf(&leaf, &root, "https://a.example");
	test_cert_leaf(&below, &leaf, "spiffe://example.org/other");
	assert_int_equal(path(&below, &leaf, NULL, CERT_NOW_MS),
			 X509_UNTRUSTED);
}

static void a_signing_certificate_with_a_workloads_id_is_refused(void **state)
{
	static const char *const named[] = { "basicConstraints",
					     "critical,CA:TRUE",
					     "keyUsage",
					     "critical,keyCertSign",
					     "subjectAltName",
					     "URI:spiffe://example.org/agent",
					     NULL };
	static const char *const domain[] = { "basicConstraints",
					      "critical,CA:TRUE",
					      "keyUsage",
					      "critical,keyCertSign",
					      "subjectAltName",
					      "URI:spiffe://example.org",
					      NULL };
	CLEANUP(test_cert_clear) struct test_cert bad = { 0 };
	CLEANUP(test_cert_clear) struct test_cert good = { 0 };
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	CLEANUP(test_cert_clear) struct test_cert fine = { 0 };

	discard(state != NULL);
	test_cert_make(&bad, &root, CERT_NOW_S - 60, CERT_NOW_S + 60, named);
	test_cert_make(&good, &root, CERT_NOW_S - 60, CERT_NOW_S + 60, domain);
	test_cert_leaf(&leaf, &bad, URI);
	test_cert_leaf(&fine, &good, URI);
	assert_int_equal(path(&leaf, &bad, NULL, CERT_NOW_MS), X509_MALFORMED);
	assert_int_equal(path(&fine, &good, NULL, CERT_NOW_MS), X509_VALID);
}

static void what_is_no_authority_is_not_added(void **state)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	CLEANUP(x509_roots_free_p) struct x509_roots *some = x509_roots_new();
	struct slice der = test_cert_der(&root);

	discard(state != NULL);
	test_cert_leaf(&leaf, &root, URI);
	assert_int_equal(x509_roots_add(some, test_cert_der(&leaf)),
			 ERR_SYNTAX);
	assert_int_equal(x509_roots_add(some, slice_of(der.ptr, der.len - 1)),
			 ERR_SYNTAX);
	assert_int_equal(x509_roots_add(some, slice_str("")), ERR_SYNTAX);
	assert_int_equal(x509_roots_add(some, slice_str("0\x82")), ERR_SYNTAX);
	assert_int_equal(x509_roots_count(some), 0);
}

static void more_authorities_than_the_limit_are_refused(void **state)
{
	CLEANUP(x509_roots_free_p) struct x509_roots *some = x509_roots_new();
	int r = 0;

	discard(state != NULL);
	for (int i = 0; i <= X509_ROOTS_MAX && r == 0; i++)
		r = x509_roots_add(some, test_cert_der(&root));
	assert_int_equal(r, ERR_LIMIT);
}

static void bytes_that_are_no_certificate_are_malformed(void **state)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	struct x509_leaf read;
	struct slice chain[X509_CHAIN_MAX + 1];
	struct slice der;
	uint8_t longer[4096];

	discard(state != NULL);
	test_cert_leaf(&leaf, &root, URI);
	der = test_cert_der(&leaf);
	memcpy(longer, der.ptr, der.len);
	longer[der.len] = 0;
	assert_int_equal(x509_read_leaf(slice_of(longer, der.len + 1), &read),
			 X509_MALFORMED);
	for (size_t len = 0; len < der.len; len++)
		assert_int_equal(x509_read_leaf(slice_of(der.ptr, len), &read),
				 X509_MALFORMED);
	for (size_t i = 0; i < ARRAY_LEN(chain); i++)
		chain[i] = der;
	assert_int_equal(x509_verify(roots, chain, 0, CERT_NOW_MS),
			 X509_MALFORMED);
	assert_int_equal(
		x509_verify(roots, chain, ARRAY_LEN(chain), CERT_NOW_MS),
		X509_MALFORMED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_leaf_of_the_authority_is_taken),
		TEST(a_path_by_way_of_another_authority_is_found),
		TEST(an_authority_of_the_bundle_ends_the_path),
		TEST(a_foreign_chain_is_untrusted),
		TEST(without_authorities_nobody_is_trusted),
		TEST(a_certificate_counts_in_its_time_alone),
		TEST(a_leaf_has_exactly_one_uri),
		TEST(a_leaf_that_may_sign_others_is_refused),
		TEST(a_leafs_key_is_for_signing_and_says_so),
		TEST(a_leaf_does_not_sign_for_another),
		TEST(a_signing_certificate_with_a_workloads_id_is_refused),
		TEST(what_is_no_authority_is_not_added),
		TEST(more_authorities_than_the_limit_are_refused),
		TEST(bytes_that_are_no_certificate_are_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
