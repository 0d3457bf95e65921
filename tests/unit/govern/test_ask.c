#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "govern/ask.h"
#include "policy/engine.h"
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
		CLEANUP(mem_free_p)
		char *optional = mem_format("%s?", rows[i].name);

		assert_true(json_has_text(members, rows[i].name) ||
			    json_has_text(members, optional));
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
		"kind: Agent\nmetadata: {name: conductor}\n"
		"spec: {owner: alice, purpose: tests, expires: "
		"'2030-01-01T00:00:00Z', capabilities: [analyze, recommend, "
		"execute, delegate], clearance: 4, maxDelegationDepth: 2, "
		"identities: [y]}\n---\n"
		"kind: Agent\nmetadata: {name: helper}\n"
		"spec: {owner: alice, purpose: tests, expires: "
		"'2030-01-01T00:00:00Z', capabilities: [execute], clearance: "
		"4, maxDelegationDepth: 1, identities: [z]}\n---\n"
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
		.attenuated = true,
		.chain_healthy = true,
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
	REFUSES(attenuated);
	REFUSES(chain_healthy);
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
	assert_false(f.attenuated || f.chain_healthy);
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
	json_t *exception = support_value("{id: exc_1, tierCap: 2}");
	CLEANUP(json_put_p) json_t *ask = NULL;
	const json_t *context;
	size_t count;
	const struct fact_row *rows = facts_table(&count);

	f.exception = exception;
	ask = ask_action("AddToGroup", &a->task, &a->resource, &f, NULL,
			 a->task.expires_ms);
	context = json_object_get(ask, "context");
	assert_int_equal(json_object_size(context), count);
	for (size_t i = 0; i < count; i++)
		assert_non_null(json_object_get(context, rows[i].name));
}

/* ---- typed facts ---- */

static uint32_t under(uint32_t *seed, uint32_t limit)
{
	*seed = *seed * 1103515245U + 12345U;
	return (*seed >> 9) % limit;
}

static const json_t *one_of(uint32_t *seed, const json_t *lists)
{
	return json_array_get(lists,
			      under(seed, (uint32_t)json_array_size(lists)));
}

static struct facts random_facts(uint32_t *seed, const json_t *lists,
				 const json_t *counts)
{
	return (struct facts){
		.now_ms = time_of(NOW) + under(seed, 100000),
		.weekday = (int)under(seed, 7) + 1,
		.hour = (int)under(seed, 24),
		.change_freeze = under(seed, 2),
		.attested = under(seed, 2),
		.recommend = under(seed, 2),
		.covered = under(seed, 2),
		.monitored = under(seed, 2),
		.ttl_s = (int64_t)under(seed, 100000) - 10,
		.reversible = under(seed, 2),
		.blast_radius = under(seed, 50),
		.gains_humans = one_of(seed, lists),
		.gains_agents = one_of(seed, lists),
		.self_dealing = under(seed, 2),
		.own_rollback = under(seed, 2),
		.evidence = json_array_get(lists, under(seed, 2) + 2),
		.approvals = one_of(seed, counts),
		.risk_score = (int)under(seed, 101),
		.risk_signals = (int)under(seed, 4),
		.planes = one_of(seed, lists),
		.attenuated = true,
		.chain_healthy = true,
		.privileged_24h = under(seed, 30),
		.irreversible_24h = under(seed, 9),
		.planes_24h = under(seed, 5),
	};
}

static void assert_same_question(const struct asking *a, const struct facts *f,
				 const json_t *barred, int64_t expires_ms)
{
	CLEANUP(json_put_p)
	json_t *ask = ask_action("AddToGroup", &a->task, &a->resource, f,
				 barred, expires_ms);
	CLEANUP(ask_typed_clear) struct ask_typed typed;
	CLEANUP(question_close) struct question general = { 0 };
	CLEANUP(question_close) struct question direct = { 0 };
	bool must_be_general;

	assert_true(ask_typed_init(&typed, "AddToGroup", &a->task, &a->resource,
				   f, barred, expires_ms));
	assert_int_equal(question_open(a->bundle, a->world, ask, &general), 0);
	assert_int_equal(question_open_typed(a->bundle, a->world,
					     &typed.question, &must_be_general,
					     &direct),
			 0);
	assert_false(must_be_general);
	assert_true(writ_cedar_query_is_same(general.query, direct.query));
}

static void typed_facts_say_what_the_ask_says(void **state)
{
	const struct asking *given = *state;
	struct asking a = *given;
	CLEANUP(json_put_p)
	json_t *lists = support_value("[[], [one], [owner_ack], "
				      "[ticket, change_plan], [a, b, c]]");
	CLEANUP(json_put_p)
	json_t *counts = support_value("[{}, {owners: 1}, {x: 0, y: 3}]");
	uint32_t seed = 20261122;

	for (int i = 0; i < 400; i++) {
		struct facts f = random_facts(&seed, lists, counts);

		a.task.planes = one_of(&seed, lists);
		a.resource.class.tier = (int)under(&seed, 4);
		a.resource.class.sensitivity = (int)under(&seed, 5);
		a.resource.class.sign_off = under(&seed, 2);
		assert_same_question(&a, &f, one_of(&seed, lists),
				     f.now_ms + under(&seed, 5000));
	}
}

/* Approvals of a pending request are asked about it, too. */
static void typed_approvals_are_those_of_the_ask(void **state)
{
	const struct asking *a = *state;
	struct facts f = best(a);
	CLEANUP(json_put_p) json_t *barred = support_value("[alice]");
	CLEANUP(json_put_p)
	json_t *ask = ask_approve("bob", "owners", true, &a->task, barred,
				  f.now_ms, a->task.expires_ms);
	CLEANUP(ask_typed_clear) struct ask_typed typed;
	CLEANUP(question_close) struct question general = { 0 };
	CLEANUP(question_close) struct question direct = { 0 };
	struct writ_cedar_error error;

	assert_true(ask_typed_init(&typed, "AddToGroup", &a->task, &a->resource,
				   &f, barred, a->task.expires_ms));
	assert_int_equal(question_open(a->bundle, a->world, ask, &general), 0);
	assert_int_equal(writ_cedar_question_approve(
				 a->bundle->snapshot, a->world->world,
				 &typed.question, "bob", "owners", true,
				 &direct.query, &error),
			 0);
	assert_true(writ_cedar_query_is_same(general.query, direct.query));
	question_close(&direct);
	assert_int_equal(writ_cedar_question_approve(
				 a->bundle->snapshot, a->world->world,
				 &typed.question, "alice", "owners", true,
				 &direct.query, &error),
			 0);
	assert_false(writ_cedar_query_is_same(general.query, direct.query));
}

static void an_exception_is_said_in_the_general_form(void **state)
{
	const struct asking *a = *state;
	CLEANUP(json_put_p)
	json_t *exception = support_value("{id: exc_1, tierCap: 2}");
	CLEANUP(ask_typed_clear) struct ask_typed typed;
	struct facts f = best(a);

	f.exception = exception;
	assert_false(ask_typed_init(&typed, "AddToGroup", &a->task,
				    &a->resource, &f, NULL,
				    a->task.expires_ms));
}

static void a_chain_is_said_in_the_general_form(void **state)
{
	const struct asking *a = *state;
	CLEANUP(json_put_p) json_t *chain = support_value("[conductor]");
	struct facts facts[5];

	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		facts[i] = best(a);
	facts[0].depth = 1;
	facts[1].chain = chain;
	facts[2].attenuated = false;
	facts[3].chain_healthy = false;
	facts[4].plane_count = 2;
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		CLEANUP(ask_typed_clear) struct ask_typed typed;

		assert_false(ask_typed_init(&typed, "AddToGroup", &a->task,
					    &a->resource, &facts[i], NULL,
					    a->task.expires_ms));
	}
}

static void
planes_of_the_chain_count_and_are_never_fewer_than_ones_own(void **state)
{
	const struct asking *a = *state;
	struct facts f = best(a);

	for (int count = 0; count < 4; count++) {
		CLEANUP(json_put_p) json_t *ask = NULL;

		f.plane_count = count;
		ask = ask_action("AddToGroup", &a->task, &a->resource, &f, NULL,
				 a->task.expires_ms);
		assert_int_equal(json_int(json_object_get(ask, "context"),
					  "planeCount", -1),
				 count > 1 ? count : 1);
	}
}

/* conductor may delegate, helper may be reached, bot may not. */
static void an_agent_delegates_to_one_that_may_be_reached(void **state)
{
	const struct asking *given = *state;
	struct asking a = *given;
	struct facts f = best(&a);
	CLEANUP(json_put_p) json_t *down = NULL;
	CLEANUP(json_put_p) json_t *across = NULL;
	CLEANUP(json_put_p) json_t *itself = NULL;
	CLEANUP(json_put_p) json_t *uncovered = NULL;

	a.task.agent = "conductor";
	f.depth = 1;
	down = ask_delegate(&a.task, "helper", &f);
	across = ask_delegate(&a.task, "bot", &f);
	itself = ask_delegate(&a.task, "conductor", &f);
	f.covered = false;
	uncovered = ask_delegate(&a.task, "helper", &f);
	assert_true(allows(&a, down));
	assert_false(allows(&a, across));
	assert_false(allows(&a, itself));
	assert_false(allows(&a, uncovered));
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
		cmocka_unit_test(typed_facts_say_what_the_ask_says),
		cmocka_unit_test(typed_approvals_are_those_of_the_ask),
		cmocka_unit_test(an_exception_is_said_in_the_general_form),
		cmocka_unit_test(a_chain_is_said_in_the_general_form),
		cmocka_unit_test(
			planes_of_the_chain_count_and_are_never_fewer_than_ones_own),
		cmocka_unit_test(an_agent_delegates_to_one_that_may_be_reached),
		cmocka_unit_test(an_agent_opens_tasks_of_its_class),
		cmocka_unit_test(a_human_approves_unless_barred_or_elsewhere),
		cmocka_unit_test(
			administrators_need_the_signatures_of_the_kind),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
