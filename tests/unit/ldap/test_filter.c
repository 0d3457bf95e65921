#include "connectors/ldap/filter.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *const others[] = { "uid=b,dc=x", "uid=c,dc=x" };

static struct filter_change sample(bool add)
{
	return (struct filter_change){
		.group = "cn=g,dc=x",
		.uuid = "u-1",
		.attribute = "member",
		.member = "uid=a,dc=x",
		.add = add,
		.keeps_one = true,
		.others = others,
		.other_count = ARRAY_LEN(others),
	};
}

static void a_value_is_data_whatever_it_holds(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);

	filter_put_equals(&b, "member", slice_str("a*)(uid=*\\|&!"));
	assert_string_equal(buf_text(&b),
			    "(member=a\\2A\\29\\28uid=\\2A\\5C|&!)");
	buf_reset(&b);
	filter_put_equals(&b, "member", slice_of("a\0b\xff", 4));
	assert_string_equal(buf_text(&b), "(member=a\\00b\\FF)");
	buf_reset(&b);
	filter_put_equals(&b, "member", slice_of(NULL, 0));
	assert_string_equal(buf_text(&b), "(member=)");
}

static void an_addition_asserts_that_the_value_is_absent(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);
	const struct filter_change change = sample(true);

	filter_put_assertion(&b, &change);
	assert_string_equal(buf_text(&b),
			    "(|(&(entryUUID=u-1)(!(member=uid=a,dc=x)))"
			    "(!(entryDN=cn=g,dc=x)))");
}

static void a_removal_asserts_that_somebody_stays(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);
	const struct filter_change change = sample(false);

	filter_put_assertion(&b, &change);
	assert_string_equal(buf_text(&b),
			    "(|(&(entryUUID=u-1)(member=uid=a,dc=x)"
			    "(|(member=uid=b,dc=x)(member=uid=c,dc=x)))"
			    "(!(entryDN=cn=g,dc=x)))");
}

static void a_removal_of_the_last_member_asserts_false(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);
	struct filter_change change = sample(false);

	change.other_count = 0;
	filter_put_assertion(&b, &change);
	assert_non_null(strstr(buf_text(&b), "(member=uid=a,dc=x)(|))"));
}

static void the_condition_names_nothing_else_of_the_group(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);
	struct filter_change change = sample(false);

	filter_put_condition(&b, &change);
	assert_string_equal(buf_text(&b),
			    "(&(entryUUID=u-1)(member=uid=a,dc=x))");
	buf_reset(&b);
	change.add = true;
	change.uuid = NULL;
	filter_put_condition(&b, &change);
	assert_string_equal(buf_text(&b), "(&(!(member=uid=a,dc=x)))");
}

static void metacharacters_do_not_leave_their_clause(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);
	struct filter_change change = sample(true);

	change.group = "cn=*)(objectClass=*,dc=x";
	change.member = "cn=)(|(cn=\\2C,dc=x";
	change.uuid = "*";
	filter_put_assertion(&b, &change);
	assert_string_equal(
		buf_text(&b),
		"(|(&(entryUUID=\\2A)(!(member=cn=\\29\\28|\\28cn=\\5C2C,dc=x"
		")))(!(entryDN=cn=\\2A\\29\\28objectClass=\\2A,dc=x)))");
}

static void a_filter_that_does_not_fit_is_reported(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(16);
	const struct filter_change change = sample(true);
	struct slice bytes;

	filter_put_assertion(&b, &change);
	assert_true(buf_finish(&b, &bytes) < 0);
}

static void a_group_that_may_be_empty_keeps_nobody(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);
	struct filter_change change = sample(false);

	change.keeps_one = false;
	change.attribute = "memberUid";
	change.member = "a";
	filter_put_assertion(&b, &change);
	assert_string_equal(buf_text(&b), "(|(&(entryUUID=u-1)(memberUid=a))"
					  "(!(entryDN=cn=g,dc=x)))");
}

static void a_lock_asserts_the_value_that_was_seen(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);
	struct filter_lock lock = { "uid=a,dc=x", "u-1", "locked", NULL };

	filter_put_lock_assertion(&b, &lock);
	assert_string_equal(buf_text(&b), "(|(&(entryUUID=u-1)(!(locked=*)))"
					  "(!(entryDN=uid=a,dc=x)))");
	buf_reset(&b);
	lock.value = "*)(x=";
	filter_put_lock_condition(&b, &lock);
	assert_string_equal(buf_text(&b),
			    "(&(entryUUID=u-1)(locked=\\2A\\29\\28x=))");
}

static void only_so_many_others_are_named(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);
	const char *many[FILTER_OTHERS_MAX + 5];
	struct filter_change change = sample(false);
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = "uid=z,dc=x";
	change.others = many;
	change.other_count = ARRAY_LEN(many);
	filter_put_assertion(&b, &change);
	for (const char *at = strstr(buf_text(&b), "uid=z"); at;
	     at = strstr(at + 1, "uid=z"))
		count++;
	assert_int_equal(count, FILTER_OTHERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_data_whatever_it_holds),
		cmocka_unit_test(an_addition_asserts_that_the_value_is_absent),
		cmocka_unit_test(a_removal_asserts_that_somebody_stays),
		cmocka_unit_test(a_removal_of_the_last_member_asserts_false),
		cmocka_unit_test(the_condition_names_nothing_else_of_the_group),
		cmocka_unit_test(metacharacters_do_not_leave_their_clause),
		cmocka_unit_test(a_filter_that_does_not_fit_is_reported),
		cmocka_unit_test(only_so_many_others_are_named),
		cmocka_unit_test(a_group_that_may_be_empty_keeps_nobody),
		cmocka_unit_test(a_lock_asserts_the_value_that_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
