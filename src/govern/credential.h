/*
 * What a credential says that Writ signs itself: the part of leaf "issued" that
 * the keeper makes a token (RFC 9068) or an OpenSSH certificate from.  All of
 * it follows from the inventory, the task and the request, so that a plan made
 * again is the same plan.
 */
#pragma once

#include "govern/inventory.h"

enum credential_form { CREDENTIAL_TOKEN, CREDENTIAL_SSH };

enum {
	CREDENTIAL_TOKEN_S = 3600, /* longest life of an access token */
	CREDENTIAL_TOKEN_DEFAULT_S = 300,
	CREDENTIAL_SSH_S = 24 * 3600, /* of a certificate */
	CREDENTIAL_SSH_DEFAULT_S = 900,
	CREDENTIAL_WHY_MAX = 256, /* bytes of why not, with NUL */
};

/* "token", "ssh". */
const char *credential_form_name(enum credential_form form);

/* The form that a Target issues; false if it issues nothing. */
bool credential_form_of(const json_t *target_spec,
			enum credential_form *ret_form);

/* Who asks for what; all borrowed. */
struct credential_ask {
	const struct inventory *inventory;
	const char *issuer; /* "iss" of tokens */
	const char *target; /* name of the Target that issues */
	const char *agent;
	const json_t *chain; /* agents above it, outermost first; or NULL */
	const char *task;
	const char *role;	  /* scope, or principal */
	const json_t *parameters; /* of the request; or NULL */
	int64_t ttl_s;
};

/* Why nothing is signed for it. */
struct credential_fault {
	const char *reason; /* one word: "invalid", "no-such-resource" */
	char detail[CREDENTIAL_WHY_MAX];
};

/*
 * The payload, owned; NULL with why: the Target issues nothing, does not have
 * the role, wants a binding, or a parameter is not right.
 *
 * parameters: of a token "cnf", "scope" and "authorizationDetails"; of a
 *   certificate "publicKey".
 */
json_t *credential_payload(const struct credential_ask *ask,
			   struct credential_fault *ret_fault);

/* Who an agent is as "sub" and "client_id" of a token (RFC 9068, 2.2): its
 * SPIFFE ID, else "urn:writ:agent:NAME", since what issuers of others call
 * their workloads is not unique here; owned.  NULL if there is no such agent.
 */
char *credential_client(const struct inventory *inv, const char *agent);
/* What its own platform calls an agent, as "sub" of an actor, and where that
 * name comes from, as "iss" of it; owned.  NULL if there is no such agent. */
char *credential_subject(const struct inventory *inv, const char *agent,
			 char **ret_namespace);

/* Appends what is wrong with "issues" of a Target and "ssh" of its resources:
 * {"at", "detail"} each, at as given. */
void credential_check(const char *at, const json_t *target_spec,
		      json_t *faults);
