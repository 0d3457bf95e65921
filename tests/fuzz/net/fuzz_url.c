/* A URL that passes has a scheme of ours and nothing that hides its host. */
#include "net/transfer.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *url = mem_alloc(size + 1);

	if (size)
		memcpy(url, data, size);
	if (transfer_check_url(url) < 0)
		return 0;
	assert(!strncmp(url, "https://", 8) || !strncmp(url, "http://", 7));
	assert(!strchr(url, '#') && !strchr(url, ' ') && !strchr(url, '\n'));
	return 0;
}
