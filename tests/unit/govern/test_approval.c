#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crypto/sshsig.h"
#include "govern/approval.h"

static struct inventory *people(void)
{
	return support_inventory(
		"kind: Group\nmetadata: {name: approvers}\nspec: {}\n---\n"
		"kind: Group\nmetadata: {name: leads}\n"
		"spec: {parents: [approvers]}\n---\n"
		"kind: Group\nmetadata: {name: security}\nspec: {}\n---\n"
		"kind: Human\nmetadata: {name: alice}\n"
		"spec: {groups: [approvers, security]}\n---\n"
		"kind: Human\nmetadata: {name: bob}\n"
		"spec: {groups: [leads]}\n---\n"
		"kind: Human\nmetadata: {name: carol}\n"
		"spec: {groups: [security]}\n---\n"
		"kind: Human\nmetadata: {name: dave}\n"
		"spec: {groups: [approvers], status: suspended}\n---\n"
		"kind: Human\nmetadata: {name: eve}\n"
		"spec: {groups: [approvers], status: retired}\n---\n"
		"kind: Agent\nmetadata: {name: bot}\n"
		"spec: {owner: alice, purpose: tests, expires: "
		"'2030-01-01T00:00:00Z', capabilities: [execute], "
		"clearance: 0, identities: [x]}\n---\n"
		"kind: Agent\nmetadata: {name: other}\n"
		"spec: {owner: carol, purpose: tests, expires: "
		"'2030-01-01T00:00:00Z', capabilities: [execute], "
		"clearance: 0, identities: [y]}\n---\n"
		"kind: Plane\nmetadata: {name: p}\nspec: {sensitivity: 0}\n"
		"---\nkind: Domain\nmetadata: {name: d}\n"
		"spec: {approvers: approvers}\n---\n"
		"kind: TaskClass\nmetadata: {name: ops}\n"
		"spec: {owner: bob, purpose: tests, domain: d, planes: [p], "
		"openers: [bot], actions: [AddToGroup], maxTier: 2, "
		"longest: 1h}\n",
		NULL);
}

/* Rows "human group decision", separated by "; ". */
static json_t *signatures_of(const char *rows)
{
	CLEANUP(mem_free_p) char *copy = mem_str(rows);
	json_t *list = json_array();
	char *rest = NULL;

	for (char *row = strtok_r(copy, ";", &rest); row;
	     row = strtok_r(NULL, ";", &rest)) {
		char human[32], group[32], decision[32];
		json_t *approval = json_object();

		assert_int_equal(
			sscanf(row, "%31s %31s %31s", human, group, decision),
			3);
		json_set_text(approval, "human", human);
		json_set_text(approval, "group", group);
		json_set_text(approval, "decision", decision);
		json_array_append_new(list, approval);
	}
	return list;
}

static void expect(const char *rows, const char *barred_yaml,
		   const char *wanted)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = people();
	CLEANUP(json_put_p) json_t *signatures = signatures_of(rows);
	CLEANUP(json_put_p)
	json_t *barred = barred_yaml ? support_value(barred_yaml) : NULL;
	CLEANUP(json_put_p)
	json_t *counts = approval_count(inv, signatures, barred);
	CLEANUP(mem_free_p) char *text = json_canonical(counts);

	assert_string_equal(text, wanted);
}

static void people_count_for_the_group_they_signed_for(void **state UNUSED)
{
	expect("alice approvers approve; carol security approve", NULL,
	       "{\"approvers\":1,\"security\":1}");
	expect("", NULL, "{}");
}

static void a_human_counts_once_for_whichever_group(void **state UNUSED)
{
	expect("alice approvers approve; alice approvers approve", NULL,
	       "{\"approvers\":1}");
	expect("alice approvers approve; alice security approve", NULL,
	       "{\"approvers\":1}");
}

static void members_of_nested_groups_count(void **state UNUSED)
{
	expect("bob approvers approve; alice approvers approve", NULL,
	       "{\"approvers\":2}");
}

static void who_is_not_a_member_does_not_count(void **state UNUSED)
{
	expect("carol approvers approve; alice leads approve", NULL, "{}");
	expect("nobody approvers approve; alice none approve", NULL, "{}");
}

static void who_is_not_active_does_not_count(void **state UNUSED)
{
	expect("dave approvers approve; eve approvers approve", NULL, "{}");
}

static void who_is_barred_does_not_count(void **state UNUSED)
{
	expect("alice approvers approve; bob approvers approve", "[alice]",
	       "{\"approvers\":1}");
	expect("alice approvers approve", "[bob, alice]", "{}");
}

static void only_approve_approves(void **state UNUSED)
{
	expect("alice approvers deny; bob approvers Approve", NULL, "{}");
}

static void owners_gainers_and_vouchers_are_barred(void **state UNUSED)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = people();
	CLEANUP(json_put_p) json_t *humans = support_value("[dave, alice]");
	CLEANUP(json_put_p) json_t *agents = support_value("[other, none]");
	CLEANUP(json_put_p) json_t *vouched = support_value("[eve]");
	CLEANUP(json_put_p)
	json_t *barred =
		approval_barred(inv, "bot", "ops", humans, agents, vouched);
	CLEANUP(json_put_p)
	json_t *least = approval_barred(inv, "bot", "ops", NULL, NULL, NULL);
	CLEANUP(mem_free_p) char *all = json_canonical(barred);
	CLEANUP(mem_free_p) char *owners = json_canonical(least);

	assert_string_equal(all,
			    "[\"alice\",\"bob\",\"dave\",\"carol\",\"eve\"]");
	assert_string_equal(owners, "[\"alice\",\"bob\"]");
}

static void who_signed_is_found_whatever_they_said(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *signatures =
		signatures_of("alice approvers deny; bob leads approve");

	assert_true(approval_has(signatures, "alice"));
	assert_true(approval_has(signatures, "bob"));
	assert_false(approval_has(signatures, "ali"));
	assert_false(approval_has(NULL, "alice"));
}

static void a_signature_stands_as_long_as_its_key_does(void **state UNUSED)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(
		"kind: Human\nmetadata: {name: alice}\n"
		"spec: {keys: ['" KEY_A "']}\n---\n"
		"kind: Human\nmetadata: {name: bob}\nspec: {}\n",
		NULL);
	CLEANUP(json_put_p) json_t *approval = json_object();
	CLEANUP(mem_free_p) char *mine = NULL;
	CLEANUP(mem_free_p) char *other = NULL;
	struct ssh_key key;

	assert_int_equal(ssh_key_parse(KEY_A, &key), 0);
	mine = ssh_key_fingerprint(&key);
	assert_int_equal(ssh_key_parse(KEY_B, &key), 0);
	other = ssh_key_fingerprint(&key);
	json_set_text(approval, "human", "alice");
	assert_false(approval_key_stands(inv, approval));
	json_set_text(approval, "fingerprint", other);
	assert_false(approval_key_stands(inv, approval));
	json_set_text(approval, "fingerprint", mine);
	assert_true(approval_key_stands(inv, approval));
	json_set_text(approval, "human", "bob");
	assert_false(approval_key_stands(inv, approval));
	json_set_text(approval, "human", "nobody");
	assert_false(approval_key_stands(inv, approval));
}

/* What was signed in the place of a group that was silent. */
static void who_stands_in_for_a_group_counts_for_it(void **state UNUSED)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = people();
	CLEANUP(json_put_p)
	json_t *signs = support_value(
		"[{human: carol, group: approvers, insteadBy: security, "
		"decision: approve}, {human: bob, group: approvers, "
		"insteadBy: security, decision: approve}, {human: carol, "
		"group: approvers, decision: approve}]");
	CLEANUP(json_put_p) json_t *none = json_array();
	CLEANUP(json_put_p) json_t *barred = support_value("[carol]");
	CLEANUP(json_put_p)
	json_t *count = approval_count(inv, signs, none);
	CLEANUP(json_put_p)
	json_t *without = approval_count(inv, signs, barred);

	/* bob is none of those who stand in; carol counts once. */
	assert_int_equal(json_int(count, "approvers", 0), 1);
	assert_int_equal(json_int(count, "security", 0), 0);
	assert_int_equal(json_int(without, "approvers", 0), 0);
}

/* Ten thousand of them: a look at every pair would be noticed. */
static void very_many_who_gain_are_barred_once_each_and_in_order(void **state)
{
	CLEANUP(inventory_unref_p) struct inventory *inv = people();
	CLEANUP(json_put_p) json_t *gains = json_array();
	CLEANUP(json_put_p) json_t *barred = NULL;
	enum { MANY = 10000 };

	(void)state;
	for (int i = 0; i < 3 * MANY; i++) {
		CLEANUP(mem_free_p) char *name = mem_format("h%d", i % MANY);

		json_array_append_new(gains, json_string(name));
	}
	barred = approval_barred(inv, "bot", "ops", gains, NULL, gains);
	/* The owners of agent and class stand first. */
	assert_int_equal(json_array_size(barred), MANY + 2);
	assert_string_equal(json_string_value(json_array_get(barred, 0)),
			    "alice");
	assert_string_equal(json_string_value(json_array_get(barred, 2)), "h0");
	assert_string_equal(json_string_value(json_array_get(barred, MANY + 1)),
			    "h9999");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_stands_in_for_a_group_counts_for_it),
		cmocka_unit_test(people_count_for_the_group_they_signed_for),
		cmocka_unit_test(a_human_counts_once_for_whichever_group),
		cmocka_unit_test(members_of_nested_groups_count),
		cmocka_unit_test(who_is_not_a_member_does_not_count),
		cmocka_unit_test(who_is_not_active_does_not_count),
		cmocka_unit_test(who_is_barred_does_not_count),
		cmocka_unit_test(only_approve_approves),
		cmocka_unit_test(owners_gainers_and_vouchers_are_barred),
		cmocka_unit_test(
			very_many_who_gain_are_barred_once_each_and_in_order),
		cmocka_unit_test(who_signed_is_found_whatever_they_said),
		cmocka_unit_test(a_signature_stands_as_long_as_its_key_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
