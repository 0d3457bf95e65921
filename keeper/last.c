#include "keeper/last.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define NAME "last"

enum { SECTORS = 2, CONTENT_MAX = SECTORS * SLOTS_DATA_SIZE };

int last_make(int folder_fd, struct slice note)
{
	return slots_make(folder_fd, NAME, SECTORS, note);
}

static struct slice trim(const struct buf *content)
{
	struct slice note = buf_slice(content);

	while (note.len > 0 && note.ptr[note.len - 1] == '\0')
		note.len--;
	return note;
}

/* The form of an earlier version: the note, and nothing else.  Its text is put
 * into note; empty if the file is not so. */
static int read_old(int folder_fd, struct buf *note)
{
	CLEANUP(fd_close_p)
	int fd = openat(folder_fd, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t part[CONTENT_MAX + 1];
	ssize_t count;

	if (fd < 0 && errno == ENOENT)
		return error_set(ERR_NOT_FOUND, "no file '%s'", NAME);
	if (fd < 0)
		return error_sys("open '%s'", NAME);
	count = read(fd, part, sizeof(part));
	if (count < 0)
		return error_sys("read '%s'", NAME);
	/* No note is as long as the slots. */
	if (count <= CONTENT_MAX)
		buf_put(note, slice_of(part, (size_t)count));
	return 0;
}

static int upgrade(int folder_fd, const struct note_vkey *vkey)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(CONTENT_MAX);
	struct checkpoint head;

	TRY(read_old(folder_fd, &note));
	/* What is no signed note is damage, and stays as it is. */
	if (note.len == 0 || checkpoint_open(buf_slice(&note), vkey, &head) < 0)
		return 0;
	return last_make(folder_fd, buf_slice(&note));
}

int last_open(struct last *last, int folder_fd, const struct note_vkey *vkey)
{
	CLEANUP(buf_clear) struct buf content = BUF_INIT(CONTENT_MAX);

	*last = (struct last){ .slots.fd = -1, .note = BUF_INIT(CONTENT_MAX) };
	TRY(upgrade(folder_fd, vkey));
	TRY(slots_open(&last->slots, folder_fd, NAME, SECTORS, &content));
	if (checkpoint_open(trim(&content), vkey, &last->head) < 0)
		return error_context(ERR_CORRUPT, "file '%s'", NAME);
	return 0;
}

int last_put(struct last *last, const struct checkpoint *head,
	     struct slice note)
{
	struct slice all;

	if (last->slots.broken)
		return error_set(ERR_BROKEN, "an earlier write failed");
	buf_reset(&last->note);
	buf_put(&last->note, note);
	TRY(buf_finish(&last->note, &all));
	last->head = *head;
	return 0;
}

int last_sync(struct last *last)
{
	if (last->note.len == 0)
		return 0;
	TRY(slots_write(&last->slots, buf_slice(&last->note)));
	buf_reset(&last->note);
	return 0;
}

void last_close(struct last *last)
{
	slots_close(&last->slots);
	buf_clear(&last->note);
}
