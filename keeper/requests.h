/*
 * What the keeper answers: the whole of its surface is the table in requests.c.
 * The messages are docs/keeper-protocol.md.
 */
#pragma once

#include "base/buf.h"
#include "connect/rpc.h"
#include "keeper/issued.h"
#include "keeper/keys.h"
#include "keeper/last.h"

struct keeper {
	struct keys *keys; /* owned */
	struct last last;
	struct issued issued;
	int lock_fd; /* keeps a second keeper out of the folder */
	/* The last checkpoint that a request for a credential named. */
	struct note_verifier *verifier; /* owned */
	char *note;			/* owned; NULL before the first */
	struct checkpoint head;		/* what it says */
	/* Owned; what hello tells of the sandbox, NULL for nothing. */
	json_t *sandbox;
};

/*
 * Makes the folder (0700) with fresh keys and a signed checkpoint of the empty
 * log.
 *
 * origin: the log's name, as C2SP tlog-checkpoint has it.
 * Errors: ERR_BUSY if there are keys already; ERR_SYNTAX, ERR_IO, ERR_CRYPTO.
 */
MUST_USE int keeper_init(const char *folder, const char *origin);

/*
 * Opens all its files.  Keys without the files "last" and "issued" are refused:
 * a log whose memory was removed must not look like a fresh one.  What keys of
 * an earlier version lack is made first.
 *
 * ret_keeper: filled; released with keeper_clear().
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT, ERR_BUSY (another keeper), ERR_IO,
 *   ERR_REFUSED (a file is open to others).
 */
MUST_USE int keeper_load(const char *folder, struct keeper *ret_keeper);
void keeper_clear(struct keeper *keeper); /* wipes */

/*
 * Puts a fresh key into use for list "tokens" or "ssh" of a folder that no
 * keeper serves.  Errors: those of keeper_load(), ERR_SYNTAX (no such list).
 */
MUST_USE int keeper_rotate(const char *folder, const char *list);

/*
 * Answers messages that came in together, in order; an rpc_together_fn, cookie
 * is the struct keeper.  What is to be remembered of all of them is on disk
 * before the first answer leaves.  Whatever is wrong with a message is told in
 * its answer.  Errors: ERR_LIMIT if an answer does not fit, and the sink's.
 */
MUST_USE int keeper_answer(void *cookie, const struct slice *bodies,
			   size_t count, const struct rpc_sink *sink);
