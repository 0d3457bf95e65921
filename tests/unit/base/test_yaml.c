#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static void expect(const char *text, const char *canonical)
{
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	CLEANUP(mem_free_p) char *output = NULL;
	int r = yaml_parse(slice_str(text), &documents, &places);

	if (r < 0)
		fail_msg("%s: %s", text, error_message());
	output = json_canonical(documents);
	assert_string_equal(output, canonical);
}

static void expect_refusal(const char *text, const char *message)
{
	json_t *documents = NULL;
	struct yaml_places *places = NULL;

	assert_int_equal(yaml_parse(slice_str(text), &documents, &places),
			 ERR_SYNTAX);
	if (!strstr(error_message(), message))
		fail_msg("%s: %s", text, error_message());
	assert_null(documents);
	assert_null(places);
}

static void mappings_and_sequences_become_json(void **state UNUSED)
{
	expect("a: 1\nb:\n  - x\n  - {c: d}\n", "[{\"a\":1,\"b\":[\"x\","
						"{\"c\":\"d\"}]}]");
	expect("- []\n- {}\n", "[[[],{}]]");
	expect("text: |\n  one\n  two\n", "[{\"text\":\"one\\ntwo\\n\"}]");
}

static void plain_scalars_follow_the_core_schema(void **state UNUSED)
{
	expect("[~, null, Null, NULL, ]", "[[null,null,null,null]]");
	expect("[true, True, TRUE, false, False, FALSE]",
	       "[[true,true,true,false,false,false]]");
	expect("[0, 12, -3, +4, 007, -9223372036854775808]",
	       "[[0,12,-3,4,7,-9223372036854775808]]");
	expect("[no, yes, on, 0x10, 0o7, 1.5, 1e3, 1_000, '-', +, 12:30]",
	       "[[\"no\",\"yes\",\"on\",\"0x10\",\"0o7\",\"1.5\",\"1e3\","
	       "\"1_000\",\"-\",\"+\",\"12:30\"]]");
}

static void quoted_scalars_are_text(void **state UNUSED)
{
	expect("['1', \"true\", '', \"a\\tb\"]",
	       "[[\"1\",\"true\",\"\",\"a\\tb\"]]");
}

static void all_documents_of_a_stream_are_read(void **state UNUSED)
{
	expect("a: 1\n---\nb: 2\n...\n---\nc: 3\n",
	       "[{\"a\":1},{\"b\":2},{\"c\":3}]");
	expect("", "[]");
	expect("# nothing\n", "[]");
	expect("---\n", "[null]");
}

static void what_json_cannot_say_is_refused_at_its_place(void **state UNUSED)
{
	expect_refusal("a: &x 1\n", "1:4: anchors");
	expect_refusal("a: &x [1]\n", "1:4: anchors");
	expect_refusal("&x a: 1\n", "1:1: anchors");
	expect_refusal("a: *x\n", "1:4: aliases");
	expect_refusal("*x : 1\n", "1:1: a key");
	expect_refusal("a: !!str 1\n", "1:4: tags");
	expect_refusal("a: !mine {}\n", "1:4: tags");
	expect_refusal("a: ! x\n", "1:4: tags");
	expect_refusal("b: 1\n? [a]\n: 1\n", "2:3: a key");
	expect_refusal("a: \"\\0\"\n", "1:4: text holds a NUL");
	expect_refusal("'': 1\n", "1:1: a key is empty");
}

static void a_key_given_twice_is_refused(void **state UNUSED)
{
	expect_refusal("a: 1\nb: 2\na: 3\n", "3:1: a key is given twice");
	expect_refusal("x: {a: 1, 'a': 2}\n", "1:11: a key is given twice");
}

static void a_number_too_large_is_refused(void **state UNUSED)
{
	expect_refusal("a: 9223372036854775808\n", "1:4: a number");
	expect_refusal("a: -9223372036854775809\n", "1:4: a number");
	expect("a: '9223372036854775808'\n",
	       "[{\"a\":\"9223372036854775808\"}]");
}

static void broken_yaml_is_refused_at_its_place(void **state UNUSED)
{
	expect_refusal("a: [1\n", "2:1: ");
	expect_refusal("a: 1\n b: 2\n", "2:3: ");
	expect_refusal("a: \"x\n", "2:1: ");
	expect_refusal("\ta: 1\n", "1:1: ");
	expect_refusal("a: \xff\n", "1:1: ");
	expect_refusal("a: \x01\n", "1:1: ");
}

static int parse(const struct buf *b)
{
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;

	return yaml_parse(buf_slice(b), &documents, &places);
}

static void nesting_is_limited(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1000);

	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		buf_put_str(&b, "[");
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		buf_put_str(&b, "]");
	assert_int_equal(parse(&b), 0);
	buf_reset(&b);
	for (int i = 0; i < JSON_DEPTH_MAX + 1; i++)
		buf_put_str(&b, "[");
	assert_int_equal(parse(&b), ERR_LIMIT);
}

static void size_and_documents_are_limited(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(2 * YAML_SIZE_MAX);

	for (int i = 0; i < YAML_DOCUMENTS_MAX; i++)
		buf_put_str(&b, "--- 1\n");
	assert_int_equal(parse(&b), 0);
	buf_put_str(&b, "--- 1\n");
	assert_int_equal(parse(&b), ERR_LIMIT);
	buf_reset(&b);
	while (b.len <= YAML_SIZE_MAX)
		buf_put_str(&b, "# a comment\n");
	assert_int_equal(parse(&b), ERR_LIMIT);
}

static void expect_place(const struct yaml_places *places, const json_t *owner,
			 const char *name, int line, int column)
{
	int found_line = 0;
	int found_column = 0;

	assert_true(
		yaml_place(places, owner, name, &found_line, &found_column));
	assert_int_equal(found_line, line);
	assert_int_equal(found_column, column);
}

static void every_value_has_a_place(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	const json_t *first, *inner, *list;
	int line = -1;
	int column = -1;

	assert_int_equal(
		yaml_parse(slice_str("# first\nkind: a\nspec:\n  ttl: 5m\n"
				     "  list:\n    - true\n    - true\n"
				     "---\nkind: b\n"),
			   &documents, &places),
		0);
	first = json_array_get(documents, 0);
	inner = json_object_in(first, "spec");
	list = json_array_in(inner, "list");
	expect_place(places, documents, "0", 2, 1);
	expect_place(places, documents, "1", 9, 1);
	expect_place(places, first, NULL, 2, 1);
	expect_place(places, first, "kind", 2, 1);
	expect_place(places, first, "spec", 3, 1);
	expect_place(places, inner, NULL, 4, 3);
	expect_place(places, inner, "ttl", 4, 3);
	expect_place(places, list, "0", 6, 7);
	expect_place(places, list, "1", 7, 7);
	assert_false(yaml_place(places, first, "none", &line, &column));
	assert_false(yaml_place(NULL, first, "kind", &line, &column));
	assert_int_equal(line, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappings_and_sequences_become_json),
		cmocka_unit_test(plain_scalars_follow_the_core_schema),
		cmocka_unit_test(quoted_scalars_are_text),
		cmocka_unit_test(all_documents_of_a_stream_are_read),
		cmocka_unit_test(what_json_cannot_say_is_refused_at_its_place),
		cmocka_unit_test(a_key_given_twice_is_refused),
		cmocka_unit_test(a_number_too_large_is_refused),
		cmocka_unit_test(broken_yaml_is_refused_at_its_place),
		cmocka_unit_test(nesting_is_limited),
		cmocka_unit_test(size_and_documents_are_limited),
		cmocka_unit_test(every_value_has_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
