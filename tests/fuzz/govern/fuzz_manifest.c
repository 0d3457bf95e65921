/*
 * Manifests from any YAML: those that pass are built into an inventory, whose
 * look-ups answer whatever the set is; their digest does not depend on their
 * order.
 */
#include "base/mem.h"
#include "govern/inventory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The manifests that are right, by their ids. */
static void keep_right(const json_t *documents, struct yaml_places *places,
		       json_t *manifests, json_t *list)
{
	json_t *document;
	size_t at;

	json_array_foreach(documents, at, document) {
		CLEANUP(json_put_p) json_t *faults = NULL;
		CLEANUP(mem_free_p) char *id = NULL;

		manifest_check(document, places, &faults);
		if (json_array_size(faults))
			continue;
		id = manifest_id(document);
		if (json_object_get(manifests, id))
			continue;
		json_object_set(manifests, id, document);
		json_array_append(list, document);
	}
}

static void look_up(const struct inventory *inv, const char *kind,
		    const char *name)
{
	const char *names[8];
	struct classification c;

	if (!strcmp(kind, "Target") &&
	    !inventory_classify(inv, name, "DirectoryGroup", "cn=x", NULL, &c))
		abort();
	if (!strcmp(kind, "Target") && !c.matched &&
	    (c.tier != TIER_HIGHEST || c.sensitivity != SENSITIVITY_HIGHEST))
		abort();
	if (!strcmp(kind, "Agent"))
		inventory_agent_fault(inv, name, 0);
	if (!strcmp(kind, "Group") && inventory_members(inv, name, names, 8)) {
		if (!inventory_is_member(inv, names[0], name))
			abort();
	}
}

static void look_at(const struct inventory *inv)
{
	CLEANUP(json_put_p) json_t *entities = inventory_entities(inv);
	const json_t *manifests = inventory_manifests(inv);
	const char *id;
	json_t *manifest;

	if (!json_is_array(entities))
		abort();
	json_object_foreach((json_t *)(uintptr_t)manifests, id, manifest) {
		CLEANUP(json_put_p)
		json_t *diff = manifest_diff(manifest, manifest);

		if (json_array_size(diff))
			abort();
		look_up(inv, json_text(manifest, "kind", ""),
			json_text(json_object_in(manifest, "metadata"), "name",
				  ""));
	}
}

static void check_order(const json_t *list)
{
	CLEANUP(json_put_p) json_t *turned = json_array();
	struct digest one, other;

	for (size_t i = json_array_size(list); i-- > 0;)
		json_array_append(turned, json_array_get(list, i));
	one = manifest_set_digest(list, false, NULL);
	other = manifest_set_digest(turned, false, NULL);
	if (!digest_equals(&one, &other))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	CLEANUP(json_put_p) json_t *manifests = json_object();
	CLEANUP(json_put_p) json_t *list = json_array();
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(inventory_unref_p) struct inventory *inv = NULL;

	if (yaml_parse(slice_of(data, size), &documents, &places) < 0)
		return 0;
	keep_right(documents, places, manifests, list);
	inventory_build(manifests, &inv, &faults);
	if (!inv != (json_array_size(faults) > 0))
		abort();
	if (inv)
		look_at(inv);
	check_order(list);
	return 0;
}
