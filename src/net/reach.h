/*
 * Which addresses writd may connect to.  Public ones; others only where the
 * operator's configuration names them.
 */
#pragma once

#include "base/json.h"

struct sockaddr;
struct reach;

/*
 * Reads the list of named addresses: array of "ADDRESS", "ADDRESS/PREFIX",
 * "IPV4:PORT" or "[IPV6]:PORT"; NULL for none.
 *
 * ret_reach: owned.
 * Errors: ERR_SYNTAX (an element is none of these), ERR_LIMIT (more than 64).
 */
MUST_USE int reach_new(const json_t *names, struct reach **ret_reach);
void reach_free(struct reach *r);
DEFINE_CLEANUP(struct reach *, reach_free)

/* True if the address is not one of the public Internet's: unspecified,
 * loopback, private, shared, link-local, unique local, multicast, reserved,
 * documentation; IPv6 forms that hold an IPv4 address are judged by it. */
bool reach_is_internal(const struct sockaddr *address);
bool reach_is_loopback(const struct sockaddr *address);

/* True if the configuration names the address (with this port); r may be
 * NULL. */
bool reach_names(const struct reach *r, const struct sockaddr *address);

/* Whether a connection may be made; plain: without TLS, which only a named
 * loopback address may have. */
bool reach_allows(const struct reach *r, const struct sockaddr *address,
		  bool plain);
