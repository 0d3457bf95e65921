/*
 * Failing disks.  SQLite is a shared library, so instead of a linker wrap this
 * program defines fdatasync() itself (the dynamic linker prefers it) and takes
 * over pwrite() by SQLite's own table of system calls.
 */
#include "harness.h"

#include <errno.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "evidence/writer.h"

static volatile bool sync_fails;
static volatile bool disk_fails;
/* While it exists the disk is full. */
static char *volatile full_while;

int fdatasync(int fd)
{
	if (sync_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static ssize_t faulty_pwrite(int fd, const void *bytes, size_t size, off_t at)
{
	if (disk_fails) {
		errno = EIO;
		return -1;
	}
	if (full_while && access(full_while, F_OK) == 0) {
		errno = ENOSPC;
		return -1;
	}
	return pwrite(fd, bytes, size, at);
}

static int group_set_up(void **state UNUSED)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	vfs->xSetSystemCall(vfs, "pwrite64",
			    (sqlite3_syscall_ptr)faulty_pwrite);
	return vfs->xSetSystemCall(vfs, "pwrite",
				   (sqlite3_syscall_ptr)faulty_pwrite);
}

static int tear_down(void **state)
{
	sync_fails = false;
	disk_fails = false;
	full_while = NULL;
	return world_tear_down(state);
}

static void put_leaf(struct world *w)
{
	struct evidence_txn *t = evidence_begin(w->evidence);
	struct leaf_ref leaf;

	if (evidence_leaf(t, LEAF_HEARTBEAT, NULL, NULL, NULL, 0, &leaf) < 0)
		_exit(1);
	evidence_commit(t, world_done, w);
}

/* The exit status of a child that adds a leaf while a call fails, and what it
 * wrote on standard error. */
static int status_with(struct world *w, volatile bool *fault, struct buf *said)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/said", w->folder);
	int status;
	int pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(20);
		if (!freopen(path, "w", stderr) || world_try_open(w) < 0)
			_exit(1);
		*fault = true;
		put_leaf(w);
		/* Must end the process. */
		discard(loop_run(w->loop));
		_exit(2); /* told that it is durable */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(file_read(path, said), 0);
	return WEXITSTATUS(status);
}

static void a_failed_sync_ends_the_process(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf said = BUF_INIT(4096);

	assert_int_equal(status_with(w, &sync_fails, &said), WRITER_EXIT);
	assert_non_null(strstr(buf_text(&said), "cannot make the log durable"));
}

static void a_failed_write_ends_the_process(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf said = BUF_INIT(4096);

	assert_int_equal(status_with(w, &disk_fails, &said), WRITER_EXIT);
}

static void without_a_fault_the_process_goes_on(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf said = BUF_INIT(4096);
	volatile bool none;

	assert_int_equal(status_with(w, &none, &said), 2);
}

static void wait_healed(void *cookie)
{
	struct world *w = cookie;

	if (w->healed > 0)
		world_done(w);
	else
		loop_timer(w->loop, 20, wait_healed, w);
}

static void a_full_disk_gives_up_the_ballast_and_lands_the_batch(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_free_p)
	char *ballast = mem_format("%s/ballast", w->data);
	const char *why;

	world_open(w);
	world_add(w, 2);
	assert_true(file_exists(ballast));
	assert_false(evidence_is_degraded(w->evidence, NULL));
	full_while = ballast;
	put_leaf(w);
	world_wait(w);
	assert_int_equal(evidence_durable_size(w->evidence), 3);
	assert_int_equal(w->degraded, 1);
	/* There is space here in truth, so the ballast soon comes back. */
	full_while = NULL;
	wait_healed(w);
	world_wait(w);
	assert_true(file_exists(ballast));
	assert_false(evidence_is_degraded(w->evidence, &why));
	assert_string_equal(why, "");
	world_add(w, 1);
	assert_int_equal(evidence_durable_size(w->evidence), 4);
}

static void free_disk(void *cookie)
{
	struct world *w = cookie;

	assert_true(w->degraded > 0);
	assert_true(evidence_is_busy(w->evidence));
	assert_int_equal(evidence_durable_size(w->evidence), 2);
	full_while = NULL;
}

static void see_degraded(void *cookie)
{
	struct world *w = cookie;

	if (w->degraded > 0)
		free_disk(w);
	else
		loop_timer(w->loop, 20, see_degraded, w);
}

static void nothing_is_lost_while_the_disk_stays_full(void **state)
{
	struct world *w = *state;

	world_open(w);
	world_add(w, 2);
	full_while = w->data; /* which does not go away */
	put_leaf(w);
	see_degraded(w);
	world_wait(w);
	assert_int_equal(evidence_durable_size(w->evidence), 3);
	world_close(w);
	world_open(w);
	assert_int_equal(evidence_durable_size(w->evidence), 3);
}

/* A payload larger than what a full disk has left in half-used blocks. */
static void put_large(struct world *w)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(600001);
	CLEANUP(json_put_p) json_t *value = NULL;
	struct evidence_part part = { .subject = "human:alice" };
	struct evidence_txn *t = evidence_begin(w->evidence);
	struct leaf_ref leaf;

	memset(text, 'x', 600000);
	value = json_string(text);
	part.value = value;
	assert_int_equal(
		evidence_leaf(t, LEAF_RECORD, NULL, NULL, &part, 1, &leaf), 0);
	evidence_commit(t, world_done, w);
	world_wait(w);
}

static void a_file_system_that_is_full_in_truth_is_survived(void **state)
{
	struct world *w = *state;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", w->data, "tmpfs", 0, "size=48m") < 0)
		skip();
	world_open(w);
	world_add(w, 2);
	world_shell(w, "! cat /dev/zero >data/filler 2>/dev/null");
	put_large(w);
	assert_int_equal(evidence_durable_size(w->evidence), 3);
	assert_int_equal(w->degraded, 1);
	world_add(w, 1); /* outcomes still land */
	assert_int_equal(w->healed, 0);
	world_shell(w, "rm data/filler");
	wait_healed(w);
	world_wait(w);
	world_close(w);
	world_open(w);
	assert_int_equal(evidence_durable_size(w->evidence), 4);
	world_close(w);
	assert_int_equal(umount(w->data), 0);
}

#define FAULT_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, world_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(a_failed_sync_ends_the_process),
		FAULT_TEST(a_failed_write_ends_the_process),
		FAULT_TEST(without_a_fault_the_process_goes_on),
		FAULT_TEST(
			a_full_disk_gives_up_the_ballast_and_lands_the_batch),
		FAULT_TEST(a_file_system_that_is_full_in_truth_is_survived),
		FAULT_TEST(nothing_is_lost_while_the_disk_stays_full),
	};

	return cmocka_run_group_tests_name("evidence/fault", tests,
					   group_set_up, NULL);
}
