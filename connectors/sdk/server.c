#include "connectors/sdk/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "connect/rpc.h"

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

static const struct schema common_rows[] = {
	{ "target", SCHEMA_NAME, true, 0, 0, NULL, NULL,
	  "the target's name in the inventory" },
	{ "authority", SCHEMA_OBJECT, false, 0, 0, NULL, authority_rows,
	  "whose orders are carried out; none without it" },
	{ "approvers", SCHEMA_OBJECT, false, 0, 0, NULL, approvers_rows,
	  "whose signatures orders need" },
	{ "drill", SCHEMA_OBJECT, false, 0, 0, NULL, drill_rows,
	  "what may be tried and undone" },
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

static int read_config(const struct connector_info *info, struct slice text,
		       json_t **ret_config)
{
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(mem_free_p) struct schema *rows = join_rows(info);
	const json_t *fault;

	TRY(yaml_parse(text, &documents, &places));
	if (json_array_size(documents) != 1)
		return error_set(ERR_SYNTAX, "it must be one document");
	schema_check(rows, json_array_get(documents, 0), places, &faults);
	fault = json_array_get(faults, 0);
	if (fault)
		return error_set(ERR_SYNTAX, "%s: %s",
				 json_text(fault, "at", "?"),
				 json_text(fault, "detail", "?"));
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

int server_open(const struct connector_ops *ops, struct slice config,
		const char *build, struct server *ret_server)
{
	struct server *server = ret_server;

	*server = (struct server){ .ops = ops };
	TRY(read_config(ops->info, config, &server->config));
	snprintf(server->build, sizeof(server->build), "%s", build);
	TRY(ops->open(server->config, &server->self));
	server->trusts = ops->info->may_skip_orders &&
			 !json_flag(server->config, "verifyOrders", true);
	server->rules.ops = ops;
	server->rules.self = server->self;
	server->rules.target = json_text(server->config, "target", "");
	server->rules.build = server->build;
	server->rules.drill = json_object_in(server->config, "drill");
	TRY(open_authority(server));
	return open_approvers(server);
}

void server_close(struct server *server)
{
	if (server->self)
		server->ops->close(server->self);
	seen_close(server->seen);
	approvers_free(server->approvers);
	json_decref(server->always);
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

static int describe(struct server *server, const json_t *params UNUSED,
		    struct connector_reply *reply)
{
	const struct connector_info *info = server->ops->info;
	json_t *result = json_object();

	json_set_text(result, "name", info->kind);
	json_set_text(result, "version", info->version);
	json_set_text(result, "build", server->build);
	json_set_int(result, "protocol", CONNECT_PROTOCOL);
	json_set_new(result, "actions", describe_actions(info));
	json_set_flag(result, "enforcesPrecondition",
		      info->enforces_precondition);
	if (server->rules.drill)
		json_object_set(result, "drill",
				(json_t *)(uintptr_t)server->rules.drill);
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

static int apply(struct server *server, const json_t *params,
		 struct connector_reply *reply)
{
	const json_t *text = json_object_get(params, "order");
	CLEANUP(order_clear) struct order order = { 0 };
	bool holds =
		server->trusts
			? order_trust(server->ops->info, text, &order, reply)
			: order_verify(&server->rules, text, &order, reply);

	if (holds)
		TRY(server->ops->apply(server->self, &order.view, reply));
	if (reply->result || !reply->reason[0])
		return 0;
	/* What cannot be written stays spent; the file is broken then, and all
	 * that follows is refused. */
	if (holds && order_release(&server->rules, &order) < 0)
		log_error("state-not-written", "order=%s", order.execution);
	refusal_as_result(reply);
	return 0;
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
	{ CONNECT_APPLY, apply, apply_rows, "unknown" },
	{ CONNECT_READ, read_back, read_rows, "unavailable" },
};

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

static void run(struct server *server, const struct method_row *row,
		const json_t *params, struct connector_reply *reply,
		struct rpc_fault *fault)
{
	int r = row->handler(server, params, reply);

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
	discard(rpc_fault_set(fault, RPC_REFUSED, reply->reason, "%s",
			      reply->detail));
}

/* Runs a request's method; what goes wrong is told in fault. */
static void dispatch(struct server *server, const struct rpc_request *request,
		     struct connector_reply *reply, struct rpc_fault *fault)
{
	const struct method_row *row = find_row(request->method);
	CLEANUP(json_put_p) json_t *faults = NULL;

	if (!row) {
		discard(rpc_fault_set(fault, RPC_METHOD, "unsupported",
				      "no such method"));
		return;
	}
	schema_check(row->params, request->params, NULL, &faults);
	if (json_array_size(faults) > 0) {
		discard(rpc_fault_set(
			fault, RPC_PARAMS, "malformed", "params at '%s'",
			json_text(json_array_get(faults, 0), "at", "?")));
		return;
	}
	run(server, row, request->params, reply, fault);
}

/* Writes the result, or an error where it does not fit or is no JSON. */
static int put_result(struct buf *out, const struct rpc_request *request,
		      json_t *result)
{
	bool apply_asked = !strcmp(request->method, "apply");
	struct rpc_fault fault = { 0 };

	if (rpc_put_result(out, request->id, result) == 0)
		return 0;
	discard(rpc_fault_set(&fault, RPC_REFUSED,
			      apply_asked ? "unknown" : "too-large", "%s",
			      error_message()));
	buf_clear(out);
	return rpc_put_fault(out, request->id, &fault);
}

int server_answer(void *cookie, struct slice body, struct buf *reply)
{
	CLEANUP(rpc_request_clear) struct rpc_request request = { 0 };
	struct connector_reply answer = { 0 };
	struct rpc_fault fault = { 0 };

	rpc_request_parse(body, SIZE_MAX, &request, &fault);
	if (fault.code)
		return rpc_put_fault(reply, -1, &fault);
	dispatch(cookie, &request, &answer, &fault);
	if (fault.code)
		return rpc_put_fault(reply, request.id, &fault);
	return put_result(reply, &request, answer.result);
}
