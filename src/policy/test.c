/*
 * The test of a bundle: every scenario comes out as it says, every policy
 * decides one, remedies are monotone, names keep their promise, and a policy
 * that is gone is missed.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "policy/engine.h"
#include "policy/scenario.h"

struct run {
	const struct policy_bundle *bundle;
	const struct policy_world *world;
	const json_t *file;
	json_t *faults;	 /* owned array */
	json_t *decided; /* owned object: ids that decided a scenario */
	/* Owned object: ids that decided some evaluation, with the numbers of
	 * the cases; NULL while nobody asks. */
	json_t *deciders;
	policy_progress_fn progress;
	void *cookie;
};

static void clear_run(struct run *run)
{
	json_decref(run->faults);
	json_decref(run->decided);
	json_decref(run->deciders);
}

PRINTF_LIKE(3, 4)
static void fault(struct run *run, const char *scenario, const char *format,
		  ...)
{
	char words[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	json_array_append_new(
		run->faults,
		json_pack("{s:s, s:s}", "scenario", scenario, "detail", words));
}

static void fault_of(struct run *run, const char *policy, const char *words)
{
	json_array_append_new(run->faults, json_pack("{s:s, s:s}", "policy",
						     policy, "detail", words));
}

static char *as_text(const json_t *value)
{
	return value ? json_canonical(value) : mem_str("nothing");
}

/* ---- one scenario ---- */

static int compare_texts(const void *a, const void *b)
{
	const char *const *one = a;
	const char *const *other = b;

	return strcmp(*one, *other);
}

/* A sorted copy of an array of texts; owned. */
static json_t *sorted(const json_t *texts)
{
	size_t count = json_array_size(texts);
	CLEANUP(mem_free_p)
	const char **list = mem_array(count + 1, sizeof(*list));
	json_t *copy = json_array();

	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(texts, i));

		list[i] = text ? text : "";
	}
	qsort(list, count, sizeof(*list), compare_texts);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(copy, json_string(list[i]));
	return copy;
}

static bool same_texts(const json_t *a, const json_t *b)
{
	CLEANUP(json_put_p) json_t *one = sorted(a);
	CLEANUP(json_put_p) json_t *other = sorted(b);

	return json_equal(one, other);
}

static bool same_requires(const json_t *got, const json_t *want)
{
	CLEANUP(json_put_p) json_t *one = json_copy((json_t *)(uintptr_t)got);
	CLEANUP(json_put_p)
	json_t *other = json_copy((json_t *)(uintptr_t)want);

	if (!same_texts(json_object_get(got, "evidence"),
			json_object_get(want, "evidence")))
		return false;
	json_object_del(one, "evidence");
	json_object_del(other, "evidence");
	return json_equal(one, other);
}

static const char *decision_name(enum policy_decision decision)
{
	switch (decision) {
	case POLICY_DENY:
		return "deny";
	case POLICY_PENDING:
		return "pending";
	case POLICY_ALLOW:
		return "allow";
	}
	return "deny";
}

/* What a scenario calls the reason: policies, or why there are none. */
static json_t *reason_of(const struct policy_verdict *v)
{
	if (v->nobody)
		return json_pack("[s]", "nobody-may-approve");
	if (json_has_text(v->errors, "ceiling"))
		return json_pack("[s]", "ceiling");
	return json_incref(v->policies);
}

static bool erred(const struct policy_verdict *v)
{
	return json_array_size(v->errors) > 0 &&
	       !json_has_text(v->errors, "ceiling");
}

static void compare(struct run *run, const json_t *scenario,
		    const struct policy_verdict *v, const char *how)
{
	const char *name = json_text(scenario, "name", "?");
	const char *want = json_text(scenario, "want", "?");
	const json_t *requires = json_object_get(scenario, "requires");
	const json_t *reason = json_object_get(scenario, "reason");
	CLEANUP(json_put_p) json_t *because = reason_of(v);
	CLEANUP(mem_free_p) char *got_requires = as_text(v->requires);
	CLEANUP(mem_free_p) char *got_reason = as_text(because);
	CLEANUP(mem_free_p) char *errors = as_text(v->errors);

	if (erred(v))
		fault(run, name, "evaluation errors in %s%s", errors, how);
	else if (strcmp(decision_name(v->decision), want) != 0)
		fault(run, name, "want %s, got %s because of %s, requires %s%s",
		      want, decision_name(v->decision), got_reason,
		      got_requires, how);
	else if (requires && !same_requires(v->requires, requires))
		fault(run, name, "requires %s%s", got_requires, how);
	else if (reason && !same_texts(because, reason))
		fault(run, name, "reason %s%s", got_reason, how);
}

static void remember(struct run *run, const json_t *policies)
{
	for (size_t i = 0; i < json_array_size(policies); i++)
		json_object_set_new(
			run->decided,
			json_string_value(json_array_get(policies, i)),
			json_true());
}

/* Every group with a tag of 0 where it had none: as good as no tag. */
static void add_zeros(const json_t *file, json_t *facts)
{
	json_t *groups =
		json_object_get(json_object_get(file, "entities"), "Group");
	json_t *given = json_object_get(facts, "approvals");
	json_t *tags = json_object();
	const char *name;
	json_t *group;

	json_object_foreach(groups, name, group)
		json_object_set_new(tags, name, json_integer(0));
	json_object_update(tags, given);
	json_object_set_new(facts, "approvals", tags);
}

static int decide_facts(struct run *run, const struct policy_bundle *bundle,
			const json_t *scenario, const json_t *facts,
			struct policy_verdict *ret_verdict)
{
	CLEANUP(json_put_p) json_t *ask = NULL;
	struct policy_people people = {
		.members = scenario_members,
		.cookie = (void *)(uintptr_t)run->file,
	};

	TRY(scenario_ask(run->file, scenario, facts, &ask));
	return policy_decide(bundle, run->world, ask, &people, ret_verdict);
}

/* Asks the invariants alone where the scenario or its outcome says what they
 * must say. */
static int check_ceiling(struct run *run, const struct policy_bundle *bundle,
			 const json_t *scenario, const json_t *facts)
{
	const char *want = json_text(scenario, "ceiling", NULL);
	CLEANUP(question_close) struct question q = { 0 };
	CLEANUP(json_put_p) json_t *ask = NULL;
	struct writ_cedar_answer answer;

	if (!want && !strcmp(json_text(scenario, "want", ""), "allow"))
		want = "allow";
	if (!want)
		return 0;
	TRY(scenario_ask(run->file, scenario, facts, &ask));
	TRY(question_open(bundle, run->world, ask, &q));
	TRY(question_ask(&q, NULL, WRIT_CEDAR_INVARIANTS, &answer));
	if (answer.error_count ||
	    strcmp(answer.allow ? "allow" : "deny", want) != 0)
		fault(run, json_text(scenario, "name", "?"),
		      "the ceiling does not say %s", want);
	return 0;
}

static int run_linked(struct run *run, const struct policy_bundle *bundle,
		      const json_t *scenario)
{
	CLEANUP(policy_verdict_clear) struct policy_verdict first = { 0 };
	CLEANUP(policy_verdict_clear) struct policy_verdict second = { 0 };
	CLEANUP(json_put_p) json_t *facts = NULL;

	TRY(scenario_facts(run->file, scenario, &facts));
	TRY(check_ceiling(run, bundle, scenario, facts));
	TRY(decide_facts(run, bundle, scenario, facts, &first));
	compare(run, scenario, &first, "");
	remember(run, first.policies);
	if (first.decision != POLICY_PENDING)
		return 0;
	add_zeros(run->file, facts);
	TRY(decide_facts(run, bundle, scenario, facts, &second));
	compare(run, scenario, &second, " with tags of 0");
	remember(run, second.policies);
	return 0;
}

static int try_scenario(struct run *run, const json_t *scenario)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *linked = NULL;
	CLEANUP(json_put_p) json_t *links = scenario_links(scenario);

	if (json_array_size(links) == 0)
		return run_linked(run, run->bundle, scenario);
	TRY(policy_bundle_link((struct policy_bundle *)(uintptr_t)run->bundle,
			       links, &linked));
	return run_linked(run, linked, scenario);
}

/* A case that cannot be asked is a fault of the case, not of the run. */
static void run_scenario(struct run *run, const json_t *scenario)
{
	if (try_scenario(run, scenario) < 0)
		fault(run, json_text(scenario, "name", "?"), "%s",
		      error_message());
}

/* Notes what decided an evaluation of a case. */
static int note_deciders(struct run *run, size_t number)
{
	CLEANUP(json_put_p) json_t *ids = NULL;
	const json_t *id;
	size_t at;

	TRY(bundle_watched(run->bundle, &ids));
	json_array_foreach(ids, at, id) {
		const char *name = json_string_value(id);

		if (!json_object_get(run->deciders, name))
			json_object_set_new(run->deciders, name, json_array());
		json_array_append_new(json_object_get(run->deciders, name),
				      json_integer((json_int_t)number));
	}
	return 0;
}

static int run_cases(struct run *run)
{
	const json_t *cases = json_object_get(run->file, "cases");

	for (size_t i = 0; i < json_array_size(cases); i++) {
		run_scenario(run, json_array_get(cases, i));
		if (run->deciders)
			TRY(note_deciders(run, i));
	}
	return 0;
}

/* ---- monotony ---- */

static int expect_allow(struct run *run, struct question *q, const char *name,
			const struct writ_cedar_variant *variant,
			const char *what)
{
	struct writ_cedar_answer answer;

	TRY(question_ask(q, variant, POLICY_BOTH, &answer));
	if (!answer.allow)
		fault(run, name, "not monotone in %s", what);
	return 0;
}

static int probe_groups(struct run *run, struct question *q, const char *name,
			json_t *approvals)
{
	json_t *groups = json_object_get(json_object_get(run->file, "entities"),
					 "Group");
	struct writ_cedar_tag tags[64];
	size_t count = 0;
	const char *group;
	json_t *value;

	json_object_foreach(approvals, group, value) {
		if (count + 1 < ARRAY_LEN(tags))
			tags[count++] = (struct writ_cedar_tag){
				group, json_integer_value(value)
			};
	}
	json_object_foreach(groups, group, value) {
		size_t at = 0;

		while (at < count && strcmp(tags[at].name, group) != 0)
			at++;
		for (int64_t more = 1; more <= 2; more++) {
			struct writ_cedar_tag old = tags[at];
			struct writ_cedar_variant v = {
				.approvals = tags,
				.approval_count =
					at < count ? count : count + 1,
				.vary_approvals = true,
			};

			tags[at] = (struct writ_cedar_tag){
				group, more + (at < count ? old.value : 0)
			};
			TRY(expect_allow(run, q, name, &v, group));
			tags[at] = old;
		}
	}
	return 0;
}

static int probe_evidence(struct run *run, struct question *q, const char *name,
			  const json_t *given)
{
	const json_t *kinds = json_object_get(
		json_object_get(run->bundle->about, "enumerations"),
		"Gov::Evidence");
	const char *list[64];
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(given); i++)
		if (count + 1 < ARRAY_LEN(list))
			list[count++] =
				json_string_value(json_array_get(given, i));
	for (size_t i = 0; i < json_array_size(kinds); i++) {
		struct writ_cedar_variant v = {
			.evidence = list,
			.evidence_count = count + 1,
			.vary_evidence = true,
		};

		list[count] = json_string_value(json_array_get(kinds, i));
		TRY(expect_allow(run, q, name, &v, list[count]));
	}
	return 0;
}

static int probe_ttl(struct run *run, struct question *q, const char *name,
		     const char *asked)
{
	static const int64_t times[] = { 60, 61, 300, 900, 3600, 7200 };
	int64_t asked_s;

	if (clock_parse_duration(asked, &asked_s) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		CLEANUP(mem_free_p)
		char *ttl = clock_format_duration(times[i]);
		struct writ_cedar_variant v = { .ttl = ttl };

		if (times[i] <= asked_s)
			TRY(expect_allow(run, q, name, &v, "ttl"));
	}
	return 0;
}

/* Where an agent is allowed, more approvals, more evidence and less time must
 * not turn it. */
static int probe(struct run *run, const json_t *scenario)
{
	const char *name = json_text(scenario, "name", "?");
	CLEANUP(question_close) struct question q = { 0 };
	CLEANUP(json_put_p) json_t *facts = NULL;
	CLEANUP(json_put_p) json_t *ask = NULL;
	struct writ_cedar_answer answer;

	TRY(scenario_facts(run->file, scenario, &facts));
	TRY(scenario_ask(run->file, scenario, facts, &ask));
	TRY(question_open(run->bundle, run->world, ask, &q));
	TRY(question_ask(&q, NULL, POLICY_BOTH, &answer));
	if (!answer.allow)
		return 0;
	TRY(probe_groups(run, &q, name, json_object_get(facts, "approvals")));
	TRY(probe_evidence(run, &q, name, json_object_get(facts, "evidence")));
	return probe_ttl(run, &q, name, json_text(facts, "ttl", ""));
}

static void check_monotony(struct run *run)
{
	const json_t *cases = json_object_get(run->file, "cases");

	for (size_t i = 0; i < json_array_size(cases); i++) {
		const json_t *scenario = json_array_get(cases, i);

		if (!json_text(scenario, "p", NULL) ||
		    json_object_get(scenario, "links") ||
		    strcmp(json_text(scenario, "want", ""), "allow") != 0)
			continue;
		if (probe(run, scenario) < 0)
			fault(run, json_text(scenario, "name", "?"), "%s",
			      error_message());
	}
}

/* ---- style ---- */

static bool reads_any(const json_t *policy, const char *const *names,
		      size_t count)
{
	const json_t *reads = json_object_get(policy, "reads");

	for (size_t i = 0; i < count; i++)
		if (json_has_text(reads, names[i]))
			return true;
	return false;
}

/* What the first letter of an @id promises. */
static void check_letter(struct run *run, const json_t *policy)
{
	static const char *const given[] = { "approvals", "evidence",
					     "signatures", "ttl", "exception" };
	const char *id = json_text(policy, "id", "");
	bool permit = !strcmp(json_text(policy, "effect", ""), "permit");
	/* The first three are what people can add. */
	bool by_people = reads_any(policy, given, 3);

	if (!strchr("pgr", id[0]))
		fault_of(run, id, "an @id begins with p, g or r");
	if ((id[0] == 'p') != permit)
		fault_of(run, id, "p is for permits");
	if (id[0] != 'r' && by_people)
		fault_of(run, id, "only r policies read what people can add");
	if (id[0] == 'r' && !reads_any(policy, given, ARRAY_LEN(given)))
		fault_of(run, id, "nothing lifts it, so it is a guard");
}

/* A model's output never removes a review, except where the file says so. */
static void check_signals(struct run *run, const json_t *policy)
{
	const char *id = json_text(policy, "id", "");
	bool permit = !strcmp(json_text(policy, "effect", ""), "permit");
	const json_t *where =
		json_object_get(policy, permit ? "reads" : "readsInUnless");
	bool lifts = json_has_text(where, "risk");

	if (lifts &&
	    !json_has_text(json_object_get(run->file, "signalsLift"), id))
		fault_of(run, id, "a signal lifts a review here");
}

static void check_policies(struct run *run)
{
	const json_t *list = json_object_get(run->bundle->about, "policies");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *policy = json_array_get(list, i);
		const char *id = json_text(policy, "id", "");

		if (strcmp(json_text(policy, "set", ""), "policies") != 0)
			continue;
		check_letter(run, policy);
		check_signals(run, policy);
		if (!json_object_get(run->decided, id))
			fault_of(run, id, "no scenario is decided by it");
	}
}

/* ---- what is gone is missed ---- */

static bool links_to(const json_t *scenario, const char *template)
{
	const json_t *link;
	size_t at;

	json_array_foreach(json_object_get(scenario, "links"), at, link) {
		if (!strcmp(json_text(link, "template", ""), template))
			return true;
	}
	return false;
}

/*
 * The numbers of the cases in which a policy that is gone could be missed;
 * owned.  Where it decided no evaluation, not even one on the way to a remedy,
 * nothing changes without it.
 */
static json_t *cases_about(const struct run *run, const json_t *policy)
{
	const json_t *cases = json_object_get(run->file, "cases");
	const char *id = json_text(policy, "id", "");
	const json_t *scenario;
	json_t *numbers;
	size_t at;

	if (strcmp(json_text(policy, "set", ""), "templates") != 0)
		return json_incref(json_object_get(run->deciders, id));
	numbers = json_array();
	json_array_foreach(cases, at, scenario) {
		if (links_to(scenario, id))
			json_array_append_new(numbers,
					      json_integer((json_int_t)at));
	}
	return numbers;
}

static int run_without(struct run *run, const json_t *policy)
{
	const json_t *cases = json_object_get(run->file, "cases");
	const char *id = json_text(policy, "id", "");
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *less = NULL;
	CLEANUP(json_put_p) json_t *numbers = cases_about(run, policy);
	CLEANUP(clear_run)
	struct run trial = { .world = run->world, .file = run->file };
	const json_t *number;
	size_t at;

	TRY(bundle_without(run->bundle, id, &less));
	trial.bundle = less;
	trial.faults = json_array();
	trial.decided = json_object();
	json_array_foreach(numbers, at, number) {
		run_scenario(&trial,
			     json_array_get(cases, (size_t)json_integer_value(
							   number)));
		if (json_array_size(trial.faults))
			return 0;
	}
	fault_of(run, id,
		 "it can be deleted and no scenario fails: write a scenario "
		 "that needs it, or delete it");
	return 0;
}

/* Links come and go, and shadows decide nothing: nobody would miss them. */
static bool would_be_missed(const json_t *policy)
{
	const char *set = json_text(policy, "set", "");

	return strcmp(set, "links") != 0 && strcmp(set, "shadows") != 0;
}

static int check_deletions(struct run *run)
{
	const json_t *list = json_object_get(run->bundle->about, "policies");
	size_t total = json_array_size(list);
	const json_t *policy;
	size_t at;

	json_array_foreach(list, at, policy) {
		if (!would_be_missed(policy))
			continue;
		if (run->progress && !run->progress(run->cookie, at, total)) {
			fault_of(run, json_text(policy, "id", ""),
				 "it was given up before it was tried whether "
				 "it would be missed");
			return 0;
		}
		TRY(run_without(run, policy));
	}
	if (run->progress)
		run->progress(run->cookie, total, total);
	return 0;
}

/* ---- all of it ---- */

static json_t *report_of(const struct run *run)
{
	size_t count = json_array_size(json_object_get(run->file, "cases"));

	return json_pack("{s:I, s:O}", "scenarios", (json_int_t)count, "faults",
			 run->faults);
}

int policy_test(const struct policy_bundle *b, const json_t *scenarios,
		bool mutants, json_t **ret_report)
{
	return policy_test_slowly(b, scenarios, mutants, NULL, NULL,
				  ret_report);
}

int policy_test_slowly(const struct policy_bundle *b, const json_t *scenarios,
		       bool mutants, policy_progress_fn progress, void *cookie,
		       json_t **ret_report)
{
	CLEANUP(policy_world_unref_p) struct policy_world *world = NULL;
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *watched = NULL;
	CLEANUP(json_put_p) json_t *entities = NULL;
	CLEANUP(clear_run)
	struct run run = { .bundle = b,
			   .file = scenarios,
			   .progress = progress,
			   .cookie = cookie };

	if (!json_array_in(scenarios, "cases"))
		return error_set(ERR_SYNTAX, "scenarios without cases");
	TRY(scenario_entities(scenarios, &entities));
	TRY(policy_world_build(b, entities, &world));
	run.world = world;
	run.faults = json_array();
	run.decided = json_object();
	if (mutants) {
		TRY(bundle_watch(b, &watched));
		run.bundle = watched;
		run.deciders = json_object();
	}
	TRY(run_cases(&run));
	check_policies(&run);
	check_monotony(&run);
	if (mutants)
		TRY(check_deletions(&run));
	*ret_report = report_of(&run);
	return 0;
}
