/*
 * What a policy decision costs: medians over many rounds, printed with how they
 * were taken.  Not a test.
 *
 *   bench_policy POLICY-FOLDER [ROUNDS]
 */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "policy/engine.h"
#include "policy/scenario.h"
#include "tests/unit/policy/typed.h"

enum { ROUNDS = 2000, AGENTS = 10000, POLICIES = 10000 };

struct bench {
	struct policy_bundle *bundle;
	struct policy_world *world;
	json_t *entities;
	json_t *file;
	int rounds;
	uint64_t *taken;
};

struct measured {
	struct bench *bench;
	json_t *ask;
	struct typed typed;
	struct question question;
	struct writ_cedar_variant variant;
	unsigned evaluations;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *one = a;
	const uint64_t *other = b;

	return (*one > *other) - (*one < *other);
}

/* ---- what is measured
 * -------------------------------------------------------------- */

static int open_typed(struct measured *m, struct question *q)
{
	bool general;

	TRY(question_open_typed(m->bench->bundle, m->bench->world,
				&m->typed.question, &general, q));
	return general ? error_set(ERR_SYNTAX, "not as typed facts") : 0;
}

static int prepare(struct measured *m)
{
	CLEANUP(question_close) struct question q = { 0 };

	return open_typed(m, &q);
}

static int prepare_and_evaluate(struct measured *m)
{
	CLEANUP(question_close) struct question q = { 0 };
	struct writ_cedar_answer answer;

	TRY(open_typed(m, &q));
	return question_ask(&q, NULL, POLICY_BOTH, &answer);
}

static int evaluate_variant(struct measured *m)
{
	struct writ_cedar_answer answer;

	return question_ask(&m->question, &m->variant, POLICY_BOTH, &answer);
}

static int ask(struct measured *m)
{
	struct policy_answer answer;
	int r = policy_ask(m->bench->bundle, m->bench->world, m->ask, &answer);

	policy_answer_clear(&answer);
	return r;
}

static int decide_by(struct measured *m, const struct policy_question *typed)
{
	struct policy_people people = { scenario_members, m->bench->file };
	struct policy_verdict verdict;
	int r = policy_decide_typed(m->bench->bundle, m->bench->world, m->ask,
				    typed, &people, &verdict);

	m->evaluations = verdict.evaluations;
	policy_verdict_clear(&verdict);
	return r;
}

static int decide(struct measured *m)
{
	return decide_by(m, NULL);
}

static int decide_typed(struct measured *m)
{
	return decide_by(m, &m->typed.question);
}

static int measure(struct measured *m, const char *what,
		   int (*run)(struct measured *m))
{
	struct bench *b = m->bench;
	uint64_t *taken = b->taken;

	for (int i = 0; i < b->rounds / 10; i++)
		TRY(run(m));
	for (int i = 0; i < b->rounds; i++) {
		uint64_t start = now_ns();

		TRY(run(m));
		taken[i] = now_ns() - start;
	}
	qsort(taken, (size_t)b->rounds, sizeof(*taken), compare);
	printf("%-44s %9llu %9llu\n", what,
	       (unsigned long long)taken[b->rounds / 2],
	       (unsigned long long)taken[b->rounds - b->rounds / 100 - 1]);
	return 0;
}

/* ---- setting up
 * ----------------------------------------------------------------------- */

static int read_text(const char *folder, const char *name, char **ret_text)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(1 << 20);
	CLEANUP(mem_free_p) char *path = mem_format("%s/%s", folder, name);

	TRY(file_read(path, &text));
	*ret_text = buf_take_text(&text);
	return 0;
}

/*
 * Policies as a large site might add them: most about one resource, some about
 * one agent or one team, some about everything of a kind.  None of them holds
 * in what is measured; they are there to be passed over.
 */
static void put_policy(struct buf *text, int n)
{
	static const char *const kinds[][2] = {
		{ "GrantRole", "Role" },
		{ "RevokeRole", "Role" },
		{ "AddToGroup", "DirectoryGroup" },
		{ "RemoveFromGroup", "DirectoryGroup" },
		{ "SuspendAccount", "Account" },
		{ "CreateIdentity", "Account" },
		{ "RotateKey", "Key" },
		{ "UpdateAccessPolicy", "AccessPolicy" },
	};
	const char *const *kind = kinds[n % (int)ARRAY_LEN(kinds)];

	buf_putf(text, "@id(\"g-%d\") forbid (", n);
	if (n % 10 < 6)
		buf_putf(text,
			 "principal is Gov::Agent, action == "
			 "Gov::Action::\"%s\", resource == "
			 "Gov::%s::\"dir/cn=%d\")",
			 kind[0], kind[1], n);
	else if (n % 10 < 8)
		buf_putf(text,
			 "principal == Gov::Agent::\"bulk-%d\", action in "
			 "Gov::Action::\"Change\", resource)",
			 n);
	else if (n % 10 < 9)
		buf_putf(text,
			 "principal in Gov::Group::\"team-%d\", action == "
			 "Gov::Action::\"%s\", resource is Gov::%s)",
			 n, kind[0], kind[1]);
	else
		buf_putf(text,
			 "principal is Gov::Agent, action == "
			 "Gov::Action::\"%s\", resource is Gov::%s)",
			 kind[0], kind[1]);
	buf_putf(text,
		 " when { context.mode == Gov::Mode::\"execute\" && "
		 "resource.tier == %d && context.blastRadius > %d };\n",
		 n % 5, n + 100);
}

static char *many_policies(int count)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(POLICY_FILES_MAX);

	for (int n = 0; n < count; n++)
		put_policy(&text, n);
	return buf_take_text(&text);
}

static int build(struct bench *b, const char *folder, int more)
{
	CLEANUP(mem_free_p) char *many = many_policies(more);
	uint64_t start;
	CLEANUP(mem_free_p) char *schema = NULL;
	CLEANUP(mem_free_p) char *policies = NULL;
	CLEANUP(mem_free_p) char *invariants = NULL;
	CLEANUP(mem_free_p) char *templates = NULL;
	CLEANUP(mem_free_p) char *scenarios = NULL;
	CLEANUP(json_put_p) json_t *files = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;

	TRY(read_text(folder, "governance.cedarschema", &schema));
	TRY(read_text(folder, "policies.cedar", &policies));
	TRY(read_text(folder, "invariants.cedar", &invariants));
	TRY(read_text(folder, "templates.cedar", &templates));
	TRY(read_text(folder, "scenarios.json", &scenarios));
	TRY(json_parse(slice_str(scenarios), 1 << 20, &b->file));
	files = json_pack("{s:s, s:{s:s, s:s}, s:s, s:s}", "schema", schema,
			  "policies", "policies.cedar", policies, "more.cedar",
			  many, "invariants", invariants, "templates",
			  templates);
	start = now_ns();
	TRY(policy_bundle_build(files, &b->bundle, &faults));
	printf("bundle of %d and the project's policies built in %.0f ms\n",
	       more, (double)(now_ns() - start) / 1e6);
	return b->bundle ? 0 : error_set(ERR_SYNTAX, "the bundle has faults");
}

static void add_agents(json_t *file)
{
	json_t *agents =
		json_object_get(json_object_get(file, "entities"), "Agent");

	for (int i = 0; i < AGENTS; i++) {
		CLEANUP(mem_free_p) char *name = mem_format("bulk-%d", i);

		json_object_set(agents, name,
				json_object_get(agents, "operator"));
	}
}

static int build_world(struct bench *b)
{
	CLEANUP(json_put_p) json_t *world = NULL;
	uint64_t start;

	add_agents(b->file);
	TRY(scenario_entities(b->file, &b->entities));
	world = typed_world(b->entities);
	start = now_ns();
	TRY(policy_world_build(b->bundle, world, &b->world));
	printf("world of %zu entities built in %.0f ms\n",
	       json_array_size(world), (double)(now_ns() - start) / 1e6);
	return 0;
}

static int ask_of(struct bench *b, const char *name, json_t **ret_ask)
{
	const json_t *cases = json_object_get(b->file, "cases");

	for (size_t i = 0; i < json_array_size(cases); i++) {
		const json_t *scenario = json_array_get(cases, i);
		CLEANUP(json_put_p) json_t *facts = NULL;

		if (strcmp(json_text(scenario, "name", ""), name) != 0)
			continue;
		TRY(scenario_facts(b->file, scenario, &facts));
		TRY(scenario_ask(b->file, scenario, facts, ret_ask));
		typed_bring(*ret_ask, b->entities);
		return 0;
	}
	return error_set(ERR_NOT_FOUND, "no scenario '%s'", name);
}

static int measure_case(struct bench *b, const char *name)
{
	static const struct writ_cedar_tag tags[] = { { "iam-approvers", 1 } };
	static const char *const evidence[] = { "ticket", "rollback_plan" };
	CLEANUP(json_put_p) json_t *asked = NULL;
	struct measured m = {
		.bench = b,
		.variant = { .ttl = "5m",
			     .evidence = evidence,
			     .evidence_count = ARRAY_LEN(evidence),
			     .vary_evidence = true,
			     .approvals = tags,
			     .approval_count = ARRAY_LEN(tags),
			     .vary_approvals = true },
	};
	static const struct {
		const char *what;
		int (*run)(struct measured *m);
	} rows[] = {
		{ "a question prepared, typed facts", prepare },
		{ "prepared and evaluated (both sets)", prepare_and_evaluate },
		{ "evaluation of a variant", evaluate_variant },
		{ "policy_ask, from JSON values", ask },
		{ "policy_decide, typed facts", decide_typed },
		{ "policy_decide, from JSON values", decide },
	};
	int r = 0;

	TRY(ask_of(b, name, &asked));
	m.ask = asked;
	if (!typed_of(asked, &m.typed))
		return error_set(ERR_SYNTAX, "no typed facts");
	TRY(question_open(b->bundle, b->world, asked, &m.question));
	printf("\n%s\n", name);
	for (size_t i = 0; i < ARRAY_LEN(rows) && r == 0; i++)
		r = measure(&m, rows[i].what, rows[i].run);
	printf("%-44s %9u\n", "  evaluations in it", m.evaluations);
	question_close(&m.question);
	return r;
}

static int run_with(struct bench *b, const char *folder, int more)
{
	TRY(build(b, folder, more));
	TRY(build_world(b));
	printf("%s, %d rounds each\n%-44s %9s %9s\n", policy_engine(),
	       b->rounds, "nanoseconds", "median", "p99");
	TRY(measure_case(b, "low tier grant is automatic"));
	TRY(measure_case(b, "tier 2 grant waits for one approval"));
	return measure_case(b, "tier 3 grant: quorum, evidence, ttl, security");
}

static void clear(struct bench *b)
{
	policy_world_unref(b->world);
	policy_bundle_unref(b->bundle);
	json_decref(b->entities);
	json_decref(b->file);
	*b = (struct bench){ .rounds = b->rounds, .taken = b->taken };
}

/* What deleting each policy in turn and running its scenarios takes. */
static int measure_mutants(struct bench *b, const char *folder)
{
	CLEANUP(json_put_p) json_t *report = NULL;
	uint64_t start;

	TRY(build(b, folder, 0));
	start = now_ns();
	TRY(policy_test(b->bundle, b->file, true, &report));
	printf("scenarios and deletions tried in %.0f ms\n",
	       (double)(now_ns() - start) / 1e6);
	return 0;
}

static int run(struct bench *b, const char *folder)
{
	TRY(run_with(b, folder, 0));
	clear(b);
	printf("\n");
	TRY(run_with(b, folder, POLICIES));
	clear(b);
	printf("\n");
	return measure_mutants(b, folder);
}

int main(int argc, char **argv)
{
	struct bench b = { .rounds = ROUNDS };
	int r;

	if (argc < 2) {
		fprintf(stderr, "usage: %s POLICY-FOLDER [ROUNDS]\n", argv[0]);
		return 2;
	}
	if (argc > 2)
		b.rounds = (int)strtol(argv[2], NULL, 10);
	if (b.rounds < 100)
		b.rounds = 100;
	b.taken = mem_array((size_t)b.rounds, sizeof(*b.taken));
	r = run(&b, argv[1]);
	if (r < 0)
		fprintf(stderr, "%s\n", error_message());
	clear(&b);
	free(b.taken);
	return r < 0;
}
