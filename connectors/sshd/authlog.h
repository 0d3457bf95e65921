/*
 * The log that sshd's messages arrive in, as syslog daemons write it: one line
 * a message, with an RFC 3339 time in front.  Its bytes come from hosts and
 * from whoever tries to log in to them: any of them may be anything.
 *
 *   2026-11-23T10:00:01.120+00:00 host sshd[77]: Accepted publickey for ...
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* A message of sshd. */
struct authlog_line {
	int64_t at_ms; /* wall clock */
	struct slice host;
	struct slice message; /* what stands behind "sshd[PID]: " */
};

enum authlog_kind {
	AUTHLOG_END,   /* no whole line is left */
	AUTHLOG_SSHD,  /* a message of sshd */
	AUTHLOG_OTHER, /* somebody else's message */
	AUTHLOG_ODD,   /* without a time that can be read, or with a NUL */
};

/* Takes the first line off text; what it says borrows from text. */
enum authlog_kind authlog_next(struct slice *text,
			       struct authlog_line *ret_line);

/* What a message tells of a connection. */
enum authlog_event {
	AUTHLOG_NOTHING,
	AUTHLOG_LOGIN, /* somebody was let in */
	AUTHLOG_SHELL,
	AUTHLOG_EXEC, /* a command */
	AUTHLOG_SFTP,
	AUTHLOG_SUBSYSTEM, /* another one */
};

/*
 * Reads a message of OpenSSH 8.2 or newer at LogLevel VERBOSE.  What it returns
 * borrows from message.
 *
 * ret_peer: "ADDRESS port N" as the message has it; what belongs together has
 *   the same one.  Not touched on AUTHLOG_NOTHING.
 * ret_key_id: of the certificate, on AUTHLOG_LOGIN only; empty for who was let
 *   in without one.
 */
enum authlog_event authlog_read(struct slice message, struct slice *ret_peer,
				struct slice *ret_key_id);

/* "login", "shell", ...; static. */
const char *authlog_event_name(enum authlog_event event);
