/* What the files of the membership share: asking and reading in membership.c,
 * planning in membership_plan.c, applying in membership_apply.c. */
#pragma once

#include "connectors/ldap/filter.h"
#include "connectors/ldap/membership.h"

/* What is asked for, in normal form. */
struct change {
	bool add;
	char *group;  /* owned */
	char *member; /* owned */
};

/* What the directory says about it. */
struct facts {
	bool group_found;
	bool member_found;
	bool holds; /* the group has the member now */
	struct directory_entry group;
	struct directory_entry member;
	/* Values that stay when the member goes, up to FILTER_OTHERS_MAX. */
	const char *others[FILTER_OTHERS_MAX];
	size_t other_count;
};

/* For CLEANUP on a zeroed local. */
void change_clear(struct change *change);
void facts_clear(struct facts *facts);

static inline bool membership_refused(const struct connector_reply *reply)
{
	return reply->reason[0] != '\0';
}

/* Takes what an ask or an order names; refuses what is malformed or not below
 * the base.  Errors: none. */
MUST_USE int membership_take(const struct membership *m, const char *action,
			     const char *resource, const json_t *parameters,
			     struct change *change,
			     struct connector_reply *reply);

/* Looks at group and member; change then bears the entries' own names.
 * Errors: those of directory_connect() and directory_read(). */
MUST_USE int membership_look(const struct membership *m, struct change *change,
			     struct facts *facts);

/* Refuses what cannot be made as things stand. */
MUST_USE int membership_judge(const struct membership *m,
			      const struct change *change,
			      const struct facts *facts,
			      struct connector_reply *reply);

/* The value that is written or removed: for an addition the entry's own
 * spelling. */
const char *membership_value(const struct change *change,
			     const struct facts *facts);

/* The terms of the change; borrows from change and facts. */
struct filter_change membership_terms(const struct change *change,
				      const struct facts *facts);

/* What apply() will hold the directory to.  It is digested, so it names only
 * what the change depends on.  ret: owned.  Errors: ERR_LIMIT. */
MUST_USE int membership_precondition(const struct change *change,
				     const struct facts *facts, json_t **ret);

/* {"member": holds}, owned. */
json_t *membership_state(bool holds);
