#include "connectors/ldap/membership_private.h"

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"

enum { OTHERS_BYTES = 32 * 1024 };

void change_clear(struct change *change)
{
	free(change->group);
	free(change->member);
}

void facts_clear(struct facts *facts)
{
	directory_entry_clear(&facts->group);
	directory_entry_clear(&facts->member);
}

void membership_free(struct membership *m)
{
	if (!m)
		return;
	directory_close(m->directory);
	free(m->base);
	free(m);
}

static int judge_names(const struct membership *m, const struct change *change,
		       struct connector_reply *reply)
{
	if (!dn_is_under(change->group, m->base))
		return connector_refuse(reply, "out-of-base",
					"the group does not lie under %s",
					m->base);
	if (strcmp(change->group, change->member) == 0)
		return connector_refuse(reply, "invalid",
					"a group cannot be its own member");
	return 0;
}

/* Reads {"member": name}, and nothing else. */
int membership_take(const struct membership *m, const char *action,
		    const char *resource, const json_t *parameters,
		    struct change *change, struct connector_reply *reply)
{
	const char *member = json_text(parameters, "member", NULL);

	change->add = strcmp(action, "AddToGroup") == 0;
	if (!change->add && strcmp(action, "RemoveFromGroup") != 0)
		return connector_refuse(reply, "invalid", "unknown action");
	if (!member || json_object_size(parameters) != 1)
		return connector_refuse(reply, "invalid",
					"parameters: exactly \"member\"");
	if (dn_normalise(resource, &change->group) < 0)
		return connector_refuse(reply, "invalid", "resource: %s",
					error_message());
	if (dn_normalise(member, &change->member) < 0)
		return connector_refuse(reply, "invalid", "member: %s",
					error_message());
	return judge_names(m, change, reply);
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

/* An entry that is hidden from us looks like one that is gone.  At least our
 * base must be in sight before we say that something is gone. */
static int see_base(const struct membership *m)
{
	CLEANUP(directory_entry_clear) struct directory_entry base = { 0 };
	bool found = false;

	TRY(directory_read(m->directory, m->base, &base, &found));
	if (!found)
		return error_set(ERR_REFUSED,
				 "base %s is not there, or is hidden from this "
				 "account",
				 m->base);
	return 0;
}

/* Looks at the group and the member; change then bears their own names. */
int membership_look(const struct membership *m, struct change *change,
		    struct facts *facts)
{
	struct directory *d = m->directory;

	TRY(directory_connect(d));
	TRY(directory_read(d, change->group, &facts->group,
			   &facts->group_found));
	if (!facts->group_found)
		return see_base(m);
	TRY(directory_read(d, change->member, &facts->member,
			   &facts->member_found));
	TRY(directory_holds(d, change->group, change->member, &facts->holds));
	adopt(&change->group, &facts->group);
	if (facts->member_found)
		adopt(&change->member, &facts->member);
	find_others(change, facts);
	return 0;
}

static int judge_type(const struct change *change, unsigned classes,
		      struct connector_reply *reply)
{
	const char *type = "no group";

	if (classes & DIRECTORY_GROUP_OF_NAMES)
		return 0;
	if (classes & DIRECTORY_GROUP_OF_UNIQUE_NAMES)
		type = "a groupOfUniqueNames";
	else if (classes & DIRECTORY_POSIX_GROUP)
		type = "a posixGroup";
	else if (classes & DIRECTORY_DYNAMIC_GROUP)
		type = "a dynamic group";
	return connector_refuse(reply, "wrong-type",
				"%s is %s; only groupOfNames entries can be "
				"changed",
				change->group, type);
}

/* May this change be made at all, as things stand? */
int membership_judge(const struct membership *m, const struct change *change,
		     const struct facts *facts, struct connector_reply *reply)
{
	if (!facts->group_found)
		return connector_refuse(reply, "no-such-resource",
					"there is no entry %s", change->group);
	discard(judge_names(m, change, reply));
	if (!membership_refused(reply))
		discard(judge_type(change, facts->group.classes, reply));
	if (membership_refused(reply))
		return 0;
	/* A removal must stay possible after the account is gone. */
	if (change->add && !facts->member_found)
		return connector_refuse(reply, "no-such-member",
					"there is no entry %s", change->member);
	if (!change->add && facts->holds && facts->other_count == 0)
		return connector_refuse(reply, "last-member",
					"%s is the last member of %s, and a "
					"groupOfNames cannot be empty",
					change->member, change->group);
	return 0;
}

json_t *membership_state(bool holds)
{
	json_t *state = json_object();

	json_set_flag(state, "member", holds);
	return state;
}

int membership_read(void *self, const struct connector_ask *ask,
		    struct connector_reply *reply)
{
	struct membership *m = self;
	CLEANUP(change_clear) struct change change = { 0 };
	CLEANUP(facts_clear) struct facts facts = { 0 };
	json_t *answer;

	TRY(membership_take(m, ask->action, ask->resource, ask->parameters,
			    &change, reply));
	if (membership_refused(reply))
		return 0;
	TRY(membership_look(m, &change, &facts));
	answer = json_object();
	json_set_flag(answer, "present", facts.holds == change.add);
	json_set_new(answer, "state", membership_state(facts.holds));
	json_set_text(answer, "targetVersion", facts.group.version);
	reply->result = answer;
	return 0;
}

int membership_check(void *self, struct connector_reply *reply)
{
	struct membership *m = self;
	int r = directory_connect(m->directory);

	if (r == 0)
		r = see_base(m);
	if (r < 0)
		return connector_refuse(reply, "unavailable", "%s",
					error_message());
	return 0;
}

int membership_normalise(void *self UNUSED, const char *resource,
			 struct buf *out)
{
	CLEANUP(mem_free_p) char *name = NULL;

	TRY(dn_normalise(resource, &name));
	buf_put_str(out, name);
	return 0;
}
