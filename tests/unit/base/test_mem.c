#include "base/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void new_memory_is_zero(void **state UNUSED)
{
	CLEANUP(mem_free_p) uint8_t *bytes = mem_alloc(100);

	for (size_t i = 0; i < 100; i++)
		assert_int_equal(bytes[i], 0);
}

static void nothing_is_still_an_allocation(void **state UNUSED)
{
	CLEANUP(mem_free_p) void *none = mem_alloc(0);
	CLEANUP(mem_free_p) void *empty = mem_array(0, 8);

	assert_non_null(none);
	assert_non_null(empty);
}

static void growing_keeps_what_was_there(void **state UNUSED)
{
	CLEANUP(mem_free_p) int *numbers = mem_grow(NULL, 2, sizeof(int));

	numbers[0] = 1;
	numbers[1] = 2;
	numbers = mem_grow(numbers, 1000, sizeof(int));
	assert_int_equal(numbers[0], 1);
	assert_int_equal(numbers[1], 2);
}

/* Runs fn in a child; true if it was ended by abort(). */
static bool ends_the_process(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		discard(close(STDERR_FILENO));
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void ask_for_too_much(void)
{
	volatile size_t half = SIZE_MAX / 2;
	void *volatile pointer = mem_array(half, 4);

	free(pointer);
}

static void an_overflowing_product_ends_the_process(void **state UNUSED)
{
	assert_true(ends_the_process(ask_for_too_much));
}

static void text_is_copied_and_null_stays_null(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *copy = mem_str("text");

	assert_string_equal(copy, "text");
	assert_null(mem_str(NULL));
}

static void text_is_formatted(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = mem_format("%s-%d", "a", 5);

	assert_string_equal(text, "a-5");
}

static void a_wipe_overwrites(void **state UNUSED)
{
	char secret[] = "secret";

	mem_wipe(secret, sizeof(secret));
	for (size_t i = 0; i < sizeof(secret); i++)
		assert_int_equal(secret[i], 0);
	mem_wipe(NULL, 0);
}

static void taking_moves_ownership(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *from = mem_str("x");
	CLEANUP(mem_free_p) char *to = TAKE(from);

	assert_null(from);
	assert_string_equal(to, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_memory_is_zero),
		cmocka_unit_test(nothing_is_still_an_allocation),
		cmocka_unit_test(growing_keeps_what_was_there),
		cmocka_unit_test(an_overflowing_product_ends_the_process),
		cmocka_unit_test(text_is_copied_and_null_stays_null),
		cmocka_unit_test(text_is_formatted),
		cmocka_unit_test(a_wipe_overwrites),
		cmocka_unit_test(taking_moves_ownership),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
