#include "connectors/postgres/credential_private.h"

#include "base/error.h"

/* The longest id that a login's name is made of. */
enum { REQUEST_MAX = 128 };

/* Fills the login's name from the only parameter. */
static void take_login(const json_t *parameters, struct loan *loan,
		       struct connector_reply *reply)
{
	const char *request = json_text(parameters, "request", NULL);
	const char *login = json_text(parameters, "login", NULL);

	if (json_object_size(parameters) != 1 || (!request && !login)) {
		discard(connector_refuse(reply, "invalid",
					 "parameters: exactly \"login\", or "
					 "\"request\""));
		return;
	}
	if (request && strlen(request) - 1 < REQUEST_MAX)
		rolename_login(request, loan->login);
	else if (login && rolename_is_login(login))
		snprintf(loan->login, sizeof(loan->login), "%s", login);
	else
		discard(connector_refuse(reply, "invalid",
					 "not the name of a lent login"));
}

void credential_take(const struct target *t, const char *action,
		     const char *resource, const json_t *parameters,
		     struct loan *loan, struct connector_reply *reply)
{
	*loan = (struct loan){ .issue = !strcmp(action, "IssueCredential") };
	target_take_name(resource, "resource", loan->role, reply);
	if (target_refused(reply))
		return;
	rolename_spell(loan->role, loan->role_text);
	take_login(parameters, loan, reply);
	if (target_refused(reply) || !loan->issue)
		return;
	if (!t->lend.allowed)
		discard(connector_refuse(reply, "out-of-base",
					 "this connector lends nothing"));
	else if (!target_reaches(t, loan->role))
		discard(connector_refuse(reply, "out-of-base",
					 "%s is not among the roles of this "
					 "connector",
					 loan->role_text));
}

static const char ask_standing[] =
	"SELECT EXISTS (SELECT FROM pg_auth_members m "
	"  JOIN pg_roles r ON r.oid = m.roleid "
	"  WHERE m.member = l.oid AND r.rolname = $2), "
	"(SELECT count(*) FROM pg_auth_members WHERE member = l.oid), "
	"(SELECT count(*) FROM pg_stat_activity WHERE usesysid = l.oid), "
	"CASE WHEN isfinite(l.rolvaliduntil) THEN "
	" to_char(l.rolvaliduntil AT TIME ZONE 'UTC', "
	"  'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') END "
	"FROM pg_roles l WHERE l.oid = $1::oid";

static int look_at_login(struct target *t, const struct loan *loan,
			 struct standing *standing)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	TRY(DATABASE_ASK(t->database, &rows, ask_standing, standing->login.oid,
			 loan->role));
	if (PQntuples(rows) != 1) {
		standing->login.found = false;
		return 0;
	}
	standing->is_member = database_flag(rows, 0, 0);
	standing->roles = database_int(rows, 0, 1);
	standing->sessions = database_int(rows, 0, 2);
	snprintf(standing->until, sizeof(standing->until), "%s",
		 database_text(rows, 0, 3));
	return 0;
}

int credential_look(struct target *t, const struct loan *loan,
		    struct standing *ret_standing)
{
	struct standing *s = ret_standing;

	*s = (struct standing){ .roles = 0 };
	TRY(roles_self(t->database, &s->self, s->grantor));
	TRY(roles_find(t->database, loan->role, &s->role));
	TRY(roles_find(t->database, loan->login, &s->login));
	if (s->login.found)
		TRY(look_at_login(t, loan, s));
	return roles_version(t->database, s->version, sizeof(s->version));
}

json_t *credential_state(const struct standing *standing)
{
	json_t *state = json_object();

	json_set_flag(state, "login", standing->login.found);
	json_set_int(state, "sessions", standing->sessions);
	if (!standing->login.found)
		return state;
	json_set_flag(state, "canLogin", standing->login.can_login);
	json_set_flag(state, "member", standing->is_member);
	if (standing->until[0])
		json_set_text(state, "validUntil", standing->until);
	return state;
}

json_t *credential_precondition(const struct standing *standing,
				const json_t *given)
{
	json_t *precondition = json_object();
	char digest[DIGEST_TEXT_LEN];

	json_set_text(precondition, "login",
		      standing->login.found ? standing->login.oid : "none");
	if (!given)
		return precondition;
	roles_digest(given, digest);
	json_set_text(precondition, "role", standing->role.oid);
	json_set_text(precondition, "gives", digest);
	return precondition;
}

/* Powers with which a login could make another one, or change itself, so that
 * it would not end with its task. */
static const char *const lasting[] = {
	"pg_attribute:superuser",   "pg_attribute:createrole",
	"pg_attribute:replication", "pg_execute_server_program",
	"pg_write_server_files",
};

int credential_judge(struct target *t, const struct loan *loan,
		     const struct standing *standing, json_t **ret_given,
		     struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *given = NULL;

	if (!standing->role.found)
		return connector_refuse(reply, "no-such-resource",
					"there is no role %s", loan->role_text);
	TRY(roles_given(t->database, &standing->role, &given));
	for (size_t i = 0; i < ARRAY_LEN(lasting); i++) {
		if (json_has_text(given, lasting[i]) ||
		    !strcmp(loan->role, lasting[i]))
			return connector_refuse(
				reply, "wrong-type",
				"%s gives %s, with which a login could "
				"outlast its task; it is not lent",
				loan->role_text, lasting[i]);
	}
	*ret_given = TAKE(given);
	return 0;
}

bool credential_is_lent(const struct standing *standing)
{
	return standing->login.found && standing->login.can_login &&
	       standing->is_member && standing->roles == 1 &&
	       standing->until[0];
}

int credential_read(struct target *t, const struct connector_ask *ask,
		    struct connector_reply *reply)
{
	struct standing standing;
	struct loan loan;
	json_t *answer;

	credential_take(t, ask->action, ask->resource, ask->parameters, &loan,
			reply);
	if (target_refused(reply))
		return 0;
	TRY(target_begin(t, TARGET_LOOK_MS));
	TRY(credential_look(t, &loan, &standing));
	answer = json_object();
	json_set_flag(answer, "present",
		      loan.issue ? credential_is_lent(&standing)
				 : !standing.login.found);
	json_set_new(answer, "state", credential_state(&standing));
	json_set_text(answer, "targetVersion", standing.version);
	reply->result = answer;
	return 0;
}

int credential_apply(struct target *t, const struct connector_order *order,
		     struct connector_reply *reply)
{
	struct loan loan;

	credential_take(t, order->action, order->resource, order->parameters,
			&loan, reply);
	if (target_refused(reply))
		return 0;
	if (loan.issue)
		return credential_issue(t, order, &loan, reply);
	return credential_revoke(t, order, &loan, reply);
}
