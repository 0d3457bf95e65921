/*
 * Manifests: the inventory as it is written and signed.  One table row per
 * kind says its members, who must sign and what it may refer to.
 *
 *   kind: Agent
 *   metadata: { name: hr-bot }
 *   spec: { owner: alice, ... }
 */
#pragma once

#include "base/schema.h"
#include "crypto/digest.h"

enum manifest_kind {
	MANIFEST_PLANE,
	MANIFEST_DOMAIN,
	MANIFEST_GROUP,
	MANIFEST_HUMAN,
	MANIFEST_TRUST_DOMAIN,
	MANIFEST_AGENT,
	MANIFEST_TARGET,
	MANIFEST_TASK_CLASS,
	MANIFEST_POLICY_BUNDLE,
	MANIFEST_DETECTOR,
	MANIFEST_CHANGE_FREEZE,
	MANIFEST_KIND_COUNT,
};

const char *manifest_kind_name(enum manifest_kind kind);
/* The members of spec, for documentation. */
const struct schema *manifest_kind_spec(enum manifest_kind kind);
/* False for no such kind. */
bool manifest_kind_find(const char *name, enum manifest_kind *ret_kind);

/*
 * Checks one manifest by itself: shape, names, limits.
 *
 * places: borrowed, NULL for JSON.
 * ret_faults: owned array of {"at", "detail"}.
 */
void manifest_check(const json_t *manifest, const struct yaml_places *places,
		    json_t **ret_faults);

/* "Kind/name"; owned.  The manifest has been checked. */
char *manifest_id(const json_t *manifest);
/* Sets each of an array of manifests under its id; later ones replace. */
void manifests_put(json_t *all, const json_t *manifests);

/* SHA-256 of the RFC 8785 form. */
struct digest manifest_digest(const json_t *manifest);

/*
 * Orders manifests by kind and name and gives the digest that is signed:
 * SHA-256 of the RFC 8785 form of {"manifests": [...], "prune": flag}.
 *
 * ret_ordered: owned array, may be NULL.
 */
struct digest manifest_set_digest(const json_t *manifests, bool prune,
				  json_t **ret_ordered);

/*
 * What changes between two forms of a manifest: owned array of {"path", "old",
 * "new"} with JSON pointers below spec; old or new is absent.
 */
json_t *manifest_diff(const json_t *old, const json_t *new);
