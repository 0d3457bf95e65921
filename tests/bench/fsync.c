/*
 * How fast a folder's disk makes appends durable:
 *
 *   bench_fsync [--bytes N] [--count N] [--seconds N] FOLDER
 */
#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "figures.h"

enum {
	BYTES_MAX = 1 << 20,
	COUNT_MAX = 1000000,
	SECONDS_MAX = 60,
};

struct plan {
	long bytes, count, seconds;
	const char *folder;
};

/* A number of 1 to max, or the end of the program. */
static long number(const char *text, long max)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || value < 1 || value > max) {
		fprintf(stderr, "'%s' is not a number of 1 to %ld\n", text,
			max);
		exit(2);
	}
	return value;
}

static void read_options(int argc, char **argv, struct plan *p)
{
	static const struct option options[] = {
		{ "bytes", required_argument, NULL, 'b' },
		{ "count", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'b')
			p->bytes = number(optarg, BYTES_MAX);
		else if (option == 'c')
			p->count = number(optarg, COUNT_MAX);
		else if (option == 's')
			p->seconds = number(optarg, SECONDS_MAX);
		else
			exit(2);
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: bench_fsync [--bytes N] [--count N] "
				"[--seconds N] FOLDER\n");
		exit(2);
	}
	p->folder = argv[optind];
}

static int measure(int fd, const struct plan *p, struct figures *f)
{
	CLEANUP(mem_free_p) char *bytes = mem_alloc((size_t)p->bytes);
	int64_t end = f->began_us + p->seconds * 1000000;

	memset(bytes, 'x', (size_t)p->bytes);
	for (long i = 0; i < p->count; i++) {
		int64_t start = figures_now_us();

		if (start > end)
			break;
		if (write(fd, bytes, (size_t)p->bytes) != p->bytes)
			return error_sys("write");
		if (fdatasync(fd) < 0)
			return error_sys("fdatasync");
		figures_add(f, figures_now_us() - start);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct plan p = { .bytes = 700, .count = 5000, .seconds = 5 };
	CLEANUP(mem_free_p) char *path = NULL;
	CLEANUP(fd_close_p) int fd = -1;
	CLEANUP(figures_close) struct figures f;
	int r;

	read_options(argc, argv, &p);
	path = mem_format("%s/bench-fsync-XXXXXX", p.folder);
	figures_open(&f, (size_t)p.count);
	fd = mkstemp(path);
	if (fd < 0) {
		perror(path);
		return 1;
	}
	unlink(path);
	f.began_us = figures_now_us();
	r = measure(fd, &p, &f);
	if (r < 0) {
		fprintf(stderr, "%s\n", error_message());
		return 1;
	}
	figures_print(figures_report(&f));
	return 0;
}
