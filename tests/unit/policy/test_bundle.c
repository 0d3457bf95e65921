#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "support.h"

#define ALL "permit (principal is Gov::Agent, action, resource)"

/* True if the only way this can go is a refusal whose faults name words. */
static bool refuses(const char *policies, const char *words)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	struct policy_bundle *b = support_small(policies, "", &faults);
	bool found = false;

	assert_null(b);
	for (size_t i = 0; i < json_array_size(faults); i++)
		found |= strstr(json_text(json_array_get(faults, i), "detail",
					  ""),
				words) != NULL;
	return found;
}

static void a_bundle_tells_its_policies(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(json_put_p) json_t *list = policy_list(b);

	assert_int_equal(json_array_size(list), 47 + 4 + 2);
	assert_string_equal(policy_title(b, "g06-tier-above-the-class"),
			    "Nothing above the tier the class was approved "
			    "for");
	assert_non_null(strstr(policy_text(b, "g06-tier-above-the-class"),
			       "resource.tier > context.task.class.maxTier"));
	/* A policy without a title is called by its id. */
	assert_string_equal(policy_title(b, "i04-signatures"),
			    "i04-signatures");
	assert_null(policy_title(b, "x"));
	assert_null(policy_text(b, "x"));
	assert_non_null(strstr(policy_engine(), "cedar-policy 4."));
}

static void the_digest_is_that_of_the_files(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *files = support_files();
	CLEANUP(mem_free_p) char *text = json_canonical(files);
	struct digest want = digest_of(slice_str(text));
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *small =
		support_small("@id(\"p1\") " ALL ";", "", NULL);

	assert_true(digest_equals(policy_bundle_digest(b), &want));
	assert_false(digest_equals(policy_bundle_digest(small), &want));
}

static void a_misspelt_member_of_a_vocabulary_is_refused(void **state UNUSED)
{
	assert_true(refuses(
		"@id(\"p1\") permit (principal, action == Gov::Action::\"Act\","
		" resource) when { resource.color == Gov::Color::\"rad\" };",
		"rad"));
}

static void a_misspelt_attribute_is_refused(void **state UNUSED)
{
	assert_true(refuses("@id(\"p1\") permit (principal is Gov::Agent,"
			    " action, resource) when { resource.wait > 1 };",
			    "wait"));
}

static void a_warning_is_a_fault(void **state UNUSED)
{
	assert_true(refuses("@id(\"p1\") " ALL " when { false };", "warning"));
}

static void an_action_nobody_can_ask_is_refused(void **state UNUSED)
{
	assert_true(refuses("@id(\"p1\") permit (principal,"
			    " action == Gov::Action::\"Fly\", resource);",
			    ""));
}

static void a_policy_without_an_id_is_refused(void **state UNUSED)
{
	assert_true(refuses(ALL ";", "no @id"));
	assert_true(refuses("@id(\"a b\") " ALL ";", "no @id"));
	assert_true(refuses("@id(\"\") " ALL ";", "no @id"));
}

static void an_id_that_is_taken_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *faults = NULL;

	assert_true(
		refuses("@id(\"p1\") " ALL ";\n@id(\"p1\") " ALL ";", "taken"));
	assert_null(support_small("@id(\"p1\") " ALL ";",
				  "@id(\"p1\") " ALL ";", &faults));
}

static void a_fault_says_where_it_stands(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	const json_t *fault;

	assert_null(support_small("@id(\"p1\") " ALL ";\n\n@id(\"p2\") " ALL
				  " when { context.nothing };",
				  "", &faults));
	fault = json_array_get(faults, 0);
	assert_string_equal(json_text(fault, "policy", ""), "p2");
	assert_string_equal(json_text(fault, "file", ""), "own.cedar");
	assert_int_equal(json_int(fault, "line", 0), 3);
}

static void a_syntax_error_says_its_line(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	const json_t *fault;

	assert_null(
		support_small("@id(\"p1\")\npermit (principal;", "", &faults));
	fault = json_array_get(faults, 0);
	assert_int_equal(json_int(fault, "line", 0), 2);
}

static void a_template_among_policies_is_refused(void **state UNUSED)
{
	assert_true(refuses("@id(\"t1\") forbid (principal == ?principal,"
			    " action, resource);",
			    "template"));
}

static void an_entity_named_literally_is_not_dereferenced(void **state UNUSED)
{
	assert_false(refuses("@id(\"p1\") " ALL
			     " when { Gov::Human::\"h\".active };",
			     "no such words"));
}

static void a_bundle_of_another_shape_is_an_error(void **state UNUSED)
{
	static const char *const shapes[] = {
		"[]",
		"{'schema': 1}",
		"{'schema': '', 'policies': 'text'}",
		"{'schema': '', 'policies': {'a': 1}}",
		"{'schema': '', 'policys': {}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		CLEANUP(json_put_p) json_t *files = support_json(shapes[i]);
		struct policy_bundle *b = NULL;
		json_t *faults = NULL;

		assert_int_equal(policy_bundle_build(files, &b, &faults),
				 ERR_SYNTAX);
		assert_null(b);
		assert_null(faults);
	}
}

static json_t *link_of(const char *template, const char *slot, const char *type,
		       const char *id)
{
	return json_pack("[{s:s, s:s, s:{s:s, s:s}}]", "id", "ctn_1",
			 "template", template, slot, "type", type, "id", id);
}

static void a_link_is_called_by_its_own_id(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *linked = NULL;
	CLEANUP(json_put_p)
	json_t *links = link_of("t01-quarantine", "principal", "Gov::Agent",
				"operator");

	assert_int_equal(policy_bundle_link(b, links, &linked), 0);
	assert_string_equal(policy_title(linked, "ctn_1"),
			    policy_title(b, "t01-quarantine"));
	assert_null(policy_title(b, "ctn_1"));
	assert_true(digest_equals(policy_bundle_digest(b),
				  policy_bundle_digest(linked)));
}

static void a_link_that_fits_nothing_is_refused(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	struct policy_bundle *linked = NULL;
	json_t *links[] = {
		link_of("t09", "principal", "Gov::Agent", "a"),
		link_of("t01-quarantine", "resource", "Gov::Role", "a"),
		link_of("t01-quarantine", "principal", "Gov::Nobody", "a"),
		link_of("g01-agent-in-good-standing", "principal", "Gov::Agent",
			"a"),
		json_pack("[{s:s}]", "id", "x"),
		json_object(),
	};

	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		assert_int_equal(policy_bundle_link(b, links[i], &linked),
				 ERR_SYNTAX);
		assert_null(linked);
		json_decref(links[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_tells_its_policies),
		cmocka_unit_test(the_digest_is_that_of_the_files),
		cmocka_unit_test(a_misspelt_member_of_a_vocabulary_is_refused),
		cmocka_unit_test(a_misspelt_attribute_is_refused),
		cmocka_unit_test(a_warning_is_a_fault),
		cmocka_unit_test(an_action_nobody_can_ask_is_refused),
		cmocka_unit_test(a_policy_without_an_id_is_refused),
		cmocka_unit_test(an_id_that_is_taken_is_refused),
		cmocka_unit_test(a_fault_says_where_it_stands),
		cmocka_unit_test(a_syntax_error_says_its_line),
		cmocka_unit_test(a_template_among_policies_is_refused),
		cmocka_unit_test(an_entity_named_literally_is_not_dereferenced),
		cmocka_unit_test(a_bundle_of_another_shape_is_an_error),
		cmocka_unit_test(a_link_is_called_by_its_own_id),
		cmocka_unit_test(a_link_that_fits_nothing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
