/* Policy bundles in folders: packing and checking offline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/manifests.h"
#include "config/bundle.h"
#include "fixture.h"

/* The project's own bundle. */
static const char *project(void)
{
	const char *folder = getenv("WRIT_POLICY");

	assert_non_null(folder);
	return folder;
}

/* A folder with these files, empty ones; the last name is NULL. */
static void make_bundle(const char *folder, const char *const *names)
{
	CLEANUP(mem_free_p) char *path = fixture_path(folder);

	assert_int_equal(file_make_folder(path), 0);
	for (; *names; names++) {
		CLEANUP(mem_free_p)
		char *name = mem_format("%s/%s", folder, *names);

		fixture_write(name, "");
	}
}

static void
the_projects_bundle_is_valid_and_its_digest_is_ours(void **state UNUSED)
{
	CLEANUP(run_clear) struct run r = RUN("", "policy", "check", project());
	CLEANUP(json_put_p) json_t *files = NULL;
	char digest[DIGEST_TEXT_LEN];

	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(bundle_read(project(), &files, NULL), 0);
	bundle_digest(files, digest);
	assert_non_null(strstr(r.out, digest));
}

static void the_projects_scenarios_hold(void **state UNUSED)
{
	CLEANUP(run_clear) struct run r = RUN("", "policy", "test", project());

	assert_int_equal(r.code, CLI_OK);
	assert_non_null(strstr(r.out, "scenarios hold"));
}

static void a_policy_that_does_not_parse_is_found(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *files = NULL;
	CLEANUP(mem_free_p) char *folder = fixture_path("broken");
	CLEANUP(run_clear) struct run r = { 0 };
	static const char *const names[] = { "invariants.cedar",
					     "templates.cedar", NULL };

	assert_int_equal(bundle_read(project(), &files, NULL), 0);
	make_bundle("broken", names);
	fixture_write("broken/g.cedarschema", json_text(files, "schema", ""));
	fixture_write("broken/p.cedar", "permit (principal, action resource);");
	r = RUN("", "policy", "check", folder);
	assert_int_equal(r.code, CLI_FINDING);
	assert_string_not_equal(r.err, "");
}

static void a_packed_bundle_can_be_applied(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = RUN("", "policy", "pack", project(), "--name", "house");
	CLEANUP(mem_free_p) char *path = fixture_path("packed.yaml");
	CLEANUP(json_put_p) json_t *manifests = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(json_put_p) json_t *files = NULL;
	CLEANUP(json_put_p) json_t *again = NULL;

	assert_int_equal(r.code, CLI_OK);
	fixture_write("packed.yaml", r.out);
	assert_int_equal(manifests_read(path, &manifests, &faults), 0);
	assert_int_equal(json_array_size(faults), 0);
	assert_int_equal(json_array_size(manifests), 1);
	assert_int_equal(bundle_read(project(), &files, NULL), 0);
	again = bundle_files_of(
		json_object_get(json_array_get(manifests, 0), "spec"));
	assert_true(json_equal(files, again));
}

static int open_all(void **state UNUSED)
{
	fixture_open();
	return 0;
}

static int close_all(void **state UNUSED)
{
	fixture_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_projects_bundle_is_valid_and_its_digest_is_ours),
		cmocka_unit_test(the_projects_scenarios_hold),
		cmocka_unit_test(a_policy_that_does_not_parse_is_found),
		cmocka_unit_test(a_packed_bundle_can_be_applied),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
