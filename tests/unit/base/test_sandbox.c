/* What a process in the keeper's or a connector's sandbox tries in vain.  Each
 * try is made in a child of its own, which says how it ended. */
#include "base/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum { FAILED_TO_ENTER = 254, DID_IT = 0 };

static char folder[64];	 /* the sandbox's own */
static char outside[64]; /* not its own */

typedef int (*attempt_fn)(void); /* 0, or errno */

static struct sandbox make(enum sandbox_profile profile,
			   const struct sandbox_path *own)
{
	return (struct sandbox){ .mode = SANDBOX_REQUIRED,
				 .profile = profile,
				 .paths = own,
				 .path_count = 1,
				 .files = 64 };
}

/* The status of a child that tries in the sandbox: 0 for done, its errno, or
 * 1000 and the signal that ended it. */
static int try_in(enum sandbox_profile profile, attempt_fn attempt)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		const struct sandbox_path own = { folder, true };
		struct sandbox s = make(profile, &own);
		struct sandbox_state state;

		if (sandbox_enter(&s, &state) < 0)
			_exit(FAILED_TO_ENTER);
		_exit(attempt());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		return 1000 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

static int result_of(long r)
{
	return r < 0 ? errno : DID_IT;
}

/* ---- what is tried ---- */

static int read_passwd(void)
{
	return result_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int write_outside(void)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/file", outside);

	return result_of(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int replace_inside(void)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/file", folder);
	CLEANUP(buf_clear) struct buf text = BUF_INIT(64);

	if (file_write(path, slice_str("kept"), 0600) < 0 ||
	    file_read(path, &text) < 0)
		return errno ? errno : EIO;
	return strcmp(buf_text(&text), "kept") == 0 ? DID_IT : EIO;
}

static int connect_somewhere(void)
{
	struct sockaddr_in there = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	return result_of(connect(fd, (struct sockaddr *)&there, sizeof(there)));
}

static int wait_for_callers(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : result_of(listen(fd, 1));
}

static int packet_socket(void)
{
	return result_of(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int run_a_program(void)
{
	char program[] = "/bin/true";
	char *const arguments[] = { program, NULL };
	char *const environment[] = { NULL };

	return result_of(execve(program, arguments, environment));
}

static int fork_a_child(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	return result_of(child);
}

static int make_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? errno : DID_IT;
}

static int trace_the_parent(void)
{
	return result_of(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int mount_something(void)
{
	return result_of(mount("none", folder, "tmpfs", 0, NULL));
}

static int become_somebody(void)
{
	return result_of(setuid(65534));
}

static int signal_the_parent(void)
{
	return result_of(kill(getppid(), 0));
}

static int open_many(void)
{
	for (int i = 0; i < 64; i++)
		if (dup(STDIN_FILENO) < 0)
			return errno;
	return DID_IT;
}

static int start_a_program(void)
{
	int status = -1;
	pid_t child = fork();

	if (child < 0)
		return errno;
	if (child == 0)
		_exit(run_a_program());
	if (waitpid(child, &status, 0) < 0)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* ---- the tests ---- */

static int make_folders(void **state UNUSED)
{
	snprintf(folder, sizeof(folder), "/tmp/writ-sandbox-own-XXXXXX");
	snprintf(outside, sizeof(outside), "/tmp/writ-sandbox-not-XXXXXX");
	return mkdtemp(folder) && mkdtemp(outside) ? 0 : -1;
}

static int remove_folders(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *inner = mem_format("%s/file", folder);
	CLEANUP(mem_free_p) char *outer = mem_format("%s/file", outside);

	discard(unlink(inner));
	discard(unlink(outer));
	return rmdir(folder) < 0 || rmdir(outside) < 0 ? -1 : 0;
}

/* Sanitizers need calls that are shut; a kernel may lack Landlock. */
static void need_sandbox(void)
{
	if (sandbox_is_sanitized() ||
	    try_in(SANDBOX_CLOSED, getppid) == FAILED_TO_ENTER)
		skip();
}

#define KILLED (1000 + SIGSYS)

static void what_is_closed_touches_only_its_own_folder(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(SANDBOX_CLOSED, replace_inside), DID_IT);
	assert_int_equal(try_in(SANDBOX_CLOSED, read_passwd), EACCES);
	assert_int_equal(try_in(SANDBOX_CLOSED, write_outside), EACCES);
}

static void what_is_closed_speaks_to_nobody(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(SANDBOX_CLOSED, connect_somewhere), EPERM);
	assert_int_equal(try_in(SANDBOX_CLOSED, wait_for_callers), EPERM);
	assert_int_equal(try_in(SANDBOX_CLOSED, signal_the_parent), EPERM);
}

static void what_is_closed_runs_no_other_code(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(SANDBOX_CLOSED, run_a_program), EPERM);
	assert_int_equal(try_in(SANDBOX_CLOSED, fork_a_child), EPERM);
	assert_int_equal(try_in(SANDBOX_CLOSED, make_code), ENOSYS);
}

static void what_nobody_needs_ends_the_program(void **state UNUSED)
{
	static const enum sandbox_profile all[] = {
		SANDBOX_HOST,
		SANDBOX_CLOSED,
		SANDBOX_CLIENT,
	};

	need_sandbox();
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(try_in(all[i], trace_the_parent), KILLED);
		assert_int_equal(try_in(all[i], mount_something), KILLED);
	}
	assert_int_equal(try_in(SANDBOX_CLOSED, become_somebody), KILLED);
	assert_int_equal(try_in(SANDBOX_CLIENT, become_somebody), KILLED);
}

static void a_client_connects_and_is_not_connected_to(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(SANDBOX_CLIENT, connect_somewhere),
			 ECONNREFUSED);
	assert_int_equal(try_in(SANDBOX_CLIENT, wait_for_callers), EPERM);
	assert_int_equal(try_in(SANDBOX_CLIENT, packet_socket), ENOSYS);
}

static void a_client_has_its_own_files_and_no_programs(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(SANDBOX_CLIENT, replace_inside), DID_IT);
	assert_int_equal(try_in(SANDBOX_CLIENT, read_passwd), EACCES);
	assert_int_equal(try_in(SANDBOX_CLIENT, write_outside), EACCES);
	assert_int_equal(try_in(SANDBOX_CLIENT, run_a_program), EPERM);
	assert_int_equal(try_in(SANDBOX_CLIENT, fork_a_child), EPERM);
}

static void a_host_reads_and_starts_and_writes_only_its_own(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(SANDBOX_HOST, read_passwd), DID_IT);
	assert_int_equal(try_in(SANDBOX_HOST, start_a_program), DID_IT);
	assert_int_equal(try_in(SANDBOX_HOST, replace_inside), DID_IT);
	assert_int_equal(try_in(SANDBOX_HOST, write_outside), EACCES);
}

static void descriptors_have_an_end(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(SANDBOX_CLOSED, open_many), EMFILE);
}

static void what_is_off_is_open_and_says_so(void **state UNUSED)
{
	const struct sandbox s = { .mode = SANDBOX_OFF };
	struct sandbox_state now;
	CLEANUP(json_put_p) json_t *report = NULL;

	assert_int_equal(sandbox_enter(&s, &now), 0);
	report = sandbox_report(&now);
	assert_string_equal(json_text(report, "mode", ""), "off");
	assert_false(json_flag(report, "seccomp", true));
	assert_int_equal(json_int(report, "landlock", -1), 0);
	assert_string_equal(json_text(report, "why", ""), "it is switched off");
	assert_int_equal(read_passwd(), DID_IT);
}

static void a_build_with_sanitizers_is_open_and_says_so(void **state UNUSED)
{
	const struct sandbox s = { .mode = SANDBOX_ON,
				   .profile = SANDBOX_CLOSED };
	struct sandbox_state now;

	if (!sandbox_is_sanitized())
		skip();
	assert_int_equal(sandbox_enter(&s, &now), 0);
	assert_false(now.seccomp);
	assert_string_equal(now.why, "this is a build with sanitizers");
}

static void only_three_words_are_modes(void **state UNUSED)
{
	enum sandbox_mode mode;

	assert_true(sandbox_mode_parse("off", &mode) && mode == SANDBOX_OFF);
	assert_true(sandbox_mode_parse("on", &mode) && mode == SANDBOX_ON);
	assert_true(sandbox_mode_parse("required", &mode) &&
		    mode == SANDBOX_REQUIRED);
	assert_false(sandbox_mode_parse("On", &mode));
	assert_false(sandbox_mode_parse("", &mode));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_closed_touches_only_its_own_folder),
		cmocka_unit_test(what_is_closed_speaks_to_nobody),
		cmocka_unit_test(what_is_closed_runs_no_other_code),
		cmocka_unit_test(what_nobody_needs_ends_the_program),
		cmocka_unit_test(a_client_connects_and_is_not_connected_to),
		cmocka_unit_test(a_client_has_its_own_files_and_no_programs),
		cmocka_unit_test(
			a_host_reads_and_starts_and_writes_only_its_own),
		cmocka_unit_test(descriptors_have_an_end),
		cmocka_unit_test(what_is_off_is_open_and_says_so),
		cmocka_unit_test(a_build_with_sanitizers_is_open_and_says_so),
		cmocka_unit_test(only_three_words_are_modes),
	};

	return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
