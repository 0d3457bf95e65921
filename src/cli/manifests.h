/* Manifests read from files, with every fault named by its place. */
#pragma once

#include "base/json.h"

enum { MANIFESTS_FILES_MAX = 1024 };

/*
 * Reads a YAML file, or every *.yaml and *.yml directly in a folder, in order
 * of their names.  Each document is checked by itself; the same thing written
 * twice is a fault.
 *
 * ret_manifests: owned array.
 * ret_faults: owned array of texts "file:line:column: what"; empty when right.
 * Errors: ERR_NOT_FOUND, ERR_IO, ERR_LIMIT (too many or too large files).
 */
MUST_USE int manifests_read(const char *path, json_t **ret_manifests,
			    json_t **ret_faults);
