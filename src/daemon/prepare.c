#include "daemon/prepare.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "config/bundle.h"
#include "evidence/witness_policy.h"
#include "flow/flow.h"
#include "http/server.h"
#include "net/transfer.h"
#include "notify/notify.h"

static void fault(json_t *faults, const char *at, const char *detail)
{
	json_t *row = json_object();

	json_set_text(row, "at", at);
	json_set_text(row, "detail", detail);
	json_array_append_new(faults, row);
}

/* Notes the last error if r is one. */
static void take(json_t *faults, const char *at, int r)
{
	if (r < 0)
		fault(faults, at, error_message());
}

/* ---- what is listened on ---- */

static void check_listen(const struct config *c, json_t *faults)
{
	const struct http_config http = {
		.address = c->listen,
		.tls_cert = c->tls_cert,
		.tls_key = c->tls_key,
	};
	struct http_config plain = http;

	plain.tls_cert = NULL;
	if (!c->tls_cert)
		take(faults, "listen", http_check(&plain));
	else
		take(faults, "tls", http_check(&http));
}

/* ---- programs ---- */

static int check_program(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return error_sys("'%s' cannot be run", path);
	if (!S_ISREG(status.st_mode))
		return error_set(ERR_REFUSED, "'%s' is no program", path);
	if (access(path, X_OK) < 0)
		return error_sys("'%s' cannot be run", path);
	return 0;
}

static void check_programs(const struct config *c, json_t *faults)
{
	if (c->keeper_command)
		take(faults, "keeper.command",
		     check_program(c->keeper_command[0]));
	for (size_t i = 0; i < c->connector_count; i++) {
		const struct config_connector *one = &c->connectors[i];
		CLEANUP(mem_free_p)
		char *at = mem_format("connectors[%zu].command", i);
		CLEANUP(mem_free_p)
		char *read = mem_format("connectors[%zu].readCommand", i);

		take(faults, at, check_program(one->command[0]));
		if (one->read_command)
			take(faults, read, check_program(one->read_command[0]));
	}
}

/* ---- data ---- */

static int check_folder(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return error_sys("folder '%s'", path);
	if (!S_ISDIR(status.st_mode))
		return error_set(ERR_REFUSED, "'%s' is no folder", path);
	if (access(path, R_OK | W_OK | X_OK) < 0)
		return error_sys("folder '%s'", path);
	return 0;
}

/* What only the first start reads. */
static void check_first(const struct config *c, json_t *faults)
{
	CLEANUP(mem_free_p)
	char *bootstrap = mem_format("%s/bootstrap.json", c->data);
	CLEANUP(json_put_p) json_t *spec = NULL;
	CLEANUP(json_put_p) json_t *scenarios = NULL;

	if (!file_exists(bootstrap))
		fault(faults, "data",
		      "there is neither a log (state.db) nor bootstrap.json to "
		      "begin one: make a new authority with `writ init`, or "
		      "restore the data of the one that was here");
	if (!c->policy)
		fault(faults, "policy",
		      "it is not set, and a new log begins with a policy "
		      "bundle: set it to the folder of one");
	else
		take(faults, "policy",
		     bundle_read(c->policy, &spec, &scenarios));
}

static void check_data(const struct config *c, json_t *faults)
{
	CLEANUP(mem_free_p) char *log = mem_format("%s/state.db", c->data);
	int r = check_folder(c->data);

	take(faults, "data", r);
	if (r < 0)
		return;
	if (file_exists(log))
		take(faults, "data", file_test_private(log));
	else
		check_first(c, faults);
}

/* ---- what goes out ---- */

static void check_outgoing(const struct config *c, json_t *faults)
{
	CLEANUP(reach_free_p) struct reach *reach = NULL;

	if (c->ca)
		take(faults, "outgoing.ca", transfer_check_ca(c->ca));
	take(faults, "lookups", flow_check_lookups(c->lookups));
	if (reach_new(c->reach, &reach) < 0) {
		take(faults, "outgoing.allow", ERR_SYNTAX);
		return;
	}
	if (c->notify)
		take(faults, "notify", notify_check(c->notify, reach));
}

static void check_witnesses(const struct config *c, json_t *faults)
{
	CLEANUP(witness_policy_free_p) struct witness_policy *policy = NULL;

	if (c->witnesses)
		take(faults, "witnesses",
		     witness_policy_load(c->witnesses, &policy));
}

void prepare_check(const struct config *c, json_t *faults)
{
	check_data(c, faults);
	check_listen(c, faults);
	check_programs(c, faults);
	check_outgoing(c, faults);
	check_witnesses(c, faults);
}
