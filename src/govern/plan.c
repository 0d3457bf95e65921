#include "govern/plan.h"

/* Members taken over from what the connector found, with what stands for an
 * absent one. */
static const struct {
	const char *name;
	enum { EMPTY_LIST, EMPTY_OBJECT, NOTHING } absent;
} taken_over[] = {
	{ "resource", NOTHING }, { "parameters", EMPTY_OBJECT },
	{ "diff", EMPTY_LIST },	 { "gains", EMPTY_LIST },
	{ "loses", EMPTY_LIST }, { "blastRadius", NOTHING },
	{ "undo", NOTHING },	 { "precondition", EMPTY_OBJECT },
};

static void take_over(json_t *plan, const json_t *found)
{
	for (size_t i = 0; i < ARRAY_LEN(taken_over); i++) {
		json_t *value = json_object_get(found, taken_over[i].name);

		if (value)
			json_object_set(plan, taken_over[i].name, value);
		else if (taken_over[i].absent == EMPTY_LIST)
			json_set_new(plan, taken_over[i].name, json_array());
		else if (taken_over[i].absent == EMPTY_OBJECT)
			json_set_new(plan, taken_over[i].name, json_object());
		else
			json_set_new(plan, taken_over[i].name, json_null());
	}
}

char *plan_text(const struct plan_parts *p, char ret_digest[DIGEST_TEXT_LEN])
{
	CLEANUP(json_put_p) json_t *plan = json_object();
	struct digest digest;
	char *text;

	json_set_int(plan, "v", 1);
	json_set_text(plan, "purpose", p->purpose);
	json_set_text(plan, "request", p->request);
	json_set_text(plan, "agent", p->agent);
	json_set_new(plan, "chain",
		     p->chain ? json_deep_copy(p->chain) : json_array());
	json_set_text(plan, "task", p->task);
	json_set_text(plan, "class", p->class_digest);
	json_set_text(plan, "intent", p->intent);
	json_set_text(plan, "action", p->action);
	json_set_text(plan, "target", p->target);
	json_set_text(plan, "targetDigest", p->target_digest);
	json_set_text(plan, "connectorBuild", p->connector_build);
	json_set_int(plan, "tier", p->tier);
	json_set_text(plan, "mode", p->recommend ? "recommend" : "execute");
	json_set_int(plan, "ttl", p->ttl_s);
	json_set_text(plan, "notAfter", p->not_after);
	take_over(plan, p->found);
	text = json_canonical(plan);
	digest = digest_of(slice_str(text));
	digest_format(&digest, ret_digest);
	return text;
}
