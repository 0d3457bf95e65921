#include "connectors/ldap/group_kind.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "connectors/ldap/directory.h"

static void an_entry_of_two_kinds_is_the_first(void **state UNUSED)
{
	const struct group_kind *kind = group_kind_of(
		DIRECTORY_POSIX_GROUP | DIRECTORY_GROUP_OF_NAMES, NULL);

	assert_non_null(kind);
	assert_string_equal(kind->attribute, "member");
	assert_true(kind->needs_one);
}

static void a_role_is_told_by_where_it_names_who_has_it(void **state UNUSED)
{
	const struct group_kind *kind =
		group_kind_of(DIRECTORY_ROLE, "ROLEOCCUPANT");

	assert_non_null(kind);
	assert_false(kind->needs_one);
	assert_null(group_kind_of(DIRECTORY_ROLE, NULL));
	assert_null(group_kind_of(DIRECTORY_ROLE, "member"));
	assert_non_null(group_kind_of(DIRECTORY_GROUP_OF_NAMES, "member"));
	assert_true(group_kind_has("memberUid"));
	assert_false(group_kind_has("description"));
}

static void what_nobody_can_count_is_no_group(void **state UNUSED)
{
	assert_null(group_kind_of(DIRECTORY_DYNAMIC_GROUP, NULL));
	assert_null(group_kind_of(
		DIRECTORY_DYNAMIC_GROUP | DIRECTORY_GROUP_OF_NAMES, NULL));
	assert_null(group_kind_of(DIRECTORY_FOREIGN, NULL));
	assert_null(group_kind_of(0, NULL));
	assert_string_equal(group_kind_other(0), "no group");
}

static void classes_are_known_by_name_and_by_number(void **state UNUSED)
{
	assert_int_equal(directory_class(slice_str("GROUPOFNAMES")),
			 DIRECTORY_GROUP_OF_NAMES);
	assert_int_equal(directory_class(slice_str("2.5.6.17")),
			 DIRECTORY_GROUP_OF_UNIQUE_NAMES);
	assert_int_equal(directory_class(slice_str("groupOfName")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_of_two_kinds_is_the_first),
		cmocka_unit_test(a_role_is_told_by_where_it_names_who_has_it),
		cmocka_unit_test(what_nobody_can_count_is_no_group),
		cmocka_unit_test(classes_are_known_by_name_and_by_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
