#include "cli/run/keyring.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/process.h"
#include "cli/run/child.h"

enum {
	PROGRAM_MS = 10 * 1000, /* longest any of the programs takes */
	KEY_MAX = 16 * 1024,	/* bytes of a key's file */
};

struct keyring {
	struct scratch *scratch;
	char *socket;
	char *public;	     /* the line */
	struct buf private;  /* wiped */
	struct child *guard; /* whose end is the agent's */
	int hold;	     /* what the guard reads: it ends with us */
	pid_t agent;
	unsigned added;
};

static int run(const char *const *argv, struct buf *out)
{
	struct process p = { .argv = argv,
			     .alone = true,
			     .timeout_ms = PROGRAM_MS };
	int status = 0;

	TRY(process_run(&p, out, &status));
	if (status != 0)
		return error_set(ERR_REFUSED, "%s ended with %d", argv[0],
				 status);
	return 0;
}

/* The guard says who the agent is once that listens. */
static int wait_for_agent(struct keyring *k, int from)
{
	struct pollfd fd = { from, POLLIN, 0 };
	char word[64];
	ssize_t n = 0;

	if (poll(&fd, 1, PROGRAM_MS) == 1)
		n = read(from, word, sizeof(word) - 1);
	word[n > 0 ? n : 0] = '\0';
	k->agent = (pid_t)strtol(word, NULL, 10);
	if (k->agent > 1)
		return 0;
	k->agent = 0;
	return error_set(ERR_REFUSED, "ssh-agent does not start");
}

/*
 * ssh-agent runs with the rights of a group, so that it would not be sent a
 * signal at our end.  It watches over the command it was given, and ends some
 * seconds after that: one that waits for the end of a pipe that we hold.
 */
static int start_agent(struct keyring *k)
{
	const char *const argv[] = {
		"ssh-agent", "-a", k->socket,
		"/bin/sh",   "-c", "echo $SSH_AGENT_PID; read -r nothing",
		NULL
	};
	CLEANUP(environment_clear) struct environment env = { 0 };
	CLEANUP(fd_close_p) int input = -1;
	CLEANUP(fd_close_p) int from = -1;
	CLEANUP(fd_close_p) int to = -1;
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_sys("pipe");
	from = pipes[0];
	to = pipes[1];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_sys("pipe");
	input = pipes[0];
	k->hold = pipes[1];
	environment_copy(&env);
	environment_drop_identity(&env);
	TRY(child_start_beside(argv, &env, input, to, &k->guard));
	fd_close_p(&to);
	to = -1;
	return wait_for_agent(k, from);
}

/* The pair is made in memory, kept in ours, and its files go at once. */
static int make_key(struct keyring *k)
{
	CLEANUP(mem_free_p) char *path = scratch_path(k->scratch, "key");
	CLEANUP(mem_free_p) char *beside = scratch_path(k->scratch, "key.pub");
	CLEANUP(buf_clear) struct buf line = BUF_INIT(KEY_MAX);
	CLEANUP(buf_clear) struct buf said = BUF_INIT(4096);
	const char *const argv[] = { "ssh-keygen", "-q", "-t", "ed25519",
				     "-N",	   "",	 "-C", "writ run",
				     "-f",	   path, NULL };
	int r = run(argv, &said);

	if (r == 0)
		r = file_read(path, &k->private);
	if (r == 0)
		r = file_read(beside, &line);
	scratch_remove(k->scratch, "key");
	scratch_remove(k->scratch, "key.pub");
	if (r < 0)
		return r;
	k->public = mem_str(buf_text(&line));
	k->public[strcspn(k->public, "\n")] = '\0';
	return 0;
}

int keyring_open(struct scratch *scratch, struct keyring **ret_keyring)
{
	CLEANUP(keyring_close_p) struct keyring *k = mem_new(struct keyring);

	k->scratch = scratch;
	k->hold = -1;
	k->private = (struct buf)BUF_INIT(KEY_MAX);
	k->socket = scratch_path(scratch, "agent");
	TRY(make_key(k));
	TRY(start_agent(k));
	*ret_keyring = TAKE(k);
	return 0;
}

void keyring_close(struct keyring *k)
{
	int status = 0;

	if (!k)
		return;
	/* The guard leaves it unreaped, so that it is no other's number. */
	if (k->agent && !child_is_over(k->guard))
		discard(kill(k->agent, SIGTERM));
	if (k->guard)
		discard(child_stop(k->guard, PROGRAM_MS, &status));
	child_free(k->guard);
	fd_close_p(&k->hold);
	buf_clear(&k->private);
	free(k->public);
	free(k->socket);
	free(k);
}

const char *keyring_public(const struct keyring *k)
{
	return k->public;
}

const char *keyring_socket(const struct keyring *k)
{
	return k->socket;
}

/* ssh-add takes the certificate that lies beside the key; it finds the agent by
 * our environment, which the command gets in its own. */
static int add(struct keyring *k, const char *path, int64_t life_s)
{
	CLEANUP(mem_free_p) char *life = mem_format("%lld", (long long)life_s);
	CLEANUP(buf_clear) struct buf said = BUF_INIT(4096);
	const char *const argv[] = { "ssh-add", "-q", "-t", life, path, NULL };

	setenv("SSH_AUTH_SOCK", k->socket, 1);
	return run(argv, &said);
}

int keyring_add(struct keyring *k, const char *certificate, int64_t life_s)
{
	CLEANUP(mem_free_p) char *name = mem_format("key-%u", k->added++);
	CLEANUP(mem_free_p) char *beside = mem_format("%s-cert.pub", name);
	CLEANUP(mem_free_p) char *path = scratch_path(k->scratch, name);
	int r = scratch_write(k->scratch, name, buf_slice(&k->private));

	if (r == 0)
		r = scratch_write(k->scratch, beside, slice_str(certificate));
	if (r == 0)
		r = add(k, path, life_s);
	scratch_remove(k->scratch, name);
	scratch_remove(k->scratch, beside);
	return r;
}
