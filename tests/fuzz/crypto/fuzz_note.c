/* A note from a witness or another log: whatever opens must have been signed
 * as it stands. */
#include "crypto/note.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vkey_text[] =
	"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct note_vkey vkey;
	struct slice text;

	if (!vkey.name[0] && note_vkey_parse(vkey_text, &vkey) < 0)
		abort();
	if (note_open(slice_of(data, size), &vkey, &text) < 0)
		return 0;
	/* The only text that this key is known to have signed. */
	assert(slice_is(text, "This is an example message.\n"));
	return 0;
}
