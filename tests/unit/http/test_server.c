#include "harness.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#define HOST "Host: localhost\r\n"
#define JSON "Content-Type: application/json\r\n"

static struct harness h;
static struct reply r;

static int start(void **state UNUSED)
{
	harness_start(&h, NULL);
	return 0;
}

static int stop(void **state UNUSED)
{
	harness_stop(&h);
	return 0;
}

/* What comes in is answered. */

static void a_whole_request_is_answered(void **state UNUSED)
{
	char value[256];

	client_ask(&h, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"hello\":true}");
	reply_header(&r, "Content-Type", value);
	assert_string_equal(value, "application/json");
	reply_header(&r, "Cache-Control", value);
	assert_string_equal(value, "no-store");
	reply_header(&r, "X-Content-Type-Options", value);
	assert_string_equal(value, "nosniff");
}

static void a_body_reaches_its_handler_whole(void **state UNUSED)
{
	int fd = client_connect(&h);

	client_send(fd, "POST /echo HTTP/1.1\r\n" HOST JSON
			"Content-Length: 7\r\n\r\n{\"a\"");
	client_send(fd, ":1}");
	client_read(fd, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"a\":1}");
	close(fd);
}

static void a_chunked_body_reaches_its_handler_whole(void **state UNUSED)
{
	client_ask(&h,
		   "POST /echo HTTP/1.1\r\n" HOST JSON
		   "Transfer-Encoding: chunked\r\n\r\n"
		   "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n",
		   &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"a\":1}");
}

static void a_post_without_a_body_needs_no_content_type(void **state UNUSED)
{
	client_ask(&h,
		   "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
		   &r);
	assert_int_equal(r.status, 200);
}

static void pipelined_requests_are_answered_in_order(void **state UNUSED)
{
	int fd = client_connect(&h);

	client_send(fd, "GET /names/one HTTP/1.1\r\n" HOST "\r\n"
			"POST /echo HTTP/1.1\r\n" HOST JSON
			"Content-Length: 1\r\n\r\n2"
			"GET /names/three HTTP/1.1\r\n" HOST "\r\n");
	client_read(fd, &r);
	assert_string_equal(r.body, "one");
	client_read(fd, &r);
	assert_string_equal(r.body, "2");
	client_read(fd, &r);
	assert_string_equal(r.body, "three");
	close(fd);
}

static void a_connection_serves_again_after_a_refusal(void **state UNUSED)
{
	int fd = client_connect(&h);

	client_send(fd, "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
	client_read(fd, &r);
	assert_int_equal(r.status, 404);
	client_send(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	client_read(fd, &r);
	assert_int_equal(r.status, 200);
	close(fd);
}

static void a_head_is_answered_as_a_get_without_body(void **state UNUSED)
{
	int fd = client_connect(&h);
	char head[512];
	ssize_t n;

	client_send(fd, "HEAD /hello HTTP/1.1\r\n" HOST
			"Connection: close\r\n\r\n");
	n = recv(fd, head, sizeof(head) - 1, MSG_WAITALL);
	assert_true(n > 0);
	head[n] = 0;
	assert_non_null(strstr(head, "200 OK"));
	assert_null(strstr(head, "hello"));
	close(fd);
}

static void parameters_and_queries_are_decoded(void **state UNUSED)
{
	client_ask(&h, "GET /names/a%2Fb%20c HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_string_equal(r.body, "a/b c");
	client_ask(&h, "GET /files/x001/067 HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_string_equal(r.body, "x001/067");
	client_ask(&h, "GET /query?b=2&a=1+%26 HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_string_equal(r.body, "1 &");
}

static void a_query_parameter_given_twice_is_refused(void **state UNUSED)
{
	client_ask(&h, "GET /query?a=1&a=2 HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 400);
}

static void only_a_bearer_token_is_a_bearer_token(void **state UNUSED)
{
	char value[256];

	client_ask(&h,
		   "GET /bearer HTTP/1.1\r\n" HOST
		   "Authorization: bearer a.b.c\r\n\r\n",
		   &r);
	assert_string_equal(r.body, "a.b.c");
	client_ask(&h,
		   "GET /bearer HTTP/1.1\r\n" HOST
		   "Authorization: Basic YTpi\r\n\r\n",
		   &r);
	assert_string_equal(r.body, "");
	client_ask(&h,
		   "GET /bearer HTTP/1.1\r\n" HOST
		   "Authorization: Bearer a b\r\n\r\n",
		   &r);
	assert_string_equal(r.body, "");
	reply_header(&r, "X-Bad", value);
	assert_string_equal(value, "");
}

static void a_handler_may_say_how_long_to_keep_a_reply(void **state UNUSED)
{
	char value[256];

	client_ask(&h, "GET /files/a HTTP/1.1\r\n" HOST "\r\n", &r);
	reply_header(&r, "Cache-Control", value);
	assert_string_equal(value, "max-age=60");
}

/* What is refused. */

struct refusal {
	const char *what;
	const char *request;
	unsigned status;
	const char *code;
	bool ends; /* the connection is closed */
};

static const struct refusal refusals[] = {
	{ "length and chunked at once",
	  "POST /echo HTTP/1.1\r\n" HOST JSON
	  "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	  400, "malformed", true },
	{ "two lengths",
	  "POST /echo HTTP/1.1\r\n" HOST JSON
	  "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
	  400, "malformed", true },
	{ "two equal lengths",
	  "POST /echo HTTP/1.1\r\n" HOST JSON
	  "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
	  400, "malformed", true },
	{ "two hosts", "GET /hello HTTP/1.1\r\n" HOST HOST "\r\n", 400,
	  "malformed", true },
	{ "no host", "GET /hello HTTP/1.1\r\n\r\n", 400, "malformed", true },
	{ "a blank in the target", "GET /names/a b HTTP/1.1\r\n" HOST "\r\n",
	  400, "target", true },
	{ "a host that is none", "GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n",
	  400, "malformed", true },
	{ "another transfer coding",
	  "POST /echo HTTP/1.1\r\n" HOST JSON
	  "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	  501, "transfer-coding", true },
	{ "chunked in HTTP/1.0",
	  "POST /echo HTTP/1.0\r\n" HOST JSON
	  "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	  400, "malformed", true },
	{ "a blank before the colon",
	  "GET /hello HTTP/1.1\r\n" HOST "X-A : b\r\n\r\n", 400, "malformed",
	  true },
	{ "a control byte in a header",
	  "GET /hello HTTP/1.1\r\n" HOST "X-A: b\001c\r\n\r\n", 400,
	  "malformed", true },
	{ "a doubled Authorization",
	  "GET /bearer HTTP/1.1\r\n" HOST "Authorization: Bearer a\r\n"
	  "Authorization: Bearer b\r\n\r\n",
	  400, "malformed", true },
	{ "a doubled Idempotency-Key",
	  "GET /hello HTTP/1.1\r\n" HOST "Idempotency-Key: a\r\n"
	  "Idempotency-Key: a\r\n\r\n",
	  400, "malformed", true },
	{ "a doubled Content-Type",
	  "POST /echo HTTP/1.1\r\n" HOST JSON JSON "Content-Length: 1\r\n\r\n1",
	  400, "malformed", true },
	{ "%00 in the path", "GET /names/a%00b HTTP/1.1\r\n" HOST "\r\n", 400,
	  "target", true },
	{ "a bad escape in the path",
	  "GET /names/a%zz HTTP/1.1\r\n" HOST "\r\n", 400, "target", true },
	{ "an escape cut short", "GET /names/a%2 HTTP/1.1\r\n" HOST "\r\n", 400,
	  "target", true },
	{ "an empty segment", "GET //hello HTTP/1.1\r\n" HOST "\r\n", 400,
	  "target", true },
	{ "a parent segment", "GET /names/../hello HTTP/1.1\r\n" HOST "\r\n",
	  400, "target", true },
	{ "a parent segment in disguise",
	  "GET /names/%2e%2E/hello HTTP/1.1\r\n" HOST "\r\n", 400, "target",
	  true },
	{ "a target that is no path",
	  "GET http://localhost/hello HTTP/1.1\r\n" HOST "\r\n", 400, "target",
	  true },
	{ "a bad escape in the query",
	  "GET /query?a=%1 HTTP/1.1\r\n" HOST "\r\n", 400, "target", true },
	{ "an unknown path", "GET /none HTTP/1.1\r\n" HOST "\r\n", 404,
	  "no-such-resource", false },
	{ "an unknown path with a body",
	  "POST /none HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}",
	  404, "no-such-resource", true },
	{ "another method", "DELETE /hello HTTP/1.1\r\n" HOST "\r\n", 405,
	  "method-not-allowed", false },
	{ "another method with a body",
	  "PATCH /hello HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}",
	  405, "method-not-allowed", true },
	{ "a body where none is taken",
	  "GET /hello HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}",
	  413, "body-too-large", true },
	{ "a chunked body where none is taken",
	  "GET /hello HTTP/1.1\r\n" HOST JSON
	  "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	  413, "body-too-large", true },
	{ "a length over the limit",
	  "POST /echo HTTP/1.1\r\n" HOST JSON "Content-Length: 1025\r\n\r\n",
	  413, "body-too-large", true },
	{ "no content type",
	  "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 415,
	  "media-type", true },
	{ "another content type",
	  "POST /echo HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n"
	  "Content-Length: 2\r\n\r\n{}",
	  415, "media-type", true },
	{ "another charset",
	  "POST /echo HTTP/1.1\r\n" HOST
	  "Content-Type: application/json; charset=utf-16\r\n"
	  "Content-Length: 2\r\n\r\n{}",
	  415, "media-type", true },
	{ "a compressed body",
	  "POST /echo HTTP/1.1\r\n" HOST JSON "Content-Encoding: gzip\r\n"
	  "Content-Length: 2\r\n\r\n{}",
	  415, "content-encoding", true },
};

static void check_refusal(const struct refusal *refusal)
{
	int fd = client_connect(&h);
	char expected[64];

	print_message("  %s\n", refusal->what);
	client_send(fd, refusal->request);
	client_read(fd, &r);
	assert_int_equal(r.status, refusal->status);
	snprintf(expected, sizeof(expected), "\"code\":\"%s\"", refusal->code);
	assert_non_null(strstr(r.body, expected));
	assert_non_null(strstr(r.text, "application/problem+json"));
	if (refusal->ends)
		assert_true(client_at_end(fd));
	close(fd);
}

static void what_rfc_9112_forbids_is_refused(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		check_refusal(&refusals[i]);
}

/* libmicrohttpd hands headers on as text, so this is all we can hold it to. */
static void a_nul_ends_a_header_value(void **state UNUSED)
{
	static const char request[] = "GET /bearer HTTP/1.1\r\n" HOST
				      "Authorization: Bearer a\0b\r\n\r\n";
	int fd = client_connect(&h);

	assert_int_equal(send(fd, request, sizeof(request) - 1, 0),
			 sizeof(request) - 1);
	client_read(fd, &r);
	assert_string_equal(r.body, "a");
	close(fd);
}

/* Here too: a proxy in front must refuse these (see server.h). */
static void bare_line_feeds_and_folded_lines_are_not_seen(void **state UNUSED)
{
	client_ask(&h, "GET /hello HTTP/1.1\nHost: localhost\n\n", &r);
	assert_int_equal(r.status, 200);
	client_ask(&h,
		   "GET /bearer HTTP/1.1\r\n" HOST
		   "Authorization: Bearer\r\n a\r\n\r\n",
		   &r);
	assert_int_equal(r.status, 200);
}

static void another_method_is_told_which_ones_there_are(void **state UNUSED)
{
	char value[256];

	client_ask(&h, "PUT /hold HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 405);
	reply_header(&r, "Allow", value);
	assert_string_equal(value, "POST, GET, HEAD");
}

static void a_chunked_body_over_the_limit_is_refused(void **state UNUSED)
{
	int fd = client_connect(&h);
	char chunk[8 + 512 + 1];

	snprintf(chunk, sizeof(chunk), "200\r\n%0512d\r\n", 1);
	client_send(fd, "POST /echo HTTP/1.1\r\n" HOST JSON
			"Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 3; i++)
		client_send(fd, chunk);
	client_send(fd, "0\r\n\r\n");
	client_read(fd, &r);
	assert_int_equal(r.status, 413);
	assert_true(client_at_end(fd));
	close(fd);
}

static void a_chunked_body_without_end_is_cut_off(void **state UNUSED)
{
	int fd = client_connect(&h);
	CLEANUP(mem_free_p) char *chunk = mem_alloc(65536 + 16);

	snprintf(chunk, 65536 + 16, "10000\r\n%065536d\r\n", 1);
	client_send(fd, "POST /echo HTTP/1.1\r\n" HOST JSON
			"Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 40; i++)
		client_send(fd, chunk);
	client_read(fd, &r);
	assert_int_equal(r.status, 0);
	close(fd);
}

static void a_target_that_is_too_long_is_refused(void **state UNUSED)
{
	char request[9000 + 64];

	snprintf(request, sizeof(request),
		 "GET /names/%09000d HTTP/1.1\r\n" HOST "\r\n", 1);
	client_ask(&h, request, &r);
	assert_int_equal(r.status, 414);
}

static void
an_expectation_is_refused_before_the_body_is_sent(void **state UNUSED)
{
	client_ask(&h,
		   "POST /echo HTTP/1.1\r\n" HOST JSON
		   "Expect: 100-continue\r\n"
		   "Content-Length: 2000\r\n\r\n",
		   &r);
	assert_int_equal(r.status, 413);
}

static void an_expectation_that_is_right_is_met(void **state UNUSED)
{
	int fd = client_connect(&h);

	client_send(fd, "POST /echo HTTP/1.1\r\n" HOST JSON
			"Expect: 100-continue\r\n"
			"Content-Length: 2\r\n\r\n");
	client_read(fd, &r);
	assert_int_equal(r.status, 100);
	client_send(fd, "{}");
	client_read(fd, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{}");
	close(fd);
}

static void a_large_body_reaches_its_handler_whole(void **state UNUSED)
{
	enum { LEN = 1 << 20 };
	CLEANUP(mem_free_p) char *request = mem_alloc(LEN + 256);
	int head = snprintf(request, 256,
			    "POST /count HTTP/1.1\r\n" HOST JSON
			    "Content-Length: %d\r\n\r\n",
			    LEN);

	memset(request + head, '1', LEN);
	client_ask(&h, request, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "1048576");
}

/* Waiting. */

static void a_reply_may_come_later(void **state UNUSED)
{
	int fd = client_connect(&h);

	client_send(fd, "POST /hold HTTP/1.1\r\n" HOST JSON
			"Content-Length: 2\r\n\r\n{}");
	wait_for(&h.held_sem, 1);
	harness_call(&h, reply_to_held);
	client_read(fd, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "released");
	client_send(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	client_read(fd, &r);
	assert_int_equal(r.status, 200);
	close(fd);
}

static void
what_is_pipelined_behind_a_wait_is_served_after_it(void **state UNUSED)
{
	int fd = client_connect(&h);

	client_send(fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n"
			"GET /hello HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 1);
	harness_call(&h, reply_to_held);
	client_read(fd, &r);
	assert_string_equal(r.body, "released");
	client_read(fd, &r);
	assert_string_equal(r.body, "{\"hello\":true}");
	close(fd);
}

static void ask_all(int *fds, size_t count, const char *request)
{
	for (size_t i = 0; i < count; i++)
		fds[i] = client_connect(&h);
	for (size_t i = 0; i < count; i++)
		client_send(fds[i], request);
}

static void read_all(int *fds, size_t count, unsigned status)
{
	for (size_t i = 0; i < count; i++) {
		client_read(fds[i], &r);
		assert_int_equal(r.status, status);
		close(fds[i]);
	}
}

/* 128 ready descriptors at once are where libmicrohttpd's own loop stalls. */
static void many_connections_at_once_are_all_answered(void **state UNUSED)
{
	static const size_t counts[] = { 127, 128, 129, 200, 256 };
	int fds[256];

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		ask_all(fds, counts[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
		read_all(fds, counts[i], 200);
	}
}

static void many_waits_are_all_answered(void **state UNUSED)
{
	int fds[200];

	ask_all(fds, 200,
		"POST /hold HTTP/1.1\r\n" HOST JSON
		"Content-Length: 2\r\n\r\n{}");
	wait_for(&h.held_sem, 200);
	harness_call(&h, reply_to_held);
	read_all(fds, 200, 200);
}

static void a_peer_that_hangs_up_ends_its_wait(void **state UNUSED)
{
	int fd = client_connect(&h);

	client_send(fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 1);
	close(fd);
	wait_for(&h.gone_sem, 1);
	assert_int_equal(h.held_count, 0);
	client_ask(&h, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 200);
}

static void a_reply_to_a_peer_that_hung_up_does_no_harm(void **state UNUSED)
{
	int fd = client_connect(&h);

	client_send(fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 1);
	close(fd);
	harness_call(&h, reply_to_held);
	client_ask(&h, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 200);
}

static void a_peer_that_leaves_amid_its_body_does_no_harm(void **state UNUSED)
{
	int fd = client_connect(&h);

	client_send(fd, "POST /echo HTTP/1.1\r\n" HOST JSON
			"Content-Length: 20\r\n\r\n{");
	close(fd);
	client_ask(&h, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 200);
}

/* With limits of their own. */

static void a_wait_past_its_deadline_is_answered_503(void **state UNUSED)
{
	struct http_config config = { .wait_ms = 30 };
	char value[256];

	harness_start(&h, &config);
	client_ask(&h, "GET /hold HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.body, "\"code\":\"timeout\""));
	reply_header(&r, "Retry-After", value);
	assert_string_equal(value, "1");
	wait_for(&h.gone_sem, 1);
	harness_stop(&h);
}

static void a_handler_may_answer_when_its_time_is_up(void **state UNUSED)
{
	struct http_config config = { .wait_ms = 30 };

	harness_start(&h, &config);
	h.reply_when_gone = true;
	client_ask(&h, "GET /hold HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 202);
	assert_string_equal(r.body, "later");
	harness_stop(&h);
}

static void a_reply_after_the_deadline_goes_nowhere(void **state UNUSED)
{
	struct http_config config = { .wait_ms = 30 };

	harness_start(&h, &config);
	client_ask(&h, "GET /hold-silently HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 503);
	harness_call(&h, reply_to_held);
	client_ask(&h, "GET /hold-silently HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 503);
	harness_stop(&h); /* and one that never replies is freed */
}

static void waits_over_their_number_are_refused(void **state UNUSED)
{
	struct http_config config = { .waits_max = 2 };
	int fds[2];

	harness_start(&h, &config);
	ask_all(fds, 2, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 2);
	client_ask(&h, "GET /hold HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.body, "\"code\":\"busy\""));
	harness_call(&h, reply_to_held);
	read_all(fds, 2, 200);
	client_ask(&h, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 200);
	harness_stop(&h);
}

static void one_principal_takes_only_its_part_of_the_places(void **state UNUSED)
{
	int fds[HTTP_PRINCIPAL_WAITS_MAX];
	int other;

	harness_start(&h, NULL);
	ask_all(fds, ARRAY_LEN(fds),
		"GET /hold-for/a HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, ARRAY_LEN(fds));
	client_ask(&h, "GET /hold-for/a HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.body, "\"code\":\"busy\""));
	ask_all(&other, 1, "GET /hold-for/b HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 1);
	harness_call(&h, reply_to_held);
	read_all(fds, ARRAY_LEN(fds), 200);
	read_all(&other, 1, 200);
	/* Their places are free again. */
	ask_all(&other, 1, "GET /hold-for/a HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 1);
	harness_call(&h, reply_to_held);
	read_all(&other, 1, 200);
	harness_stop(&h);
}

static void who_waits_with_a_token_leaves_places_to_others(void **state UNUSED)
{
	static const char patient[] = "GET /hold?wait=30 HTTP/1.1\r\n" HOST
				      "Authorization: Bearer t\r\n\r\n";
	struct http_config config = { .waits_max = HTTP_RESERVE_PART };
	int fds[HTTP_RESERVE_PART - 1];
	int last;

	harness_start(&h, &config);
	ask_all(fds, ARRAY_LEN(fds), patient);
	wait_for(&h.held_sem, ARRAY_LEN(fds));
	client_ask(&h, patient, &r);
	assert_int_equal(r.status, 503);
	ask_all(&last, 1, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 1);
	client_ask(&h, "GET /hold HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 503);
	harness_call(&h, reply_to_held);
	read_all(fds, ARRAY_LEN(fds), 200);
	read_all(&last, 1, 200);
	harness_stop(&h);
}

static void one_address_has_only_so_many_connections(void **state UNUSED)
{
	struct http_config config = { .per_address_max = 2,
				      .address = "127.0.0.1:0" };
	int fds[2];
	int third;

	harness_start(&h, &config);
	ask_all(fds, 2, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 2);
	third = client_connect(&h);
	assert_true(client_at_end(third));
	close(third);
	harness_call(&h, reply_to_held);
	read_all(fds, 2, 200);
	harness_stop(&h);
}

static void a_request_that_never_gets_whole_is_ended(void **state UNUSED)
{
	struct http_config config = { .transfer_ms = 100 };
	int fd;

	harness_start(&h, &config);
	fd = client_connect(&h);
	client_send(fd, "GET /hello HTTP/1.1\r\nX-A: ");
	client_read(fd, &r);
	assert_int_equal(r.status, 0);
	close(fd);
	fd = client_connect(&h);
	client_send(fd, "POST /echo HTTP/1.1\r\n" HOST JSON
			"Content-Length: 20\r\n\r\n{");
	client_read(fd, &r);
	assert_int_equal(r.status, 0);
	close(fd);
	harness_stop(&h);
}

static void a_wait_may_take_longer_than_a_transfer(void **state UNUSED)
{
	struct http_config config = { .transfer_ms = 20, .wait_ms = 300 };

	harness_start(&h, &config);
	client_ask(&h, "GET /hold HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.body, "\"code\":\"timeout\""));
	harness_stop(&h);
}

static void a_drain_answers_all_that_wait(void **state UNUSED)
{
	int fds[100];

	harness_start(&h, NULL);
	ask_all(fds, 100, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 100);
	harness_stop(&h);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		client_read(fds[i], &r);
		assert_int_equal(r.status, 503);
		assert_non_null(strstr(r.body, "\"code\":\"stopping\""));
		assert_true(client_at_end(fds[i]));
		close(fds[i]);
	}
}

static void stop_loop(struct harness *harness)
{
	loop_stop(harness->loop);
}

static void closing_with_a_suspended_connection_is_safe(void **state UNUSED)
{
	int fds[3];

	harness_start(&h, NULL);
	ask_all(fds, 3, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 3);
	harness_call(&h, stop_loop);
	pthread_join(h.thread, NULL);
	http_close(h.server);
	loop_close(h.loop);
	wait_for(&h.gone_sem, 3);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static void a_server_with_nothing_to_do_does_not_spin(void **state UNUSED)
{
	unsigned before;
	int fd;

	harness_start(&h, NULL);
	fd = client_connect(&h);
	client_send(fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_for(&h.held_sem, 1);
	before = atomic_load(&h.turns);
	shutdown(fd, SHUT_WR); /* seen by a tick, a second or two from now */
	wait_for(&h.gone_sem, 1);
	assert_true(atomic_load(&h.turns) - before < 20);
	close(fd);
	harness_stop(&h);
}

/* Addresses. */

static int open_at(const char *address, struct http_server **server)
{
	struct http_config config = { .loop = h.loop, .address = address };

	return http_open(&config, server);
}

static void plain_http_is_only_spoken_on_this_machine(void **state UNUSED)
{
	struct http_server *server = NULL;

	assert_int_equal(loop_open(&h.loop), 0);
	assert_int_equal(open_at("0.0.0.0:0", &server), ERR_REFUSED);
	assert_int_equal(open_at("[::]:0", &server), ERR_REFUSED);
	loop_close(h.loop);
}

static void an_address_that_is_none_is_refused(void **state UNUSED)
{
	static const char *const addresses[] = {
		"",	     "127.0.0.1",  "127.0.0.1:",   "127.0.0.1:65536",
		"[::1]8470", "[::1:8470",  "unix:",	   "localhost:80",
		":80",	     "1.2.3.4:8a", "127.0.0.1:-1", "256.1.1.1:80",
	};
	struct http_server *server = NULL;

	assert_int_equal(loop_open(&h.loop), 0);
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
		assert_int_equal(open_at(addresses[i], &server), ERR_SYNTAX);
	loop_close(h.loop);
}

static void a_unix_socket_serves_and_is_removed(void **state UNUSED)
{
	char folder[] = "/tmp/writ-http-XXXXXX";
	char path[64], address[80];
	struct http_config config = { .address = address };
	struct http_server *second = NULL;
	struct stat st;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(address, sizeof(address), "unix:%s", path);
	harness_start(&h, &config);
	assert_int_equal(http_port(h.server), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777 & 07117, 0);
	client_ask(&h, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 200);
	assert_int_equal(open_at(address, &second), ERR_BUSY);
	harness_stop(&h);
	assert_false(file_exists(path));
	rmdir(folder);
}

static void a_socket_file_left_behind_is_replaced(void **state UNUSED)
{
	char folder[] = "/tmp/writ-http-XXXXXX";
	char path[64], address[80];
	struct http_config config = { .address = address };

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(address, sizeof(address), "unix:%s", path);
	harness_start(&h, &config);
	snprintf(address, sizeof(address), "%s/kept", folder);
	assert_int_equal(link(path, address), 0);
	harness_stop(&h);
	assert_int_equal(rename(address, path), 0); /* nobody listens there */
	snprintf(address, sizeof(address), "unix:%s", path);
	harness_start(&h, &config);
	client_ask(&h, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &r);
	assert_int_equal(r.status, 200);
	harness_stop(&h);
	rmdir(folder);
}

/* TLS. */

static void run_program(const char *const *argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		char *const *args;

		memcpy(&args, &argv, sizeof(args));
		close(STDERR_FILENO);
		execvp(args[0], args);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void make_certificate(const char *key, const char *cert)
{
	const char *const argv[] = {
		"openssl",
		"req",
		"-x509",
		"-newkey",
		"ec",
		"-pkeyopt",
		"ec_paramgen_curve:P-256",
		"-nodes",
		"-days",
		"2",
		"-subj",
		"/CN=writ",
		"-addext",
		"subjectAltName=IP:127.0.0.1",
		"-keyout",
		key,
		"-out",
		cert,
		NULL,
	};

	run_program(argv);
}

static size_t keep(char *bytes, size_t size, size_t count, void *cookie)
{
	buf_put(cookie, slice_of(bytes, size * count));
	return size * count;
}

/* Returns the status; body is filled. */
static long fetch(const char *ca, const char *path, struct buf *body)
{
	CURL *curl = curl_easy_init();
	char url[64];
	long status = 0;

	snprintf(url, sizeof(url), "https://127.0.0.1:%u%s",
		 http_port(h.server), path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	return status;
}

static void tls_is_spoken_with_a_certificate(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(1024);
	char folder[] = "/tmp/writ-http-XXXXXX";
	char key[64], cert[64];
	struct http_config config = {
		.tls_cert = cert,
		.tls_key = key,
		.wait_ms = 30,
	};
	int fd;

	assert_non_null(mkdtemp(folder));
	snprintf(key, sizeof(key), "%s/key", folder);
	snprintf(cert, sizeof(cert), "%s/cert", folder);
	make_certificate(key, cert);
	harness_start(&h, &config);
	assert_int_equal(fetch(cert, "/hello", &body), 200);
	assert_string_equal(buf_text(&body), "{\"hello\":true}");
	h.reply_when_gone = true;
	assert_int_equal(fetch(cert, "/hold", &body), 202); /* suspended */
	fd = client_connect(&h); /* plain HTTP gets nothing */
	client_send(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	client_read(fd, &r);
	assert_int_equal(r.status, 0);
	close(fd);
	harness_stop(&h);
	unlink(key);
	unlink(cert);
	rmdir(folder);
}

static void what_the_check_refuses_is_not_opened(void **state UNUSED)
{
	static const struct {
		const char *address;
		int r;
	} rows[] = {
		{ "127.0.0.1:0", 0 },
		{ "[::1]:0", 0 },
		{ "0.0.0.0:0", ERR_REFUSED },
		{ "[::]:0", ERR_REFUSED },
		{ "192.0.2.1:80", ERR_REFUSED },
		{ "localhost:80", ERR_SYNTAX },
		{ "127.0.0.1", ERR_SYNTAX },
		{ "unix:", ERR_SYNTAX },
	};
	struct http_server *server = NULL;
	struct http_config config = { 0 };

	assert_int_equal(loop_open(&config.loop), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		config.address = rows[i].address;
		assert_int_equal(http_check(&config), rows[i].r);
		if (rows[i].r < 0)
			assert_int_equal(http_open(&config, &server),
					 rows[i].r);
	}
	loop_close(config.loop);
}

static void a_key_that_is_open_or_anothers_is_refused(void **state UNUSED)
{
	char folder[] = "/tmp/writ-http-XXXXXX";
	char key[64], cert[64], other[64];
	struct http_config config = {
		.address = "127.0.0.1:0",
		.tls_cert = cert,
		.tls_key = key,
	};

	assert_non_null(mkdtemp(folder));
	snprintf(key, sizeof(key), "%s/key", folder);
	snprintf(cert, sizeof(cert), "%s/cert", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	make_certificate(other, cert);
	make_certificate(key, cert);
	assert_int_equal(http_check(&config), 0);
	assert_int_equal(chmod(key, 0644), 0);
	assert_int_equal(http_check(&config), ERR_REFUSED);
	assert_non_null(strstr(error_message(), "chmod go="));
	config.tls_key = other;
	assert_int_equal(chmod(other, 0600), 0);
	assert_int_equal(http_check(&config), ERR_SYNTAX);
	unlink(key);
	unlink(other);
	unlink(cert);
	rmdir(folder);
}

static void a_certificate_that_is_none_is_refused(void **state UNUSED)
{
	char folder[] = "/tmp/writ-http-XXXXXX";
	char key[64];
	struct http_server *server = NULL;
	struct http_config config = {
		.address = "127.0.0.1:0",
		.tls_cert = key,
		.tls_key = key,
	};

	assert_non_null(mkdtemp(folder));
	snprintf(key, sizeof(key), "%s/key", folder);
	assert_int_equal(file_write(key, slice_str("no key\n"), 0600), 0);
	assert_int_equal(loop_open(&config.loop), 0);
	assert_int_equal(http_open(&config, &server), ERR_SYNTAX);
	assert_int_equal(http_check(&config), ERR_SYNTAX);
	config.tls_key = NULL;
	assert_int_equal(http_open(&config, &server), ERR_REFUSED);
	config.tls_key = "/nonexistent";
	assert_int_equal(http_open(&config, &server), ERR_NOT_FOUND);
	loop_close(config.loop);
	unlink(key);
	rmdir(folder);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(a_whole_request_is_answered),
		SERVED(a_body_reaches_its_handler_whole),
		SERVED(a_chunked_body_reaches_its_handler_whole),
		SERVED(a_post_without_a_body_needs_no_content_type),
		SERVED(pipelined_requests_are_answered_in_order),
		SERVED(a_connection_serves_again_after_a_refusal),
		SERVED(a_head_is_answered_as_a_get_without_body),
		SERVED(parameters_and_queries_are_decoded),
		SERVED(a_query_parameter_given_twice_is_refused),
		SERVED(only_a_bearer_token_is_a_bearer_token),
		SERVED(a_handler_may_say_how_long_to_keep_a_reply),
		SERVED(what_rfc_9112_forbids_is_refused),
		SERVED(a_nul_ends_a_header_value),
		SERVED(bare_line_feeds_and_folded_lines_are_not_seen),
		SERVED(another_method_is_told_which_ones_there_are),
		SERVED(a_chunked_body_over_the_limit_is_refused),
		SERVED(a_chunked_body_without_end_is_cut_off),
		SERVED(a_target_that_is_too_long_is_refused),
		SERVED(an_expectation_is_refused_before_the_body_is_sent),
		SERVED(an_expectation_that_is_right_is_met),
		SERVED(a_large_body_reaches_its_handler_whole),
		SERVED(a_reply_may_come_later),
		SERVED(what_is_pipelined_behind_a_wait_is_served_after_it),
		SERVED(many_connections_at_once_are_all_answered),
		SERVED(many_waits_are_all_answered),
		SERVED(a_peer_that_hangs_up_ends_its_wait),
		SERVED(a_reply_to_a_peer_that_hung_up_does_no_harm),
		SERVED(a_peer_that_leaves_amid_its_body_does_no_harm),
		cmocka_unit_test(a_wait_past_its_deadline_is_answered_503),
		cmocka_unit_test(a_handler_may_answer_when_its_time_is_up),
		cmocka_unit_test(a_reply_after_the_deadline_goes_nowhere),
		cmocka_unit_test(waits_over_their_number_are_refused),
		cmocka_unit_test(
			one_principal_takes_only_its_part_of_the_places),
		cmocka_unit_test(
			who_waits_with_a_token_leaves_places_to_others),
		cmocka_unit_test(one_address_has_only_so_many_connections),
		cmocka_unit_test(a_request_that_never_gets_whole_is_ended),
		cmocka_unit_test(a_wait_may_take_longer_than_a_transfer),
		cmocka_unit_test(a_drain_answers_all_that_wait),
		cmocka_unit_test(closing_with_a_suspended_connection_is_safe),
		cmocka_unit_test(a_server_with_nothing_to_do_does_not_spin),
		cmocka_unit_test(plain_http_is_only_spoken_on_this_machine),
		cmocka_unit_test(an_address_that_is_none_is_refused),
		cmocka_unit_test(a_unix_socket_serves_and_is_removed),
		cmocka_unit_test(a_socket_file_left_behind_is_replaced),
		cmocka_unit_test(tls_is_spoken_with_a_certificate),
		cmocka_unit_test(a_certificate_that_is_none_is_refused),
		cmocka_unit_test(what_the_check_refuses_is_not_opened),
		cmocka_unit_test(a_key_that_is_open_or_anothers_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
