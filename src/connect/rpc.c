#include "connect/rpc.h"

#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/frame.h"
#include "base/mem.h"

int rpc_fault_set(struct rpc_fault *fault, enum rpc_code code,
		  const char *reason, const char *format, ...)
{
	va_list args;

	fault->code = code;
	snprintf(fault->reason, sizeof(fault->reason), "%s", reason);
	va_start(args, format);
	vsnprintf(fault->message, sizeof(fault->message), format, args);
	va_end(args);
	return 0;
}

/* True when message has the members of a request and no others. */
static bool is_request(const json_t *message)
{
	const json_t *id = json_object_get(message, "id");
	const json_t *params = json_object_get(message, "params");

	return json_is_object(message) &&
	       json_object_size(message) == (params ? 4u : 3u) &&
	       !strcmp(json_text(message, "jsonrpc", ""), "2.0") &&
	       json_is_integer(id) && json_integer_value(id) >= 0 &&
	       json_text(message, "method", NULL) &&
	       (!params || json_is_object(params));
}

void rpc_request_parse(struct slice body, size_t max,
		       struct rpc_request *ret_request,
		       struct rpc_fault *ret_fault)
{
	CLEANUP(json_put_p) json_t *message = NULL;
	int r = json_parse(body, max, &message);

	ret_fault->code = 0;
	if (r == ERR_LIMIT) {
		discard(rpc_fault_set(ret_fault, RPC_INVALID, "too-large",
				      "request of %zu bytes", body.len));
		return;
	}
	if (r < 0) {
		discard(rpc_fault_set(ret_fault, RPC_PARSE, "malformed", "%s",
				      error_message()));
		return;
	}
	if (!is_request(message)) {
		discard(rpc_fault_set(ret_fault, RPC_INVALID, "malformed",
				      "not a JSON-RPC 2.0 request"));
		return;
	}
	if (!json_object_get(message, "params"))
		json_set_new(message, "params", json_object());
	ret_request->id = json_int(message, "id", -1);
	ret_request->method = json_text(message, "method", "");
	ret_request->params = json_object_in(message, "params");
	ret_request->message = TAKE(message);
}

void rpc_request_clear(struct rpc_request *request)
{
	json_decref(request->message);
	request->message = NULL;
}

/* An answer without its result or error. */
static json_t *new_answer(int64_t id)
{
	json_t *answer = json_object();

	json_set_text(answer, "jsonrpc", "2.0");
	if (id < 0)
		json_set_new(answer, "id", json_null());
	else
		json_set_int(answer, "id", id);
	return answer;
}

static int put_answer(struct buf *out, const json_t *answer)
{
	struct slice bytes;

	TRY(json_put_canonical(out, answer));
	return buf_finish(out, &bytes);
}

int rpc_put_result(struct buf *out, int64_t id, json_t *result)
{
	CLEANUP(json_put_p) json_t *answer = new_answer(id);

	json_set_new(answer, "result", result);
	return put_answer(out, answer);
}

int rpc_put_fault(struct buf *out, int64_t id, const struct rpc_fault *fault)
{
	CLEANUP(json_put_p) json_t *answer = new_answer(id);
	json_t *error = json_object();
	json_t *data = json_object();

	json_set_text(data, "reason", fault->reason);
	json_set_int(error, "code", fault->code);
	/* A message cut off within a character, or with a stranger's bytes in
	 * it, is no JSON text. */
	if (json_object_set_new(error, "message", json_string(fault->message)) <
	    0)
		json_set_text(error, "message", "(no text)");
	json_set_new(error, "data", data);
	json_set_new(answer, "error", error);
	return put_answer(out, answer);
}

static void wipe(struct buf *b)
{
	if (b->data)
		mem_wipe(b->data, b->len);
	buf_reset(b);
}

int rpc_serve(int in, int out, rpc_answer_fn answer, void *cookie)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	CLEANUP(buf_clear) struct buf reply = BUF_INIT(FRAME_MAX);
	bool end = false;

	for (;;) {
		TRY(frame_read(in, &body, &end));
		if (end)
			return 0;
		TRY(answer(cookie, buf_slice(&body), &reply));
		TRY(frame_write(out, buf_slice(&reply)));
		wipe(&body);
		wipe(&reply);
	}
}

int rpc_output_fd(void)
{
	struct stat in;
	struct stat out;

	if (fstat(STDIN_FILENO, &in) < 0 || !S_ISSOCK(in.st_mode))
		return STDOUT_FILENO;
	if (fstat(STDOUT_FILENO, &out) == 0 &&
	    (S_ISSOCK(out.st_mode) || S_ISFIFO(out.st_mode)))
		return STDOUT_FILENO;
	return STDIN_FILENO;
}
