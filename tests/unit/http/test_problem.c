#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/problem.h"

static void a_problem_has_the_members_of_rfc_9457(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *p = problem_new(403, "denied", "not for you", NULL);

	assert_string_equal(json_text(p, "type", ""),
			    "urn:writ:problem:denied");
	assert_string_equal(json_text(p, "title", ""), "Forbidden");
	assert_int_equal(json_int(p, "status", 0), 403);
	assert_string_equal(json_text(p, "detail", ""), "not for you");
	assert_string_equal(json_text(p, "code", ""), "denied");
}

static void further_members_do_not_replace_those(void **state UNUSED)
{
	json_t *more = json_pack("{s:s, s:i}", "code", "allowed", "left", 3);
	CLEANUP(json_put_p)
	json_t *p = problem_new(499, "denied", "no", more);

	assert_string_equal(json_text(p, "code", ""), "denied");
	assert_int_equal(json_int(p, "left", 0), 3);
	assert_string_equal(json_text(p, "title", ""), "Error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_problem_has_the_members_of_rfc_9457),
		cmocka_unit_test(further_members_do_not_replace_those),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
