#include "govern/action.h"

static const struct action actions[] = {
	{ "AddToGroup", "directory.group.add_member", "DirectoryGroup",
	  "RemoveFromGroup", true, false, true, "add a member to a group" },
	{ "RemoveFromGroup", "directory.group.remove_member", "DirectoryGroup",
	  "AddToGroup", false, true, false, "remove a member from a group" },
	{ "GrantRole", "directory.role.grant", "Role", "RevokeRole", true,
	  false, true, "grant a role" },
	{ "RevokeRole", "directory.role.revoke", "Role", "GrantRole", false,
	  true, false, "revoke a role" },
	{ "SuspendAccount", "directory.account.suspend", "Account",
	  "ResumeAccount", false, true, false,
	  "keep an account from logging "
	  "in" },
	/* What is resumed stays so: nothing of it ends with the task. */
	{ "ResumeAccount", "directory.account.resume", "Account",
	  "SuspendAccount", true, false, false, "let an account log in again" },
};

const struct action *action_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(actions); i++) {
		if (!strcmp(name, actions[i].name))
			return &actions[i];
	}
	return NULL;
}

const struct action *action_table(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(actions);
	return actions;
}
