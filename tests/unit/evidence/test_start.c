/* What is refused when the log is opened. */
#include "harness.h"

#include "base/error.h"

/* A signed log of count leaves, closed. */
static void make_log(struct world *w, unsigned count)
{
	world_open(w);
	world_add(w, count);
	world_close(w);
}

static void refused(struct world *w, const char *words)
{
	assert_int_equal(world_try_open(w), ERR_CORRUPT);
	if (!strstr(error_message(), words))
		fail_msg("'%s' does not say '%s'", error_message(), words);
	world_close(w);
}

static void a_log_is_opened_again_as_it_was_left(void **state)
{
	struct world *w = *state;
	struct checkpoint c;

	make_log(w, 600);
	world_open(w);
	assert_int_equal(evidence_durable_size(w->evidence), 600);
	c = world_checkpoint(w, evidence_checkpoint(w->evidence));
	assert_int_equal(c.size, 600);
	world_add(w, 1);
	world_sign(w, 600);
	assert_int_equal(w->signed_size, 601);
}

static void a_restored_older_database_is_a_rollback(void **state)
{
	struct world *w = *state;

	make_log(w, 3);
	world_shell(w, "cp -r data old");
	make_log(w, 4);
	world_shell(w, "rm -rf data && mv old data");
	refused(w, "rollback detected: the log has 3 leaves, the keeper has "
		   "signed 7");
}

static void a_database_that_is_gone_is_a_rollback(void **state)
{
	struct world *w = *state;

	make_log(w, 3);
	world_shell(w, "rm data/state.db*");
	refused(w, "rollback detected: the log has 0 leaves");
}

static void another_history_is_a_fork(void **state)
{
	struct world *w = *state;

	make_log(w, 3);
	world_shell(w, "cp -r data old && cp keeper/last last");
	make_log(w, 4);
	/* The same keeper is made to forget, and the log grows another way. */
	world_shell(w, "cp keeper/last new && mv last keeper/last");
	world_shell(w, "rm -rf data && mv old data");
	make_log(w, 5);
	world_shell(w, "mv new keeper/last");
	refused(w, "fork detected");
}

static void a_crash_before_the_note_was_stored_is_no_fork(void **state)
{
	struct world *w = *state;

	make_log(w, 5);
	world_sql(w, "DELETE FROM checkpoint WHERE size > 0;");
	world_open(w);
	world_add(w, 1);
	world_sign(w, 5);
	assert_true(w->note.len > 0);
}

static void an_altered_leaf_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 300);
	world_sql(w, "UPDATE leaf SET body = CAST(replace(CAST(body AS TEXT),"
		     " 'hbt_1', 'hbt_2') AS BLOB) WHERE idx = 17;");
	refused(w, "leaf 17 was altered");
}

static void an_altered_leaf_with_its_hash_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 20);
	world_sql(w, "UPDATE leaf SET (body, hash) = (SELECT body, hash"
		     " FROM leaf WHERE idx = 3) WHERE idx = 4;");
	refused(w, "other leaves than ours");
}

static void an_altered_tile_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 300);
	world_sql(w, "UPDATE tile SET hashes = zeroblob(8192);");
	refused(w, "tile 0/0 is not that of its leaves");
}

static void a_removed_last_leaf_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 20);
	world_sql(w, "DELETE FROM leaf WHERE idx = 19;");
	refused(w, "its head says 20 leaves, there are 19");
}

static void a_removed_inner_leaf_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 20);
	world_sql(w, "DELETE FROM leaf WHERE idx = 7;");
	refused(w, "leaf 7 is missing");
}

static void the_wrong_keeper_is_refused(void **state)
{
	struct world *w = *state;
	struct evidence_config config = { .folder = w->data,
					  .origin = "example.com/other" };
	struct evidence *e = NULL;

	make_log(w, 1);
	world_open(w);
	config.loop = w->loop;
	config.keeper = w->keeper;
	assert_int_equal(evidence_open(&config, &e), ERR_CORRUPT);
	assert_null(e);
}

static void a_keeper_that_is_not_there_is_an_error(void **state)
{
	struct world *w = *state;
	const char *const command[] = { "/nonexistent/keeper", NULL };
	const struct keeper_config none = { .loop = NULL };
	struct keeper_config gone = { .command = command };

	assert_int_equal(loop_open(&w->loop), 0);
	assert_int_equal(keeper_open(&none, &w->keeper), ERR_UNAVAILABLE);
	gone.loop = w->loop;
	assert_true(keeper_open(&gone, &w->keeper) < 0);
	assert_null(w->keeper);
	world_tell_keeper(w, "die", true);
	loop_close(TAKE(w->loop));
	assert_int_equal(world_try_open(w), ERR_UNAVAILABLE);
}

#define START_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		START_TEST(a_log_is_opened_again_as_it_was_left),
		START_TEST(a_restored_older_database_is_a_rollback),
		START_TEST(a_database_that_is_gone_is_a_rollback),
		START_TEST(another_history_is_a_fork),
		START_TEST(a_crash_before_the_note_was_stored_is_no_fork),
		START_TEST(an_altered_leaf_is_found),
		START_TEST(an_altered_leaf_with_its_hash_is_found),
		START_TEST(an_altered_tile_is_found),
		START_TEST(a_removed_last_leaf_is_found),
		START_TEST(a_removed_inner_leaf_is_found),
		START_TEST(the_wrong_keeper_is_refused),
		START_TEST(a_keeper_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests_name("evidence/start", tests, NULL, NULL);
}
