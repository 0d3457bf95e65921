/*
 * Inside the policy layer: what a bundle and a world are made of, and one
 * question to the engine.
 */
#pragma once

#include "engine/cedar/include/writ_cedar.h"
#include "policy/policy.h"

enum {
	POLICY_FILES_MAX = 8 << 20,   /* bytes of a bundle's texts, packed */
	POLICY_WORLD_MAX = 256 << 20, /* bytes of a world's entities, packed */
	POLICY_ASK_MAX = 4 << 20,     /* bytes of one ask, packed */
	POLICY_BOTH = WRIT_CEDAR_POLICIES | WRIT_CEDAR_INVARIANTS,
};

struct policy_bundle {
	const struct writ_cedar *snapshot;
	struct digest digest;
	json_t *files; /* as built from */
	json_t *about; /* writ_cedar_describe() */
	json_t *by_id; /* id -> element of about.policies */
	unsigned references;
};

struct policy_world {
	struct writ_cedar_world *world;
	unsigned references;
};

/* A question ready to be asked often. */
struct question {
	struct writ_cedar_query *query;
	unsigned evaluations;
};

/*
 * Prepares an ask.  w may be NULL.
 * Errors: ERR_SYNTAX for one the schema does not know, ERR_LIMIT, ERR_BROKEN.
 */
MUST_USE int question_open(const struct policy_bundle *b,
			   const struct policy_world *w, const json_t *ask,
			   struct question *ret_question);
void question_close(struct question *q);

/*
 * Asks it, or a variant of it.
 *
 * variant: NULL for the ask as it is.
 * parts: WRIT_CEDAR_POLICIES | WRIT_CEDAR_INVARIANTS.
 * ret_answer: texts borrowed until q is asked again.
 * Errors: ERR_SYNTAX for a variant that does not fit, ERR_BROKEN.
 */
MUST_USE int question_ask(struct question *q,
			  const struct writ_cedar_variant *variant, int parts,
			  struct writ_cedar_answer *ret_answer);

/* Turns an engine's code and message into ours; 0 stays 0. */
int engine_error(int code, const struct writ_cedar_error *error);

/* Owned array of the texts. */
json_t *texts_of(const char *const *texts, size_t count);
