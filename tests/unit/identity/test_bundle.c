#include "tokens.h"

#include "../crypto/certificates.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "identity/bundle.h"

static struct test_key key;
static struct test_cert authority;

static int setup(void **state UNUSED)
{
	test_key_make(&key, "P-256");
	test_cert_authority(&authority, NULL);
	return 0;
}

static int teardown(void **state UNUSED)
{
	test_key_clear(&key);
	test_cert_clear(&authority);
	return 0;
}

static int parse(const char *text, size_t *ret_count)
{
	CLEANUP(bundle_free_p) struct bundle *bundle = NULL;
	int r = bundle_parse(slice_str(text), "example.org", &bundle);

	*ret_count = 0;
	if (r < 0)
		return r;
	while (bundle->keys[*ret_count])
		++*ret_count;
	return 0;
}

static void a_document_that_is_no_bundle_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{\"keys\":{}}",
		"{\"keys\":null}",
		"{\"keys\":[1]}",
		"{\"keys\":[[]]}",
		"{\"keys\":[],\"keys\":[]}",
		"{\"keys\":[]} x",
	};
	size_t count;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(parse(texts[i], &count), ERR_SYNTAX);
}

static int parse_jwk(json_t *jwk, size_t *ret_count)
{
	CLEANUP(json_put_p) json_t *bundle = json_pack("{s:[o]}", "keys", jwk);
	CLEANUP(mem_free_p) char *text = json_canonical(bundle);

	return parse(text, ret_count);
}

static void a_jwt_svid_key_without_kid_is_refused(void **state UNUSED)
{
	size_t count;

	assert_int_equal(parse_jwk(test_jwk(&key, NULL, "jwt-svid"), &count),
			 ERR_SYNTAX);
	assert_int_equal(parse_jwk(test_jwk(&key, "", "jwt-svid"), &count),
			 ERR_SYNTAX);
}

static void a_key_of_unknown_type_or_use_is_ignored(void **state UNUSED)
{
	json_t *strange = test_jwk(&key, "k1", "jwt-svid");
	size_t count;

	json_set_text(strange, "kty", "LMS");
	assert_int_equal(parse_jwk(strange, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(parse_jwk(test_jwk(&key, "k1", "new-svid"), &count),
			 0);
	assert_int_equal(count, 0);
	assert_int_equal(parse_jwk(test_jwk(&key, "k1", NULL), &count), 0);
	assert_int_equal(count, 0);
}

static void a_damaged_key_is_refused(void **state UNUSED)
{
	json_t *damaged = test_jwk(&key, "k1", "jwt-svid");
	size_t count;

	json_set_text(damaged, "x", json_text(damaged, "y", ""));
	assert_int_equal(parse_jwk(damaged, &count), ERR_SYNTAX);
}

static void too_many_keys_are_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *bundle = json_pack("{s:[]}", "keys");
	json_t *keys = json_array_in(bundle, "keys");
	size_t count;

	for (int i = 0; i < JOSE_KEYS_MAX; i++)
		json_array_append_new(keys, test_jwk(&key, "k1", "jwt-svid"));
	for (int i = 0; i < 2; i++) {
		CLEANUP(mem_free_p) char *text = json_canonical(bundle);

		assert_int_equal(parse(text, &count), i ? ERR_LIMIT : 0);
		json_array_append_new(keys, test_jwk(&key, "k1", "jwt-svid"));
	}
}

static void
the_published_bundles_are_read_as_their_makers_say(void **state UNUSED)
{
	static const struct {
		const char *file;
		int outcome;
		size_t count; /* keys for tokens */
	} rows[] = {
		{ "spiffebundle/spiffebundle_valid_1.json", 0, 1 },
		{ "spiffebundle/spiffebundle_valid_2.json", 0, 6 },
		{ "spiffebundle/spiffebundle_valid_with_wit.json", 0, 2 },
		{ "spiffebundle/spiffebundle_missing_kid.json", ERR_SYNTAX, 0 },
		{ "spiffebundle/spiffebundle_no_keys.json", ERR_SYNTAX, 0 },
		{ "spiffebundle/spiffebundle_multiple_x509.json", 0, 1 },
		/* Key sets without "use" hold nothing for us. */
		{ "jwtbundle/jwks_valid_1.json", 0, 0 },
		{ "witbundle/jwks_valid_2.json", 0, 0 },
	};
	const char *vectors = getenv("WRIT_VECTORS");

	if (!vectors || !file_exists(vectors)) {
		print_message("skipped: no test vectors on this machine\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_clear) struct buf text = BUF_INIT(1 << 20);
		CLEANUP(mem_free_p)
		char *path = mem_format("%s/spiffe-bundles/%s", vectors,
					rows[i].file);
		size_t count;

		print_message("  %s\n", rows[i].file);
		assert_int_equal(file_read(path, &text), 0);
		assert_int_equal(parse(buf_text(&text), &count),
				 rows[i].outcome);
		assert_int_equal(count, rows[i].count);
	}
}

/* An x509-svid key with this certificate. */
static json_t *x509_jwk(const struct test_cert *cert)
{
	CLEANUP(mem_free_p) char *der = text_base64(test_cert_der(cert));

	return json_pack("{s:s, s:s, s:[s]}", "kty", "EC", "use", "x509-svid",
			 "x5c", der);
}

static int parse_document(json_t *owned, const char *domain,
			  struct bundle **ret_bundle)
{
	CLEANUP(json_put_p) json_t *document = owned;
	CLEANUP(mem_free_p) char *text = json_canonical(document);

	return bundle_parse(slice_str(text), domain, ret_bundle);
}

static void an_authority_of_x5c_is_taken(void **state UNUSED)
{
	CLEANUP(bundle_free_p) struct bundle *bundle = NULL;

	assert_int_equal(parse_document(json_pack("{s:[o], s:i, s:i}", "keys",
						  x509_jwk(&authority),
						  "spiffe_sequence", 7,
						  "spiffe_refresh_hint", 60),
					"example.org", &bundle),
			 0);
	assert_int_equal(x509_roots_count(bundle->roots), 1);
	assert_int_equal(bundle->sequence, 7);
	assert_int_equal(bundle->refresh_hint_s, 60);
	assert_null(bundle->keys[0]);
}

static void
an_x509_key_without_a_certificate_is_passed_over(void **state UNUSED)
{
	static const char *const texts[] = {
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\"}]}",
		"{\"keys\":[{\"use\":\"x509-svid\",\"x5c\":[]}]}",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(bundle_free_p) struct bundle *bundle = NULL;

		assert_int_equal(bundle_parse(slice_str(texts[i]),
					      "example.org", &bundle),
				 0);
		assert_int_equal(x509_roots_count(bundle->roots), 0);
		assert_int_equal(bundle->sequence, -1);
		assert_int_equal(bundle->refresh_hint_s, -1);
	}
}

static void a_certificate_that_is_no_authoritys_is_refused(void **state UNUSED)
{
	CLEANUP(test_cert_clear) struct test_cert leaf = { 0 };
	static const char *const texts[] = {
		"{\"keys\":[{\"use\":\"x509-svid\",\"x5c\":[\"AAAA\"]}]}",
		"{\"keys\":[{\"use\":\"x509-svid\",\"x5c\":[\"-\"]}]}",
		"{\"keys\":[{\"use\":\"x509-svid\",\"x5c\":[1]}]}",
	};
	struct bundle *bundle = NULL;
	size_t count;

	test_cert_leaf(&leaf, &authority, "spiffe://example.org/a");
	assert_int_equal(
		parse_document(json_pack("{s:[o]}", "keys", x509_jwk(&leaf)),
			       "example.org", &bundle),
		ERR_SYNTAX);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(parse(texts[i], &count), ERR_SYNTAX);
}

static void
a_sequence_or_hint_that_is_no_whole_number_is_refused(void **state UNUSED)
{
	size_t count;

	assert_int_equal(parse("{\"keys\":[],\"spiffe_sequence\":-1}", &count),
			 ERR_SYNTAX);
	assert_int_equal(
		parse("{\"keys\":[],\"spiffe_sequence\":\"1\"}", &count),
		ERR_SYNTAX);
	assert_int_equal(
		parse("{\"keys\":[],\"spiffe_refresh_hint\":null}", &count),
		ERR_SYNTAX);
}

static json_t *map_of_two(void)
{
	return json_pack("{s:{s:{s:[o]}, s:{s:[o]}}}", "trust_domains",
			 "example.org", "keys",
			 test_jwk(&key, "k1", "jwt-svid"), "example.net",
			 "keys", x509_jwk(&authority));
}

static void of_a_map_a_domain_gets_its_own_bundle_alone(void **state UNUSED)
{
	CLEANUP(bundle_free_p) struct bundle *org = NULL;
	CLEANUP(bundle_free_p) struct bundle *net = NULL;
	struct bundle *none = NULL;

	assert_int_equal(parse_document(map_of_two(), "example.org", &org), 0);
	assert_non_null(org->keys[0]);
	assert_int_equal(x509_roots_count(org->roots), 0);
	assert_int_equal(parse_document(map_of_two(), "example.net", &net), 0);
	assert_null(net->keys[0]);
	assert_int_equal(x509_roots_count(net->roots), 1);
	assert_int_equal(parse_document(map_of_two(), "example.com", &none),
			 ERR_NOT_FOUND);
}

static void a_map_that_is_not_clean_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"{\"trust_domains\":[]}",
		"{\"trust_domains\":{\"example.org\":1}}",
		"{\"trust_domains\":{\"example.org\":{}}}",
		"{\"trust_domains\":{\"example.org\":{\"keys\":[]}},"
		"\"keys\":[]}",
		"{\"trust_domains\":{\"example.org\":{\"keys\":[]},"
		"\"Example.org\":{\"keys\":[]}}}",
		"{\"trust_domains\":{\"example.org\":{\"keys\":[]},"
		"\"example.org/x\":{\"keys\":[]}}}",
		"{\"trust_domains\":{\"example.org\":{\"keys\":[]},"
		"\"example.org\":{\"keys\":[]}}}",
	};
	size_t count;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(parse(texts[i], &count), ERR_SYNTAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_document_that_is_no_bundle_is_refused),
		TEST(a_jwt_svid_key_without_kid_is_refused),
		TEST(a_key_of_unknown_type_or_use_is_ignored),
		TEST(a_damaged_key_is_refused),
		TEST(too_many_keys_are_refused),
		TEST(the_published_bundles_are_read_as_their_makers_say),
		TEST(an_authority_of_x5c_is_taken),
		TEST(an_x509_key_without_a_certificate_is_passed_over),
		TEST(a_certificate_that_is_no_authoritys_is_refused),
		TEST(a_sequence_or_hint_that_is_no_whole_number_is_refused),
		TEST(of_a_map_a_domain_gets_its_own_bundle_alone),
		TEST(a_map_that_is_not_clean_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
