#include "server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

enum { REQUEST_MAX = 4 << 20 };

struct server {
	int fd;
	pthread_t thread;
	server_fn fn;
	void *cookie;
	atomic_uint count;
	char *url;
};

static int listen_inet(char **ret_url)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address));
	assert(r == 0);
	r = getsockname(fd, (struct sockaddr *)&address, &len);
	assert(r == 0);
	*ret_url = mem_format("http://127.0.0.1:%u", ntohs(address.sin_port));
	return fd;
}

static int listen_unix(const char *path, char **ret_url)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address));
	assert(r == 0);
	*ret_url = mem_format("unix:%s", path);
	return fd;
}

static size_t body_length(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length:");

	return at ? strtoul(at + strlen("\r\ncontent-length:"), NULL, 10) : 0;
}

/* Reads one request; false if the peer left. */
static bool read_request(int fd, struct buf *b, char **ret_body)
{
	uint8_t chunk[4096];
	char *end = NULL;

	for (;;) {
		ssize_t n;

		end = strstr(buf_text(b), "\r\n\r\n");
		if (end && strlen(end + 4) >= body_length(buf_text(b)))
			break;
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			return false;
		buf_put(b, slice_of(chunk, (size_t)n));
	}
	end[2] = '\0';
	*ret_body = end + 4;
	return true;
}

static void write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

static void serve_one(struct server *s, int fd)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(REQUEST_MAX);
	CLEANUP(mem_free_p) char *answer = NULL;
	CLEANUP(mem_free_p) char *head = NULL;
	struct server_request request = { .number = s->count };
	struct server_reply reply = { .status = 200 };
	char *body;

	if (!read_request(fd, &b, &body))
		return;
	request.head = buf_text(&b);
	request.body = body;
	answer = s->fn(s->cookie, &request, &reply);
	s->count++;
	if (!answer)
		return;
	if (!reply.type)
		reply.type = reply.status < 400 ? "application/json"
						: "application/problem+json";
	if (!reply.len)
		reply.len = strlen(answer);
	head = mem_format("HTTP/1.1 %d X\r\nContent-Type: %s\r\n"
			  "Content-Length: %zu\r\nConnection: close\r\n"
			  "Location: http://127.0.0.1:1/elsewhere\r\n\r\n",
			  reply.status, reply.type, reply.len);
	write_all(fd, head, strlen(head));
	write_all(fd, answer, reply.len);
}

static void *serve(void *cookie)
{
	struct server *s = cookie;

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		serve_one(s, fd);
		close(fd);
	}
}

struct server *server_start(const char *path, server_fn fn, void *cookie)
{
	struct server *s = mem_new(struct server);
	int r;

	s->fn = fn;
	s->cookie = cookie;
	s->fd = path ? listen_unix(path, &s->url) : listen_inet(&s->url);
	r = listen(s->fd, 16);
	assert(r == 0);
	r = pthread_create(&s->thread, NULL, serve, s);
	assert(r == 0);
	return s;
}

const char *server_url(const struct server *s)
{
	return s->url;
}

unsigned server_count(struct server *s)
{
	return s->count;
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	free(s->url);
	free(s);
}
