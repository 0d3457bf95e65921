#include "base/frame.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

struct pair {
	int ours, theirs;
};

static struct pair make_pair(void)
{
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	return (struct pair){ ends[0], ends[1] };
}

static void close_pair(struct pair *pair)
{
	fd_close_p(&pair->ours);
	fd_close_p(&pair->theirs);
}

static void messages_arrive_in_order_and_then_the_end(void **state UNUSED)
{
	CLEANUP(close_pair) struct pair pair = make_pair();
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	bool end = true;

	assert_int_equal(frame_write(pair.ours, slice_str("{\"a\":1}")), 0);
	assert_int_equal(frame_write(pair.ours, slice_str("")), 0);
	fd_close_p(&pair.ours);
	assert_int_equal(frame_read(pair.theirs, &body, &end), 0);
	assert_false(end);
	assert_string_equal(buf_text(&body), "{\"a\":1}");
	assert_int_equal(frame_read(pair.theirs, &body, &end), 0);
	assert_false(end);
	assert_int_equal(body.len, 0);
	assert_int_equal(frame_read(pair.theirs, &body, &end), 0);
	assert_true(end);
}

struct sending {
	int fd;
	struct slice body;
	int result;
};

static void *send_body(void *cookie)
{
	struct sending *sending = cookie;

	sending->result = frame_write(sending->fd, sending->body);
	return NULL;
}

static void the_largest_message_passes_in_pieces(void **state UNUSED)
{
	CLEANUP(close_pair) struct pair pair = make_pair();
	CLEANUP(mem_free_p) uint8_t *bytes = mem_alloc(FRAME_MAX);
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	struct sending sending = { pair.ours, slice_of(bytes, FRAME_MAX), 1 };
	pthread_t thread;
	bool end = true;

	for (size_t i = 0; i < FRAME_MAX; i++)
		bytes[i] = (uint8_t)(i % 251);
	assert_int_equal(pthread_create(&thread, NULL, send_body, &sending), 0);
	assert_int_equal(frame_read(pair.theirs, &body, &end), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(sending.result, 0);
	assert_true(slice_equals(buf_slice(&body), sending.body));
}

static int read_bytes(const char *bytes, size_t size)
{
	CLEANUP(close_pair) struct pair pair = make_pair();
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	bool end;

	assert_int_equal(write(pair.ours, bytes, size), size);
	fd_close_p(&pair.ours);
	return frame_read(pair.theirs, &body, &end);
}

static void a_message_cut_short_is_refused(void **state UNUSED)
{
	assert_int_equal(read_bytes("\0", 1), ERR_SYNTAX);
	assert_int_equal(read_bytes("\0\0\0", 3), ERR_SYNTAX);
	assert_int_equal(read_bytes("\0\0\0\2", 4), ERR_SYNTAX);
	assert_int_equal(read_bytes("\0\0\0\2a", 5), ERR_SYNTAX);
	assert_int_equal(read_bytes("\0\0\0\2ab", 6), 0);
}

static void a_message_too_large_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) uint8_t *bytes = mem_alloc(FRAME_MAX + 1);

	assert_int_equal(read_bytes("\xff\xff\xff\xff", 4), ERR_LIMIT);
	assert_int_equal(read_bytes("\0\x40\0\1", 4), ERR_LIMIT);
	assert_int_equal(frame_write(-1, slice_of(bytes, FRAME_MAX + 1)),
			 ERR_LIMIT);
}

static void a_broken_descriptor_is_an_error(void **state UNUSED)
{
	CLEANUP(close_pair) struct pair pair = make_pair();
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	bool end;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(frame_read(-1, &body, &end), ERR_IO);
	fd_close_p(&pair.theirs);
	assert_int_equal(frame_write(pair.ours, slice_str("x")), ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive_in_order_and_then_the_end),
		cmocka_unit_test(the_largest_message_passes_in_pieces),
		cmocka_unit_test(a_message_cut_short_is_refused),
		cmocka_unit_test(a_message_too_large_is_refused),
		cmocka_unit_test(a_broken_descriptor_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
