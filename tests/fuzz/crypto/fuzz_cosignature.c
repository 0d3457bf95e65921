/* A witness's answer: whatever is found must have been cosigned as it
 * stands. */
#include "crypto/cosignature.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vkey_text[] = "witness.test/w1+34fdc7cf+BMv7/0gItJ5bHcVT3hx/"
				"SGKUPeiJyXvRWbQ2P6fL7jwN";
static const char text[] = "example.com/iam-evidence\n70000\n"
			   "cW1SlQ1++ni97QV7OoIsfQpP96qQEUtS8hMnQUHIC+Y=\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct note_vkey vkey;
	struct slice line;
	int64_t at_s;

	if (cosignature_vkey_parse(vkey_text, &vkey) < 0)
		abort();
	if (cosignature_find(&vkey, slice_str(text), slice_of(data, size),
			     INT64_MAX, &line, &at_s) < 0)
		return 0;
	/* The only two times at which this key is known to have signed. */
	assert(at_s == 1700000000 || at_s == 1700000100);
	assert(line.ptr >= data && line.ptr + line.len <= data + size);
	return 0;
}
