/*
 * yaml_parse() on any bytes.  What it accepts is JSON within JSON's limits, and
 * every document has a place.
 */
#include "base/yaml.h"

#include "base/error.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_document(const json_t *documents, size_t index,
			   const struct yaml_places *places)
{
	CLEANUP(json_put_p) json_t *again = NULL;
	CLEANUP(mem_free_p)
	char *text = json_canonical(json_array_get(documents, index));
	char name[24];
	int line, column;

	if (json_parse(slice_str(text), SIZE_MAX, &again) < 0)
		abort();
	if (!json_equal(json_array_get(documents, index), again))
		abort();
	snprintf(name, sizeof(name), "%zu", index);
	if (!yaml_place(places, documents, name, &line, &column) || line < 1 ||
	    column < 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;

	if (yaml_parse(slice_of(data, size), &documents, &places) < 0)
		return 0;
	for (size_t i = 0; i < json_array_size(documents); i++)
		check_document(documents, i, places);
	return 0;
}
