/*
 * What can be seen of a configuration before anything is started.  Each start
 * and --check-config go through here, so that what passes the one passes the
 * other.
 */
#pragma once

#include "config/config.h"

/*
 * Opens nothing but the files that the configuration names, connects to
 * nothing, and starts no program.
 *
 * config: whole, config_load() found no fault.
 * faults: array of {"at", "detail"}, added to.
 */
void prepare_check(const struct config *config, json_t *faults);
