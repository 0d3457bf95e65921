#include "cli/outcome.h"

#include "base/mem.h"
#include "cli/output.h"
#include "govern/request.h"

static const struct {
	int exit;
	enum paint paint;
} states[REQUEST_STATE_COUNT] = {
	[REQUEST_PLANNING] = { CLI_WAITING, PAINT_CARE },
	[REQUEST_WAITING] = { CLI_WAITING, PAINT_CARE },
	[REQUEST_REPLANNING] = { CLI_WAITING, PAINT_CARE },
	[REQUEST_ARMED] = { CLI_WAITING, PAINT_CARE },
	[REQUEST_READING] = { CLI_WAITING, PAINT_CARE },
	[REQUEST_UNKNOWN] = { CLI_CONFLICT, PAINT_BAD },
	[REQUEST_DONE] = { CLI_OK, PAINT_GOOD },
	[REQUEST_NO_CHANGE] = { CLI_OK, PAINT_GOOD },
	[REQUEST_FAILED] = { CLI_FAILED, PAINT_BAD },
	[REQUEST_PARTIAL] = { CLI_FAILED, PAINT_BAD },
	[REQUEST_ROLLED_BACK] = { CLI_OK, PAINT_GOOD },
	[REQUEST_CONFLICT] = { CLI_CONFLICT, PAINT_BAD },
	[REQUEST_RECOMMENDED] = { CLI_OK, PAINT_GOOD },
	[REQUEST_ADOPTED] = { CLI_OK, PAINT_GOOD },
	[REQUEST_DENIED] = { CLI_DENIED, PAINT_BAD },
	[REQUEST_EXPIRED] = { CLI_DENIED, PAINT_BAD },
	[REQUEST_CANCELLED] = { CLI_FAILED, PAINT_BAD },
};

int outcome_exit(const char *state)
{
	enum request_state known;

	return request_state_find(state, &known) ? states[known].exit
						 : CLI_FAILED;
}

bool outcome_is_open(const char *state)
{
	return outcome_exit(state) == CLI_WAITING;
}

static enum paint paint_of(const char *state)
{
	enum request_state known;

	return request_state_find(state, &known) ? states[known].paint
						 : PAINT_BAD;
}

static const struct output_column request_rows[] = {
	{ "Request", "id" },
	{ "Task", "task" },
	{ "Agent", "agent" },
	{ "Action", "action" },
	{ "Target", "target" },
	{ "Resource", "resource" },
	{ "Tier", "tier" },
	{ "Parameters", "parameters" },
	{ "Mode", "mode" },
	{ "Route", "route" },
	{ "Waiting for", "waitingFor" },
	{ "Escalated", "escalated" },
	{ "Effect", "outcome.effect" },
	{ "Observed", "outcome.observed" },
	{ "Detail", "outcome.detail" },
	{ "Account", "result.account" },
	{ "Grant ends", "grant.ends" },
	{ "Rollback token", "rollbackToken" },
	{ "Rollback of", "rollbackOf" },
	{ "Adopted as", "adoptedAs" },
	{ "Sponsor", "sponsor" },
	{ "Created", "created" },
	{ "Expires", "expires" },
	{ "Digest", "digest" },
	{ "Decision leaf", "evidence.decision.index" },
	{ "Armed leaf", "evidence.armed.index" },
	{ "Outcome leaf", "evidence.outcome.index" },
	{ "Read leaf", "evidence.read.index" },
};

static const struct output_column decision_rows[] = {
	{ "Cause", "decision.cause" },
	{ "Because", "decision.forHuman" },
	{ "Remedy", "decision.remedy" },
	{ "Needs approval", "decision.requires.approvals" },
	{ "Needs evidence", "decision.requires.evidence" },
	{ "Longest TTL", "decision.requires.maxTtl" },
	{ "Risk", "decision.risk.score" },
	{ "Detectors", "decision.risk.signals" },
	{ "Exception", "decision.exception" },
	{ "Change freeze", "decision.changeFreeze" },
};

static void show_state(struct cli *cli, const json_t *request)
{
	const char *state = json_text(request, "state", "?");

	fputs("State:           ", cli->out);
	output_paint(cli->out, cli->colour, paint_of(state), state);
	fputc('\n', cli->out);
}

static const struct output_column approval_columns[] = {
	{ "HUMAN", "human" },
	{ "GROUP", "group" },
	{ "INSTEAD BY", "insteadBy" },
	{ "DECISION", "decision" },
	{ "AT", "at" },
};

static const struct output_column entitlement_columns[] = {
	{ "TYPE", "type" },
	{ "ENTITLEMENT", "id" },
	{ "DIRECT", "direct" },
	{ "DETAIL", "detail" },
};

/* What was read of an account. */
static void show_entitlements(struct cli *cli, const json_t *result)
{
	const json_t *rows = json_array_in(result, "entitlements");

	if (json_array_size(rows) == 0)
		return;
	fputc('\n', cli->out);
	output_table(cli->out, rows, entitlement_columns,
		     ARRAY_LEN(entitlement_columns));
}

void outcome_show(struct cli *cli, const json_t *request)
{
	const json_t *approvals = json_array_in(request, "approvals");

	if (cli->json) {
		output_json(cli->out, request);
		return;
	}
	show_state(cli, request);
	output_record(cli->out, request, request_rows, ARRAY_LEN(request_rows));
	output_record(cli->out, request, decision_rows,
		      ARRAY_LEN(decision_rows));
	show_entitlements(cli, json_object_in(request, "result"));
	if (json_array_size(approvals) == 0)
		return;
	fputc('\n', cli->out);
	output_table(cli->out, approvals, approval_columns,
		     ARRAY_LEN(approval_columns));
}

static const struct output_column policy_columns[] = {
	{ "POLICY", "id" },
	{ "SAYS", "title" },
};

static const struct output_column signal_columns[] = {
	{ "DETECTOR", "detector" }, { "SIGNAL", "kind" },
	{ "ABOUT", "subject" },	    { "SCORE", "score" },
	{ "EXPIRES", "expires" },
};

/* Who said what of it. */
static void show_signals(struct cli *cli, const json_t *seen)
{
	if (json_array_size(seen) == 0)
		return;
	fputs("\nDetectors say:\n", cli->out);
	output_table(cli->out, seen, signal_columns, ARRAY_LEN(signal_columns));
}

void outcome_explain(struct cli *cli, const json_t *request)
{
	const json_t *decision = json_object_get(request, "decision");
	const json_t *policies = json_array_in(decision, "policies");

	if (cli->json) {
		output_json(cli->out, request);
		return;
	}
	if (json_text(request, "state", NULL))
		show_state(cli, request);
	output_record(cli->out, request,
		      (const struct output_column[]){ { "Route", "route" } },
		      1);
	output_record(cli->out, request, decision_rows,
		      ARRAY_LEN(decision_rows));
	output_record(cli->out, request,
		      (const struct output_column[]){ { "Note", "note" } }, 1);
	show_signals(cli,
		     json_array_in(json_object_get(decision, "risk"), "seen"));
	if (!policies)
		return;
	fputs("\nDetermined by:\n", cli->out);
	output_table(cli->out, policies, policy_columns,
		     ARRAY_LEN(policy_columns));
}

/* ---- in short ---- */

static void say(struct cli *cli, const char *title, const char *text)
{
	CLEANUP(mem_free_p) char *clean = output_clean(text, false);

	if (text)
		fprintf(cli->err, "  %s: %s\n", title, clean);
}

static void say_who_denied(struct cli *cli, const json_t *approvals)
{
	const json_t *row;
	size_t i;

	json_array_foreach(approvals, i, row) {
		if (!strcmp(json_text(row, "decision", ""), "deny"))
			say(cli, "denied by", json_text(row, "human", NULL));
	}
}

/* Of what was permitted and failed its permission says nothing. */
static void say_denial(struct cli *cli, const json_t *request)
{
	const json_t *decision = json_object_in(request, "decision");
	const char *because = json_text(decision, "forHuman",
					json_text(decision, "forAgent", NULL));

	if (strcmp(json_text(request, "state", ""), "denied") != 0)
		return;
	/* Of a person's no the outcome has said it. */
	if (!json_object_in(request, "outcome")) {
		say(cli, "cause", json_text(decision, "cause", NULL));
		say(cli, "because", because);
	}
	say(cli, "remedy", json_text(decision, "remedy", NULL));
}

void outcome_say_why(struct cli *cli, const json_t *request)
{
	const json_t *outcome = json_object_in(request, "outcome");

	say(cli, "cause", json_text(outcome, "cause", NULL));
	say(cli, "detail", json_text(outcome, "detail", NULL));
	say_who_denied(cli, json_array_in(request, "approvals"));
	say_denial(cli, request);
}
