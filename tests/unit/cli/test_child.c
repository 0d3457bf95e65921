#include "cli/run/child.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum { LONG_MS = 60 * 1000 };

/* ---- the environment ---- */

/* How often a name stands there; ret_value: of the last. */
static unsigned find(const struct environment *e, const char *name,
		     const char **ret_value)
{
	size_t len = strlen(name);
	unsigned count = 0;

	assert_null(e->rows[e->count]);
	for (size_t i = 0; i < e->count; i++) {
		if (strncmp(e->rows[i], name, len) != 0 ||
		    e->rows[i][len] != '=')
			continue;
		*ret_value = e->rows[i] + len + 1;
		count++;
	}
	return count;
}

static void expect(const struct environment *e, const char *name,
		   const char *value)
{
	const char *is = NULL;

	assert_int_equal(find(e, name, &is), 1);
	assert_string_equal(is, value);
}

static void a_variable_is_set_replaced_and_taken_out(void **state UNUSED)
{
	CLEANUP(environment_clear) struct environment e;
	const char *value = NULL;

	setenv("WRIT_TEST_ONE", "outer", 1);
	setenv("WRIT_TEST_ONE_MORE", "stays", 1);
	environment_copy(&e);
	expect(&e, "WRIT_TEST_ONE", "outer");
	environment_set(&e, "WRIT_TEST_ONE", "a=b");
	expect(&e, "WRIT_TEST_ONE", "a=b");
	environment_set(&e, "WRIT_TEST_TWO", "");
	expect(&e, "WRIT_TEST_TWO", "");
	environment_set(&e, "WRIT_TEST_ONE", NULL);
	assert_int_equal(find(&e, "WRIT_TEST_ONE", &value), 0);
	environment_set(&e, "WRIT_TEST_NEVER", NULL);
	expect(&e, "WRIT_TEST_ONE_MORE", "stays");
	assert_string_equal(getenv("WRIT_TEST_ONE"), "outer");
}

static void a_variable_that_stands_twice_is_taken_out_twice(void **state UNUSED)
{
	CLEANUP(environment_clear) struct environment e;
	const char *value = NULL;

	environment_copy(&e);
	environment_set(&e, "WRIT_TEST_B", "1");
	environment_set(&e, "WRIT_TEST_C", "2");
	e.rows[e.count - 1][strlen("WRIT_TEST_")] = 'B';
	assert_int_equal(find(&e, "WRIT_TEST_B", &value), 2);
	environment_set(&e, "WRIT_TEST_B", NULL);
	assert_int_equal(find(&e, "WRIT_TEST_B", &value), 0);
}

static void a_cleared_environment_holds_nothing(void **state UNUSED)
{
	struct environment e;

	environment_copy(&e);
	environment_clear(&e);
	assert_null(e.rows);
	assert_int_equal(e.count, 0);
	environment_clear(&e);
}

/* ---- commands ---- */

/* Begins a script that goes on for ever, and waits until it has begun.
 * ret_pid: may be NULL. */
static struct child *start_ready(const char *script, bool beside, long *ret_pid)
{
	CLEANUP(mem_free_p)
	char *whole = mem_format(
		"%s; echo $$ >&9; while :; do sleep 0.05; done", script);
	const char *const argv[] = { "sh", "-c", whole, NULL };
	CLEANUP(environment_clear) struct environment e;
	struct child *c = NULL;
	char word[16] = "";
	int pipes[2];

	environment_copy(&e);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(dup2(pipes[1], 9), 9); /* the script has this one */
	close(pipes[1]);
	if (beside)
		assert_int_equal(child_start_beside(argv, &e, 0, 1, &c), 0);
	else
		assert_int_equal(child_start(argv, &e, &c), 0);
	close(9);
	assert_true(read(pipes[0], word, sizeof(word) - 1) > 0);
	close(pipes[0]);
	if (ret_pid)
		*ret_pid = strtol(word, NULL, 10);
	return c;
}

/* Waits until a process is in a state, as proc(5) has it. */
static void await_state(long pid, char state)
{
	CLEANUP(mem_free_p) char *path = mem_format("/proc/%ld/stat", pid);
	CLEANUP(mem_free_p) char *wanted = mem_format("(sh) %c ", state);

	for (;;) {
		CLEANUP(buf_clear) struct buf text = BUF_INIT(4096);

		assert_int_equal(file_read(path, &text), 0);
		if (strstr(buf_text(&text), wanted))
			return;
		usleep(1000);
	}
}

static int run(const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	CLEANUP(environment_clear) struct environment e;
	CLEANUP(child_free_p) struct child *c = NULL;
	int status = -1;

	environment_copy(&e);
	environment_set(&e, "WRIT_TEST_SEEN", "by the command");
	assert_int_equal(child_start(argv, &e, &c), 0);
	assert_int_equal(child_wait(c, LONG_MS, &status), 0);
	return status;
}

static void the_status_of_a_command_is_told(void **state UNUSED)
{
	assert_int_equal(run("exit 0"), 0);
	assert_int_equal(run("exit 7"), 7);
	assert_int_equal(run("test \"$WRIT_TEST_SEEN\" = 'by the command'"), 0);
}

static void the_signal_that_ended_a_command_is_told(void **state UNUSED)
{
	assert_int_equal(run("kill -KILL $$"), 128 + SIGKILL);
	assert_int_equal(run("kill -TERM $$"), 128 + SIGTERM);
}

static void what_cannot_be_started_is_told(void **state UNUSED)
{
	static const struct {
		const char *program;
		int error;
	} rows[] = {
		{ "no-such-program-anywhere", ERR_NOT_FOUND },
		{ "/no/such/folder/program", ERR_NOT_FOUND },
		{ "/etc", ERR_REFUSED },
		{ "/etc/passwd", ERR_REFUSED },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const argv[] = { rows[i].program, NULL };
		CLEANUP(environment_clear) struct environment e;
		struct child *c = NULL;

		environment_copy(&e);
		assert_int_equal(child_start(argv, &e, &c), rows[i].error);
		assert_non_null(strstr(error_message(), rows[i].program));
		assert_null(c);
	}
}

static void a_command_that_runs_on_has_no_status(void **state UNUSED)
{
	struct child *c = start_ready(":", false, NULL);
	int status = 0;

	assert_int_equal(child_wait(c, 0, &status), 0);
	assert_int_equal(status, -1);
	assert_int_equal(child_stop(c, LONG_MS, &status), 0);
	assert_int_equal(status, 128 + SIGTERM);
	child_free(c);
}

static void a_command_that_does_not_end_is_made_to(void **state UNUSED)
{
	struct child *c = start_ready("trap '' TERM", false, NULL);
	int status = 0;

	assert_int_equal(child_stop(c, 100, &status), 0);
	assert_int_equal(status, 128 + SIGKILL);
	child_free(c);
}

static void
a_command_that_is_stopped_hears_that_it_must_end(void **state UNUSED)
{
	long pid = 0;
	struct child *c = start_ready("trap 'exit 9' TERM", false, &pid);
	int status = 0;

	assert_int_equal(kill((pid_t)pid, SIGSTOP), 0);
	await_state(pid, 'T');
	assert_int_equal(child_stop(c, LONG_MS, &status), 0);
	assert_int_equal(status, 9);
	child_free(c);
}

/* ---- signals ---- */

static void
a_signal_goes_to_the_command_not_to_what_is_beside(void **state UNUSED)
{
	struct child *beside = start_ready("trap 'exit 8' USR1", true, NULL);
	struct child *c = start_ready("trap 'exit 9' USR1", false, NULL);
	int status = 0;

	raise(SIGUSR1);
	assert_int_equal(child_wait(c, LONG_MS, &status), 0);
	assert_int_equal(status, 9);
	assert_int_equal(child_stop_signal(), 0);
	assert_int_equal(child_wait(beside, 0, &status), 0);
	assert_int_equal(status, -1);
	assert_int_equal(child_stop(beside, LONG_MS, &status), 0);
	assert_int_equal(status, 128 + SIGTERM);
	child_free(c);
	child_free(beside);
}

static void a_signal_without_a_command_is_remembered(void **state UNUSED)
{
	raise(SIGHUP);
	assert_int_equal(child_stop_signal(), SIGHUP);
}

/* After the one before: the signal came, and nobody has acted on it. */
static void
a_command_that_begins_after_all_is_sent_what_came(void **state UNUSED)
{
	assert_int_equal(run("while :; do sleep 0.05; done"), 128 + SIGHUP);
}

/* As with nohup(1); see main(). */
static void what_we_were_told_to_ignore_the_command_ignores(void **state UNUSED)
{
	assert_int_equal(run("kill -USR2 $$; exit 5"), 5);
	raise(SIGUSR2);
	assert_int_equal(child_stop_signal(), 0);
}

static void who_we_are_is_taken_out(void **state UNUSED)
{
	static const char *const names[] = { "WRIT_TOKEN", "WRIT_TOKEN_FILE",
					     "WRIT_TOKEN_COMMAND" };
	CLEANUP(environment_clear) struct environment e;
	const char *value = NULL;

	environment_copy(&e);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		environment_set(&e, names[i], "x");
	environment_set(&e, "WRIT_TOKEN_FILE_API", "stays");
	environment_drop_identity(&e);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(find(&e, names[i], &value), 0);
	expect(&e, "WRIT_TOKEN_FILE_API", "stays");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_variable_is_set_replaced_and_taken_out),
		cmocka_unit_test(
			a_variable_that_stands_twice_is_taken_out_twice),
		cmocka_unit_test(a_cleared_environment_holds_nothing),
		cmocka_unit_test(the_status_of_a_command_is_told),
		cmocka_unit_test(the_signal_that_ended_a_command_is_told),
		cmocka_unit_test(what_cannot_be_started_is_told),
		cmocka_unit_test(a_command_that_runs_on_has_no_status),
		cmocka_unit_test(a_command_that_does_not_end_is_made_to),
		cmocka_unit_test(
			a_command_that_is_stopped_hears_that_it_must_end),
		cmocka_unit_test(
			a_signal_goes_to_the_command_not_to_what_is_beside),
		cmocka_unit_test(who_we_are_is_taken_out),
		cmocka_unit_test(
			what_we_were_told_to_ignore_the_command_ignores),
		cmocka_unit_test(a_signal_without_a_command_is_remembered),
		cmocka_unit_test(
			a_command_that_begins_after_all_is_sent_what_came),
	};

	signal(SIGUSR2, SIG_IGN);
	child_take_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
