/*
 * What a connector in C is made of.  A kind (LDAP, ...) fills one struct of
 * functions and calls connector_main(); the kit reads and checks the
 * configuration, speaks the protocol (docs/connector-protocol.md), verifies
 * every order against the log before apply() is called, and answers.
 *
 * One thread, one call after the other; functions may block.
 *
 * Three kinds of answer, never mixed up:
 *   a result    reply->result is set, 0 is returned
 *   a refusal   connector_refuse() was called, 0 is returned; nothing was
 *               changed at the target, certainly
 *   an error    a negative code of base/error.h is returned.  From plan() and
 *               read() it is told as "unavailable" ("too-large" for
 *               ERR_LIMIT); from apply() it is told as "unknown": the target
 *               may or may not have changed.
 */
#pragma once

#include "base/json.h"
#include "base/schema.h"

enum {
	CONNECTOR_DETAIL_MAX = 512,  /* bytes of words with the NUL */
	CONNECTOR_SURVEY_MAX = 1000, /* rows of one answer of a survey */
	CONNECTOR_PIPELINE = 16,     /* calls sent ahead unless a kind says */
};

/* One action of the kind; a row with action NULL ends the table. */
struct connector_action {
	const char *action;	   /* "AddToGroup" */
	const char *wire;	   /* "directory.group.add_member" */
	const char *resource_type; /* "DirectoryGroup" */
	const char *inverse;	   /* "RemoveFromGroup", NULL if none */
	const char *idempotency;   /* "natural" or "none" */
	bool takes; /* it only takes power away, so it may be an "end" */
};

/* What a connector says about itself. */
struct connector_info {
	const char *kind;    /* "ldap" */
	const char *version; /* WRIT_VERSION */
	const struct connector_action *actions;
	/* The target itself refuses an apply whose precondition is gone. */
	bool enforces_precondition;
	/* How many calls may be sent ahead of their answers; 0:
	 * CONNECTOR_PIPELINE.  An end that is asked for waits for those ahead
	 * of it, so a slow target wants few. */
	unsigned pipeline;
	/* The kind's own members of the configuration, ended by a row without
	 * a name.  The common ones (target, authority, approvers, drill) are
	 * the kit's and stand beside them in the same file. */
	const struct schema *config;
	/* The configuration may say "verifyOrders: false".  Only for a kind
	 * without effects. */
	bool may_skip_orders;
	/* It connects to its target over the network or a socket.  Without it
	 * the sandbox lets it connect to nothing. */
	bool connects;
	/* Dotted names of members of the configuration that name a file, NULL
	 * at the end: what the sandbox lets it read (files) and write (kept)
	 * besides the kit's own, each with its folder.  NULL for none. */
	const char *const *files;
	const char *const *kept;
	/* Those of files that hold a secret: the program does not start with
	 * one that is not there or is open to others. */
	const char *const *secrets;
};

/* What plan() and read() are asked; everything is borrowed for the call. */
struct connector_ask {
	const char *action; /* one of info->actions */
	const char *resource;
	const json_t *parameters; /* object */
	/* plan(): only what an end needs.  Nobody is counted: gains, loses and
	 * nestedIn are empty, blastRadius is 0; so nothing is too large.  Set
	 * only for an action that takes. */
	bool brief;
};

/* An order that was verified; everything is borrowed for the call. */
struct connector_order {
	const char *action;   /* one of info->actions */
	const char *resource; /* in normal form, see normalise() */
	const json_t *parameters;
	const json_t *precondition; /* as plan() gave it; NULL if it did not */
	const json_t *plan;	    /* the whole plan of the order */
	const char *purpose;	    /* "request", "end" or "drill" */
	uint64_t index;		    /* of the armed leaf */
};

struct connector_reply {
	json_t *result; /* owned by the kit once set; NULL for a refusal */
	char reason[32];
	char detail[CONNECTOR_DETAIL_MAX];
};

/* Reads more of the target than one action needs.  Refusals: "no-such-account",
 * "invalid", "unsupported". */
typedef int (*connector_survey_fn)(void *self, const json_t *params,
				   struct connector_reply *reply);

struct connector_ops {
	const struct connector_info *info;

	/*
	 * Takes the configuration, checked against info->config; config is
	 * borrowed for the life of the process.  Must not contact the target:
	 * a target that is down is told by check(), not by dying.
	 *
	 * ret_self: owned, given to every other function.
	 * Errors: any; the program ends with the message.
	 */
	int (*open)(const json_t *config, void **ret_self);
	void (*close)(void *self); /* accepts NULL */

	/* Can the target be reached with our credential?  A refusal says why
	 * not; a result is not needed. */
	int (*check)(void *self, struct connector_reply *reply);

	/*
	 * Reads the target and says what the action would change.
	 * reply->result: the plan of docs/connector-protocol.md.
	 * Refusals: "no-such-resource", "no-such-member", "out-of-base",
	 * "last-member", "wrong-type", "invalid", "too-large", "unavailable".
	 * The first two say that what an end would undo is gone: only for what
	 * would be seen if it were there.
	 */
	int (*plan)(void *self, const struct connector_ask *ask,
		    struct connector_reply *reply);

	/*
	 * Carries out a verified order, once, under its precondition.
	 * reply->result: connector_applied() or connector_no_change().
	 * Refusals: "precondition", "last-member", ...
	 */
	int (*apply)(void *self, const struct connector_order *order,
		     struct connector_reply *reply);

	/* Is the state after the action the case?
	 * reply->result: {"present", "state", "targetVersion"}. */
	int (*read)(void *self, const struct connector_ask *ask,
		    struct connector_reply *reply);

	/*
	 * Appends the one spelling of resource that plan() answers with; the
	 * kit refuses orders in any other, so that a name cannot slip past
	 * approvers.always.  NULL: names are compared as they are.
	 * Errors: ERR_SYNTAX for what cannot be a resource.
	 */
	int (*normalise)(void *self, const char *resource, struct buf *out);

	/* Methods that a kind need not have; NULL: "unsupported".  params were
	 * checked to have the members of docs/connector-protocol.md, which has
	 * the shapes of the results, too. */
	connector_survey_fn discover;
	connector_survey_fn entitlements;
	connector_survey_fn activity;
};

/* Makes reply a refusal and returns 0, so: return connector_refuse(...);
 * reason: one word of [a-z-].  format: words for operators. */
PRINTF_LIKE(3, 4)
int connector_refuse(struct connector_reply *reply, const char *reason,
		     const char *format, ...);

/* The results of apply(), owned.  observed: owned, what the target shows now,
 * such as {"member": true}; version may be NULL. */
json_t *connector_applied(json_t *observed, const char *version);
json_t *connector_no_change(void);

/*
 * The main function of a connector: "--config FILE" serves standard input and
 * output until its end, "--check FILE" only checks the configuration and warns
 * of files that it names and that are not there, "--help" and "--version"
 * print.  Returns the exit status.
 */
int connector_main(int argc, char **argv, const struct connector_ops *ops);
