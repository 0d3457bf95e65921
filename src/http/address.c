#include "http/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

enum {
	BACKLOG = 512,
	HOST_MAX = 64, /* bytes of a literal address with NUL */
	PORT_MAX = 65535,
};

union any_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un path;
};

static const char unix_prefix[] = "unix:";

const char *address_path(const char *address)
{
	size_t len = strlen(unix_prefix);

	return strncmp(address, unix_prefix, len) ? NULL : address + len;
}

static int parse_port(const char *text, in_port_t *ret_port)
{
	size_t digits = strspn(text, "0123456789");
	long port = digits && digits <= 5 ? strtol(text, NULL, 10) : -1;

	if (text[digits] || port < 0 || port > PORT_MAX)
		return error_set(ERR_SYNTAX, "'%s' is no port", text);
	*ret_port = htons((uint16_t)port);
	return 0;
}

/* Splits "host:port" or "[host]:port". */
static int split(const char *address, char host[HOST_MAX],
		 const char **ret_port)
{
	bool brackets = address[0] == '[';
	const char *end =
		brackets ? strchr(address, ']') : strchr(address, ':');
	const char *start = address + brackets;
	size_t len = end ? (size_t)(end - start) : 0;

	if (!len || len >= HOST_MAX || (brackets && end[1] != ':'))
		return error_set(ERR_SYNTAX, "'%s' is no listen address",
				 address);
	memcpy(host, start, len);
	host[len] = 0;
	*ret_port = end + 1 + brackets;
	return 0;
}

static bool is_local(const union any_address *a)
{
	if (a->any.sa_family == AF_UNIX)
		return true;
	if (a->any.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static int parse_ip(const char *address, union any_address *a, socklen_t *len)
{
	char host[HOST_MAX];
	const char *port;
	in_port_t number;

	TRY(split(address, host, &port));
	TRY(parse_port(port, &number));
	if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = number;
		*len = sizeof(a->v4);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = number;
		*len = sizeof(a->v6);
		return 0;
	}
	return error_set(ERR_SYNTAX, "'%s' is no IP address", host);
}

static int parse_path(const char *path, union any_address *a, socklen_t *len)
{
	size_t size = strlen(path);

	if (size == 0 || size >= sizeof(a->path.sun_path))
		return error_set(ERR_SYNTAX, "path of a socket too long");
	a->path.sun_family = AF_UNIX;
	memcpy(a->path.sun_path, path, size + 1);
	*len = sizeof(a->path);
	return 0;
}

/* Removes a socket file that nobody answers on. */
static int remove_stale(const union any_address *a)
{
	CLEANUP(fd_close_p)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (lstat(a->path.sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set(ERR_BUSY, "%s is not a socket",
				 a->path.sun_path);
	if (fd < 0)
		return error_sys("socket");
	if (connect(fd, &a->any, sizeof(a->path)) == 0 || errno != ECONNREFUSED)
		return error_set(ERR_BUSY, "%s is in use", a->path.sun_path);
	if (unlink(a->path.sun_path) < 0)
		return error_sys("remove %s", a->path.sun_path);
	return 0;
}

/* The mode of a socket that is not bound yet becomes that of its file. */
static int prepare(int fd, const union any_address *a)
{
	int on = 1;

	if (a->any.sa_family == AF_UNIX) {
		if (fchmod(fd, 0660) < 0)
			return error_sys("mode of %s", a->path.sun_path);
		return remove_stale(a);
	}
	discard(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	if (a->any.sa_family == AF_INET6)
		discard(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				   sizeof(on)));
	return 0;
}

static int parse(const char *address, union any_address *a, socklen_t *len)
{
	const char *path = address_path(address);

	return path ? parse_path(path, a, len) : parse_ip(address, a, len);
}

int address_check(const char *address, bool *ret_local)
{
	union any_address a = { 0 };
	socklen_t len;

	TRY(parse(address, &a, &len));
	*ret_local = is_local(&a);
	return 0;
}

int address_listen(const char *address, int *ret_fd)
{
	CLEANUP(fd_close_p) int fd = -1;
	union any_address a = { 0 };
	socklen_t len;

	TRY(parse(address, &a, &len));
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
	if (fd < 0)
		return error_sys("socket");
	TRY(prepare(fd, &a));
	if (bind(fd, &a.any, len) < 0 || listen(fd, BACKLOG) < 0)
		return error_sys("listen on %s", address);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

unsigned address_port(int fd)
{
	union any_address a = { 0 };
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.any, &len) < 0)
		return 0;
	if (a.any.sa_family == AF_INET)
		return ntohs(a.v4.sin_port);
	if (a.any.sa_family == AF_INET6)
		return ntohs(a.v6.sin6_port);
	return 0;
}
