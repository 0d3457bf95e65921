/*
 * Counting signatures.  A human counts once per request, for one group; who
 * owns, gains or vouched does not count at all.
 */
#pragma once

#include "govern/inventory.h"

/*
 * Who may not approve: owners of the agent and of the task's class, who gains
 * and the owners of agents that gain, who vouched.
 *
 * gains_humans, gains_agents, vouched: arrays of names, may be NULL.
 * Returns an owned array of names in order.
 */
json_t *approval_barred(const struct inventory *inv, const char *agent,
			const char *class, const json_t *gains_humans,
			const json_t *gains_agents, const json_t *vouched);

/*
 * What the signatures so far come to: owned object group -> count.
 *
 * approvals: array of {"human", "group", "decision", ...}; those of humans who
 *   are no longer active, no longer members, or barred do not count.  One that
 *   was given in the place of its group has the member "insteadBy", the group
 *   that its human must be a member of.
 */
json_t *approval_count(const struct inventory *inv, const json_t *approvals,
		       const json_t *barred);

/*
 * True if the key that made an approval ("fingerprint") is still one of its
 * human's: what was signed with a key that was taken away does not count.
 */
bool approval_key_stands(const struct inventory *inv, const json_t *approval);

/* True if human has signed already, for whichever group. */
bool approval_has(const json_t *approvals, const char *human);
