/* Entry bundles of C2SP tlog-tiles: u16 length and entry, 256 times. */
#pragma once

#include "base/reader.h"
#include "evidence/tile.h"
#include "store/store.h"

enum { BUNDLE_MAX = TILE_WIDTH * (2 + 65535) }; /* bytes */

/* Appends a bundle's entries.  Errors: ERR_NOT_FOUND when some are missing,
 * those of the store. */
MUST_USE int entry_bundle_write(struct store *s, const struct tile_id *id,
				struct buf *b);

/*
 * Takes width entries apart, views into bytes.
 * Errors: ERR_SYNTAX when there are fewer, or bytes are left over.
 */
MUST_USE int entry_bundle_parse(struct slice bytes, unsigned width,
				struct slice ret_entries[TILE_WIDTH]);
