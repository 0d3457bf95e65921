#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "govern/plan.h"

#define FOUND                                                                  \
	"{resource: 'cn=g', parameters: {member: 'uid=m'}, before: {member: "  \
	"false}, diff: [{op: add, attribute: member, value: 'uid=m'}], "       \
	"gains: "                                                              \
	"[{type: account, id: 'uid=m'}], loses: [], blastRadius: 1, undo: "    \
	"{action: RemoveFromGroup, resource: 'cn=g', parameters: {member: "    \
	"'uid=m'}}, precondition: {absent: 'uid=m'}, targetVersion: v1}"

static struct plan_parts parts_of(const json_t *found)
{
	return (struct plan_parts){
		.purpose = "request",
		.request = "req_1",
		.agent = "bot",
		.task = "tsk_1",
		.class_digest = "sha256:11",
		.intent = "sha256:22",
		.action = "AddToGroup",
		.target = "ldap",
		.target_digest = "sha256:33",
		.connector_build = "sha256:44",
		.tier = 2,
		.recommend = false,
		.ttl_s = 900,
		.found = found,
	};
}

static void digest_of_plan(const struct plan_parts *parts,
			   char ret_digest[DIGEST_TEXT_LEN])
{
	free(plan_text(parts, ret_digest));
}

static void a_plan_is_one_canonical_text(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *found = support_value(FOUND);
	struct plan_parts parts = parts_of(found);
	char digest[DIGEST_TEXT_LEN];
	CLEANUP(mem_free_p) char *text = plan_text(&parts, digest);

	assert_string_equal(
		text,
		"{\"action\":\"AddToGroup\",\"agent\":\"bot\","
		"\"blastRadius\":1,\"chain\":[],\"class\":\"sha256:11\","
		"\"connectorBuild\":\"sha256:44\",\"diff\":[{\"attribute\":"
		"\"member\",\"op\":\"add\",\"value\":\"uid=m\"}],\"gains\":"
		"[{\"id\":\"uid=m\",\"type\":\"account\"}],\"intent\":"
		"\"sha256:22\",\"loses\":[],\"mode\":\"execute\","
		"\"parameters\":{\"member\":\"uid=m\"},\"precondition\":"
		"{\"absent\":\"uid=m\"},\"purpose\":\"request\",\"request\":"
		"\"req_1\",\"resource\":\"cn=g\",\"target\":\"ldap\","
		"\"targetDigest\":\"sha256:33\",\"task\":\"tsk_1\","
		"\"tier\":2,\"ttl\":900,\"undo\":{\"action\":"
		"\"RemoveFromGroup\",\"parameters\":{\"member\":\"uid=m\"},"
		"\"resource\":\"cn=g\"},\"v\":1}");
}

static void its_digest_is_sha_256_of_the_text(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *found = support_value(FOUND);
	struct plan_parts parts = parts_of(found);
	char digest[DIGEST_TEXT_LEN];
	char wanted[DIGEST_TEXT_LEN];
	CLEANUP(mem_free_p) char *text = plan_text(&parts, digest);
	struct digest again = digest_of(slice_str(text));

	digest_format(&again, wanted);
	assert_string_equal(digest, wanted);
}

static void what_was_not_found_stands_as_empty(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *found = json_object();
	struct plan_parts parts = parts_of(found);
	char digest[DIGEST_TEXT_LEN];
	CLEANUP(mem_free_p) char *text = plan_text(&parts, digest);
	CLEANUP(json_put_p) json_t *plan = support_value(text);

	assert_true(json_is_null(json_object_get(plan, "resource")));
	assert_true(json_is_null(json_object_get(plan, "undo")));
	assert_true(json_is_null(json_object_get(plan, "blastRadius")));
	assert_int_equal(json_array_size(json_object_get(plan, "gains")), 0);
	assert_true(json_is_array(json_object_get(plan, "diff")));
	assert_true(json_is_object(json_object_get(plan, "precondition")));
}

/* ---- one byte ---- */

static void expect_digest(const struct plan_parts *parts, const char *base,
			  bool same)
{
	char digest[DIGEST_TEXT_LEN];

	digest_of_plan(parts, digest);
	assert_int_equal(!strcmp(digest, base), same);
}

static void any_part_that_changes_makes_another_plan(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *found = support_value(FOUND);
	CLEANUP(json_put_p) json_t *chain = support_value("[conductor]");
	struct plan_parts base = parts_of(found);
	const struct plan_parts others[] = {
#define OTHER(member, value)                                                   \
	({                                                                     \
		struct plan_parts other_ = base;                               \
		other_.member = value;                                         \
		other_;                                                        \
	})
		OTHER(purpose, "end"),
		OTHER(request, "req_2"),
		OTHER(agent, "bo"),
		OTHER(chain, chain),
		OTHER(task, "tsk_2"),
		OTHER(class_digest, "sha256:12"),
		OTHER(intent, "sha256:23"),
		OTHER(action, "RemoveFromGroup"),
		OTHER(target, "ldaq"),
		OTHER(target_digest, "sha256:34"),
		OTHER(connector_build, "sha256:45"),
		OTHER(tier, 3),
		OTHER(recommend, true),
		OTHER(ttl_s, 901),
		OTHER(not_after, "2026-01-01T00:00:00.000Z"),
#undef OTHER
	};
	char digest[DIGEST_TEXT_LEN];

	digest_of_plan(&base, digest);
	expect_digest(&base, digest, true);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		expect_digest(&others[i], digest, false);
}

static void one_byte_of_what_was_found_makes_another_plan(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *found = support_value(FOUND);
	struct plan_parts base = parts_of(found);
	char digest[DIGEST_TEXT_LEN];
	static const char *const members[] = {
		"resource", "parameters",  "diff", "gains",
		"loses",    "blastRadius", "undo", "precondition",
	};

	digest_of_plan(&base, digest);
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		CLEANUP(json_put_p) json_t *other = json_deep_copy(found);
		struct plan_parts parts = parts_of(other);

		json_set_text(other, members[i], "x");
		expect_digest(&parts, digest, false);
	}
}

static void the_version_of_the_entry_is_beside_the_plan(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *found = support_value(FOUND);
	CLEANUP(json_put_p) json_t *later = support_value(FOUND);
	struct plan_parts base = parts_of(found);
	struct plan_parts parts = parts_of(later);
	char digest[DIGEST_TEXT_LEN];

	digest_of_plan(&base, digest);
	json_set_text(later, "targetVersion", "v2");
	json_set_flag(later, "noChange", true);
	expect_digest(&parts, digest, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_is_one_canonical_text),
		cmocka_unit_test(its_digest_is_sha_256_of_the_text),
		cmocka_unit_test(what_was_not_found_stands_as_empty),
		cmocka_unit_test(any_part_that_changes_makes_another_plan),
		cmocka_unit_test(one_byte_of_what_was_found_makes_another_plan),
		cmocka_unit_test(the_version_of_the_entry_is_beside_the_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
