#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "support.h"

static size_t show(const json_t *report)
{
	const json_t *faults = json_object_get(report, "faults");

	for (size_t i = 0; i < json_array_size(faults); i++)
		print_message(
			"%s: %s\n",
			json_text(json_array_get(faults, i), "scenario",
				  json_text(json_array_get(faults, i), "policy",
					    "")),
			json_text(json_array_get(faults, i), "detail", ""));
	return json_array_size(faults);
}

static void
all_scenarios_pass_and_every_deletion_is_noticed(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *report = NULL;

	assert_int_equal(policy_test(b, file, true, &report), 0);
	assert_true(json_int(report, "scenarios", 0) > 190);
	assert_int_equal(show(report), 0);
}

/* The bundle with one text put in place of another. */
static struct policy_bundle *changed(const char *old, const char *new)
{
	CLEANUP(json_put_p) json_t *files = support_files();
	json_t *policies = json_object_get(files, "policies");
	const char *text = json_text(policies, "policies.cedar", "");
	const char *at = strstr(text, old);
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(mem_free_p) char *other = NULL;
	struct policy_bundle *b = NULL;

	assert_non_null(at);
	other = mem_format("%.*s%s%s", (int)(at - text), text, new,
			   at + strlen(old));
	json_set_text(policies, "policies.cedar", other);
	assert_int_equal(policy_bundle_build(files, &b, &faults), 0);
	assert_non_null(b);
	return b;
}

static bool notices(const char *old, const char *new)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = changed(old, new);
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *report = NULL;

	assert_int_equal(policy_test(b, file, false, &report), 0);
	return json_array_size(json_object_get(report, "faults")) > 0;
}

/* A policy that two say, so that either can go. */
static void a_policy_that_can_be_deleted_is_named(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = changed(
		"@id(\"g05-not-covered\")",
		"@id(\"g98-again\") forbid (principal is Gov::Agent, action, "
		"resource) when { context.mode == Gov::Mode::\"execute\" && "
		"context.blastRadius > 26 && context.blastRadius > 25 };\n"
		"@id(\"g05-not-covered\")");
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *report = NULL;
	const json_t *fault;
	size_t at;
	bool named = false;

	assert_int_equal(policy_test(b, file, true, &report), 0);
	json_array_foreach(json_object_get(report, "faults"), at, fault) {
		if (strcmp(json_text(fault, "policy", ""), "g98-again") == 0 &&
		    strstr(json_text(fault, "detail", ""), "can be deleted"))
			named = true;
	}
	assert_true(named);
}

struct given_up {
	size_t calls;
	size_t after;
};

static bool give_up(void *cookie, size_t done UNUSED, size_t total UNUSED)
{
	struct given_up *g = cookie;

	return ++g->calls <= g->after;
}

static void deletions_that_were_not_tried_are_a_fault(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *report = NULL;
	struct given_up g = { .after = 3 };

	assert_int_equal(
		policy_test_slowly(b, file, true, give_up, &g, &report), 0);
	assert_int_equal(g.calls, 4);
	assert_int_equal(json_array_size(json_object_get(report, "faults")), 1);
}

/* Without its scenarios, each policy, invariant and template is named. */
static void every_deletion_is_tried(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *report = NULL;
	CLEANUP(json_put_p) json_t *named = json_object();
	const json_t *fault;
	size_t at;

	json_array_clear(json_object_get(file, "cases"));
	assert_int_equal(policy_test(b, file, true, &report), 0);
	json_array_foreach(json_object_get(report, "faults"), at, fault)
		json_set_flag(named, json_text(fault, "policy", "?"), true);
	assert_int_equal(json_object_size(named), policy_count(b));
}

static void a_changed_limit_is_noticed(void **state UNUSED)
{
	assert_true(notices("context.ttl > duration(\"8h\")",
			    "context.ttl > duration(\"9h\")"));
	assert_true(notices("context.risk.score >= 70",
			    "context.risk.score >= 71"));
	assert_true(notices("context.blastRadius > 25",
			    "context.blastRadius >= 25"));
	assert_true(notices("!context.ownRollback", "context.ownRollback"));
}

static void a_policy_no_scenario_decides_is_noticed(void **state UNUSED)
{
	assert_true(notices("@id(\"g05-not-covered\")",
			    "@id(\"g98-extra\") forbid (principal is "
			    "Gov::Agent, action, resource) when { "
			    "context.blastRadius > 99999999 };\n"
			    "@id(\"g05-not-covered\")"));
}

static void names_that_break_their_promise_are_noticed(void **state UNUSED)
{
	/* a guard that people could lift */
	assert_true(notices("@id(\"r40-group-owner-ack\")",
			    "@id(\"g40-group-owner-ack\")"));
	/* a requirement nothing lifts */
	assert_true(notices("@id(\"g05-not-covered\")",
			    "@id(\"r05-not-covered\")"));
	/* a permit called a guard */
	assert_true(
		notices("@id(\"p20-recommend\")", "@id(\"g20-recommend\")"));
}

static void a_signal_that_lifts_a_review_is_noticed(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *report = NULL;

	json_object_del(file, "signalsLift");
	assert_int_equal(policy_test(b, file, false, &report), 0);
	assert_int_equal(json_array_size(json_object_get(report, "faults")), 1);
}

static void a_remedy_that_is_not_monotone_is_noticed(void **state UNUSED)
{
	/* evidence that turns allow into deny */
	assert_true(notices(
		"@id(\"r40-group-owner-ack\")",
		"@id(\"r39-odd\") @title(\"odd\") forbid (principal is "
		"Gov::Agent, action == Gov::Action::\"RotateKey\", resource) "
		"when { context.evidence.contains("
		"Gov::Evidence::\"prompt\") };\n"
		"@id(\"r40-group-owner-ack\")"));
}

static void a_file_of_another_shape_is_an_error(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	static const char *const shapes[] = {
		"{}",
		"{'cases': []}",
		"{'cases': [], 'entities': {'Human': []}}",
		"{'cases': [], 'entities': {'Human': {'a': 1}}}",
		"{'cases': [], 'entities': {'Robot': {'a': {}}}}",
		"{'cases': [], 'entities': {'Human': {'a': {'age': 1}}}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		CLEANUP(json_put_p) json_t *file = support_json(shapes[i]);
		json_t *report = NULL;

		assert_int_equal(policy_test(b, file, false, &report),
				 ERR_SYNTAX);
		assert_null(report);
	}
}

static void a_case_that_cannot_be_asked_is_a_fault(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *report = NULL;
	json_t *cases = json_object_get(file, "cases");
	static const char *const more[] = {
		"{'name': 'x'}",
		"{'name': 'x', 'p': 'operator', 'a': 'Fly',"
		" 'r': ['Role', 'mail-admin'], 'want': 'deny'}",
		"{'name': 'x', 'p': 'operator', 'a': 'GrantRole',"
		" 'r': ['Role', 'mail-admin'], 'with': ['nothing'],"
		" 'want': 'deny'}",
		"{'name': 'x', 'p': 'operator', 'a': 'GrantRole',"
		" 'r': ['Role', 'mail-admin'], 'ctx': {'mod': 'execute'},"
		" 'want': 'deny'}",
		"{'name': 'x', 'p': 'operator', 'a': 'GrantRole',"
		" 'r': ['Role', 'no-such-role'], 'want': 'deny'}",
	};

	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		json_array_append_new(cases, support_json(more[i]));
	assert_int_equal(policy_test(b, file, false, &report), 0);
	assert_int_equal(json_array_size(json_object_get(report, "faults")),
			 ARRAY_LEN(more));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			all_scenarios_pass_and_every_deletion_is_noticed),
		cmocka_unit_test(a_policy_that_can_be_deleted_is_named),
		cmocka_unit_test(deletions_that_were_not_tried_are_a_fault),
		cmocka_unit_test(every_deletion_is_tried),
		cmocka_unit_test(a_changed_limit_is_noticed),
		cmocka_unit_test(a_policy_no_scenario_decides_is_noticed),
		cmocka_unit_test(names_that_break_their_promise_are_noticed),
		cmocka_unit_test(a_signal_that_lifts_a_review_is_noticed),
		cmocka_unit_test(a_remedy_that_is_not_monotone_is_noticed),
		cmocka_unit_test(a_file_of_another_shape_is_an_error),
		cmocka_unit_test(a_case_that_cannot_be_asked_is_a_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
