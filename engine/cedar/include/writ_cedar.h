/*
 * The Cedar engine: a Rust static library behind plain C.
 *
 * Values come in packed: JSON written as a type byte and its content, integers
 * in the machine's byte order, so that nothing is escaped, printed or scanned:
 *
 *   'n' 'f' 't'       null, false, true
 *   'i' i64           integer
 *   's' u32 bytes     text, UTF-8
 *   'a' u32 values    array of that many values
 *   'o' u32 members   object: each member u32 bytes (the name), then a value
 *
 * A snapshot is immutable and reference counted, and may be used by several
 * threads; a world is immutable; a query belongs to one thread.  Destructors
 * accept NULL.  Nothing here allows by failing: a question that cannot be
 * prepared has no query, and a policy that errs denies.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WRIT_CEDAR_SYNTAX = -1,	 /* what was given does not fit */
	WRIT_CEDAR_BROKEN = -2,	 /* the engine panicked; nothing is set */
	WRIT_CEDAR_GENERAL = -3, /* typed facts do not do: ask in JSON's form */
};

struct writ_cedar;	 /* a snapshot */
struct writ_cedar_world; /* entities that many questions share */
struct writ_cedar_query; /* one question */

/* A message, cut off silently; set whenever a function returns non-zero. */
struct writ_cedar_error {
	char text[400];
};

/* ---- snapshots
 * --------------------------------------------------------------- */

/*
 * Builds from {"schema": text, "policies": {file: text}, "invariants": text,
 * "templates": text}.  Each policy is named by its @id.  Validation is strict,
 * warnings are faults, and no policy may dereference an entity it names
 * literally.  Policies of the files shadow.cedar and *.shadow.cedar are
 * shadows: told about, never obeyed.
 *
 * ret_snapshot: owned; NULL when there are faults.
 * ret_faults: owned JSON text, an array of {"policy"?, "file"?, "line"?,
 *   "detail"}.
 */
int writ_cedar_build(const uint8_t *files, size_t len,
		     const struct writ_cedar **ret_snapshot, char **ret_faults,
		     struct writ_cedar_error *error);

/* A copy with links: [{"id", "template", "principal" | "resource"}]. */
int writ_cedar_link(const struct writ_cedar *snapshot, const uint8_t *links,
		    size_t len, const struct writ_cedar **ret_snapshot,
		    struct writ_cedar_error *error);

/* A copy in which a policy, invariant or template is not there: cheap, for
 * asking whether it would be missed. */
int writ_cedar_without(const struct writ_cedar *snapshot, const char *id,
		       const struct writ_cedar **ret_snapshot,
		       struct writ_cedar_error *error);

/* A copy that notes which policies decide what it is asked, also through copies
 * made of it; and what it noted since the last time, as owned JSON text: an
 * array of ids. */
int writ_cedar_watch(const struct writ_cedar *snapshot,
		     const struct writ_cedar **ret_snapshot,
		     struct writ_cedar_error *error);
int writ_cedar_watched(const struct writ_cedar *snapshot, char **ret_json,
		       struct writ_cedar_error *error);

const struct writ_cedar *writ_cedar_ref(const struct writ_cedar *snapshot);
void writ_cedar_unref(const struct writ_cedar *snapshot);

/*
 * For people and for checks of style, as owned JSON text: {"policies": [{"id",
 * "title", "effect", "set": "policies|invariants|shadows|templates|links",
 * "text",
 * "reads": [members of context], "readsInUnless": [...]}], "enumerations":
 * {type: [members]}}.
 */
int writ_cedar_describe(const struct writ_cedar *snapshot, char **ret_json,
			struct writ_cedar_error *error);
void writ_cedar_text_free(char *text);

/* ---- the world
 * ---------------------------------------------------------------- */

/* entities: array in Cedar's JSON form with __entity and __extn spelt out,
 * checked against the snapshot's schema.  The world outlives its queries. */
int writ_cedar_world_build(const struct writ_cedar *snapshot,
			   const uint8_t *entities, size_t len,
			   struct writ_cedar_world **ret_world,
			   struct writ_cedar_error *error);
void writ_cedar_world_free(struct writ_cedar_world *world);

/* ---- questions
 * ----------------------------------------------------------------- */

/*
 * Prepares {"principal", "action", "resource", "context", "entities"}: request
 * and entities are checked against the schema, and what they reach in the world
 * is gathered.
 *
 * world: may be NULL.
 */
int writ_cedar_query_new(const struct writ_cedar *snapshot,
			 const struct writ_cedar_world *world,
			 const uint8_t *ask, size_t len,
			 struct writ_cedar_query **ret_query,
			 struct writ_cedar_error *error);
void writ_cedar_query_free(struct writ_cedar_query *query);

struct policy_question; /* policy/question.h */

/*
 * The same from typed facts of the governance schema, for a fraction of the
 * cost: nothing is parsed, and what cannot be wrong is not checked again.
 *
 * Returns WRIT_CEDAR_GENERAL for a schema whose questions are made in another
 * way, or a world that has what a question brings itself.
 */
int writ_cedar_question_new(const struct writ_cedar *snapshot,
			    const struct writ_cedar_world *world,
			    const struct policy_question *question,
			    struct writ_cedar_query **ret_query,
			    struct writ_cedar_error *error);

/* Whether a human approves the question's pending request for a group. */
int writ_cedar_question_approve(const struct writ_cedar *snapshot,
				const struct writ_cedar_world *world,
				const struct policy_question *question,
				const char *human, const char *group,
				bool step_up,
				struct writ_cedar_query **ret_query,
				struct writ_cedar_error *error);

/* Whether two queries ask the same: request, context and entities.  For
 * comparison in tests. */
bool writ_cedar_query_is_same(const struct writ_cedar_query *query,
			      const struct writ_cedar_query *other);

struct writ_cedar_tag {
	const char *name;
	int64_t value;
};

/* Facts in place of the question's own. */
struct writ_cedar_variant {
	const char *ttl;  /* context.ttl, such as "90s"; NULL: as it is */
	const char *mode; /* context.mode; NULL: as it is */
	const char *const *evidence; /* context.evidence, whole */
	size_t evidence_count;
	bool vary_evidence;
	const struct writ_cedar_tag *approvals; /* tags of context.approvals */
	size_t approval_count;
	bool vary_approvals;
};

enum {
	WRIT_CEDAR_POLICIES = 1,
	WRIT_CEDAR_INVARIANTS = 2,
};

/* Texts are borrowed until the query is run again or freed. */
struct writ_cedar_answer {
	bool allow;		    /* all parts allow and nothing erred */
	const char *const *reasons; /* permits that allowed, or forbids */
	size_t reason_count;
	const char *const *errors; /* policies that erred; "ceiling" when only
				      the invariants denied */
	size_t error_count;
};

/*
 * Evaluates the question, or a variant of it.
 *
 * variant: NULL for the question as it is.
 * parts: WRIT_CEDAR_POLICIES | WRIT_CEDAR_INVARIANTS; all must allow.
 */
int writ_cedar_query_run(struct writ_cedar_query *query,
			 const struct writ_cedar_variant *variant, int parts,
			 struct writ_cedar_answer *ret_answer,
			 struct writ_cedar_error *error);

/* The same without the index, by Cedar's own authorizer over whole sets: slow,
 * to be compared with. */
int writ_cedar_query_run_whole(const struct writ_cedar_query *query, int parts,
			       bool *ret_allow, struct writ_cedar_error *error);

/* A shadow that holds, or errs. */
struct writ_cedar_shadow {
	const char *id;
	const char *would; /* "forbid", "permit" or "error" */
};

/* What shadows say of the question as it is; nothing obeys them.  ret_shadows:
 * borrowed until the next call or writ_cedar_query_free(). */
int writ_cedar_query_shadows(struct writ_cedar_query *query,
			     const struct writ_cedar_shadow **ret_shadows,
			     size_t *ret_count, struct writ_cedar_error *error);

/* What better facts the policies for this question ask about. */
struct writ_cedar_remedies {
	const char *const *groups; /* named literally or by entities at hand */
	size_t group_count;
	const char *const *evidence;
	size_t evidence_count;
	int64_t quorum; /* approvals of one group that are surely enough */
};

/* ret_remedies: texts borrowed until the next call or writ_cedar_query_free().
 */
int writ_cedar_query_remedies(struct writ_cedar_query *query,
			      struct writ_cedar_remedies *ret_remedies,
			      struct writ_cedar_error *error);

/* Such as "cedar-policy 4.14.1". */
const char *writ_cedar_version(void);
