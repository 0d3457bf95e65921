/*
 * The table of governed actions: one row each.  The names on the wire, in Cedar
 * and in the connector protocol are checked against it.
 */
#pragma once

#include "base/base.h"

struct action {
	const char *name;	   /* Cedar and API */
	const char *wire;	   /* dotted name, for logs and exports */
	const char *resource_type; /* Cedar type without namespace */
	const char *inverse;
	bool privileged;   /* adds power */
	bool containing;   /* takes power away */
	bool grants;	   /* what it places ends by time or with its task */
	const char *words; /* "add {member} to {resource}", for people */
};

/* NULL if there is no such action. */
const struct action *action_find(const char *name);

/* The whole table. */
const struct action *action_table(size_t *ret_count);
