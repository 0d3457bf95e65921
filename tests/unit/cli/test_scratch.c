#include "cli/run/scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

static char runtime[] = "/dev/shm/writ-test-XXXXXX";
static bool nothing_is_writable;

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);

int __wrap_access(const char *path, int mode)
{
	return nothing_is_writable ? -1 : __real_access(path, mode);
}

/* A number that no process has. */
static int dead_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return (int)pid;
}

/* PREFIX and number and suffix, with a file in it; owned. */
static char *make_folder(const char *prefix, int pid, const char *suffix)
{
	char *path = mem_format("%s/%s%d%s", runtime, prefix, pid, suffix);
	CLEANUP(mem_free_p) char *file = mem_format("%s/pgpass", path);

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(file_write(file, slice_str("secret"), 0600), 0);
	return path;
}

static void remove_folder(const char *path)
{
	CLEANUP(mem_free_p) char *file = mem_format("%s/pgpass", path);

	unlink(file);
	assert_int_equal(rmdir(path), 0);
}

static bool is_there(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

/* Opens one, which sweeps, and closes it. */
static void sweep(void)
{
	CLEANUP(scratch_close_p) struct scratch *s = NULL;

	assert_int_equal(scratch_open(&s), 0);
}

static void only_its_owner_enters_it_and_reads_its_files(void **state UNUSED)
{
	CLEANUP(scratch_close_p) struct scratch *s = NULL;
	CLEANUP(mem_free_p) char *path = NULL;
	CLEANUP(mem_free_p) char *folder = NULL;
	struct stat status;

	assert_int_equal(scratch_open(&s), 0);
	path = scratch_path(s, "a");
	assert_ptr_equal(strstr(path, runtime), path);
	folder = mem_format("%.*s", (int)(strrchr(path, '/') - path), path);
	assert_int_equal(stat(folder, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(scratch_write(s, "a", slice_str("one")), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(status.st_size, 3);
	assert_int_equal(scratch_write(s, "a", slice_str("two words")), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 9);
	scratch_remove(s, "a");
	assert_false(is_there(path));
	scratch_remove(s, "a");
}

static void it_goes_with_all_that_is_in_it(void **state UNUSED)
{
	struct scratch *s = NULL;
	CLEANUP(mem_free_p) char *path = NULL;

	assert_int_equal(scratch_open(&s), 0);
	path = scratch_path(s, "a");
	assert_int_equal(scratch_write(s, "a", slice_str("one")), 0);
	scratch_close(s);
	assert_false(is_there(path));
	*strrchr(path, '/') = '\0';
	assert_false(is_there(path));
	scratch_close(NULL);
}

static void what_a_dead_process_left_is_removed(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *left = make_folder("writ-run-", dead_process(), ".abcdef");

	sweep();
	assert_false(is_there(left));
}

static void what_a_living_process_uses_stays(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *used = make_folder("writ-run-", (int)getppid(), ".abcdef");
	struct scratch *first = NULL;
	CLEANUP(mem_free_p) char *path = NULL;

	assert_int_equal(scratch_open(&first), 0);
	path = scratch_path(first, "a");
	assert_int_equal(scratch_write(first, "a", slice_str("one")), 0);
	sweep();
	assert_true(is_there(used) && is_there(path));
	scratch_close(first);
	remove_folder(used);
}

/* As one in a container of its own, whose number means nothing here. */
static void what_a_process_of_another_namespace_uses_stays(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *used = make_folder("writ-run-", dead_process(), ".abcdef");
	int lock = open(used, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(flock(lock, LOCK_EX), 0);
	sweep();
	assert_true(is_there(used));
	close(lock);
	sweep();
	assert_false(is_there(used));
}

static void what_another_user_has_stays(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *other = NULL;

	if (geteuid() != 0)
		skip(); /* nobody else can give a folder away */
	other = make_folder("writ-run-", dead_process(), ".abcdef");
	assert_int_equal(chown(other, 65534, 65534), 0);
	sweep();
	assert_true(is_there(other));
	remove_folder(other);
}

static void what_only_looks_like_it_stays(void **state UNUSED)
{
	static const char *const names[][2] = {
		{ "writ-run-", "" },	{ "writ-run-", "x.abcdef" },
		{ "writ-run-.", "" },	{ "writ-ruin-", ".a" },
		{ "writ-run--", ".a" }, { "", "" },
	};
	CLEANUP(mem_free_p) char *link = NULL;
	CLEANUP(mem_free_p) char *aim = make_folder("aim-", 1, "");
	CLEANUP(mem_free_p) char *first = make_folder("writ-run-", 1, ".a");
	int pid = dead_process();

	link = mem_format("%s/writ-run-%d.link", runtime, pid);
	assert_int_equal(symlink(aim, link), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p)
		char *path = make_folder(names[i][0], pid, names[i][1]);

		sweep();
		assert_true(is_there(path));
		remove_folder(path);
	}
	assert_true(is_there(link) && is_there(aim) && is_there(first));
	unlink(link);
	remove_folder(aim);
	remove_folder(first);
}

static void a_runtime_folder_on_a_disk_is_passed_over(void **state UNUSED)
{
	CLEANUP(scratch_close_p) struct scratch *s = NULL;
	CLEANUP(mem_free_p) char *path = NULL;

	setenv("XDG_RUNTIME_DIR", "/proc", 1); /* surely no tmpfs */
	assert_int_equal(scratch_open(&s), 0);
	setenv("XDG_RUNTIME_DIR", runtime, 1);
	path = scratch_path(s, "a");
	assert_ptr_equal(strstr(path, "/dev/shm/writ-run-"), path);
}

static void where_nothing_is_in_memory_there_is_none(void **state UNUSED)
{
	struct scratch *s = NULL;

	nothing_is_writable = true;
	assert_int_equal(scratch_open(&s), ERR_REFUSED);
	nothing_is_writable = false;
	assert_null(s);
	assert_non_null(strstr(error_message(), "tmpfs"));
}

static int open_runtime(void **state UNUSED)
{
	if (!mkdtemp(runtime))
		return -1;
	return setenv("XDG_RUNTIME_DIR", runtime, 1);
}

static int close_runtime(void **state UNUSED)
{
	return rmdir(runtime); /* which says that nothing was left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_its_owner_enters_it_and_reads_its_files),
		cmocka_unit_test(it_goes_with_all_that_is_in_it),
		cmocka_unit_test(what_a_dead_process_left_is_removed),
		cmocka_unit_test(what_a_living_process_uses_stays),
		cmocka_unit_test(
			what_a_process_of_another_namespace_uses_stays),
		cmocka_unit_test(what_another_user_has_stays),
		cmocka_unit_test(what_only_looks_like_it_stays),
		cmocka_unit_test(a_runtime_folder_on_a_disk_is_passed_over),
		cmocka_unit_test(where_nothing_is_in_memory_there_is_none),
	};

	return cmocka_run_group_tests(tests, open_runtime, close_runtime);
}
