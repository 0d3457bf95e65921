/* writ agent|human|group|target|class list|show, target drill. */
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/output.h"
#include "govern/manifest.h"

/* The columns of a kind: what one asks of it first. */
static const struct output_column agent_columns[] = {
	{ "AGENT", "metadata.name" },  { "STATUS", "spec.status" },
	{ "OWNER", "spec.owner" },     { "CAPABILITIES", "spec.capabilities" },
	{ "EXPIRES", "spec.expires" },
};
static const struct output_column human_columns[] = {
	{ "HUMAN", "metadata.name" },
	{ "STATUS", "spec.status" },
	{ "GROUPS", "spec.groups" },
};
static const struct output_column group_columns[] = {
	{ "GROUP", "metadata.name" },
	{ "WITHIN", "spec.parents" },
	{ "DESCRIPTION", "spec.description" },
};
static const struct output_column target_columns[] = {
	{ "TARGET", "metadata.name" }, { "CONNECTOR", "spec.connector" },
	{ "OWNER", "spec.owner" },     { "PLANE", "spec.plane" },
	{ "DOMAIN", "spec.domain" },   { "ENVIRONMENT", "spec.environment" },
};
static const struct output_column class_columns[] = {
	{ "CLASS", "metadata.name" },  { "OWNER", "spec.owner" },
	{ "DOMAIN", "spec.domain" },   { "MAX TIER", "spec.maxTier" },
	{ "LONGEST", "spec.longest" }, { "OPENERS", "spec.openers" },
};

static const struct output_column detector_columns[] = {
	{ "DETECTOR", "metadata.name" },  { "STATUS", "spec.status" },
	{ "OWNER", "spec.owner" },	  { "SIGNALS", "spec.signals" },
	{ "MAX SCORE", "spec.maxScore" }, { "AGENT", "spec.agent" },
};
static const struct output_column freeze_columns[] = {
	{ "FREEZE", "metadata.name" }, { "BEGIN", "spec.begin" },
	{ "END", "spec.end" },	       { "DOMAINS", "spec.domains" },
	{ "REASON", "spec.reason" },
};

struct kind_row {
	const char *noun;
	enum manifest_kind kind;
	const struct output_column *columns;
	size_t count;
};

static const struct kind_row kinds[] = {
	{ "agent", MANIFEST_AGENT, agent_columns, ARRAY_LEN(agent_columns) },
	{ "human", MANIFEST_HUMAN, human_columns, ARRAY_LEN(human_columns) },
	{ "group", MANIFEST_GROUP, group_columns, ARRAY_LEN(group_columns) },
	{ "target", MANIFEST_TARGET, target_columns,
	  ARRAY_LEN(target_columns) },
	{ "class", MANIFEST_TASK_CLASS, class_columns,
	  ARRAY_LEN(class_columns) },
	{ "detector", MANIFEST_DETECTOR, detector_columns,
	  ARRAY_LEN(detector_columns) },
	{ "freeze", MANIFEST_CHANGE_FREEZE, freeze_columns,
	  ARRAY_LEN(freeze_columns) },
};

static const struct kind_row *kind_of(const char *noun)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].noun, noun))
			return &kinds[i];
	return NULL;
}

int cmd_inventory_list(struct cli *cli)
{
	const struct kind_row *row = kind_of(cli->args.noun);
	CLEANUP(mem_free_p) char *path = NULL;

	if (!row)
		return error_set(ERR_NOT_FOUND, "no such kind");
	path = exchange_path("/v1/inventory", manifest_kind_name(row->kind),
			     "");
	return exchange_list(cli, path, "manifests", row->columns, row->count);
}

/* The manifest as it can be applied again: JSON is YAML. */
int cmd_inventory_show(struct cli *cli)
{
	const struct kind_row *row = kind_of(cli->args.noun);
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p) char *suffix = NULL;
	CLEANUP(mem_free_p) char *path = NULL;
	int code;

	if (!row)
		return error_set(ERR_NOT_FOUND, "no such kind");
	suffix = exchange_path("", args_operand(&cli->args, 0), "");
	path = exchange_path("/v1/inventory", manifest_kind_name(row->kind),
			     suffix);
	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, path, &a, &code));
	if (code == CLI_OK)
		output_json(cli->out, a.json);
	return code;
}

static const struct output_column drill_rows[] = {
	{ "Target", "target" },	      { "Run", "run" },
	{ "Passed", "passed" },	      { "Detail", "detail" },
	{ "Leaf", "evidence.index" },
};

int cmd_target_drill(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *statement = NULL;
	const char *target = args_operand(&cli->args, 0);
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/targets", target, "/drill");
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_statement(cli, c, STATEMENT_DRILL, &statement));
	json_set_text(statement, "target", target);
	TRY(exchange_ask_and_send(cli, c, STATEMENT_DRILL, statement,
				  "Try the way back on its drill resource?",
				  path, &a, &code));
	if (code != CLI_OK)
		return code;
	exchange_put(cli, a.json, drill_rows, ARRAY_LEN(drill_rows));
	return json_is_true(json_object_get(a.json, "passed")) ? CLI_OK
							       : CLI_FAILED;
}
