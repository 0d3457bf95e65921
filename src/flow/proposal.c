/*
 * Proposals: changes of the inventory and activations of policy while they wait
 * for signatures.  One lives a day; what it was signed for does not change
 * under the signatures.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "flow/state.h"

enum { PROPOSAL_LIFE_MS = 24 * 3600 * 1000 };

json_t *proposal_new(const char *prefix, const char *digest, int64_t needs)
{
	json_t *doc = json_object();
	int64_t now_ms = clock_wall_ms();
	char id[ID_MAX];

	id_new(prefix, id);
	json_set_text(doc, "id", id);
	json_set_text(doc, "digest", digest);
	json_set_text(doc, "state", "waiting");
	json_set_int(doc, "needs", needs);
	json_set_time(doc, "created", now_ms);
	json_set_time(doc, "expires", now_ms + PROPOSAL_LIFE_MS);
	json_set_int(doc, "expiresMs", now_ms + PROPOSAL_LIFE_MS);
	json_set_new(doc, "signatures", json_array());
	json_set_new(doc, "signed", json_array());
	return doc;
}

json_t *proposal_signed(const struct flow *f, const json_t *doc,
			const struct statement *s)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)doc);
	json_t *names = json_array();
	json_t *kept = json_array();
	json_t *one;
	size_t at;

	json_array_foreach(json_object_get(doc, "signed"), at, one) {
		const char *human = json_text(one, "human", "");

		if (!human_is(f, human, "administrators"))
			continue;
		json_array_append_new(names, json_string(human));
		json_array_append(kept, one);
	}
	json_array_append_new(names, json_string(s->human));
	json_array_append_new(kept, signed_json(s));
	json_set_new(copy, "signatures", names);
	json_set_new(copy, "signed", kept);
	return copy;
}

bool proposal_is_over(const json_t *doc, int64_t now_ms)
{
	return now_ms >= json_int(doc, "expiresMs", 0);
}

void proposal_drop(struct evidence_txn *t, struct map *map, const char *key,
		   const char *state)
{
	CLEANUP(json_put_p) json_t *doc = map_remove(map, key);

	json_set_text(doc, "state", state);
	json_set_new(doc, "signatures", json_array());
	json_set_new(doc, "signed", json_array());
	evidence_put(t, NOUN_CHANGE, json_text(doc, "id", ""), doc);
}

static void drop_old(struct flow *f, struct map *map, int64_t now_ms)
{
	CLEANUP(mem_free_p)
	char **keys = mem_array(map_count(map) + 1, sizeof(*keys));
	struct evidence_txn *t;
	const json_t *doc;
	const char *key;
	size_t count = 0;
	size_t at = 0;

	while ((doc = map_next(map, &at, &key))) {
		if (proposal_is_over(doc, now_ms))
			keys[count++] = mem_str(key);
	}
	if (count == 0)
		return;
	t = evidence_begin(f->evidence);
	for (size_t i = 0; i < count; i++) {
		proposal_drop(t, map, keys[i], "expired");
		free(keys[i]);
	}
	evidence_commit(t, NULL, NULL);
}

void proposals_tick(struct flow *f, int64_t now_ms)
{
	drop_old(f, f->changes, now_ms);
	drop_old(f, f->activations, now_ms);
}

void proposal_refused(struct reply_to reply, int r)
{
	if (r == ERR_LIMIT)
		answer_problem(reply, ANSWER_INVALID, "too-large", "%s",
			       error_message());
	else
		answer_problem(reply, ANSWER_BUSY, "busy",
			       "It cannot be recorded just now; try again.");
}
