/*
 * What others may know of a token, and its end on their word (RFC 7662, RFC
 * 7009).  A token counts while its grant does: that is looked up, its claims
 * alone say nothing.  One that is shown after its end is an incident: somebody
 * has kept it, or somebody else has it.
 */
#include "flow/introspect.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "crypto/jose.h"
#include "flow/mint.h"

enum {
	SHOWN_EVERY_MS = 60 * 1000, /* one incident of a credential */
	SHOWN_MAX = 4096,	    /* credentials that are remembered */
};

/* ---- reading a token ---- */

/* One of the keeper's keys signed it. */
static bool is_signed(const struct flow *f, const struct jose_token *token)
{
	const struct jose_key *key =
		mint_key(f->mint, json_text(token->header, "kid", ""));

	return key && jose_verify(token, key) == JOSE_VALID;
}

/* Its claims, owned, if it is one that Writ lent; NULL if not. */
static json_t *claims_of(const struct flow *f, struct slice text)
{
	struct jose_token token;
	json_t *claims = NULL;

	if (jose_token_parse(text, &token) != JOSE_VALID)
		return NULL;
	if (!strcmp(json_text(token.header, "typ", ""), "at+jwt") &&
	    !strcmp(json_text(token.claims, "iss", ""), mint_issuer(f->mint)) &&
	    is_signed(f, &token))
		claims = json_incref(token.claims);
	jose_token_clear(&token);
	return claims;
}

/* The document of what a token or an id names; NULL if there is none. */
static json_t *document_of(struct flow *f, const json_t *claims)
{
	json_t *doc = issued_find(f, json_text(claims, "jti", ""));

	if (doc &&
	    json_int(claims, "writ_leaf", -1) == json_int(doc, "serial", -2))
		return doc;
	json_decref(doc);
	return NULL;
}

/* ---- who may ask ---- */

static bool is_verifier(const struct flow *f, const struct caller *caller,
			const json_t *doc)
{
	const json_t *spec = inventory_spec(f->inventory, MANIFEST_TARGET,
					    json_text(doc, "target", ""));

	return caller->kind == CALLER_AGENT &&
	       json_has_text(json_array_in(json_object_in(spec, "issues"),
					   "verifiers"),
			     caller->name);
}

static bool is_holder(const struct caller *caller, const json_t *doc)
{
	return caller->kind == CALLER_AGENT &&
	       !strcmp(json_text(doc, "agent", ""), caller->name);
}

/* ---- incidents ---- */

/* Whether nothing was recorded of this one in the last minute. */
bool incident_is_news(struct flow *f, const char *id)
{
	int64_t now = clock_boot_ms();

	if (now < json_int(f->shown, id, 0))
		return false;
	if (json_object_size(f->shown) >= SHOWN_MAX)
		json_object_clear(f->shown);
	json_set_int(f->shown, id, now + SHOWN_EVERY_MS);
	return true;
}

/* by: who showed it, NULL for nobody who was proved; where: static text. */
static void record_shown(struct flow *f, const json_t *doc, const char *by,
			 const char *where)
{
	const char *id = json_text(doc, "id", "");
	const char *agent = json_text(doc, "agent", "");
	bool revoked = !strcmp(json_text(doc, "state", ""), "revoked");
	bool over = !issued_stands(doc, clock_wall_ms());
	CLEANUP(mem_free_p) char *subject = mem_format("agent:%s", agent);
	CLEANUP(json_put_p) json_t *private = json_object();
	struct evidence_part part = { subject, private };
	struct evidence_txn *t;
	json_t *fields;
	struct leaf_ref leaf;

	if (f->closing || evidence_is_busy(f->evidence) ||
	    !incident_is_news(f, id))
		return;
	t = evidence_begin(f->evidence);
	fields = json_object();
	json_set_text(fields, "what", "ended-credential-shown");
	json_set_text(fields, "where", where);
	json_set_text(fields, "state",
		      revoked ? "revoked"
		      : over  ? "expired"
			      : "ending");
	json_set_text(fields, "task", json_text(doc, "task", ""));
	json_set_text(fields, "request", json_text(doc, "request", ""));
	json_set_text(private, "agent", agent);
	json_set_text(private, "by", by);
	json_set_text(private, "target", json_text(doc, "target", ""));
	must(evidence_leaf(t, LEAF_INCIDENT, id, fields, &part, 1, &leaf),
	     "an incident's leaf");
	notice_shown(f, t, doc);
	evidence_commit(t, NULL, NULL);
}

/* ---- introspection ---- */

static json_t *inactive(void)
{
	json_t *body = json_object();

	json_set_flag(body, "active", false);
	return body;
}

/* What the token says, and that it holds (RFC 7662, 2.2; RFC 8693, 4.1; RFC
 * 9396, 9.2; RFC 9449, 6.2). */
static json_t *active(const json_t *claims)
{
	static const char *const members[] = {
		"scope", "client_id", "exp", "iat", "sub",
		"aud",	 "iss",	      "jti", "act", "authorization_details",
		"cnf",	 "writ_task"
	};
	bool bound = json_text(json_object_in(claims, "cnf"), "jkt", NULL);
	json_t *body = json_object();

	json_set_flag(body, "active", true);
	json_pick(body, claims, members, ARRAY_LEN(members));
	json_set_text(body, "token_type", bound ? "DPoP" : "Bearer");
	return body;
}

/* Its task may carry something now: nobody of its chain is contained or may not
 * act any more. */
static bool holder_is_well(struct flow *f, const json_t *doc)
{
	const struct task *task = task_find(f, json_text(doc, "task", ""));

	return task && !task_fault(task, clock_wall_ms());
}

void flow_introspect(struct flow *f, const struct caller *caller,
		     const char *token, struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *claims = claims_of(f, slice_str(token));
	CLEANUP(json_put_p)
	json_t *doc = claims ? document_of(f, claims) : NULL;

	if (!doc || (!is_verifier(f, caller, doc) && !is_holder(caller, doc))) {
		answer(reply, ANSWER_OK, inactive());
		return;
	}
	if (!issued_counts(f, doc, clock_wall_ms())) {
		record_shown(f, doc, caller->name, "introspection");
		answer(reply, ANSWER_OK, inactive());
		return;
	}
	answer(reply, ANSWER_OK,
	       holder_is_well(f, doc) ? active(claims) : inactive());
}

json_t *token_claims(struct flow *f, const char *token, const char *by,
		     json_t **ret_doc)
{
	CLEANUP(json_put_p) json_t *claims = claims_of(f, slice_str(token));
	CLEANUP(json_put_p)
	json_t *doc = claims ? document_of(f, claims) : NULL;

	if (!doc)
		return NULL;
	if (!issued_counts(f, doc, clock_wall_ms())) {
		record_shown(f, doc, by, "token endpoint");
		return NULL;
	}
	if (!holder_is_well(f, doc))
		return NULL;
	*ret_doc = TAKE(doc);
	return TAKE(claims);
}

void flow_token_shown(struct flow *f, struct slice token)
{
	CLEANUP(json_put_p) json_t *claims = claims_of(f, token);
	CLEANUP(json_put_p)
	json_t *doc = claims ? document_of(f, claims) : NULL;

	if (doc && !issued_counts(f, doc, clock_wall_ms()))
		record_shown(f, doc, NULL, "call");
}

/* ---- revocation ---- */

/* What is to end, by the token itself or by its id; NULL if there is nothing.
 * Errors: those of the store, for then nobody can tell. */
static int document_named(struct flow *f, const char *token, json_t **ret_doc)
{
	CLEANUP(json_put_p) json_t *claims = NULL;
	const char *id = token;
	int r;

	*ret_doc = NULL;
	if (!id_is("crd", token)) {
		claims = claims_of(f, slice_str(token));
		id = json_text(claims, "jti", NULL);
	}
	r = id ? issued_get(f, id, ret_doc) : 0;
	return r == ERR_NOT_FOUND ? 0 : r;
}

void flow_token_revoke(struct flow *f, const struct caller *caller,
		       const char *token, struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *doc = NULL;

	if (document_named(f, token, &doc) < 0) {
		answer_unreadable(reply);
		return;
	}
	if (!doc) {
		answer(reply, ANSWER_OK, json_object());
		return;
	}
	if (!is_holder(caller, doc) && !is_verifier(f, caller, doc)) {
		answer_problem(reply, ANSWER_DENIED, "not-yours",
			       "It was lent to another agent, and this one is "
			       "no verifier of its target.");
		return;
	}
	grant_end(issued_grant(f, doc), is_holder(caller, doc)
						? "given back by its holder"
						: "revoked by a verifier");
	/* After that of the end, which it waits for. */
	commit_answer(f, evidence_begin(f->evidence), reply, ANSWER_OK,
		      json_object());
}
