#include "base/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/mem.h"

enum {
	HEADER_SIZE = 4,
	WAITING_MAX = 64 << 20, /* bytes queued for a peer that does not read */
	READ_SIZE = 64 * 1024,
	GRACE_MS = 2000,
	FIRST_FREE_FD = 3,
};

struct channel {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer *bad_news; /* reports a failed write from the loop */
	const struct channel_events *events;
	void *cookie;
	int fd;
	int pid;
	int pidfd;
	bool busy;	/* in a callback: freed only after it */
	bool closed;	/* channel_close() was called */
	bool over;	/* events->closed() was called */
	bool writing;	/* EPOLLOUT is being waited for */
	bool gathering; /* push() comes after the current callback */
	struct buf in;
	struct buf out;
	size_t out_sent; /* first bytes of out that are on their way already */
};

/* A child whose channel is closed, until it is reaped. */
struct leaver {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer *timer;
	int pidfd;
};

static void leaver_free(struct leaver *leaver)
{
	loop_watch_end(leaver->watch);
	loop_timer_end(leaver->timer);
	fd_close_p(&leaver->pidfd);
	free(leaver);
}

static void signal_child(int pidfd, int number)
{
	discard(pidfd_send_signal(pidfd, number, NULL, 0));
}

static void reap(int pidfd)
{
	siginfo_t info;

	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
		if (errno != EINTR)
			return;
}

static void leaver_at_close(void *cookie)
{
	struct leaver *leaver = cookie;

	signal_child(leaver->pidfd, SIGKILL);
	reap(leaver->pidfd);
	leaver_free(leaver);
}

static void leaver_exited(void *cookie, uint32_t events UNUSED)
{
	struct leaver *leaver = cookie;

	reap(leaver->pidfd);
	loop_at_close_end(leaver->loop, leaver_at_close, leaver);
	leaver_free(leaver);
}

static void leaver_late(void *cookie)
{
	struct leaver *leaver = cookie;

	leaver->timer = NULL;
	signal_child(leaver->pidfd, SIGKILL);
}

/* Takes over pidfd. */
static void let_leave(struct loop *loop, int pidfd)
{
	struct leaver *leaver = mem_new(struct leaver);

	leaver->loop = loop;
	leaver->pidfd = pidfd;
	if (loop_watch(loop, pidfd, EPOLLIN, leaver_exited, leaver,
		       &leaver->watch) < 0) {
		leaver_at_close(leaver);
		return;
	}
	signal_child(pidfd, SIGTERM);
	leaver->timer = loop_timer(loop, GRACE_MS, leaver_late, leaver);
	loop_at_close(loop, leaver_at_close, leaver);
}

static void channel_free(struct channel *channel)
{
	if (!channel)
		return;
	loop_watch_end(channel->watch);
	loop_timer_end(channel->bad_news);
	loop_defer_end(channel->loop, channel);
	fd_close_p(&channel->fd);
	if (channel->pidfd >= 0)
		let_leave(channel->loop, channel->pidfd);
	buf_clear(&channel->in);
	buf_clear(&channel->out);
	free(channel);
}
DEFINE_CLEANUP(struct channel *, channel_free)

static bool is_silent(const struct channel *channel);
static int flush(struct channel *channel);

void channel_close(struct channel *channel)
{
	if (!channel || channel->closed)
		return;
	/* What was sent before the end still goes. */
	if (channel->gathering && !is_silent(channel))
		discard(flush(channel));
	channel->closed = true;
	if (!channel->busy)
		channel_free(channel);
}

/* Tells the owner, once; the channel stays silent until it is closed. */
static void report(struct channel *channel, const char *why)
{
	if (channel->closed || channel->over)
		return;
	channel->over = true;
	loop_watch_end(channel->watch);
	channel->watch = NULL;
	loop_timer_end(channel->bad_news);
	channel->bad_news = NULL;
	channel->events->closed(channel->cookie, why);
}

static bool is_silent(const struct channel *channel)
{
	return channel->closed || channel->over;
}

/* Hands on every whole message that has come in. */
static void deliver(struct channel *channel)
{
	size_t done = 0;

	while (!is_silent(channel) && channel->in.len - done >= HEADER_SIZE) {
		const uint8_t *at = channel->in.data + done;
		size_t len = (size_t)at[0] << 24 | (size_t)at[1] << 16 |
			     (size_t)at[2] << 8 | at[3];

		if (len > FRAME_MAX) {
			report(channel, "a message is too large");
			return;
		}
		if (channel->in.len - done - HEADER_SIZE < len)
			break;
		channel->events->message(channel->cookie,
					 slice_of(at + HEADER_SIZE, len));
		done += HEADER_SIZE + len;
	}
	buf_consume(&channel->in, done);
}

static void receive(struct channel *channel)
{
	bool within = channel->in.len > 0;
	uint8_t *place = buf_room(&channel->in, READ_SIZE);
	ssize_t got = place ? recv(channel->fd, place, READ_SIZE, 0) : 0;
	int number = errno;

	if (got > 0) {
		buf_added(&channel->in, (size_t)got);
		deliver(channel);
		return;
	}
	if (got < 0 && (number == EAGAIN || number == EINTR))
		return;
	if (got < 0)
		report(channel, strerrordesc_np(number));
	else
		report(channel, within ? "the peer ended within a message"
				       : "the peer ended");
}

/* Sends what is queued as far as it goes.  Errors: ERR_IO. */
static int flush(struct channel *channel)
{
	struct buf *out = &channel->out;

	while (channel->out_sent < out->len) {
		ssize_t put = send(channel->fd, out->data + channel->out_sent,
				   out->len - channel->out_sent, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN)
			break;
		if (put < 0)
			return error_sys("send");
		channel->out_sent += (size_t)put;
	}
	/* Moving the rest is worth it once it is the smaller part. */
	if (channel->out_sent > out->len / 2) {
		buf_consume(out, channel->out_sent);
		channel->out_sent = 0;
	}
	return 0;
}

static void write_failed(void *cookie)
{
	struct channel *channel = cookie;

	channel->bad_news = NULL;
	channel->busy = true;
	report(channel, "the peer does not read any more");
	channel->busy = false;
	if (channel->closed)
		channel_free(channel);
}

/* Sends and keeps EPOLLOUT as needed.  May be within channel_send(), so a
 * failure is told by a timer. */
static void push(struct channel *channel)
{
	bool waiting;

	if (channel->bad_news)
		return;
	if (flush(channel) < 0) {
		channel->bad_news =
			loop_timer(channel->loop, 0, write_failed, channel);
		return;
	}
	waiting = channel->out_sent < channel->out.len;
	if (waiting == channel->writing)
		return;
	if (loop_watch_change(channel->watch,
			      waiting ? EPOLLIN | EPOLLOUT : EPOLLIN) < 0) {
		channel->bad_news =
			loop_timer(channel->loop, 0, write_failed, channel);
		return;
	}
	channel->writing = waiting;
}

/* What one callback of the loop sends goes out in one call. */
static void push_gathered(void *cookie)
{
	struct channel *channel = cookie;

	channel->gathering = false;
	if (!is_silent(channel))
		push(channel);
}

static void ready(void *cookie, uint32_t events)
{
	struct channel *channel = cookie;

	channel->busy = true;
	if (events & EPOLLOUT)
		push(channel);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		receive(channel);
	channel->busy = false;
	if (channel->closed)
		channel_free(channel);
}

int channel_send(struct channel *channel, struct slice body)
{
	size_t waiting = channel->out.len - channel->out_sent;

	if (body.len > FRAME_MAX)
		return error_set(ERR_LIMIT, "a message of %zu bytes", body.len);
	if (waiting + HEADER_SIZE + body.len > WAITING_MAX)
		return error_set(ERR_LIMIT,
				 "%zu bytes wait for a peer that "
				 "does not read",
				 waiting);
	/* The owner has been told or will be; nobody is left to send to. */
	if (is_silent(channel) || channel->bad_news)
		return 0;
	buf_put_string(&channel->out, body);
	if (channel->writing || channel->gathering)
		return 0;
	channel->gathering = true;
	loop_defer(channel->loop, push_gathered, channel);
	return 0;
}

int channel_pid(const struct channel *channel)
{
	return channel->pid;
}

/* A channel without descriptors yet. */
static struct channel *channel_new(struct loop *loop,
				   const struct channel_events *events,
				   void *cookie)
{
	struct channel *channel = mem_new(struct channel);

	channel->loop = loop;
	channel->events = events;
	channel->cookie = cookie;
	channel->fd = -1;
	channel->pidfd = -1;
	channel->in = (struct buf)BUF_INIT(HEADER_SIZE + FRAME_MAX + READ_SIZE);
	/* Sent bytes are dropped late, so there can be twice as many. */
	channel->out = (struct buf)BUF_INIT(2 * (size_t)WAITING_MAX);
	return channel;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_sys("fcntl");
	return 0;
}

static void attributes_p(posix_spawnattr_t *attributes)
{
	discard(posix_spawnattr_destroy(attributes));
}

static void actions_p(posix_spawn_file_actions_t *actions)
{
	discard(posix_spawn_file_actions_destroy(actions));
}

/* Copies "NAME=value" from this process's environment; NULL if it is unset. */
static char *environment_of(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	if (!value)
		value = fallback;
	return value ? mem_format("%s=%s", name, value) : NULL;
}

/* posix_spawnp() itself waits until the program is loaded, over a descriptor or
 * memory of its own, so that a failed exec comes back as its result. */
static int spawn_with(const char *const *argv, int fd,
		      const posix_spawnattr_t *attributes, pid_t *ret_pid)
{
	CLEANUP(actions_p) posix_spawn_file_actions_t actions;
	CLEANUP(mem_free_p)
	char *path = environment_of("PATH", "/usr/local/bin:/usr/bin:/bin");
	CLEANUP(mem_free_p) char *lang = environment_of("LANG", NULL);
	CLEANUP(mem_free_p) char *zone = environment_of("TZ", NULL);
	char *environment[4] = { path };
	size_t count = 1;
	int number;

	if (lang)
		environment[count++] = lang;
	if (zone)
		environment[count++] = zone;
	environment[count] = NULL;
	number = posix_spawn_file_actions_init(&actions);
	if (number == 0)
		number = posix_spawn_file_actions_adddup2(&actions, fd, 0);
	if (number == 0)
		number = posix_spawn_file_actions_adddup2(&actions, fd, 1);
	if (number == 0)
		number = posix_spawn_file_actions_addclosefrom_np(
			&actions, FIRST_FREE_FD);
	if (number == 0)
		number = posix_spawnp(ret_pid, argv[0], &actions, attributes,
				      (char *const *)(uintptr_t)argv,
				      environment);
	if (number == ENOENT || number == ENOTDIR || number == EACCES ||
	    number == ENOEXEC)
		return error_set(ERR_NOT_FOUND, "cannot run '%s': %s", argv[0],
				 strerrordesc_np(number));
	errno = number;
	return number ? error_sys("start '%s'", argv[0]) : 0;
}

/* No signal blocked, none ignored. */
static int spawn(const char *const *argv, int fd, pid_t *ret_pid)
{
	CLEANUP(attributes_p) posix_spawnattr_t attributes;
	sigset_t none, all;

	errno = posix_spawnattr_init(&attributes);
	if (errno)
		return error_sys("start '%s'", argv[0]);
	sigemptyset(&none);
	sigfillset(&all);
	discard(posix_spawnattr_setsigmask(&attributes, &none));
	discard(posix_spawnattr_setsigdefault(&attributes, &all));
	discard(posix_spawnattr_setflags(
		&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
	return spawn_with(argv, fd, &attributes, ret_pid);
}

/* A pair of sockets none of which is 0, 1 or 2. */
static int make_pair(int *ret_ours, int *ret_theirs)
{
	CLEANUP(fd_close_p) int first = -1;
	CLEANUP(fd_close_p) int second = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys("socketpair");
	first = pair[0];
	second = pair[1];
	*ret_ours = fcntl(first, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (*ret_ours < 0)
		return error_sys("fcntl");
	*ret_theirs = fcntl(second, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (*ret_theirs < 0)
		return error_sys("fcntl");
	return 0;
}

static int start_watching(struct channel *channel)
{
	TRY(set_nonblocking(channel->fd));
	return loop_watch(channel->loop, channel->fd, EPOLLIN, ready, channel,
			  &channel->watch);
}

int channel_spawn(struct loop *loop, const char *const *argv,
		  const struct channel_events *events, void *cookie,
		  struct channel **ret_channel)
{
	CLEANUP(channel_free_p)
	struct channel *channel = channel_new(loop, events, cookie);
	CLEANUP(fd_close_p) int theirs = -1;
	pid_t pid = -1;

	TRY(make_pair(&channel->fd, &theirs));
	TRY(start_watching(channel));
	TRY(spawn(argv, theirs, &pid));
	channel->pid = pid;
	channel->pidfd = pidfd_open(pid, 0);
	if (channel->pidfd < 0) {
		int r = error_sys("pidfd_open");

		discard(kill(pid, SIGKILL));
		discard(waitpid(pid, NULL, 0));
		return r;
	}
	*ret_channel = TAKE(channel);
	return 0;
}

int channel_connect(struct loop *loop, const char *path,
		    const struct channel_events *events, void *cookie,
		    struct channel **ret_channel)
{
	CLEANUP(channel_free_p)
	struct channel *channel = channel_new(loop, events, cookie);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(address.sun_path))
		return error_set(ERR_IO, "'%s' cannot be a socket's path",
				 path);
	memcpy(address.sun_path, path, len + 1);
	channel->fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (channel->fd < 0)
		return error_sys("socket");
	if (connect(channel->fd, (const struct sockaddr *)&address,
		    sizeof(address)) < 0) {
		discard(error_sys("connect to '%s'", path));
		return ERR_UNAVAILABLE;
	}
	TRY(start_watching(channel));
	*ret_channel = TAKE(channel);
	return 0;
}
