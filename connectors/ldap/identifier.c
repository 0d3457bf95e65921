#include "connectors/ldap/identifier.h"

#include "base/buf.h"
#include "base/mem.h"

enum {
	GUID_LEN = 16,
	SID_LEAST = 8,
	SID_PARTS_MAX = 15,
	SID_TEXT = 256,
};

char *identifier_guid(struct slice bytes)
{
	const uint8_t *b = bytes.ptr;

	if (bytes.len != GUID_LEN)
		return NULL;
	return mem_format("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
			  "%02x%02x%02x%02x%02x%02x",
			  b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8],
			  b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static uint32_t little_endian(const uint8_t *b)
{
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
	       (uint32_t)b[3] << 24;
}

char *identifier_sid(struct slice bytes)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(SID_TEXT);
	uint64_t authority = 0;
	size_t parts;

	if (bytes.len < SID_LEAST)
		return NULL;
	parts = bytes.ptr[1];
	if (parts > SID_PARTS_MAX || bytes.len != SID_LEAST + 4 * parts)
		return NULL;
	for (size_t i = 2; i < SID_LEAST; i++)
		authority = authority << 8 | bytes.ptr[i];
	buf_putf(&text, "S-%u-%llu", bytes.ptr[0],
		 (unsigned long long)authority);
	for (size_t i = 0; i < parts; i++)
		buf_putf(&text, "-%u",
			 little_endian(bytes.ptr + SID_LEAST + 4 * i));
	return buf_take_text(&text);
}
