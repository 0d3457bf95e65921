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

	assert_int_equal(seen_open(path, &seen), 0);
	return seen;
}

static void write_file(const char *text)
{
	assert_int_equal(file_write(path, slice_str(text), 0600), 0);
}

static int fails_to_open(void)
{
	struct seen *seen = NULL;
	int r = seen_open(path, &seen);

	assert_null(seen);
	return r;
}

static void a_leaf_serves_once(void **state UNUSED)
{
	CLEANUP(seen_close_p) struct seen *seen = open_seen();

	assert_null(seen_objection(seen, "exe_a", 7));
	assert_int_equal(seen_add(seen, "exe_a", 7), 0);
	assert_int_equal(syncs, 1);
	assert_non_null(seen_objection(seen, "exe_a", 7));
	assert_non_null(seen_objection(seen, "exe_b", 7));
}

static void
an_earlier_leaf_of_the_same_execution_is_refused(void **state UNUSED)
{
	CLEANUP(seen_close_p) struct seen *seen = open_seen();

	assert_int_equal(seen_add(seen, "exe_a", 7), 0);
	assert_non_null(seen_objection(seen, "exe_a", 6));
	assert_null(seen_objection(seen, "exe_b", 6));
	assert_null(seen_objection(seen, "exe_a", 8));
}

static void what_was_seen_is_remembered_across_restarts(void **state UNUSED)
{
	struct seen *seen = open_seen();

	assert_int_equal(seen_add(seen, "exe_a", 7), 0);
	assert_int_equal(seen_add(seen, "exe_b", 9), 0);
	seen_close(seen);
	seen = open_seen();
	assert_non_null(seen_objection(seen, "exe_c", 7));
	assert_non_null(seen_objection(seen, "exe_b", 8));
	seen_close(seen);
}

static void a_last_line_cut_short_is_removed(void **state UNUSED)
{
	struct seen *seen;

	write_file("writ-seen 1 0\n7 exe_a\n9 exe");
	seen = open_seen();
	assert_non_null(seen_objection(seen, "exe_b", 7));
	assert_null(seen_objection(seen, "exe_b", 9));
	assert_int_equal(seen_add(seen, "exe_b", 9), 0);
	seen_close(seen);
	seen = open_seen();
	assert_non_null(seen_objection(seen, "exe_b", 9));
	seen_close(seen);
}

static void a_damaged_file_is_refused(void **state UNUSED)
{
	static const char *const damaged[] = {
		"",
		"writ-seen 1",
		"writ-seen 2 0\n",
		"writ-seen 1 x\n",
		"writ-seen 1 18446744073709551615\n",
		"writ-seen 1 0\nx exe\n",
		"writ-seen 1 0\n7\n",
		"writ-seen 1 0\n7 \n",
		"writ-seen 1 0\n7 a b\n8 exe_a\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		write_file(damaged[i]);
		assert_int_equal(fails_to_open(), ERR_CORRUPT);
	}
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
	assert_int_equal(seen_add(seen, "exe_a", 7), ERR_IO);
	sync_fails = false;
	assert_int_equal(seen_add(seen, "exe_b", 8), ERR_BROKEN);
}

static void
an_execution_that_would_break_the_file_is_refused(void **state UNUSED)
{
	CLEANUP(seen_close_p) struct seen *seen = open_seen();

	assert_int_equal(seen_add(seen, "", 1), ERR_SYNTAX);
	assert_int_equal(seen_add(seen, "a b", 1), ERR_SYNTAX);
	assert_int_equal(seen_add(seen, "a\n9 exe", 1), ERR_SYNTAX);
	assert_int_equal(seen_add(seen, "exe", UINT64_MAX), ERR_SYNTAX);
}

static void the_floor_rises_over_what_is_dropped(void **state UNUSED)
{
	struct seen *seen = open_seen();

	/* Beyond what the file may hold, so it is written anew on the way. */
	for (uint64_t i = 0; i < 5 * SEEN_MAX; i++)
		assert_int_equal(seen_add(seen, "exe_a", 10 + i), 0);
	for (int again = 0; again < 2; again++) {
		assert_non_null(seen_objection(seen, "exe_b", 9));
		assert_non_null(seen_objection(seen, "exe_b", 10));
		assert_non_null(
			seen_objection(seen, "exe_b", 9 + 5 * SEEN_MAX));
		assert_null(seen_objection(seen, "exe_b", 10 + 5 * SEEN_MAX));
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
		TEST(a_damaged_file_is_refused),
		TEST(a_second_connector_is_kept_out),
		TEST(a_failed_sync_stops_everything),
		TEST(an_execution_that_would_break_the_file_is_refused),
		TEST(the_floor_rises_over_what_is_dropped),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
