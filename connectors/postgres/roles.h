/*
 * What the catalog says about roles: one of them, what a membership in it
 * gives, who has it, and which row of pg_auth_members is ours.  All of it is
 * readable by every account.
 */
#pragma once

#include "base/json.h"
#include "connectors/postgres/database.h"
#include "connectors/postgres/rolename.h"
#include "crypto/digest.h"

enum {
	ROLES_WALK_MAX = 10000, /* roles above or below one */
	ROLES_OID_MAX = 12,	/* bytes of an oid's text with NUL */
};

struct role {
	bool found;
	char oid[ROLES_OID_MAX];
	char name[ROLENAME_MAX + 1];
	bool can_login;
	bool is_superuser;
	bool can_create_roles;
};

/* Errors of all: those of database_ask(). */

/* Looks a role up by its name. */
MUST_USE int roles_find(struct database *d, const char *name,
			struct role *ret_role);

/* Our own account, and the oid that stands as grantor of what it grants: its
 * own, or from PostgreSQL 16 on for a superuser that of the first one. */
MUST_USE int roles_self(struct database *d, struct role *ret_self,
			char ret_grantor[ROLES_OID_MAX]);

/*
 * All that a member of the role has besides it: the roles that it is in, at any
 * depth, and as "pg_attribute:superuser" and so on the powers that any of them
 * has.  No role can have such a name.  Sorted.
 *
 * ret_list: owned array of spellings.
 * Errors: ERR_LIMIT (ROLES_WALK_MAX) besides.
 */
MUST_USE int roles_given(struct database *d, const struct role *role,
			 json_t **ret_list);

/* The digest of what roles_given() says. */
void roles_digest(const json_t *given, char ret_text[DIGEST_TEXT_LEN]);

/*
 * Who has a role, through others as well: itself, if it can log in, and every
 * account in it.  [{"type": "account", "id"}], sorted.
 *
 * ret_list: owned.
 * Errors: ERR_LIMIT (ROLES_WALK_MAX) besides.
 */
MUST_USE int roles_holders(struct database *d, const struct role *role,
			   json_t **ret_list);

/* Whether role is a member of other, through others as well. */
MUST_USE int roles_is_in(struct database *d, const struct role *role,
			 const struct role *other, bool *ret_is);

/* How a member came to a role. */
struct tie {
	bool ours;	 /* we granted it */
	bool ours_admin; /* with the right to hand it on */
	json_t *others;	 /* owned array: who else granted it */
};

/* grantor: as roles_self() gave it.  ret_tie: tie_clear(). */
MUST_USE int roles_tie(struct database *d, const struct role *role,
		       const struct role *member, const char *grantor,
		       struct tie *ret_tie);
void tie_clear(struct tie *tie);

/* Whether a login that is neither member nor our own account has the role, by
 * itself or through others, when the tie of member is cut. */
MUST_USE int roles_has_other_holder(struct database *d, const struct role *role,
				    const struct role *member, bool *ret_has);

/*
 * Keeps others from changing the role's memberships until the transaction ends,
 * as far as our account can: other connectors of this kind always; everybody,
 * by a lock of the catalog, when it is a superuser.
 */
MUST_USE int roles_lock(struct database *d, const struct role *role,
			const struct role *self);

/* Where the server's log of changes stands, as its name for what we saw; "" if
 * it does not say. */
MUST_USE int roles_version(struct database *d, char *text, size_t size);
