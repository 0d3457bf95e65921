#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "cli/args.h"
#include "cli/commands.h"

#define PARSE(ret, ...)                                                        \
	parse((const char *const[]){ "writ", __VA_ARGS__, NULL }, (ret))

static int parse(const char *const *words, struct args *ret_args)
{
	int count = 0;

	while (words[count])
		count++;
	return args_parse(&commands, count, words, ret_args);
}

static void a_noun_and_a_verb_find_their_command(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "request", "show", "req_1"), 0);
	assert_string_equal(a.command->verb, "show");
	assert_string_equal(args_operand(&a, 0), "req_1");
	assert_null(args_operand(&a, 1));
}

static void an_unknown_command_is_refused(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "frobnicate"), ERR_SYNTAX);
	assert_int_equal(PARSE(&a, "request", "frobnicate"), ERR_SYNTAX);
}

static void all_ways_to_write_an_option_mean_the_same(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "apply", "--file", "x"), 0);
	assert_string_equal(args_text(&a, "file", ""), "x");
	assert_int_equal(PARSE(&a, "apply", "--file=x"), 0);
	assert_string_equal(args_text(&a, "file", ""), "x");
	assert_int_equal(PARSE(&a, "apply", "-f", "x"), 0);
	assert_string_equal(args_text(&a, "file", ""), "x");
	assert_int_equal(PARSE(&a, "-ojson", "apply", "-fx"), 0);
	assert_string_equal(args_text(&a, "file", ""), "x");
	assert_string_equal(args_text(&a, "output", ""), "json");
}

static void a_value_may_look_like_an_option(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "apply", "--file", "--yes"), 0);
	assert_string_equal(args_text(&a, "file", ""), "--yes");
	assert_false(args_flag(&a, "yes"));
}

static void two_dashes_end_the_options(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "task", "show", "--", "--yes"), 0);
	assert_string_equal(args_operand(&a, 0), "--yes");
}

static void
an_option_behind_another_programs_name_is_explained(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "run", "echo", "hi", "-n"), ERR_SYNTAX);
	assert_non_null(strstr(error_message(), "put -- before 'echo'"));
	assert_int_equal(PARSE(&a, "run", "-n", "echo"), ERR_SYNTAX);
	assert_null(strstr(error_message(), "put --"));
	assert_int_equal(PARSE(&a, "task", "show", "tsk_1", "-n"), ERR_SYNTAX);
	assert_null(strstr(error_message(), "put --"));
}

static void a_required_option_that_is_missing_is_named(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "agent", "contain", "bot"), ERR_SYNTAX);
	assert_non_null(strstr(error_message(), "--reason"));
}

static void help_needs_nothing_else(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "agent", "contain", "--help"), 0);
	assert_true(a.help);
	assert_int_equal(PARSE(&a, "agent", "-h"), 0);
	assert_true(a.help);
	assert_null(a.command);
}

static void an_option_of_another_command_is_refused(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "task", "list", "--class", "x"), ERR_SYNTAX);
}

static void a_value_outside_the_choices_is_refused(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "whoami", "-o", "xml"), ERR_SYNTAX);
	assert_int_equal(PARSE(&a, "whoami", "-o", "jso"), ERR_SYNTAX);
	assert_int_equal(PARSE(&a, "whoami", "-o", ""), ERR_SYNTAX);
	assert_int_equal(PARSE(&a, "whoami", "-o", "table|json"), ERR_SYNTAX);
	assert_int_equal(PARSE(&a, "whoami", "-o", "json"), 0);
}

static void only_repeatable_options_may_be_given_twice(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "apply", "-f", "x", "-f", "y"), ERR_SYNTAX);
	assert_int_equal(PARSE(&a, "task", "open", "-c", "x", "-i", "y",
			       "--target", "a", "--target", "b", "--ttl", "1h"),
			 0);
	assert_int_equal(a.value_count, 5);
}

static void a_flag_takes_no_value(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "whoami", "--yes=no"), ERR_SYNTAX);
}

static void an_option_without_its_value_is_refused(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "apply", "--file"), ERR_SYNTAX);
	assert_int_equal(PARSE(&a, "apply", "-f"), ERR_SYNTAX);
}

static void a_word_too_many_or_too_few_is_refused(void **state UNUSED)
{
	struct args a;

	assert_int_equal(PARSE(&a, "task", "show"), ERR_SYNTAX);
	assert_int_equal(PARSE(&a, "task", "show", "a", "b"), ERR_SYNTAX);
}

static void too_many_options_are_refused(void **state UNUSED)
{
	const char *words[2 * ARGS_VALUES_MAX + 8] = { "writ", "task", "open" };
	struct args a;

	for (size_t i = 0; i <= ARGS_VALUES_MAX; i++) {
		words[3 + 2 * i] = "--target";
		words[4 + 2 * i] = "x";
	}
	assert_int_equal(parse(words, &a), ERR_LIMIT);
}

static void no_command_takes_a_token_as_an_option(void **state UNUSED)
{
	for (size_t i = 0; i < commands.count; i++) {
		const struct option_row *row = commands.commands[i].options;

		for (; row && row->name; row++)
			assert_string_not_equal(row->name, "token");
	}
	for (const struct option_row *row = commands.globals; row->name; row++)
		assert_string_not_equal(row->name, "token");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_noun_and_a_verb_find_their_command),
		cmocka_unit_test(an_unknown_command_is_refused),
		cmocka_unit_test(all_ways_to_write_an_option_mean_the_same),
		cmocka_unit_test(a_value_may_look_like_an_option),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(
			an_option_behind_another_programs_name_is_explained),
		cmocka_unit_test(a_required_option_that_is_missing_is_named),
		cmocka_unit_test(help_needs_nothing_else),
		cmocka_unit_test(an_option_of_another_command_is_refused),
		cmocka_unit_test(a_value_outside_the_choices_is_refused),
		cmocka_unit_test(only_repeatable_options_may_be_given_twice),
		cmocka_unit_test(a_flag_takes_no_value),
		cmocka_unit_test(an_option_without_its_value_is_refused),
		cmocka_unit_test(a_word_too_many_or_too_few_is_refused),
		cmocka_unit_test(too_many_options_are_refused),
		cmocka_unit_test(no_command_takes_a_token_as_an_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
