/* Finds the row of the routing table that a request is for. */
#pragma once

#include "http/server.h"
#include "http/target.h"

enum { ROUTE_ALLOW_MAX = 64 }; /* bytes of an Allow header with NUL */

struct route_param {
	struct slice name; /* in the row's path */
	const char *value; /* in the target's memory */
};

struct route_match {
	const struct http_route *route; /* NULL: none for this method */
	struct route_param params[HTTP_PARAMS_MAX];
	unsigned param_count;
	/* Methods of rows with this path, "" if there is none. */
	char allow[ROUTE_ALLOW_MAX];
};

/*
 * The first row in the table's order whose path and method fit; a HEAD is also
 * answered by a row for GET.
 *
 * target: a matched parameter that takes the rest joins its segments.
 */
void route_find(const struct http_route *routes, size_t count,
		const char *method, struct target *target,
		struct route_match *ret_match);
