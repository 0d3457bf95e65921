#include "connectors/sdk/connector.h"

#include <assert.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/yaml.h"
#include "connect/protocol.h"
#include "connect/rpc.h"
#include "connectors/sdk/server.h"
#include "connectors/sdk/shut.h"

/* Makes words fit for a JSON text of one line, whatever a target said. */
static void clean(char *text)
{
	bool utf8 = text_is_utf8(slice_str(text));

	for (char *at = text; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (c < 0x20 || c == 0x7f)
			*at = ' ';
		else if (!utf8 && c >= 0x80)
			*at = '?';
	}
}

int connector_refuse(struct connector_reply *reply, const char *reason,
		     const char *format, ...)
{
	va_list args;

	assert(format);
	snprintf(reply->reason, sizeof(reply->reason), "%s", reason);
	va_start(args, format);
	vsnprintf(reply->detail, sizeof(reply->detail), format, args);
	va_end(args);
	clean(reply->detail);
	return 0;
}

json_t *connector_applied(json_t *observed, const char *version)
{
	json_t *result = json_object();

	json_set_text(result, "result", "applied");
	json_set_new(result, "observed", observed);
	json_set_text(result, "targetVersion", version);
	return result;
}

json_t *connector_no_change(void)
{
	json_t *result = json_object();

	json_set_text(result, "result", "no-change");
	return result;
}

/* ---- the program ---- */

enum mode { MODE_NONE, MODE_SERVE, MODE_CHECK };

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", required_argument, NULL, 'k' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

static void print_rows(const struct schema *rows, const char *indent)
{
	for (; rows->name; rows++) {
		printf("%s%-16s %s%s\n", indent, rows->name,
		       rows->help ? rows->help : "",
		       rows->required ? " (required)" : "");
		if (rows->type == SCHEMA_ENUM)
			printf("%s%-16s %s\n", indent, "", rows->choices);
		if (rows->type == SCHEMA_OBJECT)
			print_rows(rows->rows, "    ");
	}
}

static void print_usage(const struct connector_info *info, FILE *out)
{
	fprintf(out,
		"usage: writ-connect-%s --config FILE | --check FILE\n"
		"  --config FILE  serve standard input and output\n"
		"  --check FILE   only check the configuration\n"
		"  --help, --version\n",
		info->kind);
}

static void print_help(const struct connector_info *info)
{
	print_usage(info, stdout);
	puts("configuration (YAML):");
	print_rows(server_common_rows(), "  ");
	print_rows(info->config, "  ");
}

/* Reads the arguments; ends the process for --help, --version, mistakes. */
static enum mode read_arguments(int argc, char **argv,
				const struct connector_info *info,
				const char **ret_path)
{
	enum mode mode = MODE_NONE;
	int option;

	for (;;) {
		option = getopt_long(argc, argv, "", options, NULL);
		if (option < 0)
			break;
		switch (option) {
		case 'c':
		case 'k':
			mode = option == 'c' ? MODE_SERVE : MODE_CHECK;
			*ret_path = optarg;
			break;
		case 'h':
			print_help(info);
			exit(0);
		case 'v':
			printf("writ-connect-%s %s\n", info->kind,
			       info->version);
			exit(0);
		default:
			exit(2);
		}
	}
	if (mode != MODE_NONE && optind == argc)
		return mode;
	print_usage(info, stderr);
	exit(2);
}

/* No core file, no tracer, no new rights: it holds a target's credential. */
static void close_down(void)
{
	struct rlimit none = { 0, 0 };

	umask(077);
	discard(setrlimit(RLIMIT_CORE, &none));
	discard(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	discard(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	signal(SIGPIPE, SIG_IGN);
}

static int open_server(const struct connector_ops *ops, const char *path,
		       struct server *server)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(YAML_SIZE_MAX);
	char build[DIGEST_TEXT_LEN];
	int r;

	*server = (struct server){ .ops = ops };
	TRY(connect_build_of("/proc/self/exe", build));
	TRY(file_read(path, &text));
	r = server_open(ops, buf_slice(&text), build, server);
	return r < 0 ? error_context(r, "'%s'", path) : 0;
}

/* What is read later may still come; a file that is written is made. */
static void warn_of_missing(const struct server *server)
{
	const char *const *name = server->ops->info->files;

	for (; name && *name; name++) {
		const char *path = server_member(server->config, *name);
		CLEANUP(mem_free_p) char *quoted = log_quote(path);

		if (path && !file_exists(path))
			log_warning("file-missing", "member=%s path=%s", *name,
				    quoted);
	}
}

static int run(const struct connector_ops *ops, enum mode mode,
	       const char *path)
{
	CLEANUP(server_close) struct server server;

	TRY(open_server(ops, path, &server));
	if (mode == MODE_CHECK) {
		warn_of_missing(&server);
		return 0;
	}
	TRY(shut_in(&server));
	log_info("connector-ready", "target=%s", server.rules.target);
	return rpc_serve_together(STDIN_FILENO, rpc_output_fd(), server_answer,
				  &server);
}

int connector_main(int argc, char **argv, const struct connector_ops *ops)
{
	CLEANUP(mem_free_p)
	char *name = mem_format("writ-connect-%s", ops->info->kind);
	CLEANUP(mem_free_p) char *why = NULL;
	const char *path = NULL;
	enum mode mode;
	int r;

	log_open(name, LOG_LEVEL_INFO);
	mode = read_arguments(argc, argv, ops->info, &path);
	close_down();
	r = run(ops, mode, path);
	discard(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	if (r == 0)
		return 0;
	why = log_quote(error_message());
	log_error("connector-ended", "why=%s", why);
	return 1;
}
