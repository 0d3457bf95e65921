#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "support.h"

#define ALL "@id(\"p1\") permit (principal, action, resource);\n"
#define CEILING "@id(\"i1\") permit (principal, action, resource);\n"
#define FORBID "forbid (principal is Gov::Agent, action, resource) "

/* Everybody named here is a member of every group. */
static size_t members(void *cookie, const char *group UNUSED,
		      const char **names, size_t max)
{
	const char *const *humans = cookie;
	size_t count = 0;

	while (humans[count] && count < max) {
		names[count] = humans[count];
		count++;
	}
	return count;
}

static const char *const three[] = { "x", "y", "z", NULL };

static struct policy_verdict decide_by(const char *policies, const json_t *ask,
				       const char *const *humans)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_small(policies, CEILING, NULL);
	struct policy_people people = { members, (void *)(uintptr_t)humans };
	struct policy_verdict v;

	assert_non_null(b);
	assert_int_equal(
		policy_decide(b, NULL, ask, humans ? &people : NULL, &v), 0);
	return v;
}

static void expect(const char *policies, const json_t *ask,
		   enum policy_decision decision, const char *requires)
{
	CLEANUP(policy_verdict_clear)
	struct policy_verdict v = decide_by(policies, ask, three);
	CLEANUP(json_put_p) json_t *want = support_json(requires);

	assert_int_equal(v.decision, decision);
	assert_true(json_equal(v.requires, want));
	assert_false(v.nobody);
}

static void what_is_allowed_asks_nothing(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();

	expect(ALL, ask, POLICY_ALLOW, "{}");
}

static void a_guard_is_lifted_by_nothing(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();

	expect(ALL "@id(\"g1\") forbid (principal, action, resource is "
		   "Gov::Thing) when { resource.weight > 2 };",
	       ask, POLICY_DENY, "{}");
}

#define NEEDS_TWO                                                              \
	"@id(\"r1\") " FORBID "unless { context.approvals.hasTag(\"g\") && "   \
	"context.approvals.getTag(\"g\") >= 2 };\n"

static void the_least_of_each_group_is_asked(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();

	expect(ALL NEEDS_TWO, ask, POLICY_PENDING, "{'approvals': {'g': 2}}");
	expect(ALL NEEDS_TWO "@id(\"r2\") " FORBID
			     "unless { context.approvals.hasTag(\"h\") && "
			     "context.approvals.getTag(\"h\") > 0 };",
	       ask, POLICY_PENDING, "{'approvals': {'g': 2, 'h': 1}}");
}

static void approvals_given_count(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();
	json_t *ledger = json_array_get(json_object_get(ask, "entities"), 3);

	json_set_int(json_object_get(ledger, "tags"), "g", 1);
	expect(ALL NEEDS_TWO, ask, POLICY_PENDING, "{'approvals': {'g': 2}}");
	json_set_int(json_object_get(ledger, "tags"), "g", 2);
	expect(ALL NEEDS_TWO, ask, POLICY_ALLOW, "{}");
	json_set_int(json_object_get(ledger, "tags"), "g", -9);
	expect(ALL NEEDS_TWO, ask, POLICY_PENDING, "{'approvals': {'g': 2}}");
}

static const char can_approve[] =
	ALL NEEDS_TWO "@id(\"g9\") forbid (principal is Gov::Human, action, "
		      "resource is Gov::Request) when { "
		      "resource.barred.contains(principal) };";

static void bar(json_t *ask, const char *human)
{
	json_t *request = json_array_get(json_object_get(ask, "entities"), 4);
	json_t *barred =
		json_object_get(json_object_get(request, "attrs"), "barred");

	json_array_append_new(barred,
			      json_pack("{s:{s:s, s:s}}", "__entity", "type",
					"Gov::Human", "id", human));
}

static void only_those_who_may_approve_are_counted(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_verdict_clear) struct policy_verdict one = { 0 };
	CLEANUP(policy_verdict_clear) struct policy_verdict two = { 0 };

	bar(ask, "x");
	one = decide_by(can_approve, ask, three);
	assert_int_equal(one.decision, POLICY_PENDING);
	bar(ask, "z");
	two = decide_by(can_approve, ask, three);
	assert_int_equal(two.decision, POLICY_DENY);
	assert_true(two.nobody);
	assert_true(json_has_text(two.policies, "r1"));
	assert_int_equal(json_object_size(two.requires), 0);
}

static void without_people_nobody_may_approve(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_verdict_clear)
	struct policy_verdict v = decide_by(ALL NEEDS_TWO, ask, NULL);

	assert_int_equal(v.decision, POLICY_DENY);
	assert_true(v.nobody);
}

static void
a_request_that_is_not_there_is_approved_by_nobody(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_verdict_clear) struct policy_verdict v = { 0 };

	json_array_remove(json_object_get(ask, "entities"), 4);
	v = decide_by(can_approve, ask, three);
	assert_int_equal(v.decision, POLICY_DENY);
	assert_true(v.nobody);
}

static void evidence_that_is_missing_is_named(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();

	expect(ALL "@id(\"r1\") " FORBID "unless { context.evidence.contains("
		   "Gov::Evidence::\"plan\") };\n"
		   "@id(\"r2\") " FORBID
		   "when { context.ttl > duration(\"2h\") } unless { "
		   "context.evidence.contains(Gov::Evidence::\"ticket\") };",
	       ask, POLICY_PENDING, "{'evidence': ['plan']}");
}

static void the_longest_time_is_found(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();

	expect(ALL "@id(\"r1\") " FORBID
		   "when { context.ttl > duration(\"17m11s\") };",
	       ask, POLICY_PENDING, "{'maxTtl': '17m11s'}");
	/* less than a minute is never proposed */
	expect(ALL "@id(\"r1\") " FORBID
		   "when { context.ttl > duration(\"59s\") };",
	       ask, POLICY_DENY, "{}");
	expect(ALL "@id(\"r1\") " FORBID
		   "when { context.ttl > duration(\"60s\") };",
	       ask, POLICY_PENDING, "{'maxTtl': '1m'}");
}

static void time_and_evidence_come_before_people(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();

	expect(ALL NEEDS_TWO
	       "@id(\"r2\") " FORBID
	       "when { context.ttl > duration(\"15m\") };\n"
	       "@id(\"r3\") " FORBID "unless { context.evidence.containsAll(["
	       "Gov::Evidence::\"ticket\", Gov::Evidence::\"plan\"]) };",
	       ask, POLICY_PENDING,
	       "{'maxTtl': '15m', 'evidence': ['ticket', 'plan'],"
	       " 'approvals': {'g': 2}}");
}

static void a_question_that_cannot_be_put_is_denied(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_small(ALL, CEILING, NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_verdict_clear) struct policy_verdict v = { 0 };

	json_set_text(ask, "action", "Fly");
	assert_int_equal(policy_decide(b, NULL, ask, NULL, &v), ERR_SYNTAX);
	assert_int_equal(v.decision, POLICY_DENY);
	assert_true(json_has_text(v.errors, "request"));
	assert_non_null(v.policies);
	assert_non_null(v.requires);
}

static void what_erred_is_denied_whatever_people_add(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *ask = support_ask();
	CLEANUP(policy_verdict_clear)
	struct policy_verdict v = decide_by(
		ALL NEEDS_TWO "@id(\"r2\") forbid (principal, action, resource "
			      "is Gov::Thing) when { resource.weight * "
			      "9223372036854775807 > 1 };",
		ask, three);

	assert_int_equal(v.decision, POLICY_DENY);
	assert_true(json_has_text(v.errors, "r2"));
}

static void a_ceiling_is_lifted_by_nothing(void **state UNUSED)
{
	CLEANUP(policy_bundle_unref_p)
	struct policy_bundle *b = support_small(ALL NEEDS_TWO, "", NULL);
	CLEANUP(json_put_p) json_t *ask = support_ask();
	struct policy_people people = { members, (void *)(uintptr_t)three };
	CLEANUP(policy_verdict_clear) struct policy_verdict v = { 0 };

	assert_int_equal(policy_decide(b, NULL, ask, &people, &v), 0);
	assert_int_equal(v.decision, POLICY_DENY);
	assert_true(json_has_text(v.errors, "ceiling"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_allowed_asks_nothing),
		cmocka_unit_test(a_guard_is_lifted_by_nothing),
		cmocka_unit_test(the_least_of_each_group_is_asked),
		cmocka_unit_test(approvals_given_count),
		cmocka_unit_test(only_those_who_may_approve_are_counted),
		cmocka_unit_test(without_people_nobody_may_approve),
		cmocka_unit_test(
			a_request_that_is_not_there_is_approved_by_nobody),
		cmocka_unit_test(evidence_that_is_missing_is_named),
		cmocka_unit_test(the_longest_time_is_found),
		cmocka_unit_test(time_and_evidence_come_before_people),
		cmocka_unit_test(a_question_that_cannot_be_put_is_denied),
		cmocka_unit_test(what_erred_is_denied_whatever_people_add),
		cmocka_unit_test(a_ceiling_is_lifted_by_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
