#include "base/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/mem.h"

/* This program again, as the child. */

static int echo(void)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	bool end = false;

	for (;;) {
		TRY(frame_read(STDIN_FILENO, &body, &end));
		if (end)
			return 0;
		TRY(frame_write(STDOUT_FILENO, buf_slice(&body)));
	}
}

/* One message: what of the parent's world the child can see. */
static int describe(void)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FRAME_MAX);
	sigset_t mask;

	for (char **entry = environ; *entry; entry++)
		buf_putf(&b, "%.*s ", (int)strcspn(*entry, "="), *entry);
	for (int fd = 3; fd < 1000; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			buf_putf(&b, "fd-%d ", fd);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	if (sigismember(&mask, SIGUSR1))
		buf_put_str(&b, "blocked ");
	if (signal(SIGPIPE, SIG_DFL) == SIG_IGN)
		buf_put_str(&b, "ignored ");
	return frame_write(STDOUT_FILENO, buf_slice(&b));
}

/* pause() only ever returns -1. */
static int be_deaf(void)
{
	while (pause() < 0)
		continue;
	return 0;
}

static int stay(void)
{
	signal(SIGTERM, SIG_IGN);
	TRY(frame_write(STDOUT_FILENO, slice_str("ready")));
	return be_deaf();
}

static int put_raw(const char *bytes, size_t size)
{
	return write(STDOUT_FILENO, bytes, size) == (ssize_t)size ? 0 : -1;
}

static int oversize(void)
{
	TRY(put_raw("\xff\xff\xff\xff", 4));
	return be_deaf();
}

static int cut_short(void)
{
	return put_raw("\0\0\0\2a", 5);
}

struct role {
	const char *name;
	int (*run)(void);
};

static const struct role roles[] = {
	{ "echo", echo },    { "describe", describe }, { "stay", stay },
	{ "deaf", be_deaf }, { "oversize", oversize }, { "short", cut_short },
};

/* The parent's side. */

struct peer {
	struct loop *loop;
	struct channel *channel;
	struct buf heard; /* messages, each followed by '|' */
	char *why;	  /* of closed() */
	size_t bytes;	  /* of large messages */
	int messages;
	int stop_after; /* messages */
	bool close_in_message;
	int pid;
};

static void hear(void *cookie, struct slice body)
{
	struct peer *peer = cookie;

	peer->messages++;
	peer->bytes += body.len;
	if (body.len < 1000) {
		buf_put(&peer->heard, body);
		buf_put_str(&peer->heard, "|");
	}
	if (peer->close_in_message)
		channel_close(TAKE(peer->channel));
	if (peer->messages == peer->stop_after)
		loop_stop(peer->loop);
}

static void hear_end(void *cookie, const char *why)
{
	struct peer *peer = cookie;

	assert_null(peer->why);
	peer->why = mem_str(why);
	channel_close(TAKE(peer->channel));
	loop_stop(peer->loop);
}

static const struct channel_events events = { hear, hear_end };

static struct peer *start(void **state, const char *role)
{
	struct peer *peer = *state;
	const char *argv[] = { "/proc/self/exe", role, NULL };

	assert_int_equal(
		channel_spawn(peer->loop, argv, &events, peer, &peer->channel),
		0);
	peer->pid = channel_pid(peer->channel);
	assert_true(peer->pid > 0);
	return peer;
}

static void send_text(struct peer *peer, const char *text)
{
	assert_int_equal(channel_send(peer->channel, slice_str(text)), 0);
}

static void watch_for_reaping(void *cookie)
{
	struct peer *peer = cookie;

	if (kill(peer->pid, 0) < 0 && errno == ESRCH) {
		loop_stop(peer->loop);
		return;
	}
	assert_non_null(loop_timer(peer->loop, 5, watch_for_reaping, peer));
}

/* Runs the loop until the child does not exist any more. */
static void await_reaping(struct peer *peer)
{
	assert_non_null(loop_timer(peer->loop, 0, watch_for_reaping, peer));
	assert_int_equal(loop_run(peer->loop), 0);
}

static void messages_go_there_and_back(void **state)
{
	struct peer *peer = start(state, "echo");

	peer->stop_after = 3;
	send_text(peer, "one");
	send_text(peer, "");
	send_text(peer, "three");
	assert_int_equal(loop_run(peer->loop), 0);
	assert_string_equal(buf_text(&peer->heard), "one||three|");
	assert_null(peer->why);
	channel_close(TAKE(peer->channel));
	await_reaping(peer);
}

static void large_messages_pass_without_blocking(void **state)
{
	struct peer *peer = start(state, "echo");
	CLEANUP(mem_free_p) uint8_t *bytes = mem_alloc(FRAME_MAX);

	peer->stop_after = 8;
	for (int i = 0; i < peer->stop_after; i++)
		assert_int_equal(
			channel_send(peer->channel, slice_of(bytes, FRAME_MAX)),
			0);
	assert_int_equal(loop_run(peer->loop), 0);
	assert_int_equal(peer->bytes, 8 * (size_t)FRAME_MAX);
}

static void a_child_sees_nothing_of_its_parent(void **state)
{
	struct peer *peer = *state;
	/* one that exec alone would not close */
	CLEANUP(fd_close_p) int inheritable = dup(STDERR_FILENO);
	sigset_t mask;

	assert_true(inheritable > 2);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	setenv("SECRET", "x", 1);
	setenv("PATH", "/usr/bin:/bin", 1);
	setenv("LANG", "C.UTF-8", 1);
	unsetenv("TZ");
	start(state, "describe");
	peer->stop_after = 1;
	assert_int_equal(loop_run(peer->loop), 0);
	assert_string_equal(buf_text(&peer->heard), "PATH LANG |");
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

static void a_program_that_is_not_there_is_not_found(void **state)
{
	struct peer *peer = *state;
	const char *absent[] = { "/no/such/program", NULL };
	const char *no_program[] = { "/etc/passwd", NULL };
	const char *by_name[] = { "no-such-program-anywhere", NULL };

	assert_int_equal(channel_spawn(peer->loop, absent, &events, peer,
				       &peer->channel),
			 ERR_NOT_FOUND);
	assert_int_equal(channel_spawn(peer->loop, no_program, &events, peer,
				       &peer->channel),
			 ERR_NOT_FOUND);
	assert_int_equal(channel_spawn(peer->loop, by_name, &events, peer,
				       &peer->channel),
			 ERR_NOT_FOUND);
	assert_null(peer->channel);
}

static void a_child_that_ends_is_told_once(void **state)
{
	struct peer *peer = start(state, "describe");

	assert_int_equal(loop_run(peer->loop), 0);
	assert_int_equal(peer->messages, 1);
	assert_string_equal(peer->why, "the peer ended");
	await_reaping(peer);
}

static void a_message_cut_short_ends_the_channel(void **state)
{
	struct peer *peer = start(state, "short");

	assert_int_equal(loop_run(peer->loop), 0);
	assert_int_equal(peer->messages, 0);
	assert_string_equal(peer->why, "the peer ended within a message");
}

static void a_message_too_large_ends_the_channel(void **state)
{
	struct peer *peer = start(state, "oversize");

	assert_int_equal(loop_run(peer->loop), 0);
	assert_string_equal(peer->why, "a message is too large");
	await_reaping(peer);
}

static void a_channel_may_be_closed_within_its_own_callback(void **state)
{
	struct peer *peer = start(state, "echo");

	peer->close_in_message = true;
	peer->stop_after = 1;
	send_text(peer, "first");
	send_text(peer, "second");
	assert_int_equal(loop_run(peer->loop), 0);
	await_reaping(peer);
	assert_string_equal(buf_text(&peer->heard), "first|");
	assert_null(peer->why);
}

static void a_child_that_does_not_go_is_killed(void **state)
{
	struct peer *peer = start(state, "stay");

	peer->stop_after = 1;
	assert_int_equal(loop_run(peer->loop), 0);
	channel_close(TAKE(peer->channel));
	await_reaping(peer);
}

static void closing_the_loop_leaves_no_child_behind(void **state)
{
	struct peer *peer = start(state, "stay");

	peer->stop_after = 1;
	assert_int_equal(loop_run(peer->loop), 0);
	channel_close(TAKE(peer->channel));
	loop_close(TAKE(peer->loop));
	assert_int_equal(kill(peer->pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void a_peer_that_does_not_read_fills_the_queue(void **state)
{
	struct peer *peer = start(state, "deaf");
	CLEANUP(mem_free_p) uint8_t *bytes = mem_alloc(FRAME_MAX + 1);
	int sent = 0;
	int r = 0;

	while (r == 0 && sent < 30) {
		r = channel_send(peer->channel, slice_of(bytes, FRAME_MAX));
		sent += r == 0;
	}
	assert_int_equal(r, ERR_LIMIT);
	assert_in_range(sent, 15, 17);
	assert_int_equal(
		channel_send(peer->channel, slice_of(bytes, FRAME_MAX + 1)),
		ERR_LIMIT);
}

static void a_peer_that_died_is_not_told_within_a_send(void **state)
{
	struct peer *peer = start(state, "deaf");

	assert_int_equal(kill(peer->pid, SIGKILL), 0);
	/* Until the kernel has closed its end, then some more. */
	for (int i = 0; i < 1000; i++)
		send_text(peer, "anybody there?");
	assert_null(peer->why);
	assert_int_equal(loop_run(peer->loop), 0);
	assert_non_null(peer->why);
}

/* A listening socket beside which the test connects. */
static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(
		bind(fd, (const struct sockaddr *)&address, sizeof(address)),
		0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void stop(void *cookie)
{
	loop_stop(cookie);
}

static void a_socket_is_a_channel_too(void **state)
{
	struct peer *peer = *state;
	CLEANUP(mem_free_p)
	char *path = mem_format("/tmp/test-channel-%d", (int)getpid());
	CLEANUP(fd_close_p) int listening = listen_at(path);
	CLEANUP(fd_close_p) int theirs = -1;
	CLEANUP(buf_clear) struct buf body = BUF_INIT(100);
	bool end = true;

	assert_int_equal(channel_connect(peer->loop, path, &events, peer,
					 &peer->channel),
			 0);
	assert_int_equal(channel_pid(peer->channel), 0);
	theirs = accept(listening, NULL, NULL);
	send_text(peer, "hello");
	loop_defer(peer->loop, stop, peer->loop);
	assert_int_equal(loop_run(peer->loop), 0);
	assert_int_equal(frame_read(theirs, &body, &end), 0);
	assert_string_equal(buf_text(&body), "hello");
	assert_int_equal(frame_write(theirs, slice_str("good day")), 0);
	fd_close_p(&theirs);
	assert_int_equal(loop_run(peer->loop), 0);
	assert_string_equal(buf_text(&peer->heard), "good day|");
	assert_string_equal(peer->why, "the peer ended");
	unlink(path);
}

static void a_socket_nobody_serves_is_unavailable(void **state)
{
	struct peer *peer = *state;
	char path[200];

	assert_int_equal(channel_connect(peer->loop, "/no/such/socket", &events,
					 peer, &peer->channel),
			 ERR_UNAVAILABLE);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(channel_connect(peer->loop, path, &events, peer,
					 &peer->channel),
			 ERR_IO);
}

static int set_up(void **state)
{
	struct peer *peer = mem_new(struct peer);

	peer->heard = (struct buf)BUF_INIT(10000);
	assert_int_equal(loop_open(&peer->loop), 0);
	*state = peer;
	return 0;
}

static int tear_down(void **state)
{
	struct peer *peer = *state;

	channel_close(peer->channel);
	loop_close(peer->loop);
	buf_clear(&peer->heard);
	free(peer->why);
	free(peer);
	return 0;
}

static int run_role(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (strcmp(roles[i].name, name) == 0)
			return roles[i].run() < 0;
	return 1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CHANNEL_TEST(name)                                                     \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		CHANNEL_TEST(messages_go_there_and_back),
		CHANNEL_TEST(large_messages_pass_without_blocking),
		CHANNEL_TEST(a_child_sees_nothing_of_its_parent),
		CHANNEL_TEST(a_program_that_is_not_there_is_not_found),
		CHANNEL_TEST(a_child_that_ends_is_told_once),
		CHANNEL_TEST(a_message_cut_short_ends_the_channel),
		CHANNEL_TEST(a_message_too_large_ends_the_channel),
		CHANNEL_TEST(a_channel_may_be_closed_within_its_own_callback),
		CHANNEL_TEST(a_child_that_does_not_go_is_killed),
		CHANNEL_TEST(closing_the_loop_leaves_no_child_behind),
		CHANNEL_TEST(a_peer_that_does_not_read_fills_the_queue),
		CHANNEL_TEST(a_peer_that_died_is_not_told_within_a_send),
		CHANNEL_TEST(a_socket_is_a_channel_too),
		CHANNEL_TEST(a_socket_nobody_serves_is_unavailable),
	};

	if (argc == 2)
		return run_role(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
