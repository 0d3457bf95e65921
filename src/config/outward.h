/*
 * The parts of writd.yaml about what is told to others and asked of them:
 * notify and lookups.
 */
#pragma once

#include "base/schema.h"

/* Members of notify; the element row of lookups. */
extern const struct schema config_notify_rows[];
extern const struct schema config_lookup_row;

/*
 * What the shapes do not show: names that are there twice, URLs that a
 * reference could lead elsewhere, conditions that compare nothing.  Either may
 * be NULL.
 *
 * faults: array of {"at", "detail"}, added to.
 */
void config_check_outward(const json_t *notify, const json_t *lookups,
			  json_t *faults);

/* A copy in which paths of files are as seen from the folder of file; owned,
 * NULL for NULL. */
json_t *config_outward_paths(const json_t *section, const char *file);
