#include "api/api.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "api/call.h"
#include "base/mem.h"

static int setup(void **state)
{
	*state = api_openapi();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	json_decref(*state);
	return 0;
}

/* "/log/{path...}" as the document has it; owned. */
static char *plain(const char *path)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1024);

	for (; *path; path++) {
		if (*path != '.' || path[1] != '.')
			buf_put(&b, slice_of(path, 1));
		else
			path += strspn(path, ".") - 1;
	}
	return buf_take_text(&b);
}

/* The operation of a route; fails if there is none. */
static json_t *operation_of(const json_t *document,
			    const struct http_route *route)
{
	CLEANUP(mem_free_p) char *path = plain(route->path);
	json_t *item =
		json_object_get(json_object_get(document, "paths"), path);
	json_t *operation = json_object_get(
		item, !strcmp(route->method, "GET") ? "get" : "post");

	if (!operation)
		fail_msg("%s %s", route->method, path);
	return operation;
}

static const json_t *body_schema(const json_t *operation)
{
	const json_t *content = json_object_get(
		json_object_get(operation, "requestBody"), "content");

	return json_object_get(json_object_get(content, "application/json"),
			       "schema");
}

static const json_t *form_schema(const json_t *operation)
{
	static const char type[] = "application/x-www-form-urlencoded";
	const json_t *content = json_object_get(
		json_object_get(operation, "requestBody"), "content");

	return json_object_get(json_object_get(content, type), "schema");
}

static void the_document_is_openapi_3_1(void **state)
{
	const json_t *document = *state;
	const json_t *info = json_object_get(document, "info");

	assert_string_equal(json_text(document, "openapi", ""), "3.1.0");
	assert_string_equal(json_text(info, "title", ""), "Writ");
	assert_string_equal(json_text(info, "version", ""), WRIT_VERSION);
}

static void every_route_is_in_the_document_and_nothing_else(void **state)
{
	json_t *paths = json_object_get(*state, "paths");
	size_t count;
	const struct http_route *routes = api_routes(&count);
	size_t operations = 0;
	const char *path;
	json_t *item;

	for (size_t i = 0; i < count; i++) {
		const json_t *operation = operation_of(*state, &routes[i]);

		assert_true(!strcmp(routes[i].method, "GET") ||
			    !strcmp(routes[i].method, "POST"));
		assert_string_equal(json_text(operation, "summary", ""),
				    routes[i].summary);
	}
	json_object_foreach(paths, path, item)
		operations += json_object_size(item);
	assert_int_equal(operations, count);
}

static void every_route_that_takes_a_body_says_which(void **state)
{
	size_t count;
	const struct http_route *routes = api_routes(&count);

	for (size_t i = 0; i < count; i++) {
		const json_t *operation = operation_of(*state, &routes[i]);
		const json_t *schema = routes[i].form ? form_schema(operation)
						      : body_schema(operation);

		if ((schema != NULL) != (routes[i].body_max > 0))
			fail_msg("%s %s", routes[i].method, routes[i].path);
		if (schema)
			assert_int_equal(json_flag(schema,
						   "additionalProperties",
						   !routes[i].form),
					 routes[i].form);
	}
}

/* Every member that the checker knows is described, and is required in both or
 * in neither. */
static void expect_members(const json_t *schema, const struct schema *rows)
{
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *required = json_object_get(schema, "required");
	size_t count = 0;

	for (; rows->name; rows++, count++) {
		assert_non_null(json_object_get(properties, rows->name));
		assert_int_equal(json_has_text(required, rows->name),
				 rows->required);
	}
	assert_int_equal(json_object_size(properties), count);
}

static void bodies_have_the_members_that_are_checked(void **state)
{
	static const struct {
		const char *path;
		const struct schema *rows;
	} bodies[] = {
		{ "/v1/tasks", body_task_open },
		{ "/v1/tasks/{id}/complete", body_none },
		{ "/v1/tasks/{id}/records", body_task_attach },
		{ "/v1/requests", body_request_create },
		{ "/v1/explain", body_request_create },
		{ "/v1/requests/{id}/cancel", body_none },
		{ "/v1/requests/{id}/rollback", body_request_rollback },
		{ "/v1/requests/{id}/approvals", body_signed },
		{ "/v1/requests/{id}/adopt", body_signed },
		{ "/v1/requests/{id}/resolve", body_signed },
		{ "/v1/login", body_signed },
		{ "/v1/vouchers", body_signed },
		{ "/v1/changes", body_change },
		{ "/v1/changes/{id}/signatures", body_signed },
		{ "/v1/containments", body_signed },
		{ "/v1/containments/{id}/release", body_signed },
		{ "/v1/policy/activate", body_activate },
		{ "/v1/targets/{name}/drill", body_signed },
		{ "/v1/evidence/{index}/disclose", body_signed },
	};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		const struct http_route route = { .method = "POST",
						  .path = bodies[i].path };

		expect_members(body_schema(operation_of(*state, &route)),
			       bodies[i].rows);
	}
}

static void forms_have_the_fields_that_are_known(void **state)
{
	static const struct {
		const char *path;
		const struct schema *rows;
	} forms[] = {
		{ "/oauth/token", form_token },
		{ "/oauth/revoke", form_about_token },
		{ "/oauth/introspect", form_about_token },
	};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct http_route route = { .method = "POST",
						  .path = forms[i].path };

		expect_members(form_schema(operation_of(*state, &route)),
			       forms[i].rows);
	}
}

static void parameters_are_those_of_the_path(void **state)
{
	size_t count;
	const struct http_route *routes = api_routes(&count);

	for (size_t i = 0; i < count; i++) {
		const json_t *list = json_object_get(
			operation_of(*state, &routes[i]), "parameters");
		size_t in_path = 0;
		const json_t *row;
		size_t at;

		json_array_foreach(list, at, row) {
			CLEANUP(mem_free_p)
			char *name =
				mem_format("{%s", json_text(row, "name", "?"));

			if (strcmp(json_text(row, "in", ""), "path") != 0)
				continue;
			assert_non_null(strstr(routes[i].path, name));
			in_path++;
		}
		for (const char *c = routes[i].path; *c; c++)
			in_path -= *c == '{';
		assert_int_equal(in_path, 0);
	}
}

static void the_document_tells_of_keys_waits_and_states(void **state)
{
	static const struct {
		const char *method;
		const char *path;
		const char *parameters; /* name, in order */
	} rows[] = {
		{ "POST", "/v1/tasks", " Idempotency-Key" },
		{ "POST", "/v1/requests", " Idempotency-Key wait" },
		{ "POST", "/v1/requests/{id}/rollback",
		  " id Idempotency-Key wait" },
		{ "GET", "/v1/requests/{id}", " id wait" },
		{ "GET", "/v1/requests", " state after limit" },
		{ "GET", "/v1/inventory/{kind}", " kind after limit" },
		{ "GET", "/v1/health", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct http_route route = { .method = rows[i].method,
						  .path = rows[i].path };
		CLEANUP(buf_clear) struct buf b = BUF_INIT(1024);
		const json_t *row;
		size_t at;

		json_array_foreach(json_object_get(operation_of(*state, &route),
						   "parameters"),
				   at, row)
			buf_putf(&b, " %s", json_text(row, "name", "?"));
		assert_string_equal(buf_text(&b), rows[i].parameters);
	}
}

/* Each "$ref" of the document leads somewhere within it. */
static void follow(const json_t *document, json_t *value)
{
	const char *reference = json_text(value, "$ref", NULL);
	const char *name;
	json_t *member;
	size_t at;

	if (reference) {
		static const char start[] = "#/components/schemas/";

		assert_true(!strncmp(reference, start, strlen(start)));
		assert_non_null(json_object_get(
			json_object_get(json_object_get(document, "components"),
					"schemas"),
			reference + strlen(start)));
	}
	json_object_foreach(value, name, member)
		follow(document, member);
	json_array_foreach(value, at, member)
		follow(document, member);
}

static void references_lead_somewhere(void **state)
{
	follow(*state, *state);
}

static void the_document_is_the_same_each_time(void **state)
{
	CLEANUP(json_put_p) json_t *again = api_openapi();
	CLEANUP(mem_free_p) char *one = json_canonical(*state);
	CLEANUP(mem_free_p) char *other = json_canonical(again);

	assert_string_equal(one, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_document_is_openapi_3_1),
		cmocka_unit_test(
			every_route_is_in_the_document_and_nothing_else),
		cmocka_unit_test(every_route_that_takes_a_body_says_which),
		cmocka_unit_test(bodies_have_the_members_that_are_checked),
		cmocka_unit_test(forms_have_the_fields_that_are_known),
		cmocka_unit_test(parameters_are_those_of_the_path),
		cmocka_unit_test(the_document_tells_of_keys_waits_and_states),
		cmocka_unit_test(references_lead_somewhere),
		cmocka_unit_test(the_document_is_the_same_each_time),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
