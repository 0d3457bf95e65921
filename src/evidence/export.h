/* Writing the log out as files, for publishing and for verifying offline. */
#pragma once

#include "base/base.h"

/*
 * Writes what the last stored checkpoint of a data folder covers to folder:
 * tiles and entry bundles in C2SP tlog-tiles' layout, the checkpoint last.
 * Files that are there are replaced; full tiles and bundles that are there are
 * left alone, so that a later export only adds.  The daemon may be running.
 *
 * ret_size: leaves covered; may be NULL.
 * Errors: ERR_NOT_FOUND (no log there, or nothing signed yet), ERR_IO,
 * ERR_CORRUPT.
 */
MUST_USE int evidence_export(const char *data_folder, const char *folder,
			     uint64_t *ret_size);
