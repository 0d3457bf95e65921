/*
 * Remedies are found by asking again with better facts.  They are monotone:
 * more approvals, more evidence and less time never turn allow into deny (the
 * test of a bundle tries it), so the best facts tell whether anything helps,
 * and each fact can then be lowered by itself to the least that still does.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "policy/engine.h"

enum {
	TTL_FLOOR = POLICY_TTL_FLOOR_S,
	NAMES_MAX = 64,	    /* groups or kinds of evidence in one question */
	MEMBERS_MAX = 4096, /* of one group, that are asked about */
};

/* One approver group. */
struct seat {
	const char *group;
	bool named;   /* by a policy for this question */
	bool listed;  /* the ledger has a tag */
	int64_t have; /* approvals given */
	int64_t best; /* approvals supposed; 0 and not listed: no tag */
};

/* A kind of evidence. */
struct proof {
	const char *kind;
	bool have;
	bool best;
};

struct search {
	const struct policy_bundle *bundle;
	const struct policy_world *world;
	const json_t *ask;
	const struct policy_question *typed; /* NULL: the ask alone */
	const struct policy_people *people;
	struct question question;
	unsigned evaluations; /* beside the question's own */
	int64_t quorum;
	struct seat seats[NAMES_MAX];
	size_t seat_count;
	struct proof proofs[NAMES_MAX];
	size_t proof_count;
	int64_t asked_s; /* the ttl asked; 0 when it is not to be varied */
	int64_t best_s;
};

static void clear_search(struct search *s)
{
	question_close(&s->question);
}

/* ---- reading the ask --------------------------------------------------------
 */

static const json_t *entity_in(const json_t *value)
{
	const json_t *inner = json_object_get(value, "__entity");

	return inner ? inner : value;
}

static bool same_entity(const json_t *a, const json_t *b)
{
	const char *id = json_text(entity_in(a), "id", NULL);
	const char *type = json_text(entity_in(a), "type", NULL);

	return id && type && !strcmp(id, json_text(entity_in(b), "id", "")) &&
	       !strcmp(type, json_text(entity_in(b), "type", ""));
}

/* The tags of the ask's ledger, NULL if it has none. */
static json_t *ledger_tags(const json_t *ask)
{
	const json_t *ledger =
		json_object_get(json_object_get(ask, "context"), "approvals");
	const json_t *entities = json_object_get(ask, "entities");

	for (size_t i = 0; i < json_array_size(entities); i++) {
		const json_t *entity = json_array_get(entities, i);

		if (same_entity(json_object_get(entity, "uid"), ledger))
			return json_object_get(entity, "tags");
	}
	return NULL;
}

static int add_seat(struct search *s, const char *group, const json_t *tag,
		    bool named)
{
	for (size_t i = 0; i < s->seat_count; i++)
		if (!strcmp(s->seats[i].group, group))
			return 0;
	if (s->seat_count == NAMES_MAX)
		return error_set(ERR_LIMIT, "too many approver groups");
	s->seats[s->seat_count++] = (struct seat){
		.group = group,
		.named = named,
		.listed = tag != NULL,
		.have = json_integer_value(tag),
		.best = json_integer_value(tag),
	};
	return 0;
}

static int add_proof(struct search *s, const char *kind, bool have)
{
	for (size_t i = 0; i < s->proof_count; i++) {
		struct proof *known = &s->proofs[i];

		if (strcmp(known->kind, kind) != 0)
			continue;
		known->have |= have;
		known->best |= have;
		return 0;
	}
	if (s->proof_count == NAMES_MAX)
		return error_set(ERR_LIMIT, "too many kinds of evidence");
	s->proofs[s->proof_count++] =
		(struct proof){ .kind = kind, .have = have, .best = have };
	return 0;
}

/* Approvals and evidence that the ask has and no policy names still count. */
static int read_given(struct search *s)
{
	const json_t *context = json_object_get(s->ask, "context");
	const json_t *evidence = json_object_get(context, "evidence");
	json_t *tags = ledger_tags(s->ask);
	void *at;

	for (at = json_object_iter(tags); at;
	     at = json_object_iter_next(tags, at))
		TRY(add_seat(s, json_object_iter_key(at),
			     json_object_iter_value(at), false));
	for (size_t i = 0; i < json_array_size(evidence); i++)
		TRY(add_proof(s,
			      json_text(entity_in(json_array_get(evidence, i)),
					"id", ""),
			      true));
	return 0;
}

static int read_remedies(struct search *s)
{
	const json_t *context = json_object_get(s->ask, "context");
	const json_t *ttl =
		json_object_get(json_object_get(context, "ttl"), "__extn");
	struct writ_cedar_remedies remedies;
	struct writ_cedar_error error;
	json_t *tags = ledger_tags(s->ask);

	TRY(engine_error(
		writ_cedar_query_remedies(s->question.query, &remedies, &error),
		&error));
	s->quorum = remedies.quorum;
	for (size_t i = 0; i < remedies.group_count; i++)
		TRY(add_seat(s, remedies.groups[i],
			     json_object_get(tags, remedies.groups[i]), true));
	for (size_t i = 0; i < remedies.evidence_count; i++)
		TRY(add_proof(s, remedies.evidence[i], false));
	TRY(read_given(s));
	if (clock_parse_duration(json_text(ttl, "arg", ""), &s->asked_s) < 0 ||
	    s->asked_s <= TTL_FLOOR)
		s->asked_s = 0;
	return 0;
}

/* ---- asking again ---- */

/* Asks with the best facts so far. */
static int ask_best(struct search *s, struct writ_cedar_answer *ret_answer)
{
	CLEANUP(mem_free_p) char *ttl = NULL;
	struct writ_cedar_tag tags[NAMES_MAX];
	const char *evidence[NAMES_MAX];
	struct writ_cedar_variant v = { 0 };

	for (size_t i = 0; i < s->seat_count; i++) {
		const struct seat *seat = &s->seats[i];

		if (seat->best > 0 || seat->listed)
			tags[v.approval_count++] =
				(struct writ_cedar_tag){ seat->group,
							 seat->best };
	}
	for (size_t i = 0; i < s->proof_count; i++)
		if (s->proofs[i].best)
			evidence[v.evidence_count++] = s->proofs[i].kind;
	v.approvals = tags;
	v.evidence = evidence;
	v.vary_approvals = s->seat_count > 0;
	v.vary_evidence = s->proof_count > 0;
	if (s->asked_s && s->best_s != s->asked_s)
		ttl = clock_format_duration(s->best_s);
	v.ttl = ttl;
	return question_ask(&s->question, &v, POLICY_BOTH, ret_answer);
}

static int allows(struct search *s, bool *ret_allow)
{
	struct writ_cedar_answer answer;

	TRY(ask_best(s, &answer));
	*ret_allow = answer.allow;
	return 0;
}

/* ---- who may approve ---- */

/* {"type": namespace of the asker's type and name, "id": id}; owned. */
static json_t *entity_named(const struct search *s, const char *name,
			    const char *id)
{
	const json_t *principal =
		entity_in(json_object_get(s->ask, "principal"));
	const char *type = json_text(principal, "type", "");
	const char *last = strrchr(type, ':');
	CLEANUP(mem_free_p)
	char *full = mem_format("%.*s%s", last ? (int)(last + 1 - type) : 0,
				type, name);

	return json_pack("{s:s, s:s}", "type", full, "id", id);
}

static json_t *approve_ask(const struct search *s, const char *human,
			   const char *group)
{
	const json_t *context = json_object_get(s->ask, "context");
	json_t *ask = json_object();
	json_t *facts = json_object();

	json_set_new(ask, "principal", entity_named(s, "Human", human));
	json_set_text(ask, "action", "Approve");
	json_set_new(ask, "resource", entity_named(s, "Request", "pending"));
	json_object_set(facts, "now", json_object_get(context, "now"));
	json_set_new(facts, "forGroup",
		     json_pack("{s:o}", "__entity",
			       entity_named(s, "Group", group)));
	json_set_flag(facts, "stepUp", true);
	json_set_new(ask, "context", facts);
	json_object_set(ask, "entities", json_object_get(s->ask, "entities"));
	return ask;
}

static int open_approve(const struct search *s, const char *human,
			const char *group, struct question *ret_question)
{
	CLEANUP(json_put_p) json_t *ask = NULL;
	struct writ_cedar_error error;
	int r = WRIT_CEDAR_GENERAL;

	if (s->typed)
		r = writ_cedar_question_approve(
			s->bundle->snapshot, s->world ? s->world->world : NULL,
			s->typed, human, group, true, &ret_question->query,
			&error);
	if (r != WRIT_CEDAR_GENERAL)
		return engine_error(r, &error);
	ask = approve_ask(s, human, group);
	return question_open(s->bundle, s->world, ask, ret_question);
}

static int may_approve(struct search *s, const char *human, const char *group,
		       bool *ret_may)
{
	CLEANUP(question_close) struct question q = { 0 };
	struct writ_cedar_answer answer;
	int r = open_approve(s, human, group, &q);

	*ret_may = false;
	/* A bundle without Approve lets nobody approve. */
	if (r == ERR_SYNTAX)
		return 0;
	TRY(r);
	TRY(question_ask(&q, NULL, POLICY_BOTH, &answer));
	s->evaluations++;
	*ret_may = answer.allow;
	return 0;
}

/* Counts the members of a group who may approve, up to the quorum. */
static int count_eligible(struct search *s, const char *group,
			  int64_t *ret_count)
{
	CLEANUP(mem_free_p) const char **names = NULL;
	size_t found;

	*ret_count = 0;
	if (!s->people || !s->people->members)
		return 0;
	names = mem_array(MEMBERS_MAX, sizeof(*names));
	found = s->people->members(s->people->cookie, group, names,
				   MEMBERS_MAX);
	for (size_t i = 0; i < found && i < MEMBERS_MAX; i++) {
		bool may;

		TRY(may_approve(s, names[i], group, &may));
		*ret_count += may;
		if (*ret_count >= s->quorum)
			break;
	}
	return 0;
}

/* Supposes no more approvals of a group than its members may give. */
static int cap_seats(struct search *s)
{
	for (size_t i = 0; i < s->seat_count; i++) {
		struct seat *seat = &s->seats[i];
		int64_t eligible;

		if (seat->best <= seat->have)
			continue;
		TRY(count_eligible(s, seat->group, &eligible));
		if (eligible < seat->best)
			seat->best = eligible;
		if (seat->best < seat->have)
			seat->best = seat->have;
	}
	return 0;
}

/* ---- best, then least ---- */

static void suppose_best(struct search *s)
{
	for (size_t i = 0; i < s->seat_count; i++)
		if (s->seats[i].named && s->seats[i].best < s->quorum)
			s->seats[i].best = s->quorum;
	for (size_t i = 0; i < s->proof_count; i++)
		s->proofs[i].best = true;
	s->best_s = s->asked_s ? TTL_FLOOR : 0;
}

/* The longest time that allows, in whole seconds. */
static int lengthen_ttl(struct search *s)
{
	int64_t low = TTL_FLOOR;
	int64_t high = s->asked_s;
	bool allow;

	if (!s->asked_s)
		return 0;
	s->best_s = s->asked_s;
	TRY(allows(s, &allow));
	if (allow)
		return 0;
	while (high - low > 1) {
		s->best_s = low + (high - low) / 2;
		TRY(allows(s, &allow));
		if (allow)
			low = s->best_s;
		else
			high = s->best_s;
	}
	s->best_s = low;
	return 0;
}

static int lessen_evidence(struct search *s)
{
	for (size_t i = 0; i < s->proof_count; i++) {
		bool allow;

		if (s->proofs[i].have)
			continue;
		s->proofs[i].best = false;
		TRY(allows(s, &allow));
		s->proofs[i].best = !allow;
	}
	return 0;
}

static int lessen_seat(struct search *s, struct seat *seat)
{
	int64_t best = seat->best;
	bool allow = false;

	for (int64_t n = seat->have; n < best; n++) {
		seat->best = n;
		TRY(allows(s, &allow));
		if (allow)
			return 0;
	}
	seat->best = best;
	return 0;
}

static int lessen_seats(struct search *s)
{
	for (size_t i = 0; i < s->seat_count; i++)
		TRY(lessen_seat(s, &s->seats[i]));
	return 0;
}

/* ---- the verdict ---- */

static void say(struct policy_verdict *v, enum policy_decision decision,
		const struct writ_cedar_answer *answer)
{
	json_decref(v->policies);
	json_decref(v->errors);
	v->decision = decision;
	v->policies = texts_of(answer->reasons, answer->reason_count);
	v->errors = texts_of(answer->errors, answer->error_count);
}

static void say_requires(struct policy_verdict *v, const struct search *s)
{
	CLEANUP(json_put_p) json_t *approvals = json_object();
	CLEANUP(json_put_p) json_t *evidence = json_array();
	CLEANUP(mem_free_p) char *ttl = NULL;

	for (size_t i = 0; i < s->seat_count; i++)
		if (s->seats[i].best > s->seats[i].have)
			json_set_int(approvals, s->seats[i].group,
				     s->seats[i].best);
	for (size_t i = 0; i < s->proof_count; i++)
		if (s->proofs[i].best && !s->proofs[i].have)
			json_array_append_new(evidence,
					      json_string(s->proofs[i].kind));
	if (json_object_size(approvals))
		json_object_set(v->requires, "approvals", approvals);
	if (json_array_size(evidence))
		json_object_set(v->requires, "evidence", evidence);
	if (s->best_s == s->asked_s)
		return;
	ttl = clock_format_duration(s->best_s);
	json_set_text(v->requires, "maxTtl", ttl);
}

/* Finds what would help; v has said deny with the reasons as things stand. */
static int find_remedies(struct search *s, struct policy_verdict *v)
{
	struct writ_cedar_answer answer;
	bool allow;

	TRY(read_remedies(s));
	if (!s->seat_count && !s->proof_count && !s->asked_s)
		return 0;
	suppose_best(s);
	TRY(ask_best(s, &answer));
	if (!answer.allow) {
		say(v, POLICY_DENY, &answer);
		return 0;
	}
	TRY(cap_seats(s));
	TRY(allows(s, &allow));
	if (!allow) {
		v->nobody = true;
		return 0;
	}
	TRY(lengthen_ttl(s));
	TRY(lessen_evidence(s));
	TRY(lessen_seats(s));
	say_requires(v, s);
	v->decision = POLICY_PENDING;
	return 0;
}

static int open_question(struct search *s)
{
	bool general = true;

	if (s->typed)
		TRY(question_open_typed(s->bundle, s->world, s->typed, &general,
					&s->question));
	if (!general)
		return 0;
	s->typed = NULL;
	return question_open(s->bundle, s->world, s->ask, &s->question);
}

/* Whether what is denied would stand as advice. */
static bool stands_as_advice(struct search *s)
{
	static const struct writ_cedar_variant advice = { .mode = "recommend" };
	const json_t *context = json_object_get(s->ask, "context");
	const json_t *mode = entity_in(json_object_get(context, "mode"));
	struct writ_cedar_answer answer;
	struct writ_cedar_error error;

	return !strcmp(json_text(mode, "id", ""), "execute") &&
	       writ_cedar_query_run(s->question.query, &advice, POLICY_BOTH,
				    &answer, &error) == 0 &&
	       answer.allow;
}

/* What shadows say is told and nothing else: not even an error of theirs is
 * one of the decision. */
static void tell_shadows(struct search *s, struct policy_verdict *v)
{
	const struct writ_cedar_shadow *list;
	struct writ_cedar_error error;
	size_t count;

	if (!s->question.query ||
	    writ_cedar_query_shadows(s->question.query, &list, &count,
				     &error) != 0)
		return;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(v->shadows,
				      json_pack("{s:s, s:s}", "id", list[i].id,
						"would", list[i].would));
}

static int decide(struct search *s, struct policy_verdict *v)
{
	struct writ_cedar_answer answer;

	TRY(open_question(s));
	TRY(question_ask(&s->question, NULL, POLICY_BOTH, &answer));
	say(v, answer.allow ? POLICY_ALLOW : POLICY_DENY, &answer);
	if (answer.allow)
		return 0;
	TRY(find_remedies(s, v));
	if (v->decision == POLICY_DENY)
		v->as_advice = stands_as_advice(s);
	return 0;
}

int policy_decide(const struct policy_bundle *b, const struct policy_world *w,
		  const json_t *ask, const struct policy_people *people,
		  struct policy_verdict *ret_verdict)
{
	return policy_decide_typed(b, w, ask, NULL, people, ret_verdict);
}

int policy_decide_typed(const struct policy_bundle *b,
			const struct policy_world *w, const json_t *ask,
			const struct policy_question *typed,
			const struct policy_people *people,
			struct policy_verdict *ret_verdict)
{
	CLEANUP(clear_search)
	struct search s = { .bundle = b,
			    .world = w,
			    .ask = ask,
			    .typed = typed,
			    .people = people };
	struct policy_verdict v = { .requires = json_object(),
				    .shadows = json_array() };
	int r = decide(&s, &v);

	if (r < 0) {
		json_decref(v.policies);
		json_decref(v.errors);
		json_object_clear(v.requires);
		v.decision = POLICY_DENY;
		v.nobody = false;
		v.as_advice = false;
		v.policies = json_array();
		v.errors = json_pack("[s]", "request");
	}
	tell_shadows(&s, &v);
	v.evaluations = s.question.evaluations + s.evaluations;
	*ret_verdict = v;
	return r;
}

void policy_verdict_clear(struct policy_verdict *v)
{
	json_decref(v->policies);
	json_decref(v->errors);
	json_decref(v->requires);
	json_decref(v->shadows);
	*v = (struct policy_verdict){ 0 };
}
