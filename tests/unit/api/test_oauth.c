/* What the token endpoint reads and counts by itself. */
#include "api/oauth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

static void details_of_the_one_type_are_taken(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *detail = NULL;
	CLEANUP(mem_free_p)
	char *why = oauth_details("[{\"type\":\"writ_task\",\"task\":\"tsk_1\","
				  "\"actions\":[\"read\"],\"locations\":["
				  "\"https://api.example/\"],\"identifier\":"
				  "\"reader\",\"datatypes\":[\"invoices\"]}]",
				  &detail);

	assert_null(why);
	assert_string_equal(json_text(detail, "task", ""), "tsk_1");
}

static void without_details_there_are_none(void **state UNUSED)
{
	json_t *detail = NULL;

	assert_null(oauth_details(NULL, &detail));
	assert_null(detail);
}

static void details_that_are_not_understood_are_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"",
		"null",
		"{}",
		"[]",
		"[1]",
		"[{}]",
		"[{\"type\":\"other\"}]",
		"[{\"type\":1}]",
		"[{\"type\":\"writ_task\",\"more\":1}]",
		"[{\"type\":\"writ_task\",\"privileges\":[\"x\"]}]",
		"[{\"type\":\"writ_task\",\"task\":1}]",
		"[{\"type\":\"writ_task\",\"task\":\"\"}]",
		"[{\"type\":\"writ_task\",\"actions\":\"read\"}]",
		"[{\"type\":\"writ_task\",\"actions\":[]}]",
		"[{\"type\":\"writ_task\",\"actions\":[1]}]",
		"[{\"type\":\"writ_task\",\"locations\":{}}]",
		"[{\"type\":\"writ_task\",\"identifier\":[\"a\"]}]",
		"[{\"type\":\"writ_task\",\"type\":\"writ_task\"}]",
		"[{\"type\":\"writ_task\"},{\"type\":\"writ_task\"}]",
		"[{\"type\":\"writ_task\"}",
		"[{\"type\":\"writ_task\"}] x",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(json_put_p) json_t *detail = NULL;
		CLEANUP(mem_free_p)
		char *why = oauth_details(texts[i], &detail);

		if (!why || detail)
			fail_msg("'%s' is taken", texts[i]);
	}
}

static struct oauth_polls *polls;

static int setup(void **state UNUSED)
{
	polls = oauth_polls_new();
	return 0;
}

static int teardown(void **state UNUSED)
{
	oauth_polls_free(polls);
	return 0;
}

static void who_comes_too_early_is_slowed_down(void **state UNUSED)
{
	int64_t interval = 0;

	assert_true(oauth_poll(polls, "req_a", 1000, &interval));
	assert_int_equal(interval, 5);
	assert_true(oauth_poll(polls, "req_a", 6000, &interval));
	assert_int_equal(interval, 5);
	assert_false(oauth_poll(polls, "req_a", 10999, &interval));
	assert_int_equal(interval, 10);
	assert_false(oauth_poll(polls, "req_a", 11000, &interval));
	assert_int_equal(interval, 15);
	assert_true(oauth_poll(polls, "req_a", 26000, &interval));
	assert_int_equal(interval, 15);
}

static void requests_are_counted_apart(void **state UNUSED)
{
	int64_t interval = 0;

	assert_true(oauth_poll(polls, "req_a", 1000, &interval));
	assert_true(oauth_poll(polls, "req_b", 1000, &interval));
	assert_false(oauth_poll(polls, "req_b", 1000, &interval));
	assert_int_equal(interval, 10);
}

static void nobody_waits_for_more_than_a_minute(void **state UNUSED)
{
	int64_t interval = 0;

	for (int i = 0; i < 100; i++)
		discard(oauth_poll(polls, "req_a", 1000, &interval));
	assert_int_equal(interval, 60);
}

static void what_is_remembered_is_bounded(void **state UNUSED)
{
	int64_t interval = 0;

	for (int i = 0; i < 5000; i++) {
		CLEANUP(mem_free_p) char *id = mem_format("req_%d", i);

		assert_true(oauth_poll(polls, id, 1000, &interval));
	}
	assert_false(oauth_poll(polls, "req_4999", 1000, &interval));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(details_of_the_one_type_are_taken),
		cmocka_unit_test(without_details_there_are_none),
		cmocka_unit_test(details_that_are_not_understood_are_refused),
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(who_comes_too_early_is_slowed_down),
		TEST(requests_are_counted_apart),
		TEST(nobody_waits_for_more_than_a_minute),
		TEST(what_is_remembered_is_bounded),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
