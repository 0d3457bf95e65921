#include "cli/run/work.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/exchange.h"
#include "cli/outcome.h"

static const char stopped[] = "stopped by a signal";

/* The next call goes with a token that has not served, if there is one. */
static int fresh_token(struct work *w)
{
	struct settings *s = &w->cli->settings;

	TRY(settings_renew_token(&w->cli->args, s));
	client_set_token(w->client, s->token);
	return 0;
}

static int post(struct work *w, const char *path, const json_t *body,
		int64_t wait_ms, struct client_answer *a, int *ret_exit)
{
	TRY(fresh_token(w));
	return exchange_post(w->cli, w->client, path, body, wait_ms, a,
			     ret_exit);
}

/* ---- the task ---- */

int work_who(struct work *w, char **ret_agent, int *ret_exit)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };

	TRY(fresh_token(w));
	TRY(exchange_get(w->cli, w->client, "/v1/whoami", &a, ret_exit));
	*ret_agent = mem_str(json_text(a.json, "name", ""));
	return 0;
}

int work_open(struct work *w, const json_t *body, int *ret_exit)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	int64_t now = clock_boot_ms();

	TRY(post(w, "/v1/tasks", body, 0, &a, ret_exit));
	if (*ret_exit != CLI_OK)
		return 0;
	w->task = mem_str(json_text(a.json, "id", ""));
	w->renew_at_ms = now + WORK_RENEW_MS;
	w->leased_ms = now + WORK_LEASE_S * 1000;
	return clock_parse(json_text(a.json, "expires", ""), &w->expires_ms);
}

static char *task_path(const struct work *w, const char *suffix)
{
	return exchange_path("/v1/tasks", w->task, suffix);
}

static void note_renewal(struct work *w, int64_t asked_ms, int r,
			 const struct client_answer *a)
{
	w->renew_at_ms = clock_boot_ms() + WORK_RENEW_MS;
	if (r == 0 && a->status == 200)
		w->leased_ms = asked_ms + WORK_LEASE_S * 1000;
	else if (r == 0 && (a->status == 404 || a->status == 409))
		w->over = "the authority has ended the task";
	else if (clock_boot_ms() >= w->leased_ms)
		w->over = "the lease could not be renewed";
	else
		w->renew_at_ms = clock_boot_ms() + WORK_RENEW_MS / 10;
}

void work_renew(struct work *w)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p) char *path = NULL;
	struct client_call call = { .method = "POST" };
	int64_t asked_ms = clock_boot_ms();
	int r;

	if (w->over || asked_ms < w->renew_at_ms)
		return;
	path = task_path(w, "/lease");
	call.path = path;
	r = fresh_token(w);
	if (r == 0)
		r = client_call(w->client, &call, &a);
	note_renewal(w, asked_ms, r, &a);
}

int work_report(struct work *w, const json_t *effects, int *ret_exit)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p) char *path = task_path(w, "/effects");

	return post(w, path, effects, 0, &a, ret_exit);
}

int work_complete(struct work *w, int *ret_exit)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p) char *path = task_path(w, "/complete");
	CLEANUP(json_put_p) json_t *body = json_object();

	TRY(fresh_token(w));
	TRY(exchange_ask(w->cli, w->client, path, body, &a, ret_exit));
	if (*ret_exit == CLI_OK && a.status == 202)
		*ret_exit = CLI_WAITING;
	return 0;
}

void work_clear(struct work *w)
{
	client_close(w->client);
	free(w->task);
	w->client = NULL;
	w->task = NULL;
}

/* ---- credentials ---- */

int work_target(struct work *w, const char *target, json_t **ret_target,
		int *ret_exit)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/targets", target, "");

	TRY(fresh_token(w));
	TRY(exchange_get(w->cli, w->client, path, &a, ret_exit));
	*ret_target = json_incref(a.json);
	return 0;
}

void work_ask_clear(struct work_ask *ask)
{
	json_decref(TAKE(ask->request));
}

bool work_ask_is_open(const struct work_ask *ask)
{
	return outcome_is_open(json_text(ask->request, "state", ""));
}

void work_ask_say(struct work *w, struct work_ask *ask)
{
	const json_t *groups = json_object_get(ask->request, "waitingFor");
	const char *group;
	json_t *count;

	if (ask->said || !json_object_size(groups))
		return;
	ask->said = true;
	fprintf(w->cli->err, "writ: --with %s: %s waits for approval by",
		ask->what, json_text(ask->request, "id", "?"));
	json_object_foreach((json_t *)(uintptr_t)groups, group, count)
		fprintf(w->cli->err, " %s", group);
	fputs("\n", w->cli->err);
	fflush(w->cli->err);
}

static const char *why_not(struct work *w)
{
	if (child_stop_signal())
		return stopped;
	if (w->command && child_is_over(w->command))
		return "the command has ended";
	return w->over;
}

/* The calls before have said what the authority answered. */
static void say_not_lent(struct work *w, const struct work_ask *ask)
{
	const char *id = json_text(ask->request, "id", NULL);

	if (id)
		fprintf(w->cli->err,
			"writ: --with %s was not lent: request %s is %s\n",
			ask->what, id, json_text(ask->request, "state", "?"));
	else
		fprintf(w->cli->err, "writ: --with %s was not lent\n",
			ask->what);
}

/* Keeps what was answered; one that has ended other than well is the end. */
static void note(struct work *w, struct work_ask *ask,
		 const struct client_answer *a, int *ret_exit)
{
	json_t *inner = json_object_in(a->json, "request");

	if (*ret_exit == CLI_OK || inner) {
		work_ask_clear(ask);
		ask->request = json_incref(inner ? inner : a->json);
	}
	if (*ret_exit == CLI_OK && work_ask_is_open(ask))
		return;
	if (*ret_exit == CLI_OK)
		*ret_exit = outcome_exit(json_text(ask->request, "state", ""));
	if (*ret_exit == CLI_OK)
		return;
	say_not_lent(w, ask);
	outcome_say_why(w->cli, ask->request);
}

int work_ask_for(struct work *w, struct work_ask *ask, const json_t *body,
		 int *ret_exit)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = mem_format("/v1/requests?wait=%d", WORK_STEP_S);

	if (why_not(w))
		return error_set(ERR_UNAVAILABLE, "%s", why_not(w));
	work_renew(w);
	TRY(post(w, path, body, WORK_STEP_S * 1000, &a, ret_exit));
	note(w, ask, &a, ret_exit);
	return 0;
}

int work_ask_again(struct work *w, struct work_ask *ask, int wait_s,
		   int *ret_exit)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p) char *suffix = mem_format("?wait=%d", wait_s);
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/requests",
				   json_text(ask->request, "id", ""), suffix);
	struct client_call call = { .method = "GET",
				    .path = path,
				    .wait_ms = wait_s * 1000 };

	if (!work_ask_is_open(ask))
		return 0;
	if (why_not(w))
		return error_set(ERR_UNAVAILABLE, "%s", why_not(w));
	work_ask_say(w, ask);
	work_renew(w);
	TRY(fresh_token(w));
	TRY(exchange_call(w->cli, w->client, &call, &a, ret_exit));
	note(w, ask, &a, ret_exit);
	return 0;
}

int work_take(struct work *w, const struct work_ask *ask, json_t **ret_loan,
	      int *ret_exit)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path(
		"/v1/requests", json_text(ask->request, "id", ""), "/secret");

	TRY(fresh_token(w));
	TRY(exchange_ask(w->cli, w->client, path, NULL, &a, ret_exit));
	if (*ret_exit != CLI_OK)
		say_not_lent(w, ask);
	*ret_loan = json_incref(a.json);
	mem_wipe(a.body.data, a.body.len);
	return 0;
}

int work_lend(struct work *w, const char *what, const json_t *body,
	      json_t **ret_loan, int *ret_exit)
{
	CLEANUP(work_ask_clear) struct work_ask ask = { .what = what };

	TRY(work_ask_for(w, &ask, body, ret_exit));
	while (*ret_exit == CLI_OK && work_ask_is_open(&ask))
		TRY(work_ask_again(w, &ask, WORK_STEP_S, ret_exit));
	if (*ret_exit != CLI_OK)
		return 0;
	return work_take(w, &ask, ret_loan, ret_exit);
}
