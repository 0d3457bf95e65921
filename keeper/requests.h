/*
 * What the keeper answers: the whole of its surface is the table in requests.c.
 * The messages are docs/keeper-protocol.md.
 */
#pragma once

#include "base/buf.h"
#include "keeper/keys.h"
#include "keeper/last.h"

struct keeper {
	struct keys *keys; /* owned */
	struct last last;
	int lock_fd; /* keeps a second keeper out of the folder */
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
 * Opens all its files.  Keys without the file "last" are refused: a log whose
 * memory was removed must not look like a fresh one.
 *
 * ret_keeper: filled; released with keeper_clear().
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT, ERR_BUSY (another keeper), ERR_IO.
 */
MUST_USE int keeper_load(const char *folder, struct keeper *ret_keeper);
void keeper_clear(struct keeper *keeper); /* wipes */

/*
 * Answers one message; an rpc_answer_fn, cookie is the struct keeper.
 * Whatever is wrong with the message is told in the answer.
 * Errors: ERR_LIMIT if the answer does not fit.
 */
MUST_USE int keeper_answer(void *cookie, struct slice body, struct buf *reply);
