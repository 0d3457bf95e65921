#include "connectors/postgres/credential_private.h"

#include <poll.h>

#include "base/error.h"
#include "base/mem.h"

enum {
	WAIT_MS = 20, /* between looks at what must end */
	SESSIONS_WAIT_MS = 8 * 1000,
	DATABASES_MAX = 256, /* in which one login owns something */
};

/* ---- first: nobody can log in as it ---- */

/* To hand on what it owns, and to end its sessions, our account needs the
 * login's rights; it has those of the role already. */
static int take_rights(struct target *t, const struct loan *loan,
		       const struct standing *standing)
{
	if (standing->self.is_superuser)
		return 0;
	return DATABASE_RUN(t->database, "GRANT %I TO CURRENT_USER",
			    loan->login);
}

/* A membership that somebody else granted, or that is gone, goes with the
 * role. */
static int drop_membership(struct target *t, const struct loan *loan,
			   const struct standing *standing)
{
	CLEANUP(tie_clear) struct tie tie = { .others = NULL };

	if (!standing->role.found)
		return 0;
	TRY(roles_tie(t->database, &standing->role, &standing->login,
		      standing->grantor, &tie));
	if (!tie.ours)
		return 0;
	return DATABASE_RUN(t->database, "REVOKE %I FROM %I", loan->role,
			    loan->login);
}

/* The first statement stands by itself: whatever goes wrong later, nobody can
 * log in. */
static int lock_out(struct target *t, const struct loan *loan,
		    const struct standing *standing)
{
	TRY(DATABASE_RUN(t->database,
			 "ALTER ROLE %I NOLOGIN CONNECTION LIMIT 0 "
			 "PASSWORD NULL VALID UNTIL '-infinity'",
			 loan->login));
	TRY(take_rights(t, loan, standing));
	return drop_membership(t, loan, standing);
}

/* ---- then: nobody is logged in as it ---- */

/* Whether a question about a login answers with 0, now or in time. */
static int await_none(struct target *t, const char *question, const char *oid,
		      int64_t patience_ms, const char *what)
{
	int64_t tries = patience_ms / WAIT_MS;

	for (int64_t i = 0; i < tries; i++) {
		CLEANUP(PQclear_p) PGresult *rows = NULL;

		TRY(DATABASE_ASK(t->database, &rows, question, oid));
		if (database_int(rows, 0, 0) == 0)
			return 0;
		if (database_left_ms(t->database) <= WAIT_MS)
			break;
		discard(poll(NULL, 0, WAIT_MS));
	}
	return error_set(ERR_UNAVAILABLE, "%s", what);
}

/* Those that are being let in hold a transaction, and are not yet among the
 * sessions; they may have been looked at before the login was shut. */
static const char ask_entering[] =
	"SELECT count(*) FROM pg_locks l WHERE $1::oid IS NOT NULL "
	"AND l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' "
	"AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid)";

/* Asks all that are left to end, and counts them. */
static const char ask_to_end[] =
	"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
	"WHERE usesysid = $1::oid";

static int end_sessions(struct target *t, const struct standing *standing)
{
	TRY(await_none(t, ask_entering, standing->login.oid, SESSIONS_WAIT_MS,
		       "somebody is being let in and does not get on"));
	return await_none(t, ask_to_end, standing->login.oid, SESSIONS_WAIT_MS,
			  "a session of the login does not end");
}

/* ---- then: it owns nothing ---- */

/* The databases in which something depends on the login; "" is what all
 * databases share, which can be handed on from any of them. */
static const char ask_places[] =
	"SELECT DISTINCT coalesce(d.datname, ''), coalesce(d.datallowconn, "
	"true) FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid "
	"WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1::oid "
	"ORDER BY 1 LIMIT 257";

/* How much it owns, and of it functions that run with their owner's rights. */
static const char ask_owned[] =
	"SELECT count(*), (SELECT count(*) FROM pg_proc "
	" WHERE proowner = $1::oid AND prosecdef) "
	"FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass "
	"AND refobjid = $1::oid AND deptype = 'o' AND dbid IN (0, "
	"(SELECT oid FROM pg_database WHERE datname = current_database()))";

static int note_owned(struct database *d, const char *oid, json_t *left)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;
	CLEANUP(PQclear_p) PGresult *name = NULL;
	char text[ROLENAME_SPELLING_MAX];
	json_t *one;

	TRY(DATABASE_ASK(d, &rows, ask_owned, oid));
	if (database_int(rows, 0, 0) == 0)
		return 0;
	TRY(database_ask(d, "SELECT current_database()", NULL, 0, &name));
	rolename_spell(database_text(name, 0, 0), text);
	one = json_object();
	json_set_text(one, "database", text);
	json_set_int(one, "objects", database_int(rows, 0, 0));
	json_set_int(one, "definers", database_int(rows, 0, 1));
	discard(json_array_append_new(left, one));
	return 0;
}

static int hand_on(struct database *d, const struct target *t,
		   const struct loan *loan, const struct standing *standing)
{
	if (t->lend.drops)
		return 0;
	/* A role that is gone cannot own; then it is ours. */
	if (!standing->role.found)
		return DATABASE_RUN(d, "REASSIGN OWNED BY %I TO CURRENT_USER",
				    loan->login);
	return DATABASE_RUN(d, "REASSIGN OWNED BY %I TO %I", loan->login,
			    loan->role);
}

/* In one database: what it owns, then what it may. */
static int empty_one(struct database *d, const struct target *t,
		     const struct loan *loan, const struct standing *standing,
		     json_t *left)
{
	TRY(database_connect(d));
	TRY(database_begin(d));
	/* Objects may be many. */
	TRY(database_allow_time(d));
	TRY(note_owned(d, standing->login.oid, left));
	TRY(hand_on(d, t, loan, standing));
	TRY(DATABASE_RUN(d, "DROP OWNED BY %I", loan->login));
	if (database_commit(d) != COMMIT_DONE)
		return error_context(ERR_UNAVAILABLE, "commit");
	return 0;
}

static int empty(struct target *t, const char *place, const struct loan *loan,
		 const struct standing *standing, json_t *left)
{
	CLEANUP(database_close_p) struct database *beside = NULL;
	int r;

	if (!*place)
		r = empty_one(t->database, t, loan, standing, left);
	else {
		beside = database_beside(t->database, place);
		r = empty_one(beside, t, loan, standing, left);
	}
	return r < 0 ? error_context(r, "what it has in '%s'",
				     *place ? place : "all databases")
		     : 0;
}

static int empty_all(struct target *t, const struct loan *loan,
		     const struct standing *standing, json_t *left)
{
	CLEANUP(PQclear_p) PGresult *places = NULL;

	TRY(DATABASE_ASK(t->database, &places, ask_places,
			 standing->login.oid));
	if (PQntuples(places) > DATABASES_MAX)
		return error_set(ERR_LIMIT,
				 "it owns something in more than "
				 "%d databases",
				 DATABASES_MAX);
	for (int i = 0; i < PQntuples(places); i++) {
		const char *place = database_text(places, i, 0);

		if (!database_flag(places, i, 1))
			return error_set(ERR_REFUSED,
					 "it owns something in '%s', to which "
					 "nobody may connect",
					 place);
		TRY(empty(t, place, loan, standing, left));
	}
	return 0;
}

/* ---- last: it is no more ---- */

int credential_remove(struct target *t, const struct loan *loan,
		      json_t **ret_left)
{
	CLEANUP(json_put_p) json_t *left = json_array();
	struct standing standing;

	TRY(credential_look(t, loan, &standing));
	if (standing.login.found) {
		TRY(lock_out(t, loan, &standing));
		TRY(end_sessions(t, &standing));
		TRY(empty_all(t, loan, &standing, left));
		TRY(DATABASE_RUN(t->database, "DROP ROLE %I", loan->login));
	}
	*ret_left = TAKE(left);
	return 0;
}

static int see(struct target *t, const struct loan *loan, json_t *left,
	       struct connector_reply *reply)
{
	struct standing standing;
	json_t *state;

	TRY(credential_look(t, loan, &standing));
	if (standing.login.found)
		return error_set(ERR_UNAVAILABLE, "the login is there still");
	state = credential_state(&standing);
	if (json_array_size(left) > 0)
		json_object_set(state, "left", left);
	reply->result = connector_applied(state, standing.version);
	return 0;
}

int credential_revoke(struct target *t, const struct connector_order *order,
		      const struct loan *loan, struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *left = NULL;
	CLEANUP(json_put_p) json_t *now = NULL;
	struct standing standing;
	int r = target_begin(t, TARGET_APPLY_MS);

	if (r == 0)
		r = credential_look(t, loan, &standing);
	if (r < 0)
		return target_refuse_failure(t, reply, r);
	if (!standing.login.found) {
		reply->result = connector_no_change();
		return 0;
	}
	now = credential_precondition(&standing, NULL);
	if (!order->precondition || !json_equal(now, order->precondition))
		return connector_refuse(reply, "precondition",
					"the login is another than the one "
					"planned");
	r = credential_remove(t, loan, &left);
	if (r == 0)
		r = see(t, loan, left, reply);
	database_rollback(t->database);
	/* Some of it may have been taken: what is left, reading tells. */
	return r;
}
