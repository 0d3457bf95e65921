#include "connectors/sdk/seen.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

static char folder[] = "/tmp/test-seen-XXXXXX";
static char *path;

/* fdatasync() is wrapped by the linker so that a test can make it fail. */
static bool sync_fails;
static int syncs;
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd UNUSED)
{
	syncs++;
	return sync_fails ? -1 : 0;
}

static struct seen *open_seen(void)
{
	struct seen *seen = NULL;

	assert_int_equal(seen_open(path, 0, &seen), 0);
	return seen;
}

static const char *leaf_objection(const struct seen *seen,
				  const char *execution, uint64_t index)
{
	const struct seen_order order = { .execution = execution,
					  .index = index };

	return seen_objection(seen, &order);
}

static int add_leaf(struct seen *seen, const char *execution, uint64_t index)
{
	const struct seen_order order = { .execution = execution,
					  .index = index };

	TRY(seen_add(seen, &order, 0));
	return seen_sync(seen);
}

/* A request whose leaf is at an index of its own. */
static const char *request_objection(const struct seen *seen, const char *name,
				     int64_t not_after_ms)
{
	const struct seen_order order = { "exe", 1000000000, name,
					  not_after_ms };

	return seen_objection(seen, &order);
}

static int add_request(struct seen *seen, const char *name, uint64_t index,
		       int64_t not_after_ms, int64_t over_ms)
{
	const struct seen_order order = { name, index, name, not_after_ms };

	TRY(seen_add(seen, &order, over_ms));
	return seen_sync(seen);
}

static void write_file(const char *text)
{
	assert_int_equal(file_write(path, slice_str(text), 0600), 0);
}

static int fails_to_open(void)
{
	struct seen *seen = NULL;
	int r = seen_open(path, 0, &seen);

	assert_null(seen);
	return r;
}

static void a_leaf_serves_once(void **state UNUSED)
{
	CLEANUP(seen_close_p) struct seen *seen = open_seen();

	assert_null(leaf_objection(seen, "exe_a", 7));
	assert_int_equal(add_leaf(seen, "exe_a", 7), 0);
	assert_int_equal(syncs, 1);
	assert_non_null(leaf_objection(seen, "exe_a", 7));
	assert_non_null(leaf_objection(seen, "exe_b", 7));
}

static void
an_earlier_leaf_of_the_same_execution_is_refused(void **state UNUSED)
{
	CLEANUP(seen_close_p) struct seen *seen = open_seen();

	assert_int_equal(add_leaf(seen, "exe_a", 7), 0);
	assert_non_null(leaf_objection(seen, "exe_a", 6));
	assert_null(leaf_objection(seen, "exe_b", 6));
	assert_null(leaf_objection(seen, "exe_a", 8));
}

static void what_was_seen_is_remembered_across_restarts(void **state UNUSED)
{
	struct seen *seen = open_seen();

	assert_int_equal(add_leaf(seen, "exe_a", 7), 0);
	assert_int_equal(add_leaf(seen, "exe_b", 9), 0);
	seen_close(seen);
	seen = open_seen();
	assert_non_null(leaf_objection(seen, "exe_c", 7));
	assert_non_null(leaf_objection(seen, "exe_b", 8));
	seen_close(seen);
}

static void a_last_line_cut_short_is_removed(void **state UNUSED)
{
	struct seen *seen;

	write_file("writ-seen 2 0 0\n7 exe_a\n9 exe");
	seen = open_seen();
	assert_non_null(leaf_objection(seen, "exe_b", 7));
	assert_null(leaf_objection(seen, "exe_b", 9));
	assert_int_equal(add_leaf(seen, "exe_b", 9), 0);
	seen_close(seen);
	seen = open_seen();
	assert_non_null(leaf_objection(seen, "exe_b", 9));
	seen_close(seen);
}

static void orders_that_came_together_share_one_sync(void **state UNUSED)
{
	struct seen *seen = open_seen();
	char name[32];

	for (uint64_t i = 1; i <= 64; i++) {
		struct seen_order order = { name, i, name, 100 };

		snprintf(name, sizeof(name), "req_%llu", (unsigned long long)i);
		assert_null(seen_objection(seen, &order));
		assert_int_equal(seen_add(seen, &order, 0), 0);
		/* Known at once, so that two of them cannot pass together. */
		assert_non_null(seen_objection(seen, &order));
	}
	assert_int_equal(syncs, 0);
	assert_int_equal(seen_sync(seen), 0);
	assert_int_equal(seen_sync(seen), 0);
	assert_int_equal(syncs, 1);
	seen_close(seen);
	seen = open_seen();
	assert_non_null(request_objection(seen, "req_1", 100));
	assert_non_null(request_objection(seen, "req_64", 100));
	assert_non_null(leaf_objection(seen, "exe", 64));
	assert_null(leaf_objection(seen, "exe", 65));
	seen_close(seen);
}

static void more_than_may_wait_is_written_on_the_way(void **state UNUSED)
{
	enum { COUNT = 3000 };
	struct seen *seen = open_seen();

	for (uint64_t i = 1; i <= COUNT; i++) {
		const struct seen_order order = { "exe", i, NULL, 0 };

		assert_int_equal(seen_add(seen, &order, 0), 0);
	}
	assert_true(syncs > 0);
	assert_int_equal(seen_sync(seen), 0);
	seen_close(seen);
	seen = open_seen();
	for (uint64_t i = 1; i <= COUNT; i++)
		assert_non_null(leaf_objection(seen, "exe_b", i));
	seen_close(seen);
}

static void a_damaged_file_is_refused(void **state UNUSED)
{
	static const char *const damaged[] = {
		"",
		"writ-seen 2",
		"writ-seen 1 0\n",
		"writ-seen 2 0\n",
		"writ-seen 2 0 0 0\n",
		"writ-seen 2 x 0\n",
		"writ-seen 2 0 x\n",
		"writ-seen 2 18446744073709551615 0\n",
		"writ-seen 2 0 0\nspent req_1\n",
		"writ-seen 2 0 0\nspent req_1 x\n",
		"writ-seen 2 0 0\nspent  7\n",
		"writ-seen 2 0 0\nspent req_1 7 7\n",
		"writ-seen 2 0 0\nspent req_1 9223372036854775808\n",
		"writ-seen 2 0 0\nfree \n",
		"writ-seen 2 0 0\nfree a b\n",
		"writ-seen 2 0 0\nx exe\n",
		"writ-seen 2 0 0\n7\n",
		"writ-seen 2 0 0\n7 \n",
		"writ-seen 2 0 0\n7 a b\n8 exe_a\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		write_file(damaged[i]);
		assert_int_equal(fails_to_open(), ERR_CORRUPT);
	}
}

static void a_request_serves_once(void **state UNUSED)
{
	struct seen *seen = open_seen();

	assert_null(request_objection(seen, "req_1", 100));
	assert_int_equal(add_request(seen, "req_1", 7, 100, 50), 0);
	assert_int_equal(syncs, 1);
	for (int again = 0; again < 2; again++) {
		assert_non_null(request_objection(seen, "req_1", 100));
		assert_non_null(request_objection(seen, "req_1", 200));
		assert_null(request_objection(seen, "req_2", 100));
		assert_non_null(leaf_objection(seen, "exe_a", 7));
		seen_close(seen);
		seen = open_seen();
	}
	seen_close(seen);
}

static void a_request_that_was_released_may_come_again(void **state UNUSED)
{
	struct seen *seen = open_seen();

	assert_int_equal(add_request(seen, "req_1", 7, 100, 50), 0);
	assert_int_equal(seen_release(seen, "req_1"), 0);
	assert_int_equal(seen_release(seen, "req_2"), 0);
	assert_int_equal(syncs, 2);
	for (int again = 0; again < 2; again++) {
		assert_null(request_objection(seen, "req_1", 100));
		assert_non_null(leaf_objection(seen, "exe_a", 7));
		seen_close(seen);
		seen = open_seen();
	}
	seen_close(seen);
}

static void a_release_that_is_not_written_releases_nothing(void **state UNUSED)
{
	struct seen *seen = open_seen();

	assert_int_equal(add_request(seen, "req_1", 7, 100, 50), 0);
	sync_fails = true;
	assert_int_equal(seen_release(seen, "req_1"), ERR_IO);
	sync_fails = false;
	assert_int_equal(seen_release(seen, "req_1"), ERR_BROKEN);
	assert_int_equal(add_request(seen, "req_1", 8, 100, 50), ERR_BROKEN);
	seen_close(seen);
}

static void requests_are_forgotten_when_their_time_is_over(void **state UNUSED)
{
	enum { COUNT = 20000 };
	CLEANUP(buf_clear) struct buf text = BUF_INIT(64 << 20);
	struct seen *seen = open_seen();
	char name[32];

	/* Each ends ten after it came. */
	for (uint64_t i = 1; i <= COUNT; i++) {
		snprintf(name, sizeof(name), "req_%llu", (unsigned long long)i);
		assert_int_equal(
			add_request(seen, name, i, (int64_t)i + 10, (int64_t)i),
			0);
		assert_non_null(request_objection(seen, name, (int64_t)i + 10));
	}
	/* What was forgotten is refused, whatever the clock says. */
	assert_non_null(request_objection(seen, "req_1", 11));
	assert_non_null(request_objection(seen, "req_1", COUNT / 4));
	seen_close(seen);
	assert_int_equal(seen_open(path, COUNT, &seen), 0);
	assert_non_null(request_objection(seen, "req_new", COUNT - 1));
	assert_null(request_objection(seen, "req_new", COUNT));
	assert_non_null(request_objection(seen, name, COUNT + 10));
	assert_int_equal(file_read(path, &text), 0);
	assert_true(text.len < (SEEN_MAX + 16) * 32);
	seen_close(seen);
}

static void a_second_connector_is_kept_out(void **state UNUSED)
{
	struct seen *seen = open_seen();

	assert_int_equal(fails_to_open(), ERR_BUSY);
	seen_close(seen);
	seen_close(open_seen());
}

static void a_failed_sync_stops_everything(void **state UNUSED)
{
	CLEANUP(seen_close_p) struct seen *seen = open_seen();

	sync_fails = true;
	assert_int_equal(add_leaf(seen, "exe_a", 7), ERR_IO);
	sync_fails = false;
	assert_int_equal(add_leaf(seen, "exe_b", 8), ERR_BROKEN);
}

static void
an_execution_that_would_break_the_file_is_refused(void **state UNUSED)
{
	CLEANUP(seen_close_p) struct seen *seen = open_seen();

	assert_int_equal(add_leaf(seen, "", 1), ERR_SYNTAX);
	assert_int_equal(add_leaf(seen, "a b", 1), ERR_SYNTAX);
	assert_int_equal(add_leaf(seen, "a\n9 exe", 1), ERR_SYNTAX);
	assert_int_equal(add_leaf(seen, "exe", UINT64_MAX), ERR_SYNTAX);
	assert_int_equal(add_request(seen, "r q", 1, 9, 0), ERR_SYNTAX);
	assert_int_equal(add_request(seen, "req", 1, 0, 0), ERR_SYNTAX);
}

static void the_floor_rises_over_what_is_dropped(void **state UNUSED)
{
	struct seen *seen = open_seen();

	/* Beyond what the file may hold, so it is written anew on the way. */
	for (uint64_t i = 0; i < 5 * SEEN_MAX; i++)
		assert_int_equal(add_leaf(seen, "exe_a", 10 + i), 0);
	for (int again = 0; again < 2; again++) {
		assert_non_null(leaf_objection(seen, "exe_b", 9));
		assert_non_null(leaf_objection(seen, "exe_b", 10));
		assert_non_null(
			leaf_objection(seen, "exe_b", 9 + 5 * SEEN_MAX));
		assert_null(leaf_objection(seen, "exe_b", 10 + 5 * SEEN_MAX));
		seen_close(seen);
		seen = open_seen();
	}
	seen_close(seen);
}

static int fresh(void **state UNUSED)
{
	discard(unlink(path));
	sync_fails = false;
	syncs = 0;
	return 0;
}

static int set_up(void **state UNUSED)
{
	assert_non_null(mkdtemp(folder));
	path = mem_format("%s/seen", folder);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *lock = mem_format("%s.lock", path);

	discard(unlink(path));
	discard(unlink(lock));
	discard(rmdir(folder));
	free(path);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_leaf_serves_once),
		TEST(an_earlier_leaf_of_the_same_execution_is_refused),
		TEST(what_was_seen_is_remembered_across_restarts),
		TEST(a_last_line_cut_short_is_removed),
		TEST(orders_that_came_together_share_one_sync),
		TEST(more_than_may_wait_is_written_on_the_way),
		TEST(a_damaged_file_is_refused),
		TEST(a_request_serves_once),
		TEST(a_request_that_was_released_may_come_again),
		TEST(a_release_that_is_not_written_releases_nothing),
		TEST(requests_are_forgotten_when_their_time_is_over),
		TEST(a_second_connector_is_kept_out),
		TEST(a_failed_sync_stops_everything),
		TEST(an_execution_that_would_break_the_file_is_refused),
		TEST(the_floor_rises_over_what_is_dropped),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
