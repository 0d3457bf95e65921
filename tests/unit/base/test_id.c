#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"

static void an_id_is_recognised_by_its_prefix(void **state UNUSED)
{
	char id[ID_MAX];

	id_new("ex", id);
	assert_true(id_is("ex", id));
	assert_false(id_is("ey", id));
	assert_false(id_is("exe", id));
	assert_int_equal(strlen(id), 35);
}

static void ids_differ_and_sort_by_time(void **state UNUSED)
{
	char last[ID_MAX] = "";

	for (int i = 0; i < 100; i++) {
		char id[ID_MAX];
		int64_t now = clock_wall_ms();

		id_new("plan", id);
		assert_string_not_equal(id, last);
		/* the first 12 digits are the milliseconds */
		assert_true(strncmp(id, last, 5 + 12) >= 0);
		memcpy(last, id, sizeof(last));
		last[5 + 12] = '\0';
		assert_true(strtoll(last + 5, NULL, 16) >= now);
		memcpy(last, id, sizeof(last));
	}
}

static void what_is_no_id_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",
		"ex",
		"ex_",
		"ex_01890a5d-ac96-774b-bcce-b302099a8057",
		"ex_01890A5DAC96774BBCCEB302099A8057",
		"ex_01890a5dac96474bbcceb302099a8057",
		"ex_01890a5dac96774bccceb302099a8057",
		"ex_01890a5dac96774bbcceb302099a805",
		"ex_01890a5dac96774bbcceb302099a80577",
		"ex-01890a5dac96774bbcceb302099a8057",
		" ex_01890a5dac96774bbcceb302099a8057",
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(id_is("ex", wrong[i]));
	assert_false(id_is("ex", NULL));
	assert_true(id_is("ex", "ex_01890a5dac96774bbcceb302099a8057"));
	assert_false(id_is("", "_01890a5dac96774bbcceb302099a8057"));
}

static void random_bytes_fill_the_whole_size(void **state UNUSED)
{
	uint8_t bytes[1000] = { 0 };
	unsigned zeros = 0;

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		zeros += bytes[i] == 0;
	assert_true(zeros < 100);
	random_bytes(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_recognised_by_its_prefix),
		cmocka_unit_test(ids_differ_and_sort_by_time),
		cmocka_unit_test(what_is_no_id_is_refused),
		cmocka_unit_test(random_bytes_fill_the_whole_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
