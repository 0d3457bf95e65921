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
	WORK_STEP_S = 8, /* of one call that waits: the lease goes on between */
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

/* One credential that is asked for. */
struct work_ask {
	const char *what; /* as it is named to people; borrowed */
	json_t *request;  /* owned: as it was last seen; NULL: not yet asked */
	bool said;	  /* whom it waits for */
};
void work_ask_clear(struct work_ask *ask);

/* Whether it waits for its end. */
bool work_ask_is_open(const struct work_ask *ask);

/*
 * Asks for a credential; returns when people are asked, or it has ended.
 * Whatever keeps it from being lent, here and in what follows, is said on
 * standard error with its name and the id of its request, and sets ret_exit.
 * Here and there: ERR_UNAVAILABLE when to go on is of no use any more, since
 * the task is over, the command has ended, or a signal came.
 *
 * body: as POST /v1/requests takes it.
 */
MUST_USE int work_ask_for(struct work *w, struct work_ask *ask,
			  const json_t *body, int *ret_exit);

/* Says once whom it waits for, if it does. */
void work_ask_say(struct work *w, struct work_ask *ask);

/*
 * Says whom it waits for, and looks again at one that is open after at
 * most so many seconds.
 */
MUST_USE int work_ask_again(struct work *w, struct work_ask *ask, int wait_s,
			    int *ret_exit);

/* Fetches what one that is not open lent.
 * ret_loan: owned: {"request", "grant", "expires", "secret"}; json_wipe() it.
 */
MUST_USE int work_take(struct work *w, const struct work_ask *ask,
		       json_t **ret_loan, int *ret_exit);

/* All of that for one credential. */
MUST_USE int work_lend(struct work *w, const char *what, const json_t *body,
		       json_t **ret_loan, int *ret_exit);

/* Posts what the command says it did: {"effects": [...]}. */
MUST_USE int work_report(struct work *w, const json_t *effects, int *ret_exit);

/* Completes the task; ret_exit is CLI_WAITING if not everything is confirmed
 * as ended. */
MUST_USE int work_complete(struct work *w, int *ret_exit);

void work_clear(struct work *w);
