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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
