#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

/* One that is right of each kind, in order of the enum. */
static const char *const sound[MANIFEST_KIND_COUNT] = {
	[MANIFEST_PLANE] = "kind: Plane\nmetadata: {name: p}\n"
			   "spec: {sensitivity: 4}\n",
	[MANIFEST_DOMAIN] = "kind: Domain\nmetadata: {name: d}\n"
			    "spec: {approvers: g}\n",
	[MANIFEST_GROUP] = "kind: Group\nmetadata: {name: g, description: x}\n"
			   "spec: {}\n",
	[MANIFEST_HUMAN] = "kind: Human\nmetadata: {name: h}\n"
			   "spec: {groups: [g], keys: ['" KEY_A
			   "'], email: 'h@example.org', timezone: UTC, "
			   "status: active, accounts: ['t/uid=h']}\n",
	[MANIFEST_TRUST_DOMAIN] =
		"kind: TrustDomain\nmetadata: {name: t}\n"
		"spec: {trustDomain: example.org, bundleFile: /b.json}\n",
	[MANIFEST_AGENT] = "kind: Agent\nmetadata: {name: a}\n"
			   "spec:\n"
			   "  owner: h\n"
			   "  purpose: tests\n"
			   "  expires: '2030-01-01T00:00:00Z'\n"
			   "  capabilities: [execute]\n"
			   "  clearance: 2\n"
			   "  identities: ['spiffe://example.org/a']\n",
	[MANIFEST_TARGET] =
		"kind: Target\nmetadata: {name: t}\n"
		"spec: {connector: ldap, owner: h, plane: p, domain: d, "
		"environment: prod, classification: [{match: {suffix: x}, "
		"tier: 0, sensitivity: 0, signOff: true}], drillDays: 7}\n",
	[MANIFEST_TASK_CLASS] =
		"kind: TaskClass\nmetadata: {name: c}\n"
		"spec: {owner: h, purpose: tests, domain: d, planes: [p], "
		"openers: [a], actions: [AddToGroup, RemoveFromGroup], "
		"maxTier: 3, longest: 8h, requiresEvidence: [prompt], "
		"approvalWithin: 2h, softwareKeys: true}\n",
	[MANIFEST_POLICY_BUNDLE] =
		"kind: PolicyBundle\nmetadata: {name: b}\n"
		"spec: {schema: s, policies: {a.cedar: p}, invariants: i, "
		"templates: t, scenarios: [1, {x: null}]}\n",
	[MANIFEST_DETECTOR] =
		"kind: Detector\nmetadata: {name: e}\n"
		"spec: {owner: h, status: active, keys: ['ssh-ed25519 AAAA'], "
		"signals: [anomaly], maxScore: 90, agent: a}\n",
	[MANIFEST_CHANGE_FREEZE] =
		"kind: ChangeFreeze\nmetadata: {name: f}\n"
		"spec: {begin: '2030-01-01T00:00:00Z', end: "
		"'2030-01-02T00:00:00Z', reason: books, domains: [d]}\n",
};

/* Faults with lines and columns of a YAML text, owned. */
static char *faults_of(const char *text)
{
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;

	assert_int_equal(yaml_parse(slice_str(text), &documents, &places), 0);
	manifest_check(json_array_get(documents, 0), places, &faults);
	return support_faults(faults);
}

static void expect(const char *text, const char *wanted)
{
	CLEANUP(mem_free_p) char *found = faults_of(text);

	assert_string_equal(found, wanted);
}

static void a_right_manifest_of_each_kind_is_taken(void **state UNUSED)
{
	for (int kind = 0; kind < MANIFEST_KIND_COUNT; kind++) {
		CLEANUP(json_put_p) json_t *m = support_value(sound[kind]);
		enum manifest_kind found;

		expect(sound[kind], "");
		assert_true(
			manifest_kind_find(json_text(m, "kind", NULL), &found));
		assert_int_equal(found, kind);
		assert_string_equal(manifest_kind_name(found),
				    json_text(m, "kind", NULL));
		assert_non_null(manifest_kind_spec(found));
	}
	assert_false(manifest_kind_find("agent", &(enum manifest_kind){ 0 }));
	assert_false(manifest_kind_find(NULL, &(enum manifest_kind){ 0 }));
}

static void every_kind_refuses_members_it_does_not_know(void **state UNUSED)
{
	for (int kind = 0; kind < MANIFEST_KIND_COUNT; kind++) {
		CLEANUP(json_put_p) json_t *m = support_value(sound[kind]);
		CLEANUP(json_put_p) json_t *faults = NULL;
		CLEANUP(mem_free_p) char *found = NULL;

		json_set_flag(json_object_get(m, "spec"), "odd", true);
		json_set_flag(json_object_get(m, "metadata"), "odd", true);
		json_set_flag(m, "odd", true);
		manifest_check(m, NULL, &faults);
		found = support_faults(faults);
		assert_string_equal(found, "/metadata/odd: unknown member\n"
					   "/spec/odd: unknown member\n"
					   "/odd: unknown member\n");
	}
}

/* The sound manifest of a kind, each of whose required members is taken away
 * in turn. */
static void expect_required(enum manifest_kind kind)
{
	const struct schema *rows = manifest_kind_spec(kind);

	for (; rows->name; rows++) {
		CLEANUP(json_put_p) json_t *m = support_value(sound[kind]);
		CLEANUP(json_put_p) json_t *faults = NULL;
		CLEANUP(mem_free_p) char *found = NULL;
		CLEANUP(mem_free_p) char *wanted = NULL;

		if (!rows->required)
			continue;
		json_object_del(json_object_get(m, "spec"), rows->name);
		manifest_check(m, NULL, &faults);
		found = support_faults(faults);
		wanted = mem_format("/spec/%s: is required\n", rows->name);
		assert_string_equal(found, wanted);
	}
}

static void what_a_kind_requires_must_be_there(void **state UNUSED)
{
	for (int kind = 0; kind < MANIFEST_KIND_COUNT; kind++)
		expect_required((enum manifest_kind)kind);
}

static void an_agent_without_owner_purpose_expiry_or_capabilities_is_refused(
	void **state UNUSED)
{
	expect("kind: Agent\nmetadata: {name: a}\nspec:\n  clearance: 2\n"
	       "  identities: ['spiffe://example.org/a']\n",
	       "4:3: spec.owner: is required\n"
	       "4:3: spec.purpose: is required\n"
	       "4:3: spec.expires: is required\n"
	       "4:3: spec.capabilities: is required\n");
	expect("kind: Agent\nmetadata: {name: a}\nspec:\n  owner: ''\n"
	       "  purpose: x\n  expires: soon\n  capabilities: []\n"
	       "  clearance: 5\n  identities: []\n",
	       "4:3: spec.owner: must be a name: 1 to 63 of a-z, 0-9 and "
	       "inner '-', '.', '_'\n"
	       "5:3: spec.purpose: must be at least 3 bytes\n"
	       "6:3: spec.expires: must be a time such as "
	       "2026-11-23T10:00:00Z\n"
	       "7:3: spec.capabilities: must have from 1 to 4 elements\n"
	       "8:3: spec.clearance: must be from 0 to 4\n"
	       "9:3: spec.identities: must have from 1 to 8 elements\n");
}

static void what_is_no_manifest_is_refused(void **state UNUSED)
{
	expect("kind: Robot\nmetadata: {name: a}\nspec: {}\n",
	       "1:1: kind: must be one of Plane|Domain|Group|Human|"
	       "TrustDomain|Agent|Target|TaskClass|PolicyBundle|Detector|"
	       "ChangeFreeze\n");
	expect("kind: Group\n", "1:1: metadata: is required\n"
				"1:1: spec: is required\n");
	expect("kind: Group\nmetadata: {name: 'a/b'}\nspec: {}\n",
	       "2:12: metadata.name: must be a name: 1 to 63 of a-z, 0-9 and "
	       "inner '-', '.', '_'\n");
	expect("[]", "1:1: must be an object\n");
	expect("kind: Group\nmetadata: {name: a}\nspec: [1]\n",
	       "3:1: spec: must be an object\n");
}

static void its_id_is_kind_and_name(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *m = support_value(sound[MANIFEST_AGENT]);
	CLEANUP(mem_free_p) char *id = manifest_id(m);

	assert_string_equal(id, "Agent/a");
}

/* ---- digests ---- */

static json_t *reversed(const json_t *list)
{
	json_t *out = json_array();

	for (size_t i = json_array_size(list); i-- > 0;)
		json_array_append(out, json_array_get(list, i));
	return out;
}

static json_t *all_sound(void)
{
	json_t *list = json_array();

	for (int kind = 0; kind < MANIFEST_KIND_COUNT; kind++)
		json_array_append_new(list, support_value(sound[kind]));
	json_array_append_new(list,
			      support_value("kind: Group\nmetadata: {name: "
					    "another}\nspec: {}\n"));
	return list;
}

static void
the_digest_of_a_set_does_not_depend_on_its_order(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *one = all_sound();
	CLEANUP(json_put_p) json_t *other = reversed(one);
	CLEANUP(json_put_p) json_t *ordered = NULL;
	struct digest a = manifest_set_digest(one, false, &ordered);
	struct digest b = manifest_set_digest(other, false, NULL);
	CLEANUP(mem_free_p)
	char *third = manifest_id(json_array_get(ordered, 2));

	assert_true(digest_equals(&a, &b));
	assert_string_equal(third, "Group/another");
	assert_int_equal(json_array_size(ordered), json_array_size(one));
}

static void anything_else_in_a_set_changes_its_digest(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *set = all_sound();
	struct digest whole = manifest_set_digest(set, false, NULL);
	struct digest pruned = manifest_set_digest(set, true, NULL);
	struct digest less;

	assert_false(digest_equals(&whole, &pruned));
	json_array_remove(set, 0);
	less = manifest_set_digest(set, false, NULL);
	assert_false(digest_equals(&whole, &less));
}

static void
the_digest_of_a_manifest_is_that_of_its_canonical_form(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *m = support_value("spec: {}\nmetadata: {name: g}\n"
				  "kind: Group\n");
	struct digest found = manifest_digest(m);
	struct digest wanted = digest_of(
		slice_str("{\"kind\":\"Group\",\"metadata\":{\"name\":\"g\"},"
			  "\"spec\":{}}"));

	assert_true(digest_equals(&found, &wanted));
}

/* ---- differences ---- */

static void expect_diff(const char *old, const char *new, const char *wanted)
{
	CLEANUP(json_put_p) json_t *a = old ? support_value(old) : NULL;
	CLEANUP(json_put_p) json_t *b = new ? support_value(new) : NULL;
	CLEANUP(json_put_p) json_t *diff = manifest_diff(a, b);
	CLEANUP(mem_free_p) char *text = json_canonical(diff);

	assert_string_equal(text, wanted);
}

static void a_difference_says_what_was_and_what_is(void **state UNUSED)
{
	expect_diff("spec: {a: 1, b: {c: x, d: y}}",
		    "spec: {a: 1, b: {c: z, d: y}}",
		    "[{\"new\":\"z\",\"old\":\"x\",\"path\":\"/b/c\"}]");
	expect_diff("spec: {a: [1]}", "spec: {a: [2]}",
		    "[{\"new\":[2],\"old\":[1],\"path\":\"/a\"}]");
	expect_diff(
		"spec: {a: 1}", "spec: {b: 2}",
		"[{\"old\":1,\"path\":\"/a\"},{\"new\":2,\"path\":\"/b\"}]");
	expect_diff(NULL, "spec: {a: 1}", "[{\"new\":1,\"path\":\"/a\"}]");
	expect_diff("spec: {a: 1}", NULL, "[{\"old\":1,\"path\":\"/a\"}]");
	expect_diff("spec: {a: {b: 1}}", "spec: {a: 1}",
		    "[{\"new\":1,\"old\":{\"b\":1},\"path\":\"/a\"}]");
}

static void nothing_differs_from_itself(void **state UNUSED)
{
	for (int kind = 0; kind < MANIFEST_KIND_COUNT; kind++)
		expect_diff(sound[kind], sound[kind], "[]");
}

static void a_path_of_a_difference_is_a_json_pointer(void **state UNUSED)
{
	expect_diff("spec: {policies: {'a/b~c': old}}",
		    "spec: {policies: {'a/b~c': new}}",
		    "[{\"new\":\"new\",\"old\":\"old\","
		    "\"path\":\"/policies/a~1b~0c\"}]");
}

static void what_is_put_in_place_replaces_what_has_its_name(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *list = support_yaml("kind: Group\nmetadata: {name: a}\n---\n"
				    "kind: Human\nmetadata: {name: a}\n---\n"
				    "kind: Group\nmetadata: {name: a}\n"
				    "spec: {parents: [b]}\n");
	CLEANUP(json_put_p) json_t *all = json_object();

	json_set_text(all, "Group/other", "stays");
	manifests_put(all, list);
	assert_int_equal(json_object_size(all), 3);
	assert_ptr_equal(json_object_get(all, "Group/a"),
			 json_array_get(list, 2));
	assert_ptr_equal(json_object_get(all, "Human/a"),
			 json_array_get(list, 1));
	assert_non_null(json_object_get(all, "Group/other"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_manifest_of_each_kind_is_taken),
		cmocka_unit_test(every_kind_refuses_members_it_does_not_know),
		cmocka_unit_test(what_a_kind_requires_must_be_there),
		cmocka_unit_test(
			an_agent_without_owner_purpose_expiry_or_capabilities_is_refused),
		cmocka_unit_test(what_is_no_manifest_is_refused),
		cmocka_unit_test(its_id_is_kind_and_name),
		cmocka_unit_test(
			the_digest_of_a_set_does_not_depend_on_its_order),
		cmocka_unit_test(anything_else_in_a_set_changes_its_digest),
		cmocka_unit_test(
			the_digest_of_a_manifest_is_that_of_its_canonical_form),
		cmocka_unit_test(a_difference_says_what_was_and_what_is),
		cmocka_unit_test(nothing_differs_from_itself),
		cmocka_unit_test(a_path_of_a_difference_is_a_json_pointer),
		cmocka_unit_test(
			what_is_put_in_place_replaces_what_has_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
