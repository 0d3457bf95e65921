/* A verifier key: there is one way to write it. */
#include "crypto/note.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(size + 1);
	char written[NOTE_VKEY_MAX];
	struct note_vkey vkey;

	memcpy(text, data, size);
	if (note_vkey_parse(text, &vkey) < 0)
		return 0;
	note_vkey_format(&vkey, written);
	assert(strcmp(written, text) == 0);
	return 0;
}
