#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum { INPUT, OUTPUT };

struct pipes {
	int in[2];  /* child reads in[0] */
	int out[2]; /* child writes out[1] */
};

static void pipes_clear(struct pipes *p)
{
	fd_close_p(&p->in[0]);
	fd_close_p(&p->in[1]);
	fd_close_p(&p->out[0]);
	fd_close_p(&p->out[1]);
}

static int pipes_open(struct pipes *p)
{
	if (pipe2(p->in, O_CLOEXEC) < 0 || pipe2(p->out, O_CLOEXEC) < 0)
		return error_sys("pipe");
	return 0;
}

static int spawn_with(posix_spawn_file_actions_t *actions,
		      posix_spawnattr_t *attributes, const struct process *p,
		      const struct pipes *pipes, pid_t *ret_pid)
{
	short flags = POSIX_SPAWN_SETSIGDEF;
	sigset_t defaults;
	int r;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	if (p->alone)
		flags |= POSIX_SPAWN_SETSID;
	discard(posix_spawn_file_actions_adddup2(actions, pipes->in[0], 0));
	discard(posix_spawn_file_actions_adddup2(actions, pipes->out[1], 1));
	discard(posix_spawnattr_setsigdefault(attributes, &defaults));
	discard(posix_spawnattr_setflags(attributes, flags));
	/* The interface predates const; argv is not changed. */
	r = posix_spawnp(ret_pid, p->argv[0], actions, attributes,
			 (char *const *)(uintptr_t)p->argv, environ);
	if (r == ENOENT)
		return error_set(ERR_NOT_FOUND, "there is no program '%s'",
				 p->argv[0]);
	if (r) {
		errno = r;
		return error_sys("starting '%s'", p->argv[0]);
	}
	return 0;
}

static int spawn(const struct process *p, const struct pipes *pipes,
		 pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	if (p->alone)
		setenv("SSH_ASKPASS_REQUIRE", "never", 1);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	r = spawn_with(&actions, &attributes, p, pipes, ret_pid);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return r;
}

/* Writes what fits; closes the pipe at the end, or when nobody reads. */
static void feed(struct slice *input, int *fd)
{
	ssize_t n = 0;

	if (input->len > 0)
		n = write(*fd, input->ptr, input->len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		*input = slice_of(input->ptr + n, input->len - (size_t)n);
	if (n < 0 || input->len == 0) {
		fd_close_p(fd);
		*fd = -1;
	}
}

static int drain(struct buf *out, int *fd)
{
	uint8_t chunk[4096];
	ssize_t n = read(*fd, chunk, sizeof(chunk));
	struct slice all;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		fd_close_p(fd);
		*fd = -1;
		return n < 0 ? error_sys("reading from a program") : 0;
	}
	buf_put(out, slice_of(chunk, (size_t)n));
	mem_wipe(chunk, (size_t)n);
	return buf_finish(out, &all);
}

static int time_left(int64_t deadline)
{
	int64_t left;

	if (!deadline)
		return -1;
	left = deadline - clock_boot_ms();
	return left > 0 ? (int)left : 0;
}

/* Moves bytes both ways until the program closes its output. */
static int converse(const struct process *p, struct pipes *pipes,
		    struct buf *out)
{
	int64_t deadline = p->timeout_ms ? clock_boot_ms() + p->timeout_ms : 0;
	struct slice input = p->input;

	discard(fcntl(pipes->in[1], F_SETFL, O_NONBLOCK));
	while (pipes->out[0] >= 0) {
		struct pollfd fds[2] = {
			[INPUT] = { pipes->in[1], POLLOUT, 0 },
			[OUTPUT] = { pipes->out[0], POLLIN, 0 },
		};
		int n = poll(fds, 2, time_left(deadline));

		if (n < 0 && errno != EINTR)
			return error_sys("poll");
		if (n == 0)
			return error_set(ERR_REFUSED,
					 "'%s' did not end in time",
					 p->argv[0]);
		if (n > 0 && fds[INPUT].revents)
			feed(&input, &pipes->in[1]);
		if (n > 0 && fds[OUTPUT].revents)
			TRY(drain(out, &pipes->out[0]));
	}
	return 0;
}

static int reap(pid_t pid, int *ret_status)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_sys("waitpid");
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status)
					: 128 + WTERMSIG(status);
	return 0;
}

int process_run(const struct process *p, struct buf *out, int *ret_status)
{
	CLEANUP(pipes_clear) struct pipes pipes = { { -1, -1 }, { -1, -1 } };
	pid_t pid;
	int status = 0;
	int r;

	TRY(pipes_open(&pipes));
	TRY(spawn(p, &pipes, &pid));
	fd_close_p(&pipes.in[0]);
	fd_close_p(&pipes.out[1]);
	pipes.in[0] = -1;
	pipes.out[1] = -1;
	r = converse(p, &pipes, out);
	if (r < 0)
		discard(kill(pid, SIGKILL));
	TRY(reap(pid, &status));
	TRY(r);
	*ret_status = status;
	return 0;
}

/* ---- our own programs ---- */

static char *beside_us(const char *name)
{
	CLEANUP(mem_free_p) char *path = NULL;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	path = mem_format("%s/%s", self, name);
	return access(path, X_OK) ? NULL : TAKE(path);
}

static char *in_path(const char *name)
{
	const char *at = getenv("PATH");

	while (at && *at) {
		CLEANUP(mem_free_p) char *path = NULL;
		size_t len = strcspn(at, ":");

		path = mem_format("%.*s/%s", (int)len, at, name);
		if (len > 0 && *at == '/' && !access(path, X_OK))
			return TAKE(path);
		at += len;
		at += *at == ':';
	}
	return NULL;
}

char *process_find(const char *name)
{
	char *path = beside_us(name);

	return path ? path : in_path(name);
}
