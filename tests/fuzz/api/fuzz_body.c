/*
 * The bodies of calls: JSON, then the table of the route that the first byte
 * chooses.  What a table accepts has no member that it does not know, and has
 * all that it requires; a fault has its place.
 */
#include "api/call.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct schema *const tables[] = {
	body_request_create, body_request_rollback,
	body_task_open,	     body_task_attach,
	body_signed,	     body_change,
	body_activate,	     body_none,
};

static bool knows(const struct schema *rows, const char *name)
{
	for (; rows->name; rows++) {
		if (!strcmp(rows->name, name))
			return true;
	}
	return false;
}

static void check_accepted(const struct schema *rows, json_t *body)
{
	const struct schema *row;
	const char *name;
	json_t *value;

	if (!json_is_object(body))
		abort();
	json_object_foreach(body, name, value) {
		if (!knows(rows, name))
			abort();
	}
	for (row = rows; row->name; row++) {
		if (row->required && !json_object_get(body, row->name))
			abort();
	}
}

static void check_faults(const json_t *faults)
{
	const json_t *fault;
	size_t at;

	json_array_foreach(faults, at, fault) {
		if (!json_text(fault, "at", NULL) ||
		    !json_text(fault, "detail", NULL))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *body = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	const struct schema *rows;

	if (size == 0)
		return 0;
	rows = tables[data[0] % ARRAY_LEN(tables)];
	if (json_parse(slice_of(data + 1, size - 1), 1 << 20, &body) < 0)
		return 0;
	schema_check(rows, body, NULL, &faults);
	if (json_array_size(faults))
		check_faults(faults);
	else
		check_accepted(rows, body);
	return 0;
}
