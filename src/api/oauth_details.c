/* authorization_details (RFC 9396) of the one type there is. */
#include "api/oauth.h"
#include "base/error.h"
#include "base/mem.h"

enum {
	DETAILS_MAX = 16 * 1024, /* bytes */
	VALUES_MAX = 16,
	VALUE_MAX = 256,
};

static const struct schema value_row = { "value", SCHEMA_TEXT, .min = 1,
					 .max = VALUE_MAX };

static const struct schema members[] = {
	{ "type", SCHEMA_ENUM, .required = true, .choices = "writ_task" },
	{ "task", SCHEMA_TEXT, .min = 1, .max = 64,
	  .help = "id of the open task it is for" },
	{ "actions", SCHEMA_LIST, .min = 1, .max = VALUES_MAX,
	  .rows = &value_row, .help = "what will be done with it" },
	{ "datatypes", SCHEMA_LIST, .min = 1, .max = VALUES_MAX,
	  .rows = &value_row, .help = "what it will be done to" },
	{ "locations", SCHEMA_LIST, .min = 1, .max = VALUES_MAX,
	  .rows = &value_row,
	  .help = "the target, by its name or its audience" },
	{ "identifier", SCHEMA_TEXT, .min = 1, .max = VALUE_MAX,
	  .help = "the role; the same as scope" },
	{ 0 },
};

static char *fault_of(const json_t *detail)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	const json_t *first;

	if (!json_is_object(detail))
		return mem_str("authorization_details/0 is no object");
	schema_check(members, detail, NULL, &faults);
	first = json_array_get(faults, 0);
	if (!first)
		return NULL;
	return mem_format("authorization_details/0%s: %s",
			  json_text(first, "at", ""),
			  json_text(first, "detail", "?"));
}

char *oauth_details(const char *text, json_t **ret_detail)
{
	CLEANUP(json_put_p) json_t *list = NULL;
	json_t *detail;
	char *why;

	*ret_detail = NULL;
	if (!text)
		return NULL;
	if (json_parse(slice_str(text), DETAILS_MAX, &list) < 0)
		return mem_format("authorization_details: %s", error_message());
	if (!json_is_array(list) || json_array_size(list) != 1)
		return mem_str("authorization_details is a list of one object: "
			       "a token is for one task, target and role");
	detail = json_array_get(list, 0);
	why = fault_of(detail);
	if (!why)
		*ret_detail = json_incref(detail);
	return why;
}
