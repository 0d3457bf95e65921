/*
 * What an earlier process fetched and kept.  Nothing is fetched here; that is
 * in tests/integration.
 */
#include "tokens.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "identity/domain.h"

#define URL "https://bundles.example/net"

static struct test_folder folder;
static struct test_key key;
static struct trust *t;

static int setup(void **state UNUSED)
{
	test_folder_make(&folder);
	test_key_make(&key, "P-256");
	t = trust_new();
	trust_use(t, &(struct trust_means){ NULL, folder.path });
	return 0;
}

static int teardown(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *kept = test_path(&folder, "trust/example.net.json");
	CLEANUP(mem_free_p) char *inner = test_path(&folder, "trust");

	trust_free(t);
	test_key_clear(&key);
	discard(unlink(kept));
	discard(rmdir(inner));
	test_folder_remove(&folder);
	return 0;
}

/* Keeps a bundle that was fetched so long ago, by this endpoint. */
static void keep(int64_t age_ms, const char *by)
{
	CLEANUP(mem_free_p) char *bundle = test_bundle(&key);
	CLEANUP(mem_free_p) char *how = mem_format("example.net %s  ", by);
	CLEANUP(json_put_p)
	json_t *kept = json_pack("{s:s, s:I, s:s}", "by", how, "fetched",
				 (json_int_t)(clock_wall_ms() - age_ms),
				 "bundle", bundle);
	CLEANUP(mem_free_p) char *text = json_canonical(kept);

	test_write(&folder, "trust/example.net.json", text);
}

/* Whether the domain has keys after a look. */
static bool is_believed(void)
{
	CLEANUP(json_put_p)
	json_t *specs = json_pack("[{s:s, s:{s:s, s:s}, s:s}]", "trustDomain",
				  "example.net", "endpoint", "profile",
				  "https_web", "url", URL, "staleAfter", "1h");

	trust_set(t, specs, NULL);
	trust_refresh(t, NULL);
	return trust_keys(t, "example.net") != NULL;
}

static void a_kept_bundle_counts_while_it_is_fresh(void **state UNUSED)
{
	keep(60 * 1000, URL);
	assert_true(is_believed());
	assert_int_not_equal(trust_generation(t, "example.net"), 0);
	assert_non_null(trust_roots(t, "example.net"));
}

static void a_kept_bundle_that_is_too_old_does_not_count(void **state UNUSED)
{
	keep(3601 * 1000, URL);
	assert_false(is_believed());
	assert_null(trust_roots(t, "example.net"));
}

static void a_kept_bundle_of_the_future_does_not_count(void **state UNUSED)
{
	keep(-3600 * 1000, URL);
	assert_false(is_believed());
}

static void
a_kept_bundle_of_another_endpoint_does_not_count(void **state UNUSED)
{
	keep(1000, "https://elsewhere.example/");
	assert_false(is_believed());
}

static void a_damaged_file_is_no_kept_bundle(void **state UNUSED)
{
	test_write(&folder, "trust/example.net.json", "{\"by\":");
	assert_false(is_believed());
	test_write(&folder, "trust/example.net.json", "[]");
	assert_false(is_believed());
}

static void health_says_what_is_usable(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *rows = NULL;

	keep(60 * 1000, URL);
	assert_true(is_believed());
	rows = trust_health(t);
	assert_int_equal(json_array_size(rows), 1);
	assert_true(json_flag(json_array_get(rows, 0), "usable", false));
	assert_string_equal(json_text(json_array_get(rows, 0), "name", ""),
			    "example.net");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_kept_bundle_counts_while_it_is_fresh),
		TEST(a_kept_bundle_that_is_too_old_does_not_count),
		TEST(a_kept_bundle_of_the_future_does_not_count),
		TEST(a_kept_bundle_of_another_endpoint_does_not_count),
		TEST(a_damaged_file_is_no_kept_bundle),
		TEST(health_says_what_is_usable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
