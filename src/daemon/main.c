/*
 * writd: starts the parts in their order, runs the loop, stops them in the
 * other order.
 */
#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "config/bundle.h"
#include "config/config.h"
#include "daemon/prepare.h"
#include "evidence/keeper.h"
#include "net/transfer.h"

enum {
	EXIT_CONFIG = 2,
	DRAIN_MAX_MS = 10 * 1000,
};

struct daemon {
	struct config config;
	struct flow_connector *connectors; /* of config, as flow takes them */
	struct loop *loop;
	struct reach *reach;
	struct transfers *transfers;
	struct evidence_keeper *keeper;
	struct witness_policy *witnesses; /* NULL for none */
	struct evidence *evidence;
	struct flow *flow;
	struct api *api;
	struct http_server *http;
	struct sandbox_state sandbox;
	int signals;
	struct loop_watch *signal_watch;
	struct loop_timer *deadline;
	int status;
	bool stopping;
};

/* ---- stopping ---- */

static void stop_loop(void *cookie)
{
	struct daemon *d = cookie;

	loop_stop(d->loop);
}

static void stop_in_any_case(void *cookie)
{
	struct daemon *d = cookie;

	d->deadline = NULL;
	log_warning("stopping", "why=\"not everything ended in time\"");
	loop_stop(d->loop);
}

static void http_drained(void *cookie)
{
	struct daemon *d = cookie;

	flow_drain(d->flow, stop_loop, d);
}

static void stop(struct daemon *d, const char *why)
{
	if (d->stopping)
		return;
	d->stopping = true;
	log_info("stopping", "why=\"%s\"", why);
	if (!d->http) {
		loop_stop(d->loop);
		return;
	}
	d->deadline = loop_timer(d->loop, DRAIN_MAX_MS, stop_in_any_case, d);
	http_drain(d->http, http_drained, d);
}

static void on_signal(void *cookie, uint32_t events)
{
	struct daemon *d = cookie;
	struct signalfd_siginfo info;

	discard(events);
	while (read(d->signals, &info, sizeof(info)) == sizeof(info))
		stop(d, "asked to");
}

static void keeper_lost(void *cookie, const char *why)
{
	struct daemon *d = cookie;

	log_error("keeper-lost", "why=\"%s\"", why);
	d->status = EXIT_FAILURE;
	stop(d, "the keeper is gone");
}

static void degraded(void *cookie, bool on, const char *why)
{
	struct daemon *d = cookie;

	log_warning(on ? "degraded" : "restored", "why=\"%s\"", why);
	if (d->flow)
		flow_degraded(d->flow, on, why);
}

/* ---- starting ---- */

static int watch_signals(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_sys("signals");
	signal(SIGPIPE, SIG_IGN);
	d->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (d->signals < 0)
		return error_sys("signals");
	return loop_watch(d->loop, d->signals, EPOLLIN, on_signal, d,
			  &d->signal_watch);
}

static int start_transfers(struct daemon *d)
{
	struct transfers_config config;

	TRY(reach_new(d->config.reach, &d->reach));
	config = (struct transfers_config){ d->loop, d->reach, d->config.ca };
	return transfers_open(&config, &d->transfers);
}

static int start_keeper(struct daemon *d)
{
	struct keeper_config config = {
		.loop = d->loop,
		.command = (const char *const *)d->config.keeper_command,
		.socket = d->config.keeper_socket,
		.lost = keeper_lost,
		.cookie = d,
	};

	return keeper_open(&config, &d->keeper);
}

static int start_evidence(struct daemon *d)
{
	struct evidence_config config = {
		.folder = d->config.data,
		.origin = d->config.origin,
		.loop = d->loop,
		.keeper = d->keeper,
		.transfers = d->transfers,
		.degraded = degraded,
		.cookie = d,
	};

	if (d->config.witnesses)
		TRY(witness_policy_load(d->config.witnesses, &d->witnesses));
	config.witnesses = d->witnesses;
	return evidence_open(&config, &d->evidence);
}

/* The folder of a bundle as the spec of a PolicyBundle. */
static int read_spec(const char *folder, json_t **ret_spec)
{
	json_t *scenarios = NULL;

	TRY(bundle_read(folder, ret_spec, &scenarios));
	json_set_new(*ret_spec, "scenarios", scenarios);
	return 0;
}

static int read_bootstrap(const struct config *c, json_t **ret)
{
	CLEANUP(mem_free_p)
	char *path = mem_format("%s/bootstrap.json", c->data);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(64 * 1024);

	*ret = NULL;
	if (!file_exists(path))
		return 0;
	TRY(file_read(path, &b));
	return json_parse(buf_slice(&b), 64 * 1024, ret);
}

static void take_connectors(struct daemon *d)
{
	d->connectors = mem_array(d->config.connector_count + 1,
				  sizeof(*d->connectors));
	for (size_t i = 0; i < d->config.connector_count; i++) {
		const struct config_connector *c = &d->config.connectors[i];

		d->connectors[i] = (struct flow_connector){
			.target = c->target,
			.command = (const char *const *)c->command,
			.timeout_ms = c->timeout_ms,
			.read_command = (const char *const *)c->read_command,
		};
	}
}

static int start_flow(struct daemon *d)
{
	CLEANUP(json_put_p) json_t *bootstrap = NULL;
	CLEANUP(json_put_p) json_t *bundle = NULL;
	struct flow_config config;

	if (evidence_durable_size(d->evidence) == 0) {
		TRY(read_bootstrap(&d->config, &bootstrap));
		if (d->config.policy)
			TRY(read_spec(d->config.policy, &bundle));
	}
	take_connectors(d);
	config = (struct flow_config){
		.loop = d->loop,
		.evidence = d->evidence,
		.keeper = d->keeper,
		.origin = d->config.origin,
		.audience = d->config.audience,
		.issuer = d->config.issuer,
		.connectors = d->connectors,
		.connector_count = d->config.connector_count,
		.bootstrap = bootstrap,
		.policy_bundle = bundle,
		.limits = { d->config.limits.open_tasks,
			    d->config.limits.open_requests,
			    d->config.limits.requests_per_minute,
			    d->config.limits.record_bytes,
			    d->config.limits.secret_seconds },
		.transfers = d->transfers,
		.notify = d->config.notify,
		.lookups = d->config.lookups,
		.folder = d->config.data,
	};
	return flow_open(&config, &d->flow);
}

/* What health tells: ours, and with "keeper" what that one says; owned. */
static json_t *sandbox_of_all(const struct daemon *d)
{
	json_t *report = sandbox_report(&d->sandbox);
	json_t *keeper = json_deep_copy(keeper_sandbox(d->keeper));

	json_set_new(report, "keeper", keeper ? keeper : json_null());
	return report;
}

static int start_http(struct daemon *d)
{
	struct api_config api = {
		.flow = d->flow,
		.evidence = d->evidence,
		.origin = d->config.origin,
		.audience = d->config.audience,
		.issuer = d->config.issuer,
		.sandbox = sandbox_of_all(d),
	};
	struct http_config http = {
		.loop = d->loop,
		.address = d->config.listen,
		.tls_cert = d->config.tls_cert,
		.tls_key = d->config.tls_key,
	};

	d->api = api_new(&api);
	http.cookie = d->api;
	http.routes = api_routes(&http.route_count);
	TRY(http_open(&http, &d->http));
	log_info("listening", "address=%s port=%u", d->config.listen,
		 http_port(d->http));
	return 0;
}

/* The folder of a Unix socket that is listened on, or NULL; owned. */
static char *folder_of_socket(const char *listen)
{
	const char *slash = strrchr(listen, '/');

	if (strncmp(listen, "unix:", 5) != 0)
		return NULL;
	if (!slash)
		return mem_str(".");
	return mem_format("%.*s", (int)(slash + 1 - (listen + 5)), listen + 5);
}

/* Before there are threads or children, for both inherit it.  Where they may
 * write is limited only if the configuration says which folders they need. */
static int enter_sandbox(struct daemon *d)
{
	const struct config *c = &d->config;
	CLEANUP(mem_free_p) char *socket = folder_of_socket(c->listen);
	CLEANUP(mem_free_p) struct sandbox_path *paths = NULL;
	struct sandbox sandbox = { .mode = c->sandbox,
				   .profile = SANDBOX_HOST,
				   .any_path = !c->writable };
	size_t count = 0;

	while (c->writable && c->writable[count])
		count++;
	paths = mem_array(count + 3, sizeof(*paths));
	for (size_t i = 0; i < count; i++)
		paths[i] = (struct sandbox_path){ c->writable[i], true };
	paths[count++] = (struct sandbox_path){ c->data, true };
	paths[count++] = (struct sandbox_path){ "/dev/null", true };
	if (socket)
		paths[count++] = (struct sandbox_path){ socket, true };
	sandbox.paths = paths;
	sandbox.path_count = count;
	TRY(sandbox_enter(&sandbox, &d->sandbox));
	/* What the database sets aside stays where it may be written. */
	if (setenv("SQLITE_TMPDIR", c->data, 1) < 0)
		return error_sys("environment");
	if (d->sandbox.why[0])
		log_warning("sandbox", "why=\"%s\"", d->sandbox.why);
	return 0;
}

static int start(struct daemon *d)
{
	TRY(enter_sandbox(d));
	TRY(loop_open(&d->loop));
	TRY(watch_signals(d));
	TRY(start_transfers(d));
	TRY(start_keeper(d));
	TRY(start_evidence(d));
	TRY(start_flow(d));
	return start_http(d);
}

static void daemon_clear(struct daemon *d)
{
	if (d->loop)
		loop_timer_end(d->deadline);
	http_close(d->http);
	api_free(d->api);
	flow_close(d->flow);
	evidence_close(d->evidence);
	witness_policy_free(d->witnesses);
	keeper_close(d->keeper);
	transfers_close(d->transfers);
	reach_free(d->reach);
	loop_watch_end(d->signal_watch);
	fd_close_p(&d->signals);
	loop_close(d->loop);
	free(d->connectors);
	config_clear(&d->config);
}

/* ---- the command line ---- */

static const char usage[] =
	"usage: writd --config FILE [--check-config]\n"
	"       writd --version | --help\n"
	"\n"
	"  -c, --config FILE    the configuration, see writd.yaml(5)\n"
	"      --check-config   check it and say what is wrong\n";

static int tell_faults(FILE *out, const char *path, const json_t *faults)
{
	const json_t *fault;
	size_t at;

	json_array_foreach(faults, at, fault)
		fprintf(out, "%s:%s: %s\n", path, json_text(fault, "at", ""),
			json_text(fault, "detail", ""));
	return json_array_size(faults) ? EXIT_CONFIG : 0;
}

static int run(struct daemon *d)
{
	int r;

	log_open("writd", d->config.log);
	prctl(PR_SET_DUMPABLE, 0);
	r = start(d);
	if (r == 0)
		r = loop_run(d->loop);
	if (r < 0) {
		log_error("cannot-run", "code=%s why=\"%s\"", error_name(r),
			  error_message());
		d->status = EXIT_FAILURE;
	}
	return d->status;
}

static int with_config(const char *path, bool check)
{
	struct daemon d = { .signals = -1 };
	CLEANUP(json_put_p) json_t *faults = NULL;
	int status;

	if (config_load(path, &d.config, &faults) < 0) {
		fprintf(stderr, "writd: %s\n", error_message());
		return EXIT_CONFIG;
	}
	if (json_array_size(faults) == 0)
		prepare_check(&d.config, faults);
	status = tell_faults(check ? stdout : stderr, path, faults);
	if (status == 0 && check)
		printf("%s: fine\n", path);
	if (status == 0 && !check)
		status = run(&d);
	daemon_clear(&d);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *path = NULL;
	bool check = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (option == 'c') {
			path = optarg;
		} else if (option == 'k') {
			check = true;
		} else if (option == 'v') {
			printf("writd %s\n", WRIT_VERSION);
			return 0;
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : EXIT_CONFIG;
		}
	}
	if (!path || optind != argc) {
		fputs(usage, stderr);
		return EXIT_CONFIG;
	}
	return with_config(path, check);
}
