#include "base/schema.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static const struct schema element = { .type = SCHEMA_NAME };

static const struct schema limit_row = { .type = SCHEMA_INT,
					 .min = 1,
					 .max = 9 };

static const struct schema inner_rows[] = {
	{ .name = "ttl",
	  .type = SCHEMA_DURATION,
	  .required = true,
	  .min = 60,
	  .max = 3600 },
	{ .name = "mode", .type = SCHEMA_ENUM, .choices = "fast|slow" },
	{ .name = NULL },
};

static const struct schema inner_row = { .type = SCHEMA_OBJECT,
					 .rows = inner_rows };

static const struct schema rows[] = {
	{ .name = "text", .type = SCHEMA_TEXT, .min = 1, .max = 5 },
	{ .name = "long", .type = SCHEMA_TEXT },
	{ .name = "lines", .type = SCHEMA_TEXT, .choices = "multiline" },
	{ .name = "name", .type = SCHEMA_NAME, .required = true },
	{ .name = "int", .type = SCHEMA_INT, .min = -1, .max = 3 },
	{ .name = "count", .type = SCHEMA_INT },
	{ .name = "flag", .type = SCHEMA_FLAG },
	{ .name = "time", .type = SCHEMA_TIME },
	{ .name = "spec", .type = SCHEMA_OBJECT, .rows = inner_rows },
	{ .name = "names", .type = SCHEMA_LIST, .max = 2, .rows = &element },
	{ .name = "many", .type = SCHEMA_LIST, .rows = &limit_row },
	{ .name = "specs", .type = SCHEMA_LIST, .min = 1, .rows = &inner_row },
	{ .name = "limits", .type = SCHEMA_MAP, .max = 2, .rows = &limit_row },
	{ .name = "any", .type = SCHEMA_ANY },
	{ .name = NULL },
};

/* The faults as "at=detail;" one after another, owned. */
static char *as_text(const json_t *faults)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100000);

	for (size_t i = 0; i < json_array_size(faults); i++) {
		const json_t *fault = json_array_get(faults, i);

		buf_putf(&b, "%s=%s;", json_text(fault, "at", "?"),
			 json_text(fault, "detail", "?"));
	}
	return buf_take_text(&b);
}

static char *check_json(const char *text)
{
	CLEANUP(json_put_p) json_t *value = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;

	if (json_parse(slice_str(text), 100000, &value) < 0)
		fail_msg("%s: %s", text, error_message());
	schema_check(rows, value, NULL, &faults);
	return as_text(faults);
}

static void expect(const char *text, const char *faults)
{
	CLEANUP(mem_free_p) char *found = check_json(text);

	assert_string_equal(found, faults);
}

static void a_right_value_has_no_faults(void **state UNUSED)
{
	expect("{\"name\":\"a-b\",\"text\":\"\xc3\xa4x\",\"int\":-1,"
	       "\"flag\":false,\"time\":\"2026-11-23T10:00:00Z\","
	       "\"spec\":{\"ttl\":\"1h\",\"mode\":\"slow\"},"
	       "\"names\":[\"a\",\"b\"],\"limits\":{\"any name\":9},"
	       "\"any\":[{\"x\":null}],\"lines\":\"a\\n\\tb\","
	       "\"count\":9223372036854775807}",
	       "");
}

static void all_faults_are_found_in_one_pass(void **state UNUSED)
{
	expect("{\"int\":4,\"flag\":0,\"odd\":1}",
	       "/name=is required;/int=must be from -1 to 3;"
	       "/flag=must be true or false;/odd=unknown member;");
}

static void each_type_refuses_what_is_not_its_own(void **state UNUSED)
{
	expect("{\"name\":\"A\"}",
	       "/name=must be a name: 1 to 63 of a-z, 0-9 and inner '-', "
	       "'.', '_';");
	expect("{\"name\":\"a\",\"text\":1}", "/text=must be text;");
	expect("{\"name\":\"a\",\"text\":\"\"}", "/text=must not be empty;");
	expect("{\"name\":\"a\",\"text\":\"123456\"}",
	       "/text=must be at most 5 bytes;");
	expect("{\"name\":\"a\",\"int\":\"1\"}", "/int=must be an integer;");
	expect("{\"name\":\"a\",\"int\":-2}", "/int=must be from -1 to 3;");
	expect("{\"name\":\"a\",\"count\":-1}",
	       "/count=must be from 0 to 9223372036854775807;");
	expect("{\"name\":\"a\",\"flag\":null}",
	       "/flag=must be true or false;");
	expect("{\"name\":\"a\",\"time\":\"now\"}",
	       "/time=must be a time such as 2026-11-23T10:00:00Z;");
	expect("{\"name\":\"a\",\"spec\":[]}", "/spec=must be an object;");
	expect("{\"name\":\"a\",\"spec\":{\"ttl\":\"1s\"}}",
	       "/spec/ttl=must be from 1m to 1h;");
	expect("{\"name\":\"a\",\"spec\":{\"ttl\":90}}",
	       "/spec/ttl=must be a duration such as 90s, 15m or 1h30m;");
	expect("{\"name\":\"a\",\"spec\":{\"ttl\":\"soon\"}}",
	       "/spec/ttl=not a duration such as 90s, 15m or 1h30m;");
	expect("{\"name\":\"a\",\"spec\":{\"ttl\":\"1h\",\"mode\":\"fas\"}}",
	       "/spec/mode=must be one of fast|slow;");
	expect("{\"name\":\"a\",\"spec\":{\"ttl\":\"1h\",\"mode\":\"\"}}",
	       "/spec/mode=must be one of fast|slow;");
	expect("{\"name\":\"a\",\"names\":{}}", "/names=must be a list;");
	expect("{\"name\":\"a\",\"names\":[\"a\",\"b\",\"c\"]}",
	       "/names=must have from 0 to 2 elements;");
	expect("{\"name\":\"a\",\"specs\":[]}",
	       "/specs=must have from 1 to 256 elements;");
	expect("{\"name\":\"a\",\"limits\":[]}", "/limits=must be an object;");
	expect("{\"name\":\"a\",\"limits\":{\"a\":1,\"b\":2,\"c\":3}}",
	       "/limits=must have from 0 to 2 members;");
	expect("[]", "=must be an object;");
	expect("null", "=must be an object;");
}

static void controls_in_text_are_refused(void **state UNUSED)
{
	static const char *const wrong[] = { "\\n",	"\\t",	   "\\u0001",
					     "\\u007f", "\\u0085", "\\u009f",
					     "\\u001b" };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(mem_free_p)
		char *text = mem_format("{\"name\":\"a\",\"text\":\"%s\"}",
					wrong[i]);

		expect(text, "/text=must not hold control characters;");
	}
	expect("{\"name\":\"a\",\"text\":\"\\u00a0\"}", "");
	expect("{\"name\":\"a\",\"lines\":\"a\\r\"}",
	       "/lines=must not hold control characters;");
	expect("{\"name\":\"a\",\"limits\":{\"a\\n\":1}}",
	       "/limits/a\n=a name must have 1 to 256 bytes and no control "
	       "characters;");
}

static void places_within_lists_and_odd_names_are_pointers(void **state UNUSED)
{
	expect("{\"name\":\"a\",\"names\":[\"a\",\"B\"]}",
	       "/names/1=must be a name: 1 to 63 of a-z, 0-9 and inner '-', "
	       "'.', '_';");
	expect("{\"name\":\"a\",\"specs\":[{}]}", "/specs/0/ttl=is required;");
	expect("{\"name\":\"a\",\"limits\":{\"a/b~c\":0}}",
	       "/limits/a~1b~0c=must be from 1 to 9;");
}

static void default_limits_hold(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100000);

	buf_put_str(&b, "{\"name\":\"a\",\"long\":\"");
	for (int i = 0; i < 1025; i++)
		buf_put_str(&b, "x");
	buf_put_str(&b, "\",\"many\":[1");
	for (int i = 0; i < 256; i++)
		buf_put_str(&b, ",1");
	buf_put_str(&b, "]}");
	expect(buf_text(&b), "/long=must be at most 1024 bytes;"
			     "/many=must have from 0 to 256 elements;");
}

static void the_number_of_faults_is_limited(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100000);
	CLEANUP(json_put_p) json_t *value = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;

	buf_put_str(&b, "{\"name\":\"a\"");
	for (int i = 0; i < 1000; i++)
		buf_putf(&b, ",\"odd%d\":1", i);
	buf_put_str(&b, "}");
	assert_int_equal(json_parse(buf_slice(&b), 100000, &value), 0);
	schema_check(rows, value, NULL, &faults);
	assert_int_equal(json_array_size(faults), 100);
}

static void a_value_from_yaml_has_line_and_column(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(mem_free_p) char *text = NULL;

	assert_int_equal(yaml_parse(slice_str("int: 4\nspec:\n  ttll: 1h\n"
					      "names:\n  - a\n  - B\n"
					      "specs:\n  - ttl: 1h\n"
					      "    mode: odd\n"),
				    &documents, &places),
			 0);
	schema_check(rows, json_array_get(documents, 0), places, &faults);
	text = as_text(faults);
	assert_string_equal(
		text, "1:1: name=is required;"
		      "1:1: int=must be from -1 to 3;"
		      "3:3: spec.ttl=is required;"
		      "3:3: spec.ttll=unknown member;"
		      "6:5: names[1]=must be a name: 1 to 63 of a-z, 0-9 and "
		      "inner '-', '.', '_';"
		      "9:5: specs[0].mode=must be one of fast|slow;");
}

static char *faults_of_yaml(const char *yaml)
{
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;

	assert_int_equal(yaml_parse(slice_str(yaml), &documents, &places), 0);
	schema_check(rows, json_array_get(documents, 0), places, &faults);
	return as_text(faults);
}

static void all_that_is_to_be_filled_in_is_told_at_once(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *blank = faults_of_yaml("name: a\nlong: \"a/@STATE_FILE@\"\n"
				     "lines: \"@KEY@\"\n");
	CLEANUP(mem_free_p)
	char *other = faults_of_yaml("name: a\nlong: \"a@b.example @ @@\"\n"
				     "lines: \"ann@X, bob@y@, @Z\"\n");

	assert_non_null(strstr(blank, "2:1: long='@STATE_FILE@' is to be "
				      "filled in;"));
	assert_non_null(strstr(blank, "3:1: lines='@KEY@' is to be"));
	assert_string_equal(other, "");
	/* What was taken before stays readable. */
	expect("{\"name\":\"a\",\"lines\":\"@KEY@\"}", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_value_has_no_faults),
		cmocka_unit_test(all_faults_are_found_in_one_pass),
		cmocka_unit_test(each_type_refuses_what_is_not_its_own),
		cmocka_unit_test(controls_in_text_are_refused),
		cmocka_unit_test(
			places_within_lists_and_odd_names_are_pointers),
		cmocka_unit_test(default_limits_hold),
		cmocka_unit_test(the_number_of_faults_is_limited),
		cmocka_unit_test(a_value_from_yaml_has_line_and_column),
		cmocka_unit_test(all_that_is_to_be_filled_in_is_told_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
