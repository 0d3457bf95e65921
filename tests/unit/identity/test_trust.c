#include "tokens.h"

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

static struct test_folder folder;
static struct test_key key, other_key;
static struct trust *t;

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

static size_t refresh(bool expected)
{
	CLEANUP(json_put_p) json_t *faults = NULL;

	assert_int_equal(trust_refresh(t, &faults), expected);
	return json_array_size(faults);
}

static void a_bundle_is_read_from_its_file(void **state UNUSED)
{
	struct jose_key *const *keys = trust_keys(t, "example.org");

	assert_non_null(keys);
	assert_string_equal(jose_key_id(keys[0]), "k1");
	assert_null(keys[1]);
	assert_int_not_equal(trust_generation(t, "example.org"), 0);
}

static void a_domain_that_was_not_named_is_unknown(void **state UNUSED)
{
	assert_null(trust_keys(t, "example.net"));
	assert_null(trust_keys(t, "sub.example.org"));
	assert_null(trust_keys(t, ""));
	assert_int_equal(trust_generation(t, "example.net"), 0);
}

static void a_changed_file_is_read_again(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *bundle = test_bundle(&other_key);
	uint64_t before = trust_generation(t, "example.org");

	assert_int_equal(refresh(false), 0);
	test_write(&folder, "bundle", bundle);
	assert_int_equal(refresh(true), 0);
	assert_int_not_equal(trust_generation(t, "example.org"), before);
	assert_int_equal(refresh(false), 0);
}

static void the_same_content_changes_nothing(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *bundle = test_bundle(&key);
	uint64_t before = trust_generation(t, "example.org");

	test_write(&folder, "bundle", bundle);
	assert_int_equal(refresh(false), 0);
	assert_int_equal(trust_generation(t, "example.org"), before);
}

static void a_damaged_file_leaves_the_last_good_bundle(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = test_path(&folder, "bundle");
	CLEANUP(mem_free_p) char *bundle = test_bundle(&other_key);
	uint64_t before = trust_generation(t, "example.org");

	test_write(&folder, "bundle", "{\"keys\":[");
	assert_int_equal(refresh(false), 1);
	assert_int_equal(refresh(false), 0); /* told once */
	assert_non_null(trust_keys(t, "example.org"));
	assert_int_equal(trust_generation(t, "example.org"), before);
	unlink(path);
	assert_int_equal(refresh(false), 1);
	assert_non_null(trust_keys(t, "example.org"));
	test_write(&folder, "bundle", bundle);
	assert_int_equal(refresh(true), 0);
}

static void a_domain_that_never_had_a_bundle_is_untrusted(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *bundle = test_bundle(&key);

	test_trust(t, &folder, "example.net", "none", 1);
	assert_null(trust_keys(t, "example.net"));
	assert_int_equal(trust_generation(t, "example.net"), 0);
	test_write(&folder, "none", bundle);
	assert_int_equal(refresh(true), 0);
	assert_non_null(trust_keys(t, "example.net"));
}

static void a_domain_that_stays_keeps_its_bundle(void **state UNUSED)
{
	uint64_t before = trust_generation(t, "example.org");

	test_trust(t, &folder, "example.org", "elsewhere", 1);
	assert_non_null(trust_keys(t, "example.org"));
	assert_int_equal(trust_generation(t, "example.org"), before);
}

static void a_domain_that_comes_back_has_another_generation(void **state UNUSED)
{
	uint64_t before = trust_generation(t, "example.org");

	test_trust(t, &folder, "example.net", "bundle", 0);
	assert_null(trust_keys(t, "example.org"));
	test_trust(t, &folder, "example.org", "bundle", 0);
	assert_int_not_equal(trust_generation(t, "example.org"), before);
}

/* Bundle documents. */

static int parse(const char *text, size_t *ret_count)
{
	struct jose_key **keys;
	int r = bundle_parse(slice_str(text), &keys);

	*ret_count = 0;
	if (r < 0)
		return r;
	while (keys[*ret_count])
		++*ret_count;
	bundle_keys_free(keys);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bundle_is_read_from_its_file),
		TEST(a_domain_that_was_not_named_is_unknown),
		TEST(a_changed_file_is_read_again),
		TEST(the_same_content_changes_nothing),
		TEST(a_damaged_file_leaves_the_last_good_bundle),
		TEST(a_domain_that_never_had_a_bundle_is_untrusted),
		TEST(a_domain_that_stays_keeps_its_bundle),
		TEST(a_domain_that_comes_back_has_another_generation),
		TEST(a_document_that_is_no_bundle_is_refused),
		TEST(a_jwt_svid_key_without_kid_is_refused),
		TEST(a_key_of_unknown_type_or_use_is_ignored),
		TEST(a_damaged_key_is_refused),
		TEST(too_many_keys_are_refused),
		TEST(the_published_bundles_are_read_as_their_makers_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
