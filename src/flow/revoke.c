/*
 * A grant that a human ends before its time, by a signed statement: the owner
 * of an agent that holds it, or an administrator.  Whatever holds it, it ends;
 * how it does is the grant's own affair.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "flow/state.h"

/* Taking power back needs one signature. */
static bool may_end(const struct flow *f, const struct grant *g,
		    const char *human)
{
	if (human_is(f, human, "administrators"))
		return true;
	for (unsigned i = 0; i < g->hold_count; i++) {
		const json_t *agent = inventory_spec(
			f->inventory, MANIFEST_AGENT, g->holds[i].by->agent);

		if (!strcmp(json_text(agent, "owner", ""), human))
			return true;
	}
	return false;
}

static void end_signed(struct flow *f, struct grant *g,
		       const struct statement *s, struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *subject = mem_format("human:%s", s->human);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	struct evidence_part part = { subject, kept };
	json_t *doc = grant_doc(g);
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "request", json_text(doc, "request", ""));
	must(evidence_leaf(t, LEAF_REVOKED, g->id, fields, &part, 1, &leaf),
	     "a revocation's leaf");
	leaf_note(doc, "revoked", &leaf);
	signed_put(f, t, s);
	grant_put(g, t);
	evidence_commit(t, NULL, NULL);
	grant_end(g, "revoked");
	commit_answer(f, evidence_begin(f->evidence), reply, ANSWER_WAITING,
		      grant_view(grant_doc(g)));
}

void flow_grant_end(struct flow *f, const char *id, const json_t *signed_form,
		    struct reply_to reply)
{
	struct grant *g = map_get(f->grants, id);
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_END_GRANT, reply, &s))
		return;
	if (!g || strcmp(json_text(s.body, "grant", ""), id) != 0)
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-grant",
			       "There is no such grant that has not ended.");
	else if (!may_end(f, g, s.human))
		answer_problem(reply, ANSWER_DENIED, "may-not-end",
			       "Only administrators and the owner of an agent "
			       "that holds it end a grant.");
	else if (!g->active || g->gone)
		answer(reply, ANSWER_WAITING, grant_view(grant_doc(g)));
	else
		end_signed(f, g, &s, reply);
	statement_clear(&s);
}
