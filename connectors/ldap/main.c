/*
 * writ-connect-ldap: groups, roles and accounts of an LDAP directory.
 * Configuration and use: docs/connectors/ldap.md.
 */
#include <signal.h>

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/action.h"
#include "connectors/ldap/discover.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/entitlements.h"
#include "connectors/ldap/group_kind.h"

enum { TIMEOUT_DEFAULT_SECONDS = 5, STALE_DEFAULT_DAYS = 90 };

static const struct schema bind_rows[] = {
	{ "method", SCHEMA_ENUM, true, 0, 0, "simple|external", NULL,
	  "a name and a password, or SASL EXTERNAL: the client certificate, or "
	  "the system user over ldapi" },
	{ "dn", SCHEMA_TEXT, false, 1, DN_MAX, NULL, NULL,
	  "simple: the account's name" },
	{ "passwordFile", SCHEMA_TEXT, false, 1, 4096, NULL, NULL,
	  "simple: file whose first line is the password" },
	{ NULL },
};

static const struct schema account_rows[] = {
	{ "base", SCHEMA_TEXT, true, 1, DN_MAX, NULL, NULL,
	  "only accounts at or below this name are suspended and resumed" },
	{ "policy", SCHEMA_TEXT, false, 1, DN_MAX, NULL, NULL,
	  "the password policy of accounts that name none (OpenLDAP)" },
	{ "staleDays", SCHEMA_INT, false, 1, 3650, NULL, NULL,
	  "days without a login after which one is flagged stale (90)" },
	{ NULL },
};

static const struct schema role_rows[] = {
	{ "base", SCHEMA_TEXT, true, 1, DN_MAX, NULL, NULL,
	  "what lies below this name is a role" },
	{ "memberAttribute", SCHEMA_TEXT, false, 1, 64, NULL, NULL,
	  "where a role names who has it (roleOccupant)" },
	{ NULL },
};

static const struct schema rows[] = {
	{ "url", SCHEMA_TEXT, true, 1, 1024, NULL, NULL,
	  "ldaps://host, ldap://host or ldapi://%2Fpath" },
	{ "startTls", SCHEMA_FLAG, false, 0, 0, NULL, NULL,
	  "ldap://: begin TLS before anything else" },
	{ "caFile", SCHEMA_TEXT, false, 1, 4096, NULL, NULL,
	  "certificates that the server's is checked against, PEM" },
	{ "clientCert", SCHEMA_TEXT, false, 1, 4096, NULL, NULL,
	  "our own certificate, PEM" },
	{ "clientKey", SCHEMA_TEXT, false, 1, 4096, NULL, NULL,
	  "its private key, PEM" },
	{ "bind", SCHEMA_OBJECT, true, 0, 0, NULL, bind_rows, "how to log in" },
	{ "base", SCHEMA_TEXT, true, 1, DN_MAX, NULL, NULL,
	  "only groups at or below this name are changed" },
	{ "accounts", SCHEMA_OBJECT, false, 0, 0, NULL, account_rows,
	  "which accounts are ours" },
	{ "roles", SCHEMA_OBJECT, false, 0, 0, NULL, role_rows,
	  "which entries are roles" },
	{ "timeoutSeconds", SCHEMA_INT, false, 1, DIRECTORY_TIMEOUT_MAX_SECONDS,
	  NULL, NULL, "for each answer of the server (5)" },
	{ NULL },
};

static const char *const files[] = { "caFile", "clientCert", "clientKey",
				     "bind.passwordFile", NULL };

static const char *const secrets[] = { "clientKey", "bind.passwordFile", NULL };

static struct connector_info info = {
	.kind = "ldap",
	.version = WRIT_VERSION,
	.enforces_precondition = true,
	.config = rows,
	.may_skip_orders = false,
	.connects = true,
	.files = files,
	.secrets = secrets,
};

static struct directory_options read_options(const json_t *config,
					     const char *base)
{
	const json_t *bind = json_object_in(config, "bind");
	bool external = strcmp(json_text(bind, "method", ""), "external") == 0;

	return (struct directory_options){
		.url = json_text(config, "url", ""),
		.start_tls = json_flag(config, "startTls", false),
		.ca_file = json_text(config, "caFile", NULL),
		.cert_file = json_text(config, "clientCert", NULL),
		.key_file = json_text(config, "clientKey", NULL),
		.bind = external ? DIRECTORY_BIND_EXTERNAL
				 : DIRECTORY_BIND_SIMPLE,
		.bind_dn = json_text(bind, "dn", NULL),
		.password_file = json_text(bind, "passwordFile", NULL),
		.base = base,
		.timeout_seconds = (int)json_int(config, "timeoutSeconds",
						 TIMEOUT_DEFAULT_SECONDS),
	};
}

/* Takes a base into reach->bases; text may be NULL. */
static int take_base(struct reach *reach, enum reach_part part,
		     const char *member, const char *text)
{
	int r = text ? dn_normalise(text, &reach->bases[part]) : 0;

	return r < 0 ? error_context(r, "%s", member) : 0;
}

static int take_roles(struct reach *reach, const json_t *roles)
{
	reach->role_attribute =
		json_text(roles, "memberAttribute", "roleOccupant");
	if (!group_kind_has(reach->role_attribute))
		return error_set(ERR_SYNTAX,
				 "roles.memberAttribute: none that is known");
	return take_base(reach, REACH_ROLES, "roles.base",
			 json_text(roles, "base", NULL));
}

static int open_ldap(const json_t *config, void **ret_self)
{
	CLEANUP(reach_free_p) struct reach *reach = mem_new(struct reach);
	const json_t *accounts = json_object_in(config, "accounts");
	struct directory_options options;

	/* A server that hangs up must not end us while we write to it. */
	signal(SIGPIPE, SIG_IGN);
	TRY(take_base(reach, REACH_GROUPS, "base",
		      json_text(config, "base", "")));
	TRY(take_base(reach, REACH_ACCOUNTS, "accounts.base",
		      json_text(accounts, "base", NULL)));
	TRY(take_roles(reach, json_object_in(config, "roles")));
	reach->policy = json_text(accounts, "policy", NULL);
	reach->stale_days = json_int(accounts, "staleDays", STALE_DEFAULT_DAYS);
	options = read_options(config, reach->bases[REACH_GROUPS]);
	TRY(directory_open(&options, &reach->directory));
	TRY(directory_open(&options, &reach->survey));
	*ret_self = TAKE(reach);
	return 0;
}

static void close_ldap(void *self)
{
	reach_free(self);
}

static const struct connector_ops ops = {
	.info = &info,
	.open = open_ldap,
	.close = close_ldap,
	.check = reach_check,
	.plan = action_plan,
	.apply = action_apply,
	.read = action_read,
	.normalise = reach_normalise,
	.discover = discover_survey,
	.entitlements = entitlements_survey,
};

int main(int argc, char **argv)
{
	info.actions = action_rows();
	return connector_main(argc, argv, &ops);
}
