#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/router.h"

static const struct http_route routes[] = {
	{ "GET", "/", 0, NULL, "" },
	{ "GET", "/tasks", 0, NULL, "" },
	{ "POST", "/tasks", 64, NULL, "" },
	{ "GET", "/tasks/open", 0, NULL, "" },
	{ "GET", "/tasks/{id}", 0, NULL, "" },
	{ "POST", "/tasks/{id}/records/{n}", 64, NULL, "" },
	{ "GET", "/tile/{rest...}", 0, NULL, "" },
};

static char memory[512];
static struct target t;
static struct route_match m;

static void find(const char *method, const char *target)
{
	assert_null(target_parse(target, memory, &t));
	route_find(routes, ARRAY_LEN(routes), method, &t, &m);
}

static void a_row_is_found_by_path_and_method(void **state UNUSED)
{
	find("POST", "/tasks");
	assert_ptr_equal(m.route, &routes[2]);
	find("GET", "/");
	assert_ptr_equal(m.route, &routes[0]);
	find("HEAD", "/tasks");
	assert_ptr_equal(m.route, &routes[1]);
}

static void the_first_row_in_the_table_wins(void **state UNUSED)
{
	find("GET", "/tasks/open");
	assert_ptr_equal(m.route, &routes[3]);
	assert_int_equal(m.param_count, 0);
}

static void parameters_are_taken_from_the_path(void **state UNUSED)
{
	find("POST", "/tasks/tsk_1/records/7");
	assert_ptr_equal(m.route, &routes[5]);
	assert_int_equal(m.param_count, 2);
	assert_true(slice_is(m.params[0].name, "id"));
	assert_string_equal(m.params[0].value, "tsk_1");
	assert_string_equal(m.params[1].value, "7");
	find("GET", "/tile/0/x001/067");
	assert_true(slice_is(m.params[0].name, "rest"));
	assert_string_equal(m.params[0].value, "0/x001/067");
}

static void a_path_that_no_row_has_is_not_found(void **state UNUSED)
{
	static const char *const paths[] = { "/task", "/tasks/a/b", "/tile",
					     "/tasks/a/records",
					     "/tile/a%2Fb" };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		find("GET", paths[i]);
		assert_null(m.route);
		assert_string_equal(m.allow, "");
	}
}

static void another_method_is_told_the_right_ones(void **state UNUSED)
{
	find("DELETE", "/tasks");
	assert_null(m.route);
	assert_string_equal(m.allow, "GET, HEAD, POST");
	find("get", "/tasks");
	assert_null(m.route);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_found_by_path_and_method),
		cmocka_unit_test(the_first_row_in_the_table_wins),
		cmocka_unit_test(parameters_are_taken_from_the_path),
		cmocka_unit_test(a_path_that_no_row_has_is_not_found),
		cmocka_unit_test(another_method_is_told_the_right_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
