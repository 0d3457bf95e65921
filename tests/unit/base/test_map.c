#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MANY = 10000 };

static int numbers[MANY];

static const char *key_of(size_t i, char text[32])
{
	snprintf(text, 32, "key-%zu", i);
	return text;
}

static struct map *map_of_many(void)
{
	struct map *m = map_new();
	char key[32];

	for (size_t i = 0; i < MANY; i++)
		map_put(m, key_of(i, key), &numbers[i]);
	return m;
}

static void what_was_put_is_found_and_nothing_else(void **state UNUSED)
{
	CLEANUP(map_free_p) struct map *m = map_of_many();
	char key[32];

	assert_int_equal(map_count(m), MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(map_get(m, key_of(i, key)), &numbers[i]);
	assert_null(map_get(m, "key-"));
	assert_null(map_get(m, "key-10000"));
	assert_null(map_get(m, ""));
	assert_null(map_get(m, NULL));
}

static void an_empty_map_has_nothing(void **state UNUSED)
{
	CLEANUP(map_free_p) struct map *m = map_new();
	size_t at = 0;

	assert_int_equal(map_count(m), 0);
	assert_null(map_get(m, "a"));
	assert_null(map_remove(m, "a"));
	assert_null(map_next(m, &at, NULL));
}

static void the_map_keeps_its_own_keys(void **state UNUSED)
{
	CLEANUP(map_free_p) struct map *m = map_new();
	char key[] = "alpha";

	map_put(m, key, &numbers[0]);
	key[0] = 'A';
	assert_ptr_equal(map_get(m, "alpha"), &numbers[0]);
	assert_null(map_get(m, "Alpha"));
}

static void a_key_has_one_value(void **state UNUSED)
{
	CLEANUP(map_free_p) struct map *m = map_new();

	map_put(m, "a", &numbers[0]);
	map_put(m, "a", &numbers[1]);
	assert_int_equal(map_count(m), 1);
	assert_ptr_equal(map_get(m, "a"), &numbers[1]);
	map_put(m, "", &numbers[2]);
	assert_ptr_equal(map_get(m, ""), &numbers[2]);
}

static void what_is_removed_is_gone_and_the_rest_stays(void **state UNUSED)
{
	CLEANUP(map_free_p) struct map *m = map_of_many();
	char key[32];

	for (size_t i = 0; i < MANY; i += 2)
		assert_ptr_equal(map_remove(m, key_of(i, key)), &numbers[i]);
	assert_int_equal(map_count(m), MANY / 2);
	assert_null(map_remove(m, "key-0"));
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(map_get(m, key_of(i, key)),
				 i % 2 ? &numbers[i] : NULL);
	map_put(m, "key-0", &numbers[7]);
	assert_ptr_equal(map_get(m, "key-0"), &numbers[7]);
}

static void a_walk_meets_everything_once(void **state UNUSED)
{
	CLEANUP(map_free_p) struct map *m = map_of_many();
	size_t met = 0;
	size_t at = 0;
	const char *key = NULL;
	int *value;

	memset(numbers, 0, sizeof(numbers));
	while ((value = map_next(m, &at, &key))) {
		char wanted[32];

		assert_string_equal(key,
				    key_of((size_t)(value - numbers), wanted));
		assert_int_equal(++*value, 1);
		met++;
	}
	assert_int_equal(met, MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_found_and_nothing_else),
		cmocka_unit_test(an_empty_map_has_nothing),
		cmocka_unit_test(the_map_keeps_its_own_keys),
		cmocka_unit_test(a_key_has_one_value),
		cmocka_unit_test(what_is_removed_is_gone_and_the_rest_stays),
		cmocka_unit_test(a_walk_meets_everything_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
