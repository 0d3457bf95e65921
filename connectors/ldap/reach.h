/*
 * The directory, and what of it this connector may touch: groups below one
 * name, accounts and roles below others.  All actions have it as their self.
 */
#pragma once

#include "connectors/ldap/directory.h"
#include "connectors/sdk/connector.h"

enum { REACH_NESTED_MAX = 10000 }; /* names in one walk */

/* What lies below which base. */
enum reach_part { REACH_GROUPS, REACH_ACCOUNTS, REACH_ROLES, REACH_PARTS };

struct reach {
	struct directory *directory; /* owned */
	char *bases[REACH_PARTS];    /* owned, normal form; NULL: nothing */
	const char *role_attribute;  /* where roles name who has them */
	const char *policy;	     /* default password policy, or NULL */
	/* A connection of its own for discover, whose pages depend on it. */
	struct directory *survey; /* owned */
	bool last_use_seen;	  /* the survey met a recorded login */
	int64_t stale_days;	  /* without use before an account is stale */
};

/* Accepts NULL. */
void reach_free(struct reach *reach);
DEFINE_CLEANUP(struct reach *, reach_free)

/*
 * Takes the name of something in the directory, and refuses what is malformed
 * or does not lie below the base of its part.
 *
 * ret_name: owned, in normal form; NULL after a refusal.
 */
void reach_take(const struct reach *reach, enum reach_part part,
		const char *resource, char **ret_name,
		struct connector_reply *reply);

/* Refuses what does not lie below the base of its part, or lies below that of
 * roles and is no role. */
void reach_judge(const struct reach *reach, enum reach_part part,
		 const char *name, struct connector_reply *reply);

/*
 * An entry that is hidden from us looks like one that is gone.  At least our
 * base must be in sight before we say that something is gone.
 * Errors: those of directory_read(), ERR_REFUSED if the base is not.
 */
MUST_USE int reach_see(const struct reach *reach, enum reach_part part);

static inline bool is_refused(const struct connector_reply *reply)
{
	return reply->reason[0] != '\0';
}

/* Turns a failure into a refusal, where nothing was changed for certain;
 * returns 0. */
int reach_refuse_failure(struct connector_reply *reply, int r);

/* Refuses as the directory did: outcome is neither CHANGE_DONE nor
 * CHANGE_UNKNOWN.  Returns 0. */
int reach_refuse_change(struct connector_reply *reply,
			const struct change_answer *answer);

/* "<GUID=...>", by which Active Directory finds an entry whatever its name
 * (MS-ADTS 3.1.1.3.1.2.4); owned. */
char *reach_by_guid(const char *uuid);

/* A plan's members that are the same for everything; plan: an object. */
void reach_put_nobody(json_t *plan);
void reach_put_no_change(json_t *plan);
/* Appends {"op", "attribute", "value"}. */
void reach_put_diff(json_t *diff, const char *op, const char *attribute,
		    const char *value);
/* {"type", "id"}, owned. */
json_t *reach_subject(const char *type, const char *id);
/* {"action", "resource", "parameters"}, owned; takes parameters. */
json_t *reach_undo(const char *action, const char *resource,
		   json_t *parameters);

/* The connector's operations that have no action (sdk/connector.h). */
int reach_check(void *self, struct connector_reply *reply);
/* A DN in the one spelling that plans use.  Errors: ERR_SYNTAX. */
int reach_normalise(void *self, const char *resource, struct buf *out);
