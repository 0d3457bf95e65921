#include "keeper/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/reader.h"
#include "crypto/digest.h"

enum {
	SLOTS = 2,
	SECTOR_SIZE = 512,    /* what a disk writes whole or not at all */
	SLOT_DISTANCE = 4096, /* so that no write touches both slots */
	MARK_LEN = 8,
	HASHED_SIZE = SECTOR_SIZE - DIGEST_LEN,
};

_Static_assert(SLOTS_DATA_SIZE == HASHED_SIZE - MARK_LEN - 8 - 1,
	       "a sector is full");
_Static_assert(SLOTS_SECTORS_MAX *SECTOR_SIZE <= SLOT_DISTANCE,
	       "slots do not touch");
_Static_assert(SLOTS_FILE_SIZE == SLOTS * SLOT_DISTANCE, "two slots");

static const char sector_mark[] = "writlast";

/* ---- replacing a file ---- */

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

int slots_replace(int folder_fd, const char *name, struct slice content)
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

/* ---- a slot ---- */

static void put_zeros(struct buf *b, size_t count)
{
	uint8_t *zeros = buf_extend(b, count);

	if (zeros)
		memset(zeros, 0, count);
}

/* Appends the sectors of a slot. */
static int put_slot(struct buf *b, uint64_t sequence, size_t sectors,
		    struct slice content)
{
	if (content.len > sectors * SLOTS_DATA_SIZE)
		return error_set(ERR_LIMIT, "%zu bytes to remember",
				 content.len);
	for (size_t i = 0; i < sectors; i++) {
		size_t part = content.len < SLOTS_DATA_SIZE ? content.len
							    : SLOTS_DATA_SIZE;
		size_t start = b->len;
		struct digest digest;

		buf_put_str(b, sector_mark);
		buf_put_u64(b, sequence);
		buf_put_u8(b, (uint8_t)i);
		buf_put(b, slice_of(content.ptr, part));
		put_zeros(b, SLOTS_DATA_SIZE - part);
		digest = digest_of(slice_of(b->data + start, HASHED_SIZE));
		buf_put(b, digest_slice(&digest));
		content = slice_of(content.ptr + part, content.len - part);
	}
	return 0;
}

struct slot {
	uint64_t sequence[SLOTS_SECTORS_MAX]; /* of each sector */
	size_t sectors;
	struct buf content;
};

/* Reads a sector.  Errors: ERR_CORRUPT. */
static int read_sector(struct slice bytes, size_t number, struct slot *slot)
{
	struct digest digest = digest_of(slice_of(bytes.ptr, HASHED_SIZE));
	struct reader r = reader_of(bytes);
	struct slice mark = reader_bytes(&r, MARK_LEN);
	uint64_t sequence = reader_u64(&r);
	uint8_t place = reader_u8(&r);
	struct slice data = reader_bytes(&r, SLOTS_DATA_SIZE);
	struct slice sum = reader_bytes(&r, DIGEST_LEN);

	if (reader_finish(&r) < 0 || !slice_is(mark, sector_mark) ||
	    place != number || !slice_equals(sum, digest_slice(&digest)))
		return error_set(ERR_CORRUPT, "a sector is damaged");
	buf_put(&slot->content, data);
	slot->sequence[number] = sequence;
	return 0;
}

static int read_slot(struct slice file, size_t number, struct slot *slot)
{
	for (size_t i = 0; i < slot->sectors; i++) {
		const uint8_t *at =
			file.ptr + number * SLOT_DISTANCE + i * SECTOR_SIZE;

		TRY(read_sector(slice_of(at, SECTOR_SIZE), i, slot));
	}
	return 0;
}

static bool is_whole(const struct slot *slot)
{
	for (size_t i = 1; i < slot->sectors; i++)
		if (slot->sequence[i] != slot->sequence[0])
			return false;
	return true;
}

/* Whether a slot was being written over when the other was the newest. */
static bool is_torn_beside(const struct slot *slot, const struct slot *other)
{
	uint64_t now = other->sequence[0];

	for (size_t i = 0; i < slot->sectors; i++)
		if (slot->sequence[i] + 1 != now &&
		    slot->sequence[i] != now + 1)
			return false;
	return !is_whole(slot);
}

/* ---- the file ---- */

struct pair {
	struct slot slots[SLOTS];
};

static void pair_clear(struct pair *pair)
{
	for (size_t i = 0; i < SLOTS; i++)
		buf_clear(&pair->slots[i].content);
}

/* Finds the slot that stands. */
static int choose(const struct pair *pair, size_t *ret_newest)
{
	for (size_t i = 0; i < SLOTS; i++) {
		const struct slot *slot = &pair->slots[i];
		const struct slot *other = &pair->slots[1 - i];

		if (!is_whole(slot) || slot->sequence[0] % SLOTS != i)
			continue;
		if (is_torn_beside(other, slot) ||
		    (is_whole(other) &&
		     other->sequence[0] + 1 == slot->sequence[0])) {
			*ret_newest = i;
			return 0;
		}
	}
	return error_set(ERR_CORRUPT, "its slots do not fit");
}

int slots_make(int folder_fd, const char *name, size_t sectors,
	       struct slice content)
{
	CLEANUP(buf_clear) struct buf file = BUF_INIT(SLOTS_FILE_SIZE);
	struct slice bytes;

	for (uint64_t sequence = 0; sequence < SLOTS; sequence++) {
		TRY(put_slot(&file, sequence, sectors, content));
		put_zeros(&file, SLOT_DISTANCE - sectors * SECTOR_SIZE);
	}
	TRY(buf_finish(&file, &bytes));
	return slots_replace(folder_fd, name, bytes);
}

/* Reads the file into b. */
static int read_file(int fd, struct buf *b)
{
	struct slice bytes;
	uint8_t part[4096];
	ssize_t count = 1;

	while (count > 0 && !b->overflow) {
		count = read(fd, part, sizeof(part));
		if (count > 0)
			buf_put(b, slice_of(part, (size_t)count));
	}
	if (count < 0)
		return error_sys("read");
	if (buf_finish(b, &bytes) < 0 || bytes.len != SLOTS_FILE_SIZE)
		return error_set(ERR_CORRUPT, "it is not of its size");
	return 0;
}

static int read_slots(struct slots *slots, struct buf *content)
{
	CLEANUP(buf_clear) struct buf file = BUF_INIT(SLOTS_FILE_SIZE);
	CLEANUP(pair_clear) struct pair pair = { 0 };
	size_t newest = 0;

	TRY(read_file(slots->fd, &file));
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &pair.slots[i];

		slot->sectors = slots->sectors;
		slot->content = (struct buf)BUF_INIT(SLOTS_SECTORS_MAX *
						     SLOTS_DATA_SIZE);
		TRY(read_slot(buf_slice(&file), i, slot));
	}
	TRY(choose(&pair, &newest));
	slots->sequence = pair.slots[newest].sequence[0];
	buf_put(content, buf_slice(&pair.slots[newest].content));
	return 0;
}

int slots_open(struct slots *slots, int folder_fd, const char *name,
	       size_t sectors, struct buf *content)
{
	int r;

	*slots = (struct slots){ .name = name, .sectors = sectors };
	slots->fd = openat(folder_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (slots->fd < 0 && errno == ENOENT)
		return error_set(ERR_NOT_FOUND, "no file '%s'", name);
	if (slots->fd < 0)
		return error_sys("open '%s'", name);
	r = read_slots(slots, content);
	return r < 0 ? error_context(r, "file '%s'", name) : 0;
}

static int write_slot(struct slots *slots, struct slice content)
{
	CLEANUP(buf_clear)
	struct buf slot = BUF_INIT(SLOTS_SECTORS_MAX * SECTOR_SIZE);
	uint64_t sequence = slots->sequence + 1;
	off_t at = (off_t)(sequence % SLOTS * SLOT_DISTANCE);

	TRY(put_slot(&slot, sequence, slots->sectors, content));
	if (pwrite(slots->fd, slot.data, slot.len, at) != (ssize_t)slot.len)
		return error_sys("write '%s'", slots->name);
	if (fdatasync(slots->fd) < 0)
		return error_sys("sync '%s'", slots->name);
	slots->sequence = sequence;
	return 0;
}

int slots_write(struct slots *slots, struct slice content)
{
	int r;

	if (slots->broken)
		return error_set(ERR_BROKEN, "an earlier write failed");
	r = write_slot(slots, content);
	slots->broken = r < 0;
	return r;
}

void slots_close(struct slots *slots)
{
	fd_close_p(&slots->fd);
	slots->fd = -1;
}
