#include "cli/run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

struct child {
	pid_t pid;
	int watch; /* readable once it has ended */
};

/* For the handler. */
static volatile sig_atomic_t current; /* pid, 0 for none */
static volatile sig_atomic_t stop_signal;

/* What whoever started us had ignored stays so, as with nohup(1). */
static sigset_t taken;

static const int passed_on[] = { SIGTERM, SIGINT,  SIGQUIT,
				 SIGHUP,  SIGUSR1, SIGUSR2 };

/* ---- the environment ---- */

static void wipe_row(char *row)
{
	mem_wipe(row, strlen(row));
	free(row);
}

void environment_copy(struct environment *ret_environment)
{
	size_t count = 0;

	while (environ[count])
		count++;
	*ret_environment = (struct environment){
		.rows = mem_array(count + 1, sizeof(char *)),
		.count = count,
	};
	for (size_t i = 0; i < count; i++)
		ret_environment->rows[i] = mem_str(environ[i]);
}

void environment_clear(struct environment *e)
{
	for (size_t i = 0; i < e->count; i++)
		wipe_row(e->rows[i]);
	free(e->rows);
	*e = (struct environment){ 0 };
}

void environment_set(struct environment *e, const char *name, const char *value)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < e->count; i++) {
		if (strncmp(e->rows[i], name, len) || e->rows[i][len] != '=')
			continue;
		wipe_row(e->rows[i]);
		e->rows[i--] = e->rows[--e->count];
	}
	if (value) {
		e->rows = mem_grow(e->rows, e->count + 2, sizeof(char *));
		e->rows[e->count++] = mem_format("%s=%s", name, value);
	}
	e->rows[e->count] = NULL;
}

void environment_drop_identity(struct environment *e)
{
	static const char *const ours[] = { "WRIT_TOKEN", "WRIT_TOKEN_FILE",
					    "WRIT_TOKEN_COMMAND" };

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		environment_set(e, ours[i], NULL);
}

/* ---- signals ---- */

static void pass_on(int number, siginfo_t *info, void *context)
{
	pid_t pid = (pid_t)current;
	int before = errno;

	(void)context;
	if (!pid)
		stop_signal = number;
	else if (info->si_code <= 0) /* from a process, not the terminal */
		discard(kill(pid, number));
	errno = before;
}

void child_take_signals(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };

	action.sa_sigaction = pass_on;
	sigemptyset(&action.sa_mask);
	sigemptyset(&taken);
	for (size_t i = 0; i < ARRAY_LEN(passed_on); i++) {
		struct sigaction before;

		if (sigaction(passed_on[i], NULL, &before) == 0 &&
		    before.sa_handler == SIG_IGN)
			continue;
		sigaddset(&taken, passed_on[i]);
		discard(sigaction(passed_on[i], &action, NULL));
	}
}

int child_stop_signal(void)
{
	return stop_signal;
}

static void signals_as_usual(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(passed_on); i++) {
		if (sigismember(&taken, passed_on[i]) == 1)
			discard(sigaction(passed_on[i], &action, NULL));
	}
	discard(sigaction(SIGPIPE, &action, NULL));
}

static void block(sigset_t *ret_before)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	discard(sigprocmask(SIG_BLOCK, &set, ret_before));
}

/* ---- starting ---- */

struct program {
	const char *const *argv;
	const struct environment *env;
	bool beside;
	int input; /* of one beside */
	int output;
};

/* In the new process.  What keeps it from starting goes through the pipe. */
static _Noreturn void become(const struct program *p, int report, pid_t parent,
			     const sigset_t *mask)
{
	int why;

	discard(prctl(PR_SET_PDEATHSIG, SIGTERM));
	if (getppid() != parent)
		_exit(128 + SIGTERM);
	signals_as_usual();
	if (p->beside) {
		discard(setpgid(0, 0));
		discard(dup2(p->input, STDIN_FILENO));
		discard(dup2(p->output, STDOUT_FILENO));
	}
	discard(sigprocmask(SIG_SETMASK, mask, NULL));
	execvpe(p->argv[0], (char *const *)(uintptr_t)p->argv, p->env->rows);
	why = errno;
	discard(write(report, &why, sizeof(why)));
	_exit(127);
}

/* 0 once the program runs in its place. */
static int why_not(int report)
{
	int why = 0;
	ssize_t n;

	do
		n = read(report, &why, sizeof(why));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(why) ? why : 0;
}

static int say_why(const char *program, int why)
{
	if (why == ENOENT)
		return error_set(ERR_NOT_FOUND, "there is no program '%s'",
				 program);
	errno = why;
	discard(error_sys("'%s' cannot be executed", program));
	return ERR_REFUSED;
}

static int start(const struct program *p, pid_t *ret_pid)
{
	int report[2] = { -1, -1 };
	pid_t parent = getpid();
	sigset_t before;
	pid_t pid;
	int why;

	if (pipe2(report, O_CLOEXEC) < 0)
		return error_sys("pipe");
	/* A signal finds it either not there or known. */
	block(&before);
	pid = fork();
	if (pid == 0)
		become(p, report[1], parent, &before);
	if (!p->beside)
		current = pid > 0 ? pid : 0;
	/* What came just before is meant for it, too. */
	if (!p->beside && pid > 0 && stop_signal)
		discard(kill(pid, stop_signal));
	discard(sigprocmask(SIG_SETMASK, &before, NULL));
	close(report[1]);
	why = pid > 0 ? why_not(report[0]) : errno;
	close(report[0]);
	*ret_pid = pid;
	if (!why && pid > 0)
		return 0;
	if (!p->beside)
		current = 0;
	if (pid > 0)
		discard(waitpid(pid, NULL, 0));
	return say_why(p->argv[0], why);
}

/* Nothing is sent to it any more: its number may be another one's next. */
static int reap(struct child *c, int *ret_status)
{
	int status = 0;

	if (current == c->pid)
		current = 0;
	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_sys("waitpid");
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status)
					: 128 + WTERMSIG(status);
	return 0;
}

static int open_child(const struct program *p, struct child **ret_child)
{
	struct child *c;
	pid_t pid;

	TRY(start(p, &pid));
	c = mem_new(struct child);
	c->pid = pid;
	c->watch = (int)syscall(SYS_pidfd_open, pid, 0);
	if (c->watch < 0) {
		int r = error_sys("pidfd_open");
		int status;

		discard(kill(pid, SIGKILL));
		discard(reap(c, &status));
		child_free(c);
		return r;
	}
	*ret_child = c;
	return 0;
}

int child_start(const char *const *argv, const struct environment *env,
		struct child **ret_child)
{
	struct program p = { .argv = argv, .env = env };

	return open_child(&p, ret_child);
}

int child_start_beside(const char *const *argv, const struct environment *env,
		       int input, int output, struct child **ret_child)
{
	struct program p = { argv, env, true, input, output };

	return open_child(&p, ret_child);
}

/* ---- ending ---- */

bool child_is_over(const struct child *c)
{
	struct pollfd fd = { c->watch, POLLIN, 0 };

	return poll(&fd, 1, 0) > 0;
}

int child_wait(struct child *c, int64_t wait_ms, int *ret_status)
{
	struct pollfd fd = { c->watch, POLLIN, 0 };
	int64_t end = clock_boot_ms() + wait_ms;

	*ret_status = -1;
	for (;;) {
		int64_t left = end - clock_boot_ms();
		int n = poll(&fd, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return reap(c, ret_status);
		if (n < 0 && errno != EINTR)
			return error_sys("poll");
		if (left <= 0)
			return 0;
	}
}

int child_stop(struct child *c, int64_t grace_ms, int *ret_status)
{
	discard(kill(c->pid, SIGTERM));
	discard(kill(c->pid, SIGCONT)); /* one that is stopped does not hear */
	TRY(child_wait(c, grace_ms, ret_status));
	if (*ret_status >= 0)
		return 0;
	discard(kill(c->pid, SIGKILL));
	return reap(c, ret_status);
}

void child_free(struct child *c)
{
	if (!c)
		return;
	fd_close_p(&c->watch);
	free(c);
}
