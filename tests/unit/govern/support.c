#include "support.h"

#include <assert.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

json_t *support_yaml(const char *text)
{
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	json_t *documents = NULL;

	if (yaml_parse(slice_str(text), &documents, &places) < 0) {
		fprintf(stderr, "%s\n", error_message());
		assert(false);
	}
	return documents;
}

json_t *support_value(const char *text)
{
	CLEANUP(json_put_p) json_t *documents = support_yaml(text);

	return json_incref(json_array_get(documents, 0));
}

char *support_faults(const json_t *faults)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 20);
	const json_t *fault;
	size_t at;

	json_array_foreach(faults, at, fault)
		buf_putf(&b, "%s: %s\n", json_text(fault, "at", "?"),
			 json_text(fault, "detail", "?"));
	return buf_take_text(&b);
}

static void must_be_right(const json_t *manifest)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(mem_free_p) char *text = NULL;

	manifest_check(manifest, NULL, &faults);
	text = support_faults(faults);
	if (*text)
		fprintf(stderr, "%s", text);
	assert(!*text);
}

struct inventory *support_inventory(const char *text, char **ret_faults)
{
	CLEANUP(json_put_p) json_t *documents = support_yaml(text);
	CLEANUP(json_put_p) json_t *manifests = json_object();
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(mem_free_p) char *found = NULL;
	struct inventory *inv = NULL;
	json_t *manifest;
	size_t at;

	json_array_foreach(documents, at, manifest) {
		CLEANUP(mem_free_p) char *id = manifest_id(manifest);

		if (json_is_null(manifest)) /* behind the last "---" */
			continue;
		must_be_right(manifest);
		json_object_set(manifests, id, manifest);
	}
	inventory_build(manifests, &inv, &faults);
	found = support_faults(faults);
	if (!ret_faults && *found)
		fprintf(stderr, "%s", found);
	assert(ret_faults || !*found);
	if (ret_faults)
		*ret_faults = TAKE(found);
	return inv;
}

char *support_file(const char *path)
{
	struct buf b = BUF_INIT(1 << 20);

	if (file_read(path, &b) < 0) {
		fprintf(stderr, "%s\n", error_message());
		assert(false);
	}
	return buf_take_text(&b);
}
