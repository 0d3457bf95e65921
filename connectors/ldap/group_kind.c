#include "connectors/ldap/group_kind.h"

#include <strings.h>

#include "connectors/ldap/directory.h"

/* An entry of several kinds is the first of them. */
static const struct group_kind kinds[] = {
	{ DIRECTORY_GROUP_OF_NAMES, "a groupOfNames", "member", false, true,
	  false },
	{ DIRECTORY_GROUP_OF_UNIQUE_NAMES, "a groupOfUniqueNames",
	  "uniqueMember", false, true, false },
	{ DIRECTORY_AD_GROUP, "a group", "member", false, false, false },
	{ DIRECTORY_POSIX_GROUP, "a posixGroup", "memberUid", true, false,
	  false },
	{ DIRECTORY_ROLE, "an organizationalRole", "roleOccupant", false, false,
	  true },
};

const struct group_kind *group_kind_of(unsigned classes,
				       const char *role_attribute)
{
	if (classes & (DIRECTORY_DYNAMIC_GROUP | DIRECTORY_FOREIGN))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct group_kind *kind = &kinds[i];

		if (!(classes & kind->class_bit))
			continue;
		if (role_attribute
			    ? strcasecmp(kind->attribute, role_attribute) == 0
			    : !kind->is_role)
			return kind;
	}
	return NULL;
}

bool group_kind_has(const char *attribute)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcasecmp(kinds[i].attribute, attribute) == 0)
			return true;
	}
	return false;
}

const char *group_kind_other(unsigned classes)
{
	if (classes & DIRECTORY_DYNAMIC_GROUP)
		return "a dynamic group";
	if (classes & DIRECTORY_FOREIGN)
		return "somebody of another domain";
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (classes & kinds[i].class_bit)
			return kinds[i].words;
	}
	return "no group";
}
