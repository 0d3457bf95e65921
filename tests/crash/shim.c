/*
 * Put before a program with LD_PRELOAD, it lies to it about the machine, as a
 * file tells that the test changes at any time:
 *
 *   CRASH_SHIM=FILE   16 bytes: milliseconds that are added to the wall clock
 *                     (int64), and whether syncs are left out (int64, 0 or 1)
 *
 * The file is mapped once, before the program begins.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct lies {
	int64_t offset_ms;
	int64_t no_sync;
};

static const volatile struct lies truth;
static const volatile struct lies *lies = &truth;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CRASH_SHIM");
	void *place;
	int fd;

	if (!path)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		abort();
	place = mmap(NULL, sizeof(*lies), PROT_READ, MAP_SHARED, fd, 0);
	if (place == MAP_FAILED)
		abort();
	lies = place;
	close(fd);
}

static void move(struct timespec *time)
{
	int64_t ns = time->tv_nsec + lies->offset_ms % 1000 * 1000000;
	int64_t carry = ns < 0 ? -1 : ns / 1000000000;

	time->tv_sec += lies->offset_ms / 1000 + carry;
	time->tv_nsec = ns - carry * 1000000000;
}

int clock_gettime(clockid_t id, struct timespec *time)
{
	if (syscall(SYS_clock_gettime, id, time) < 0)
		return -1;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		move(time);
	return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return -1;
	time->tv_sec = now.tv_sec;
	time->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *at)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return -1;
	if (at)
		*at = now.tv_sec;
	return now.tv_sec;
}

int fsync(int fd)
{
	return lies->no_sync ? 0 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return lies->no_sync ? 0 : (int)syscall(SYS_fdatasync, fd);
}
