/*
 * A small memory that is overwritten in place: one file of two slots that are
 * written in turn, so that to remember something costs one write and one sync.
 * A slot is some sectors of 512 bytes, each of which says which write it
 * belongs to and has a digest of its own:
 *
 *   "writlast" | number of the write (u64) | number of the sector (u8) | 463
 *   bytes of content, padded with zeros | SHA-256 of all before
 *
 * A write that a crash tore leaves whole sectors of two writes: the other slot,
 * written just before, then stands, for nobody was told what was torn.  A
 * sector that is not whole is damage.
 */
#pragma once

#include "base/buf.h"

enum {
	SLOTS_DATA_SIZE = 463,	/* bytes of content in a sector */
	SLOTS_SECTORS_MAX = 8,	/* of a slot */
	SLOTS_FILE_SIZE = 8192, /* bytes */
};

struct slots {
	const char *name;  /* borrowed */
	size_t sectors;	   /* of a slot */
	int fd;		   /* owned */
	uint64_t sequence; /* of the newest write; its parity is its slot */
	bool broken;	   /* a write failed: what the file says is not known */
};

/* Makes the file of a folder, with content in both of its slots; mode 0600.
 * Errors: ERR_IO, ERR_LIMIT (content is larger than a slot). */
MUST_USE int slots_make(int folder_fd, const char *name, size_t sectors,
			struct slice content);

/*
 * Opens a file that slots_make() made.
 *
 * slots: filled in any case; slots_close().
 * content: gets what was written last, with its padding.
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO.
 */
MUST_USE int slots_open(struct slots *slots, int folder_fd, const char *name,
			size_t sectors, struct buf *content);

/*
 * Writes the older slot and syncs it.  After a failure every further call is
 * ERR_BROKEN.  Errors: ERR_IO, ERR_LIMIT, ERR_BROKEN.
 */
MUST_USE int slots_write(struct slots *slots, struct slice content);
void slots_close(struct slots *slots);

/* Replaces file name of a folder: new file, fsync, rename, fsync of the folder;
 * mode 0600.  Errors: ERR_IO. */
MUST_USE int slots_replace(int folder_fd, const char *name,
			   struct slice content);
