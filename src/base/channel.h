/*
 * A child process (or a connected socket) that speaks frames, driven by the
 * loop.  Nothing here blocks.
 */
#pragma once

#include "base/loop.h"
#include "base/slice.h"

struct channel;

struct channel_events {
	/* One whole message; body is valid during the call. */
	void (*message)(void *cookie, struct slice body);
	/* The peer is gone or broke the framing.  Called once, never from
	 * within channel_send(); the channel must be closed afterwards. */
	void (*closed)(void *cookie, const char *why);
};

/*
 * Starts argv[0] with standard input and output as the channel; standard error
 * is inherited, every other descriptor is closed, the environment is only PATH,
 * LANG and TZ.  Errors: ERR_IO, ERR_NOT_FOUND (no such program).
 */
MUST_USE int channel_spawn(struct loop *loop, const char *const *argv,
			   const struct channel_events *events, void *cookie,
			   struct channel **ret_channel);

/* Connects to a Unix socket.  Errors: ERR_IO, ERR_UNAVAILABLE. */
MUST_USE int channel_connect(struct loop *loop, const char *path,
			     const struct channel_events *events, void *cookie,
			     struct channel **ret_channel);

/* Queues a message; those of one callback of the loop go out together.  Errors:
 * ERR_LIMIT when more than 64 MiB wait. */
MUST_USE int channel_send(struct channel *channel, struct slice body);

/* The child's id, 0 for a socket. */
int channel_pid(const struct channel *channel);

/* Ends the channel: closes the pipes and, for a child, sends SIGTERM and after
 * two seconds SIGKILL, and reaps it.  No callback comes after this. */
void channel_close(struct channel *channel);
DEFINE_CLEANUP(struct channel *, channel_close)
