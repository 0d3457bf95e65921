#include "connect/rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"

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
		cmocka_unit_test(an_error_ends_the_service_without_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
