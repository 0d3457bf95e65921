#include "connectors/sdk/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"

enum {
	LINE_BYTES_MAX = SEEN_EXECUTION_MAX + 32,
	/* The file is written anew beyond this and twice what it must hold. */
	LINES_MAX = 4 * SEEN_MAX,
	/* Lines added and not synced; an order has two, a release one more. */
	WAITING_LINES_MAX = 256,
	WAITING_BYTES_MAX = (WAITING_LINES_MAX + 3) * LINE_BYTES_MAX,
	FILE_BYTES_MAX = (LINES_MAX + 3 * SEEN_REQUESTS_MAX) * LINE_BYTES_MAX,
};

/* A request that must not be carried out again. */
struct spent {
	int64_t not_after_ms;
};

struct seen {
	char *path;
	int lock_fd;
	int fd; /* at the end of the file */
	bool broken;
	uint64_t floor; /* next index that may be seen: all below are refused */
	size_t lines;	/* in the file, without the first */
	size_t lines_max; /* when it is written anew */
	size_t count;
	struct map *requests;  /* name -> spent, owned */
	uint64_t forgotten_ms; /* the latest end of what was dropped */
	struct buf waiting;    /* lines that are not in the file yet */
	size_t waiting_lines;
	/* Apart, because each order looks through all indices. */
	uint64_t indices[SEEN_MAX];
	char executions[SEEN_MAX][SEEN_EXECUTION_MAX];
};

static bool is_execution(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return len > 0 && len < SEEN_EXECUTION_MAX && !text[len];
}

/* Keeps a leaf, dropping the lowest when there are too many. */
static void keep(struct seen *seen, const char *execution, uint64_t index)
{
	size_t lowest = 0;

	if (seen->count == SEEN_MAX) {
		for (size_t i = 1; i < SEEN_MAX; i++)
			if (seen->indices[i] < seen->indices[lowest])
				lowest = i;
		seen->floor = seen->indices[lowest] + 1;
	} else {
		lowest = seen->count++;
	}
	seen->indices[lowest] = index;
	snprintf(seen->executions[lowest], SEEN_EXECUTION_MAX, "%s", execution);
}

static void spend(struct seen *seen, const char *request, int64_t not_after_ms)
{
	struct spent *spent = map_get(seen->requests, request);

	if (!spent) {
		spent = mem_new(struct spent);
		map_put(seen->requests, request, spent);
	}
	spent->not_after_ms = not_after_ms;
}

/* Drops the requests that end before over_ms. */
static void forget(struct seen *seen, int64_t over_ms)
{
	struct map *kept = map_new();
	struct spent *spent;
	const char *name;
	size_t at = 0;

	while ((spent = map_next(seen->requests, &at, &name))) {
		if (spent->not_after_ms >= over_ms) {
			map_put(kept, name, spent);
			continue;
		}
		if ((uint64_t)spent->not_after_ms > seen->forgotten_ms)
			seen->forgotten_ms = (uint64_t)spent->not_after_ms;
		free(spent);
	}
	map_free(seen->requests);
	seen->requests = kept;
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

/* What follows a word at the start of line; NULL if it is another. */
static const char *after(const char *line, const char *word)
{
	size_t len = strlen(word);

	return strncmp(line, word, len) == 0 ? line + len : NULL;
}

static int read_first(struct seen *seen, const char *line)
{
	const char *end = after(line, "writ-seen 2 ");

	if (end)
		end = read_number(end, &seen->floor);
	if (end)
		end = *end == ' ' ? read_number(end + 1, &seen->forgotten_ms)
				  : NULL;
	if (!end || *end)
		return error_set(ERR_CORRUPT, "not a file of seen orders");
	return 0;
}

static bool read_leaf(struct seen *seen, const char *line)
{
	uint64_t index;
	const char *end = read_number(line, &index);

	if (!end || *end != ' ' || !is_execution(end + 1))
		return false;
	if (index >= seen->floor)
		keep(seen, end + 1, index);
	return true;
}

/* text: "REQUEST NOT_AFTER" */
static bool read_spent(struct seen *seen, const char *text)
{
	char name[SEEN_EXECUTION_MAX];
	const char *space = strchr(text, ' ');
	const char *end;
	uint64_t not_after;

	if (!space || (size_t)(space - text) >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(space - text), text);
	end = read_number(space + 1, &not_after);
	if (!is_execution(name) || !end || *end || not_after > INT64_MAX)
		return false;
	spend(seen, name, (int64_t)not_after);
	return true;
}

static bool read_free(struct seen *seen, const char *name)
{
	if (!is_execution(name))
		return false;
	free(map_remove(seen->requests, name));
	return true;
}

static int read_line(struct seen *seen, const char *line)
{
	const char *spent = after(line, "spent ");
	const char *freed = after(line, "free ");
	bool whole;

	if (spent)
		whole = read_spent(seen, spent);
	else if (freed)
		whole = read_free(seen, freed);
	else
		whole = read_leaf(seen, line);
	if (!whole)
		return error_set(ERR_CORRUPT, "line %zu is damaged",
				 seen->lines + 2);
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

/* Lines, without the first. */
static size_t must_hold(const struct seen *seen)
{
	return seen->count + map_count(seen->requests);
}

/* Replaces the file by what is kept, and opens it at its end. */
static int write_anew(struct seen *seen)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(FILE_BYTES_MAX);
	const struct spent *spent;
	const char *name;
	struct slice bytes;
	size_t at = 0;

	buf_putf(&text, "writ-seen 2 %" PRIu64 " %" PRIu64 "\n", seen->floor,
		 seen->forgotten_ms);
	while ((spent = map_next(seen->requests, &at, &name)))
		buf_putf(&text, "spent %s %" PRId64 "\n", name,
			 spent->not_after_ms);
	for (size_t i = 0; i < seen->count; i++)
		buf_putf(&text, "%" PRIu64 " %s\n", seen->indices[i],
			 seen->executions[i]);
	TRY(buf_finish(&text, &bytes));
	TRY(file_write(seen->path, bytes, 0600));
	fd_close_p(&seen->fd);
	seen->fd = open(seen->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (seen->fd < 0)
		return error_sys("open '%s'", seen->path);
	buf_reset(&seen->waiting);
	seen->waiting_lines = 0;
	seen->lines = must_hold(seen);
	seen->lines_max = LINES_MAX + 2 * seen->lines;
	return 0;
}

static int load(struct seen *seen, int64_t over_ms)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(FILE_BYTES_MAX);
	CLEANUP(mem_free_p) char *lock = mem_format("%s.lock", seen->path);

	TRY(file_lock(lock, &seen->lock_fd));
	if (file_exists(seen->path)) {
		TRY(file_read(seen->path, &text));
		TRY(read_lines(seen, &text));
	}
	forget(seen, over_ms);
	return write_anew(seen);
}

int seen_open(const char *path, int64_t over_ms, struct seen **ret_seen)
{
	CLEANUP(seen_close_p) struct seen *seen = mem_new(struct seen);
	int r;

	seen->fd = -1;
	seen->lock_fd = -1;
	seen->path = mem_str(path);
	seen->requests = map_new();
	seen->waiting = (struct buf)BUF_INIT(WAITING_BYTES_MAX);
	r = load(seen, over_ms);
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
	forget(seen, INT64_MAX);
	map_free(seen->requests);
	buf_clear(&seen->waiting);
	free(seen->path);
	free(seen);
}

static const char *request_objection(const struct seen *seen,
				     const struct seen_order *order)
{
	if (!order->request)
		return NULL;
	if (map_get(seen->requests, order->request))
		return "its request has served already";
	if (order->not_after_ms <= 0 ||
	    (uint64_t)order->not_after_ms <= seen->forgotten_ms)
		return "its request is older than what is remembered";
	return NULL;
}

const char *seen_objection(const struct seen *seen,
			   const struct seen_order *order)
{
	if (order->index < seen->floor)
		return "its leaf is older than what is remembered";
	for (size_t i = 0; i < seen->count; i++) {
		if (seen->indices[i] < order->index)
			continue;
		if (seen->indices[i] == order->index)
			return "its leaf has served already";
		if (!strcmp(seen->executions[i], order->execution))
			return "a later leaf of its execution has served";
	}
	return request_objection(seen, order);
}

/* Writes what waits, or begins the file anew when it has grown too long; what
 * the lines say is kept already. */
static int write_waiting(struct seen *seen)
{
	struct slice lines;

	if (seen->lines >= seen->lines_max)
		return write_anew(seen);
	TRY(buf_finish(&seen->waiting, &lines));
	if (write(seen->fd, lines.ptr, lines.len) != (ssize_t)lines.len)
		return error_sys("write '%s'", seen->path);
	if (fdatasync(seen->fd) < 0)
		return error_sys("sync '%s'", seen->path);
	seen->lines += seen->waiting_lines;
	buf_reset(&seen->waiting);
	seen->waiting_lines = 0;
	return 0;
}

static int broken(const struct seen *seen)
{
	return error_set(ERR_BROKEN, "an earlier write to '%s' failed",
			 seen->path);
}

int seen_sync(struct seen *seen)
{
	int r;

	if (seen->broken)
		return broken(seen);
	if (seen->waiting_lines == 0)
		return 0;
	r = write_waiting(seen);
	seen->broken = r < 0;
	return r;
}

static int judge(const struct seen *seen, const struct seen_order *order)
{
	if (seen->broken)
		return broken(seen);
	if (!is_execution(order->execution) || order->index == UINT64_MAX)
		return error_set(ERR_SYNTAX, "'%s' is no execution",
				 order->execution);
	if (order->request &&
	    (!is_execution(order->request) || order->not_after_ms <= 0))
		return error_set(ERR_SYNTAX, "'%s' is no request",
				 order->request);
	return 0;
}

int seen_add(struct seen *seen, const struct seen_order *order, int64_t over_ms)
{
	TRY(judge(seen, order));
	if (seen->lines + seen->waiting_lines >= seen->lines_max ||
	    map_count(seen->requests) >= SEEN_REQUESTS_MAX)
		forget(seen, over_ms);
	if (order->request && map_count(seen->requests) >= SEEN_REQUESTS_MAX)
		return error_set(ERR_LIMIT, "too many requests at a time");
	if (seen->waiting_lines >= WAITING_LINES_MAX)
		TRY(seen_sync(seen));
	if (order->request) {
		spend(seen, order->request, order->not_after_ms);
		buf_putf(&seen->waiting, "spent %s %" PRId64 "\n",
			 order->request, order->not_after_ms);
		seen->waiting_lines++;
	}
	keep(seen, order->execution, order->index);
	buf_putf(&seen->waiting, "%" PRIu64 " %s\n", order->index,
		 order->execution);
	seen->waiting_lines++;
	return 0;
}

int seen_release(struct seen *seen, const char *request)
{
	if (seen->broken)
		return broken(seen);
	if (!map_get(seen->requests, request))
		return 0;
	free(map_remove(seen->requests, request));
	buf_putf(&seen->waiting, "free %s\n", request);
	seen->waiting_lines++;
	return seen_sync(seen);
}
