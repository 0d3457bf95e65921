#include "connectors/postgres/credential_private.h"

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/scram.h"

enum {
	PASSWORD_BYTES = 32, /* of randomness */
	PASSWORD_MAX = 48,   /* bytes in base64url with NUL */
	NUMBER_MAX = 24,
	DRILL_SECONDS = 600,
	TTL_MAX_SECONDS = 366 * 24 * 3600,
};

/* What is made for one login; wiped on the way out. */
struct secret {
	char password[PASSWORD_MAX];
	char verifier[SCRAM_VERIFIER_MAX];
};

static void secret_clear(struct secret *secret)
{
	mem_wipe(secret, sizeof(*secret));
}

static int make_secret(struct secret *secret)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(PASSWORD_MAX - 1);
	uint8_t bytes[PASSWORD_BYTES], salt[SCRAM_SALT_LEN];
	struct slice whole;

	random_bytes(bytes, sizeof(bytes));
	random_bytes(salt, sizeof(salt));
	text_put_base64url(&text, slice_of(bytes, sizeof(bytes)));
	mem_wipe(bytes, sizeof(bytes));
	TRY(buf_finish(&text, &whole));
	memcpy(secret->password, buf_text(&text), whole.len + 1);
	return scram_verifier(whole, salt, SCRAM_ITERATIONS, secret->verifier);
}

/* ---- is this order ours to carry out? ---- */

/* How long the login serves. */
static int64_t seconds_of(const struct connector_order *order)
{
	if (!strcmp(order->purpose, "drill"))
		return DRILL_SECONDS;
	return json_int(order->plan, "ttl", 0);
}

/* A login has the name of the very request that it is lent for, so that no
 * request can touch another's. */
static int judge_order(const struct connector_order *order,
		       const struct loan *loan, struct connector_reply *reply)
{
	char login[ROLENAME_LOGIN_LEN + 1];
	int64_t seconds = seconds_of(order);

	rolename_login(json_text(order->plan, "request", ""), login);
	if (strcmp(order->purpose, "drill") != 0 &&
	    strcmp(login, loan->login) != 0)
		return connector_refuse(reply, "order",
					"the login is not that of the plan's "
					"request");
	if (seconds < 1 || seconds > TTL_MAX_SECONDS)
		return connector_refuse(reply, "order",
					"the plan does not say how long the "
					"login is lent");
	return 0;
}

static int judge_state(const struct connector_order *order,
		       const struct standing *standing, const json_t *given,
		       struct connector_reply *reply)
{
	CLEANUP(json_put_p)
	json_t *now = credential_precondition(standing, given);

	if (order->precondition && json_equal(now, order->precondition))
		return 0;
	return connector_refuse(reply, "precondition",
				"the role, the login or what the role gives is "
				"not as planned");
}

/* ---- making it ---- */

/* The server's own clock says when it ends, as its own expiry does. */
static int end_of(struct target *t, int64_t seconds,
		  char text[CREDENTIAL_TIME_MAX])
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;
	char number[NUMBER_MAX];

	snprintf(number, sizeof(number), "%lld", (long long)seconds);
	TRY(DATABASE_ASK(t->database, &rows,
			 "SELECT to_char((now() + $1::int * interval "
			 "'1 second') AT TIME ZONE 'UTC', "
			 "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')",
			 number));
	snprintf(text, CREDENTIAL_TIME_MAX, "%s", database_text(rows, 0, 0));
	return 0;
}

static int create(struct target *t, const struct connector_order *order,
		  const struct loan *loan, const struct secret *secret,
		  const char *until)
{
	CLEANUP(mem_free_p)
	char *words = mem_format("Lent by Writ for %s until %s",
				 json_text(order->plan, "request", "?"), until);
	char connections[NUMBER_MAX];

	snprintf(connections, sizeof(connections), "%lld",
		 (long long)t->lend.connections);
	TRY(DATABASE_RUN(t->database,
			 "CREATE ROLE %I LOGIN INHERIT NOSUPERUSER NOCREATEDB "
			 "NOCREATEROLE NOREPLICATION NOBYPASSRLS "
			 "CONNECTION LIMIT %N PASSWORD %L VALID UNTIL %L "
			 "IN ROLE %I",
			 loan->login, connections, secret->verifier, until,
			 loan->role));
	return DATABASE_RUN(t->database, "COMMENT ON ROLE %I IS %L",
			    loan->login, words);
}

/* Looks at the login before it is committed: it must be what was meant. */
static int judge_login(struct target *t, const struct loan *loan,
		       const struct standing *before, const json_t *given,
		       struct standing *standing, struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *now = NULL;

	TRY(credential_look(t, loan, standing));
	TRY(roles_given(t->database, &standing->role, &now));
	if (!credential_is_lent(standing) || standing->login.is_superuser ||
	    standing->login.can_create_roles)
		return connector_refuse(reply, "refused",
					"the server made another login than "
					"was asked for");
	if (strcmp(standing->role.oid, before->role.oid) != 0 ||
	    !json_equal(now, (json_t *)(uintptr_t)given))
		return connector_refuse(reply, "precondition",
					"the role changed at the same moment");
	return 0;
}

/* All that comes before the commit.  A refusal or an error leaves nothing. */
static int prepare(struct target *t, const struct connector_order *order,
		   const struct loan *loan, const struct secret *secret,
		   struct standing *after, struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *given = NULL;
	char until[CREDENTIAL_TIME_MAX];
	struct standing before;

	TRY(database_begin(t->database));
	TRY(credential_look(t, loan, &before));
	if (before.role.found)
		TRY(roles_lock(t->database, &before.role, &before.self));
	TRY(credential_look(t, loan, &before));
	TRY(credential_judge(t, loan, &before, &given, reply));
	if (target_refused(reply))
		return 0;
	if (before.login.found)
		return connector_refuse(reply, "precondition",
					"the login is there already");
	TRY(end_of(t, seconds_of(order), until));
	TRY(create(t, order, loan, secret, until));
	return judge_login(t, loan, &before, given, after, reply);
}

/* ---- handing it out ---- */

static void put_secret(const struct target *t, const struct loan *loan,
		       const struct secret *secret,
		       const struct standing *standing, json_t *result)
{
	json_t *told = json_object();
	char port[NUMBER_MAX];

	snprintf(port, sizeof(port), "%lld", (long long)t->lend.port);
	json_set_text(told, "user", loan->login);
	json_set_text(told, "password", secret->password);
	json_set_text(told, "host", t->lend.host);
	json_set_text(told, "port", port);
	json_set_text(told, "database", t->lend.database);
	json_set_text(told, "role", loan->role_text);
	json_set_text(told, "validUntil", standing->until);
	json_set_new(result, "secret", told);
}

static int make(struct target *t, const struct connector_order *order,
		const struct loan *loan, struct connector_reply *reply)
{
	CLEANUP(secret_clear) struct secret secret = { "", "" };
	struct standing after;
	int r = make_secret(&secret);

	if (r == 0)
		r = prepare(t, order, loan, &secret, &after, reply);
	if (r < 0 || target_refused(reply)) {
		r = target_refuse_failure(t, reply, r);
		database_rollback(t->database);
		return r;
	}
	TRY(target_commit(t, credential_state(&after), after.version, reply));
	if (reply->result)
		put_secret(t, loan, &secret, &after, reply->result);
	return 0;
}

/* What the request has of an earlier try is of no use: its password is lost. */
static int clear_place(struct target *t, const struct connector_order *order,
		       const struct loan *loan, struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *given = NULL;
	CLEANUP(json_put_p) json_t *left = NULL;
	struct standing standing;

	TRY(credential_look(t, loan, &standing));
	TRY(credential_judge(t, loan, &standing, &given, reply));
	if (!target_refused(reply))
		TRY(judge_state(order, &standing, given, reply));
	if (target_refused(reply) || !standing.login.found)
		return 0;
	return credential_remove(t, loan, &left);
}

int credential_issue(struct target *t, const struct connector_order *order,
		     const struct loan *loan, struct connector_reply *reply)
{
	int r;

	discard(judge_order(order, loan, reply));
	if (target_refused(reply))
		return 0;
	r = target_begin(t, TARGET_APPLY_MS);
	if (r == 0)
		r = clear_place(t, order, loan, reply);
	/* Of what is cleared away nothing was of use to anybody. */
	if (r < 0 || target_refused(reply))
		return target_refuse_failure(t, reply, r);
	return make(t, order, loan, reply);
}
