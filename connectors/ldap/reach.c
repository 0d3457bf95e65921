#include "connectors/ldap/reach.h"

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"

static const struct {
	const char *noun;
	const char *member; /* of the configuration */
} parts[REACH_PARTS] = {
	[REACH_GROUPS] = { "group", "base" },
	[REACH_ACCOUNTS] = { "account", "accounts.base" },
	[REACH_ROLES] = { "role", "roles.base" },
};

void reach_free(struct reach *reach)
{
	if (!reach)
		return;
	directory_close(reach->directory);
	directory_close(reach->survey);
	for (int i = 0; i < REACH_PARTS; i++)
		free(reach->bases[i]);
	free(reach);
}

static bool is_role(const struct reach *reach, const char *name)
{
	const char *base = reach->bases[REACH_ROLES];

	return base && dn_is_under(name, base);
}

void reach_judge(const struct reach *reach, enum reach_part part,
		 const char *name, struct connector_reply *reply)
{
	const char *base = reach->bases[part];

	if (!base)
		discard(connector_refuse(reply, "out-of-base",
					 "%s is not configured, so no %s is "
					 "ours to change",
					 parts[part].member, parts[part].noun));
	else if (!dn_is_under(name, base))
		discard(connector_refuse(reply, "out-of-base",
					 "the %s does not lie under %s",
					 parts[part].noun, base));
	/* One thing has one type, and is decided on as that. */
	else if (part == REACH_GROUPS && is_role(reach, name))
		discard(connector_refuse(reply, "wrong-type",
					 "%s is a role: ask for GrantRole or "
					 "RevokeRole",
					 name));
}

void reach_take(const struct reach *reach, enum reach_part part,
		const char *resource, char **ret_name,
		struct connector_reply *reply)
{
	if (dn_normalise(resource, ret_name) < 0) {
		*ret_name = NULL;
		discard(connector_refuse(reply, "invalid", "resource: %s",
					 error_message()));
		return;
	}
	reach_judge(reach, part, *ret_name, reply);
}

int reach_see(const struct reach *reach, enum reach_part part)
{
	CLEANUP(directory_entry_clear) struct directory_entry base = { 0 };
	const char *name = reach->bases[part];
	bool found = false;

	if (!name)
		return 0;
	TRY(directory_read(reach->directory, name, &base, &found));
	if (!found)
		return error_set(ERR_REFUSED,
				 "%s %s is not there, or is hidden from this "
				 "account",
				 parts[part].member, name);
	return 0;
}

int reach_refuse_failure(struct connector_reply *reply, int r)
{
	return connector_refuse(reply,
				r == ERR_LIMIT ? "too-large" : "unavailable",
				"%s", error_message());
}

static const struct {
	const char *reason;
	const char *words;
} refusals[] = {
	[CHANGE_ALREADY] = { "precondition",
			     "it changed since it was planned" },
	[CHANGE_ASSERTION] = { "precondition",
			       "it changed since it was planned" },
	[CHANGE_CONSTRAINT] = { "constraint",
				"the directory's rules forbid it" },
	[CHANGE_NOT_ALLOWED] = { "not-allowed",
				 "the connector's account may not do it" },
	[CHANGE_NO_ENTRY] = { "no-such-resource", "the entry is gone" },
	[CHANGE_REFUSED] = { "refused", "the directory refused" },
	[CHANGE_NOT_SENT] = { "unavailable", "nothing was sent" },
};

int reach_refuse_change(struct connector_reply *reply,
			const struct change_answer *answer)
{
	return connector_refuse(reply, refusals[answer->outcome].reason,
				"%s (%s)", refusals[answer->outcome].words,
				answer->detail);
}

char *reach_by_guid(const char *uuid)
{
	return mem_format("<GUID=%s>", uuid);
}

void reach_put_nobody(json_t *plan)
{
	json_set_int(plan, "blastRadius", 0);
	json_set_new(plan, "gains", json_array());
	json_set_new(plan, "loses", json_array());
	json_set_new(plan, "nestedIn", json_array());
}

void reach_put_no_change(json_t *plan)
{
	json_set_flag(plan, "noChange", true);
	json_set_new(plan, "diff", json_array());
	json_set_new(plan, "undo", json_null());
	json_set_new(plan, "precondition", json_object());
}

void reach_put_diff(json_t *diff, const char *op, const char *attribute,
		    const char *value)
{
	json_t *row = json_object();

	json_set_text(row, "op", op);
	json_set_text(row, "attribute", attribute);
	json_set_text(row, "value", value);
	discard(json_array_append_new(diff, row));
}

json_t *reach_subject(const char *type, const char *id)
{
	json_t *subject = json_object();

	json_set_text(subject, "type", type);
	json_set_text(subject, "id", id);
	return subject;
}

json_t *reach_undo(const char *action, const char *resource, json_t *parameters)
{
	json_t *undo = json_object();

	json_set_text(undo, "action", action);
	json_set_text(undo, "resource", resource);
	json_set_new(undo, "parameters", parameters);
	return undo;
}

int reach_check(void *self, struct connector_reply *reply)
{
	const struct reach *reach = self;
	int r = directory_connect(reach->directory);

	for (int part = 0; part < REACH_PARTS && r == 0; part++)
		r = reach_see(reach, (enum reach_part)part);
	if (r < 0)
		return connector_refuse(reply, "unavailable", "%s",
					error_message());
	return 0;
}

int reach_normalise(void *self UNUSED, const char *resource, struct buf *out)
{
	CLEANUP(mem_free_p) char *name = NULL;

	TRY(dn_normalise(resource, &name));
	buf_put_str(out, name);
	return 0;
}
