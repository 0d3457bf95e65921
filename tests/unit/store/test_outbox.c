#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/mem.h"
#include "place.h"
#include "store/outbox.h"

static void change(struct place *p, struct outbox_change c)
{
	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(store_outbox_change(p->store, &c), 0);
	assert_int_equal(store_commit(p->store), 0);
}

static void add(struct place *p, const char *id, const char *endpoint,
		int64_t at_ms)
{
	change(p, (struct outbox_change){ .act = OUTBOX_ADD,
					  .id = id,
					  .endpoint = endpoint,
					  .event = "request.ended",
					  .about = "req_1",
					  .role = "requester",
					  .at_ms = at_ms,
					  .until_ms = at_ms + 1000 });
}

static size_t due(struct place *p, const char *endpoint, int64_t now_ms)
{
	CLEANUP(json_put_p) json_t *rows = NULL;

	assert_int_equal(
		store_outbox_due(p->store, endpoint, now_ms, 100, &rows), 0);
	return json_array_size(rows);
}

static const char *state_of(struct place *p, const char *id)
{
	static char text[32];
	CLEANUP(json_put_p) json_t *row = NULL;

	if (store_outbox_get(p->store, id, &row) == ERR_NOT_FOUND)
		return "none";
	snprintf(text, sizeof(text), "%s", json_text(row, "state", "?"));
	return text;
}

static struct outbox_counts counts(struct place *p)
{
	struct outbox_counts c;

	assert_int_equal(store_outbox_counts(p->store, &c), 0);
	return c;
}

static void what_is_added_is_due_at_its_endpoint_alone(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *row = NULL;

	add(p, "ntc_1", "one", 100);
	assert_int_equal(due(p, "one", 99), 0);
	assert_int_equal(due(p, "one", 100), 1);
	assert_int_equal(due(p, "two", 100), 0);
	assert_int_equal(store_outbox_get(p->store, "ntc_1", &row), 0);
	assert_string_equal(json_text(row, "about", ""), "req_1");
	assert_null(json_object_get(row, "human"));
	assert_int_equal(json_int(row, "untilMs", 0), 1100);
	assert_int_equal(counts(p).waiting, 1);
	assert_int_equal(counts(p).oldest_ms, 100);
}

static void the_same_id_stands_there_once(void **state)
{
	struct place *p = *state;

	add(p, "ntc_1", "one", 100);
	add(p, "ntc_1", "one", 100);
	assert_int_equal(counts(p).waiting, 1);
}

static void what_was_tried_comes_again_later_and_dies_in_the_end(void **state)
{
	struct place *p = *state;
	int64_t next;

	add(p, "ntc_1", "one", 100);
	change(p, (struct outbox_change){ .act = OUTBOX_MOVE,
					  .id = "ntc_1",
					  .attempts = 1,
					  .at_ms = 500,
					  .why = "it answered 500" });
	assert_int_equal(due(p, "one", 499), 0);
	assert_int_equal(due(p, "one", 500), 1);
	assert_int_equal(store_outbox_next(p->store, 100, &next), 0);
	assert_int_equal(next, 500);
	change(p, (struct outbox_change){ .act = OUTBOX_MOVE,
					  .id = "ntc_1",
					  .attempts = 2,
					  .is_dead = true,
					  .why = "it answered 500" });
	assert_int_equal(due(p, "one", INT64_MAX), 0);
	assert_string_equal(state_of(p, "ntc_1"), "dead");
	assert_int_equal(counts(p).dead, 1);
	assert_int_equal(store_outbox_next(p->store, 100, &next), 0);
	assert_true(next == INT64_MAX);
}

static void a_dead_letter_begins_anew_or_goes(void **state)
{
	struct place *p = *state;
	struct outbox_change die = { .act = OUTBOX_MOVE, .is_dead = true };

	add(p, "ntc_1", "one", 100);
	add(p, "ntc_2", "one", 100);
	die.id = "ntc_1";
	change(p, die);
	die.id = "ntc_2";
	change(p, die);
	change(p, (struct outbox_change){ .act = OUTBOX_AGAIN,
					  .id = "ntc_1",
					  .at_ms = 700,
					  .until_ms = 900 });
	change(p, (struct outbox_change){ .act = OUTBOX_DROP, .id = "ntc_2" });
	assert_int_equal(due(p, "one", 700), 1);
	assert_string_equal(state_of(p, "ntc_1"), "waiting");
	assert_string_equal(state_of(p, "ntc_2"), "none");
}

static void of_a_full_endpoint_the_oldest_go_and_are_counted(void **state)
{
	struct place *p = *state;
	char id[16];

	add(p, "ntc_other", "two", 1);
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "ntc_%d", i);
		add(p, id, "one", 100 + i);
	}
	change(p, (struct outbox_change){ .act = OUTBOX_TRIM,
					  .endpoint = "one",
					  .at_most = 3 });
	assert_string_equal(state_of(p, "ntc_0"), "none");
	assert_string_equal(state_of(p, "ntc_1"), "none");
	assert_string_equal(state_of(p, "ntc_2"), "waiting");
	assert_string_equal(state_of(p, "ntc_other"), "waiting");
	assert_int_equal(counts(p).dropped, 2);
	change(p, (struct outbox_change){ .act = OUTBOX_TRIM,
					  .endpoint = "one",
					  .at_most = 2 });
	assert_int_equal(counts(p).dropped, 3);
	change(p, (struct outbox_change){ .act = OUTBOX_TRIM,
					  .endpoint = "two",
					  .at_most = 2 });
	assert_int_equal(counts(p).dropped, 3);
}

static void an_endpoint_that_is_gone_leaves_dead_letters(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *left = NULL;

	add(p, "ntc_1", "one", 100);
	add(p, "ntc_2", "two", 100);
	change(p, (struct outbox_change){ .act = OUTBOX_ORPHAN,
					  .endpoint = "one",
					  .why = "gone" });
	assert_string_equal(state_of(p, "ntc_1"), "dead");
	assert_string_equal(state_of(p, "ntc_2"), "waiting");
	assert_int_equal(store_outbox_endpoints(p->store, &left), 0);
	assert_int_equal(json_int(left, "one", 0), 1);
	assert_int_equal(json_int(left, "two", 0), 1);
}

static void dead_letters_go_in_the_end_and_what_waits_does_not(void **state)
{
	struct place *p = *state;

	add(p, "ntc_1", "one", 100);
	add(p, "ntc_2", "one", 100);
	change(p, (struct outbox_change){
			  .act = OUTBOX_MOVE, .id = "ntc_1", .is_dead = true });
	change(p,
	       (struct outbox_change){ .act = OUTBOX_EXPIRE, .at_ms = 1100 });
	assert_string_equal(state_of(p, "ntc_1"), "dead");
	change(p,
	       (struct outbox_change){ .act = OUTBOX_EXPIRE, .at_ms = 1101 });
	assert_string_equal(state_of(p, "ntc_1"), "none");
	assert_string_equal(state_of(p, "ntc_2"), "waiting");
}

static void what_is_not_there_can_be_changed_without_harm(void **state)
{
	struct place *p = *state;

	change(p, (struct outbox_change){ .act = OUTBOX_MOVE, .id = "ntc_1" });
	change(p, (struct outbox_change){ .act = OUTBOX_AGAIN, .id = "ntc_1" });
	change(p, (struct outbox_change){ .act = OUTBOX_DROP, .id = "ntc_1" });
	assert_int_equal(counts(p).waiting + counts(p).dead, 0);
	assert_int_equal(counts(p).dropped, 0);
}

static void rows_are_listed_by_state_in_the_order_they_came(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *all = NULL;
	CLEANUP(json_put_p) json_t *dead = NULL;

	add(p, "ntc_b", "one", 200);
	add(p, "ntc_a", "one", 100);
	change(p, (struct outbox_change){
			  .act = OUTBOX_MOVE, .id = "ntc_a", .is_dead = true });
	assert_int_equal(store_outbox_list(p->store, NULL, 10, &all), 0);
	assert_int_equal(json_array_size(all), 2);
	assert_string_equal(json_text(json_array_get(all, 0), "id", ""),
			    "ntc_b");
	assert_int_equal(store_outbox_list(p->store, "dead", 10, &dead), 0);
	assert_int_equal(json_array_size(dead), 1);
	assert_string_equal(json_text(json_array_get(dead, 0), "id", ""),
			    "ntc_a");
}

int main(void)
{
#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, place_set_up, place_tear_down)
	const struct CMUnitTest tests[] = {
		T(what_is_added_is_due_at_its_endpoint_alone),
		T(the_same_id_stands_there_once),
		T(what_was_tried_comes_again_later_and_dies_in_the_end),
		T(a_dead_letter_begins_anew_or_goes),
		T(of_a_full_endpoint_the_oldest_go_and_are_counted),
		T(an_endpoint_that_is_gone_leaves_dead_letters),
		T(dead_letters_go_in_the_end_and_what_waits_does_not),
		T(what_is_not_there_can_be_changed_without_harm),
		T(rows_are_listed_by_state_in_the_order_they_came),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
