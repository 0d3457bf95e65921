#include "govern/approval.h"

#include "base/mem.h"
#include "crypto/sshsig.h"
#include "govern/cited.h"

static void bar(json_t *barred, json_t *seen, const char *human)
{
	if (human)
		cited_add_once(barred, seen, human);
}

static const char *owner_of(const struct inventory *inv,
			    enum manifest_kind kind, const char *name)
{
	return json_text(inventory_spec(inv, kind, name), "owner", NULL);
}

json_t *approval_barred(const struct inventory *inv, const char *agent,
			const char *class, const json_t *gains_humans,
			const json_t *gains_agents, const json_t *vouched)
{
	CLEANUP(json_put_p) json_t *seen = json_object();
	json_t *barred = json_array();
	const json_t *name;
	size_t at;

	bar(barred, seen, owner_of(inv, MANIFEST_AGENT, agent));
	bar(barred, seen, owner_of(inv, MANIFEST_TASK_CLASS, class));
	json_array_foreach(gains_humans, at, name)
		bar(barred, seen, json_string_value(name));
	json_array_foreach(gains_agents, at, name)
		bar(barred, seen,
		    owner_of(inv, MANIFEST_AGENT, json_string_value(name)));
	json_array_foreach(vouched, at, name)
		bar(barred, seen, json_string_value(name));
	return barred;
}

static bool counts(const struct inventory *inv, const json_t *approval,
		   const json_t *barred)
{
	const char *human = json_text(approval, "human", "");
	const char *group = json_text(approval, "group", "");

	return !strcmp(json_text(approval, "decision", ""), "approve") &&
	       inventory_human_is_active(inv, human) &&
	       inventory_is_member(inv, human,
				   json_text(approval, "insteadBy", group)) &&
	       !json_has_text(barred, human);
}

json_t *approval_count(const struct inventory *inv, const json_t *approvals,
		       const json_t *barred)
{
	CLEANUP(json_put_p) json_t *seen = json_array();
	json_t *out = json_object();
	const json_t *approval;
	size_t at;

	json_array_foreach(approvals, at, approval) {
		const char *human = json_text(approval, "human", "");
		const char *group = json_text(approval, "group", "");

		if (!counts(inv, approval, barred) ||
		    json_has_text(seen, human))
			continue;
		json_array_append_new(seen, json_string(human));
		json_set_int(out, group, json_int(out, group, 0) + 1);
	}
	return out;
}

bool approval_key_stands(const struct inventory *inv, const json_t *approval)
{
	const json_t *spec = inventory_spec(inv, MANIFEST_HUMAN,
					    json_text(approval, "human", ""));
	const char *wanted = json_text(approval, "fingerprint", "");
	const json_t *line;
	size_t at;

	json_array_foreach(json_object_get(spec, "keys"), at, line) {
		CLEANUP(mem_free_p) char *text = NULL;
		struct ssh_key key;

		if (ssh_key_parse(json_string_value(line), &key) < 0)
			continue;
		text = ssh_key_fingerprint(&key);
		if (!strcmp(text, wanted))
			return true;
	}
	return false;
}

bool approval_has(const json_t *approvals, const char *human)
{
	const json_t *approval;
	size_t at;

	json_array_foreach(approvals, at, approval) {
		if (!strcmp(json_text(approval, "human", ""), human))
			return true;
	}
	return false;
}
