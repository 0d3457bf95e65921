/* A form that is taken has fields with names and values that are text; only
 * those that may be repeated are there twice. */
#include "http/form.h"

#include <assert.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const repeatable[] = { "resource", "audience",
						  NULL };
	CLEANUP(form_clear) struct form form = { .count = 0 };

	if (form_parse(slice_of(data, size), repeatable, &form))
		return 0;
	assert(form.count <= FORM_FIELDS_MAX);
	for (unsigned i = 0; i < form.count; i++) {
		const char *name = form.fields[i].name;

		assert(*name && strlen(name) <= FORM_NAME_MAX);
		assert(*form.fields[i].value);
		assert(text_is_utf8(slice_str(name)));
		assert(text_is_utf8(slice_str(form.fields[i].value)));
		assert(form_get(&form, name));
		assert(form_count(&form, name) == 1 ||
		       !strcmp(name, "resource") || !strcmp(name, "audience"));
	}
	return 0;
}
