#include "connectors/sdk/shut.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"

enum { FILES_MAX = 256 }; /* descriptors at a time */

/* Names, certificates of the system, and what libraries load when they first
 * connect.  Folders where a link in /etc leads to what is replaced. */
static const char *const system_files[] = {
	"/dev/null",
	"/dev/urandom",
	"/etc/gai.conf",
	"/etc/gnutls",
	"/etc/host.conf",
	"/etc/hosts",
	"/etc/krb5.conf",
	"/etc/ld.so.cache",
	"/etc/ldap",
	"/etc/localtime",
	"/etc/nsswitch.conf",
	"/etc/pki",
	"/etc/protocols",
	"/etc/resolv.conf",
	"/etc/sasl2",
	"/etc/services",
	"/etc/ssl",
	"/lib",
	"/lib64",
	"/run/NetworkManager",
	"/run/resolvconf",
	"/run/systemd/resolve",
	"/usr/lib",
	"/usr/lib64",
	"/usr/share/ca-certificates",
	"/usr/share/zoneinfo",
};

static const char *const kit_files[] = { "approvers.file", NULL };
static const char *const kit_kept[] = { "authority.state", NULL };

struct list {
	struct sandbox_path *rows; /* owned, with their paths */
	size_t count;
};

static void list_clear(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free((char *)(uintptr_t)list->rows[i].path);
	free(list->rows);
}

/* path: owned by the call. */
static void add(struct list *list, char *path, bool write)
{
	list->rows = mem_grow(list->rows, list->count + 1, sizeof(*list->rows));
	list->rows[list->count++] = (struct sandbox_path){ path, write };
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_str(".");
	return slash == path ? mem_str("/")
			     : mem_format("%.*s", (int)(slash - path), path);
}

static void add_members(struct list *list, const json_t *config,
			const char *const *names, bool write)
{
	for (; names && *names; names++) {
		const char *path = server_member(config, *names);

		if (!path)
			continue;
		add(list, folder_of(path), write);
		/* It may be a link to elsewhere. */
		add(list, mem_str(path), write);
	}
}

static void add_all(struct list *list, const struct server *server)
{
	const struct connector_info *info = server->ops->info;

	add_members(list, server->config, kit_files, false);
	add_members(list, server->config, kit_kept, true);
	add_members(list, server->config, info->files, false);
	add_members(list, server->config, info->kept, true);
	for (size_t i = 0; info->connects && i < ARRAY_LEN(system_files); i++)
		add(list, mem_str(system_files[i]), false);
}

int shut_in(struct server *server)
{
	CLEANUP(list_clear) struct list list = { 0 };
	struct sandbox sandbox = { .mode = SANDBOX_ON, .files = FILES_MAX };
	struct sandbox_state state;

	add_all(&list, server);
	discard(sandbox_mode_parse(json_text(server->config, "sandbox", "on"),
				   &sandbox.mode));
	sandbox.profile =
		server->ops->info->connects ? SANDBOX_CLIENT : SANDBOX_CLOSED;
	sandbox.paths = list.rows;
	sandbox.path_count = list.count;
	TRY(sandbox_enter(&sandbox, &state));
	server->sandbox = sandbox_report(&state);
	if (state.why[0])
		log_warning("sandbox", "why=\"%s\"", state.why);
	return 0;
}
