#include "connectors/ldap/membership_private.h"

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"

enum { OTHERS_BYTES = 32 * 1024, LOGIN_MAX = 256 };

void change_clear(struct change *change)
{
	free(change->group);
	free(change->member);
	free(change->login);
}

void facts_clear(struct facts *facts)
{
	directory_entry_clear(&facts->group);
	directory_entry_clear(&facts->member);
}

static const struct {
	const char *action;
	enum reach_part part;
	bool add;
	const char *inverse;
} changes[] = {
	{ "AddToGroup", REACH_GROUPS, true, "RemoveFromGroup" },
	{ "RemoveFromGroup", REACH_GROUPS, false, "AddToGroup" },
	{ "GrantRole", REACH_ROLES, true, "RevokeRole" },
	{ "RevokeRole", REACH_ROLES, false, "GrantRole" },
};

static bool take_action(const char *action, struct change *change)
{
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		if (strcmp(changes[i].action, action) != 0)
			continue;
		change->part = changes[i].part;
		change->add = changes[i].add;
		change->inverse = changes[i].inverse;
		return true;
	}
	return false;
}

static int judge_names(const struct reach *reach, const struct change *change,
		       struct connector_reply *reply)
{
	reach_judge(reach, change->part, change->group, reply);
	if (!is_refused(reply) && strcmp(change->group, change->member) == 0)
		return connector_refuse(reply, "invalid",
					"a group cannot be its own member");
	return 0;
}

/* Reads {"member": name}, beside it maybe a login, and nothing else. */
static bool take_parameters(const json_t *parameters, const char **ret_member,
			    const char **ret_login)
{
	bool has_login = json_object_get(parameters, "login") != NULL;

	*ret_member = json_text(parameters, "member", NULL);
	*ret_login = json_text(parameters, "login", NULL);
	if (has_login &&
	    (!*ret_login || !**ret_login || strlen(*ret_login) > LOGIN_MAX))
		return false;
	return *ret_member && json_object_size(parameters) == 1u + has_login;
}

int membership_take(const struct reach *reach, const char *action,
		    const char *resource, const json_t *parameters,
		    struct change *change, struct connector_reply *reply)
{
	const char *member, *login;

	if (!take_action(action, change))
		return connector_refuse(reply, "invalid", "unknown action");
	if (!take_parameters(parameters, &member, &login))
		return connector_refuse(reply, "invalid",
					"parameters: \"member\", and for a "
					"posixGroup maybe \"login\"");
	if (dn_normalise(resource, &change->group) < 0)
		return connector_refuse(reply, "invalid", "resource: %s",
					error_message());
	if (dn_normalise(member, &change->member) < 0)
		return connector_refuse(reply, "invalid", "member: %s",
					error_message());
	if (login)
		change->login = mem_str(login);
	return judge_names(reach, change, reply);
}

/* Puts the directory's own spelling of an entry in place of ours. */
static void adopt(char **name, const struct directory_entry *entry)
{
	free(*name);
	*name = mem_str(entry->name);
}

/* A value that is no name to us is somebody else, too.  A few are enough for
 * the assertion, and long ones must not make it too large. */
static void find_others(const struct change *change, struct facts *facts)
{
	size_t room = OTHERS_BYTES;

	for (size_t i = 0; i < facts->group.member_count; i++) {
		const char *value = facts->group.members[i];
		CLEANUP(mem_free_p) char *name = NULL;

		if (facts->other_count == FILTER_OTHERS_MAX ||
		    (facts->other_count > 0 && strlen(value) > room))
			return;
		if (dn_normalise(value, &name) < 0 ||
		    strcmp(name, change->member) != 0)
			facts->others[facts->other_count++] = value;
		room -= strlen(value) < room ? strlen(value) : room;
	}
}

static bool is_primary(const struct facts *facts)
{
	const struct directory_entry *group = &facts->group;
	const struct directory_entry *member = &facts->member;

	if (!facts->member_found)
		return false;
	if (facts->is_ad)
		return group->rid >= 0 && group->rid == member->primary_rid;
	return facts->kind && facts->kind->by_login && group->gid >= 0 &&
	       group->gid == member->gid;
}

/* The value that the group has or has not; NULL if nobody can tell. */
static const char *value_now(const struct change *change,
			     const struct facts *facts)
{
	if (!facts->kind)
		return NULL;
	if (facts->kind->by_login)
		return change->login;
	/* Active Directory forgets members that are gone, and refuses to
	 * compare with them. */
	return facts->is_ad && !facts->member_found ? NULL : change->member;
}

static int look_at_value(const struct reach *reach, struct change *change,
			 struct facts *facts)
{
	const char *value;

	if (facts->kind && facts->kind->by_login && !change->login &&
	    facts->member.login)
		change->login = mem_str(facts->member.login);
	facts->primary = is_primary(facts);
	value = value_now(change, facts);
	if (!value)
		return 0;
	return directory_holds(reach->directory, change->group,
			       facts->kind->attribute, value, &facts->holds);
}

/* Looks at the group and the member; change then bears their own names. */
int membership_look(const struct reach *reach, struct change *change,
		    struct facts *facts)
{
	struct directory *d = reach->directory;

	TRY(directory_connect(d));
	facts->is_ad = directory_is_ad(d);
	TRY(directory_read(d, change->group, &facts->group,
			   &facts->group_found));
	if (!facts->group_found)
		return reach_see(reach, change->part);
	facts->kind = group_kind_of(
		facts->group.classes,
		change->part == REACH_ROLES ? reach->role_attribute : NULL);
	TRY(directory_read(d, change->member, &facts->member,
			   &facts->member_found));
	adopt(&change->group, &facts->group);
	if (facts->member_found)
		adopt(&change->member, &facts->member);
	TRY(look_at_value(reach, change, facts));
	find_others(change, facts);
	return 0;
}

/* May a value of this kind of group be told? */
static int judge_login(const struct change *change, const struct facts *facts,
		       struct connector_reply *reply)
{
	const char *login = facts->member.login;

	if (!facts->kind->by_login)
		return change->login ? connector_refuse(
					       reply, "invalid",
					       "only a posixGroup has logins")
				     : 0;
	if (facts->member.classes & DIRECTORY_GROUPS)
		return connector_refuse(reply, "wrong-type",
					"%s is no account, and a posixGroup "
					"holds logins",
					change->member);
	if (facts->member_found && !login)
		return connector_refuse(reply, "wrong-type",
					"%s has no uid, or several, so its "
					"login cannot be told",
					change->member);
	if (facts->member_found && strcmp(login, change->login) != 0)
		return connector_refuse(reply, "invalid",
					"login: that of %s is another",
					change->member);
	if (!change->login)
		return connector_refuse(reply, "invalid",
					"login: needed, because %s is gone",
					change->member);
	return 0;
}

static int judge_removal(const struct change *change, const struct facts *facts,
			 struct connector_reply *reply)
{
	if (facts->primary && !facts->holds)
		return connector_refuse(reply, "primary-group",
					"%s is the primary group of %s: that "
					"needs another one first",
					change->group, change->member);
	if (facts->holds && facts->kind->needs_one && facts->other_count == 0)
		return connector_refuse(reply, "last-member",
					"%s is the last member of %s, and %s "
					"cannot be empty",
					change->member, change->group,
					facts->kind->words);
	return 0;
}

/* May this change be made at all, as things stand? */
int membership_judge(const struct reach *reach, const struct change *change,
		     const struct facts *facts, struct connector_reply *reply)
{
	if (!facts->group_found)
		return connector_refuse(reply, "no-such-resource",
					"there is no entry %s", change->group);
	discard(judge_names(reach, change, reply));
	if (is_refused(reply))
		return 0;
	if (!facts->kind)
		return connector_refuse(
			reply, "wrong-type",
			"%s is %s, which is no %s whose members are changed",
			change->group, group_kind_other(facts->group.classes),
			change->part == REACH_ROLES ? "role" : "group");
	/* A removal must stay possible after the account is gone. */
	if (change->add && !facts->member_found)
		return connector_refuse(reply, "no-such-member",
					"there is no entry %s", change->member);
	discard(judge_login(change, facts, reply));
	if (is_refused(reply) || change->add)
		return 0;
	return judge_removal(change, facts, reply);
}

bool membership_stands(const struct change *change, const struct facts *facts)
{
	return change->add ? facts->holds || facts->primary : !facts->holds;
}

json_t *membership_state(bool holds, bool primary)
{
	json_t *state = json_object();

	json_set_flag(state, "member", holds || primary);
	if (primary)
		json_set_flag(state, "primary", true);
	return state;
}

int membership_read(void *self, const struct connector_ask *ask,
		    struct connector_reply *reply)
{
	const struct reach *reach = self;
	CLEANUP(change_clear) struct change change = { 0 };
	CLEANUP(facts_clear) struct facts facts = { 0 };
	json_t *answer;

	TRY(membership_take(reach, ask->action, ask->resource, ask->parameters,
			    &change, reply));
	if (is_refused(reply))
		return 0;
	TRY(membership_look(reach, &change, &facts));
	answer = json_object();
	json_set_flag(answer, "present", membership_stands(&change, &facts));
	json_set_new(answer, "state",
		     membership_state(facts.holds, facts.primary));
	json_set_text(answer, "targetVersion", facts.group.version);
	reply->result = answer;
	return 0;
}
