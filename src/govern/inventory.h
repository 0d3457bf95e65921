/*
 * The inventory as decisions see it: an immutable snapshot of all manifests,
 * checked against each other, with the look-ups that requests need.  Changing
 * it makes another snapshot; readers keep the one they hold.
 */
#pragma once

#include "govern/manifest.h"

struct inventory;

/*
 * Builds a snapshot from an object of "Kind/name" to manifest; each manifest
 * has passed manifest_check().
 *
 * ret_faults: owned array of {"at": "Kind/name", "detail"}; references that do
 *   not hold, an agent whose identity another has, ...
 * ret_inventory: owned reference, NULL when there are faults.
 */
void inventory_build(json_t *manifests, struct inventory **ret_inventory,
		     json_t **ret_faults);
struct inventory *inventory_ref(struct inventory *inv);
void inventory_unref(struct inventory *inv);
DEFINE_CLEANUP(struct inventory *, inventory_unref)

/* All manifests: "Kind/name" to manifest.  Borrowed. */
const json_t *inventory_manifests(const struct inventory *inv);

/* The manifest, or its spec; borrowed, NULL if there is none. */
const json_t *inventory_find(const struct inventory *inv,
			     enum manifest_kind kind, const char *name);
const json_t *inventory_spec(const struct inventory *inv,
			     enum manifest_kind kind, const char *name);

/* Borrowed names; NULL if nobody has it.  The claims of a genuine token may
 * fit the rules of several agents: then it is nobody's, see identity.h. */
const char *inventory_agent_of(const struct inventory *inv,
			       const char *spiffe_id);
const char *inventory_agent_of_claims(const struct inventory *inv,
				      const char *issuer, const json_t *claims,
				      bool *ret_several);
const char *inventory_owner_of_account(const struct inventory *inv,
				       const char *account, bool *ret_agent);

/* Active, and for agents also unexpired. */
bool inventory_human_is_active(const struct inventory *inv, const char *human);

/* Why an agent may not act at now_ms, or NULL: no such agent, suspended,
 * expired, without an active owner.  Static text. */
const char *inventory_agent_fault(const struct inventory *inv,
				  const char *agent, int64_t now_ms);

/* A name of an account or resource in the one spelling in which such names are
 * compared; owned. */
char *inventory_spelling(const char *name);

/* True if a ChangeFreeze is in force at now_ms for a domain. */
bool inventory_is_frozen(const struct inventory *inv, const char *domain,
			 int64_t now_ms);

/* True if human is in group, nested groups included. */
bool inventory_is_member(const struct inventory *inv, const char *human,
			 const char *group);

/* Humans in group, nested groups included, in order of name: fills names up to
 * max and returns how many. */
size_t inventory_members(const struct inventory *inv, const char *group,
			 const char **names, size_t max);

/* Active administrators that have a key. */
size_t inventory_administrators(const struct inventory *inv);

enum { TIER_HIGHEST = 3, SENSITIVITY_HIGHEST = 4 };

/* What a target's rules make of a resource. */
struct classification {
	int tier;
	int sensitivity;
	const char *environment; /* borrowed from the inventory */
	const char *plane;
	const char *domain;
	bool sign_off;
	bool matched; /* a rule fitted; otherwise all is the highest */
};

/*
 * Classifies a resource by the first rule that fits; with nested_in (array of
 * ids, may be NULL) tier, sensitivity and sign-off are the highest over all.
 * False if there is no such target.
 */
bool inventory_classify(const struct inventory *inv, const char *target,
			const char *type, const char *resource,
			const json_t *nested_in,
			struct classification *ret_classification);

/* The Cedar entity of a TaskClass with this spec; owned. */
json_t *inventory_class_entity(const char *name, const json_t *spec);

/* The Cedar entities of all that policies may look at, as an owned array. */
json_t *inventory_entities(const struct inventory *inv);
