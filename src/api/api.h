/*
 * The HTTP surface: one table of routes.  Each row's handler reads the call,
 * checks its shape, proves the caller where one is needed, and hands it to
 * flow; one table turns flow's answers into statuses.
 */
#pragma once

#include "flow/flow.h"
#include "http/server.h"

struct api;

struct api_config {
	struct flow *flow;
	struct evidence *evidence;
	const char *origin;
	const char *audience;
	const char *issuer; /* of tokens; NULL: none are made */
	json_t *sandbox;    /* owned by the call; what health tells of it */
};

struct api *api_new(const struct api_config *config);
void api_free(struct api *api);
DEFINE_CLEANUP(struct api *, api_free)

/* All routes; handlers take the struct api as their cookie. */
const struct http_route *api_routes(size_t *ret_count);

/* The OpenAPI 3.1 document of the routes; owned. */
json_t *api_openapi(void);
