/*
 * Whose an identity is: what TrustDomains may say, and the rules by which the
 * claims of an OIDC token select an agent.  At most one agent may fit a token;
 * two whose rules could fit the same one are not taken together.
 *
 * A rule names claims: "sub" for a member of the token, or a JSON pointer
 * (RFC 6901) such as "/kubernetes.io/namespace" for one that lies deeper.  All
 * of them must be texts and equal one of the values the rule has for them.
 */
#pragma once

#include "base/json.h"

enum {
	IDENTITY_VALUES_MAX = 64, /* of one claim of a rule */
	IDENTITY_SHARED_MAX = 64, /* rules that share the value that selects */
};

struct identities;

/*
 * Builds the rules of all agents from manifests ("Kind/name" to manifest, each
 * of the right shape, borrowed for its life) and checks what TrustDomains and
 * Agents say about identities.
 *
 * faults: {"at", "detail"} are appended.
 * Returns: owned.
 */
struct identities *identities_new(const json_t *manifests, json_t *faults);
void identities_free(struct identities *ids);
DEFINE_CLEANUP(struct identities *, identities_free)

/*
 * The name of the agent whose rules fit the claims of an issuer's token, NULL
 * if there is none.
 * ret_several: more than one fits (then NULL is returned).
 */
const char *identities_agent(const struct identities *ids, const char *issuer,
			     const json_t *claims, bool *ret_several);
