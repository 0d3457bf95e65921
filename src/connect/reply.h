/* What a connector answers, taken apart and checked. */
#pragma once

#include "base/json.h"
#include "connect/protocol.h"

enum { REPLY_REASON_MAX = 64, REPLY_DETAIL_MAX = 512 }; /* bytes with NUL */

enum reply_kind {
	REPLY_RESULT,
	REPLY_ERROR,	 /* a JSON-RPC error with a reason */
	REPLY_MALFORMED, /* breaks the protocol; detail says how */
};

struct reply {
	enum reply_kind kind;
	json_t *result; /* owned; the result, when kind is REPLY_RESULT */
	char reason[REPLY_REASON_MAX]; /* of an error or a refused apply */
	char detail[REPLY_DETAIL_MAX];
};

/*
 * Reads the answer to request id of a method.  Everything that is not exactly
 * what the protocol says is REPLY_MALFORMED: another id, an unknown member, a
 * wrong type, a result and an error at once.
 */
void reply_parse(struct slice body, enum connect_method method, int64_t id,
		 struct reply *ret_reply);
void reply_clear(struct reply *reply);
