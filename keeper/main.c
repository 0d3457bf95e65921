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
#include "connect/rpc.h"
#include "keeper/requests.h"

static const char usage[] =
	"usage: writ-keeper --folder DIR [--init --origin NAME | --rotate "
	"LIST]\n"
	"  --folder DIR   where keys.json and last are\n"
	"  --init         make the folder with fresh keys, then end\n"
	"  --origin NAME  the log's name, such as authority.example/writ\n"
	"  --rotate LIST  put a fresh key into use, then end: tokens or ssh\n"
	"  --help, --version\n";

struct arguments {
	const char *folder;
	const char *origin;
	const char *rotate;
	bool init;
};

static const struct option options[] = {
	{ "folder", required_argument, NULL, 'f' },
	{ "origin", required_argument, NULL, 'o' },
	{ "init", no_argument, NULL, 'i' },
	{ "rotate", required_argument, NULL, 'r' },
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

static int serve(const char *folder)
{
	struct keeper keeper;
	int r;

	TRY(keeper_load(folder, &keeper));
	log_info("keeper-ready", "size=%llu",
		 (unsigned long long)keeper.last.head.size);
	r = rpc_serve_together(STDIN_FILENO, rpc_output_fd(), keeper_answer,
			       &keeper);
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
	return serve(arguments->folder);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
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
