/* Runs another program and takes what it says. */
#pragma once

#include "base/buf.h"

struct process {
	const char *const *argv; /* argv[0] is searched in PATH */
	struct slice input;	 /* to its standard input, then end of file */
	bool alone; /* in a session of its own: it cannot ask on the terminal,
		       and SSH_ASKPASS is not used */
	int64_t timeout_ms; /* killed after that; 0: never */
};

/*
 * Runs it to its end; standard error is ours.
 *
 * out: its standard output is appended.
 * ret_status: exit status, or 128 + the signal that ended it.
 * Errors: ERR_NOT_FOUND (no such program), ERR_IO, ERR_LIMIT (out is full; it
 * is killed), ERR_REFUSED (time out).
 */
MUST_USE int process_run(const struct process *p, struct buf *out,
			 int *ret_status);

/* A program of ours: next to the running one, else as found in PATH; owned,
 * NULL if it is nowhere. */
char *process_find(const char *name);
