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

/* One ask of the small bundle; true if it is allowed. */
static bool allowed(const struct policy_bundle *b, const json_t *ask)
{
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };

	assert_int_equal(policy_ask(b, NULL, ask, &answer), 0);
	assert_int_equal(json_array_size(answer.errors), 0);
	return answer.allow;
}

/* One ask that cannot be put: denied with an error. */
static void expect_error(const struct policy_bundle *b, const json_t *ask)
{
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };

	assert_int_equal(policy_ask(b, NULL, ask, &answer), ERR_SYNTAX);
	assert_false(answer.allow);
	assert_true(json_has_text(answer.errors, "request"));
}

static struct policy_bundle *all_allowed(void)
{
	return support_small("@id(\"p1\") " ALL ";", "@id(\"i1\") " ALL ";",
			     NULL);
}

static void a_permit_in_both_sets_allows(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = all_allowed();
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };

	assert_int_equal(policy_ask(b, NULL, ask, &answer), 0);
	assert_true(answer.allow);
	assert_int_equal(json_array_size(answer.policies), 1);
	assert_true(json_has_text(answer.policies, "p1"));
}

static void an_empty_set_denies(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *none = support_small("", "", NULL);
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *ceiling =
		support_small("", "@id(\"i1\") " ALL ";", NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();

	assert_non_null(none);
	assert_false(allowed(none, ask));
	assert_false(allowed(ceiling, ask));
}

static void what_the_invariants_do_not_allow_is_denied(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b =
		support_small("@id(\"p1\") " ALL ";", "", NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };

	assert_int_equal(policy_ask(b, NULL, ask, &answer), 0);
	assert_false(answer.allow);
	assert_int_equal(json_array_size(answer.policies), 0);
	assert_true(json_has_text(answer.errors, "ceiling"));
}

static void a_forbid_wins(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_small(
		"@id(\"p1\") " ALL ";\n@id(\"g1\") forbid (principal, action,"
		" resource is Gov::Thing) when { resource.weight > 2 };",
		"@id(\"i1\") " ALL ";", NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };

	assert_int_equal(policy_ask(b, NULL, ask, &answer), 0);
	assert_false(answer.allow);
	assert_true(json_has_text(answer.policies, "g1"));
	assert_int_equal(json_array_size(answer.policies), 1);
}

/* Cedar skips a forbid that errs; we must not. */
static void a_policy_that_errs_denies(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_small(
		"@id(\"p1\") " ALL ";\n@id(\"g1\") forbid (principal, action,"
		" resource is Gov::Thing) when { resource.weight * "
		"9223372036854775807 > 1 };",
		"@id(\"i1\") " ALL ";", NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };

	assert_non_null(b);
	assert_int_equal(policy_ask(b, NULL, ask, &answer), 0);
	assert_false(answer.allow);
	assert_true(json_has_text(answer.errors, "g1"));
}

static void an_invariant_that_errs_denies(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_small(
		"@id(\"p1\") " ALL ";",
		"@id(\"i1\") " ALL ";\n@id(\"i2\") permit (principal, action,"
		" resource is Gov::Thing) when { resource.weight * "
		"9223372036854775807 > 1 };",
		NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };

	assert_int_equal(policy_ask(b, NULL, ask, &answer), 0);
	assert_false(answer.allow);
	assert_true(json_has_text(answer.errors, "i2"));
	assert_true(json_has_text(answer.errors, "ceiling"));
}

static void drop_entity(json_t *ask, const char *type)
{
	json_t *entities = json_object_get(ask, "entities");

	for (size_t i = 0; i < json_array_size(entities); i++) {
		const json_t *uid =
			json_object_get(json_array_get(entities, i), "uid");

		if (!strcmp(json_text(uid, "type", ""), type)) {
			json_array_remove(entities, i);
			return;
		}
	}
	fail();
}

static void an_entity_that_is_missing_denies(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_small(
		"@id(\"p1\") " ALL ";\n@id(\"g1\") forbid (principal is "
		"Gov::Agent, action, resource) unless { "
		"principal.owner.active };",
		"@id(\"i1\") " ALL ";", NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };

	assert_true(allowed(b, ask));
	drop_entity(ask, "Gov::Human");
	assert_int_equal(policy_ask(b, NULL, ask, &answer), 0);
	assert_false(answer.allow);
	assert_true(json_has_text(answer.errors, "g1"));
}

static void a_question_the_schema_does_not_know_denies(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = all_allowed();
	/* member of the ask, and what stands there instead */
	static const char *const wrong[][2] = {
		{ "action", "'Fly'" },
		{ "action", "{'type': 'Gov::Action', 'id': 'Fly'}" },
		{ "action", "'Approve'" },
		{ "action", "7" },
		{ "principal", "{'type': 'Gov::Robot', 'id': 'a'}" },
		{ "principal", "{'type': 'Gov::Human', 'id': 'h'}" },
		{ "principal", "{'type': 'Gov::Agent'}" },
		{ "principal", "{'type': 'Gov::Agent', 'id': 'a', 'x': 1}" },
		{ "resource", "{'type': 'Gov::Agent', 'id': 'a'}" },
		{ "resource", "null" },
		{ "context", "{}" },
		{ "context", "[]" },
		{ "entities", "{}" },
		{ "entities", "[{'uid': {'type': 'Gov::Action', 'id': 'Act'},"
			      " 'attrs': {}, 'parents': []}]" },
		{ "entities", "[{'uid': {'type': 'Gov::Color', 'id': 'red'},"
			      " 'attrs': {'x': 1}, 'parents': []}]" },
		{ "entities", "[{'uid': {'type': 'Gov::Human', 'id': 'h'},"
			      " 'attrs': {}, 'parents': []}]" },
		{ "entities", "[{'uid': {'type': 'Gov::Human', 'id': 'h'},"
			      " 'attrs': {'active': 1}, 'parents': []}]" },
		{ "entities", "[{'uid': {'type': 'Gov::Human', 'id': 'h'},"
			      " 'attrs': {'active': true, 'x': 1}}]" },
		{ "entitys", "[]" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(json_put_p) json_t *ask = support_ask();
		CLEANUP(mem_free_p)
		char *text = mem_format("{'v': %s}", wrong[i][1]);
		CLEANUP(json_put_p) json_t *value = support_json(text);

		json_object_set(ask, wrong[i][0], json_object_get(value, "v"));
		expect_error(b, ask);
	}
	expect_error(b, json_null());
}

static void facts_of_another_type_deny(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = all_allowed();
	static const char *const wrong[][2] = {
		{ "ttl", "'1h'" },
		{ "ttl", "3600" },
		{ "ttl", "{'__extn': {'fn': 'duration', 'arg': 'soon'}}" },
		{ "ttl", "{'__extn': {'fn': 'now', 'arg': '1h'}}" },
		{ "ttl", "{'__extn': {'fn': 'datetime',"
			 " 'arg': '2026-11-23T10:00:00Z'}}" },
		{ "ttl", "null" },
		{ "evidence", "[{'__entity': {'type': 'Gov::Evidence',"
			      " 'id': 'hearsay'}}]" },
		{ "evidence", "['ticket']" },
		{ "approvals", "{'__entity': {'type': 'Gov::Human',"
			       " 'id': 'h'}}" },
		{ "extra", "true" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(json_put_p) json_t *ask = support_ask();
		CLEANUP(mem_free_p)
		char *text = mem_format("{'v': %s}", wrong[i][1]);
		CLEANUP(json_put_p) json_t *value = support_json(text);

		json_object_set(json_object_get(ask, "context"), wrong[i][0],
				json_object_get(value, "v"));
		expect_error(b, ask);
	}
}

static void a_real_number_is_refused(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = all_allowed();
	CLEANUP(json_put_p) json_t *ask = support_ask();

	json_object_set_new(json_object_get(ask, "context"), "extra",
			    json_real(1.5));
	expect_error(b, ask);
}

/* ---- hierarchy: world and ask together
 * ------------------------------------------- */

static struct policy_bundle *by_group(void)
{
	return support_small("@id(\"p1\") permit (principal in "
			     "Gov::Group::\"top\", action == "
			     "Gov::Action::\"Act\", resource);",
			     "@id(\"i1\") " ALL ";", NULL);
}

static json_t *group(const char *id, const char *parent)
{
	json_t *parents = json_array();

	if (parent)
		json_array_append_new(parents,
				      json_pack("{s:s, s:s}", "type",
						"Gov::Group", "id", parent));
	return json_pack("{s:{s:s, s:s}, s:{}, s:o}", "uid", "type",
			 "Gov::Group", "id", id, "attrs", "parents", parents);
}

static void a_group_reached_through_the_world_counts(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = by_group();
	CLEANUP(policy_world_unref_p) struct policy_world *w = NULL;
	CLEANUP(json_put_p)
	json_t *world = json_pack("[o, o, o]", group("top", NULL),
				  group("mid", "top"), group("low", "mid"));
	CLEANUP(json_put_p) json_t *ask = support_ask();
	json_t *agent = json_array_get(json_object_get(ask, "entities"), 0);
	CLEANUP(policy_answer_clear) struct policy_answer without = { 0 };
	CLEANUP(policy_answer_clear) struct policy_answer with = { 0 };

	assert_int_equal(policy_world_build(b, world, &w), 0);
	assert_int_equal(policy_ask(b, w, ask, &without), 0);
	assert_false(without.allow);
	json_array_append_new(
		json_object_get(agent, "parents"),
		json_pack("{s:s, s:s}", "type", "Gov::Group", "id", "low"));
	assert_int_equal(policy_ask(b, w, ask, &with), 0);
	assert_true(with.allow);
}

static void
an_entity_of_the_ask_stands_in_for_one_of_the_world(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = by_group();
	CLEANUP(policy_world_unref_p) struct policy_world *w = NULL;
	CLEANUP(json_put_p) json_t *ask = support_ask();
	json_t *entities = json_object_get(ask, "entities");
	CLEANUP(json_put_p)
	json_t *agent = json_deep_copy(json_array_get(entities, 0));
	CLEANUP(json_put_p)
	json_t *world =
		json_pack("[o, o]", group("top", NULL), group("low", "top"));
	CLEANUP(policy_answer_clear) struct policy_answer in = { 0 };
	CLEANUP(policy_answer_clear) struct policy_answer out = { 0 };

	json_array_append_new(
		json_object_get(agent, "parents"),
		json_pack("{s:s, s:s}", "type", "Gov::Group", "id", "low"));
	json_array_append(world, agent);
	assert_int_equal(policy_world_build(b, world, &w), 0);
	/* the ask's agent is in no group */
	assert_int_equal(policy_ask(b, w, ask, &out), 0);
	assert_false(out.allow);
	json_array_remove(entities, 0);
	assert_int_equal(policy_ask(b, w, ask, &in), 0);
	assert_true(in.allow);
	/* and a group that the ask cuts off leads nowhere */
	json_array_append_new(entities, group("low", NULL));
	policy_answer_clear(&out);
	assert_int_equal(policy_ask(b, w, ask, &out), 0);
	assert_false(out.allow);
}

static void a_world_that_does_not_fit_is_refused(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = all_allowed();
	struct policy_world *w = NULL;
	json_t *worlds[] = {
		json_object(),
		json_pack("[o, o]", group("a", "b"), group("b", "a")),
		json_pack("[o, o]", group("a", NULL), group("a", "b")),
		support_json("[{'uid': {'type': 'Gov::Human', 'id': 'h'},"
			     " 'attrs': {'active': 'yes'}, 'parents': []}]"),
		support_json("[{'uid': {'type': 'Gov::Cat', 'id': 'h'},"
			     " 'attrs': {}, 'parents': []}]"),
		support_json("[{'attrs': {}, 'parents': []}]"),
		support_json("[7]"),
	};

	for (size_t i = 0; i < ARRAY_LEN(worlds); i++) {
		assert_int_equal(policy_world_build(b, worlds[i], &w),
				 ERR_SYNTAX);
		assert_null(w);
		json_decref(worlds[i]);
	}
}

static void a_world_of_another_schema_denies(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = all_allowed();
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *other = support_bundle();
	CLEANUP(policy_world_unref_p) struct policy_world *w = NULL;
	CLEANUP(json_put_p) json_t *none = json_array();
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };

	assert_int_equal(policy_world_build(other, none, &w), 0);
	assert_int_equal(policy_ask(b, w, ask, &answer), ERR_SYNTAX);
	assert_false(answer.allow);
}

/* ---- the project's own
 * ------------------------------------------------------------ */

/* The indexed answer against Cedar's own authorizer over the whole sets. */
static void the_index_answers_as_the_whole_set_does(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(policy_world_unref_p) struct policy_world *w = NULL;
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *entities = NULL;
	const json_t *cases = json_object_get(file, "cases");
	static const int parts[] = { WRIT_CEDAR_POLICIES, WRIT_CEDAR_INVARIANTS,
				     POLICY_BOTH };

	assert_int_equal(scenario_entities(file, &entities), 0);
	assert_int_equal(policy_world_build(b, entities, &w), 0);
	for (size_t i = 0; i < json_array_size(cases); i++) {
		const json_t *scenario = json_array_get(cases, i);
		CLEANUP(json_put_p) json_t *links = scenario_links(scenario);
		CLEANUP(policy_bundle_unref_p)
		struct policy_bundle *linked = NULL;
		CLEANUP(json_put_p) json_t *facts = NULL;
		CLEANUP(json_put_p) json_t *ask = NULL;
		CLEANUP(question_close) struct question q = { 0 };

		assert_int_equal(policy_bundle_link(b, links, &linked), 0);
		assert_int_equal(scenario_facts(file, scenario, &facts), 0);
		assert_int_equal(scenario_ask(file, scenario, facts, &ask), 0);
		assert_int_equal(question_open(linked, w, ask, &q), 0);
		for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
			struct writ_cedar_answer answer;
			struct writ_cedar_error error;
			bool whole;

			assert_int_equal(
				question_ask(&q, NULL, parts[k], &answer), 0);
			assert_int_equal(
				writ_cedar_query_run_whole(q.query, parts[k],
							   &whole, &error),
				0);
			assert_int_equal(answer.allow, whole);
		}
	}
}

/* Adds agents "bulk-0".. owned by alice, all openers of class identity-ops. */
static void add_agents(json_t *file, size_t count)
{
	json_t *all = json_object_get(file, "entities");
	json_t *agents = json_object_get(all, "Agent");
	json_t *class = json_object_get(json_object_get(all, "TaskClass"),
					"identity-ops");

	for (size_t i = 0; i < count; i++) {
		CLEANUP(mem_free_p) char *name = mem_format("bulk-%zu", i);

		json_object_set(agents, name,
				json_object_get(agents, "operator"));
		json_array_append_new(json_object_get(class, "openers"),
				      json_string(name));
	}
}

static void a_world_of_ten_thousand_agents_works(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(policy_world_unref_p) struct policy_world *w = NULL;
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *entities = NULL;
	static const char *const cases[] = {
		"{'p': 'bulk-9999', 'a': 'OpenTask',"
		" 'r': ['TaskClass', 'identity-ops']}",
		"{'p': 'bulk-1234', 'a': 'GrantRole',"
		" 'r': ['Role', 'helpdesk-reader']}",
	};

	add_agents(file, 10000);
	assert_int_equal(scenario_entities(file, &entities), 0);
	assert_int_equal(policy_world_build(b, entities, &w), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(json_put_p) json_t *scenario = support_json(cases[i]);
		CLEANUP(json_put_p) json_t *facts = NULL;
		CLEANUP(json_put_p) json_t *ask = NULL;
		CLEANUP(policy_answer_clear) struct policy_answer a = { 0 };

		assert_int_equal(scenario_facts(file, scenario, &facts), 0);
		assert_int_equal(scenario_ask(file, scenario, facts, &ask), 0);
		assert_int_equal(policy_ask(b, w, ask, &a), 0);
		assert_true(a.allow);
	}
}

static void a_quarantine_holds_among_a_thousand_others(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_bundle();
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *linked = NULL;
	CLEANUP(policy_world_unref_p) struct policy_world *w = NULL;
	CLEANUP(json_put_p) json_t *file = support_scenarios();
	CLEANUP(json_put_p) json_t *entities = NULL;
	CLEANUP(json_put_p) json_t *links = json_array();
	static const char *const agents[] = { "bulk-1000", "bulk-7" };

	add_agents(file, 1001);
	assert_int_equal(scenario_entities(file, &entities), 0);
	for (size_t i = 0; i < 1000; i++) {
		CLEANUP(mem_free_p) char *name = mem_format("bulk-%zu", i);

		json_array_append_new(
			links,
			json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", name,
				  "template", "t01-quarantine", "principal",
				  "type", "Gov::Agent", "id", name));
	}
	assert_int_equal(policy_bundle_link(b, links, &linked), 0);
	assert_int_equal(policy_world_build(linked, entities, &w), 0);
	for (size_t i = 0; i < ARRAY_LEN(agents); i++) {
		CLEANUP(json_put_p)
		json_t *scenario =
			json_pack("{s:s, s:s, s:[s, s]}", "p", agents[i], "a",
				  "GrantRole", "r", "Role", "helpdesk-reader");
		CLEANUP(json_put_p) json_t *facts = NULL;
		CLEANUP(json_put_p) json_t *ask = NULL;
		CLEANUP(policy_answer_clear) struct policy_answer a = { 0 };

		assert_int_equal(scenario_facts(file, scenario, &facts), 0);
		assert_int_equal(scenario_ask(file, scenario, facts, &ask), 0);
		assert_int_equal(policy_ask(linked, w, ask, &a), 0);
		assert_int_equal(a.allow, i == 0);
		assert_true(i == 0 || json_has_text(a.policies, "bulk-7"));
	}
}

/* What errs where in a condition: Cedar's authorizer must say the same. */
static void errors_stand_where_cedar_has_them(void **state UNUSED)
{
#define ERRS "resource.weight + 9223372036854775807 > 0"
	static const char *const conditions[] = {
		"when { " ERRS " }",
		"when { true || " ERRS " }",
		"when { resource.weight == 3 || " ERRS " }",
		"when { resource.weight == 4 || " ERRS " }",
		"when { resource.weight == 3 && " ERRS " }",
		"when { resource.weight == 4 && " ERRS " }",
		"when { " ERRS " && resource.weight == 4 }",
		"when { " ERRS " || resource.weight == 3 }",
		"when { !(" ERRS ") }",
		"unless { " ERRS " }",
		"unless { resource.weight == 3 || " ERRS " }",
		"when { if resource.weight == 3 then true else " ERRS " }",
		"when { if resource.weight == 4 then true else " ERRS " }",
		"when { if " ERRS " then true else false }",
		"when { if resource.weight == 3 then " ERRS " else false }",
		"when { principal == Gov::Agent::\"b\" && " ERRS " }",
		"when { principal == Gov::Agent::\"a\" && " ERRS " }",
		"when { principal in Gov::Group::\"g\" && " ERRS " }",
		"when { " ERRS " && principal == Gov::Agent::\"b\" }",
		"when { principal.owner.active && resource.weight > 2 }",
		"when { context.approvals.hasTag(\"x\") && "
		"context.approvals.getTag(\"x\") > 1 }",
		"when { [1, 2, 3].contains(resource.weight) }",
		"when { context.evidence.containsAny([Gov::Evidence::"
		"\"plan\"]) || context.evidence.isEmpty() }",
		"when { context.ttl < duration(\"2h\") && "
		"context.now > datetime(\"2026-01-01\") }",
	};
	CLEANUP(json_put_p) json_t *ask = support_ask();
	unsigned allowed_count = 0, errors = 0;

	for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
		CLEANUP(mem_free_p)
		char *text = mem_format("@id(\"p0\") " ALL ";\n@id(\"f1\") "
					"forbid (principal is Gov::Agent, "
					"action, resource) %s;",
					conditions[i]);
		CLEANUP(policy_bundle_unref_p)
		struct policy_bundle *b =
			support_small(text, "@id(\"i1\") " ALL ";", NULL);
		CLEANUP(question_close) struct question q = { 0 };
		struct writ_cedar_answer answer;
		struct writ_cedar_error error;
		bool whole;

		if (!b)
			fail_msg("%s", conditions[i]);
		assert_int_equal(question_open(b, NULL, ask, &q), 0);
		assert_int_equal(question_ask(&q, NULL, POLICY_BOTH, &answer),
				 0);
		assert_int_equal(writ_cedar_query_run_whole(
					 q.query, POLICY_BOTH, &whole, &error),
				 0);
		if (answer.allow != whole)
			fail_msg("%s: %d, not %d", conditions[i], answer.allow,
				 whole);
		allowed_count += answer.allow;
		errors += answer.error_count > 0;
	}
	assert_true(allowed_count > 4);
	assert_true(errors > 6);
}

static void
a_variant_that_cannot_be_leaves_the_question_as_it_was(void **state UNUSED)
{
	static const struct writ_cedar_tag tags[] = { { "x", 1 } };
	struct writ_cedar_variant v = { .ttl = "1m",
					.approvals = tags,
					.approval_count = 1,
					.vary_approvals = true };
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_small(
		"@id(\"p1\") " ALL " when { context.ttl > duration(\"30m\") "
		"};",
		"@id(\"i1\") " ALL ";", NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(question_close) struct question q = { 0 };
	struct writ_cedar_answer answer;

	json_array_remove(json_object_get(ask, "entities"), 3); /* ledger */
	assert_int_equal(question_open(b, NULL, ask, &q), 0);
	assert_int_equal(question_ask(&q, NULL, POLICY_BOTH, &answer), 0);
	assert_true(answer.allow);
	assert_int_equal(question_ask(&q, &v, POLICY_BOTH, &answer),
			 ERR_SYNTAX);
	assert_int_equal(question_ask(&q, NULL, POLICY_BOTH, &answer), 0);
	assert_true(answer.allow);
	v.vary_approvals = false;
	assert_int_equal(question_ask(&q, &v, POLICY_BOTH, &answer), 0);
	assert_false(answer.allow);
	v.mode = "dance";
	assert_int_equal(question_ask(&q, &v, POLICY_BOTH, &answer),
			 ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_permit_in_both_sets_allows),
		cmocka_unit_test(an_empty_set_denies),
		cmocka_unit_test(what_the_invariants_do_not_allow_is_denied),
		cmocka_unit_test(a_forbid_wins),
		cmocka_unit_test(a_policy_that_errs_denies),
		cmocka_unit_test(an_invariant_that_errs_denies),
		cmocka_unit_test(errors_stand_where_cedar_has_them),
		cmocka_unit_test(
			a_variant_that_cannot_be_leaves_the_question_as_it_was),
		cmocka_unit_test(an_entity_that_is_missing_denies),
		cmocka_unit_test(a_question_the_schema_does_not_know_denies),
		cmocka_unit_test(facts_of_another_type_deny),
		cmocka_unit_test(a_real_number_is_refused),
		cmocka_unit_test(a_group_reached_through_the_world_counts),
		cmocka_unit_test(
			an_entity_of_the_ask_stands_in_for_one_of_the_world),
		cmocka_unit_test(a_world_that_does_not_fit_is_refused),
		cmocka_unit_test(a_world_of_another_schema_denies),
		cmocka_unit_test(the_index_answers_as_the_whole_set_does),
		cmocka_unit_test(a_world_of_ten_thousand_agents_works),
		cmocka_unit_test(a_quarantine_holds_among_a_thousand_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
