#include "connect/rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/mem.h"

static int parse(const char *text, struct rpc_request *request)
{
	struct rpc_fault fault = { 0 };

	rpc_request_parse(slice_str(text), 200, request, &fault);
	return fault.code;
}

static void a_request_is_taken_apart(void **state UNUSED)
{
	CLEANUP(rpc_request_clear) struct rpc_request request = { 0 };

	assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":"
			       "\"m\",\"params\":{\"a\":1}}",
			       &request),
			 0);
	assert_int_equal(request.id, 7);
	assert_string_equal(request.method, "m");
	assert_int_equal(json_int(request.params, "a", 0), 1);
}

static void absent_params_are_an_empty_object(void **state UNUSED)
{
	CLEANUP(rpc_request_clear) struct rpc_request request = { 0 };

	assert_int_equal(
		parse("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"m\"}",
		      &request),
		0);
	assert_int_equal(json_object_size(request.params), 0);
}

static void what_is_no_request_is_refused(void **state UNUSED)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{ "", RPC_PARSE },
		{ "{", RPC_PARSE },
		{ "{\"id\":1,\"id\":1}", RPC_PARSE },
		{ "[]", RPC_INVALID },
		{ "7", RPC_INVALID },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\"}",
		  RPC_INVALID },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", RPC_INVALID },
		{ "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"m\"}",
		  RPC_INVALID },
		{ "{\"jsonrpc\":\"2.0\",\"id\":-1,\"method\":\"m\"}",
		  RPC_INVALID },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", RPC_INVALID },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\","
		  "\"params\":[]}",
		  RPC_INVALID },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"x\":1}",
		  RPC_INVALID },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"x\":\""
		  "0123456789012345678901234567890123456789012345678901234567"
		  "0123456789012345678901234567890123456789012345678901234567"
		  "0123456789012345678901234567890123456789012345678901234567"
		  "\"}",
		  RPC_INVALID },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rpc_request request = { 0 };

		assert_int_equal(parse(rows[i].text, &request), rows[i].code);
		assert_null(request.message);
	}
}

static void answers_have_the_form_of_the_standard(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf out = BUF_INIT(1000);
	struct rpc_fault fault = { 0 };

	assert_int_equal(rpc_put_result(&out, 3, json_object()), 0);
	assert_string_equal(buf_text(&out),
			    "{\"id\":3,\"jsonrpc\":\"2.0\",\"result\":{}}");
	buf_reset(&out);
	assert_int_equal(rpc_fault_set(&fault, RPC_REFUSED, "fork", "at %d", 7),
			 0);
	assert_int_equal(rpc_put_fault(&out, 3, &fault), 0);
	assert_string_equal(
		buf_text(&out),
		"{\"error\":{\"code\":-32000,\"data\":{\"reason\":\"fork\"},"
		"\"message\":\"at 7\"},\"id\":3,\"jsonrpc\":\"2.0\"}");
	buf_reset(&out);
	assert_int_equal(rpc_put_fault(&out, -1, &fault), 0);
	assert_non_null(strstr(buf_text(&out), "\"id\":null"));
}

static void
a_message_with_bytes_that_are_no_text_is_replaced(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf out = BUF_INIT(1000);
	struct rpc_fault fault = { .code = RPC_REFUSED, .reason = "x" };

	fault.message[0] = '\xff';
	assert_int_equal(rpc_put_fault(&out, 3, &fault), 0);
	assert_non_null(strstr(buf_text(&out), "(no text)"));
}

static void an_answer_that_does_not_fit_is_an_error(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf out = BUF_INIT(8);

	assert_int_equal(rpc_put_result(&out, 3, json_object()), ERR_LIMIT);
}

static int echo(void *cookie, struct slice body, struct buf *reply)
{
	int *count = cookie;

	++*count;
	buf_put(reply, body);
	return slice_is(body, "stop") ? error_set(ERR_REFUSED, "stop") : 0;
}

static void messages_are_answered_in_order_until_the_end(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(100);
	int pair[2];
	bool end;
	int count = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(frame_write(pair[0], slice_str("a")), 0);
	assert_int_equal(frame_write(pair[0], slice_str("b")), 0);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	assert_int_equal(rpc_serve(pair[1], pair[1], echo, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(frame_read(pair[0], &body, &end), 0);
	assert_string_equal(buf_text(&body), "a");
	assert_int_equal(frame_read(pair[0], &body, &end), 0);
	assert_string_equal(buf_text(&body), "b");
	fd_close_p(&pair[0]);
	fd_close_p(&pair[1]);
}

/* How many messages came in each time. */
struct together {
	size_t counts[8];
	size_t times;
};

static int echo_all(void *cookie, const struct slice *bodies, size_t count,
		    const struct rpc_sink *sink)
{
	struct together *together = cookie;

	assert_true(together->times < ARRAY_LEN(together->counts));
	together->counts[together->times++] = count;
	for (size_t i = 0; i < count; i++)
		TRY(sink->put(sink->cookie, bodies[i]));
	return 0;
}

static void expect_number(int fd, uint8_t number)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(100);
	bool end;

	assert_int_equal(frame_read(fd, &body, &end), 0);
	assert_false(end);
	assert_int_equal(body.len, 1);
	assert_int_equal(body.data[0], number);
}

static void what_waits_already_is_handed_on_together(void **state UNUSED)
{
	enum { COUNT = RPC_TOGETHER_MAX + 6 };
	struct together together = { .times = 0 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (uint8_t i = 0; i < COUNT; i++)
		assert_int_equal(frame_write(pair[0], slice_of(&i, 1)), 0);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	assert_int_equal(
		rpc_serve_together(pair[1], pair[1], echo_all, &together), 0);
	assert_int_equal(together.times, 2);
	assert_int_equal(together.counts[0], RPC_TOGETHER_MAX);
	assert_int_equal(together.counts[1], 6);
	for (uint8_t i = 0; i < COUNT; i++)
		expect_number(pair[0], i);
	fd_close_p(&pair[0]);
	fd_close_p(&pair[1]);
}

static void large_messages_come_in_whole(void **state UNUSED)
{
	static const size_t sizes[] = { FRAME_MAX, 0, 300000, 1 };
	CLEANUP(mem_free_p) uint8_t *bytes = mem_alloc(FRAME_MAX);
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	char path[] = "/tmp/test-rpc-XXXXXX";
	int in = mkstemp(path);
	char out_path[] = "/tmp/test-rpc-XXXXXX";
	int out = mkstemp(out_path);
	struct together together = { .times = 0 };
	bool end;

	for (size_t i = 0; i < FRAME_MAX; i++)
		bytes[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		assert_int_equal(frame_write(in, slice_of(bytes, sizes[i])), 0);
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	assert_int_equal(rpc_serve_together(in, out, echo_all, &together), 0);
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		assert_int_equal(frame_read(out, &body, &end), 0);
		assert_int_equal(body.len, sizes[i]);
		assert_memory_equal(body.data, bytes, body.len);
	}
	fd_close_p(&in);
	fd_close_p(&out);
	discard(unlink(path));
	discard(unlink(out_path));
}

/* Serves what was written to a pipe; the result, and how many were answered. */
static int serve_bytes(struct slice bytes, size_t *ret_times)
{
	struct together together = { .times = 0 };
	int pair[2];
	int r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(write(pair[0], bytes.ptr, bytes.len), bytes.len);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	r = rpc_serve_together(pair[1], pair[1], echo_all, &together);
	fd_close_p(&pair[0]);
	fd_close_p(&pair[1]);
	*ret_times = together.times;
	return r;
}

static void broken_framing_ends_the_service(void **state UNUSED)
{
	static const uint8_t cut_header[] = { 0, 0 };
	static const uint8_t cut_body[] = { 0, 0, 0, 3, 'a' };
	static const uint8_t large[] = { 0, 0, 0, 1, 'a', 0xff, 0, 0, 0 };
	size_t times;

	assert_int_equal(serve_bytes(slice_of(cut_header, 2), &times),
			 ERR_SYNTAX);
	assert_int_equal(
		serve_bytes(slice_of(cut_body, sizeof(cut_body)), &times),
		ERR_SYNTAX);
	assert_int_equal(times, 0);
	assert_int_equal(serve_bytes(slice_of(large, sizeof(large)), &times),
			 ERR_LIMIT);
	/* What came before it was answered. */
	assert_int_equal(times, 1);
}

static void an_error_ends_the_service_without_an_answer(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(100);
	int pair[2];
	bool end = false;
	int count = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(frame_write(pair[0], slice_str("stop")), 0);
	assert_int_equal(rpc_serve(pair[1], pair[1], echo, &count),
			 ERR_REFUSED);
	fd_close_p(&pair[1]);
	assert_int_equal(frame_read(pair[0], &body, &end), 0);
	assert_true(end);
	fd_close_p(&pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(absent_params_are_an_empty_object),
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(answers_have_the_form_of_the_standard),
		cmocka_unit_test(
			a_message_with_bytes_that_are_no_text_is_replaced),
		cmocka_unit_test(an_answer_that_does_not_fit_is_an_error),
		cmocka_unit_test(messages_are_answered_in_order_until_the_end),
		cmocka_unit_test(what_waits_already_is_handed_on_together),
		cmocka_unit_test(large_messages_come_in_whole),
		cmocka_unit_test(broken_framing_ends_the_service),
		cmocka_unit_test(an_error_ends_the_service_without_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
