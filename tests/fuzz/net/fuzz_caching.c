/* Whatever a header says, an answer is fresh for a time within the limits. */
#include "net/caching.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Three header values, one behind the other with a NUL. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(size + 3);
	const char *control = text;
	const char *expires, *date;
	int64_t fresh, retry;

	if (size)
		memcpy(text, data, size);
	expires = control + strlen(control) + 1;
	if (expires > text + size)
		expires = text + size;
	date = expires + strlen(expires) + 1;
	if (date > text + size)
		date = text + size;
	fresh = caching_fresh_s(control, expires, date, 1800000000);
	retry = caching_retry_s(control, 1800000000);
	assert(fresh >= -1 && fresh <= CACHING_MAX_S);
	assert(retry >= -1 && retry <= CACHING_MAX_S);
	return 0;
}
