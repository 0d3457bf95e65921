#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "config/bundle.h"

static char folder[64];

static int set_up(void **state UNUSED)
{
	snprintf(folder, sizeof(folder), "/tmp/writ-config-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *command = mem_format("rm -rf -- '%s'", folder);

	return system(command);
}

static void put(const char *name, const char *text)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/%s", folder, name);

	assert_int_equal(file_write(path, slice_str(text), 0600), 0);
}

/* The parts of a whole bundle. */
static void put_whole(void)
{
	put("x.cedarschema", "the schema");
	put("invariants.cedar", "the invariants");
	put("templates.cedar", "the templates");
	put("a.cedar", "some policies");
	put("b.cedar", "other policies");
	put("scenarios.json", "{\"cases\":[]}");
	put("README.md", "no part of it");
	put(".swap.cedar", "no part of it");
}

static int read_it(json_t **ret_files)
{
	CLEANUP(json_put_p) json_t *scenarios = NULL;

	return bundle_read(folder, ret_files, &scenarios);
}

static int lacking(const char *name)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/%s", folder, name);
	CLEANUP(json_put_p) json_t *files = NULL;

	put_whole();
	assert_int_equal(unlink(path), 0);
	return read_it(&files);
}

static void every_cedar_file_of_a_folder_is_read(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *files = NULL;
	const json_t *policies;

	put_whole();
	assert_int_equal(read_it(&files), 0);
	assert_int_equal(json_object_size(files), 4);
	assert_string_equal(json_text(files, "schema", ""), "the schema");
	assert_string_equal(json_text(files, "invariants", ""),
			    "the invariants");
	assert_string_equal(json_text(files, "templates", ""), "the templates");
	policies = json_object_in(files, "policies");
	assert_int_equal(json_object_size(policies), 2);
	assert_string_equal(json_text(policies, "b.cedar", ""),
			    "other policies");
}

static void a_bundle_without_one_of_its_parts_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *files = NULL;

	assert_int_equal(lacking("x.cedarschema"), ERR_NOT_FOUND);
	assert_int_equal(lacking("invariants.cedar"), ERR_NOT_FOUND);
	assert_int_equal(lacking("templates.cedar"), ERR_NOT_FOUND);
	assert_int_equal(lacking("scenarios.json"), ERR_NOT_FOUND);
	assert_int_equal(bundle_read("/nowhere", &files, NULL), ERR_IO);
}

static void a_bundle_with_two_schemas_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *files = NULL;

	put_whole();
	put("y.cedarschema", "another schema");
	assert_int_equal(read_it(&files), ERR_SYNTAX);
}

/* What stands behind it would be lost. */
static void a_nul_in_a_policy_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/a.cedar", folder);
	CLEANUP(json_put_p) json_t *files = NULL;

	put_whole();
	assert_int_equal(file_write(path, slice_of("a\0b", 3), 0600), 0);
	assert_int_equal(read_it(&files), ERR_SYNTAX);
}

static void text_that_is_not_utf8_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *files = NULL;

	put_whole();
	put("a.cedar", "\xff\xfe");
	assert_int_equal(read_it(&files), ERR_SYNTAX);
	put_whole();
	put("scenarios.json", "{");
	assert_int_equal(read_it(&files), ERR_SYNTAX);
}

static void the_digest_is_over_the_four_members_alone(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *spec = NULL;
	CLEANUP(json_put_p) json_t *files = NULL;
	char of_files[DIGEST_TEXT_LEN];
	char of_spec[DIGEST_TEXT_LEN];

	put_whole();
	assert_int_equal(read_it(&spec), 0);
	bundle_digest(spec, of_files);
	json_set_text(spec, "scenarios", "are not what decides");
	files = bundle_files_of(spec);
	bundle_digest(files, of_spec);
	assert_string_equal(of_files, of_spec);
	json_set_text(files, "schema", "another");
	bundle_digest(files, of_spec);
	assert_string_not_equal(of_files, of_spec);
}

static void the_projects_own_bundle_is_whole(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *files = NULL;
	CLEANUP(json_put_p) json_t *scenarios = NULL;

	assert_int_equal(bundle_read(getenv("WRIT_POLICY"), &files, &scenarios),
			 0);
	assert_int_equal(json_object_size(files), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_cedar_file_of_a_folder_is_read),
		TEST(a_bundle_without_one_of_its_parts_is_refused),
		TEST(a_bundle_with_two_schemas_is_refused),
		TEST(a_nul_in_a_policy_is_refused),
		TEST(text_that_is_not_utf8_is_refused),
		TEST(the_digest_is_over_the_four_members_alone),
		TEST(the_projects_own_bundle_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
