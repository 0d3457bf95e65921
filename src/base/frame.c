#include "base/frame.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"

enum { HEADER_SIZE = 4 };

/* Fills place unless the stream ends first; ret_got says how far it came. */
static int read_full(int fd, uint8_t *place, size_t size, size_t *ret_got)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = read(fd, place + done, size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_sys("read a message");
		if (got == 0)
			break;
		done += (size_t)got;
	}
	*ret_got = done;
	return 0;
}

static int cut_short(void)
{
	return error_set(ERR_SYNTAX, "a message is cut short");
}

int frame_read(int fd, struct buf *body, bool *ret_end)
{
	uint8_t header[HEADER_SIZE];
	uint8_t *place;
	uint32_t len;
	size_t got = 0;

	buf_reset(body);
	TRY(read_full(fd, header, sizeof(header), &got));
	if (got == 0) {
		*ret_end = true;
		return 0;
	}
	if (got < sizeof(header))
		return cut_short();
	len = (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 |
	      (uint32_t)header[2] << 8 | header[3];
	place = len <= FRAME_MAX ? buf_extend(body, len) : NULL;
	if (!place)
		return error_set(ERR_LIMIT, "a message of %u bytes", len);
	TRY(read_full(fd, place, len, &got));
	if (got < len)
		return cut_short();
	*ret_end = false;
	return 0;
}

int frame_write(int fd, struct slice body)
{
	uint8_t header[HEADER_SIZE];
	size_t size = sizeof(header) + body.len;
	size_t done = 0;

	if (body.len > FRAME_MAX)
		return error_set(ERR_LIMIT, "a message of %zu bytes", body.len);
	for (size_t i = 0; i < sizeof(header); i++)
		header[i] = (uint8_t)(body.len >> (24 - 8 * i) & 0xff);
	while (done < size) {
		size_t from = done < sizeof(header) ? done : sizeof(header);
		size_t sent = done - from;
		struct iovec parts[2] = {
			{ header + from, sizeof(header) - from },
			/* Only read from; the type is shared with readv(). */
			{ (void *)((uintptr_t)body.ptr + sent),
			  body.len - sent },
		};
		ssize_t put = writev(fd, parts, 2);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_sys("write a message");
		done += (size_t)put;
	}
	return 0;
}
