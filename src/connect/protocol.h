/*
 * The words of the connector protocol, version 1, that both ends share: methods
 * and the shapes of their answers.  docs/connector-protocol.md explains them.
 */
#pragma once

#include "base/json.h"
#include "base/schema.h"
#include "crypto/digest.h"

enum { CONNECT_PROTOCOL = 1 };

/* name, text, milliseconds a connector has for it unless told otherwise */
#define CONNECT_METHODS(ROW)                                                   \
	ROW(DESCRIBE, "describe", 5000)                                        \
	ROW(CHECK, "check", 15000)                                             \
	ROW(PLAN, "plan", 15000)                                               \
	ROW(APPLY, "apply", 30000)                                             \
	ROW(READ, "read", 15000)                                               \
	ROW(DISCOVER, "discover", 30000)                                       \
	ROW(ENTITLEMENTS, "entitlements", 15000)                               \
	ROW(ACTIVITY, "activity", 15000)

enum connect_method {
#define CONNECT_METHOD_ENUM(name, text, timeout_ms) CONNECT_##name,
	CONNECT_METHODS(CONNECT_METHOD_ENUM)
#undef CONNECT_METHOD_ENUM
		CONNECT_METHOD_COUNT
};

const char *connect_method_name(enum connect_method method);
int64_t connect_method_timeout_ms(enum connect_method method);

/* The shape of a method's result, a table that a row without a name ends. */
const struct schema *connect_method_result(enum connect_method method);

/*
 * The digest of a program's file, which a connector calls its build.
 * Errors: ERR_IO, ERR_NOT_FOUND, ERR_LIMIT (over 256 MiB).
 */
MUST_USE int connect_build_of(const char *path, char text[DIGEST_TEXT_LEN]);
