#include "base/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static char folder[] = "/tmp/test-file-XXXXXX";

static char *path_of(const char *name)
{
	return mem_format("%s/%s", folder, name);
}

static void what_is_written_is_read(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = path_of("a");
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);
	struct stat status;

	assert_int_equal(file_write(path, slice_str("first"), 0640), 0);
	assert_int_equal(file_write(path, slice_str("second"), 0640), 0);
	buf_put_str(&b, "> ");
	assert_int_equal(file_read(path, &b), 0);
	assert_string_equal(buf_text(&b), "> second");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
}

static void a_file_as_large_as_the_limit_is_read(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = path_of("large");
	CLEANUP(mem_free_p) uint8_t *bytes = mem_alloc(200000);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(200000);

	memset(bytes, 'x', 200000);
	assert_int_equal(file_write(path, slice_of(bytes, 200000), 0600), 0);
	assert_int_equal(file_read(path, &b), 0);
	assert_true(slice_equals(buf_slice(&b), slice_of(bytes, 200000)));
}

static void a_file_larger_than_the_limit_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = path_of("a");
	CLEANUP(buf_clear) struct buf b = BUF_INIT(5);

	assert_int_equal(file_write(path, slice_str("123456"), 0600), 0);
	assert_int_equal(file_read(path, &b), ERR_LIMIT);
}

static void an_absent_file_is_not_found(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = path_of("absent");
	CLEANUP(buf_clear) struct buf b = BUF_INIT(5);

	assert_int_equal(file_read(path, &b), ERR_NOT_FOUND);
	assert_int_equal(file_read(folder, &b), ERR_IO);
	assert_false(file_exists(path));
	assert_null(file_stamp(path));
}

static void
a_secret_that_others_may_read_is_refused_with_its_chmod(void **state UNUSED)
{
	static const unsigned modes[] = { 0644, 0640, 0604, 0620, 0601 };
	CLEANUP(mem_free_p) char *path = path_of("secret");
	CLEANUP(mem_free_p) char *words = mem_format("chmod go= '%s'", path);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(file_write(path, slice_str("x"), modes[i]), 0);
		assert_int_equal(file_read_private(path, &b), ERR_REFUSED);
		assert_non_null(strstr(error_message(), words));
		assert_int_equal(file_test_private(path), ERR_REFUSED);
		assert_int_equal(b.len, 0);
	}
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(file_test_private(path), 0);
	assert_int_equal(file_read_private(path, &b), 0);
	assert_string_equal(buf_text(&b), "x");
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(file_test_private(path), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(file_test_private(path), ERR_NOT_FOUND);
	assert_int_equal(file_read_private(path, &b), ERR_NOT_FOUND);
}

static void a_write_that_fails_leaves_nothing_behind(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = path_of("none/a");
	CLEANUP(mem_free_p) char *taken = path_of("taken");

	assert_int_equal(file_write(path, slice_str("x"), 0600), ERR_IO);
	/* A folder cannot be replaced by a file. */
	assert_int_equal(file_make_folder(taken), 0);
	assert_int_equal(file_write(taken, slice_str("x"), 0600), ERR_IO);
	assert_int_equal(rmdir(taken), 0);
}

static void folders_are_made_with_their_parents(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = path_of("b/c/d");
	CLEANUP(mem_free_p) char *file = path_of("b/c/d/file");
	CLEANUP(mem_free_p) char *below = path_of("b/c/d/file/e");
	struct stat status;

	assert_int_equal(file_make_folder(path), 0);
	assert_int_equal(file_make_folder(path), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(file_write(file, slice_str(""), 0600), 0);
	assert_int_equal(file_make_folder(file), ERR_IO);
	assert_int_equal(file_make_folder(below), ERR_IO);
}

static void a_locked_file_is_busy_until_it_is_closed(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = path_of("lock");
	int first = -1;
	int second = -1;

	assert_int_equal(file_lock(path, &first), 0);
	assert_int_equal(file_lock(path, &second), ERR_BUSY);
	assert_int_equal(second, -1);
	fd_close_p(&first);
	assert_int_equal(first, -1);
	assert_int_equal(file_lock(path, &second), 0);
	fd_close_p(&second);
}

static void a_stamp_tells_that_a_file_has_changed(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = path_of("stamp");
	CLEANUP(mem_free_p) char *first = NULL;
	CLEANUP(mem_free_p) char *same = NULL;
	CLEANUP(mem_free_p) char *other = NULL;

	assert_int_equal(file_write(path, slice_str("x"), 0600), 0);
	first = file_stamp(path);
	same = file_stamp(path);
	assert_string_equal(first, same);
	assert_int_equal(file_write(path, slice_str("xy"), 0600), 0);
	other = file_stamp(path);
	assert_string_not_equal(first, other);
	assert_true(file_exists(path));
}

static int make_folder(void **state UNUSED)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state UNUSED)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-r", folder, (char *)NULL);
		_exit(1);
	}
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_file_as_large_as_the_limit_is_read),
		cmocka_unit_test(a_file_larger_than_the_limit_is_refused),
		cmocka_unit_test(an_absent_file_is_not_found),
		cmocka_unit_test(
			a_secret_that_others_may_read_is_refused_with_its_chmod),
		cmocka_unit_test(a_write_that_fails_leaves_nothing_behind),
		cmocka_unit_test(folders_are_made_with_their_parents),
		cmocka_unit_test(a_locked_file_is_busy_until_it_is_closed),
		cmocka_unit_test(a_stamp_tells_that_a_file_has_changed),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
