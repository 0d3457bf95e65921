#include "base/reader.h"

#include "base/error.h"

struct slice reader_bytes(struct reader *r, size_t count)
{
	struct slice bytes = { NULL, 0 };

	if (r->failed || count > r->rest.len) {
		r->failed = true;
		return bytes;
	}
	if (count == 0)
		return bytes;
	bytes = slice_of(r->rest.ptr, count);
	r->rest = slice_of(r->rest.ptr + count, r->rest.len - count);
	return bytes;
}

static uint64_t number(struct reader *r, size_t size)
{
	struct slice bytes = reader_bytes(r, size);
	uint64_t value = 0;

	for (size_t i = 0; i < bytes.len; i++)
		value = value << 8 | bytes.ptr[i];
	return value;
}

uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)number(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
	return (uint16_t)number(r, 2);
}

uint32_t reader_u32(struct reader *r)
{
	return (uint32_t)number(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
	return number(r, 8);
}

struct slice reader_string(struct reader *r)
{
	return reader_bytes(r, reader_u32(r));
}

int reader_finish(const struct reader *r)
{
	if (r->failed)
		return error_set(ERR_SYNTAX, "input is cut short");
	if (r->rest.len)
		return error_set(ERR_SYNTAX, "%zu bytes too many", r->rest.len);
	return 0;
}
