#include "keeper/issued.h"

#include "base/error.h"
#include "base/reader.h"

#define NAME "issued"

/* A floor, a count and so many indices. */
enum {
	CONTENT_SIZE = 8 + 2 + 8 * ISSUED_MAX,
	SECTORS = (CONTENT_SIZE + SLOTS_DATA_SIZE - 1) / SLOTS_DATA_SIZE,
	CONTENT_MAX = SECTORS * SLOTS_DATA_SIZE,
};

static void encode(const struct issued *issued, struct buf *b)
{
	buf_put_u64(b, issued->floor);
	buf_put_u16(b, (uint16_t)issued->count);
	for (size_t i = 0; i < issued->count; i++)
		buf_put_u64(b, issued->indices[i]);
}

static int decode(struct slice content, struct issued *issued)
{
	struct reader r = reader_of(content);

	issued->floor = reader_u64(&r);
	issued->count = reader_u16(&r);
	if (issued->count > ISSUED_MAX)
		return error_set(ERR_CORRUPT, "file '%s' has %zu leaves", NAME,
				 issued->count);
	for (size_t i = 0; i < issued->count; i++)
		issued->indices[i] = reader_u64(&r);
	return r.failed ? error_set(ERR_CORRUPT, "file '%s' is cut short", NAME)
			: 0;
}

int issued_make(int folder_fd)
{
	CLEANUP(buf_clear) struct buf content = BUF_INIT(CONTENT_MAX);
	static const struct issued none = { .floor = 0 };

	encode(&none, &content);
	return slots_make(folder_fd, NAME, SECTORS, buf_slice(&content));
}

int issued_open(struct issued *issued, int folder_fd)
{
	CLEANUP(buf_clear) struct buf content = BUF_INIT(CONTENT_MAX);

	*issued = (struct issued){ .slots.fd = -1 };
	TRY(slots_open(&issued->slots, folder_fd, NAME, SECTORS, &content));
	return decode(buf_slice(&content), issued);
}

bool issued_has(const struct issued *issued, uint64_t index)
{
	if (index < issued->floor)
		return true;
	for (size_t i = 0; i < issued->count; i++)
		if (issued->indices[i] == index)
			return true;
	return false;
}

int issued_add(struct issued *issued, uint64_t index)
{
	size_t place = issued->count;

	if (issued->slots.broken)
		return error_set(ERR_BROKEN, "an earlier write failed");
	if (issued->count < ISSUED_MAX) {
		issued->count++;
	} else {
		place = 0;
		for (size_t i = 1; i < ISSUED_MAX; i++)
			if (issued->indices[i] < issued->indices[place])
				place = i;
		issued->floor = issued->indices[place] + 1;
	}
	issued->indices[place] = index;
	issued->changed = true;
	return 0;
}

int issued_sync(struct issued *issued)
{
	CLEANUP(buf_clear) struct buf content = BUF_INIT(CONTENT_MAX);

	if (!issued->changed)
		return 0;
	encode(issued, &content);
	TRY(slots_write(&issued->slots, buf_slice(&content)));
	issued->changed = false;
	return 0;
}

void issued_close(struct issued *issued)
{
	slots_close(&issued->slots);
}
