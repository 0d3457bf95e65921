/* A SPIFFE ID that is taken has the parts it says, and parses again. */
#include "identity/svid.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(size + 1);
	struct spiffe_id id, again;
	size_t domain;

	if (size)
		memcpy(text, data, size);
	if (spiffe_id_parse(text, &id) < 0)
		return 0;
	assert(!strcmp(id.text, text));
	domain = strlen(id.domain);
	assert(domain && !strncmp(text + 9, id.domain, domain));
	assert(!text[9 + domain] || text[9 + domain] == '/');
	assert(!strpbrk(text + 9, "%?#:@ "));
	assert(spiffe_id_parse(id.text, &again) == 0);
	return 0;
}
