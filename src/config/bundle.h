/*
 * A policy bundle in a folder: one *.cedarschema, invariants.cedar,
 * templates.cedar, scenarios.json, and every other *.cedar is policies.
 */
#pragma once

#include "base/json.h"
#include "crypto/digest.h"

enum { BUNDLE_FILE_MAX = 1024 * 1024 }; /* bytes of one file */

/*
 * ret_files: owned {"schema", "policies": {file: text}, "invariants",
 *   "templates"}, what policy_bundle_build() takes.
 * ret_scenarios: owned; may be NULL if they are not wanted.
 * Errors: ERR_NOT_FOUND (a file is missing), ERR_SYNTAX, ERR_IO, ERR_LIMIT.
 */
MUST_USE int bundle_read(const char *folder, json_t **ret_files,
			 json_t **ret_scenarios);

/* The digest that activating it signs: of the canonical form of files. */
void bundle_digest(const json_t *files, char text[DIGEST_TEXT_LEN]);

/* The four members of files, out of a PolicyBundle manifest's spec; owned. */
json_t *bundle_files_of(const json_t *spec);
