#include "govern/action.h"

static const struct action actions[] = {
	{ "AddToGroup", "directory.group.add_member", "DirectoryGroup",
	  "RemoveFromGroup", true, false, true, false,
	  "add a member to a group" },
	{ "RemoveFromGroup", "directory.group.remove_member", "DirectoryGroup",
	  "AddToGroup", false, true, false, false,
	  "remove a member from a group" },
	/* Of whatever kind the target is; a connector tells its own name. */
	{ "GrantRole", "role.grant", "Role", "RevokeRole", true, false, true,
	  false, "grant a role" },
	{ "RevokeRole", "role.revoke", "Role", "GrantRole", false, true, false,
	  false, "revoke a role" },
	{ "IssueCredential", "credential.issue", "Role", "RevokeCredential",
	  true, false, true, true, "lend a login, token or certificate" },
	{ "RevokeCredential", "credential.revoke", "Role", NULL, false, true,
	  false, false, "take back what was lent" },
	{ "SuspendAccount", "directory.account.suspend", "Account",
	  "ResumeAccount", false, true, false, false,
	  "keep an account from logging in" },
	/* What is resumed stays so: nothing of it ends with the task. */
	{ "ResumeAccount", "directory.account.resume", "Account",
	  "SuspendAccount", true, false, false, false,
	  "let an account log in again" },
	{ "ReadEntitlements", "directory.entitlements.read", "Dataset", NULL,
	  .words = "read what an account has", .reads = true },
};

const struct action *action_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(actions); i++) {
		if (!strcmp(name, actions[i].name))
			return &actions[i];
	}
	return NULL;
}

bool action_takes_back_lent(const struct action *action)
{
	for (size_t i = 0; action && i < ARRAY_LEN(actions); i++) {
		if (actions[i].lends &&
		    !strcmp(actions[i].inverse, action->name))
			return true;
	}
	return false;
}

const struct action *action_table(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(actions);
	return actions;
}
