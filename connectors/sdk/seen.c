#include "connectors/sdk/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum {
	LINE_BYTES_MAX = SEEN_EXECUTION_MAX + 24,
	LINES_MAX = 4 * SEEN_MAX, /* the file is written anew beyond this */
	FILE_BYTES_MAX = (LINES_MAX + 1) * LINE_BYTES_MAX,
};

struct entry {
	uint64_t index;
	char execution[SEEN_EXECUTION_MAX];
};

struct seen {
	char *path;
	int lock_fd;
	int fd; /* at the end of the file */
	bool broken;
	uint64_t floor; /* next index that may be seen: all below are refused */
	size_t lines;	/* in the file, without the first */
	size_t count;
	struct entry entries[SEEN_MAX];
};

static bool is_execution(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return len > 0 && len < SEEN_EXECUTION_MAX && !text[len];
}

/* Keeps an entry, dropping the lowest when there are too many. */
static void keep(struct seen *seen, const char *execution, uint64_t index)
{
	size_t lowest = 0;

	if (seen->count == SEEN_MAX) {
		for (size_t i = 1; i < SEEN_MAX; i++)
			if (seen->entries[i].index <
			    seen->entries[lowest].index)
				lowest = i;
		seen->floor = seen->entries[lowest].index + 1;
	} else {
		lowest = seen->count++;
	}
	seen->entries[lowest].index = index;
	snprintf(seen->entries[lowest].execution, SEEN_EXECUTION_MAX, "%s",
		 execution);
}

/* Reads a number at the start of text; NULL if there is none. */
static const char *read_number(const char *text, uint64_t *ret_number)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return NULL;
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return errno || *ret_number == UINT64_MAX ? NULL : end;
}

static int read_first(struct seen *seen, const char *line)
{
	static const char head[] = "writ-seen 1 ";
	const char *end = NULL;

	if (!strncmp(line, head, sizeof(head) - 1))
		end = read_number(line + sizeof(head) - 1, &seen->floor);
	if (!end || *end)
		return error_set(ERR_CORRUPT, "not a file of seen orders");
	return 0;
}

static int read_line(struct seen *seen, const char *line)
{
	uint64_t index;
	const char *end = read_number(line, &index);

	if (!end || *end != ' ' || !is_execution(end + 1))
		return error_set(ERR_CORRUPT, "line %zu is damaged",
				 seen->lines + 2);
	if (index >= seen->floor)
		keep(seen, end + 1, index);
	seen->lines++;
	return 0;
}

/* Reads all lines that end in a line feed. */
static int read_lines(struct seen *seen, struct buf *text)
{
	size_t start = 0;
	bool first = true;

	for (size_t i = 0; i < text->len; i++) {
		const char *line = (const char *)text->data + start;

		if (text->data[i] == '\0')
			return error_set(ERR_CORRUPT, "a NUL byte");
		if (text->data[i] != '\n')
			continue;
		text->data[i] = '\0';
		TRY(first ? read_first(seen, line) : read_line(seen, line));
		first = false;
		start = i + 1;
	}
	return first ? error_set(ERR_CORRUPT, "not a file of seen orders") : 0;
}

/* Replaces the file by what is kept, and opens it at its end. */
static int write_anew(struct seen *seen)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(FILE_BYTES_MAX);
	struct slice bytes;

	buf_putf(&text, "writ-seen 1 %" PRIu64 "\n", seen->floor);
	for (size_t i = 0; i < seen->count; i++)
		buf_putf(&text, "%" PRIu64 " %s\n", seen->entries[i].index,
			 seen->entries[i].execution);
	TRY(buf_finish(&text, &bytes));
	TRY(file_write(seen->path, bytes, 0600));
	fd_close_p(&seen->fd);
	seen->fd = open(seen->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (seen->fd < 0)
		return error_sys("open '%s'", seen->path);
	seen->lines = seen->count;
	return 0;
}

static int load(struct seen *seen)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(FILE_BYTES_MAX);
	CLEANUP(mem_free_p) char *lock = mem_format("%s.lock", seen->path);

	TRY(file_lock(lock, &seen->lock_fd));
	if (file_exists(seen->path)) {
		TRY(file_read(seen->path, &text));
		TRY(read_lines(seen, &text));
	}
	return write_anew(seen);
}

int seen_open(const char *path, struct seen **ret_seen)
{
	CLEANUP(seen_close_p) struct seen *seen = mem_new(struct seen);
	int r;

	seen->fd = -1;
	seen->lock_fd = -1;
	seen->path = mem_str(path);
	r = load(seen);
	if (r < 0)
		return error_context(r, "'%s'", path);
	*ret_seen = TAKE(seen);
	return 0;
}

void seen_close(struct seen *seen)
{
	if (!seen)
		return;
	fd_close_p(&seen->fd);
	fd_close_p(&seen->lock_fd);
	free(seen->path);
	free(seen);
}

const char *seen_objection(const struct seen *seen, const char *execution,
			   uint64_t index)
{
	if (index < seen->floor)
		return "its leaf is older than what is remembered";
	for (size_t i = 0; i < seen->count; i++) {
		const struct entry *entry = &seen->entries[i];

		if (entry->index == index)
			return "its leaf has served already";
		if (index < entry->index &&
		    !strcmp(entry->execution, execution))
			return "a later leaf of its execution has served";
	}
	return NULL;
}

static int append(struct seen *seen, const char *execution, uint64_t index)
{
	char line[LINE_BYTES_MAX];
	int len = snprintf(line, sizeof(line), "%" PRIu64 " %s\n", index,
			   execution);

	if (write(seen->fd, line, (size_t)len) != len)
		return error_sys("write '%s'", seen->path);
	if (fdatasync(seen->fd) < 0)
		return error_sys("sync '%s'", seen->path);
	seen->lines++;
	return 0;
}

int seen_add(struct seen *seen, const char *execution, uint64_t index)
{
	int r;

	if (seen->broken)
		return error_set(ERR_BROKEN, "an earlier write to '%s' failed",
				 seen->path);
	if (!is_execution(execution) || index == UINT64_MAX)
		return error_set(ERR_SYNTAX, "'%s' is no execution", execution);
	keep(seen, execution, index);
	r = seen->lines < LINES_MAX ? append(seen, execution, index)
				    : write_anew(seen);
	if (r < 0)
		seen->broken = true;
	return r;
}
