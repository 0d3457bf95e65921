#include "cli/run/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

/* Folders are PREFIX, the process that made it, a dot and six letters. */
#define PREFIX "writ-run-"

struct scratch {
	char *path;
	int lock; /* on the folder, while it is used */
};

static void dir_close_p(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool is_in_memory(const char *path)
{
	struct statfs status;

	return statfs(path, &status) == 0 &&
	       (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

static const char *find_base(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (runtime && *runtime == '/' && is_in_memory(runtime) &&
	    access(runtime, W_OK) == 0)
		return runtime;
	if (is_in_memory("/dev/shm") && access("/dev/shm", W_OK) == 0)
		return "/dev/shm";
	return NULL;
}

/* Whatever is directly in it; there are no folders in it. */
static void remove_whole(const char *path)
{
	CLEANUP(dir_close_p) DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		discard(unlinkat(dirfd(dir), entry->d_name, 0));
	discard(rmdir(path));
}

/* Locks a folder of ours; -1 if another process has it, which may run where its
 * number says nothing here. */
static int lock_folder(const char *path)
{
	CLEANUP(fd_close_p)
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int locked = fd;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	fd = -1;
	return locked;
}

/* Whether it is ours, of a process that is no more. */
static bool is_left_over(const char *base, const char *name)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/%s", base, name);
	struct stat status;
	long pid;
	char *end;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	pid = strtol(name + strlen(PREFIX), &end, 10);
	if (pid <= 1 || pid > INT32_MAX || *end != '.')
		return false;
	if (lstat(path, &status) < 0 || !S_ISDIR(status.st_mode) ||
	    status.st_uid != geteuid())
		return false;
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static void sweep(const char *base)
{
	CLEANUP(dir_close_p) DIR *dir = opendir(base);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (is_left_over(base, entry->d_name)) {
			CLEANUP(mem_free_p)
			char *path = mem_format("%s/%s", base, entry->d_name);
			CLEANUP(fd_close_p) int lock = lock_folder(path);

			if (lock >= 0)
				remove_whole(path);
		}
	}
}

int scratch_open(struct scratch **ret_scratch)
{
	CLEANUP(scratch_close_p) struct scratch *s = NULL;
	const char *base = find_base();

	if (!base)
		return error_set(ERR_REFUSED,
				 "there is no folder in memory for what is "
				 "lent: $XDG_RUNTIME_DIR or /dev/shm must be a "
				 "tmpfs that you may write to");
	sweep(base);
	s = mem_new(struct scratch);
	s->lock = -1;
	s->path = mem_format("%s/" PREFIX "%d.XXXXXX", base, (int)getpid());
	if (!mkdtemp(s->path)) {
		int r = error_sys("making a folder in %s", base);

		free(TAKE(s->path));
		return r;
	}
	s->lock = lock_folder(s->path);
	*ret_scratch = TAKE(s);
	return 0;
}

void scratch_close(struct scratch *s)
{
	if (!s)
		return;
	if (s->path)
		remove_whole(s->path);
	fd_close_p(&s->lock);
	free(s->path);
	free(s);
}

char *scratch_path(const struct scratch *s, const char *name)
{
	return mem_format("%s/%s", s->path, name);
}

int scratch_write(struct scratch *s, const char *name, struct slice content)
{
	CLEANUP(mem_free_p) char *path = scratch_path(s, name);

	return file_write(path, content, 0600);
}

void scratch_remove(struct scratch *s, const char *name)
{
	CLEANUP(mem_free_p) char *path = scratch_path(s, name);

	discard(unlink(path));
}
