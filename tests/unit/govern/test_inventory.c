#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

#define GROUP(name, parents)                                                   \
	"kind: Group\nmetadata: {name: " name "}\nspec: {parents: [" parents   \
	"]}\n---\n"
#define HUMAN(name, more)                                                      \
	"kind: Human\nmetadata: {name: " name "}\nspec: {" more "}\n---\n"
#define AGENT(name, more)                                                      \
	"kind: Agent\nmetadata: {name: " name "}\n"                            \
	"spec: {owner: alice, purpose: tests, expires: "                       \
	"'2030-01-01T00:00:00Z', capabilities: [execute], clearance: 2, "      \
	"identities: ['spiffe://example.org/" name "'] " more "}\n---\n"
#define PLACES                                                                 \
	"kind: Plane\nmetadata: {name: directory}\nspec: {sensitivity: 2}\n"   \
	"---\nkind: Domain\nmetadata: {name: corp}\nspec: {approvers: "        \
	"owners}\n---\n" GROUP("owners", "")
#define TARGET(rules)                                                          \
	"kind: Target\nmetadata: {name: ldap}\nspec: {connector: ldap, "       \
	"owner: "                                                              \
	"alice, plane: directory, domain: corp, environment: staging, "        \
	"classification: [" rules "]}\n---\n"
#define TASK_CLASS                                                             \
	"kind: TaskClass\nmetadata: {name: ops}\nspec: {owner: alice, "        \
	"purpose: tests, domain: corp, planes: [directory], openers: [bot], "  \
	"actions: [AddToGroup], maxTier: 2, longest: 1h}\n---\n"

/* ---- references ---- */

static void expect_faults(const char *text, const char *wanted)
{
	CLEANUP(mem_free_p) char *faults = NULL;
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(text, &faults);

	assert_string_equal(faults, wanted);
	assert_true(!inv == (*wanted != '\0'));
}

static void a_set_whose_references_hold_is_taken(void **state UNUSED)
{
	expect_faults(PLACES HUMAN("alice", "groups: [owners]") AGENT("bot", "")
			      TARGET("{match: {}, tier: 0, sensitivity: 0}")
				      TASK_CLASS,
		      "");
}

static void each_reference_that_does_not_hold_is_named(void **state UNUSED)
{
	expect_faults("kind: Domain\nmetadata: {name: corp}\n"
		      "spec: {approvers: none}\n",
		      "Domain/corp: spec.approvers: there is no Group "
		      "'none'\n");
	expect_faults(GROUP("a", "none"), "Group/a: spec.parents: there is no "
					  "Group 'none'\n");
	expect_faults(HUMAN("a", "groups: [x, y]"),
		      "Human/a: spec.groups: there is no Group 'x'\n"
		      "Human/a: spec.groups: there is no Group 'y'\n");
	expect_faults(AGENT("bot", ""),
		      "Agent/bot: spec.owner: there is no Human 'alice'\n");
	expect_faults(TARGET("{match: {}, tier: 0, sensitivity: 0}"),
		      "Target/ldap: spec.owner: there is no Human 'alice'\n"
		      "Target/ldap: spec.plane: there is no Plane "
		      "'directory'\n"
		      "Target/ldap: spec.domain: there is no Domain 'corp'\n");
	expect_faults(TASK_CLASS,
		      "TaskClass/ops: spec.owner: there is no Human 'alice'\n"
		      "TaskClass/ops: spec.domain: there is no Domain 'corp'\n"
		      "TaskClass/ops: spec.planes: there is no Plane "
		      "'directory'\n"
		      "TaskClass/ops: spec.openers: there is no Agent 'bot'\n");
}

static void an_identity_has_one_agent(void **state UNUSED)
{
	expect_faults(
		HUMAN("alice", "") AGENT("one", "") AGENT(
			"two", ", accounts: []") "kind: Agent\n"
						 "metadata: {name: three}\n"
						 "spec: {owner: alice, "
						 "purpose: tests, "
						 "expires: "
						 "'2030-01-01T00:00:00Z', "
						 "capabilities: [analyze], "
						 "clearance: 0, identities: "
						 "['spiffe://example.org/"
						 "one']}\n",
		"Agent/three: identity 'spiffe://example.org/one' is already "
		"that of Agent/one\n");
}

static void an_account_has_one_owner(void **state UNUSED)
{
	expect_faults(HUMAN("alice", "accounts: ['ldap/uid=a']")
			      HUMAN("bob", "accounts: ['ldap/uid=a']"),
		      "Human/bob: account 'ldap/uid=a' is already that of "
		      "Human/alice\n");
	expect_faults(HUMAN("alice", "accounts: ['ldap/uid=a']")
			      AGENT("bot", ", accounts: ['ldap/uid=a']"),
		      "Agent/bot: account 'ldap/uid=a' is already that of "
		      "Human/alice\n");
}

static void a_key_that_nobody_can_sign_with_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *faults = NULL;
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(
		HUMAN("a", "keys: ['" KEY_A "', 'ssh-ed25519 AAAAnokey']"),
		&faults);

	assert_null(inv);
	assert_non_null(strstr(faults, "Human/a: spec.keys[1]: "));
	assert_null(strstr(faults, "spec.keys[0]"));
}

/* ---- groups ---- */

static void a_cycle_of_groups_is_refused(void **state UNUSED)
{
	expect_faults(GROUP("a", "a"), "Group/a: spec.parents: a cycle of "
				       "groups, or more than 16 deep\n");
	expect_faults(GROUP("a", "b") GROUP("b", "c") GROUP("c", "a")
			      GROUP("d", ""),
		      "Group/a: spec.parents: a cycle of groups, or more than "
		      "16 deep\n"
		      "Group/b: spec.parents: a cycle of groups, or more than "
		      "16 deep\n"
		      "Group/c: spec.parents: a cycle of groups, or more than "
		      "16 deep\n");
}

/* g0 has no parent, g1 has g0, and so on; alice is in the last. */
static char *chain_of(int levels)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 16);

	buf_put_str(&b, GROUP("g0", ""));
	for (int i = 1; i <= levels; i++)
		buf_putf(&b, GROUP("g%d", "g%d"), i, i - 1);
	buf_putf(&b, HUMAN("alice", "groups: [g%d]"), levels);
	return buf_take_text(&b);
}

static void groups_nest_sixteen_deep_and_no_deeper(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *deep = chain_of(16);
	CLEANUP(mem_free_p) char *deeper = chain_of(17);
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(deep, NULL);

	assert_true(inventory_is_member(inv, "alice", "g0"));
	expect_faults(deeper, "Group/g17: spec.parents: a cycle of groups, or "
			      "more than 16 deep\n");
}

/* Each group of a level is in every group of the level above: the ways up are
 * more than could ever be walked one by one. */
static char *lattice_of(int levels, int width)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 20);

	for (int level = 0; level <= levels; level++) {
		for (int i = 0; i < width; i++) {
			buf_putf(&b,
				 "kind: Group\nmetadata: {name: g%d-%d}\n"
				 "spec: {parents: [",
				 level, i);
			for (int p = 0; level && p < width; p++)
				buf_putf(&b, "%sg%d-%d", p ? ", " : "",
					 level - 1, p);
			buf_put_str(&b, "]}\n---\n");
		}
	}
	buf_putf(&b, HUMAN("alice", "groups: [g%d-0]"), levels);
	return buf_take_text(&b);
}

static void groups_in_many_groups_take_no_longer(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = lattice_of(16, 16);
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(text, NULL);

	assert_true(inventory_is_member(inv, "alice", "g0-15"));
	assert_false(inventory_is_member(inv, "alice", "g16-1"));
}

static void
members_of_nested_groups_are_found_once_in_order(void **state UNUSED)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(
		GROUP("top", "") GROUP("left", "top") GROUP("right", "top")
			HUMAN("zoe", "groups: [left, right]")
				HUMAN("amy", "groups: [top]") HUMAN("bob", ""),
		NULL);
	const char *names[4];

	assert_int_equal(inventory_members(inv, "top", names, 4), 2);
	assert_string_equal(names[0], "amy");
	assert_string_equal(names[1], "zoe");
	assert_int_equal(inventory_members(inv, "top", names, 1), 1);
	assert_int_equal(inventory_members(inv, "none", names, 4), 0);
	assert_true(inventory_is_member(inv, "zoe", "right"));
	assert_false(inventory_is_member(inv, "amy", "right"));
	assert_false(inventory_is_member(inv, "bob", "top"));
	assert_false(inventory_is_member(inv, NULL, "top"));
	assert_false(inventory_is_member(inv, "zoe", NULL));
}

static void administrators_count_when_active_and_with_a_key(void **state UNUSED)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(
		GROUP("administrators", "") GROUP("leads", "administrators")
			HUMAN("a",
			      "groups: [administrators], keys: ['" KEY_A
			      "']") HUMAN("b", "groups: [leads], keys: ['" KEY_B
					       "']")
				HUMAN("c", "groups: [administrators]")
					HUMAN("d", "groups: "
						   "[administrators], "
						   "status: suspended, "
						   "keys: ['" KEY_B "']"),
		NULL);

	assert_int_equal(inventory_administrators(inv), 2);
}

/* ---- agents and accounts ---- */

static void agents_and_owners_of_accounts_are_found(void **state UNUSED)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(
		HUMAN("alice", "accounts: ['ldap/uid=alice']")
			AGENT("bot", ", accounts: ['ldap/uid=bot']"),
		NULL);
	bool agent;

	assert_string_equal(inventory_agent_of(inv, "spiffe://example.org/bot"),
			    "bot");
	assert_null(inventory_agent_of(inv, "spiffe://example.org/bo"));
	assert_string_equal(
		inventory_owner_of_account(inv, "ldap/uid=alice", &agent),
		"alice");
	assert_false(agent);
	assert_string_equal(
		inventory_owner_of_account(inv, "ldap/uid=bot", &agent), "bot");
	assert_true(agent);
	assert_null(inventory_owner_of_account(inv, "ldap/uid=x", &agent));
	assert_false(agent);
}

static void an_agent_may_not_act_when(void **state UNUSED)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv =
		support_inventory(HUMAN("alice", "") AGENT("bot", "")
					  AGENT("idle", ", status: suspended"),
				  NULL);
	CLEANUP(inventory_unref_p)
	struct inventory *lonely = support_inventory(
		HUMAN("alice", "status: retired") AGENT("bot", ""), NULL);
	int64_t end;

	assert_int_equal(clock_parse("2030-01-01T00:00:00Z", &end), 0);
	assert_null(inventory_agent_fault(inv, "bot", end - 1));
	assert_string_equal(inventory_agent_fault(inv, "bot", end),
			    "the agent has expired");
	assert_string_equal(inventory_agent_fault(inv, "none", 0),
			    "no such agent");
	assert_string_equal(inventory_agent_fault(inv, "idle", 0),
			    "the agent is not active");
	assert_string_equal(inventory_agent_fault(lonely, "bot", 0),
			    "the agent has no active owner");
}

/* ---- classification ---- */

#define RULES                                                                  \
	"{match: {resource: 'cn=a,dc=x'}, tier: 0, sensitivity: 1}, "          \
	"{match: {suffix: ',ou=low,dc=x'}, tier: 1, sensitivity: 0, "          \
	"environment: dev}, "                                                  \
	"{match: {suffix: 'ou=below, DC=x'}, tier: 1, sensitivity: 0}, "       \
	"{match: {resource: 'cn=b,dc=x', type: DirectoryGroup}, tier: 2, "     \
	"sensitivity: 2, signOff: true}, "                                     \
	"{match: {resource: 'cn=a,dc=x'}, tier: 3, sensitivity: 3}"

static struct classification classify(const char *type, const char *resource,
				      const char *nested_yaml)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(
		PLACES HUMAN("alice", "") TARGET(RULES), NULL);
	CLEANUP(json_put_p)
	json_t *nested = nested_yaml ? support_value(nested_yaml) : NULL;
	struct classification c;

	assert_true(
		inventory_classify(inv, "ldap", type, resource, nested, &c));
	assert_string_equal(c.plane, "directory");
	assert_string_equal(c.domain, "corp");
	c.environment = !strcmp(c.environment, "dev") ? "dev" : "staging";
	c.plane = c.domain = NULL; /* went with the inventory */
	return c;
}

static void the_first_rule_that_fits_decides(void **state UNUSED)
{
	struct classification c = classify("DirectoryGroup", "CN=A,dc=x", NULL);

	assert_true(c.matched);
	assert_int_equal(c.tier, 0);
	assert_int_equal(c.sensitivity, 1);
	assert_false(c.sign_off);
	assert_string_equal(c.environment, "staging");
	c = classify("DirectoryGroup", "cn=any,ou=LOW,dc=x", NULL);
	assert_int_equal(c.tier, 1);
	assert_string_equal(c.environment, "dev");
	c = classify("DirectoryGroup", "cn=b,dc=x", NULL);
	assert_int_equal(c.tier, 2);
	assert_true(c.sign_off);
}

static void a_suffix_fits_at_a_comma_and_nowhere_else(void **state UNUSED)
{
	static const char *const below[] = {
		"cn=a,ou=below,dc=x",
		"ou=below,dc=x",
		"cn=a , OU = below, dc=x",
		"cn=a\\\\,ou=below,dc=x",
	};
	static const char *const beside[] = {
		"cn=a,xou=below,dc=x",
		"cou=below,dc=x",
		"cn=a\\,ou=below,dc=x",
		"cn=a\\\\\\,ou=below,dc=x",
	};

	for (size_t i = 0; i < ARRAY_LEN(below); i++)
		assert_true(classify("DirectoryGroup", below[i], NULL).matched);
	for (size_t i = 0; i < ARRAY_LEN(beside); i++)
		assert_false(
			classify("DirectoryGroup", beside[i], NULL).matched);
}

static void names_are_one_in_any_spelling(void **state UNUSED)
{
	static const char *const same[] = {
		"ldap/uid=A b,ou=p",	 "ldap/UID=a b,OU=P",
		"ldap/uid = a b , ou=p", "ldap/uid=a b,  ou =  p",
		" ldap/uid=a b,ou=p ",
	};
	static const char *const others[] = {
		"ldap/uid=ab,ou=p",	"ldap/uid=a  b,ou=p",
		"ldap/uid=a b\\ ,ou=p", "ldap/uid=a b,ou=p=",
		"ldap/uid=a b",
	};
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(
		HUMAN("alice", "accounts: ['ldap/uid = a b, ou=p', "
			       "'ldap/cn=a = b,ou=p']"),
		NULL);
	bool agent;

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		assert_string_equal(
			inventory_owner_of_account(inv, same[i], &agent),
			"alice");
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_null(inventory_owner_of_account(inv, others[i], &agent));
	/* Behind the first '=' of a part all is value. */
	assert_non_null(
		inventory_owner_of_account(inv, "ldap/cn=a = b, ou=p", &agent));
	assert_null(
		inventory_owner_of_account(inv, "ldap/cn=a=b,ou=p", &agent));
}

static void what_no_rule_fits_is_of_the_highest_tier(void **state UNUSED)
{
	static const char *const others[] = { "cn=c,dc=x", "", "cn=a,dc=x,",
					      "ou=low,dc=x" };

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct classification c =
			classify("DirectoryGroup", others[i], NULL);

		assert_false(c.matched);
		assert_int_equal(c.tier, TIER_HIGHEST);
		assert_int_equal(c.sensitivity, SENSITIVITY_HIGHEST);
	}
	assert_int_equal(classify("Role", "cn=b,dc=x", NULL).tier,
			 TIER_HIGHEST);
}

static void what_a_group_is_nested_in_counts_as_well(void **state UNUSED)
{
	struct classification c =
		classify("DirectoryGroup", "cn=a,dc=x", "['cn=b,dc=x']");

	assert_true(c.matched);
	assert_int_equal(c.tier, 2);
	assert_int_equal(c.sensitivity, 2);
	assert_true(c.sign_off);
	c = classify("DirectoryGroup", "cn=b,dc=x", "['cn=a,dc=x']");
	assert_int_equal(c.tier, 2);
	assert_true(c.sign_off);
	c = classify("DirectoryGroup", "cn=a,dc=x",
		     "['cn=b,dc=x', 'cn=nobody-knows,dc=x']");
	assert_false(c.matched);
	assert_int_equal(c.tier, TIER_HIGHEST);
	assert_int_equal(c.sensitivity, SENSITIVITY_HIGHEST);
}

static void a_target_that_is_not_there_has_no_classes(void **state UNUSED)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(HUMAN("alice", ""), NULL);
	struct classification c;

	assert_false(inventory_classify(inv, "ldap", "DirectoryGroup", "x",
					NULL, &c));
	assert_false(
		inventory_classify(inv, NULL, "DirectoryGroup", "x", NULL, &c));
}

/* ---- entities ---- */

static void the_world_holds_what_policies_look_at(void **state UNUSED)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(
		PLACES GROUP("leads", "owners")
			HUMAN("alice", "groups: [leads]") AGENT("bot", "")
				TARGET("{match: {}, tier: 0, sensitivity: 0}")
					TASK_CLASS,
		NULL);
	CLEANUP(json_put_p) json_t *entities = inventory_entities(inv);
	CLEANUP(json_put_p)
	json_t *wanted = support_yaml(
		"[{uid: {type: 'Gov::Plane', id: directory}, "
		"attrs: {sensitivity: 2}, parents: []},"
		"{uid: {type: 'Gov::Domain', id: corp}, "
		"attrs: {approvers: owners}, parents: []},"
		"{uid: {type: 'Gov::Group', id: owners}, attrs: {}, "
		"parents: []},"
		"{uid: {type: 'Gov::Group', id: leads}, attrs: {}, "
		"parents: [{type: 'Gov::Group', id: owners}]},"
		"{uid: {type: 'Gov::Human', id: alice}, attrs: {status: "
		"{__entity: {type: 'Gov::Status', id: active}}}, "
		"parents: [{type: 'Gov::Group', id: leads}]},"
		"{uid: {type: 'Gov::Agent', id: bot}, attrs: {"
		"owner: {__entity: {type: 'Gov::Human', id: alice}}, "
		"status: {__entity: {type: 'Gov::Status', id: active}}, "
		"capabilities: [{__entity: {type: 'Gov::Capability', "
		"id: execute}}], clearance: 2, maxDelegationDepth: 0}, "
		"parents: []},"
		"{uid: {type: 'Gov::TaskClass', id: ops}, attrs: {"
		"owner: {__entity: {type: 'Gov::Human', id: alice}}, "
		"domain: {__entity: {type: 'Gov::Domain', id: corp}}, "
		"planes: [{__entity: {type: 'Gov::Plane', id: directory}}], "
		"maxTier: 2, openers: [{__entity: {type: 'Gov::Agent', "
		"id: bot}}], longest: {__extn: {fn: duration, arg: 1h}}, "
		"needsMonitoring: false}, parents: []}]");
	CLEANUP(mem_free_p) char *found_text = json_canonical(entities);
	CLEANUP(mem_free_p)
	char *wanted_text = json_canonical(json_array_get(wanted, 0));

	assert_string_equal(found_text, wanted_text);
}

/* ---- snapshots ---- */

static void
a_freeze_holds_between_its_times_and_where_it_says(void **state UNUSED)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(
		"kind: Group\nmetadata: {name: g}\nspec: {}\n---\n"
		"kind: Domain\nmetadata: {name: corp}\n"
		"spec: {approvers: g}\n---\n"
		"kind: ChangeFreeze\nmetadata: {name: year-end}\n"
		"spec: {begin: '1970-01-01T00:00:10Z', end: "
		"'1970-01-01T00:00:20Z', reason: books, domains: [corp]}\n",
		NULL);

	assert_false(inventory_is_frozen(inv, "corp", 9999));
	assert_true(inventory_is_frozen(inv, "corp", 10000));
	assert_true(inventory_is_frozen(inv, "corp", 19999));
	assert_false(inventory_is_frozen(inv, "corp", 20000));
	assert_false(inventory_is_frozen(inv, "prod", 15000));
	expect_faults("kind: ChangeFreeze\nmetadata: {name: x}\n"
		      "spec: {begin: '1970-01-01T00:00:10Z', end: "
		      "'1970-01-01T00:00:10Z', reason: books}\n",
		      "ChangeFreeze/x: spec.end: must be after begin\n");
}

static void only_who_may_do_nothing_has_no_owner(void **state UNUSED)
{
	static const char agent[] =
		"kind: Agent\nmetadata: {name: bot}\n"
		"spec: {owner: gone, purpose: tests, expires: "
		"'2030-01-01T00:00:00Z', capabilities: [execute], "
		"clearance: 0, identities: [x], status: %s}\n";
	CLEANUP(mem_free_p) char *active = mem_format(agent, "active");
	CLEANUP(mem_free_p) char *suspended = mem_format(agent, "suspended");
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(suspended, NULL);

	assert_string_equal(inventory_agent_fault(inv, "bot", 0),
			    "the agent is not active");
	expect_faults(active, "Agent/bot: spec.owner: there is no Human "
			      "'gone'\n");
}

static void detectors_and_groups_that_are_named_are_there(void **state UNUSED)
{
	expect_faults("kind: Group\nmetadata: {name: g}\n"
		      "spec: {escalation: {to: nobody}}\n",
		      "Group/g: spec.escalation.to: there is no Group "
		      "'nobody'\n");
	expect_faults("kind: Human\nmetadata: {name: h}\nspec: {}\n---\n"
		      "kind: Detector\nmetadata: {name: edr}\n"
		      "spec: {owner: h, keys: ['" KEY_A "'], signals: [x], "
		      "maxScore: 9, agent: bot}\n",
		      "Detector/edr: spec.agent: there is no Agent 'bot'\n");
}

static void a_snapshot_stays_as_it_was(void **state UNUSED)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(HUMAN("alice", ""), NULL);
	struct inventory *held = inventory_ref(inv);

	inventory_unref(TAKE(inv));
	assert_true(inventory_human_is_active(held, "alice"));
	assert_false(inventory_human_is_active(held, "bob"));
	assert_non_null(inventory_find(held, MANIFEST_HUMAN, "alice"));
	assert_null(inventory_find(held, MANIFEST_AGENT, "alice"));
	assert_null(inventory_find(held, MANIFEST_HUMAN, NULL));
	assert_int_equal(json_object_size(inventory_manifests(held)), 1);
	inventory_unref(held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_whose_references_hold_is_taken),
		cmocka_unit_test(each_reference_that_does_not_hold_is_named),
		cmocka_unit_test(an_identity_has_one_agent),
		cmocka_unit_test(
			a_freeze_holds_between_its_times_and_where_it_says),
		cmocka_unit_test(only_who_may_do_nothing_has_no_owner),
		cmocka_unit_test(detectors_and_groups_that_are_named_are_there),
		cmocka_unit_test(an_account_has_one_owner),
		cmocka_unit_test(a_key_that_nobody_can_sign_with_is_refused),
		cmocka_unit_test(a_cycle_of_groups_is_refused),
		cmocka_unit_test(groups_nest_sixteen_deep_and_no_deeper),
		cmocka_unit_test(groups_in_many_groups_take_no_longer),
		cmocka_unit_test(
			members_of_nested_groups_are_found_once_in_order),
		cmocka_unit_test(
			administrators_count_when_active_and_with_a_key),
		cmocka_unit_test(agents_and_owners_of_accounts_are_found),
		cmocka_unit_test(an_agent_may_not_act_when),
		cmocka_unit_test(the_first_rule_that_fits_decides),
		cmocka_unit_test(a_suffix_fits_at_a_comma_and_nowhere_else),
		cmocka_unit_test(names_are_one_in_any_spelling),
		cmocka_unit_test(what_no_rule_fits_is_of_the_highest_tier),
		cmocka_unit_test(what_a_group_is_nested_in_counts_as_well),
		cmocka_unit_test(a_target_that_is_not_there_has_no_classes),
		cmocka_unit_test(the_world_holds_what_policies_look_at),
		cmocka_unit_test(a_snapshot_stays_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
