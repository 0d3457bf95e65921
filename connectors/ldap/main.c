/*
 * writ-connect-ldap: members of groups in an LDAP directory.  Configuration
 * and use: docs/connector-ldap.md.
 */
#include <signal.h>

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/membership.h"

enum { TIMEOUT_DEFAULT_SECONDS = 5 };

static const struct connector_action actions[] = {
	{ "AddToGroup", "directory.group.add_member", "DirectoryGroup",
	  "RemoveFromGroup", "natural", false },
	{ "RemoveFromGroup", "directory.group.remove_member", "DirectoryGroup",
	  "AddToGroup", "natural", true },
	{ NULL },
};

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
	{ "timeoutSeconds", SCHEMA_INT, false, 1, DIRECTORY_TIMEOUT_MAX_SECONDS,
	  NULL, NULL, "for each answer of the server (5)" },
	{ NULL },
};

static const struct connector_info info = {
	.kind = "ldap",
	.version = WRIT_VERSION,
	.actions = actions,
	.enforces_precondition = true,
	.config = rows,
	.may_skip_orders = false,
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

static int open_ldap(const json_t *config, void **ret_self)
{
	CLEANUP(membership_free_p)
	struct membership *m = mem_new(struct membership);
	struct directory_options options;
	int r;

	/* A server that hangs up must not end us while we write to it. */
	signal(SIGPIPE, SIG_IGN);
	r = dn_normalise(json_text(config, "base", ""), &m->base);
	if (r < 0)
		return error_context(r, "base");
	options = read_options(config, m->base);
	TRY(directory_open(&options, &m->directory));
	*ret_self = TAKE(m);
	return 0;
}

static void close_ldap(void *self)
{
	membership_free(self);
}

static const struct connector_ops ops = {
	.info = &info,
	.open = open_ldap,
	.close = close_ldap,
	.check = membership_check,
	.plan = membership_plan,
	.apply = membership_apply,
	.read = membership_read,
	.normalise = membership_normalise,
};

int main(int argc, char **argv)
{
	return connector_main(argc, argv, &ops);
}
