/* Answers, at once or once a transaction is durable. */
#include <stdarg.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/state.h"

void answer(struct reply_to reply, enum answer_kind kind, json_t *owned_body)
{
	struct answer a = { .kind = kind, .detail = "", .body = owned_body };

	if (reply.fn)
		reply.fn(reply.cookie, &a);
	json_decref(owned_body);
}

void answer_problem(struct reply_to reply, enum answer_kind kind,
		    const char *code, const char *format, ...)
{
	char detail[512];
	struct answer a = { .kind = kind, .code = code, .detail = detail };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(detail, sizeof(detail), format, arguments);
	va_end(arguments);
	if (reply.fn)
		reply.fn(reply.cookie, &a);
}

void answer_not_waiting(struct reply_to reply, const char *state)
{
	bool soon = !strcmp(state, "planning") || !strcmp(state, "replanning");

	answer_problem(reply, ANSWER_CONFLICT, "not-waiting",
		       soon ? "The request is '%s': nobody is asked yet."
			    : "The request is '%s': it is decided already, and "
			      "no signature is asked for any more.",
		       state);
}

bool answer_if_degraded(struct flow *f, struct reply_to reply)
{
	const char *why;

	if (!evidence_is_degraded(f->evidence, &why))
		return false;
	if (evidence_is_full(f->evidence))
		answer_problem(reply, ANSWER_FULL, "disk-full",
			       "The authority's disk is full: nothing new is "
			       "taken until there is room on it.");
	else
		answer_problem(reply, ANSWER_UNAVAILABLE, "degraded",
			       "Nothing new is taken while the authority is "
			       "degraded: %s.",
			       why);
	return true;
}

bool answer_if_busy(struct flow *f, struct reply_to reply)
{
	if (answer_if_degraded(f, reply))
		return true;
	if (!evidence_is_busy(f->evidence))
		return false;
	if (evidence_lacks_keys(f->evidence))
		answer_problem(reply, ANSWER_UNAVAILABLE, "keeper",
			       "The keeper gives no data keys just now; try "
			       "again.");
	else
		answer_problem(reply, ANSWER_BUSY, "busy",
			       "Too much is waiting to be recorded.");
	return true;
}

void answer_closing(struct reply_to reply)
{
	answer_problem(reply, ANSWER_UNAVAILABLE, "closing",
		       "The authority is closing; ask again later.");
}

/* An answer that waits for its transaction; closing waits for it, too. */
struct pending {
	struct flow *flow;
	struct reply_to reply;
	enum answer_kind kind;
	const char *code;
	char *detail;
	json_t *body;
};

static void pending_done(void *cookie)
{
	struct pending *p = cookie;
	struct answer a = { p->kind, p->code, p->detail ? p->detail : "",
			    p->body };

	if (p->reply.fn)
		p->reply.fn(p->reply.cookie, &a);
	json_decref(p->body);
	free(p->detail);
	effect_settled(p->flow);
	free(p);
}

void commit_problem(struct flow *f, struct evidence_txn *t,
		    struct reply_to reply, enum answer_kind kind,
		    const char *code, const char *detail, json_t *owned_body)
{
	struct pending *p = mem_new(struct pending);

	*p =
		(struct pending){ f,	reply,		 kind,
				  code, mem_str(detail), owned_body };
	f->in_flight++;
	evidence_commit(t, pending_done, p);
}

void commit_answer(struct flow *f, struct evidence_txn *t,
		   struct reply_to reply, enum answer_kind kind,
		   json_t *owned_body)
{
	commit_problem(f, t, reply, kind, NULL, NULL, owned_body);
}

void must(int r, const char *what)
{
	if (r >= 0)
		return;
	log_error("cannot-go-on", "what=\"%s\" why=\"%s\"", what,
		  error_message());
	_exit(70);
}

json_t *leaf_json(const struct leaf_ref *leaf)
{
	json_t *value = json_object();
	char text[DIGEST_TEXT_LEN];

	digest_format(&leaf->hash, text);
	json_set_int(value, "index", (int64_t)leaf->index);
	json_set_text(value, "hash", text);
	return value;
}

void leaf_note(json_t *doc, const char *name, const struct leaf_ref *leaf)
{
	json_t *evidence = json_object_get(doc, "evidence");

	if (!evidence) {
		evidence = json_object();
		json_set_new(doc, "evidence", evidence);
	}
	json_set_new(evidence, name, leaf_json(leaf));
}
