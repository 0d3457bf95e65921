/*
 * What a person reads before signing.  The digest that is signed is computed
 * here from the very text that is shown; what the authority says it should be
 * must be equal.
 */
#pragma once

#include <stdio.h>

#include "base/json.h"
#include "crypto/digest.h"

/*
 * Takes a plan for request id apart.
 *
 * text: the canonical text of the plan.
 * claimed: the digest that the authority names.
 * ret_plan: owned.  ret_digest: computed from text.
 * Errors: ERR_CORRUPT (not canonical, another digest, another request),
 * ERR_LIMIT.
 */
MUST_USE int review_plan(const char *text, const char *claimed, const char *id,
			 json_t **ret_plan, char ret_digest[DIGEST_TEXT_LEN]);

/*
 * Computes the digest of manifests (SHA-256 over the canonical set).
 * prune: what is not among them is removed.
 * claimed: what the authority says; NULL to compute only.
 * Errors: ERR_CORRUPT (another digest), ERR_SYNTAX (a real number).
 */
MUST_USE int review_manifests(const json_t *manifests, bool prune,
			      const char *claimed,
			      char ret_digest[DIGEST_TEXT_LEN]);

/* Shows a plan with its digest. */
void review_show_plan(FILE *out, bool colour, const json_t *plan,
		      const char *digest);

/* Shows the operations [{"op","kind","name","changes":[{"path","old",
 * "new"}]}] of a change; returns how many are not "unchanged". */
size_t review_show_diff(FILE *out, bool colour, const json_t *diff);
