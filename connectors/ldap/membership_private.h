/* What the files of the membership share: asking and reading in membership.c,
 * planning in membership_plan.c, applying in membership_apply.c. */
#pragma once

#include "connectors/ldap/filter.h"
#include "connectors/ldap/group_kind.h"
#include "connectors/ldap/membership.h"

/* What is asked for, in normal form. */
struct change {
	enum reach_part part; /* groups or roles */
	bool add;
	const char *inverse; /* the action that undoes it */
	char *group;	     /* owned */
	char *member;	     /* owned */
	char *login; /* owned; as given, or of the member; NULL if none */
};

/* What the directory says about it. */
struct facts {
	bool group_found;
	bool member_found;
	bool holds;   /* the group names the member now */
	bool primary; /* it is the member's primary group */
	bool is_ad;
	const struct group_kind *kind; /* NULL: it is no group */
	struct directory_entry group;
	struct directory_entry member;
	/* Values that stay when the member goes, up to FILTER_OTHERS_MAX. */
	const char *others[FILTER_OTHERS_MAX];
	size_t other_count;
};

/* For CLEANUP on a zeroed local. */
void change_clear(struct change *change);
void facts_clear(struct facts *facts);

/* Takes what an ask or an order names; refuses what is malformed or not below
 * the base.  Errors: none. */
MUST_USE int membership_take(const struct reach *reach, const char *action,
			     const char *resource, const json_t *parameters,
			     struct change *change,
			     struct connector_reply *reply);

/* Looks at group and member; change then bears the entries' own names.
 * Errors: those of directory_connect() and directory_read(). */
MUST_USE int membership_look(const struct reach *reach, struct change *change,
			     struct facts *facts);

/* Refuses what cannot be made as things stand. */
MUST_USE int membership_judge(const struct reach *reach,
			      const struct change *change,
			      const struct facts *facts,
			      struct connector_reply *reply);

/* The value that is written or removed: for an addition the entry's own
 * spelling. */
const char *membership_value(const struct change *change,
			     const struct facts *facts);

/* Nothing is left to do. */
bool membership_stands(const struct change *change, const struct facts *facts);

/* The terms of the change; borrows from change and facts. */
struct filter_change membership_terms(const struct change *change,
				      const struct facts *facts);

/* {"member"} and, where the group wants it, {"login"}; owned. */
json_t *membership_parameters(const struct change *change,
			      const struct facts *facts);

/* What apply() will hold the directory to.  It is digested, so it names only
 * what the change depends on.  ret: owned.  Errors: ERR_LIMIT. */
MUST_USE int membership_precondition(const struct change *change,
				     const struct facts *facts, json_t **ret);

/* {"member": holds}, and "primary" where it is; owned. */
json_t *membership_state(bool holds, bool primary);
