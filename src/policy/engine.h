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
	json_t *links; /* id of a link -> element of its template */
	unsigned references;
};

struct policy_world {
	struct writ_cedar_world *world;
	unsigned references;
};

/*
 * Copies that share all they can.  Without: a policy, invariant or template is
 * not there.  Watched: which policies decide is noted, also by copies of it.
 * Errors: ERR_BROKEN.
 */
MUST_USE int bundle_without(const struct policy_bundle *b, const char *id,
			    struct policy_bundle **ret_less);
MUST_USE int bundle_watch(const struct policy_bundle *b,
			  struct policy_bundle **ret_watched);
/* What was noted since the last time: owned array of ids. */
MUST_USE int bundle_watched(const struct policy_bundle *b, json_t **ret_ids);

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
 * The same from typed facts; *ret_general instead where they do not do and the
 * ask must be put in its general form.
 */
MUST_USE int question_open_typed(const struct policy_bundle *b,
				 const struct policy_world *w,
				 const struct policy_question *typed,
				 bool *ret_general,
				 struct question *ret_question);

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
