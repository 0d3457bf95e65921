/*
 * The command that `writ run` is about: started with an environment of its own,
 * sent the signals that writ is sent, waited for.  One at a time in a process,
 * since signals are the process's; other programs may work beside it.
 */
#pragma once

#include "base/base.h"

/* Variables for a command: ours with some taken out and some put in. */
struct environment {
	char **rows; /* owned, "NAME=VALUE", NULL-terminated */
	size_t count;
};

/* Copies this process's.  Released with environment_clear(), which wipes it. */
void environment_copy(struct environment *ret_environment);
void environment_clear(struct environment *e);
/* value NULL: takes it out. */
void environment_set(struct environment *e, const char *name,
		     const char *value);
/* Takes out what proves who we are: no command gets that from us. */
void environment_drop_identity(struct environment *e);

/*
 * Takes over the signals a person or a service manager sends: from now on they
 * end nothing by themselves.  With a command they go to it, except for what the
 * terminal sent, which it has had already; without one they are remembered, and
 * a command that begins after all is sent the last of them.  What was ignored
 * before is ignored by the command, too.
 */
void child_take_signals(void);
/* The signal that came while there was no command; 0 for none. */
int child_stop_signal(void);

struct child;

/*
 * Starts a command, searched in PATH.  It is sent SIGTERM should this process
 * be killed.
 *
 * Errors: ERR_NOT_FOUND (no such program), ERR_REFUSED (it cannot be executed),
 * ERR_IO.
 */
MUST_USE int child_start(const char *const *argv, const struct environment *env,
			 struct child **ret_child);
/*
 * The same for a program that works beside the command: what writ is sent does
 * not go to it, nor what the terminal sends; its standard input and output are
 * descriptors.
 */
MUST_USE int child_start_beside(const char *const *argv,
				const struct environment *env, int input,
				int output, struct child **ret_child);
/* Whether it has ended; child_wait() tells how. */
bool child_is_over(const struct child *c);
/* Waits for its end, at most so long.
 * ret_status: exit status, or 128 + the signal that ended it; -1 if it runs on.
 * Errors: ERR_IO. */
MUST_USE int child_wait(struct child *c, int64_t wait_ms, int *ret_status);
/* Asks it to end, and makes it end when it has not after so long. */
MUST_USE int child_stop(struct child *c, int64_t grace_ms, int *ret_status);
/* Only once it has ended, or to leave it alone. */
void child_free(struct child *c);
DEFINE_CLEANUP(struct child *, child_free)
