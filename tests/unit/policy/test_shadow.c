/* Policies that are told about and never obeyed, and decisions made again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "policy/engine.h"
#include "policy/scenario.h"
#include "support.h"

#define ALL "permit (principal is Gov::Agent, action, resource)"
#define NONE "forbid (principal is Gov::Agent, action, resource)"
#define ERRS "resource.weight + 9223372036854775807 > 0"

static struct policy_bundle *with_shadows(const char *policies,
					  const char *shadows)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *small =
		support_small(policies, "@id(\"i1\") " ALL ";", NULL);
	CLEANUP(json_put_p) json_t *files = json_deep_copy(small->files);
	CLEANUP(json_put_p) json_t *faults = NULL;
	struct policy_bundle *b = NULL;

	json_set_text(json_object_get(files, "policies"), "next.shadow.cedar",
		      shadows);
	assert_int_equal(policy_bundle_build(files, &b, &faults), 0);
	assert_non_null(b);
	return b;
}

static struct policy_verdict decided(const struct policy_bundle *b)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();
	struct policy_verdict v;

	assert_int_equal(policy_decide(b, NULL, ask, NULL, &v), 0);
	return v;
}

static void assert_told(const struct policy_verdict *v, const char *id,
			const char *would)
{
	const json_t *row = json_array_get(v->shadows, 0);

	assert_int_equal(json_array_size(v->shadows), 1);
	assert_string_equal(json_text(row, "id", ""), id);
	assert_string_equal(json_text(row, "would", ""), would);
}

static void a_shadow_decision_never_executes(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = with_shadows("@id(\"f1\") " NONE ";",
					       "@id(\"s-all\") " ALL ";");
	CLEANUP(policy_verdict_clear) struct policy_verdict v = decided(b);
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };
	CLEANUP(json_put_p) json_t *ask = support_ask();

	assert_int_equal(v.decision, POLICY_DENY);
	assert_told(&v, "s-all", "permit");
	assert_false(json_has_text(v.policies, "s-all"));
	assert_int_equal(policy_ask(b, NULL, ask, &answer), 0);
	assert_false(answer.allow);
}

static void
an_empty_set_denies_beside_a_shadow_that_permits(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = with_shadows("", "@id(\"s-all\") " ALL ";");
	CLEANUP(policy_verdict_clear) struct policy_verdict v = decided(b);

	assert_int_equal(v.decision, POLICY_DENY);
	assert_told(&v, "s-all", "permit");
}

static void a_shadow_that_forbids_or_errs_denies_nothing(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *forbids = with_shadows(
		"@id(\"p1\") " ALL ";", "@id(\"s-none\") " NONE ";");
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *errs =
		with_shadows("@id(\"p1\") " ALL ";",
			     "@id(\"s-odd\") " NONE " when { " ERRS " };");
	CLEANUP(policy_verdict_clear)
	struct policy_verdict one = decided(forbids);
	CLEANUP(policy_verdict_clear) struct policy_verdict two = decided(errs);

	assert_int_equal(one.decision, POLICY_ALLOW);
	assert_told(&one, "s-none", "forbid");
	assert_int_equal(two.decision, POLICY_ALLOW);
	assert_told(&two, "s-odd", "error");
	assert_int_equal(json_array_size(two.errors), 0);
}

static void a_shadow_that_does_not_hold_is_not_told(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = with_shadows(
		"@id(\"p1\") " ALL ";",
		"@id(\"s1\") " NONE " when { resource.weight > 99 };");
	CLEANUP(policy_verdict_clear) struct policy_verdict v = decided(b);

	assert_int_equal(v.decision, POLICY_ALLOW);
	assert_int_equal(json_array_size(v.shadows), 0);
}

/* What a shadow demands is no remedy. */
static void a_shadow_asks_nobody_to_approve(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = with_shadows(
		"@id(\"p1\") " ALL ";\n@id(\"r1\") " NONE
		" unless { context.evidence.contains(Gov::Evidence::"
		"\"ticket\") };",
		"@id(\"s1\") " NONE " unless { context.approvals.hasTag("
		"\"chiefs\") && context.evidence.contains(Gov::Evidence::"
		"\"plan\") };");
	CLEANUP(policy_verdict_clear) struct policy_verdict v = decided(b);
	const json_t *evidence = json_object_get(v.requires, "evidence");

	assert_int_equal(v.decision, POLICY_PENDING);
	assert_null(json_object_get(v.requires, "approvals"));
	assert_int_equal(json_array_size(evidence), 1);
	assert_true(json_has_text(evidence, "ticket"));
	assert_told(&v, "s1", "forbid");
}

static void shadows_are_listed_as_such_and_validated(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b =
		with_shadows("@id(\"p1\") " ALL ";", "@id(\"s1\") " NONE ";");
	CLEANUP(json_put_p) json_t *list = policy_list(b);
	CLEANUP(json_put_p) json_t *files = json_deep_copy(b->files);
	CLEANUP(json_put_p) json_t *faults = NULL;
	struct policy_bundle *wrong = NULL;
	const json_t *policy;
	size_t at;

	json_array_foreach(list, at, policy)
		assert_int_equal(json_flag(policy, "shadow", false),
				 !strcmp(json_text(policy, "id", ""), "s1"));
	json_set_text(json_object_get(files, "policies"), "shadow.cedar",
		      "@id(\"s2\") " NONE " when { context.nothing };");
	assert_int_equal(policy_bundle_build(files, &wrong, &faults), 0);
	assert_null(wrong);
	assert_string_equal(json_text(json_array_get(faults, 0), "file", ""),
			    "shadow.cedar");
}

/* ---- made again ---- */

static json_t *ask_of(const json_t *file, const char *name)
{
	const json_t *scenario;
	size_t at;

	json_array_foreach(json_object_get(file, "cases"), at, scenario) {
		CLEANUP(json_put_p) json_t *facts = NULL;
		json_t *ask = NULL;

		if (strcmp(json_text(scenario, "name", ""), name) != 0)
			continue;
		assert_int_equal(scenario_facts(file, scenario, &facts), 0);
		assert_int_equal(scenario_ask(file, scenario, facts, &ask), 0);
		return ask;
	}
	fail_msg("no scenario '%s'", name);
	return NULL;
}

static void a_replay_tells_what_would_have_changed(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(json_put_p) json_t *files = support_files();
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *other = NULL;
	CLEANUP(policy_world_unref_p) struct policy_world *world = NULL;
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *entities = NULL;
	CLEANUP(json_put_p)
	json_t *ask = ask_of(file, "low tier grant is automatic");
	CLEANUP(json_put_p) json_t *before = json_deep_copy(ask);
	CLEANUP(json_put_p) json_t *was = json_pack("{s:s}", "route", "auto");
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(json_put_p) json_t *same = NULL;
	CLEANUP(json_put_p) json_t *changed = NULL;
	struct policy_people people = { scenario_members, file };

	json_set_text(json_object_get(files, "policies"), "more.cedar",
		      "@id(\"g99\") forbid (principal is Gov::Agent, action "
		      "== Gov::Action::\"GrantRole\", resource);");
	assert_int_equal(policy_bundle_build(files, &other, &faults), 0);
	assert_non_null(other);
	assert_int_equal(scenario_entities(file, &entities), 0);
	assert_int_equal(policy_world_build(b, entities, &world), 0);
	assert_int_equal(policy_replay(b, world, ask, was, &people, &same), 0);
	assert_false(json_flag(same, "changed", true));
	assert_string_equal(json_text(same, "route", ""), "auto");
	assert_int_equal(
		policy_replay(other, world, ask, was, &people, &changed), 0);
	assert_true(json_flag(changed, "changed", false));
	assert_string_equal(json_text(changed, "route", ""), "deny");
	assert_string_equal(json_text(changed, "was", ""), "auto");
	assert_true(json_has_text(json_object_get(changed, "policies"), "g99"));
	assert_true(json_equal(ask, before));
}

/* As the request was decided: on less time, approval was enough. */
static void a_replay_lowers_the_time_first(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b =
		support_small("@id(\"p1\") " ALL ";\n@id(\"r1\") " NONE
			      " when { context.ttl > duration(\"10m\") };",
			      "@id(\"i1\") " ALL ";", NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(json_put_p) json_t *was = json_pack("{s:s}", "route", "auto");
	CLEANUP(json_put_p) json_t *replay = NULL;

	assert_int_equal(policy_replay(b, NULL, ask, was, NULL, &replay), 0);
	assert_string_equal(json_text(replay, "route", ""), "auto");
	assert_string_equal(json_text(replay, "ttl", ""), "10m");
	assert_false(json_flag(replay, "changed", true));
}

static void facts_that_no_longer_fit_replay_as_a_denial(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_small("@id(\"p1\") " ALL ";",
						"@id(\"i1\") " ALL ";", NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(json_put_p) json_t *was = json_pack("{s:s}", "route", "auto");
	CLEANUP(json_put_p) json_t *replay = NULL;

	json_set_text(json_object_get(ask, "context"), "mood", "fine");
	assert_int_equal(policy_replay(b, NULL, ask, was, NULL, &replay),
			 ERR_SYNTAX);
	assert_string_equal(json_text(replay, "route", ""), "deny");
	assert_true(json_flag(replay, "changed", false));
	assert_true(
		json_has_text(json_object_get(replay, "errors"), "request"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shadow_decision_never_executes),
		cmocka_unit_test(
			an_empty_set_denies_beside_a_shadow_that_permits),
		cmocka_unit_test(a_shadow_that_forbids_or_errs_denies_nothing),
		cmocka_unit_test(a_shadow_that_does_not_hold_is_not_told),
		cmocka_unit_test(a_shadow_asks_nobody_to_approve),
		cmocka_unit_test(shadows_are_listed_as_such_and_validated),
		cmocka_unit_test(a_replay_tells_what_would_have_changed),
		cmocka_unit_test(a_replay_lowers_the_time_first),
		cmocka_unit_test(facts_that_no_longer_fit_replay_as_a_denial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
