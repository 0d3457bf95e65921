/*
 * writ-keeper: holds the authority's keys, signs checkpoints that follow the
 * last one it signed, and wraps data keys.  It speaks frames on standard input
 * and output and nothing else.
 */
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "connect/rpc.h"
#include "keeper/requests.h"

static const char usage[] =
	"usage: writ-keeper --folder DIR [--init --origin NAME | --rotate "
	"LIST]\n"
	"                   [--sandbox MODE]\n"
	"  --folder DIR   where keys.json and last are\n"
	"  --init         make the folder with fresh keys, then end\n"
	"  --origin NAME  the log's name, such as authority.example/writ\n"
	"  --rotate LIST  put a fresh key into use, then end: tokens or ssh\n"
	"  --sandbox MODE on (the default), off, or required: end where not "
	"all of it\n"
	"                 can be\n"
	"  --help, --version\n";

enum { FILES_MAX = 64 }; /* descriptors at a time */

struct arguments {
	const char *folder;
	const char *origin;
	const char *rotate;
	bool init;
	enum sandbox_mode sandbox;
};

static const struct option options[] = {
	{ "folder", required_argument, NULL, 'f' },
	{ "origin", required_argument, NULL, 'o' },
	{ "init", no_argument, NULL, 'i' },
	{ "rotate", required_argument, NULL, 'r' },
	{ "sandbox", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

/* Fills arguments; ends the process for --help, --version and mistakes. */
static void read_arguments(int argc, char **argv, struct arguments *arguments)
{
	int option;

	for (;;) {
		option = getopt_long(argc, argv, "", options, NULL);
		if (option < 0)
			break;
		switch (option) {
		case 'f':
			arguments->folder = optarg;
			break;
		case 'o':
			arguments->origin = optarg;
			break;
		case 'i':
			arguments->init = true;
			break;
		case 'r':
			arguments->rotate = optarg;
			break;
		case 's':
			if (!sandbox_mode_parse(optarg, &arguments->sandbox))
				exit(2);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'v':
			puts("writ-keeper " WRIT_VERSION);
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind == argc && arguments->folder &&
	    arguments->init == (arguments->origin != NULL) &&
	    !(arguments->init && arguments->rotate))
		return;
	fputs(usage, stderr);
	exit(2);
}

/* No core file, no tracer, no swap where that is allowed, no new rights. */
static void close_down(void)
{
	struct rlimit none = { 0, 0 };

	umask(077);
	discard(setrlimit(RLIMIT_CORE, &none));
	discard(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	discard(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	discard(mlockall(MCL_CURRENT));
	signal(SIGPIPE, SIG_IGN);
}

/* All is open that it needs: shuts everything but its own folder. */
static int shut(const struct arguments *arguments, struct keeper *keeper)
{
	const struct sandbox_path own = { arguments->folder, true };
	const struct sandbox sandbox = {
		.mode = arguments->sandbox,
		.profile = SANDBOX_CLOSED,
		.paths = &own,
		.path_count = 1,
		.files = FILES_MAX,
	};
	struct sandbox_state state;

	TRY(sandbox_enter(&sandbox, &state));
	keeper->sandbox = sandbox_report(&state);
	if (state.why[0])
		log_warning("sandbox", "why=\"%s\"", state.why);
	return 0;
}

static int serve(const struct arguments *arguments)
{
	struct keeper keeper;
	int r;

	TRY(keeper_load(arguments->folder, &keeper));
	r = shut(arguments, &keeper);
	if (r == 0) {
		log_info("keeper-ready", "size=%llu",
			 (unsigned long long)keeper.last.head.size);
		r = rpc_serve_together(STDIN_FILENO, rpc_output_fd(),
				       keeper_answer, &keeper);
	}
	keeper_clear(&keeper);
	/* Nothing is left to hide. */
	discard(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	return r;
}

static int act(const struct arguments *arguments)
{
	if (arguments->init)
		return keeper_init(arguments->folder, arguments->origin);
	if (arguments->rotate)
		return keeper_rotate(arguments->folder, arguments->rotate);
	return serve(arguments);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .sandbox = SANDBOX_ON };
	CLEANUP(mem_free_p) char *why = NULL;
	int r;

	log_open("writ-keeper", LOG_LEVEL_INFO);
	read_arguments(argc, argv, &arguments);
	close_down();
	keys_wipe_json();
	r = act(&arguments);
	if (r == 0)
		return 0;
	why = log_quote(error_message());
	log_error("keeper-ended", "why=%s", why);
	return 1;
}
