#include "connectors/sdk/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/yaml.h"

enum {
	PATH_BYTES_MAX = 4096,
	RESOURCE_MAX = 8 * 1024,
	ALWAYS_MAX = 1024,
	TIER_MAX = 100,
	NEEDED_MAX = 16,
};

/* ---- the configuration ---- */

#define END                                                                    \
	{                                                                      \
		NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL                \
	}

static const struct schema authority_rows[] = {
	{ "vkey", SCHEMA_TEXT, true, 1, NOTE_VKEY_MAX - 1, NULL, NULL,
	  "the log's verifier key" },
	{ "state", SCHEMA_TEXT, true, 1, PATH_BYTES_MAX, NULL, NULL,
	  "file that remembers which orders have served" },
	END,
};

static const struct schema resource_row[] = {
	{ "resource", SCHEMA_TEXT, true, 1, RESOURCE_MAX, NULL, NULL, NULL },
	END,
};

static const struct schema approvers_rows[] = {
	{ "fromTier", SCHEMA_INT, true, 0, TIER_MAX, NULL, NULL,
	  "orders of this tier or higher need signatures" },
	{ "needed", SCHEMA_INT, true, 1, NEEDED_MAX, NULL, NULL,
	  "how many different humans" },
	{ "file", SCHEMA_TEXT, true, 1, PATH_BYTES_MAX, NULL, NULL,
	  "lines \"human ssh-ed25519 AAAA...\"" },
	{ "always", SCHEMA_LIST, false, 0, ALWAYS_MAX, NULL, resource_row,
	  "resources that need signatures whatever tier an order claims" },
	END,
};

static const struct schema any_row[] = {
	{ "value", SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
	END,
};

static const struct schema drill_rows[] = {
	{ "resource", SCHEMA_TEXT, true, 1, RESOURCE_MAX, NULL, NULL,
	  "the only resource a drill may touch, as plan names it" },
	{ "parameters", SCHEMA_MAP, true, 0, 64, NULL, any_row,
	  "its only parameters" },
	END,
};

static const struct schema action_drill_rows[] = {
	{ "action", SCHEMA_TEXT, true, 1, 64, NULL, NULL,
	  "what is tried; its inverse takes it back" },
	{ "resource", SCHEMA_TEXT, true, 1, RESOURCE_MAX, NULL, NULL,
	  "the resource, as plan names it" },
	{ "parameters", SCHEMA_MAP, true, 0, 64, NULL, any_row,
	  "its only parameters" },
	END,
};

static const struct schema action_drill_row[] = {
	{ "drill", SCHEMA_OBJECT, true, 0, 0, NULL, action_drill_rows, NULL },
	END,
};

static const struct schema common_rows[] = {
	{ "target", SCHEMA_NAME, true, 0, 0, NULL, NULL,
	  "the target's name in the inventory" },
	{ "authority", SCHEMA_OBJECT, false, 0, 0, NULL, authority_rows,
	  "whose orders are carried out; none without it" },
	{ "approvers", SCHEMA_OBJECT, false, 0, 0, NULL, approvers_rows,
	  "whose signatures orders need" },
	{ "drill", SCHEMA_OBJECT, false, 0, 0, NULL, drill_rows,
	  "what may be tried and undone" },
	{ "drills", SCHEMA_LIST, false, 0, 16, NULL, action_drill_row,
	  "the same for further actions" },
	{ "sandbox", SCHEMA_ENUM, false, 0, 0, "off|on|required", NULL,
	  "shut away all calls and files that it does not need (on); required: "
	  "end where not all of it can be" },
	END,
};

static const struct schema verify_row = {
	"verifyOrders",
	SCHEMA_FLAG,
	false,
	0,
	0,
	NULL,
	NULL,
	"false: carry out orders unverified, for measuring"
};

const struct schema *server_common_rows(void)
{
	return common_rows;
}

static size_t count_rows(const struct schema *rows)
{
	size_t count = 0;

	while (rows[count].name)
		count++;
	return count;
}

/* The common rows and the kind's own in one table; owned. */
static struct schema *join_rows(const struct connector_info *info)
{
	size_t own = count_rows(info->config);
	size_t common = count_rows(common_rows);
	struct schema *rows = mem_array(common + own + 2, sizeof(*rows));

	memcpy(rows, common_rows, common * sizeof(*rows));
	memcpy(rows + common, info->config, own * sizeof(*rows));
	if (info->may_skip_orders)
		rows[common + own] = verify_row;
	return rows;
}

/* What changes nothing has no way back to try. */
static int check_drills(const struct connector_info *info, const json_t *config,
			const struct yaml_places *places)
{
	static const char *const names[] = { "drill", "drills" };
	int line = 1;
	int column = 1;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (info->actions->action || !json_object_get(config, names[i]))
			continue;
		discard(yaml_place(places, config, names[i], &line, &column));
		return error_set(ERR_SYNTAX,
				 "%d:%d: %s: there is nothing to drill: a "
				 "connector of kind '%s' changes nothing",
				 line, column, names[i], info->kind);
	}
	return 0;
}

/* The first fault is the error; the others are told before it. */
static int take_faults(const json_t *faults)
{
	const json_t *first = json_array_get(faults, 0);
	const json_t *fault;
	size_t i;

	if (!first)
		return 0;
	json_array_foreach(faults, i, fault) {
		CLEANUP(mem_free_p)
		char *what = mem_format("%s: %s", json_text(fault, "at", "?"),
					json_text(fault, "detail", "?"));
		CLEANUP(mem_free_p) char *quoted = log_quote(what);

		if (fault != first)
			log_error("config-fault", "why=%s", quoted);
	}
	return error_set(ERR_SYNTAX, "%s: %s", json_text(first, "at", "?"),
			 json_text(first, "detail", "?"));
}

static int read_config(const struct connector_info *info, struct slice text,
		       json_t **ret_config)
{
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(mem_free_p) struct schema *rows = join_rows(info);

	TRY(yaml_parse(text, &documents, &places));
	if (json_array_size(documents) != 1)
		return error_set(ERR_SYNTAX, "it must be one document");
	schema_check(rows, json_array_get(documents, 0), places, &faults);
	TRY(take_faults(faults));
	TRY(check_drills(info, json_array_get(documents, 0), places));
	*ret_config = json_incref(json_array_get(documents, 0));
	return 0;
}

static int open_authority(struct server *server)
{
	const json_t *rows = json_object_in(server->config, "authority");

	if (!rows)
		return 0;
	TRY(note_vkey_parse(json_text(rows, "vkey", ""), &server->vkey));
	TRY(seen_open(json_text(rows, "state", ""),
		      clock_wall_ms() - ORDER_LEEWAY_MS, &server->seen));
	server->rules.vkey = &server->vkey;
	server->rules.head = &server->head;
	server->rules.seen = server->seen;
	return 0;
}

/* Puts the resources that always need signatures in normal form. */
static int take_always(struct server *server, const json_t *names)
{
	server->always = json_array();
	for (size_t i = 0; i < json_array_size(names); i++) {
		CLEANUP(buf_clear) struct buf normal = BUF_INIT(64 * 1024);
		const char *name = json_string_value(json_array_get(names, i));

		if (server->ops->normalise)
			TRY(server->ops->normalise(server->self, name,
						   &normal));
		else
			buf_put_str(&normal, name);
		json_array_append_new(server->always,
				      json_string(buf_text(&normal)));
	}
	server->rules.always = server->always;
	return 0;
}

static int open_approvers(struct server *server)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(APPROVERS_FILE_MAX);
	const json_t *rows = json_object_in(server->config, "approvers");
	const char *path = json_text(rows, "file", "");
	int r;

	if (!rows)
		return 0;
	r = file_read(path, &text);
	if (r == 0)
		r = approvers_parse(buf_slice(&text), &server->approvers);
	if (r < 0)
		return error_context(r, "approvers '%s'", path);
	server->rules.approvers = server->approvers;
	server->rules.from_tier = json_int(rows, "fromTier", 0);
	server->rules.needed = (size_t)json_int(rows, "needed", 1);
	return take_always(server, json_array_in(rows, "always"));
}

const char *server_member(const json_t *config, const char *name)
{
	const char *dot = strchr(name, '.');
	CLEANUP(mem_free_p) char *outer = NULL;

	if (!dot)
		return json_text(config, name, NULL);
	outer = mem_format("%.*s", (int)(dot - name), name);
	return json_text(json_object_in(config, outer), dot + 1, NULL);
}

static int check_secrets(const struct connector_info *info,
			 const json_t *config)
{
	const char *const *name = info->secrets;

	for (; name && *name; name++) {
		const char *path = server_member(config, *name);
		int r = path ? file_test_private(path) : 0;

		if (r < 0)
			return error_context(r, "%s", *name);
	}
	return 0;
}

int server_open(const struct connector_ops *ops, struct slice config,
		const char *build, struct server *ret_server)
{
	struct server *server = ret_server;

	*server = (struct server){ .ops = ops };
	TRY(read_config(ops->info, config, &server->config));
	snprintf(server->build, sizeof(server->build), "%s", build);
	TRY(ops->open(server->config, &server->self));
	TRY(check_secrets(ops->info, server->config));
	server->trusts = ops->info->may_skip_orders &&
			 !json_flag(server->config, "verifyOrders", true);
	server->rules.ops = ops;
	server->rules.self = server->self;
	server->rules.target = json_text(server->config, "target", "");
	server->rules.build = server->build;
	server->rules.drill = json_object_in(server->config, "drill");
	server->rules.drills = json_array_in(server->config, "drills");
	TRY(open_authority(server));
	return open_approvers(server);
}

void server_close(struct server *server)
{
	if (server->self)
		server->ops->close(server->self);
	seen_close(server->seen);
	order_head_clear(&server->head);
	approvers_free(server->approvers);
	json_decref(server->always);
	json_decref(server->sandbox);
	json_decref(server->config);
	*server = (struct server){ .ops = server->ops };
}

/* ---- the methods ---- */

static const struct schema no_rows[] = { END };

/* clang-format off */
#define ASK_ROWS                                                               \
	{ "action", SCHEMA_TEXT, true, 1, 64, NULL, NULL, NULL },              \
	{ "resource", SCHEMA_TEXT, true, 1, RESOURCE_MAX, NULL, NULL, NULL },  \
	{ "parameters", SCHEMA_MAP, true, 0, 64, NULL, any_row, NULL }
/* clang-format on */

static const struct schema read_rows[] = { ASK_ROWS, END };

static const struct schema plan_rows[] = {
	ASK_ROWS,
	{ "brief", SCHEMA_FLAG, false, 0, 0, NULL, NULL, NULL },
	END,
};

static const struct schema discover_rows[] = {
	{ "cursor", SCHEMA_TEXT, false, 1, RESOURCE_MAX, NULL, NULL, NULL },
	{ "limit", SCHEMA_INT, false, 1, CONNECTOR_SURVEY_MAX, NULL, NULL,
	  NULL },
	END,
};

static const struct schema account_rows[] = {
	{ "account", SCHEMA_TEXT, true, 1, RESOURCE_MAX, NULL, NULL, NULL },
	END,
};

static const struct schema activity_rows[] = {
	{ "account", SCHEMA_TEXT, true, 1, RESOURCE_MAX, NULL, NULL, NULL },
	{ "since", SCHEMA_TIME, true, 0, 0, NULL, NULL, NULL },
	{ "limit", SCHEMA_INT, false, 1, CONNECTOR_SURVEY_MAX, NULL, NULL,
	  NULL },
	END,
};

/* The order's own shape is order.c's: a bad one is refused, no error. */
static const struct schema apply_rows[] = {
	{ "order", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	END,
};

static json_t *describe_actions(const struct connector_info *info)
{
	json_t *actions = json_array();

	for (const struct connector_action *a = info->actions; a->action; a++) {
		json_t *row = json_object();

		json_set_text(row, "action", a->action);
		json_set_text(row, "wire", a->wire);
		json_set_text(row, "resourceType", a->resource_type);
		json_set_text(row, "inverse", a->inverse);
		json_set_text(row, "idempotency", a->idempotency);
		json_set_flag(row, "takes", a->takes);
		json_array_append_new(actions, row);
	}
	return actions;
}

/* What reads more of the target, by method; NULL where the kind has none. */
static connector_survey_fn survey_of(const struct connector_ops *ops,
				     enum connect_method method)
{
	if (method == CONNECT_DISCOVER)
		return ops->discover;
	return method == CONNECT_ENTITLEMENTS ? ops->entitlements
					      : ops->activity;
}

/* Names the methods of this kind that not all have. */
static void describe_surveys(const struct connector_ops *ops, json_t *result)
{
	json_t *names = json_array();

	for (int i = CONNECT_READ + 1; i < CONNECT_METHOD_COUNT; i++) {
		enum connect_method method = (enum connect_method)i;

		if (survey_of(ops, method))
			json_array_append_new(
				names,
				json_string(connect_method_name(method)));
	}
	json_set_new(result, "reads", names);
}

static int describe(struct server *server, const json_t *params UNUSED,
		    struct connector_reply *reply)
{
	const struct connector_info *info = server->ops->info;
	json_t *result = json_object();

	json_set_text(result, "name", info->kind);
	json_set_text(result, "version", info->version);
	json_set_text(result, "build", server->build);
	json_set_text(result, "target", server->rules.target);
	json_set_int(result, "protocol", CONNECT_PROTOCOL);
	json_set_new(result, "actions", describe_actions(info));
	json_set_flag(result, "enforcesPrecondition",
		      info->enforces_precondition);
	json_set_int(result, "pipeline",
		     info->pipeline ? info->pipeline : CONNECTOR_PIPELINE);
	if (server->rules.drill)
		json_object_set(result, "drill",
				(json_t *)(uintptr_t)server->rules.drill);
	if (server->rules.drills)
		json_object_set(result, "drills",
				(json_t *)(uintptr_t)server->rules.drills);
	describe_surveys(server->ops, result);
	if (server->sandbox)
		json_set_new(result, "sandbox", json_incref(server->sandbox));
	reply->result = result;
	return 0;
}

static int check(struct server *server, const json_t *params UNUSED,
		 struct connector_reply *reply)
{
	int r = server->ops->check(server->self, reply);
	bool ok = r == 0 && !reply->reason[0];

	if (r < 0)
		discard(connector_refuse(reply, "unavailable", "%s",
					 error_message()));
	json_decref(reply->result);
	reply->result = json_object();
	json_set_flag(reply->result, "ok", ok);
	if (!ok)
		json_set_text(reply->result, "detail", reply->detail);
	return 0;
}

/* Reads what plan and read are asked; an action not in the table is refused. */
static bool read_ask(const struct server *server, const json_t *params,
		     struct connector_ask *ret_ask,
		     struct connector_reply *reply)
{
	const struct connector_action *a = server->ops->info->actions;

	*ret_ask = (struct connector_ask){
		.action = json_text(params, "action", ""),
		.resource = json_text(params, "resource", ""),
		.parameters = json_object_in(params, "parameters"),
		.brief = json_flag(params, "brief", false),
	};
	while (a->action && strcmp(a->action, ret_ask->action) != 0)
		a++;
	if (!a->action)
		discard(connector_refuse(reply, "invalid",
					 "no action '%s' here",
					 ret_ask->action));
	else if (ret_ask->brief && !a->takes)
		discard(connector_refuse(reply, "invalid",
					 "only for what takes away is a plan "
					 "brief"));
	return !reply->reason[0];
}

static int plan(struct server *server, const json_t *params,
		struct connector_reply *reply)
{
	struct connector_ask ask;

	if (!read_ask(server, params, &ask, reply))
		return 0;
	return server->ops->plan(server->self, &ask, reply);
}

static int read_back(struct server *server, const json_t *params,
		     struct connector_reply *reply)
{
	struct connector_ask ask;

	if (!read_ask(server, params, &ask, reply))
		return 0;
	return server->ops->read(server->self, &ask, reply);
}

/* A refusal is a result of apply: certainly no effect. */
static void refusal_as_result(struct connector_reply *reply)
{
	reply->result = json_object();
	json_set_text(reply->result, "result", "refused");
	json_set_text(reply->result, "reason", reply->reason);
	json_set_text(reply->result, "detail", reply->detail);
}

/* The order of an apply, between its verification and its answer. */
struct job {
	struct rpc_request request;
	struct rpc_fault fault; /* code 0: none */
	const struct method_row *row;
	struct order order;
	bool holds; /* the order does */
	struct connector_reply reply;
};

/* Verifies the order of a job; what is wrong with it is told in its reply. */
static void verify(struct server *server, struct job *job)
{
	const json_t *text = json_object_get(job->request.params, "order");

	job->holds = server->trusts ? order_trust(server->ops->info, text,
						  &job->order, &job->reply)
				    : order_verify(&server->rules, text,
						   &job->order, &job->reply);
}

static int apply(struct server *server, struct job *job)
{
	struct connector_reply *reply = &job->reply;

	if (job->holds && order_in_time(&job->order, reply))
		TRY(server->ops->apply(server->self, &job->order.view, reply));
	if (reply->result || !reply->reason[0])
		return 0;
	/* What cannot be written stays spent; the file is broken then, and all
	 * that follows is refused. */
	if (job->holds && order_release(&server->rules, &job->order) < 0)
		log_error("state-not-written", "order=%s",
			  job->order.execution);
	refusal_as_result(reply);
	return 0;
}

static int discover(struct server *server, const json_t *params,
		    struct connector_reply *reply)
{
	return server->ops->discover(server->self, params, reply);
}

static int entitlements(struct server *server, const json_t *params,
			struct connector_reply *reply)
{
	return server->ops->entitlements(server->self, params, reply);
}

static int activity(struct server *server, const json_t *params,
		    struct connector_reply *reply)
{
	return server->ops->activity(server->self, params, reply);
}

struct method_row {
	enum connect_method method;
	int (*handler)(struct server *server, const json_t *params,
		       struct connector_reply *reply);
	const struct schema *params;
	const char *failed; /* the reason when the kind fails */
};

static const struct method_row methods[] = {
	{ CONNECT_DESCRIBE, describe, no_rows, "unavailable" },
	{ CONNECT_CHECK, check, no_rows, "unavailable" },
	{ CONNECT_PLAN, plan, plan_rows, "unavailable" },
	/* NULL: apply(), whose order was verified before. */
	{ CONNECT_APPLY, NULL, apply_rows, "unknown" },
	{ CONNECT_READ, read_back, read_rows, "unavailable" },
	{ CONNECT_DISCOVER, discover, discover_rows, "unavailable" },
	{ CONNECT_ENTITLEMENTS, entitlements, account_rows, "unavailable" },
	{ CONNECT_ACTIVITY, activity, activity_rows, "unavailable" },
};

/* Whether this kind has the method; all have the first five. */
static bool is_offered(const struct connector_ops *ops,
		       enum connect_method method)
{
	return method <= CONNECT_READ || survey_of(ops, method);
}

static const struct method_row *find_row(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (!strcmp(name, connect_method_name(methods[i].method)))
			return &methods[i];
	return NULL;
}

/* The reason told for a failure of the kind.  An effect that cannot be told
 * stays "unknown" whatever the error was. */
static const char *reason_of(const struct method_row *row, int r)
{
	if (row->method != CONNECT_APPLY && r == ERR_LIMIT)
		return "too-large";
	return row->failed;
}

/* Runs what a job asks; what goes wrong is told in its fault. */
static void run(struct server *server, struct job *job)
{
	const struct method_row *row = job->row;
	struct connector_reply *reply = &job->reply;
	int r = row->handler ? row->handler(server, job->request.params, reply)
			     : apply(server, job);

	if (r < 0) {
		json_decref(TAKE(reply->result));
		discard(connector_refuse(reply, reason_of(row, r), "%s",
					 error_message()));
	}
	if (reply->result)
		return;
	/* A kind that answers neither is broken; it may have acted. */
	if (!reply->reason[0])
		discard(connector_refuse(reply, row->failed, "no answer"));
	discard(rpc_fault_set(&job->fault, RPC_REFUSED, reply->reason, "%s",
			      reply->detail));
}

/* Finds the method of a request that could be read. */
static void find_method(struct server *server, struct job *job)
{
	const struct method_row *row = find_row(job->request.method);
	CLEANUP(json_put_p) json_t *faults = NULL;

	if (!row || !is_offered(server->ops, row->method)) {
		discard(rpc_fault_set(&job->fault, RPC_METHOD, "unsupported",
				      "no such method"));
		return;
	}
	schema_check(row->params, job->request.params, NULL, &faults);
	if (json_array_size(faults) > 0) {
		discard(rpc_fault_set(
			&job->fault, RPC_PARAMS, "malformed", "params at '%s'",
			json_text(json_array_get(faults, 0), "at", "?")));
		return;
	}
	job->row = row;
}

/* Reads a message, and verifies its order if it has one. */
static void begin(struct server *server, struct slice body, struct job *job)
{
	job->request.id = -1;
	rpc_request_parse(body, SIZE_MAX, &job->request, &job->fault);
	if (!job->fault.code)
		find_method(server, job);
	if (job->row && job->row->method == CONNECT_APPLY)
		verify(server, job);
}

/* Writes down that the orders of all jobs were seen; if that cannot be, none of
 * them holds. */
static void record(struct server *server, struct job *jobs, size_t count)
{
	if (server->trusts || order_record(&server->rules) == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!jobs[i].holds)
			continue;
		jobs[i].holds = false;
		discard(connector_refuse(&jobs[i].reply, "state", "%s",
					 error_message()));
	}
}

/* Writes the result, or an error where it does not fit or is no JSON. */
static int put_result(struct buf *out, struct job *job)
{
	struct rpc_fault fault = { 0 };

	if (rpc_put_result(out, job->request.id, TAKE(job->reply.result)) == 0)
		return 0;
	discard(rpc_fault_set(&fault, RPC_REFUSED,
			      job->row->method == CONNECT_APPLY ? "unknown"
								: "too-large",
			      "%s", error_message()));
	buf_clear(out);
	return rpc_put_fault(out, job->request.id, &fault);
}

/* What was lent leaves in the one answer and stays nowhere here. */
static void wipe_secret(json_t **secret)
{
	const char *name;
	json_t *value;

	json_object_foreach(*secret, name, value) {
		const char *text = json_string_value(value);

		if (text)
			mem_wipe((char *)(uintptr_t)text, strlen(text));
	}
	json_decref(*secret);
}

static int finish(struct server *server, struct job *job,
		  const struct rpc_sink *sink)
{
	CLEANUP(buf_clear) struct buf out = BUF_INIT(FRAME_MAX);
	CLEANUP(wipe_secret) json_t *secret = NULL;

	if (job->row)
		run(server, job);
	secret = json_incref(json_object_get(job->reply.result, "secret"));
	if (job->fault.code)
		TRY(rpc_put_fault(&out, job->request.id, &job->fault));
	else
		TRY(put_result(&out, job));
	return sink->put(sink->cookie, buf_slice(&out));
}

static void job_clear(struct job *job)
{
	rpc_request_clear(&job->request);
	order_clear(&job->order);
	json_decref(job->reply.result);
}

int server_answer(void *cookie, const struct slice *bodies, size_t count,
		  const struct rpc_sink *sink)
{
	struct server *server = cookie;
	CLEANUP(mem_free_p)
	struct job *jobs = mem_array(count, sizeof(*jobs));
	int r = 0;

	for (size_t i = 0; i < count; i++)
		begin(server, bodies[i], &jobs[i]);
	record(server, jobs, count);
	for (size_t i = 0; i < count; i++) {
		if (r == 0)
			r = finish(server, &jobs[i], sink);
		job_clear(&jobs[i]);
	}
	return r;
}
