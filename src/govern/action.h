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
	const char *inverse; /* NULL: what it takes away is not given back */
	bool privileged;     /* adds power */
	bool containing;     /* takes power away */
	bool grants;	     /* what it places ends by time or with its task */
	bool lends;	   /* what it places is used by whoever has a secret */
	const char *words; /* "add {member} to {resource}", for people */
	bool reads;	   /* tells what is there, and changes nothing */
};

/* NULL if there is no such action. */
const struct action *action_find(const char *name);

/* Whether it takes back what a lending action gave: another can be lent in its
 * place.  action may be NULL. */
bool action_takes_back_lent(const struct action *action);

/* The whole table. */
const struct action *action_table(size_t *ret_count);
