/* A checkpoint's text: what is read can be written and read again. */
#include "crypto/note.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(NOTE_MAX);
	struct slice input = slice_of(data, size);
	struct checkpoint c;

	if (checkpoint_parse(input, &c) < 0)
		return 0;
	if (checkpoint_format(&c, &text) < 0)
		abort();
	/* Extension lines may follow, nothing else may differ. */
	assert(size >= text.len);
	assert(slice_equals(buf_slice(&text), slice_of(data, text.len)));
	return 0;
}
