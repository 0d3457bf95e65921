/*
 * The leaves that a credential was made for, in file "issued": each serves
 * once. The last ISSUED_MAX are kept; a floor rises over what is dropped, and
 * every index below it is refused.
 */
#pragma once

#include "keeper/slots.h"

enum { ISSUED_MAX = 256 };

struct issued {
	struct slots slots;
	uint64_t floor;
	size_t count;
	uint64_t indices[ISSUED_MAX];
	bool changed; /* not on disk yet */
};

/* Makes the file, with nothing in it.  Errors: ERR_IO. */
MUST_USE int issued_make(int folder_fd);

/* issued: filled in any case; issued_close().
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. */
MUST_USE int issued_open(struct issued *issued, int folder_fd);

/* Whether a leaf has served, or may have. */
bool issued_has(const struct issued *issued, uint64_t index);

/* Adds a leaf that has not; what was made for it must not leave before
 * issued_sync().  Errors: ERR_BROKEN. */
MUST_USE int issued_add(struct issued *issued, uint64_t index);

/* As last_sync().  Errors: ERR_IO, ERR_BROKEN. */
MUST_USE int issued_sync(struct issued *issued);
void issued_close(struct issued *issued);
