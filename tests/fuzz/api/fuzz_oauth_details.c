/* authorization_details that are taken are one object of the known type, and
 * have no member that cannot be compared. */
#include "api/oauth.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_known(const char *name)
{
	static const char *const names[] = { "type",	  "task",
					     "actions",	  "datatypes",
					     "locations", "identifier" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(size + 1);
	CLEANUP(mem_free_p) char *why = NULL;
	CLEANUP(json_put_p) json_t *detail = NULL;
	const char *name;
	json_t *value;

	if (size)
		memcpy(text, data, size);
	why = oauth_details(text, &detail);
	assert(!why == (detail != NULL));
	if (!detail)
		return 0;
	assert(!strcmp(json_text(detail, "type", ""), "writ_task"));
	json_object_foreach(detail, name, value)
		assert(is_known(name));
	return 0;
}
