#include "connect/rpc.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/frame.h"
#include "base/mem.h"

enum {
	HEADER_SIZE = 4,
	READ_SIZE = 256 * 1024, /* bytes that may come in at once */
};

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

/* ---- serving ---- */

/* What has been read and not been answered yet. */
struct intake {
	int fd;
	uint8_t *data; /* owned */
	size_t capacity;
	size_t len;   /* bytes in data */
	size_t taken; /* of them, in messages that were handed on */
	bool ended;
};

static void intake_clear(struct intake *intake)
{
	if (intake->data)
		mem_wipe(intake->data, intake->capacity);
	free(intake->data);
}

/* The length in a message's first bytes, which are all there. */
static size_t length_at(const uint8_t *at)
{
	return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 |
	       at[3];
}

/* Hands on whole messages, valid until intake_drop().  Errors: ERR_LIMIT for a
 * length that nobody may send, once it is the first. */
static int intake_take(struct intake *intake, struct slice *bodies,
		       size_t *ret_count)
{
	size_t count = 0;

	while (count < RPC_TOGETHER_MAX &&
	       intake->len - intake->taken >= HEADER_SIZE) {
		const uint8_t *at = intake->data + intake->taken;
		size_t len = length_at(at);

		if (len > FRAME_MAX && count == 0)
			return error_set(ERR_LIMIT, "a message of %zu bytes",
					 len);
		if (len > FRAME_MAX ||
		    intake->len - intake->taken - HEADER_SIZE < len)
			break;
		bodies[count++] = slice_of(at + HEADER_SIZE, len);
		intake->taken += HEADER_SIZE + len;
	}
	*ret_count = count;
	return 0;
}

/* Wipes and forgets what was handed on. */
static void intake_drop(struct intake *intake)
{
	size_t rest = intake->len - intake->taken;

	if (rest > 0)
		memmove(intake->data, intake->data + intake->taken, rest);
	if (intake->taken > 0)
		mem_wipe(intake->data + rest, intake->taken);
	intake->len = rest;
	intake->taken = 0;
}

/* Waits for bytes and reads as many as are there. */
static int intake_read(struct intake *intake)
{
	ssize_t got;

	if (intake->capacity - intake->len < READ_SIZE) {
		/* By hand: what is moved away must be wiped. */
		size_t capacity = 2 * intake->capacity + READ_SIZE;
		uint8_t *data = mem_alloc(capacity);

		if (intake->len > 0)
			memcpy(data, intake->data, intake->len);
		intake_clear(intake);
		intake->data = data;
		intake->capacity = capacity;
	}
	do
		got = read(intake->fd, intake->data + intake->len,
			   intake->capacity - intake->len);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_sys("read a message");
	intake->ended = got == 0;
	intake->len += (size_t)got;
	return 0;
}

/* The next messages, as many as are there; none at a clean end. */
static int intake_next(struct intake *intake, struct slice *bodies,
		       size_t *ret_count)
{
	for (;;) {
		TRY(intake_take(intake, bodies, ret_count));
		if (*ret_count > 0)
			return 0;
		if (intake->ended)
			return intake->len > 0
				       ? error_set(ERR_SYNTAX,
						   "a message is cut short")
				       : 0;
		TRY(intake_read(intake));
	}
}

static int put_frame(void *cookie, struct slice answer)
{
	return frame_write(*(const int *)cookie, answer);
}

int rpc_serve_together(int in, int out, rpc_together_fn answer, void *cookie)
{
	CLEANUP(intake_clear) struct intake intake = { .fd = in };
	const struct rpc_sink sink = { put_frame, &out };
	struct slice bodies[RPC_TOGETHER_MAX];
	size_t count = 0;

	for (;;) {
		TRY(intake_next(&intake, bodies, &count));
		if (count == 0)
			return 0;
		TRY(answer(cookie, bodies, count, &sink));
		intake_drop(&intake);
	}
}

struct one_by_one {
	rpc_answer_fn answer;
	void *cookie;
	struct buf reply;
};

static int answer_each(void *cookie, const struct slice *bodies, size_t count,
		       const struct rpc_sink *sink)
{
	struct one_by_one *each = cookie;

	for (size_t i = 0; i < count; i++) {
		TRY(each->answer(each->cookie, bodies[i], &each->reply));
		TRY(sink->put(sink->cookie, buf_slice(&each->reply)));
		buf_cut(&each->reply, 0);
	}
	return 0;
}

static void one_by_one_clear(struct one_by_one *each)
{
	buf_clear(&each->reply);
}

int rpc_serve(int in, int out, rpc_answer_fn answer, void *cookie)
{
	CLEANUP(one_by_one_clear)
	struct one_by_one each = { answer, cookie, BUF_INIT(FRAME_MAX) };

	return rpc_serve_together(in, out, answer_each, &each);
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
