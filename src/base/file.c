#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"

enum { CHUNK_SIZE = 64 * 1024 };

void fd_close_p(int *fd)
{
	int number = errno;

	if (*fd >= 0)
		discard(close(*fd));
	*fd = -1;
	errno = number;
}

static int failed_open(const char *path)
{
	if (errno == ENOENT || errno == ENOTDIR)
		return error_set(ERR_NOT_FOUND, "no file '%s'", path);
	return error_sys("open '%s'", path);
}

/* One read() into b; ret_got is 0 at the end of the file. */
static int read_chunk(int fd, const char *path, struct buf *b, size_t *ret_got)
{
	size_t old_len = b->len;
	size_t room = b->max - b->len;
	/* One byte more than fits tells a full buf from a file too long. */
	uint8_t extra;
	size_t want = room < CHUNK_SIZE ? room : CHUNK_SIZE;
	uint8_t *place = want ? buf_extend(b, want) : &extra;
	ssize_t got;

	if (!place)
		return error_set(ERR_LIMIT, "'%s': more than %zu bytes", path,
				 b->max);
	do
		got = read(fd, place, want ? want : 1);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		int r = error_sys("read '%s'", path);

		buf_cut(b, old_len);
		return r;
	}
	if (want == 0 && got > 0)
		return error_set(ERR_LIMIT, "'%s': more than %zu bytes", path,
				 b->max);
	buf_cut(b, old_len + (size_t)got);
	*ret_got = (size_t)got;
	return 0;
}

static int open_to_read(const char *path, int *ret_fd)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return failed_open(path);
	*ret_fd = fd;
	return 0;
}

static int read_whole(int fd, const char *path, struct buf *b)
{
	size_t got = 0;

	do
		TRY(read_chunk(fd, path, b, &got));
	while (got);
	return 0;
}

int file_read(const char *path, struct buf *b)
{
	CLEANUP(fd_close_p) int fd = -1;

	TRY(open_to_read(path, &fd));
	return read_whole(fd, path, b);
}

int file_read_end(const char *path, size_t max, struct buf *b, bool *ret_whole)
{
	CLEANUP(fd_close_p)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat status;
	size_t before = b->len;
	off_t start;
	uint8_t *room;
	ssize_t got;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_sys("'%s'", path);
	if (!S_ISREG(status.st_mode))
		return error_set(ERR_IO, "'%s' is no file", path);
	start = status.st_size > (off_t)max ? status.st_size - (off_t)max : 0;
	*ret_whole = start == 0;
	if (status.st_size == start)
		return 0;
	room = buf_extend(b, (size_t)(status.st_size - start));
	if (!room)
		return error_set(ERR_LIMIT, "'%s' is too large", path);
	got = pread(fd, room, b->len - before, start);
	if (got < 0)
		return error_sys("reading '%s'", path);
	buf_cut(b, before + (size_t)got);
	return 0;
}

bool file_is_private(const struct stat *status)
{
	bool lent = status->st_uid == 0 && geteuid() != 0;

	return !(status->st_mode & (lent ? 037 : 077));
}

int file_check_private(int fd, const char *path)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_sys("stat '%s'", path);
	if (file_is_private(&status))
		return 0;
	return error_set(ERR_REFUSED,
			 "a secret is open to others (mode %03o), close it: "
			 "chmod go= '%s'",
			 (unsigned)status.st_mode & 0777, path);
}

int file_read_private(const char *path, struct buf *b)
{
	CLEANUP(fd_close_p) int fd = -1;

	TRY(open_to_read(path, &fd));
	TRY(file_check_private(fd, path));
	return read_whole(fd, path, b);
}

int file_test_private(const char *path)
{
	CLEANUP(fd_close_p) int fd = -1;

	TRY(open_to_read(path, &fd));
	return file_check_private(fd, path);
}

static int write_all(int fd, const char *path, struct slice content)
{
	size_t done = 0;

	while (done < content.len) {
		ssize_t put = write(fd, content.ptr + done, content.len - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_sys("write '%s'", path);
		done += (size_t)put;
	}
	return 0;
}

static int sync_folder_of(const char *path)
{
	CLEANUP(fd_close_p) int fd = -1;
	const char *slash = strrchr(path, '/');
	CLEANUP(mem_free_p)
	char *folder = slash ? mem_format("%.*s", (int)(slash - path + 1), path)
			     : mem_str(".");

	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_sys("open '%s'", folder);
	if (fsync(fd) < 0)
		return error_sys("fsync '%s'", folder);
	return 0;
}

static int write_new(const char *path, struct slice content, unsigned mode)
{
	CLEANUP(fd_close_p)
	int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		     0600);

	if (fd < 0)
		return error_sys("create '%s'", path);
	TRY(write_all(fd, path, content));
	if (fchmod(fd, (mode_t)mode) < 0)
		return error_sys("chmod '%s'", path);
	if (fsync(fd) < 0)
		return error_sys("fsync '%s'", path);
	return 0;
}

int file_write(const char *path, struct slice content, unsigned mode)
{
	char id[ID_MAX];
	CLEANUP(mem_free_p) char *beside = NULL;
	int r;

	id_new("new", id);
	beside = mem_format("%s.%s", path, id);
	r = write_new(beside, content, mode);
	if (r == 0 && rename(beside, path) < 0)
		r = error_sys("rename '%s'", beside);
	if (r < 0) {
		discard(unlink(beside));
		return r;
	}
	return sync_folder_of(path);
}

int file_make_folder(const char *path)
{
	CLEANUP(mem_free_p) char *part = mem_str(path);
	struct stat status;

	for (char *p = part + (*part == '/');; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (*part && mkdir(part, 0700) < 0 && errno != EEXIST)
			return error_sys("make folder '%s'", part);
		*p = c;
		if (c == '\0')
			break;
	}
	if (stat(path, &status) < 0)
		return error_sys("make folder '%s'", path);
	if (!S_ISDIR(status.st_mode))
		return error_set(ERR_IO, "'%s' is no folder", path);
	return 0;
}

int file_lock(const char *path, int *ret_fd)
{
	CLEANUP(fd_close_p)
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_sys("open '%s'", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return error_set(ERR_BUSY,
					 "'%s' is locked by another "
					 "process",
					 path);
		return error_sys("lock '%s'", path);
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

char *file_stamp(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return NULL;
	return mem_format(
		"%llx-%llx-%lld-%lld.%09ld", (unsigned long long)status.st_dev,
		(unsigned long long)status.st_ino, (long long)status.st_size,
		(long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}
