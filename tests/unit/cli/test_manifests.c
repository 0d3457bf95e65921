#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/manifests.h"
#include "fixture.h"

struct read {
	json_t *manifests;
	json_t *faults;
};

static void read_clear(struct read *r)
{
	json_decref(r->manifests);
	json_decref(r->faults);
}

static int read_all(const char *name, struct read *r)
{
	CLEANUP(mem_free_p) char *path = fixture_path(name);

	return manifests_read(path, &r->manifests, &r->faults);
}

static const char *fault(const struct read *r, size_t i)
{
	const char *text = json_string_value(json_array_get(r->faults, i));

	return text ? text : "";
}

static void make_folder(const char *name)
{
	CLEANUP(mem_free_p) char *path = fixture_path(name);

	assert_int_equal(file_make_folder(path), 0);
}

static void every_document_of_a_folder_is_read_in_order(void **state UNUSED)
{
	CLEANUP(read_clear) struct read r = { 0 };

	make_folder("good");
	fixture_write("good/b.yaml", "kind: Group\nmetadata: { name: two }\n"
				     "spec: {}\n---\nkind: Group\n"
				     "metadata: { name: three }\nspec: {}\n");
	fixture_write("good/a.yml", "kind: Group\nmetadata: { name: one }\n"
				    "spec: {}\n");
	fixture_write("good/readme.txt", "not a manifest");
	fixture_write("good/.hidden.yaml", "neither: this");
	assert_int_equal(read_all("good", &r), 0);
	assert_int_equal(json_array_size(r.faults), 0);
	assert_int_equal(json_array_size(r.manifests), 3);
	assert_string_equal(
		json_text(json_object_get(json_array_get(r.manifests, 0),
					  "metadata"),
			  "name", ""),
		"one");
}

static void faults_are_named_by_file_line_and_column(void **state UNUSED)
{
	CLEANUP(read_clear) struct read r = { 0 };

	fixture_write("bad.yaml", "kind: Group\nmetadata: { name: one }\n"
				  "spec:\n  parentss: []\n");
	assert_int_equal(read_all("bad.yaml", &r), 0);
	assert_int_equal(json_array_size(r.faults), 1);
	assert_non_null(strstr(fault(&r, 0), "bad.yaml:4:3"));
}

static void a_file_that_is_no_yaml_is_a_fault(void **state UNUSED)
{
	CLEANUP(read_clear) struct read r = { 0 };

	fixture_write("broken.yaml", "kind: [\n");
	assert_int_equal(read_all("broken.yaml", &r), 0);
	assert_int_equal(json_array_size(r.faults), 1);
	assert_non_null(strstr(fault(&r, 0), "broken.yaml:"));
}

static void the_same_thing_twice_is_a_fault(void **state UNUSED)
{
	CLEANUP(read_clear) struct read r = { 0 };

	fixture_write("twice.yaml", "kind: Group\nmetadata: { name: one }\n"
				    "spec: {}\n---\nkind: Group\n"
				    "metadata: { name: one }\nspec: {}\n");
	assert_int_equal(read_all("twice.yaml", &r), 0);
	assert_int_equal(json_array_size(r.faults), 1);
	assert_non_null(strstr(fault(&r, 0), "Group/one"));
}

static void a_path_that_is_not_there_is_an_error(void **state UNUSED)
{
	CLEANUP(read_clear) struct read r = { 0 };

	assert_int_equal(read_all("nowhere", &r), ERR_NOT_FOUND);
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
		cmocka_unit_test(every_document_of_a_folder_is_read_in_order),
		cmocka_unit_test(faults_are_named_by_file_line_and_column),
		cmocka_unit_test(a_file_that_is_no_yaml_is_a_fault),
		cmocka_unit_test(the_same_thing_twice_is_a_fault),
		cmocka_unit_test(a_path_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
