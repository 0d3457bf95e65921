#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "govern/action.h"

/*
 * The declaration of an action in the schema's text, from its name to the ';':
 * "AddToGroup in [Privileged]\n appliesTo {...}"; owned.
 */
static char *declared(const char *schema, const char *action)
{
	CLEANUP(mem_free_p)
	char *start = mem_format("\n  action %s in", action);
	const char *at = strstr(schema, start);
	const char *end = at ? strchr(at, ';') : NULL;

	assert_non_null(end);
	return mem_format("%.*s", (int)(end - at), at);
}

static void
each_action_stands_in_the_schema_as_in_the_table(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *schema = support_file(SCHEMA_FILE);
	size_t count;
	const struct action *table = action_table(&count);

	assert_true(count > 0);
	for (size_t i = 0; i < count; i++) {
		CLEANUP(mem_free_p)
		char *text = declared(schema, table[i].name);
		CLEANUP(mem_free_p)
		char *resource =
			mem_format("resource: [%s]", table[i].resource_type);

		assert_non_null(strstr(text, "principal: [Agent]"));
		assert_non_null(strstr(text, resource));
		assert_int_equal(strstr(text, "Privileged") != NULL,
				 table[i].privileged);
		assert_int_equal(strstr(text, "Containing") != NULL,
				 table[i].containing);
	}
}

/* The schema's own list: "//  AddToGroup  Privileged  DirectoryGroup  inverse"
 */
static void the_inverse_is_the_one_the_schema_tells(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *schema = support_file(SCHEMA_FILE);
	size_t count;
	const struct action *table = action_table(&count);

	for (size_t i = 0; i < count; i++) {
		CLEANUP(mem_free_p)
		char *start = mem_format("\n  //  %s ", table[i].name);
		const char *row = strstr(schema, start);
		char name[64], group[64], type[64], inverse[64];

		assert_non_null(row);
		assert_int_equal(sscanf(row, " // %63s %63s %63s %63s", name,
					group, type, inverse),
				 4);
		assert_string_equal(type, table[i].resource_type);
		assert_string_equal(inverse,
				    table[i].inverse ? table[i].inverse : "-");
	}
}

static void the_inverse_of_the_inverse_is_the_action(void **state UNUSED)
{
	size_t count;
	const struct action *table = action_table(&count);

	for (size_t i = 0; i < count; i++) {
		const struct action *inverse = action_find(table[i].inverse);

		if (!table[i].inverse)
			continue;
		assert_non_null(inverse);
		if (table[i].lends)
			continue;
		assert_string_equal(inverse->inverse, table[i].name);
		assert_string_equal(inverse->resource_type,
				    table[i].resource_type);
		assert_int_not_equal(inverse->privileged, table[i].privileged);
		/* Only what adds power can end; a resumed account stays. */
		if (table[i].grants)
			assert_true(table[i].privileged);
	}
}

static void what_only_reads_stands_apart_from_what_changes(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *schema = support_file(SCHEMA_FILE);
	size_t count;
	const struct action *table = action_table(&count);

	for (size_t i = 0; i < count; i++) {
		CLEANUP(mem_free_p)
		char *start = mem_format("\n  //  %s ", table[i].name);
		char name[64], group[64];
		const char *row = strstr(schema, start);

		assert_non_null(row);
		assert_int_equal(sscanf(row, " // %63s %63s", name, group), 2);
		assert_int_equal(!strcmp(group, "Read"), table[i].reads);
		if (!table[i].reads)
			continue;
		assert_null(table[i].inverse);
		assert_false(table[i].privileged || table[i].containing ||
			     table[i].grants);
	}
}

/* What was taken back is not lent again: it would be another. */
static void what_is_lent_is_taken_back_for_good(void **state UNUSED)
{
	const struct action *lend = action_find("IssueCredential");
	const struct action *back = action_find("RevokeCredential");

	assert_true(lend->lends && lend->grants && lend->privileged);
	assert_string_equal(lend->inverse, "RevokeCredential");
	assert_true(action_takes_back_lent(back));
	assert_true(back->containing && !back->lends && !back->grants);
	assert_string_equal(back->resource_type, lend->resource_type);
	assert_null(back->inverse);
	assert_false(action_takes_back_lent(lend));
	assert_false(action_takes_back_lent(action_find("RevokeRole")));
	assert_false(action_takes_back_lent(NULL));
}

static void names_are_found_exactly_and_are_not_given_twice(void **state UNUSED)
{
	size_t count;
	const struct action *table = action_table(&count);

	for (size_t i = 0; i < count; i++) {
		assert_ptr_equal(action_find(table[i].name), &table[i]);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(table[i].wire, table[j].wire);
		assert_true(strlen(table[i].words) > 0);
	}
	assert_null(action_find("addToGroup"));
	assert_null(action_find("AddToGrou"));
	assert_null(action_find(""));
	assert_null(action_find(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			each_action_stands_in_the_schema_as_in_the_table),
		cmocka_unit_test(the_inverse_is_the_one_the_schema_tells),
		cmocka_unit_test(the_inverse_of_the_inverse_is_the_action),
		cmocka_unit_test(
			what_only_reads_stands_apart_from_what_changes),
		cmocka_unit_test(what_is_lent_is_taken_back_for_good),
		cmocka_unit_test(
			names_are_found_exactly_and_are_not_given_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
