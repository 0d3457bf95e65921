/* Paths of C2SP tlog-tiles (v0.1.0, "Merkle Tree" and "Log Entries"). */
#pragma once

#include "base/base.h"

enum {
	TILE_WIDTH = 256,    /* hashes of a full tile, entries of a bundle */
	TILE_PATH_MAX = 128, /* bytes of a path with NUL */
	TILE_LEVELS = 8,     /* levels a tree of 64-bit size can have */
};

struct tile_id {
	bool is_entries; /* an entry bundle; level is 0 */
	unsigned level;
	uint64_t number;
	unsigned width; /* 1..256 */
};

/* "tile/0/x001/234.p/17".  Errors: ERR_SYNTAX for what tile_format() does not
 * write. */
MUST_USE int tile_parse(const char *path, struct tile_id *ret_id);

/* Writes the path that C2SP tlog-tiles gives a tile. */
void tile_format(const struct tile_id *id, char path[TILE_PATH_MAX]);

/* Hashes (or entries) that level of a tree of size leaves has. */
uint64_t tile_level_size(unsigned level, uint64_t size);

/* True if a tree of size leaves has all of this tile's width. */
bool tile_is_within(const struct tile_id *id, uint64_t size);
