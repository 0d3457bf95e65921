#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "govern/ask.h"
#include "policy/policy.h"

/* ---- the table and the schema ---- */

/*
 * The members of "type Facts" in the schema's text, "exception?" with its
 * question mark; owned array.
 */
static json_t *members_of_facts(const char *schema)
{
	const char *line = strstr(schema, "type Facts = {");
	json_t *names = json_array();

	assert_non_null(line);
	while ((line = strchr(line, '\n'))) {
		size_t length;

		line++;
		line += strspn(line, " ");
		if (*line == '}')
			break;
		length = strcspn(line, ":\n");
		if (*line != '/' && line[length] == ':')
			json_array_append_new(names,
					      json_stringn(line, length));
	}
	return names;
}

static bool table_has(const char *name)
{
	size_t count;
	const struct fact_row *rows = facts_table(&count);

	for (size_t i = 0; i < count; i++) {
		if (!strcmp(rows[i].name, name))
			return true;
	}
	return false;
}

static void
every_fact_of_the_schema_is_in_the_table_or_optional(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *schema = support_file(SCHEMA_FILE);
	CLEANUP(json_put_p) json_t *members = members_of_facts(schema);
	const json_t *member;
	size_t at;

	assert_true(json_array_size(members) > 20);
	json_array_foreach(members, at, member) {
		const char *name = json_string_value(member);

		assert_true(table_has(name) || strchr(name, '?'));
	}
}

static void every_row_of_the_table_is_a_fact_of_the_schema(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *schema = support_file(SCHEMA_FILE);
	CLEANUP(json_put_p) json_t *members = members_of_facts(schema);
	size_t count;
	const struct fact_row *rows = facts_table(&count);

	for (size_t i = 0; i < count; i++) {
		assert_true(json_has_text(members, rows[i].name));
		assert_true(*rows[i].source && *rows[i].unknown);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(rows[i].name, rows[j].name);
	}
}

/* ---- asks ---- */

#define NOW "2026-11-23T10:00:00Z" /* a Monday */

static int64_t time_of(const char *text)
{
	int64_t ms;

	assert_int_equal(clock_parse(text, &ms), 0);
	return ms;
}

static struct inventory *world(void)
{
	return support_inventory(
		"kind: Plane\nmetadata: {name: directory}\n"
		"spec: {sensitivity: 1}\n---\n"
		"kind: Group\nmetadata: {name: owners}\nspec: {}\n---\n"
		"kind: Group\nmetadata: {name: administrators}\nspec: {}\n---\n"
		"kind: Domain\nmetadata: {name: corp}\n"
		"spec: {approvers: owners}\n---\n"
		"kind: Human\nmetadata: {name: alice}\n"
		"spec: {groups: [administrators]}\n---\n"
		"kind: Human\nmetadata: {name: bob}\n"
		"spec: {groups: [owners]}\n---\n"
		"kind: Agent\nmetadata: {name: bot}\n"
		"spec: {owner: alice, purpose: tests, expires: "
		"'2030-01-01T00:00:00Z', capabilities: [analyze, recommend, "
		"execute], clearance: 4, identities: [x]}\n---\n"
		"kind: TaskClass\nmetadata: {name: ops}\n"
		"spec: {owner: alice, purpose: tests, domain: corp, "
		"planes: [directory], openers: [bot], actions: [AddToGroup], "
		"maxTier: 3, longest: 8h}\n",
		NULL);
}

struct asking {
	struct policy_bundle *bundle;
	struct policy_world *world;
	json_t *planes;
	struct ask_task task;
	struct ask_resource resource;
};

static json_t *files(void)
{
	static const char *const names[] = { "schema", "policies", "invariants",
					     "templates" };
	static const char *const paths[] = { "governance.cedarschema",
					     "policies.cedar",
					     "invariants.cedar",
					     "templates.cedar" };
	json_t *files = json_object();
	json_t *policies = json_object();

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p)
		char *path = mem_format("%s/%s", POLICY_FOLDER, paths[i]);
		CLEANUP(mem_free_p) char *text = support_file(path);

		json_set_text(i == 1 ? policies : files, names[i], text);
	}
	json_set_new(files, "policies", policies);
	return files;
}

static int setup(void **state)
{
	struct asking *a = mem_new(struct asking);
	CLEANUP(json_put_p) json_t *texts = files();
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(inventory_unref_p) struct inventory *inv = world();
	CLEANUP(json_put_p) json_t *entities = inventory_entities(inv);

	assert_int_equal(policy_bundle_build(texts, &a->bundle, &faults), 0);
	assert_non_null(a->bundle);
	if (policy_world_build(a->bundle, entities, &a->world) < 0)
		fail_msg("%s", error_message());
	a->planes = support_value("[directory]");
	a->task = (struct ask_task){
		.agent = "bot",
		.task = "tsk_1",
		.class = "ops",
		.planes = a->planes,
		.expires_ms = time_of(NOW) + 3600 * 1000,
	};
	a->resource = (struct ask_resource){
		.type = "DirectoryGroup",
		.target = "ldap",
		.id = "cn=g",
		.class = { .environment = "dev",
			   .plane = "directory",
			   .domain = "corp" },
	};
	*state = a;
	return 0;
}

static int teardown(void **state)
{
	struct asking *a = *state;

	policy_world_unref(a->world);
	policy_bundle_unref(a->bundle);
	json_decref(a->planes);
	free(a);
	return 0;
}

/* All that is known speaks for it. */
static struct facts best(const struct asking *a)
{
	return (struct facts){
		.now_ms = time_of(NOW),
		.weekday = 1,
		.hour = 10,
		.attested = true,
		.covered = true,
		.monitored = true,
		.ttl_s = 900,
		.reversible = true,
		.blast_radius = 1,
		.planes = a->planes,
	};
}

static bool allows(const struct asking *a, const json_t *ask)
{
	struct policy_answer answer = { 0 };
	bool allow;

	if (policy_ask(a->bundle, a->world, ask, &answer) < 0)
		fail_msg("%s", error_message());
	if (json_array_size(answer.errors)) {
		CLEANUP(mem_free_p) char *text = json_canonical(answer.errors);

		fail_msg("the ask does not fit the schema: %s", text);
	}
	allow = answer.allow;
	policy_answer_clear(&answer);
	return allow;
}

static bool allows_action(const struct asking *a, const char *action,
			  const struct facts *f)
{
	CLEANUP(json_put_p)
	json_t *ask = ask_action(action, &a->task, &a->resource, f, NULL,
				 a->task.expires_ms);

	return allows(a, ask);
}

static void the_best_facts_allow_a_harmless_action(void **state)
{
	const struct asking *a = *state;
	struct facts f = best(a);

	assert_true(allows_action(a, "AddToGroup", &f));
}

static void what_is_not_known_denies(void **state)
{
	const struct asking *a = *state;
	struct facts f;
	CLEANUP(json_put_p) json_t *open = NULL;

	facts_init(&f);
	assert_false(allows_action(a, "AddToGroup", &f));
	f.recommend = true;
	assert_false(allows_action(a, "AddToGroup", &f));
	open = ask_open_task(&a->task, &f);
	assert_false(allows(a, open));
}

/* The best facts, with one that is not known. */
static void each_unknown_fact_alone_never_permits_more(void **state)
{
	const struct asking *a = *state;
	struct facts unknown;
	struct facts f = best(a);

	facts_init(&unknown);
#define REFUSES(member)                                                        \
	do {                                                                   \
		f = best(a);                                                   \
		f.member = unknown.member;                                     \
		assert_false(allows_action(a, "AddToGroup", &f));              \
	} while (0)
	REFUSES(change_freeze);
	REFUSES(attested);
	REFUSES(covered);
	REFUSES(self_dealing);
	REFUSES(risk_score);
	REFUSES(privileged_24h);
	REFUSES(planes_24h);
#undef REFUSES
	f = best(a);
	f.own_rollback = true;
	assert_true(allows_action(a, "RemoveFromGroup", &f));
	f.blast_radius = unknown.blast_radius;
	assert_false(allows_action(a, "RemoveFromGroup", &f));
	f.blast_radius = 1;
	f.own_rollback = unknown.own_rollback;
	assert_false(allows_action(a, "RemoveFromGroup", &f));
}

static void the_facts_that_permit_least_are_these(void **state UNUSED)
{
	struct facts f;

	facts_init(&f);
	assert_int_equal(f.weekday, 7);
	assert_int_equal(f.hour, 0);
	assert_true(f.change_freeze && f.self_dealing);
	assert_false(f.attested || f.covered || f.monitored || f.reversible);
	assert_false(f.own_rollback);
	assert_int_equal(f.risk_score, 100);
	assert_int_equal(f.risk_signals, 0);
	assert_int_equal(f.blast_radius, INT32_MAX);
	assert_int_equal(f.privileged_24h, INT32_MAX);
	assert_int_equal(f.irreversible_24h, INT32_MAX);
	assert_int_equal(f.planes_24h, INT32_MAX);
	assert_null(f.approvals);
	assert_null(f.evidence);
}

static void an_ask_has_every_fact_of_the_table_and_no_other(void **state)
{
	const struct asking *a = *state;
	struct facts f = best(a);
	CLEANUP(json_put_p)
	json_t *ask = ask_action("AddToGroup", &a->task, &a->resource, &f, NULL,
				 a->task.expires_ms);
	json_t *context = json_object_get(ask, "context");
	size_t count;
	const struct fact_row *rows = facts_table(&count);

	assert_int_equal(json_object_size(context), count);
	for (size_t i = 0; i < count; i++)
		assert_non_null(json_object_get(context, rows[i].name));
}

static void an_agent_opens_tasks_of_its_class(void **state)
{
	const struct asking *a = *state;
	struct facts f = best(a);
	struct ask_task longer = a->task;
	CLEANUP(json_put_p) json_t *ask = ask_open_task(&a->task, &f);
	CLEANUP(json_put_p) json_t *too_long = NULL;

	longer.expires_ms = time_of(NOW) + 9 * 3600 * 1000;
	too_long = ask_open_task(&longer, &f);
	assert_true(allows(a, ask));
	assert_false(allows(a, too_long));
}

static void a_human_approves_unless_barred_or_elsewhere(void **state)
{
	const struct asking *a = *state;
	int64_t now = time_of(NOW);
	CLEANUP(json_put_p) json_t *barred = support_value("[bob]");
	CLEANUP(json_put_p)
	json_t *fine = ask_approve("bob", "owners", true, &a->task, NULL, now,
				   now + 1000);
	CLEANUP(json_put_p)
	json_t *dealer = ask_approve("bob", "owners", true, &a->task, barred,
				     now, now + 1000);
	CLEANUP(json_put_p)
	json_t *stranger = ask_approve("alice", "owners", true, &a->task, NULL,
				       now, now + 1000);
	CLEANUP(json_put_p)
	json_t *soft = ask_approve("bob", "owners", false, &a->task, NULL, now,
				   now + 1000);
	CLEANUP(json_put_p)
	json_t *late =
		ask_approve("bob", "owners", true, &a->task, NULL, now, now);

	assert_true(allows(a, fine));
	assert_false(allows(a, dealer));
	assert_false(allows(a, stranger));
	assert_false(allows(a, soft));
	assert_false(allows(a, late));
}

static void administrators_need_the_signatures_of_the_kind(void **state)
{
	const struct asking *a = *state;
	int64_t now = time_of(NOW);
	static const struct {
		const char *human;
		const char *kind;
		bool containing;
		int64_t signatures;
		bool allow;
	} rows[] = {
		{ "alice", "Agent", false, 1, true },
		{ "alice", "TaskClass", false, 1, true },
		{ "alice", "Human", false, 1, false },
		{ "alice", "Human", false, 2, true },
		{ "alice", "Release", false, 1, false },
		{ "alice", "Release", true, 1, true },
		{ "alice", "Agent", false, 0, false },
		{ "bob", "Agent", false, 1, false },
		{ "none", "Agent", false, 2, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(json_put_p)
		json_t *ask = ask_administer(rows[i].human, rows[i].kind,
					     rows[i].containing, now,
					     rows[i].signatures);
		struct policy_answer answer = { 0 };

		if (policy_ask(a->bundle, a->world, ask, &answer) < 0)
			answer.allow = false;
		if (answer.allow != rows[i].allow)
			fail_msg("%s %s %d", rows[i].human, rows[i].kind,
				 (int)rows[i].signatures);
		policy_answer_clear(&answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			every_fact_of_the_schema_is_in_the_table_or_optional),
		cmocka_unit_test(
			every_row_of_the_table_is_a_fact_of_the_schema),
		cmocka_unit_test(the_facts_that_permit_least_are_these),
		cmocka_unit_test(the_best_facts_allow_a_harmless_action),
		cmocka_unit_test(what_is_not_known_denies),
		cmocka_unit_test(each_unknown_fact_alone_never_permits_more),
		cmocka_unit_test(
			an_ask_has_every_fact_of_the_table_and_no_other),
		cmocka_unit_test(an_agent_opens_tasks_of_its_class),
		cmocka_unit_test(a_human_approves_unless_barred_or_elsewhere),
		cmocka_unit_test(
			administrators_need_the_signatures_of_the_kind),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
