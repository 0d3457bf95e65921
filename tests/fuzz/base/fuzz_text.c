/*
 * The decoders of base/text.h on any bytes.  Each accepts only the one text
 * that its encoder makes of the decoded bytes.
 */
#include "base/text.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct coding {
	int (*decode)(struct slice text, struct buf *b);
	char *(*encode)(struct slice bytes);
};

static const struct coding codings[] = {
	{ text_from_hex, text_hex },
	{ text_from_base64, text_base64 },
	{ text_from_base64url, text_base64url },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);

	for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
		CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 20);
		CLEANUP(mem_free_p) char *again = NULL;

		if (codings[i].decode(text, &b) < 0) {
			if (b.len)
				abort();
			continue;
		}
		again = codings[i].encode(buf_slice(&b));
		if (!slice_is(text, again))
			abort();
	}
	if (text_is_utf8(text) && memchr(data, 0, size))
		abort();
	return 0;
}
