/* Decisions made again: what another bundle would have said. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "policy/policy.h"

enum { PASSES = 3 }; /* lowering the time twice is more than any set needs */

static const char *mode_of(const json_t *ask)
{
	const json_t *mode =
		json_object_get(json_object_get(ask, "context"), "mode");

	return json_text(json_object_get(mode, "__entity"), "id", "");
}

/* The ask with another time; owned. */
static json_t *with_ttl(const json_t *ask, const char *ttl)
{
	json_t *copy = json_deep_copy(ask);

	json_set_new(json_object_get(copy, "context"), "ttl",
		     json_pack("{s:{s:s, s:s}}", "__extn", "fn", "duration",
			       "arg", ttl));
	return copy;
}

static const char *route_of(const struct policy_verdict *v, const char *mode)
{
	if (v->decision == POLICY_DENY ||
	    json_array_size(json_object_get(v->requires, "evidence")))
		return "deny";
	if (v->decision == POLICY_PENDING)
		return "approval";
	return strcmp(mode, "recommend") ? "auto" : "recommend";
}

static const char *decision_of(const struct policy_verdict *v)
{
	static const char *const names[] = {
		[POLICY_DENY] = "deny",
		[POLICY_PENDING] = "pending",
		[POLICY_ALLOW] = "allow",
	};

	return names[v->decision];
}

static json_t *told(const struct policy_verdict *v, const char *mode,
		    const json_t *decided)
{
	const char *was = json_text(decided, "route", "deny");
	const char *route = route_of(v, mode);
	json_t *replay = json_object();

	json_set_text(replay, "decision", decision_of(v));
	json_object_set(replay, "policies", v->policies);
	if (json_array_size(v->errors))
		json_object_set(replay, "errors", v->errors);
	if (json_object_size(v->requires))
		json_object_set(replay, "requires", v->requires);
	if (json_array_size(v->shadows))
		json_object_set(replay, "shadow", v->shadows);
	json_set_text(replay, "route", route);
	json_set_text(replay, "was", was);
	json_set_flag(replay, "changed", strcmp(route, was) != 0);
	return replay;
}

int policy_replay(const struct policy_bundle *b, const struct policy_world *w,
		  const json_t *facts, const json_t *decided,
		  const struct policy_people *people, json_t **ret_replay)
{
	CLEANUP(json_put_p)
	json_t *ask = json_incref((json_t *)(uintptr_t)facts);
	CLEANUP(json_put_p) json_t *lowered = NULL;
	CLEANUP(policy_verdict_clear) struct policy_verdict v = { 0 };
	int r = 0;

	for (int i = 0; i < PASSES; i++) {
		const char *longest;
		json_t *shorter;

		policy_verdict_clear(&v);
		r = policy_decide(b, w, ask, people, &v);
		longest = json_text(v.requires, "maxTtl", NULL);
		if (v.decision != POLICY_PENDING || !longest)
			break;
		shorter = with_ttl(ask, longest);
		json_decref(ask);
		ask = shorter;
		json_decref(lowered);
		lowered = json_string(longest);
	}
	*ret_replay = told(&v, mode_of(ask), decided);
	if (lowered)
		json_object_set(*ret_replay, "ttl", lowered);
	return r;
}
