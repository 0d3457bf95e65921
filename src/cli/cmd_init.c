/* writ init: the folders, keys and configuration of a new authority. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/process.h"
#include "config/bundle.h"
#include "crypto/sshsig.h"

enum { ORIGIN_MAX = 255, KEEPER_TIMEOUT_MS = 60000 };

struct plan {
	char *data;   /* absolute once made */
	char *keeper; /* the same */
	char *config;
	char *program; /* writ-keeper */
	char *key;     /* "type base64" */
	char *timezone;
	char *policy; /* folder of the first bundle, absolute; NULL if none */
	const char *origin;
	const char *admin;
	const char *listen;
};

static void plan_clear(struct plan *p)
{
	free(p->data);
	free(p->keeper);
	free(p->config);
	free(p->program);
	free(p->key);
	free(p->timezone);
	free(p->policy);
}

/* ---- before anything is made ----------------------------------------------
 */

static int check_origin(const char *origin)
{
	size_t len = strlen(origin);

	if (len == 0 || len > ORIGIN_MAX)
		return error_set(ERR_USAGE, "--origin has 1 to %d bytes",
				 ORIGIN_MAX);
	for (const char *p = origin; *p; p++)
		if (*p <= ' ' || *p == '+' || *p >= 0x7f)
			return error_set(ERR_USAGE,
					 "--origin is a name such as "
					 "authority.example/writ");
	return 0;
}

static int read_key(const char *path, char **ret_key)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(SSHSIG_KEY_MAX);
	CLEANUP(mem_free_p) char *line = NULL;
	CLEANUP(mem_free_p) char *blob = NULL;
	struct ssh_key key;
	int r;

	TRY(file_read(path, &text));
	if (strstr(buf_text(&text), "PRIVATE KEY"))
		return error_set(ERR_USAGE,
				 "%s is a private key; give the "
				 "public one (.pub)",
				 path);
	line = mem_format("%.*s", (int)strcspn(buf_text(&text), "\r\n"),
			  buf_text(&text));
	r = ssh_key_parse(line, &key);
	if (r < 0)
		return error_context(r, "%s", path);
	blob = text_base64(slice_of(key.blob, key.blob_len));
	*ret_key = mem_format("%s %s", key.type, blob);
	return 0;
}

static bool is_zone(const char *zone)
{
	int weekday;
	int hour;

	return zone && *zone &&
	       clock_local(clock_wall_ms(), zone, &weekday, &hour) == 0;
}

/* The zone of business hours: named, or this machine's. */
static int find_zone(const char *named, char **ret_zone)
{
	char link[PATH_MAX];
	ssize_t n = readlink("/etc/localtime", link, sizeof(link) - 1);
	const char *zone;

	link[n > 0 ? n : 0] = '\0';
	if (named && !is_zone(named))
		return error_set(ERR_USAGE,
				 "this machine knows no time zone "
				 "'%s'",
				 named);
	zone = named ? named : getenv("TZ");
	if (!is_zone(zone)) {
		zone = strstr(link, "/zoneinfo/");
		zone = zone ? zone + strlen("/zoneinfo/") : NULL;
	}
	*ret_zone = mem_str(is_zone(zone) ? zone : "UTC");
	return 0;
}

/* The bundle that the log begins with: the one named, else the installed one if
 * it is there. */
static int find_policy(const char *named, char **ret_policy)
{
	CLEANUP(json_put_p) json_t *files = NULL;
	const char *folder = named ? named : WRIT_POLICY_FOLDER;

	if (!named && !file_exists(folder))
		return 0;
	TRY(bundle_read(folder, &files, NULL));
	*ret_policy = realpath(folder, NULL);
	return *ret_policy ? 0 : error_sys("%s", folder);
}

static int refuse_if_there(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return error_set(ERR_REFUSED,
				 "%s is there already; nothing was changed",
				 path);
	return errno == ENOENT ? 0 : error_sys("%s", path);
}

/* A folder may be there if it is empty: rmdir of a full one fails, and an empty
 * one is made again. */
static int refuse_if_full(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_sys("%s", path);
	if (!S_ISDIR(st.st_mode) || rmdir(path) < 0)
		return error_set(ERR_REFUSED,
				 "%s is there already and is no empty folder; "
				 "nothing was changed",
				 path);
	return 0;
}

/* What path would be called without links and dots: the part of it that is
 * there resolved, the rest behind; owned. */
static char *resolve(const char *path)
{
	CLEANUP(mem_free_p) char *here = realpath(".", NULL);
	CLEANUP(mem_free_p)
	char *full =
		*path == '/' ? mem_str(path) : mem_format("%s/%s", here, path);
	CLEANUP(mem_free_p) char *head = mem_str(full);
	CLEANUP(mem_free_p) char *whole = realpath(head, NULL);

	while (!whole) {
		char *slash = strrchr(head, '/');

		if (!slash || slash == head)
			return mem_str(full);
		*slash = '\0';
		whole = realpath(head, NULL);
	}
	return mem_format("%s%s", whole, full + strlen(head));
}

static bool lies_within(const char *inner, const char *outer)
{
	size_t len = strlen(outer);

	return !strncmp(inner, outer, len) &&
	       (inner[len] == '/' || inner[len] == '\0');
}

static int check_apart(const struct plan *p)
{
	CLEANUP(mem_free_p) char *data = resolve(p->data);
	CLEANUP(mem_free_p) char *keeper = resolve(p->keeper);

	if (lies_within(keeper, data) || lies_within(data, keeper))
		return error_set(ERR_USAGE, "the keeper's folder must not lie "
					    "with the data it guards");
	return 0;
}

/* What writd would refuse is not written. */
static int check_listen(const char *listen)
{
	CLEANUP(mem_free_p) char *url = mem_format("http://%s", listen);
	const char *port = strrchr(listen, ':');
	bool has_port =
		port && port[1] && !port[1 + strspn(port + 1, "0123456789")];

	if (!strncmp(listen, "unix:", 5) ||
	    (has_port && strncmp(listen, "localhost", 9) != 0 &&
	     settings_check_url(url) == 0))
		return 0;
	return error_set(ERR_USAGE,
			 "--listen %s: without TLS writd serves only this "
			 "machine, 127.0.0.1:PORT, [::1]:PORT or unix:PATH; "
			 "begin with one of them, then set tls and listen in "
			 "the configuration",
			 listen);
}

static int read_plan(struct cli *cli, struct plan *p)
{
	const struct args *a = &cli->args;
	const char *config = args_text(a, "config", NULL);

	p->origin = args_text(a, "origin", NULL);
	p->admin = args_text(a, "admin", NULL);
	p->listen = args_text(a, "listen", "127.0.0.1:7480");
	p->data = mem_str(args_text(a, "data", NULL));
	p->keeper = mem_str(args_text(a, "keeper", NULL));
	p->config =
		config ? mem_str(config) : mem_format("%s/writd.yaml", p->data);
	TRY(check_origin(p->origin));
	TRY(check_listen(p->listen));
	if (!text_is_name(p->admin))
		return error_set(ERR_USAGE, "--admin is a name of a-z, 0-9 "
					    "and inner '-', '.', '_'");
	TRY(read_key(args_text(a, "key", NULL), &p->key));
	TRY(find_zone(args_text(a, "timezone", NULL), &p->timezone));
	TRY(find_policy(args_text(a, "policy", NULL), &p->policy));
	p->program = process_find("writ-keeper");
	if (!p->program)
		return error_set(ERR_NOT_FOUND, "writ-keeper is neither beside "
						"writ nor in PATH");
	TRY(check_apart(p));
	TRY(refuse_if_there(p->config));
	TRY(refuse_if_full(p->keeper));
	return refuse_if_full(p->data);
}

/* ---- making ----------------------------------------------------------------
 */

static int make_absolute(char **path)
{
	char *whole = realpath(*path, NULL);

	if (!whole)
		return error_sys("%s", *path);
	free(*path);
	*path = whole;
	return 0;
}

/* Writes a file that must not be there. */
static int write_new(const char *path, const char *text)
{
	CLEANUP(fd_close_p)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return error_sys("%s", path);
	while (len > 0) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys("%s", path);
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? error_sys("%s", path) : 0;
}

static int make_keeper(struct plan *p)
{
	CLEANUP(buf_clear) struct buf out = BUF_INIT(64 * 1024);
	const char *argv[] = { p->program, "--folder", p->keeper, "--init",
			       "--origin", p->origin,  NULL };
	struct process process = { argv, slice_of(NULL, 0), true,
				   KEEPER_TIMEOUT_MS };
	int status;

	TRY(process_run(&process, &out, &status));
	if (status != 0)
		return error_set(ERR_REFUSED,
				 "writ-keeper --init ended with "
				 "%d",
				 status);
	return make_absolute(&p->keeper);
}

static int write_bootstrap(const struct plan *p)
{
	CLEANUP(json_put_p) json_t *doc = json_object();
	CLEANUP(mem_free_p)
	char *path = mem_format("%s/bootstrap.json", p->data);
	CLEANUP(mem_free_p) char *text = NULL;
	CLEANUP(mem_free_p) char *lines = NULL;

	json_set_text(doc, "origin", p->origin);
	json_set_text(doc, "admin", p->admin);
	json_set_text(doc, "key", p->key);
	json_set_text(doc, "timezone", p->timezone);
	text = json_dumps(doc, JSON_INDENT(2));
	lines = mem_format("%s\n", text);
	return write_new(path, lines);
}

/* A text as a YAML double-quoted scalar; JSON's form is one. */
static char *quoted(const char *text)
{
	CLEANUP(json_put_p) json_t *value = json_string(text);

	return value ? json_dumps(value, JSON_ENCODE_ANY) : mem_str("\"\"");
}

static const char config_form[] =
	"# Configuration of writd; see writd.yaml(5).\n"
	"\n"
	"# Where the log and the state are.\n"
	"data: %s\n"
	"\n"
	"# The authority's name. It stands in every checkpoint and every\n"
	"# signed statement, and is never changed.\n"
	"origin: %s\n"
	"\n"
	"# What an agent's token must name as its audience.\n"
	"audience: %s\n"
	"\n"
	"# Address and port, or unix:/path. Without tls only this machine\n"
	"# (127.0.0.1, ::1) or a socket.\n"
	"listen: %s\n"
	"\n"
	"# tls:\n"
	"#   cert: /etc/writ/tls.crt\n"
	"#   key: /etc/writ/tls.key\n"
	"\n"
	"# The process that holds the keys: a command, or socket: /path of "
	"one\n"
	"# that runs already under a user of its own.\n"
	"keeper:\n"
	"  command: [%s, \"--folder\", %s]\n"
	"\n"
	"# The policy bundle that the log begins with; later ones are applied\n"
	"# and activated.\n"
	"%spolicy: %s\n"
	"\n"
	"# One connector a target; the target's name is that of its manifest.\n"
	"connectors: []\n"
	"#  - target: corp-directory\n"
	"#    command: [writ-connect-ldap, --config, /etc/writ/corp.yaml]\n"
	"\n"
	"# error, warning, info or debug; to standard error.\n"
	"log: info\n";

static int write_config(struct plan *p)
{
	CLEANUP(mem_free_p) char *data = quoted(p->data);
	CLEANUP(mem_free_p) char *origin = quoted(p->origin);
	CLEANUP(mem_free_p) char *listen = quoted(p->listen);
	CLEANUP(mem_free_p) char *program = quoted(p->program);
	CLEANUP(mem_free_p) char *keeper = quoted(p->keeper);
	CLEANUP(mem_free_p)
	char *policy = quoted(p->policy ? p->policy : "/path/of/the/bundle");
	CLEANUP(mem_free_p)
	char *text = mem_format(config_form, data, origin, origin, listen,
				program, keeper, p->policy ? "" : "# ", policy);

	return write_new(p->config, text);
}

/* Without a bundle the daemon has nothing to decide by. */
static void say_policy(struct cli *cli, const struct plan *p)
{
	if (p->policy)
		return;
	fprintf(cli->err,
		"writ: no policy bundle was found; set policy in %s before "
		"the first start\n",
		p->config);
}

static void say_done(struct cli *cli, const struct plan *p)
{
	if (cli->json) {
		CLEANUP(json_put_p) json_t *made = json_object();

		json_set_text(made, "data", p->data);
		json_set_text(made, "keeper", p->keeper);
		json_set_text(made, "config", p->config);
		json_set_text(made, "origin", p->origin);
		json_set_text(made, "admin", p->admin);
		output_json(cli->out, made);
		return;
	}
	fprintf(cli->out,
		"Made %s (data), %s (keys) and %s.\n"
		"Keep a copy of the keys away from this machine.\n\n"
		"Next:\n"
		"  writd --config %s\n"
		"  writ doctor --config %s\n"
		"  writ login --human %s --key YOUR-KEY --url ...\n",
		p->data, p->keeper, p->config, p->config, p->config, p->admin);
}

int cmd_init(struct cli *cli)
{
	CLEANUP(plan_clear) struct plan p = { 0 };

	TRY(read_plan(cli, &p));
	TRY(make_keeper(&p));
	TRY(file_make_folder(p.data));
	TRY(make_absolute(&p.data));
	TRY(write_bootstrap(&p));
	TRY(write_config(&p));
	TRY(make_absolute(&p.config));
	say_done(cli, &p);
	say_policy(cli, &p);
	return CLI_OK;
}
