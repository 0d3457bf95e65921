/* An ask that is the input: answered, allowed only if nothing is wrong, and as
 * Cedar's own authorizer answers it. */
#include "policy/engine.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema[] =
	"namespace Gov {\n"
	"  entity Evidence enum [\"ticket\", \"plan\"];\n"
	"  entity Group in [Group];\n"
	"  entity Human in [Group] { active: Bool };\n"
	"  entity Agent in [Group] { owner: Human, level: Long };\n"
	"  entity Thing { weight: Long, tag?: String, box: { at: ipaddr } };\n"
	"  entity Ledger tags Long;\n"
	"  entity Request { barred: Set<Human> };\n"
	"  action Act appliesTo { principal: [Agent], resource: [Thing],\n"
	"    context: { now: datetime, ttl: duration, evidence: "
	"Set<Evidence>,\n"
	"               approvals: Ledger } };\n"
	"  action Approve appliesTo { principal: [Human], resource: "
	"[Request],\n"
	"    context: { now: datetime, forGroup: Group, stepUp: Bool } };\n"
	"}\n";

static const char policies[] =
	"@id(\"p1\") permit (principal, action, resource);\n"
	"@id(\"g1\") forbid (principal is Gov::Agent, action, resource)\n"
	"unless { principal.owner.active && resource.weight * 2 > 1 &&\n"
	"         principal in Gov::Group::\"g\" };\n"
	"@id(\"r1\") forbid (principal is Gov::Agent, action, resource)\n"
	"when { context.ttl > duration(\"15m\") } unless {\n"
	"  context.approvals.hasTag(\"g\") &&\n"
	"  context.approvals.getTag(\"g\") >= 2 &&\n"
	"  context.evidence.contains(Gov::Evidence::\"plan\") };\n";

static const char invariants[] =
	"@id(\"i1\") permit (principal, action, resource);\n";

static struct policy_bundle *bundle(void)
{
	static struct policy_bundle *b;
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(json_put_p) json_t *files = NULL;

	if (b)
		return b;
	files = json_pack("{s:s, s:{s:s}, s:s}", "schema", schema, "policies",
			  "own.cedar", policies, "invariants", invariants);
	if (policy_bundle_build(files, &b, &faults) < 0 || !b)
		__builtin_trap();
	return b;
}

static size_t members(void *cookie UNUSED, const char *group UNUSED,
		      const char **names, size_t max)
{
	if (max < 2)
		return 0;
	names[0] = "h";
	names[1] = "k";
	return 2;
}

static void answer_as_cedar_does(const json_t *ask, bool allow)
{
	CLEANUP(question_close) struct question q = { 0 };
	struct writ_cedar_error error;
	bool whole;

	if (question_open(bundle(), NULL, ask, &q) < 0)
		return;
	if (writ_cedar_query_run_whole(q.query, POLICY_BOTH, &whole, &error) ||
	    whole != allow)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *ask = NULL;
	CLEANUP(policy_answer_clear) struct policy_answer answer = { 0 };
	CLEANUP(policy_verdict_clear) struct policy_verdict verdict = { 0 };
	struct policy_people people = { .members = members };
	int r;

	if (json_parse(slice_of(data, size), 1 << 16, &ask) < 0)
		return 0;
	r = policy_ask(bundle(), NULL, ask, &answer);
	if (answer.allow && (r < 0 || json_array_size(answer.errors) > 0))
		__builtin_trap();
	answer_as_cedar_does(ask, answer.allow);
	r = policy_decide(bundle(), NULL, ask, &people, &verdict);
	if (r < 0 && verdict.decision != POLICY_DENY)
		__builtin_trap();
	if ((verdict.decision == POLICY_ALLOW) != answer.allow)
		__builtin_trap();
	return 0;
}
