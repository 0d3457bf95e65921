/*
 * The questions put to policy, built from what the authority itself knows.
 * Nothing an agent says becomes a fact except what it asks for.
 *
 * Each fact has one row in facts_table: where it comes from, and what is taken
 * when it is not known, which is always the value that permits least.
 */
#pragma once

#include "govern/inventory.h"
#include "policy/question.h"

/* name, source, value when unknown */
#define FACTS(ROW)                                                             \
	ROW("now", "clock", "refused while the clock is unsound")              \
	ROW("local", "clock in the zone of the class's owner",                 \
	    "a Sunday, 0 h")                                                   \
	ROW("changeFreeze", "the ChangeFreezes in the inventory", "true")      \
	ROW("exception", "signed break-glass of the task", "absent")           \
	ROW("attested", "the verified token of this call", "false")            \
	ROW("mode", "the request", "a request without one is refused")         \
	ROW("task", "the task the request names", "refused")                   \
	ROW("covered", "the class at opening and now", "false")                \
	ROW("monitored", "detectors the class names", "false")                 \
	ROW("ttl", "the request, lowered by the authority", "refused")         \
	ROW("reversible", "the last drill of connector, action, target",       \
	    "false")                                                           \
	ROW("blastRadius", "the plan", "the largest")                          \
	ROW("gainsHumans", "the plan and the accounts in the inventory", "-")  \
	ROW("gainsAgents", "the plan and the accounts in the inventory", "-")  \
	ROW("selfDealing", "the plan and the owners in the inventory", "true") \
	ROW("ownRollback", "the execution the request undoes", "false")        \
	ROW("evidence", "vouchers, records and plans in the log", "absent")    \
	ROW("approvals", "signatures over this plan", "none")                  \
	ROW("risk", "live signals of enrolled detectors",                      \
	    "score 100, signals 0")                                            \
	ROW("delegation", "the chain of tasks", "not attenuated")              \
	ROW("chainHealthy", "agents of the chain", "false")                    \
	ROW("planes", "targets the task has touched, and this one", "-")       \
	ROW("planeCount", "the same", "-")                                     \
	ROW("counters", "requests of the agent in 24 hours", "the largest")

struct fact_row {
	const char *name;
	const char *source;
	const char *unknown;
};

/* The table of facts, for documentation and tests. */
const struct fact_row *facts_table(size_t *ret_count);

/* What is known about one request when it is decided. */
struct facts {
	int64_t now_ms;
	int weekday; /* 1 = Monday, in the class owner's zone */
	int hour;
	bool change_freeze;
	bool attested;
	bool recommend; /* mode */
	bool covered;
	bool monitored;
	int64_t ttl_s;
	bool reversible;
	int64_t blast_radius;
	const json_t *gains_humans; /* arrays of names, borrowed */
	const json_t *gains_agents;
	bool self_dealing;
	bool own_rollback;
	const json_t *evidence;	 /* array of kinds */
	const json_t *approvals; /* object: group -> count */
	int risk_score;
	int risk_signals;
	const json_t *exception; /* {"id", "tierCap", "expiresMs", "signers"},
				    NULL for none */
	const json_t *planes;	 /* array of names */
	int64_t plane_count;	 /* of the whole chain; 0: those of planes */
	int64_t depth;		 /* of who acts; for Delegate, the receiver's */
	const json_t *chain;	 /* array of the agents above, NULL for none */
	bool attenuated;	 /* no link of the chain is wider than that
				    above it */
	bool chain_healthy;	 /* of the agents above */
	int64_t privileged_24h;
	int64_t irreversible_24h;
	int64_t planes_24h;
};

/* The facts that permit least; a decision starts from these. */
void facts_init(struct facts *f);

/* The thing acted on. */
struct ask_resource {
	const char *type; /* Cedar type without namespace */
	const char *target;
	const char *id;
	struct classification class;
};

/* Who asks, inside what. */
struct ask_task {
	const char *agent;
	const char *task; /* id */
	const char *class;
	const json_t *planes; /* declared: array of names */
	int64_t expires_ms;
};

/*
 * An agent's request for an action, with the pending Request entity that the
 * Approve questions are about.
 *
 * barred: array of names of humans.
 * Returns an owned ask.
 */
json_t *ask_action(const char *action, const struct ask_task *task,
		   const struct ask_resource *resource, const struct facts *f,
		   const json_t *barred, int64_t request_expires_ms);

/* What ask_action() says, as typed facts; borrows from all it was made of. */
struct ask_typed {
	struct policy_question question;
	const char **names;	     /* owned: the lists' elements */
	struct policy_count *counts; /* owned */
	char *resource;		     /* owned */
};

/*
 * Fills ret with the question of ask_action() on the same arguments, which must
 * outlive it.  False if it has facts that only the general form can say; ret is
 * to be cleared in any case.
 */
bool ask_typed_init(struct ask_typed *ret, const char *action,
		    const struct ask_task *task,
		    const struct ask_resource *resource, const struct facts *f,
		    const json_t *barred, int64_t request_expires_ms);
void ask_typed_clear(struct ask_typed *t);

/* An agent opens a task. */
json_t *ask_open_task(const struct ask_task *task, const struct facts *f);

/* An agent hands a part of its task to another, receiver.  task: the one that
 * is delegated from; f->ttl_s and f->depth are those of the part. */
json_t *ask_delegate(const struct ask_task *task, const char *receiver,
		     const struct facts *f);

/* A human approves for a group. */
json_t *ask_approve(const char *human, const char *group, bool step_up,
		    const struct ask_task *task, const json_t *barred,
		    int64_t now_ms, int64_t request_expires_ms);

/* A human changes inventory or policy; signatures: distinct administrators
 * who signed. */
json_t *ask_administer(const char *human, const char *kind, bool containing,
		       int64_t now_ms, int64_t signatures);
