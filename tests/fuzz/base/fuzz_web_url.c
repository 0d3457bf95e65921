/* A web address in its normal form is its own normal form. */
#include "base/url.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(size + 1);
	CLEANUP(buf_clear) struct buf once = BUF_INIT(4 * URL_MAX);
	CLEANUP(buf_clear) struct buf again = BUF_INIT(4 * URL_MAX);

	if (size)
		memcpy(text, data, size);
	if (url_is_issuer(text))
		assert(url_same(text, text) && text[strlen(text) - 1] != '/');
	if (url_normalize(text, URL_WHOLE, &once) < 0 || once.len > URL_MAX)
		return 0;
	assert(url_normalize(buf_text(&once), URL_WHOLE, &again) == 0);
	assert(slice_equals(buf_slice(&once), buf_slice(&again)));
	assert(url_same(text, buf_text(&once)));
	return 0;
}
