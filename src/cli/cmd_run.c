/*
 * writ run: a command with a task around it.
 *
 *   who we are -> task with a lease -> what is lent -> the command -> the end
 *
 * Whatever way the command ends, the task is completed; should this process be
 * killed, nobody renews the lease and the authority ends the task.
 */
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/run/child.h"
#include "cli/run/forms.h"
#include "cli/run/keyring.h"
#include "cli/run/scratch.h"
#include "cli/run/work.h"

enum {
	LOANS_MAX = 32,
	LOOK_MS = 500,	      /* between looks at what is due */
	GRACE_MS = 10 * 1000, /* for a command whose task is over */
	RETRY_MS = 5 * 1000,  /* for a token that could not be renewed */
	EFFECTS_MAX = 1 << 20,
	EXIT_NOT_FOUND = 127, /* as a shell has them */
	EXIT_NOT_RUN = 126,
};

struct loan {
	char *target;
	const char *role;    /* borrowed */
	const char *form;    /* static: "login", "ssh", "token" */
	struct work_ask ask; /* the first */
	json_t *secret;	     /* until it is laid out; wiped */
	int64_t renew_at_ms; /* boot clock; 0: it lives as long as the task */
};

struct run {
	struct cli *cli;
	struct work work;
	struct scratch *scratch;
	struct keyring *keyring;
	struct environment env;
	struct forms forms;
	struct loan loans[LOANS_MAX];
	size_t loan_count;
};

static const char effects_name[] = "effects.json";

static void run_clear(struct run *run)
{
	forms_clear(&run->forms);
	for (size_t i = 0; i < run->loan_count; i++) {
		work_ask_clear(&run->loans[i].ask);
		json_wipe(run->loans[i].secret);
		free(run->loans[i].target);
	}
	keyring_close(run->keyring);
	scratch_close(run->scratch);
	environment_clear(&run->env);
	work_clear(&run->work);
}

/* ---- what is asked for ---- */

/* "TARGET:ROLE"; a role may have colons of its own. */
static int read_loan(struct run *run, const char *text)
{
	const char *colon = strchr(text, ':');
	struct loan *loan;

	if (!colon || colon == text || !colon[1])
		return error_set(ERR_USAGE, "--with is TARGET:ROLE, not '%s'",
				 text);
	for (size_t i = 0; i < run->loan_count; i++)
		if (!strcmp(run->loans[i].ask.what, text))
			return error_set(ERR_USAGE,
					 "--with %s stands twice: the second "
					 "would take the place of the first",
					 text);
	if (run->loan_count == LOANS_MAX)
		return error_set(ERR_USAGE, "--with may stand %d times at most",
				 LOANS_MAX);
	loan = &run->loans[run->loan_count++];
	*loan = (struct loan){
		.target = mem_format("%.*s", (int)(colon - text), text),
		.role = colon + 1,
		.ask.what = text,
	};
	return 0;
}

static int read_loans(struct run *run)
{
	const struct args *a = &run->cli->args;

	for (size_t i = 0; i < a->value_count; i++) {
		if (!strcmp(a->values[i].row->name, "with"))
			TRY(read_loan(run, a->values[i].text));
	}
	if (run->loan_count == 0 && !args_flag(a, "target"))
		return error_set(ERR_USAGE,
				 "a task is about some system: give --with "
				 "TARGET:ROLE for what is lent, or --target "
				 "NAME");
	return 0;
}

/* The task's targets: those that lend, and those named besides. */
static json_t *targets_of(struct run *run)
{
	json_t *targets = input_list(&run->cli->args, "target");

	for (size_t i = 0; i < run->loan_count; i++) {
		if (!json_has_text(targets, run->loans[i].target))
			json_array_append_new(
				targets, json_string(run->loans[i].target));
	}
	return targets;
}

static json_t *task_body(struct run *run)
{
	static const char *const names[] = { "class", "intent", "ttl" };
	json_t *body = json_object();
	char lease[16];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		json_set_text(body, names[i],
			      args_text(&run->cli->args, names[i], NULL));
	json_set_new(body, "targets", targets_of(run));
	snprintf(lease, sizeof(lease), "%ds", WORK_LEASE_S);
	json_set_text(body, "lease", lease);
	return body;
}

/* ---- before the command ---- */

/* The identity that is shown is that of the agent who is meant. */
static int check_agent(struct run *run, int *ret_exit)
{
	const char *wanted = args_text(&run->cli->args, "agent", "");
	CLEANUP(mem_free_p) char *agent = NULL;

	TRY(work_who(&run->work, &agent, ret_exit));
	if (*ret_exit != CLI_OK || !strcmp(agent, wanted))
		return 0;
	fprintf(run->cli->err,
		"writ: the identity that was given is that of '%s', not of "
		"'%s': nothing was begun\n",
		agent, wanted);
	*ret_exit = CLI_DENIED;
	return 0;
}

static int open_task(struct run *run, int *ret_exit)
{
	CLEANUP(json_put_p) json_t *body = task_body(run);

	TRY(work_open(&run->work, body, ret_exit));
	if (*ret_exit == CLI_OK)
		fprintf(run->cli->err, "writ: task %s\n", run->work.task);
	return 0;
}

static const char *form_of(const json_t *target)
{
	static const char *const forms[] = { "login", "ssh", "token" };
	const char *form = json_text(target, "lends", "");

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (!strcmp(form, forms[i]))
			return forms[i];
	}
	return NULL;
}

static int learn_form(struct run *run, struct loan *loan, int *ret_exit)
{
	CLEANUP(json_put_p) json_t *target = NULL;

	TRY(work_target(&run->work, loan->target, &target, ret_exit));
	if (*ret_exit != CLI_OK)
		return 0;
	loan->form = form_of(target);
	if (!loan->form)
		return error_set(ERR_USAGE, "target '%s' lends nothing",
				 loan->target);
	if (!strcmp(loan->form, "ssh") && !run->keyring) {
		TRY(keyring_open(run->scratch, &run->keyring));
		run->forms.keyring = run->keyring;
	}
	return 0;
}

static int64_t seconds_left(const struct run *run)
{
	return (run->work.expires_ms - clock_wall_ms()) / 1000;
}

/* What is not a token lives as long as the task. */
static void set_life(struct run *run, const struct loan *loan, json_t *body)
{
	char ttl[32];

	snprintf(ttl, sizeof(ttl), "%llds", (long long)seconds_left(run));
	json_set_text(body, "ttl",
		      strcmp(loan->form, "token") != 0
			      ? ttl
			      : args_text(&run->cli->args, "token-life", NULL));
}

static json_t *loan_body(struct run *run, const struct loan *loan)
{
	json_t *body = json_object();
	json_t *parameters = json_object();

	json_set_text(body, "task", run->work.task);
	json_set_text(body, "action", "IssueCredential");
	json_set_text(body, "target", loan->target);
	json_set_text(body, "resource", loan->role);
	json_set_text(body, "mode", "execute");
	if (!strcmp(loan->form, "ssh"))
		json_set_text(parameters, "publicKey",
			      keyring_public(run->keyring));
	json_set_new(body, "parameters", parameters);
	set_life(run, loan, body);
	return body;
}

/* A token lives for minutes: another is fetched when a third of that is left.
 */
static void plan_renewal(struct loan *loan, const json_t *lent)
{
	int64_t expires_ms;

	loan->renew_at_ms = 0;
	if (strcmp(loan->form, "token") != 0 ||
	    clock_parse(json_text(lent, "expires", ""), &expires_ms) < 0)
		return;
	loan->renew_at_ms =
		clock_boot_ms() + (expires_ms - clock_wall_ms()) * 2 / 3;
}

/* Keeps the secret of what was lent. */
static void keep(struct loan *loan, const json_t *lent)
{
	plan_renewal(loan, lent);
	loan->secret = json_incref(json_object_get(lent, "secret"));
}

/* Lays out what was lent; again: to succeed what is laid out already. */
static int lay_out(struct run *run, struct loan *loan, bool again)
{
	struct lent row = { loan->target, loan->role, seconds_left(run) };
	int r = again ? forms_renew_token(&run->forms, &row,
					  json_text(loan->secret, "token", ""))
		      : forms_add(&run->forms, &row, loan->secret);

	json_wipe(TAKE(loan->secret));
	return r;
}

static int renew_loan(struct run *run, struct loan *loan, int *ret_exit)
{
	CLEANUP(json_put_p) json_t *body = loan_body(run, loan);
	CLEANUP(json_put_p) json_t *lent = NULL;

	TRY(work_lend(&run->work, loan->ask.what, body, &lent, ret_exit));
	if (*ret_exit != CLI_OK)
		return 0;
	keep(loan, lent);
	return lay_out(run, loan, true);
}

static int ask_for(struct run *run, struct loan *loan, int *ret_exit)
{
	CLEANUP(json_put_p) json_t *body = loan_body(run, loan);

	return work_ask_for(&run->work, &loan->ask, body, ret_exit);
}

/* Looks again at one that waits, and takes it when it has ended well: within
 * minutes it would be taken back. */
static int follow(struct run *run, struct loan *loan, int wait_s, int *ret_exit)
{
	CLEANUP(json_put_p) json_t *lent = NULL;

	TRY(work_ask_again(&run->work, &loan->ask, wait_s, ret_exit));
	if (*ret_exit != CLI_OK || loan->secret || work_ask_is_open(&loan->ask))
		return 0;
	TRY(work_take(&run->work, &loan->ask, &lent, ret_exit));
	if (*ret_exit == CLI_OK)
		keep(loan, lent);
	return 0;
}

static int count_open(const struct run *run)
{
	int count = 0;

	for (size_t i = 0; i < run->loan_count; i++)
		count += work_ask_is_open(&run->loans[i].ask);
	return count;
}

/* One look at each; those that wait share the time of one call. */
static int follow_all(struct run *run, int *ret_exit)
{
	int count = count_open(run);
	int wait_s = count ? (WORK_STEP_S + count - 1) / count : 0;

	for (size_t i = 0; i < run->loan_count && *ret_exit == CLI_OK; i++)
		TRY(follow(run, &run->loans[i], wait_s, ret_exit));
	return 0;
}

typedef int (*loan_fn)(struct run *run, struct loan *loan, int *ret_exit);

static int for_all(struct run *run, loan_fn fn, int *ret_exit)
{
	for (size_t i = 0; i < run->loan_count && *ret_exit == CLI_OK; i++)
		TRY(fn(run, &run->loans[i], ret_exit));
	return 0;
}

static void renew_tokens(struct run *run)
{
	for (size_t i = 0; i < run->loan_count; i++) {
		struct loan *loan = &run->loans[i];
		int code = CLI_OK;
		int r;

		if (!loan->renew_at_ms || clock_boot_ms() < loan->renew_at_ms)
			continue;
		loan->renew_at_ms = clock_boot_ms() + RETRY_MS;
		r = renew_loan(run, loan, &code);
		if (run->work.command && child_is_over(run->work.command))
			return;
		if (r < 0)
			fprintf(run->cli->err,
				"writ: the token for %s was not renewed: %s\n",
				loan->target, error_message());
		/* What was denied stays so: it runs out by itself. */
		if (r == 0 && code != CLI_OK)
			loan->renew_at_ms = 0;
	}
}

/* People are asked for everything at once, and what is lent is laid out in the
 * order in which it was named. */
static int lend_all(struct run *run, int *ret_exit)
{
	TRY(for_all(run, learn_form, ret_exit));
	TRY(for_all(run, ask_for, ret_exit));
	for (size_t i = 0; i < run->loan_count && *ret_exit == CLI_OK; i++)
		work_ask_say(&run->work, &run->loans[i].ask);
	do
		TRY(follow_all(run, ret_exit));
	while (*ret_exit == CLI_OK && count_open(run));
	for (size_t i = 0; i < run->loan_count && *ret_exit == CLI_OK; i++)
		TRY(lay_out(run, &run->loans[i], false));
	/* A token may have come long before the last. */
	if (*ret_exit == CLI_OK)
		renew_tokens(run);
	return 0;
}

/* The command is told its task; who we are is not handed on to it. */
static void set_environment(struct run *run)
{
	CLEANUP(mem_free_p)
	char *effects = scratch_path(run->scratch, effects_name);

	environment_drop_identity(&run->env);
	environment_set(&run->env, "WRIT_TASK", run->work.task);
	environment_set(&run->env, "WRIT_EFFECTS_FILE", effects);
	if (!run->cli->settings.url)
		return;
	environment_set(&run->env, "WRIT_URL", run->cli->settings.url);
}

/* ---- beside the command ---- */

static int attend(struct run *run, struct child *child, int *ret_status)
{
	for (;;) {
		TRY(child_wait(child, LOOK_MS, ret_status));
		if (*ret_status >= 0)
			return 0;
		work_renew(&run->work);
		if (run->work.over)
			break;
		renew_tokens(run);
	}
	fprintf(run->cli->err, "writ: %s: the command is ended\n",
		run->work.over);
	return child_stop(child, GRACE_MS, ret_status);
}

static int run_command(struct run *run, int *ret_status)
{
	CLEANUP(child_free_p) struct child *child = NULL;
	const struct args *a = &run->cli->args;
	CLEANUP(mem_free_p)
	const char **argv = mem_array(a->operand_count + 1, sizeof(*argv));
	int r;

	for (size_t i = 0; i < a->operand_count; i++)
		argv[i] = a->operands[i];
	set_environment(run);
	fflush(run->cli->err);
	r = child_start(argv, &run->env, &child);
	if (r < 0) {
		fprintf(run->cli->err, "writ: %s\n", error_message());
		*ret_status =
			r == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
		return 0;
	}
	run->work.command = child;
	r = attend(run, child, ret_status);
	run->work.command = NULL;
	return r;
}

/* ---- after the command ---- */

/* What the command says it did, if it says so. */
static void report(struct run *run)
{
	CLEANUP(mem_free_p)
	char *path = scratch_path(run->scratch, effects_name);
	CLEANUP(buf_clear) struct buf text = BUF_INIT(EFFECTS_MAX);
	CLEANUP(json_put_p) json_t *effects = NULL;
	int code = CLI_OK;
	int r;

	if (!file_exists(path))
		return;
	r = file_read(path, &text);
	if (r == 0)
		r = json_parse(buf_slice(&text), EFFECTS_MAX, &effects);
	if (r == 0)
		r = work_report(&run->work, effects, &code);
	if (r < 0)
		fprintf(run->cli->err,
			"writ: what the command reported was not taken: %s\n",
			error_message());
}

static void end_task(struct run *run)
{
	FILE *err = run->cli->err;
	int code = CLI_OK;
	int r;

	if (run->work.over)
		return;
	report(run);
	r = work_complete(&run->work, &code);
	if (r < 0)
		fprintf(err,
			"writ: the task was not completed (%s); its lease ends "
			"it within %d s\n",
			error_message(), WORK_LEASE_S);
	else if (code == CLI_WAITING)
		fprintf(err,
			"writ: task %s is ending: not everything is confirmed "
			"as ended yet; see 'writ task show'\n",
			run->work.task);
	else if (code == CLI_OK)
		fprintf(err, "writ: task %s has ended\n", run->work.task);
}

/* ---- all of it ---- */

static int prepare(struct run *run, int *ret_exit)
{
	TRY(read_loans(run));
	TRY(scratch_open(&run->scratch));
	environment_copy(&run->env);
	forms_open(&run->forms, run->scratch, &run->env);
	TRY(client_open(&run->cli->settings, &run->work.client));
	TRY(check_agent(run, ret_exit));
	if (*ret_exit == CLI_OK)
		TRY(open_task(run, ret_exit));
	return 0;
}

/* With a task: whatever comes, it is ended. */
static int carry_out(struct run *run)
{
	int code = CLI_OK;
	int r = lend_all(run, &code);
	int stopped = child_stop_signal();

	if (r == 0 && code == CLI_OK && !stopped)
		r = run_command(run, &code);
	else if (stopped)
		code = 128 + stopped;
	if (r < 0)
		fprintf(run->cli->err, "writ: %s\n", error_message());
	end_task(run);
	if (stopped)
		return code;
	return r < 0 ? cli_exit_for_error(r) : code;
}

static int run_all(struct run *run)
{
	int code = CLI_OK;

	child_take_signals();
	TRY(prepare(run, &code));
	return code == CLI_OK ? carry_out(run) : code;
}

int cmd_run(struct cli *cli)
{
	CLEANUP(run_clear) struct run run = { .cli = cli };
	int r;

	/* Standard output is the command's. */
	cli->out = cli->err;
	run.work.cli = cli;
	/* Neither a core nor the command's look at our memory and environment
	 * (proc(5)) shows who we are, and what was lent. */
	discard(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	r = run_all(&run);
	discard(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	return r;
}
