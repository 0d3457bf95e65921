#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_recorded_error_returns_its_code(void **state UNUSED)
{
	assert_int_equal(error_set(ERR_LIMIT, "%d bytes", 17), ERR_LIMIT);
	assert_string_equal(error_message(), "17 bytes");
}

static void a_system_error_carries_errno(void **state UNUSED)
{
	errno = ENOENT;
	assert_int_equal(error_sys("open '%s'", "x"), ERR_IO);
	assert_string_equal(error_message(),
			    "open 'x': No such file or directory");
	assert_int_equal(errno, ENOENT);
}

static void context_goes_in_front(void **state UNUSED)
{
	discard(error_set(ERR_CORRUPT, "record 3"));
	assert_int_equal(error_context(ERR_CORRUPT, "log '%s'", "a"),
			 ERR_CORRUPT);
	assert_string_equal(error_message(), "log 'a': record 3");
}

static void the_old_message_may_be_an_argument(void **state UNUSED)
{
	discard(error_set(ERR_IO, "inner"));
	discard(error_set(ERR_BROKEN, "outer (%s)", error_message()));
	assert_string_equal(error_message(), "outer (inner)");
}

static void a_long_message_is_cut_off(void **state UNUSED)
{
	char text[2 * ERROR_MESSAGE_MAX];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	discard(error_set(ERR_IO, "%s", text));
	assert_int_equal(strlen(error_message()), ERROR_MESSAGE_MAX - 1);
	discard(error_context(ERR_IO, "%s", text));
	assert_int_equal(strlen(error_message()), ERROR_MESSAGE_MAX - 1);
}

static void codes_have_names_and_others_do_not(void **state UNUSED)
{
	assert_string_equal(error_name(ERR_IO), "ERR_IO");
	assert_string_equal(error_name(ERR_REFUSED), "ERR_REFUSED");
	assert_string_equal(error_name(0), "?");
	assert_string_equal(error_name(1), "?");
	assert_string_equal(error_name(-11), "?");
	assert_string_equal(error_name(INT32_MIN), "?");
}

static void *record_elsewhere(void *cookie UNUSED)
{
	discard(error_set(ERR_IO, "theirs"));
	return NULL;
}

static void a_message_belongs_to_its_thread(void **state UNUSED)
{
	pthread_t thread;

	discard(error_set(ERR_IO, "ours"));
	assert_int_equal(pthread_create(&thread, NULL, record_elsewhere, NULL),
			 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(error_message(), "ours");
}

static int fails_on(int number, int *ret_reached)
{
	TRY(number == 1 ? ERR_BUSY : 0);
	*ret_reached = number;
	return 0;
}

static void try_passes_a_failure_up_and_nothing_else(void **state UNUSED)
{
	int reached = 0;

	assert_int_equal(fails_on(1, &reached), ERR_BUSY);
	assert_int_equal(reached, 0);
	assert_int_equal(fails_on(2, &reached), 0);
	assert_int_equal(reached, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recorded_error_returns_its_code),
		cmocka_unit_test(a_system_error_carries_errno),
		cmocka_unit_test(context_goes_in_front),
		cmocka_unit_test(the_old_message_may_be_an_argument),
		cmocka_unit_test(a_long_message_is_cut_off),
		cmocka_unit_test(codes_have_names_and_others_do_not),
		cmocka_unit_test(a_message_belongs_to_its_thread),
		cmocka_unit_test(try_passes_a_failure_up_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
