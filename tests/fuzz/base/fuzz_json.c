/*
 * json_parse() on any bytes.  What it accepts has a canonical form, which it
 * accepts as well, as the same value and with the same form.
 */
#include "base/json.h"

#include "base/error.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *value = NULL;
	CLEANUP(json_put_p) json_t *again = NULL;
	CLEANUP(mem_free_p) char *first = NULL;
	CLEANUP(mem_free_p) char *second = NULL;

	if (json_parse(slice_of(data, size), 1 << 20, &value) < 0)
		return 0;
	first = json_canonical(value);
	if (json_parse(slice_str(first), SIZE_MAX, &again) < 0)
		abort();
	second = json_canonical(again);
	if (!json_equal(value, again) || strcmp(first, second) != 0)
		abort();
	return 0;
}
