#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/returned.h"

/* What is shown of a task, given as JSON with ' for ". */
static char *show(const char *text)
{
	CLEANUP(mem_free_p) char *json = mem_str(text);
	CLEANUP(json_put_p) json_t *task = NULL;
	struct cli cli = { 0 };
	char *shown = NULL;
	size_t len = 0;

	for (char *p = json; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	task = json_loads(json, 0, NULL);
	assert_non_null(task);
	cli.out = open_memstream(&shown, &len);
	returned_show(&cli, task);
	fclose(cli.out);
	return shown;
}

static void a_task_that_has_not_ended_has_none(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *shown = show("{'id':'tsk_1'}");

	assert_string_equal(shown, "");
}

static void what_did_not_happen_takes_one_line(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *shown = show("{'return':{'changed':[]}}");

	assert_string_equal(shown, "\nChanged: none\n\nLent: none\n"
				   "\nReported: none\n\nObserved: none\n"
				   "\nDifferences: none\n");
}

static void what_was_lent_says_how_it_ended(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *shown = show("{'return':{'lent':[{'target':'db','resource':'r',"
			   "'ended':'2026-11-22T10:00:00.000Z',"
			   "'why':'completed'},{'target':'host','resource':"
			   "'builder','unconfirmed':'no answer'}]}}");

	assert_non_null(strstr(shown, "completed"));
	assert_non_null(strstr(shown, "not confirmed: no answer"));
}

static void deeds_of_one_kind_are_counted_together(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *shown = show(
		"{'return':{'observed':[{'target':'db','complete':true,"
		"'deeds':[{'command':'SELECT','count':2},{'command':'INSERT',"
		"'count':1},{'command':'SELECT','count':3}]},{'target':'host',"
		"'complete':false,'why':'its connector is down','deeds':[]}]}"
		"}");

	assert_non_null(strstr(shown, "SELECT 5, INSERT 1  complete"));
	assert_non_null(strstr(shown, "nothing"));
	assert_non_null(strstr(shown, "not complete: its connector is down"));
}

static void where_they_differ_is_said_in_words(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *shown = show(
		"{'return':{'reportMissing':true,'more':true,'differences':["
		"{'kind':'not-reported','target':'db','action':'SELECT',"
		"'reported':0,'observed':3},{'kind':'not-observed','target':"
		"'db','action':'DELETE','reported':1,'observed':0},{'kind':"
		"'count','target':'db','action':'INSERT','reported':2,"
		"'observed':1},{'kind':'of later','target':'db'}]}}");

	assert_non_null(strstr(shown, "  db: SELECT observed 3 times, and not "
				      "reported\n"));
	assert_non_null(strstr(shown, "  db: DELETE reported once, and not "
				      "observed\n"));
	assert_non_null(strstr(shown, "  db: INSERT reported 2 times, observed "
				      "once\n"));
	assert_non_null(strstr(shown, "of later"));
	assert_non_null(strstr(shown, "the class demands it"));
	assert_non_null(strstr(shown, "more than was looked at"));
}

static void nothing_moves_the_cursor(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *shown = show(
		"{'return':{'differences':[{'kind':'count','target':'\\u001bdb'"
		",'action':'\\u001b[2J'}],'reported':[{'target':'db','action':"
		"'\\u001b[2J'}]}}");

	assert_null(strchr(shown, '\033'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_that_has_not_ended_has_none),
		cmocka_unit_test(what_did_not_happen_takes_one_line),
		cmocka_unit_test(what_was_lent_says_how_it_ended),
		cmocka_unit_test(deeds_of_one_kind_are_counted_together),
		cmocka_unit_test(where_they_differ_is_said_in_words),
		cmocka_unit_test(nothing_moves_the_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
