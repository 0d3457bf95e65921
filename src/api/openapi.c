/*
 * The OpenAPI 3.1 document, made from the table of routes and the tables that
 * bodies are checked by, so that it cannot say anything else than they do.
 */
#include "api/call.h"
#include "base/mem.h"

static json_t *schema_object(const struct schema *rows);

static json_t *typed(const char *type)
{
	json_t *schema = json_object();

	json_set_text(schema, "type", type);
	return schema;
}

static json_t *enum_of(const char *choices)
{
	json_t *schema = typed("string");
	json_t *list = json_array();

	while (choices && *choices) {
		size_t length = strcspn(choices, "|");

		json_array_append_new(list, json_stringn(choices, length));
		choices += length;
		choices += *choices == '|';
	}
	json_set_new(schema, "enum", list);
	return schema;
}

static json_t *limited_text(const struct schema *row)
{
	json_t *schema = typed("string");

	json_set_int(schema, "minLength", row->min);
	if (row->max)
		json_set_int(schema, "maxLength", row->max);
	return schema;
}

static json_t *formatted(const char *format)
{
	json_t *schema = typed("string");

	json_set_text(schema, "format", format);
	return schema;
}

static json_t *schema_of(const struct schema *row);

static json_t *list_of(const struct schema *row)
{
	json_t *schema = typed("array");

	json_set_new(schema, "items", schema_of(row->rows));
	json_set_int(schema, "minItems", row->min);
	if (row->max)
		json_set_int(schema, "maxItems", row->max);
	return schema;
}

static json_t *map_of(const struct schema *row)
{
	json_t *schema = typed("object");

	json_set_new(schema, "additionalProperties", schema_of(row->rows));
	return schema;
}

static json_t *by_type(const struct schema *row)
{
	switch (row->type) {
	case SCHEMA_TEXT:
		return limited_text(row);
	case SCHEMA_NAME:
		return formatted("name");
	case SCHEMA_INT:
		return typed("integer");
	case SCHEMA_FLAG:
		return typed("boolean");
	case SCHEMA_DURATION:
		return formatted("duration");
	case SCHEMA_TIME:
		return formatted("date-time");
	case SCHEMA_ENUM:
		return enum_of(row->choices);
	case SCHEMA_OBJECT:
		return schema_object(row->rows);
	case SCHEMA_MAP:
		return map_of(row);
	case SCHEMA_LIST:
		return list_of(row);
	case SCHEMA_ANY:
		break;
	}
	return json_object();
}

static json_t *schema_of(const struct schema *row)
{
	json_t *schema = by_type(row);

	json_set_text(schema, "description", row->help);
	return schema;
}

static json_t *schema_object(const struct schema *rows)
{
	json_t *schema = typed("object");
	json_t *properties = json_object();
	json_t *required = json_array();

	for (; rows && rows->name; rows++) {
		json_set_new(properties, rows->name, schema_of(rows));
		if (rows->required)
			json_array_append_new(required,
					      json_string(rows->name));
	}
	json_set_new(schema, "properties", properties);
	json_set_new(schema, "required", required);
	json_set_flag(schema, "additionalProperties", false);
	return schema;
}

static const struct {
	http_handler_fn handler;
	const struct schema *body;
} bodies[] = {
	{ tasks_open, body_task_open },
	{ tasks_complete, body_none },
	{ tasks_attach, body_task_attach },
	{ tasks_delegate, body_task_delegate },
	{ tasks_lease, body_none },
	{ tasks_report, body_task_report },
	{ requests_create, body_request_create },
	{ requests_explain, body_request_create },
	{ requests_replay, body_none },
	{ requests_secret, body_none },
	{ requests_cancel, body_none },
	{ requests_rollback, body_request_rollback },
	{ requests_sign, body_signed },
	{ requests_adopt, body_signed },
	{ requests_resolve, body_signed },
	{ people_login, body_signed },
	{ people_vouch, body_signed },
	{ changes_post, body_change },
	{ changes_sign, body_signed },
	{ containments_post, body_signed },
	{ containments_release, body_signed },
	{ policy_activate, body_activate },
	{ policy_simulate, body_simulate },
	{ targets_drill, body_signed },
	{ signals_post, body_signed },
	{ exceptions_post, body_signed },
	{ grants_end, body_signed },
	{ exceptions_revoke, body_signed },
	{ evidence_disclose_leaf, body_signed },
	{ subjects_erase, body_signed },
	{ notifications_act, body_signed },
};

static const struct {
	http_handler_fn handler;
	const struct schema *form;
} forms[] = {
	{ oauth_token, form_token },
	{ oauth_revoke, form_about_token },
	{ oauth_introspect, form_about_token },
};

/* What calls take beside their path and body. */
static const struct {
	http_handler_fn handler;
	const char *name;
	const char *in;
	bool required;
	const char *help;
} extras[] = {
#define KEY                                                                    \
	"Idempotency-Key", "header", true,                                     \
		"1 to 128 visible ASCII characters; stands for this call for " \
		"24 hours"
#define WAIT                                                                   \
	"wait", "query", false,                                                \
		"seconds, 0 to 30, to hold the answer until the request ends"
#define WAIT_ASKED                                                             \
	"wait", "query", false,                                                \
		"seconds, 0 to 30, to hold the answer until the request ends " \
		"or people are asked"
#define STATE "state", "query", false, "only what is in this state"
#define AFTER "after", "query", false, "what follows this: the \"next\" before"
#define LIMIT "limit", "query", false, "rows of a page, 1 to 500"
	{ tasks_open, KEY },
	{ tasks_delegate, KEY },
	{ requests_create, KEY },
	{ requests_rollback, KEY },
	{ requests_create, WAIT_ASKED },
	{ requests_rollback, WAIT_ASKED },
	{ requests_show, WAIT },
	{ requests_secret, WAIT },
	{ tasks_list, STATE },
	{ requests_list, STATE },
	{ changes_list, STATE },
	{ containments_list, STATE },
	{ grants_list, STATE },
	{ notifications_list, STATE },
	{ exceptions_list, STATE },
	{ targets_discovery, AFTER },
	{ targets_discovery, LIMIT },
#define PAGED(list)                                                            \
	{ list, AFTER },                                                       \
	{                                                                      \
		list, LIMIT                                                    \
	}
	PAGED(tasks_list),
	PAGED(requests_list),
	PAGED(changes_list),
	PAGED(containments_list),
	PAGED(grants_list),
	PAGED(exceptions_list),
	PAGED(signals_list),
	PAGED(approvals_list),
	PAGED(inventory_list),
#undef PAGED
#undef KEY
#undef WAIT
#undef WAIT_ASKED
#undef STATE
#undef AFTER
#undef LIMIT
};

static const struct schema *body_of(http_handler_fn handler)
{
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		if (bodies[i].handler == handler)
			return bodies[i].body;
	}
	return NULL;
}

static const struct schema *form_of(http_handler_fn handler)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (forms[i].handler == handler)
			return forms[i].form;
	}
	return NULL;
}

static json_t *content(const char *type, json_t *schema)
{
	json_t *media = json_object();
	json_t *by_name = json_object();
	json_t *outer = json_object();

	json_set_new(media, "schema", schema);
	json_set_new(by_name, type, media);
	json_set_new(outer, "content", by_name);
	return outer;
}

static json_t *reference(const char *name)
{
	json_t *schema = json_object();
	char text[64];

	snprintf(text, sizeof(text), "#/components/schemas/%s", name);
	json_set_text(schema, "$ref", text);
	return schema;
}

static void add_parameter(json_t *list, json_t *owned_name, const char *in,
			  bool required, const char *help)
{
	json_t *parameter = json_object();

	json_set_new(parameter, "name", owned_name);
	json_set_text(parameter, "in", in);
	json_set_flag(parameter, "required", required);
	json_set_text(parameter, "description", help);
	json_set_new(parameter, "schema", typed("string"));
	json_array_append_new(list, parameter);
}

/* The parameters that a path names in braces, and the others. */
static json_t *parameters_of(const struct http_route *route)
{
	json_t *list = json_array();
	const char *open = route->path;

	while ((open = strchr(open, '{'))) {
		size_t length = strcspn(open + 1, ".}");

		add_parameter(list, json_stringn(open + 1, length), "path",
			      true, NULL);
		open += length;
	}
	for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
		if (extras[i].handler == route->handler)
			add_parameter(list, json_string(extras[i].name),
				      extras[i].in, extras[i].required,
				      extras[i].help);
	}
	return list;
}

/* What is not known in a form is passed over. */
static void add_form(json_t *operation, const struct schema *form)
{
	json_t *schema;
	json_t *request;

	if (!form)
		return;
	schema = schema_object(form);
	json_set_flag(schema, "additionalProperties", true);
	request = content("application/x-www-form-urlencoded", schema);
	json_set_flag(request, "required", true);
	json_set_new(operation, "requestBody", request);
}

static json_t *operation_of(const struct http_route *route)
{
	json_t *operation = json_object();
	json_t *responses = json_object();
	json_t *fine = json_object();
	json_t *problem = route->form ? content("application/json",
						reference("OAuthError"))
				      : content("application/problem+json",
						reference("Problem"));
	const struct schema *body = body_of(route->handler);

	json_set_text(operation, "summary", route->summary);
	json_set_new(operation, "parameters", parameters_of(route));
	if (body) {
		json_t *request =
			content("application/json", schema_object(body));

		json_set_flag(request, "required", body != body_none);
		json_set_new(operation, "requestBody", request);
	}
	add_form(operation, form_of(route->handler));
	json_set_text(fine, "description", "Done, or waiting (202).");
	json_set_new(responses, "2XX", fine);
	json_set_text(problem, "description",
		      route->form ? "RFC 6749 error" : "RFC 9457 problem");
	json_set_new(responses, "default", problem);
	json_set_new(operation, "responses", responses);
	return operation;
}

/* "/log/{path...}" as OpenAPI writes it. */
static char *plain_path(const char *path)
{
	const char *dots = strstr(path, "...");

	if (!dots)
		return mem_str(path);
	return mem_format("%.*s%s", (int)(dots - path), path, dots + 3);
}

static json_t *paths_json(void)
{
	json_t *paths = json_object();
	size_t count;
	const struct http_route *route = api_routes(&count);

	for (size_t i = 0; i < count; i++) {
		CLEANUP(mem_free_p) char *path = plain_path(route[i].path);
		json_t *item = json_object_get(paths, path);

		if (!item) {
			item = json_object();
			json_set_new(paths, path, item);
		}
		json_set_new(item,
			     !strcmp(route[i].method, "GET") ? "get" : "post",
			     operation_of(&route[i]));
	}
	return paths;
}

static json_t *problem_schema(void)
{
	json_t *schema = typed("object");
	json_t *properties = json_object();
	static const char *const texts[] = { "type", "title", "detail", "code",
					     "way_forward" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		json_set_new(properties, texts[i], typed("string"));
	json_set_new(properties, "status", typed("integer"));
	json_set_new(schema, "properties", properties);
	return schema;
}

/* RFC 6749, 5.2; request_id and interval of what waits for people. */
static json_t *oauth_error_schema(void)
{
	json_t *schema = typed("object");
	json_t *properties = json_object();
	static const char *const texts[] = { "error", "error_description",
					     "request_id" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		json_set_new(properties, texts[i], typed("string"));
	json_set_new(properties, "interval", typed("integer"));
	json_set_new(schema, "properties", properties);
	return schema;
}

json_t *api_openapi(void)
{
	json_t *document = json_object();
	json_t *info = json_object();
	json_t *components = json_object();
	json_t *schemas = json_object();
	json_t *security = json_object();
	json_t *bearer = json_object();

	json_set_text(document, "openapi", "3.1.0");
	json_set_text(info, "title", "Writ");
	json_set_text(info, "version", WRIT_VERSION);
	json_set_new(document, "info", info);
	json_set_new(document, "paths", paths_json());
	json_set_new(schemas, "Problem", problem_schema());
	json_set_new(schemas, "OAuthError", oauth_error_schema());
	json_set_new(components, "schemas", schemas);
	json_set_text(bearer, "type", "http");
	json_set_text(bearer, "scheme", "bearer");
	json_set_new(security, "bearer", bearer);
	json_set_new(components, "securitySchemes", security);
	json_set_new(document, "components", components);
	return document;
}
