/* Lines "name:value"; what is taken has no two lengths and no doubt. */
#include "http/framing.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice take_line(struct slice *rest)
{
	const uint8_t *end = memchr(rest->ptr, '\n', rest->len);
	struct slice line = *rest;

	if (end)
		line.len = (size_t)(end - rest->ptr);
	rest->ptr += line.len + (end ? 1 : 0);
	rest->len -= line.len + (end ? 1 : 0);
	return line;
}

static void put_line(struct framing *f, struct slice line)
{
	const uint8_t *colon = memchr(line.ptr, ':', line.len);
	size_t name = colon ? (size_t)(colon - line.ptr) : line.len;
	size_t skip = name + (colon ? 1 : 0);

	framing_header(f, slice_of(line.ptr, name),
		       slice_of(line.ptr + skip, line.len - skip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of(data, size);
	struct framing f = { 0 };

	while (rest.len)
		put_line(&f, take_line(&rest));
	framing_finish(&f, "HTTP/1.1", 4096, false);
	if (f.refusal.status)
		return 0;
	assert(f.hosts == 1 && f.lengths + f.codings <= 1);
	assert(f.content_length <= 4096);
	assert(f.json || (!f.chunked && !f.content_length));
	return 0;
}
