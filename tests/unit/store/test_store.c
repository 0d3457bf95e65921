#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "place.h"
#include "store/store.h"

/* Runs SQL beside the store, as an insider would. */
static int run_sql(struct place *p, const char *sql)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/state.db", p->folder);
	sqlite3 *db = NULL;
	int rc;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_close(db);
	return rc;
}

static int add_leaf(struct store *s, uint64_t index, const char *about)
{
	struct digest hash = digest_of(slice_of(&index, sizeof(index)));

	return store_leaf_add(s, index, 1000, "heartbeat", about, &hash,
			      slice_str("{}"));
}

static void commit(struct store *s)
{
	assert_int_equal(store_commit(s), 0);
}

static void an_empty_store_has_an_empty_head(void **state)
{
	struct place *p = *state;
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);
	struct digest empty = digest_of(slice_of(NULL, 0));
	struct store_head head;
	uint64_t size;

	assert_int_equal(store_head_get(p->store, &head), 0);
	assert_int_equal(head.size, 0);
	assert_int_equal(head.frontier_len, 0);
	assert_true(digest_equals(&head.root, &empty));
	assert_int_equal(store_checkpoint_last(p->store, &size, &b),
			 ERR_NOT_FOUND);
}

static void what_was_committed_is_read_by_a_reader(void **state)
{
	struct place *p = *state;
	CLEANUP(store_close_p) struct store *reader = NULL;
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);
	CLEANUP(json_put_p) json_t *about = NULL;
	struct digest hash;

	assert_int_equal(store_open_reader(p->folder, &reader), 0);
	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(add_leaf(p->store, 0, "req_1"), 0);
	assert_int_equal(add_leaf(p->store, 1, NULL), 0);
	assert_int_equal(add_leaf(p->store, 2, "req_1"), 0);
	assert_int_equal(store_leaf_get(reader, 0, &b, &hash), ERR_NOT_FOUND);
	commit(p->store);
	assert_int_equal(store_leaf_get(reader, 0, &b, &hash), 0);
	assert_string_equal(buf_text(&b), "{}");
	assert_int_equal(store_leaves_about(reader, "req_1", 10, &about), 0);
	assert_int_equal(json_array_size(about), 2);
	assert_int_equal(json_integer_value(json_array_get(about, 1)), 2);
	assert_int_equal(store_leaf_get(reader, UINT64_MAX, &b, NULL),
			 ERR_NOT_FOUND);
}

static void what_was_rolled_back_is_gone(void **state)
{
	struct place *p = *state;
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(add_leaf(p->store, 0, NULL), 0);
	store_rollback(p->store);
	store_rollback(p->store); /* does no harm */
	assert_int_equal(store_leaf_get(p->store, 0, &b, NULL), ERR_NOT_FOUND);
	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(add_leaf(p->store, 0, NULL), 0);
	commit(p->store);
}

static void a_reader_cannot_write(void **state)
{
	struct place *p = *state;
	CLEANUP(store_close_p) struct store *reader = NULL;

	assert_int_equal(store_open_reader(p->folder, &reader), 0);
	assert_true(add_leaf(reader, 0, NULL) < 0);
}

static void leaves_have_no_gaps(void **state)
{
	struct place *p = *state;

	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(add_leaf(p->store, 1, NULL), ERR_IO);
	store_rollback(p->store);
	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(add_leaf(p->store, 0, NULL), 0);
	assert_int_equal(add_leaf(p->store, 2, NULL), ERR_IO);
	store_rollback(p->store);
}

static void the_linked_database_is_new_enough(void **state UNUSED)
{
	bool old = true;

	assert_string_equal(store_version(&old), sqlite3_libversion());
	assert_false(old);
}

static void nothing_of_the_log_is_changed_or_removed(void **state)
{
	static const char *const statements[] = {
		"UPDATE leaf SET body = x'00'",
		"DELETE FROM leaf",
		"UPDATE tile SET hashes = zeroblob(8192)",
		"DELETE FROM tile",
		"UPDATE checkpoint SET note = x'00'",
		"DELETE FROM checkpoint",
		"INSERT INTO checkpoint VALUES(5, zeroblob(32), 1, x'00')",
		"INSERT INTO checkpoint VALUES(4, zeroblob(32), 1, x'00')",
		"INSERT OR REPLACE INTO checkpoint"
		" VALUES(5, zeroblob(32), 1, x'00')",
		"INSERT OR REPLACE INTO leaf"
		" VALUES(0, 1, 'k', NULL, zeroblob(32), x'00')",
	};
	struct place *p = *state;
	static uint8_t tile[STORE_TILE_LEN];
	struct digest root = { { 0 } };

	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(add_leaf(p->store, 0, NULL), 0);
	assert_int_equal(
		store_tile_add(p->store, 0, 0, slice_of(tile, sizeof(tile))),
		0);
	assert_int_equal(
		store_checkpoint_add(p->store, 5, &root, 1, slice_str("note")),
		0);
	commit(p->store);
	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		if (run_sql(p, statements[i]) == SQLITE_OK)
			fail_msg("allowed: %s", statements[i]);
	}
	assert_int_equal(run_sql(p, "INSERT INTO checkpoint"
				    " VALUES(6, zeroblob(32), 1, x'00')"),
			 SQLITE_OK);
}

static void put(struct store *s, enum noun noun, const char *id,
		const char *column, const char *value)
{
	CLEANUP(json_put_p) json_t *doc = json_object();

	json_set_text(doc, "id", id);
	if (column)
		json_set_text(doc, column, value);
	assert_int_equal(store_put(s, noun, id, doc, 7), 0);
}

static void every_noun_is_found_by_each_of_its_columns(void **state)
{
	struct place *p = *state;

	for (unsigned n = 0; n < NOUN_COUNT; n++) {
		const char *const *columns = noun_columns((enum noun)n);

		assert_int_equal(store_begin(p->store), 0);
		put(p->store, (enum noun)n, "plain", NULL, NULL);
		for (size_t i = 0; columns[i]; i++)
			put(p->store, (enum noun)n, columns[i], columns[i],
			    "wanted");
		commit(p->store);
		for (size_t i = 0; columns[i]; i++) {
			CLEANUP(json_put_p) json_t *found = NULL;

			assert_int_equal(store_find(p->store, (enum noun)n,
						    columns[i], "wanted", NULL,
						    10, &found),
					 0);
			assert_int_equal(json_array_size(found), 1);
			assert_string_equal(
				json_text(json_array_get(found, 0), "id", ""),
				columns[i]);
		}
	}
}

static void a_column_a_noun_does_not_have_is_refused(void **state)
{
	struct place *p = *state;
	json_t *found = NULL;

	assert_int_equal(store_find(p->store, NOUN_TASK, "id = id --", "x",
				    NULL, 10, &found),
			 ERR_NOT_FOUND);
	assert_int_equal(store_find(p->store, NOUN_SETTING, "state", "x", NULL,
				    10, &found),
			 ERR_NOT_FOUND);
	assert_null(found);
}

static void put_use(struct store *s, const char *id, const char *exception)
{
	CLEANUP(json_put_p)
	json_t *doc = json_pack("{s:s, s:s, s:{s:s?}}", "id", id, "task", "t",
				"decision", "exception", exception);

	assert_int_equal(store_put(s, NOUN_REQUEST, id, doc, 0), 0);
}

static void the_uses_of_an_exception_are_found_and_no_others(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *some = NULL;
	CLEANUP(json_put_p) json_t *all = NULL;
	CLEANUP(json_put_p) json_t *none = NULL;

	assert_int_equal(store_begin(p->store), 0);
	put_use(p->store, "req_3", "exc_a");
	put_use(p->store, "req_1", "exc_a");
	put_use(p->store, "req_2", "exc_b");
	put_use(p->store, "req_4", NULL);
	put_use(p->store, "req_5", "exc_a");
	/* Decided again without it. */
	put_use(p->store, "req_5", NULL);
	commit(p->store);
	assert_int_equal(store_exception_uses(p->store, "exc_a", 9, &all), 0);
	assert_int_equal(json_array_size(all), 2);
	assert_string_equal(json_string_value(json_array_get(all, 0)), "req_1");
	assert_string_equal(json_string_value(json_array_get(all, 1)), "req_3");
	assert_int_equal(store_exception_uses(p->store, "exc_a", 1, &some), 0);
	assert_int_equal(json_array_size(some), 1);
	assert_int_equal(store_exception_uses(p->store, "exc", 9, &none), 0);
	assert_int_equal(json_array_size(none), 0);
}

static void documents_are_replaced_listed_and_removed(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *got = NULL;
	CLEANUP(json_put_p) json_t *first = NULL;
	CLEANUP(json_put_p) json_t *rest = NULL;
	uint64_t leaf;

	assert_int_equal(store_begin(p->store), 0);
	put(p->store, NOUN_TASK, "b", "state", "open");
	put(p->store, NOUN_TASK, "a", "state", "open");
	put(p->store, NOUN_TASK, "c", "state", "open");
	put(p->store, NOUN_TASK, "b", "state", "done");
	commit(p->store);
	assert_int_equal(store_get(p->store, NOUN_TASK, "b", &got, &leaf), 0);
	assert_string_equal(json_text(got, "state", ""), "done");
	assert_int_equal(leaf, 7);
	assert_int_equal(store_find(p->store, NOUN_TASK, "state", "open", NULL,
				    1, &first),
			 0);
	assert_string_equal(json_text(json_array_get(first, 0), "id", ""), "a");
	assert_int_equal(
		store_find(p->store, NOUN_TASK, NULL, NULL, "a", 10, &rest), 0);
	assert_int_equal(json_array_size(rest), 2);
	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(store_delete(p->store, NOUN_TASK, "b"), 0);
	commit(p->store);
	json_decref(TAKE(got));
	assert_int_equal(store_get(p->store, NOUN_TASK, "b", &got, NULL),
			 ERR_NOT_FOUND);
}

static void what_expired_is_dropped_and_no_more(void **state)
{
	struct place *p = *state;
	struct digest digest = { { 1 } };
	CLEANUP(mem_free_p) char *about = NULL;
	bool seen;

	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(store_seen_put(p->store, "jti", "old", 10), 0);
	assert_int_equal(store_seen_put(p->store, "jti", "new", 30), 0);
	assert_int_equal(
		store_reply_put(p->store, "s", "old", &digest, "r", 10), 0);
	assert_int_equal(
		store_reply_put(p->store, "s", "new", &digest, "r", 30), 0);
	assert_int_equal(store_expire(p->store, 20, 10), 0);
	commit(p->store);
	assert_int_equal(store_seen_get(p->store, "jti", "old", &seen), 0);
	assert_false(seen);
	assert_int_equal(store_seen_get(p->store, "jti", "new", &seen), 0);
	assert_true(seen);
	assert_int_equal(store_reply_get(p->store, "s", "old", &digest, &about),
			 ERR_NOT_FOUND);
	assert_int_equal(store_reply_get(p->store, "s", "new", &digest, &about),
			 0);
}

static void a_seen_value_is_never_forgotten_earlier(void **state)
{
	struct place *p = *state;
	bool seen;

	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(store_seen_put(p->store, "jti", "v", 30), 0);
	assert_int_equal(store_seen_put(p->store, "jti", "v", 10), 0);
	assert_int_equal(store_expire(p->store, 20, 10), 0);
	commit(p->store);
	assert_int_equal(store_seen_get(p->store, "jti", "v", &seen), 0);
	assert_true(seen);
}

static void a_payload_needs_its_data_key(void **state)
{
	struct place *p = *state;
	CLEANUP(mem_free_p) char *subject = NULL;
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);
	unsigned kek;

	assert_int_equal(store_begin(p->store), 0);
	assert_int_equal(store_payload_add(p->store, 3, 1, "human:a#3",
					   slice_str("sealed")),
			 ERR_IO);
	assert_int_equal(store_payload_add(p->store, 3, STORE_PARTS_MAX,
					   "human:a#3", slice_str("sealed")),
			 ERR_LIMIT);
	assert_int_equal(
		store_subject_add(p->store, "human:a#3", slice_str("key"), 2),
		0);
	assert_int_equal(store_payload_add(p->store, 3, 1, "human:a#3",
					   slice_str("sealed")),
			 0);
	commit(p->store);
	assert_int_equal(store_payload_get(p->store, 3, 1, &subject, &b), 0);
	assert_string_equal(subject, "human:a#3");
	assert_string_equal(buf_text(&b), "sealed");
	buf_reset(&b);
	assert_int_equal(store_subject_get(p->store, subject, &b, &kek), 0);
	assert_int_equal(kek, 2);
	assert_int_equal(store_subject_get(p->store, "human:b#3", &b, &kek),
			 ERR_NOT_FOUND);
}

static void a_store_that_is_not_there_is_not_made_by_chance(void **state)
{
	struct place *p = *state;
	CLEANUP(mem_free_p) char *other = mem_format("%s/none", p->folder);
	struct store *s = NULL;

	assert_int_equal(store_open(other, false, &s), ERR_NOT_FOUND);
	assert_int_equal(store_open_reader(other, &s), ERR_NOT_FOUND);
	assert_null(s);
}

static void a_newer_schema_is_refused(void **state)
{
	struct place *p = *state;
	struct store *s = NULL;

	store_close(TAKE(p->store));
	assert_int_equal(run_sql(p, "PRAGMA user_version = 99"), SQLITE_OK);
	assert_int_equal(store_open(p->folder, false, &s), ERR_CORRUPT);
	assert_int_equal(store_open_reader(p->folder, &s), ERR_CORRUPT);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
	struct place *p = *state;
	CLEANUP(mem_free_p)
	char *command = mem_format("cd '%s' && rm state.db* && "
				   "yes nonsense | head -c 9000 >state.db",
				   p->folder);
	struct store *s = NULL;

	store_close(TAKE(p->store));
	assert_int_equal(system(command), 0);
	assert_int_equal(store_open(p->folder, true, &s), ERR_CORRUPT);
}

static void the_database_is_for_its_owner_alone(void **state)
{
	struct place *p = *state;
	CLEANUP(mem_free_p)
	char *command = mem_format("test $(stat -c %%a '%s/state.db') = 600",
				   p->folder);

	assert_int_equal(system(command), 0);
}

static void a_long_log_is_moved_into_the_main_file(void **state)
{
	struct place *p = *state;
	CLEANUP(mem_free_p)
	char *command = mem_format(
		"test $(stat -c %%s '%s/state.db-wal') -lt 5000000", p->folder);

	for (uint64_t i = 0; i < 700; i++) {
		assert_int_equal(store_begin(p->store), 0);
		assert_int_equal(add_leaf(p->store, i, "req_1"), 0);
		commit(p->store);
	}
	assert_int_equal(system(command), 0);
}

#define STORE_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, place_set_up, place_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(an_empty_store_has_an_empty_head),
		STORE_TEST(what_was_committed_is_read_by_a_reader),
		STORE_TEST(what_was_rolled_back_is_gone),
		STORE_TEST(a_reader_cannot_write),
		STORE_TEST(leaves_have_no_gaps),
		STORE_TEST(the_linked_database_is_new_enough),
		STORE_TEST(nothing_of_the_log_is_changed_or_removed),
		STORE_TEST(every_noun_is_found_by_each_of_its_columns),
		STORE_TEST(a_column_a_noun_does_not_have_is_refused),
		STORE_TEST(the_uses_of_an_exception_are_found_and_no_others),
		STORE_TEST(documents_are_replaced_listed_and_removed),
		STORE_TEST(what_expired_is_dropped_and_no_more),
		STORE_TEST(a_seen_value_is_never_forgotten_earlier),
		STORE_TEST(a_payload_needs_its_data_key),
		STORE_TEST(a_store_that_is_not_there_is_not_made_by_chance),
		STORE_TEST(a_newer_schema_is_refused),
		STORE_TEST(a_file_that_is_no_database_is_refused),
		STORE_TEST(the_database_is_for_its_owner_alone),
		STORE_TEST(a_long_log_is_moved_into_the_main_file),
	};

	return cmocka_run_group_tests_name("store/store", tests, NULL, NULL);
}
