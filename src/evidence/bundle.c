#include "evidence/bundle.h"

#include "base/error.h"

struct writing {
	struct buf *b;
	unsigned count;
};

static int put_entry(void *cookie, uint64_t index UNUSED,
		     const struct digest *hash UNUSED, struct slice body)
{
	struct writing *w = cookie;

	if (body.len > UINT16_MAX)
		return error_set(ERR_CORRUPT, "a leaf of %zu bytes", body.len);
	buf_put_u16(w->b, (uint16_t)body.len);
	buf_put(w->b, body);
	w->count++;
	return 0;
}

int entry_bundle_write(struct store *s, const struct tile_id *id, struct buf *b)
{
	struct writing w = { b, 0 };
	uint64_t first = id->number * TILE_WIDTH;

	TRY(store_leaf_each(s, first, first + id->width, put_entry, &w));
	if (w.count != id->width)
		return error_set(ERR_NOT_FOUND, "entries are missing");
	return 0;
}

int entry_bundle_parse(struct slice bytes, unsigned width,
		       struct slice ret_entries[TILE_WIDTH])
{
	struct reader r = reader_of(bytes);

	for (unsigned i = 0; i < width; i++)
		ret_entries[i] = reader_bytes(&r, reader_u16(&r));
	return reader_finish(&r);
}
