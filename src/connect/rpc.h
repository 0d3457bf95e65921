/*
 * The serving side of JSON-RPC 2.0 over frames, answered in order: what the
 * keeper and the connectors are built on.  Nothing here knows a method.
 */
#pragma once

#include "base/json.h"

/* Codes of JSON-RPC 2.0, section 5.1, and ours. */
enum rpc_code {
	RPC_PARSE = -32700,
	RPC_INVALID = -32600,
	RPC_METHOD = -32601,
	RPC_PARAMS = -32602,
	RPC_REFUSED = -32000, /* data.reason says why */
};

enum { RPC_REASON_MAX = 32, RPC_MESSAGE_MAX = 512 }; /* bytes with NUL */

struct rpc_request {
	json_t *message; /* owned, holds what the others point to */
	int64_t id;
	const char *method;
	const json_t *params; /* an object */
};

/* An error that is answered; code 0 is none. */
struct rpc_fault {
	int code;
	char reason[RPC_REASON_MAX];
	char message[RPC_MESSAGE_MAX];
};

/* Fills fault and returns 0, so: return rpc_fault_set(fault, ...); */
PRINTF_LIKE(4, 5)
int rpc_fault_set(struct rpc_fault *fault, enum rpc_code code,
		  const char *reason, const char *format, ...);

/*
 * Reads a request: exactly jsonrpc, id (an integer >= 0), method and, optional,
 * params (an object).  Batches and notifications are refused.
 *
 * max: bytes accepted.
 * ret_request: set only when fault->code is 0; rpc_request_clear().
 */
void rpc_request_parse(struct slice body, size_t max,
		       struct rpc_request *ret_request,
		       struct rpc_fault *ret_fault);
void rpc_request_clear(struct rpc_request *request);

/* Appends an answer.  result: owned by the call.  Errors: ERR_LIMIT,
 * ERR_SYNTAX for a real number; out is then of no use. */
MUST_USE int rpc_put_result(struct buf *out, int64_t id, json_t *result);

/* Appends an error; id < 0 writes null (the request could not be read). */
MUST_USE int rpc_put_fault(struct buf *out, int64_t id,
			   const struct rpc_fault *fault);

/* Writes the whole answer to body into reply, which is empty.  Errors end
 * the service. */
typedef int (*rpc_answer_fn)(void *cookie, struct slice body,
			     struct buf *reply);

/*
 * Answers messages from in on out until in ends.  What came in and what went
 * out is wiped.  Errors: ERR_IO, ERR_LIMIT (a message over FRAME_MAX),
 * ERR_SYNTAX (cut short), and those of answer.
 */
MUST_USE int rpc_serve(int in, int out, rpc_answer_fn answer, void *cookie);

enum { RPC_TOGETHER_MAX = 64 }; /* messages answered in one go */

/* Takes the answers, one by one. */
struct rpc_sink {
	int (*put)(void *cookie, struct slice answer);
	void *cookie;
};

/* Answers messages that have come in together: one answer for each, in their
 * order.  count: 1 to RPC_TOGETHER_MAX.  Errors end the service. */
typedef int (*rpc_together_fn)(void *cookie, const struct slice *bodies,
			       size_t count, const struct rpc_sink *sink);

/* rpc_serve() for what is cheaper done for several messages at once: hands on
 * whatever waits already, and never waits for more than one message. */
MUST_USE int rpc_serve_together(int in, int out, rpc_together_fn answer,
				void *cookie);

/* Where answers go: standard output, or standard input where that is a socket
 * and standard output is neither socket nor pipe (socket activation). */
int rpc_output_fd(void);
