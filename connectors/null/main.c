/*
 * writ-connect-null: a target that is nothing but a set of memberships in
 * memory (or in one file), for measuring and for tests of what happens when a
 * connector fails.  It plans, applies and reads like a directory, and does
 * wrong what its configuration tells it to.
 */
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/mem.h"
#include "connect/rpc.h"
#include "connectors/sdk/connector.h"

enum {
	STATE_MAX = 16 << 20, /* bytes of the file of memberships */
	NAME_MAX_BYTES = 8 * 1024,
	FLOOD_MESSAGES = 4096,
};

/* What a method does wrong. */
enum fault {
	FAULT_NONE,
	FAULT_DIE_BEFORE,   /* ends before any effect */
	FAULT_DIE_AFTER,    /* ends after it, without an answer */
	FAULT_HANG,	    /* never answers, without effect */
	FAULT_HANG_AFTER,   /* never answers, after the effect */
	FAULT_LIE,	    /* says the opposite of what is so */
	FAULT_FLOOD,	    /* answers what nobody asked, often */
	FAULT_MALFORMED,    /* answers what is no JSON */
	FAULT_PRECONDITION, /* apply: refuses */
	FAULT_UNAVAILABLE,  /* fails: "unavailable", from apply "unknown" */
	FAULT_DRIFT,	    /* plan: another blast radius each time */
	FAULT_COUNT
};

static const char *const fault_names[FAULT_COUNT] = {
	[FAULT_NONE] = "none",
	[FAULT_DIE_BEFORE] = "die-before",
	[FAULT_DIE_AFTER] = "die-after",
	[FAULT_HANG] = "hang",
	[FAULT_HANG_AFTER] = "hang-after",
	[FAULT_LIE] = "lie",
	[FAULT_FLOOD] = "flood",
	[FAULT_MALFORMED] = "malformed",
	[FAULT_PRECONDITION] = "precondition",
	[FAULT_UNAVAILABLE] = "unavailable",
	[FAULT_DRIFT] = "drift",
};

struct null_target {
	json_t *groups; /* owned; {resource: {member: true}} */
	char *path;	/* owned; where they are kept, or NULL */
	enum fault plan;
	enum fault apply;
	enum fault read;
	int64_t version; /* counts changes */
	int64_t drift;
};

/* ---- the configuration ---- */

#define END                                                                    \
	{                                                                      \
		NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL                \
	}

static const struct schema fault_rows[] = {
	{ "plan", SCHEMA_ENUM, false, 0, 0,
	  "none|die-before|hang|flood|malformed|unavailable|drift", NULL,
	  "what plan does wrong" },
	{ "apply", SCHEMA_ENUM, false, 0, 0,
	  "none|die-before|die-after|hang|hang-after|lie|flood|malformed|"
	  "precondition|unavailable",
	  NULL, "what apply does wrong" },
	{ "read", SCHEMA_ENUM, false, 0, 0,
	  "none|die-before|hang|lie|flood|malformed|unavailable", NULL,
	  "what read does wrong" },
	END,
};

static const struct schema config_rows[] = {
	{ "memberships", SCHEMA_TEXT, false, 1, 4096, NULL, NULL,
	  "file that keeps the memberships; in memory without it" },
	{ "faults", SCHEMA_OBJECT, false, 0, 0, NULL, fault_rows,
	  "what goes wrong, for tests" },
	END,
};

static enum fault fault_of(const json_t *config, const char *method)
{
	const char *name =
		json_text(json_object_in(config, "faults"), method, "none");

	for (int i = 0; i < FAULT_COUNT; i++)
		if (!strcmp(name, fault_names[i]))
			return (enum fault)i;
	return FAULT_NONE;
}

static int load(struct null_target *target)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(STATE_MAX);
	int r;

	target->groups = json_object();
	if (!target->path || !file_exists(target->path))
		return 0;
	TRY(file_read(target->path, &text));
	json_decref(target->groups);
	target->groups = NULL;
	r = json_parse(buf_slice(&text), STATE_MAX, &target->groups);
	if (r == 0 && !json_is_object(target->groups))
		r = error_set(ERR_CORRUPT, "no object");
	return r < 0 ? error_context(r, "'%s'", target->path) : 0;
}

static void null_close(void *self)
{
	struct null_target *target = self;

	if (!target)
		return;
	json_decref(target->groups);
	free(target->path);
	free(target);
}

static int null_open(const json_t *config, void **ret_self)
{
	struct null_target *target = mem_new(struct null_target);
	int r;

	target->path = mem_str(json_text(config, "memberships", NULL));
	target->plan = fault_of(config, "plan");
	target->apply = fault_of(config, "apply");
	target->read = fault_of(config, "read");
	r = load(target);
	if (r < 0) {
		null_close(target);
		return r;
	}
	*ret_self = target;
	return 0;
}

/* ---- the memberships ---- */

static bool is_member(const struct null_target *target, const char *resource,
		      const char *member)
{
	return json_flag(json_object_in(target->groups, resource), member,
			 false);
}

static int store(const struct null_target *target)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(STATE_MAX);
	struct slice bytes;

	if (!target->path)
		return 0;
	TRY(json_put_canonical(&text, target->groups));
	TRY(buf_finish(&text, &bytes));
	return file_write(target->path, bytes, 0600);
}

static int set_member(struct null_target *target, const char *resource,
		      const char *member, bool present)
{
	json_t *group = json_object_in(target->groups, resource);

	if (!group) {
		group = json_object();
		json_set_new(target->groups, resource, group);
	}
	if (present)
		json_set_flag(group, member, true);
	else
		json_object_del(group, member);
	if (json_object_size(group) == 0)
		json_object_del(target->groups, resource);
	target->version++;
	return store(target);
}

/* ---- faults ---- */

/* Bytes that are no answer to anything, straight on the wire. */
static int put_noise(const char *text, int count)
{
	for (int i = 0; i < count; i++)
		TRY(frame_write(rpc_output_fd(), slice_str(text)));
	return 0;
}

static void hang(void)
{
	for (;;)
		pause();
}

/* Does what a fault does in the place of an answer. */
static int suffer(enum fault fault)
{
	if (fault == FAULT_DIE_BEFORE || fault == FAULT_DIE_AFTER)
		_exit(1);
	if (fault == FAULT_HANG || fault == FAULT_HANG_AFTER)
		hang();
	if (fault == FAULT_MALFORMED)
		return put_noise("{\"jsonrpc\":\"2.0\",", 1);
	if (fault == FAULT_FLOOD)
		return put_noise("{\"id\":0,\"jsonrpc\":\"2.0\",\"result\":{}}",
				 FLOOD_MESSAGES);
	if (fault == FAULT_UNAVAILABLE)
		return error_set(ERR_UNAVAILABLE, "told to fail");
	return 0;
}

/* ---- the methods ---- */

static const struct connector_action actions[] = {
	{ "AddToGroup", "directory.group.add_member", "DirectoryGroup",
	  "RemoveFromGroup", "natural", false },
	{ "RemoveFromGroup", "directory.group.remove_member", "DirectoryGroup",
	  "AddToGroup", "natural", true },
	{ NULL, NULL, NULL, NULL, NULL, false },
};

static bool is_add(const char *action)
{
	return !strcmp(action, "AddToGroup");
}

/* The only parameter; NULL when parameters are anything else. */
static const char *member_of(const json_t *parameters)
{
	const char *member = json_text(parameters, "member", NULL);

	if (json_object_size(parameters) != 1 || !member || !member[0] ||
	    strlen(member) > NAME_MAX_BYTES)
		return NULL;
	return member;
}

static json_t *state_of(bool present)
{
	json_t *state = json_object();

	json_set_flag(state, "member", present);
	return state;
}

static json_t *parameters_of(const char *member)
{
	json_t *parameters = json_object();

	json_set_text(parameters, "member", member);
	return parameters;
}

/* One element list of {type, id}, or an empty one. */
static json_t *subjects(bool any, const char *member)
{
	json_t *list = json_array();
	json_t *subject;

	if (!any)
		return list;
	subject = json_object();
	json_set_text(subject, "type", "account");
	json_set_text(subject, "id", member);
	json_array_append_new(list, subject);
	return list;
}

static json_t *diff_of(bool any, bool add, const char *member)
{
	json_t *diff = json_array();
	json_t *change;

	if (!any)
		return diff;
	change = json_object();
	json_set_text(change, "op", add ? "add" : "delete");
	json_set_text(change, "attribute", "member");
	json_set_text(change, "value", member);
	json_array_append_new(diff, change);
	return diff;
}

static json_t *undo_of(bool any, const struct connector_ask *ask,
		       const char *member)
{
	json_t *undo;

	if (!any)
		return json_null();
	undo = json_object();
	json_set_text(undo, "action",
		      is_add(ask->action) ? "RemoveFromGroup" : "AddToGroup");
	json_set_text(undo, "resource", ask->resource);
	json_set_new(undo, "parameters", parameters_of(member));
	return undo;
}

static void set_version(json_t *result, const struct null_target *target)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)target->version);
	json_set_text(result, "targetVersion", text);
}

static int null_plan(void *self, const struct connector_ask *ask,
		     struct connector_reply *reply)
{
	struct null_target *target = self;
	const char *member = member_of(ask->parameters);
	bool add = is_add(ask->action);
	json_t *plan;
	bool before, named;

	TRY(suffer(target->plan));
	if (!member)
		return connector_refuse(reply, "invalid",
					"the parameter is one member");
	before = is_member(target, ask->resource, member);
	named = before != add && !ask->brief;
	plan = json_object();
	json_set_text(plan, "resource", ask->resource);
	json_set_new(plan, "parameters", parameters_of(member));
	json_set_new(plan, "before", state_of(before));
	json_set_new(plan, "after", state_of(add));
	json_set_new(plan, "diff", diff_of(before != add, add, member));
	json_set_new(plan, "gains", subjects(add && named, member));
	json_set_new(plan, "loses", subjects(!add && named, member));
	json_set_new(plan, "nestedIn", json_array());
	if (target->plan == FAULT_DRIFT)
		target->drift++;
	json_set_int(plan, "blastRadius", named + target->drift);
	json_set_new(plan, "precondition", state_of(before));
	json_set_flag(plan, "noChange", before == add);
	json_set_flag(plan, "atomic", true);
	json_set_new(plan, "undo", undo_of(before != add, ask, member));
	set_version(plan, target);
	reply->result = plan;
	return 0;
}

static int null_apply(void *self, const struct connector_order *order,
		      struct connector_reply *reply)
{
	struct null_target *target = self;
	const char *member = member_of(order->parameters);
	bool add = is_add(order->action);
	enum fault fault = target->apply;
	bool late = fault == FAULT_DIE_AFTER || fault == FAULT_HANG_AFTER;
	bool before;

	if (!member)
		return connector_refuse(reply, "invalid",
					"the parameter is one member");
	if (!late)
		TRY(suffer(fault));
	before = is_member(target, order->resource, member);
	if (fault == FAULT_PRECONDITION ||
	    (before != add && order->precondition &&
	     json_flag(order->precondition, "member", before) != before))
		return connector_refuse(reply, "precondition",
					"the membership is not as planned");
	if (before == add) {
		reply->result = connector_no_change();
		return 0;
	}
	if (fault != FAULT_LIE)
		TRY(set_member(target, order->resource, member, add));
	if (late)
		TRY(suffer(fault));
	reply->result = connector_applied(state_of(add), NULL);
	set_version(reply->result, target);
	return 0;
}

static int null_read(void *self, const struct connector_ask *ask,
		     struct connector_reply *reply)
{
	struct null_target *target = self;
	const char *member = member_of(ask->parameters);
	json_t *result;
	bool present;

	TRY(suffer(target->read));
	if (!member)
		return connector_refuse(reply, "invalid",
					"the parameter is one member");
	present = is_member(target, ask->resource, member);
	if (target->read == FAULT_LIE)
		present = !present;
	result = json_object();
	json_set_flag(result, "present", present == is_add(ask->action));
	json_set_new(result, "state", state_of(present));
	set_version(result, target);
	reply->result = result;
	return 0;
}

static int null_check(void *self UNUSED, struct connector_reply *reply UNUSED)
{
	return 0;
}

static const char *const kept_files[] = { "memberships", NULL };

static const struct connector_info info = {
	.kind = "null",
	.version = WRIT_VERSION,
	.actions = actions,
	.enforces_precondition = true,
	.pipeline = 64,
	.config = config_rows,
	.may_skip_orders = true,
	.kept = kept_files,
};

static const struct connector_ops ops = {
	.info = &info,
	.open = null_open,
	.close = null_close,
	.check = null_check,
	.plan = null_plan,
	.apply = null_apply,
	.read = null_read,
};

int main(int argc, char **argv)
{
	return connector_main(argc, argv, &ops);
}
