/*
 * writ-connect-postgres: membership of roles in PostgreSQL, and logins lent for
 * a task.  Configuration and use: docs/connectors/postgres.md.
 */
#include <signal.h>

#include "base/error.h"
#include "base/mem.h"
#include "connectors/postgres/activity.h"
#include "connectors/postgres/credential.h"
#include "connectors/postgres/membership.h"
#include "connectors/postgres/survey.h"

enum {
	TIMEOUT_DEFAULT_SECONDS = 5,
	PORT_DEFAULT = 5432,
	CONNECTIONS_DEFAULT = 4,
	PATH_BYTES_MAX = 4096,
	ROLES_LISTED_MAX = 4096,
};

static const struct connector_action actions[] = {
	{ "GrantRole", "database.role.grant", "Role", "RevokeRole", "natural",
	  false },
	{ "RevokeRole", "database.role.revoke", "Role", "GrantRole", "natural",
	  true },
	{ "IssueCredential", "credential.issue", "Role", "RevokeCredential",
	  "none", false },
	{ "RevokeCredential", "credential.revoke", "Role", NULL, "natural",
	  true },
	{ NULL },
};

static const struct schema name_row[] = {
	{ "name", SCHEMA_TEXT, true, 1, ROLENAME_SPELLING_MAX, NULL, NULL,
	  NULL },
	{ NULL },
};

static const struct schema lend_rows[] = {
	{ "connections", SCHEMA_INT, false, 1, 1000, NULL, NULL,
	  "that one login may have at a time (4)" },
	{ "owned", SCHEMA_ENUM, false, 0, 0, "reassign|drop", NULL,
	  "what a login owns at its end: goes to the role it was lent for "
	  "(reassign), or away (drop)" },
	{ "host", SCHEMA_TEXT, false, 1, 1024, NULL, NULL,
	  "of the server, as the login's user is told (host)" },
	{ "port", SCHEMA_INT, false, 1, 65535, NULL, NULL,
	  "the same for its port (port)" },
	{ "database", SCHEMA_TEXT, false, 1, ROLENAME_MAX, NULL, NULL,
	  "the same for the database (database)" },
	{ NULL },
};

static const struct schema rows[] = {
	{ "host", SCHEMA_TEXT, true, 1, 1024, NULL, NULL,
	  "name or address; a path that begins with / is a Unix socket's "
	  "folder" },
	{ "port", SCHEMA_INT, false, 1, 65535, NULL, NULL, "(5432)" },
	{ "database", SCHEMA_TEXT, true, 1, ROLENAME_MAX, NULL, NULL,
	  "to connect to" },
	{ "user", SCHEMA_TEXT, true, 1, ROLENAME_MAX, NULL, NULL,
	  "our own account" },
	{ "passwordFile", SCHEMA_TEXT, false, 1, PATH_BYTES_MAX, NULL, NULL,
	  "file whose first line is its password" },
	{ "caFile", SCHEMA_TEXT, false, 1, PATH_BYTES_MAX, NULL, NULL,
	  "certificates that the server's is checked against, PEM" },
	{ "clientCert", SCHEMA_TEXT, false, 1, PATH_BYTES_MAX, NULL, NULL,
	  "our own certificate, PEM" },
	{ "clientKey", SCHEMA_TEXT, false, 1, PATH_BYTES_MAX, NULL, NULL,
	  "its private key, PEM" },
	{ "timeoutSeconds", SCHEMA_INT, false, 1, DATABASE_TIMEOUT_MAX_SECONDS,
	  NULL, NULL, "for each answer and each lock of the server (5)" },
	{ "roles", SCHEMA_LIST, true, 1, ROLES_LISTED_MAX, NULL, name_row,
	  "roles that may be granted and lent; NAME* is all that begin so" },
	{ "keepOneMember", SCHEMA_LIST, false, 0, ROLES_LISTED_MAX, NULL,
	  name_row, "roles whose last login is not taken out" },
	{ "lend", SCHEMA_OBJECT, false, 0, 0, NULL, lend_rows,
	  "logins may be lent; none without it" },
	{ "log", SCHEMA_TEXT, false, 1, PATH_BYTES_MAX, NULL, NULL,
	  "the server's log in CSV, to see what a role did" },
	{ NULL },
};

static const char *const files[] = { "passwordFile", "caFile", "clientCert",
				     "clientKey",    "log",    NULL };

static const char *const secrets[] = { "passwordFile", "clientKey", NULL };

static const struct connector_info info = {
	.kind = "postgres",
	.version = WRIT_VERSION,
	.actions = actions,
	.enforces_precondition = true,
	.pipeline = 2, /* taking a login back may take its time */
	.config = rows,
	.may_skip_orders = false,
	.connects = true,
	.files = files,
	.secrets = secrets,
};

static struct database_options read_options(const json_t *config)
{
	return (struct database_options){
		.host = json_text(config, "host", ""),
		.port = (int)json_int(config, "port", PORT_DEFAULT),
		.name = json_text(config, "database", ""),
		.user = json_text(config, "user", ""),
		.password_file = json_text(config, "passwordFile", NULL),
		.ca_file = json_text(config, "caFile", NULL),
		.cert_file = json_text(config, "clientCert", NULL),
		.key_file = json_text(config, "clientKey", NULL),
		.timeout_seconds = (int)json_int(config, "timeoutSeconds",
						 TIMEOUT_DEFAULT_SECONDS),
	};
}

static struct target_lend read_lend(const json_t *config)
{
	const json_t *lend = json_object_in(config, "lend");

	return (struct target_lend){
		.allowed = lend != NULL,
		.connections =
			json_int(lend, "connections", CONNECTIONS_DEFAULT),
		.drops = !strcmp(json_text(lend, "owned", "reassign"), "drop"),
		.host = json_text(lend, "host", json_text(config, "host", "")),
		.port = json_int(lend, "port",
				 json_int(config, "port", PORT_DEFAULT)),
		.database = json_text(lend, "database",
				      json_text(config, "database", "")),
	};
}

static int open_postgres(const json_t *config, void **ret_self)
{
	const struct database_options options = read_options(config);
	struct database *database;
	struct target *t;

	/* A server that hangs up must not end us while we write to it. */
	signal(SIGPIPE, SIG_IGN);
	TRY(database_open(&options, &database));
	t = mem_new(struct target);
	t->database = database;
	t->roles = json_array_in(config, "roles");
	t->keep = json_array_in(config, "keepOneMember");
	t->lend = read_lend(config);
	t->log = json_text(config, "log", NULL);
	*ret_self = t;
	return 0;
}

static void close_postgres(void *self)
{
	struct target *t = self;

	if (!t)
		return;
	database_close(t->database);
	free(t);
}

/* Whether our account can do what the configuration says it is there for. */
static int check_account(struct target *t, struct connector_reply *reply)
{
	char grantor[ROLES_OID_MAX];
	struct role self;

	TRY(target_begin(t, TARGET_LOOK_MS));
	TRY(roles_self(t->database, &self, grantor));
	if (t->lend.allowed && !self.is_superuser && !self.can_create_roles)
		return connector_refuse(reply, "unavailable",
					"the account cannot lend logins: it "
					"lacks CREATEROLE");
	return 0;
}

static int check(void *self, struct connector_reply *reply)
{
	return check_account(self, reply);
}

static bool is_credential(const char *action)
{
	return !strcmp(action, "IssueCredential") ||
	       !strcmp(action, "RevokeCredential");
}

static int plan(void *self, const struct connector_ask *ask,
		struct connector_reply *reply)
{
	return is_credential(ask->action) ? credential_plan(self, ask, reply)
					  : membership_plan(self, ask, reply);
}

static int apply(void *self, const struct connector_order *order,
		 struct connector_reply *reply)
{
	return is_credential(order->action)
		       ? credential_apply(self, order, reply)
		       : membership_apply(self, order, reply);
}

static int read_back(void *self, const struct connector_ask *ask,
		     struct connector_reply *reply)
{
	return is_credential(ask->action) ? credential_read(self, ask, reply)
					  : membership_read(self, ask, reply);
}

static int normalise(void *self UNUSED, const char *resource, struct buf *out)
{
	char name[ROLENAME_MAX + 1];
	char text[ROLENAME_SPELLING_MAX];

	TRY(rolename_parse(resource, name));
	rolename_spell(name, text);
	buf_put_str(out, text);
	return 0;
}

static int discover(void *self, const json_t *params,
		    struct connector_reply *reply)
{
	return survey_discover(self, params, reply);
}

static int entitlements(void *self, const json_t *params,
			struct connector_reply *reply)
{
	return survey_entitlements(self, params, reply);
}

static int activity(void *self, const json_t *params,
		    struct connector_reply *reply)
{
	return activity_read(self, params, reply);
}

static const struct connector_ops ops = {
	.info = &info,
	.open = open_postgres,
	.close = close_postgres,
	.check = check,
	.plan = plan,
	.apply = apply,
	.read = read_back,
	.normalise = normalise,
	.discover = discover,
	.entitlements = entitlements,
	.activity = activity,
};

int main(int argc, char **argv)
{
	return connector_main(argc, argv, &ops);
}
