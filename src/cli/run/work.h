/*
 * The task behind `writ run`, as the authority has it: opened with a lease,
 * kept alive, completed.  Each call that acts takes the agent's token anew from
 * where it comes from, since a token serves once.
 */
#pragma once

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/run/child.h"

enum {
	WORK_LEASE_S = 30,
	WORK_RENEW_MS = 10 * 1000, /* between renewals */
};

struct work {
	struct cli *cli;
	struct client *client;
	char *task; /* id; NULL before it is open */
	int64_t expires_ms;
	int64_t renew_at_ms; /* boot clock */
	int64_t leased_ms;   /* boot clock: until then it surely lives */
	const char *over; /* static words: why the task is no more, or NULL */
	const struct child *command; /* borrowed; NULL while there is none */
};

/* Who we are: the agent's name; owned.  ret_exit: as exchange_call(). */
MUST_USE int work_who(struct work *w, char **ret_agent, int *ret_exit);

/* body: as POST /v1/tasks takes it. */
MUST_USE int work_open(struct work *w, const json_t *body, int *ret_exit);

/* Renews the lease if it is time; sets over when the task has ended.  That the
 * authority cannot be reached is no error while the lease lasts. */
void work_renew(struct work *w);

/* What a target can lend: GET /v1/targets/{name}; owned. */
MUST_USE int work_target(struct work *w, const char *target,
			 json_t **ret_target, int *ret_exit);

/*
 * Asks for a credential, waits while people are asked, as long as the task
 * lives and the command, if there is one, runs, and fetches it.
 *
 * ret_loan: owned: {"request", "grant", "expires", "secret"}; json_wipe() it.
 */
MUST_USE int work_lend(struct work *w, const json_t *body, json_t **ret_loan,
		       int *ret_exit);

/* Posts what the command says it did: {"effects": [...]}. */
MUST_USE int work_report(struct work *w, const json_t *effects, int *ret_exit);

/* Completes the task; ret_exit is CLI_WAITING if not everything is confirmed
 * as ended. */
MUST_USE int work_complete(struct work *w, int *ret_exit);

void work_clear(struct work *w);
