#include "keeper/last.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

/* The new content under its own name, on disk. */
static int write_new(int folder_fd, const char *name, struct slice content)
{
	CLEANUP(fd_close_p)
	int fd = openat(folder_fd, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);

	if (fd < 0)
		return error_sys("open '%s'", name);
	while (content.len > 0) {
		ssize_t count = write(fd, content.ptr, content.len);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return error_sys("write '%s'", name);
		content = slice_of(content.ptr + count,
				   content.len - (size_t)count);
	}
	if (fsync(fd) < 0)
		return error_sys("sync '%s'", name);
	return 0;
}

int last_replace(int folder_fd, const char *name, struct slice content)
{
	char fresh[32];

	snprintf(fresh, sizeof(fresh), "%s.new", name);
	TRY(write_new(folder_fd, fresh, content));
	if (renameat(folder_fd, fresh, folder_fd, name) < 0)
		return error_sys("rename '%s'", fresh);
	if (fsync(folder_fd) < 0)
		return error_sys("sync the folder of '%s'", name);
	return 0;
}

/* Reads file "last" into b. */
static int read_note(int folder_fd, struct buf *b)
{
	CLEANUP(fd_close_p)
	int fd = openat(folder_fd, "last", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct slice bytes;
	uint8_t part[4096];
	ssize_t count = 1;

	if (fd < 0 && errno == ENOENT)
		return error_set(ERR_NOT_FOUND, "no file 'last'");
	if (fd < 0)
		return error_sys("open 'last'");
	while (count > 0 && !b->overflow) {
		count = read(fd, part, sizeof(part));
		if (count > 0)
			buf_put(b, slice_of(part, (size_t)count));
	}
	if (count < 0)
		return error_sys("read 'last'");
	if (buf_finish(b, &bytes) < 0)
		return error_set(ERR_CORRUPT, "file 'last' is too large");
	return 0;
}

int last_open(struct last *last, int folder_fd, const struct note_vkey *vkey)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);

	*last = (struct last){ .folder_fd = folder_fd };
	TRY(read_note(folder_fd, &note));
	if (checkpoint_open(buf_slice(&note), vkey, &last->head) < 0)
		return error_context(ERR_CORRUPT, "file 'last'");
	return 0;
}

int last_store(struct last *last, const struct checkpoint *head,
	       struct slice note)
{
	int r;

	if (last->broken)
		return error_set(ERR_BROKEN, "an earlier write failed");
	r = last_replace(last->folder_fd, "last", note);
	if (r < 0) {
		last->broken = true;
		return r;
	}
	last->head = *head;
	return 0;
}

void last_close(struct last *last)
{
	fd_close_p(&last->folder_fd);
	last->folder_fd = -1;
}
