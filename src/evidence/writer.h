/*
 * Inside the evidence layer: the thread with the only writing connection.  It
 * makes one database transaction of whatever was queued while the last one was
 * written.  A failure other than a full disk ends the process: what is on disk
 * is then not known, and a second fsync() may lie.
 */
#pragma once

#include "base/loop.h"
#include "evidence/txn.h"

enum {
	WRITER_EXIT = 70,	/* exit status after a failed write */
	WRITER_BATCH_MAX = 512, /* transactions in one commit */
	WRITER_BALLAST = 16 * 1024 * 1024, /* bytes kept for a full disk */
};

struct writer;

/* Both run on the loop. */
struct writer_events {
	/* These are on disk, first to last; ownership is passed. */
	void (*written)(void *cookie, struct evidence_txn *first);
	/* The disk is full, or is no longer. */
	void (*full)(void *cookie, bool is_full);
};

/* Starts the thread; ownership of store is taken, even on failure.
 * Errors: ERR_IO. */
MUST_USE int writer_open(struct loop *loop, struct store *store,
			 const char *folder, const struct writer_events *events,
			 void *cookie, struct writer **ret_writer);

/* Queues a transaction; ownership is taken. */
void writer_put(struct writer *w, struct evidence_txn *t);

/* Waits until what is queued is on disk and ends the thread.  Nothing is
 * reported any more. */
void writer_close(struct writer *w);
DEFINE_CLEANUP(struct writer *, writer_close)
