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

enum { ROUNDS = 2000, AGENTS = 10000 };

struct bench {
	struct policy_bundle *bundle;
	struct policy_world *world;
	json_t *file;
	int rounds;
	uint64_t *taken;
};

struct measured {
	struct bench *bench;
	json_t *ask;
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

static int evaluate(struct measured *m)
{
	struct writ_cedar_answer answer;

	return question_ask(&m->question, NULL, POLICY_BOTH, &answer);
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

static int decide(struct measured *m)
{
	struct policy_people people = { scenario_members, m->bench->file };
	struct policy_verdict verdict;
	int r = policy_decide(m->bench->bundle, m->bench->world, m->ask,
			      &people, &verdict);

	m->evaluations = verdict.evaluations;
	policy_verdict_clear(&verdict);
	return r;
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

static int build(struct bench *b, const char *folder)
{
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
	files = json_pack("{s:s, s:{s:s}, s:s, s:s}", "schema", schema,
			  "policies", "policies.cedar", policies, "invariants",
			  invariants, "templates", templates);
	TRY(policy_bundle_build(files, &b->bundle, &faults));
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
	CLEANUP(json_put_p) json_t *entities = NULL;
	uint64_t start;

	add_agents(b->file);
	TRY(scenario_entities(b->file, &entities));
	start = now_ns();
	TRY(policy_world_build(b->bundle, entities, &b->world));
	printf("world of %zu entities built in %.0f ms\n",
	       json_array_size(entities), (double)(now_ns() - start) / 1e6);
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
		return scenario_ask(b->file, scenario, facts, ret_ask);
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
	int r;

	TRY(ask_of(b, name, &asked));
	m.ask = asked;
	TRY(question_open(b->bundle, b->world, asked, &m.question));
	printf("\n%s\n", name);
	r = measure(&m, "evaluation, prepared (both sets)", evaluate);
	r = r < 0 ? r
		  : measure(&m, "evaluation of a variant", evaluate_variant);
	r = r < 0 ? r : measure(&m, "policy_ask, from JSON values", ask);
	r = r < 0 ? r : measure(&m, "policy_decide", decide);
	printf("%-44s %9u\n", "  evaluations in it", m.evaluations);
	question_close(&m.question);
	return r;
}

static int run(struct bench *b, const char *folder)
{
	TRY(build(b, folder));
	TRY(build_world(b));
	printf("%s, %d rounds each\n%-44s %9s %9s\n", policy_engine(),
	       b->rounds, "nanoseconds", "median", "p99");
	TRY(measure_case(b, "low tier grant is automatic"));
	TRY(measure_case(b, "tier 2 grant waits for one approval"));
	return measure_case(b, "tier 3 grant: quorum, evidence, ttl, security");
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
	policy_world_unref(b.world);
	policy_bundle_unref(b.bundle);
	json_decref(b.file);
	free(b.taken);
	return r < 0;
}
