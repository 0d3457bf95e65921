/*
 * Random requests against the project's policies: whatever a verdict claims
 * must hold when it is tried.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/engine.h"
#include "policy/scenario.h"
#include "support.h"
#include "typed.h"

enum { REQUESTS = 600 };

static const struct {
	const char *action;
	const char *resource;
} actions[] = {
	{ "QueryAuditLog", "Dataset" },
	{ "ReadEntitlements", "Dataset" },
	{ "GrantRole", "Role" },
	{ "RevokeRole", "Role" },
	{ "AddToGroup", "DirectoryGroup" },
	{ "RemoveFromGroup", "DirectoryGroup" },
	{ "SuspendAccount", "Account" },
	{ "ResumeAccount", "Account" },
	{ "SuspendSession", "Session" },
	{ "RotateKey", "Key" },
	{ "ExportKey", "Key" },
	{ "UpdateAccessPolicy", "AccessPolicy" },
	{ "IssueCredential", "Role" },
	{ "CreateIdentity", "Account" },
	{ "RetireIdentity", "Account" },
	{ "OpenTask", "TaskClass" },
	{ "Delegate", "Agent" },
};

struct fixture {
	struct policy_bundle *bundle;
	struct policy_world *world;
	struct policy_world *inventory; /* without tasks and resources */
	json_t *entities;
	json_t *file;
	uint32_t seed;
};

static uint32_t under(struct fixture *f, uint32_t limit)
{
	f->seed = f->seed * 1103515245U + 12345U;
	return (f->seed >> 9) % limit;
}

static bool rarely(struct fixture *f, uint32_t once_in)
{
	return under(f, once_in) == 0;
}

static const char *pick(struct fixture *f, const char *type)
{
	json_t *all =
		json_object_get(json_object_get(f->file, "entities"), type);
	uint32_t at = under(f, (uint32_t)json_object_size(all));
	void *i = json_object_iter(all);

	while (at-- > 0)
		i = json_object_iter_next(all, i);
	return json_object_iter_key(i);
}

static json_t *some(struct fixture *f, const char *const *names, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		if (rarely(f, 2))
			json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *random_approvals(struct fixture *f)
{
	json_t *groups =
		json_object_get(json_object_get(f->file, "entities"), "Group");
	json_t *approvals = json_object();
	const char *name;
	json_t *group;

	json_object_foreach(groups, name, group)
		if (rarely(f, 2))
			json_set_int(approvals, name, under(f, 4));
	return approvals;
}

static void random_flags(struct fixture *f, json_t *facts)
{
	json_set_flag(facts, "reversible", !rarely(f, 3));
	json_set_flag(facts, "attested", !rarely(f, 20));
	json_set_flag(facts, "covered", !rarely(f, 20));
	json_set_flag(facts, "monitored", !rarely(f, 4));
	json_set_flag(facts, "changeFreeze", rarely(f, 8));
	json_set_flag(facts, "chainHealthy", !rarely(f, 20));
	json_set_flag(facts, "selfDealing", rarely(f, 12));
	json_set_flag(facts, "ownRollback", rarely(f, 4));
	json_set_int(facts, "blastRadius", under(f, 40));
}

static void random_people(struct fixture *f, const json_t *scenario,
			  json_t *facts)
{
	bool credential =
		!strcmp(json_text(scenario, "a", ""), "IssueCredential");

	if (credential && !rarely(f, 8))
		json_set_new(facts, "gainsAgents",
			     json_pack("[s]", json_text(scenario, "p", "")));
	else if (rarely(f, 4))
		json_set_new(facts, "gainsAgents",
			     json_pack("[s]", pick(f, "Agent")));
	if (rarely(f, 6))
		json_set_new(facts, "gainsHumans",
			     json_pack("[s]", pick(f, "Human")));
	if (rarely(f, 4))
		json_set_new(facts, "vouched",
			     json_pack("[s]", pick(f, "Human")));
	if (rarely(f, 6))
		json_set_text(facts, "exception", pick(f, "Exception"));
}

static void random_numbers(struct fixture *f, const json_t *scenario,
			   json_t *facts)
{
	bool delegates = !strcmp(json_text(scenario, "a", ""), "Delegate");
	int depth = rarely(f, 4) ? (int)under(f, 5) : delegates;
	json_t *chain = rarely(f, 4) ? json_pack("[s]", pick(f, "Agent"))
				     : json_array();

	json_set_new(facts, "local",
		     json_pack("{s:i, s:i}", "weekday", (int)under(f, 7) + 1,
			       "hour", (int)under(f, 24)));
	json_set_new(facts, "risk",
		     json_pack("{s:i, s:i}", "score", (int)under(f, 101),
			       "signals", (int)under(f, 4)));
	json_set_new(facts, "delegation",
		     json_pack("{s:i, s:b, s:o}", "depth", depth, "attenuated",
			       !rarely(f, 20), "chain", chain));
	json_set_new(facts, "counters",
		     json_pack("{s:i, s:i, s:i}", "privileged24h",
			       (int)under(f, 25), "irreversible24h",
			       (int)under(f, 8), "planes24h",
			       (int)under(f, 4)));
}

static json_t *random_scenario(struct fixture *f)
{
	static const char *const able[] = { "operator", "conductor", "deep" };
	size_t at = under(f, ARRAY_LEN(actions));
	const char *agent = rarely(f, 3) ? pick(f, "Agent")
					 : able[under(f, ARRAY_LEN(able))];

	return json_pack("{s:s, s:s, s:[s, s]}", "p", agent, "a",
			 actions[at].action, "r", actions[at].resource,
			 pick(f, actions[at].resource));
}

static json_t *random_facts(struct fixture *f, const json_t *scenario)
{
	static const char *const ttls[] = { "24h", "8h",  "1h", "15m",
					    "5m",  "30s", "0s" };
	static const char *const planes[] = { "directory", "vault", "pam" };
	static const char *const kinds[] = {
		"ticket",    "justification",	  "change_plan",
		"owner_ack", "session_recording", "rollback_plan",
	};
	json_t *facts = json_copy(json_object_get(f->file, "defaults"));
	json_t *touched = some(f, planes, ARRAY_LEN(planes));

	random_flags(f, facts);
	random_people(f, scenario, facts);
	random_numbers(f, scenario, facts);
	json_set_text(facts, "task", rarely(f, 3) ? pick(f, "Task") : "t2");
	json_set_text(facts, "mode", rarely(f, 6) ? "recommend" : "execute");
	json_set_text(facts, "ttl", ttls[under(f, ARRAY_LEN(ttls))]);
	json_set_int(facts, "planeCount", (int64_t)json_array_size(touched));
	json_set_new(facts, "planes", touched);
	json_set_new(facts, "evidence", some(f, kinds, ARRAY_LEN(kinds)));
	json_set_new(facts, "approvals", random_approvals(f));
	return facts;
}

/* ---- what a verdict claims
 * ---------------------------------------------------------- */

static bool allows(const struct fixture *f, const json_t *scenario,
		   const json_t *facts)
{
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };
	CLEANUP(json_put_p) json_t *ask = NULL;

	assert_int_equal(scenario_ask(f->file, scenario, facts, &ask), 0);
	assert_int_equal(policy_ask(f->bundle, f->world, ask, &answer), 0);
	return answer.allow;
}

/* The facts with every remedy. */
static json_t *remedied(const json_t *facts, const json_t *requires)
{
	json_t *better = json_deep_copy(facts);
	const json_t *evidence = json_object_get(requires, "evidence");
	json_t *approvals = json_object_get(requires, "approvals");

	json_set_text(better, "ttl", json_text(requires, "maxTtl", NULL));
	json_array_extend(json_object_get(better, "evidence"),
			  (json_t *)(uintptr_t)evidence);
	json_object_update(json_object_get(better, "approvals"), approvals);
	return better;
}

static void every_kind_of_evidence_is_needed(const struct fixture *f,
					     const json_t *scenario,
					     const json_t *better,
					     const json_t *requires)
{
	size_t named = json_array_size(json_object_get(requires, "evidence"));
	size_t count = json_array_size(json_object_get(better, "evidence"));

	for (size_t i = count - named; i < count; i++) {
		CLEANUP(json_put_p) json_t *less = json_deep_copy(better);

		json_array_remove(json_object_get(less, "evidence"), i);
		assert_false(allows(f, scenario, less));
	}
}

static void every_approval_is_needed(const struct fixture *f,
				     const json_t *scenario,
				     const json_t *better,
				     const json_t *requires)
{
	json_t *approvals = json_object_get(requires, "approvals");
	const char *group;
	json_t *count;

	json_object_foreach(approvals, group, count) {
		CLEANUP(json_put_p) json_t *less = json_deep_copy(better);
		int64_t n = json_integer_value(count) - 1;
		const char *names[32];

		if (n > 0)
			json_set_int(json_object_get(less, "approvals"), group,
				     n);
		else
			json_object_del(json_object_get(less, "approvals"),
					group);
		assert_false(allows(f, scenario, less));
		assert_true(scenario_members(f->file, group, names,
					     ARRAY_LEN(names)) > (size_t)n);
	}
}

static void no_longer_time_would_do(const struct fixture *f,
				    const json_t *scenario,
				    const json_t *better,
				    const json_t *requires)
{
	const char *ttl = json_text(requires, "maxTtl", NULL);
	CLEANUP(json_put_p) json_t *longer = json_deep_copy(better);
	CLEANUP(mem_free_p) char *text = NULL;
	int64_t seconds = 0;

	if (!ttl)
		return;
	assert_int_equal(clock_parse_duration(ttl, &seconds), 0);
	text = clock_format_duration(seconds + 1);
	json_set_text(longer, "ttl", text);
	assert_false(allows(f, scenario, longer));
}

static void check_verdict(const struct fixture *f, const json_t *scenario,
			  const json_t *facts, const struct policy_verdict *v)
{
	CLEANUP(json_put_p) json_t *better = remedied(facts, v->requires);

	assert_int_equal(allows(f, scenario, facts),
			 v->decision == POLICY_ALLOW);
	assert_int_equal(json_array_size(v->errors), 0);
	if (v->decision != POLICY_PENDING) {
		assert_int_equal(json_object_size(v->requires), 0);
		return;
	}
	assert_true(json_object_size(v->requires) > 0);
	assert_true(allows(f, scenario, better));
	every_kind_of_evidence_is_needed(f, scenario, better, v->requires);
	every_approval_is_needed(f, scenario, better, v->requires);
	no_longer_time_would_do(f, scenario, better, v->requires);
}

static void remedies_suffice_and_are_needed(void **state)
{
	struct fixture *f = *state;
	struct policy_people people = { scenario_members, f->file };
	unsigned tally[3] = { 0 };

	for (int i = 0; i < REQUESTS; i++) {
		CLEANUP(json_put_p) json_t *scenario = random_scenario(f);
		CLEANUP(json_put_p) json_t *facts = random_facts(f, scenario);
		CLEANUP(json_put_p) json_t *ask = NULL;
		CLEANUP(policy_verdict_clear) struct policy_verdict v = { 0 };

		assert_int_equal(scenario_ask(f->file, scenario, facts, &ask),
				 0);
		assert_int_equal(
			policy_decide(f->bundle, f->world, ask, &people, &v),
			0);
		check_verdict(f, scenario, facts, &v);
		tally[v.decision]++;
	}
	print_message("deny %u, pending %u, allow %u\n", tally[POLICY_DENY],
		      tally[POLICY_PENDING], tally[POLICY_ALLOW]);
	for (size_t i = 0; i < ARRAY_LEN(tally); i++)
		assert_true(tally[i] > 10);
}

static void the_index_answers_as_the_whole_set_does(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < REQUESTS; i++) {
		CLEANUP(json_put_p) json_t *scenario = random_scenario(f);
		CLEANUP(json_put_p) json_t *facts = random_facts(f, scenario);
		CLEANUP(question_close) struct question q = { 0 };
		CLEANUP(json_put_p) json_t *ask = NULL;
		struct writ_cedar_answer answer;
		struct writ_cedar_error error;
		bool whole;

		assert_int_equal(scenario_ask(f->file, scenario, facts, &ask),
				 0);
		assert_int_equal(question_open(f->bundle, f->world, ask, &q),
				 0);
		assert_int_equal(question_ask(&q, NULL, POLICY_BOTH, &answer),
				 0);
		assert_int_equal(writ_cedar_query_run_whole(
					 q.query, POLICY_BOTH, &whole, &error),
				 0);
		assert_int_equal(answer.allow, whole);
	}
}

/* ---- variants ---- */

/* Random facts in place of the question's own; some stay. */
static struct writ_cedar_variant random_variant(struct fixture *f,
						const char **kinds,
						struct writ_cedar_tag *tags)
{
	static const char *const ttls[] = { NULL, "1m", "15m", "8h", "24h" };
	static const char *const modes[] = { NULL, "execute", "recommend" };
	static const char *const all[] = { "ticket", "rollback_plan",
					   "owner_ack", "change_plan" };
	static const char *const groups[] = { "iam-approvers", "security",
					      "platform-owners" };
	struct writ_cedar_variant v = {
		.ttl = ttls[under(f, ARRAY_LEN(ttls))],
		.mode = modes[under(f, ARRAY_LEN(modes))],
		.evidence = kinds,
		.vary_evidence = rarely(f, 2),
		.approvals = tags,
		.vary_approvals = rarely(f, 2),
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (rarely(f, 2))
			kinds[v.evidence_count++] = all[i];
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		if (rarely(f, 2))
			tags[v.approval_count++] =
				(struct writ_cedar_tag){ groups[i],
							 under(f, 4) };
	return v;
}

static void assert_answers_as_the_whole_set(struct question *q,
					    const struct writ_cedar_variant *v)
{
	struct writ_cedar_answer answer;
	struct writ_cedar_error error;
	bool whole;

	assert_int_equal(question_ask(q, v, POLICY_BOTH, &answer), 0);
	assert_int_equal(writ_cedar_query_run_whole(q->query, POLICY_BOTH,
						    &whole, &error),
			 0);
	assert_int_equal(answer.allow, whole);
}

static void a_variant_answers_as_the_whole_set_does(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < REQUESTS / 2; i++) {
		CLEANUP(json_put_p) json_t *scenario = random_scenario(f);
		CLEANUP(json_put_p) json_t *facts = random_facts(f, scenario);
		CLEANUP(question_close) struct question q = { 0 };
		CLEANUP(json_put_p) json_t *ask = NULL;
		struct writ_cedar_tag tags[8];
		const char *kinds[8];

		assert_int_equal(scenario_ask(f->file, scenario, facts, &ask),
				 0);
		assert_int_equal(question_open(f->bundle, f->world, ask, &q),
				 0);
		for (int k = 0; k < 6; k++) {
			struct writ_cedar_variant v =
				random_variant(f, kinds, tags);

			assert_answers_as_the_whole_set(&q, &v);
		}
		assert_answers_as_the_whole_set(&q, NULL);
	}
}

/* ---- typed facts against JSON ---- */

/* A random ask that brings its own task and resource. */
static json_t *random_ask(struct fixture *f)
{
	CLEANUP(json_put_p) json_t *scenario = random_scenario(f);
	CLEANUP(json_put_p) json_t *facts = random_facts(f, scenario);
	json_t *ask = NULL;

	json_object_del(facts, "exception");
	if (!rarely(f, 8)) {
		json_set_new(facts, "delegation",
			     json_pack("{s:i, s:b, s:[]}", "depth", 0,
				       "attenuated", 1, "chain"));
		json_set_flag(facts, "chainHealthy", true);
	}
	assert_int_equal(scenario_ask(f->file, scenario, facts, &ask), 0);
	typed_bring(ask, f->entities);
	return ask;
}

/* The JSON form is checked against the schema at every question, the typed form
 * is not: so they must come out the same. */
static void typed_facts_are_the_same_question_as_json(void **state)
{
	struct fixture *f = *state;
	unsigned compared = 0;

	for (int i = 0; i < REQUESTS; i++) {
		CLEANUP(json_put_p) json_t *ask = random_ask(f);
		CLEANUP(question_close) struct question general = { 0 };
		CLEANUP(question_close) struct question q = { 0 };
		bool must_be_general;
		struct typed typed;

		assert_int_equal(
			question_open(f->bundle, f->inventory, ask, &general),
			0);
		if (!typed_of(ask, &typed))
			continue;
		assert_int_equal(question_open_typed(f->bundle, f->inventory,
						     &typed.question,
						     &must_be_general, &q),
				 0);
		if (must_be_general)
			continue;
		assert_true(writ_cedar_query_is_same(general.query, q.query));
		compared++;
	}
	print_message("%u compared\n", compared);
	assert_true(compared > REQUESTS / 2);
}

static void typed_facts_get_the_verdict_of_json(void **state)
{
	struct fixture *f = *state;
	struct policy_people people = { scenario_members, f->file };

	for (int i = 0; i < REQUESTS; i++) {
		CLEANUP(json_put_p) json_t *ask = random_ask(f);
		CLEANUP(policy_verdict_clear) struct policy_verdict a = { 0 };
		CLEANUP(policy_verdict_clear) struct policy_verdict b = { 0 };
		struct typed typed;

		if (!typed_of(ask, &typed))
			continue;
		assert_int_equal(policy_decide(f->bundle, f->inventory, ask,
					       &people, &a),
				 0);
		assert_int_equal(policy_decide_typed(f->bundle, f->inventory,
						     ask, &typed.question,
						     &people, &b),
				 0);
		assert_int_equal(a.decision, b.decision);
		assert_int_equal(a.nobody, b.nobody);
		assert_int_equal(a.as_advice, b.as_advice);
		assert_int_equal(a.evaluations, b.evaluations);
		assert_true(json_equal(a.policies, b.policies));
		assert_true(json_equal(a.errors, b.errors));
		assert_true(json_equal(a.requires, b.requires));
	}
}

/* Another mode, as a variant and as a question of its own. */
static void advice_is_told_as_if_it_had_been_asked_for(void **state)
{
	struct fixture *f = *state;
	struct policy_people people = { scenario_members, f->file };
	unsigned advised = 0;

	for (int i = 0; i < REQUESTS; i++) {
		CLEANUP(json_put_p) json_t *ask = random_ask(f);
		CLEANUP(policy_verdict_clear) struct policy_verdict v = { 0 };
		CLEANUP(policy_answer_clear) struct policy_answer a = { 0 };
		json_t *mode = json_object_get(
			json_object_get(json_object_get(ask, "context"),
					"mode"),
			"__entity");

		assert_int_equal(policy_decide(f->bundle, f->inventory, ask,
					       &people, &v),
				 0);
		if (v.decision != POLICY_DENY ||
		    strcmp(json_text(mode, "id", ""), "execute") != 0) {
			assert_false(v.as_advice);
			continue;
		}
		json_set_text(mode, "id", "recommend");
		assert_int_equal(policy_ask(f->bundle, f->inventory, ask, &a),
				 0);
		assert_int_equal(v.as_advice, a.allow);
		advised += a.allow;
	}
	assert_true(advised > 10);
}

static void a_typed_name_that_the_schema_lacks_is_refused(void **state)
{
	struct fixture *f = *state;
	CLEANUP(json_put_p) json_t *ask = NULL;
	static const char *const unknown[] = { "a_feeling" };
	struct policy_question q;
	struct question opened = { 0 };
	struct typed typed;
	bool general;

	do {
		json_decref(ask);
		ask = random_ask(f);
	} while (!typed_of(ask, &typed) || !typed.question.classified);
	q = typed.question;
	q.evidence = (struct policy_names){ unknown, 1 };
	assert_true(question_open_typed(f->bundle, f->inventory, &q, &general,
					&opened) < 0);
	q = typed.question;
	q.environment = "nowhere";
	assert_true(question_open_typed(f->bundle, f->inventory, &q, &general,
					&opened) < 0);
	q = typed.question;
	q.size--;
	assert_true(question_open_typed(f->bundle, f->inventory, &q, &general,
					&opened) < 0);
	q = typed.question;
	q.action = "Dance";
	assert_int_equal(question_open_typed(f->bundle, f->inventory, &q,
					     &general, &opened),
			 0);
	assert_true(general);
	/* A world with tasks of its own might mean another one. */
	q = typed.question;
	assert_int_equal(
		question_open_typed(f->bundle, f->world, &q, &general, &opened),
		0);
	assert_true(general);
	assert_null(opened.query);
}

static int set_up(void **state)
{
	struct fixture *f = mem_new(struct fixture);
	CLEANUP(json_put_p) json_t *inventory = NULL;

	f->seed = 20261122;
	f->bundle = support_bundle();
	f->file = support_scenarios();
	*state = f;
	if (scenario_entities(f->file, &f->entities) < 0 ||
	    policy_world_build(f->bundle, f->entities, &f->world) < 0)
		return -1;
	inventory = typed_world(f->entities);
	return policy_world_build(f->bundle, inventory, &f->inventory);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	policy_world_unref(f->inventory);
	policy_world_unref(f->world);
	json_decref(f->entities);
	policy_bundle_unref(f->bundle);
	json_decref(f->file);
	free(f);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remedies_suffice_and_are_needed),
		cmocka_unit_test(the_index_answers_as_the_whole_set_does),
		cmocka_unit_test(a_variant_answers_as_the_whole_set_does),
		cmocka_unit_test(typed_facts_are_the_same_question_as_json),
		cmocka_unit_test(typed_facts_get_the_verdict_of_json),
		cmocka_unit_test(advice_is_told_as_if_it_had_been_asked_for),
		cmocka_unit_test(a_typed_name_that_the_schema_lacks_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
