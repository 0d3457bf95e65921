/* What the files of the credential share: asking and reading in credential.c,
 * planning in credential_plan.c, lending in credential_issue.c, taking back in
 * credential_revoke.c. */
#pragma once

#include "connectors/postgres/credential.h"

enum {
	CREDENTIAL_VERSION_MAX = 64, /* bytes of a place in the server's log */
	CREDENTIAL_TIME_MAX = 32,    /* bytes of a time with NUL */
};

/* What is asked for. */
struct loan {
	bool issue;
	char role[ROLENAME_MAX + 1];
	char role_text[ROLENAME_SPELLING_MAX];
	char login[ROLENAME_MAX + 1]; /* as it is spelled */
};

/* What the server says about it. */
struct standing {
	struct role self;
	char grantor[ROLES_OID_MAX];
	struct role role;
	struct role login;
	bool is_member;			 /* the login has the role of itself */
	int64_t roles;			 /* that it has of itself */
	int64_t sessions;		 /* of the login */
	char until[CREDENTIAL_TIME_MAX]; /* it can log in; "" if for ever */
	char version[CREDENTIAL_VERSION_MAX];
};

/*
 * Takes what an ask or an order names: {"login": name}, or {"request": id} from
 * which the name follows.  Refuses what is malformed; what is lent must be a
 * role in reach, what is taken back only a login of ours.
 */
void credential_take(const struct target *t, const char *action,
		     const char *resource, const json_t *parameters,
		     struct loan *loan, struct connector_reply *reply);

/* Errors: those of database_ask(). */
MUST_USE int credential_look(struct target *t, const struct loan *loan,
			     struct standing *ret_standing);

/* What the role gives, and whether it may be lent at all. */
MUST_USE int credential_judge(struct target *t, const struct loan *loan,
			      const struct standing *standing,
			      json_t **ret_given,
			      struct connector_reply *reply);

/* Usable, and nothing but what was lent. */
bool credential_is_lent(const struct standing *standing);

/* {"login": ..., ...}, owned: what read() and apply() show. */
json_t *credential_state(const struct standing *standing);

/* What apply() holds the server to, owned.  given: NULL when taking back. */
json_t *credential_precondition(const struct standing *standing,
				const json_t *given);

/* Carries out an order to lend.  The answer holds the secret. */
MUST_USE int credential_issue(struct target *t,
			      const struct connector_order *order,
			      const struct loan *loan,
			      struct connector_reply *reply);

/*
 * Takes the login away, whatever of it is left: no login, no session, nothing
 * owned, no role.  Can be called again after any failure.
 *
 * ret_left: owned array of {"database", "objects", "definers"}: what it had.
 * Errors: any; the login may then be there still, and can do nothing.
 */
MUST_USE int credential_remove(struct target *t, const struct loan *loan,
			       json_t **ret_left);

/* Carries out an order to take back.  Errors: any; part of it may be done. */
MUST_USE int credential_revoke(struct target *t,
			       const struct connector_order *order,
			       const struct loan *loan,
			       struct connector_reply *reply);
