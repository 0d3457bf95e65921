/*
 * Tokens as OAuth's token endpoint asks for them.  Each is a request of
 * IssueCredential like any other: what the endpoint adds is to find out what is
 * meant - which task, which target, which role - and to hand the secret out in
 * the same call where nobody has to be asked.
 *
 *   ask -> task, target, role -> request -> done -> secret
 *                                        -> waits: redeemed by its id later
 */
#include <stdarg.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/url.h"
#include "flow/introspect.h"
#include "flow/mint.h"
#include "flow/request_parts.h"
#include "govern/attenuate.h"
#include "govern/credential.h"

enum {
	MS_PER_S = 1000,
	WAIT_MS = 20 * 1000, /* for what needs nobody */
	MARGIN_S = 5,	     /* from here to the leaf, more than it takes */
};

/* ---- who ---- */

bool flow_agent_is(const struct flow *f, const char *agent, const char *id)
{
	CLEANUP(mem_free_p) char *namespace = NULL;
	CLEANUP(mem_free_p)
	char *subject = credential_subject(f->inventory, agent, &namespace);
	CLEANUP(mem_free_p)
	char *client = credential_client(f->inventory, agent);
	const json_t *spec =
		inventory_spec(f->inventory, MANIFEST_AGENT, agent);

	return (subject && !strcmp(subject, id)) ||
	       (client && !strcmp(client, id)) ||
	       json_has_text(json_array_in(spec, "identities"), id);
}

void flow_replay(struct flow *f, const struct caller *caller, const char *what)
{
	CLEANUP(mem_free_p)
	char *subject = mem_format("agent:%s", caller->name);
	CLEANUP(mem_free_p) char *key = mem_format("replay %s", caller->name);
	CLEANUP(json_put_p) json_t *private = json_object();
	struct evidence_part part = { subject, private };
	struct evidence_txn *t;
	json_t *fields;
	struct leaf_ref leaf;

	flow_count_refusal(f, "replayed");
	if (f->closing || evidence_is_busy(f->evidence) ||
	    !incident_is_news(f, key))
		return;
	t = evidence_begin(f->evidence);
	fields = json_object();
	json_set_text(fields, "what", "replayed");
	json_set_text(fields, "of", what);
	json_set_text(fields, "where", "token endpoint");
	json_set_text(private, "agent", caller->name);
	must(evidence_leaf(t, LEAF_INCIDENT, NULL, fields, &part, 1, &leaf),
	     "an incident's leaf");
	evidence_commit(t, NULL, NULL);
}

/* ---- what is meant ---- */

/* What a call comes to, borrowed from inventory, task and ask. */
struct meaning {
	struct flow *flow;
	const struct caller *caller;
	const struct token_ask *ask;
	struct reply_to reply;
	const char *target;
	const json_t *spec; /* of the target */
	const char *role;
	const struct task *task;
	json_t *subject;     /* claims of the token above, owned; or NULL */
	json_t *subject_doc; /* owned */
	json_t *details;     /* owned; or NULL */
	int64_t ttl_s;
	int64_t not_after_ms; /* of all it rests on; 0: does not matter */
};

static void meaning_clear(struct meaning *m)
{
	json_decref(m->subject);
	json_decref(m->subject_doc);
	json_decref(m->details);
}

PRINTF_LIKE(3, 4)
static bool refuse(const struct meaning *m, const char *code,
		   const char *format, ...)
{
	char detail[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(detail, sizeof(detail), format, arguments);
	va_end(arguments);
	answer_problem(m->reply, ANSWER_INVALID, code, "%s", detail);
	return false;
}

/* What a Target says of the tokens it takes, or NULL. */
static const json_t *issues_tokens(const json_t *spec)
{
	const json_t *issues = json_object_in(spec, "issues");

	return !strcmp(json_text(issues, "form", ""), "token") ? issues : NULL;
}

/* The name of the Target whose tokens are for this; borrowed, NULL if there is
 * none.  by_name: its own name does, too. */
static const char *target_of(const struct flow *f, const char *text,
			     bool by_name)
{
	const char *id;
	json_t *manifest;

	json_object_foreach(
		(json_t *)(uintptr_t)inventory_manifests(f->inventory), id,
		manifest) {
		const char *name = json_text(
			json_object_in(manifest, "metadata"), "name", "");
		const json_t *issues =
			issues_tokens(json_object_in(manifest, "spec"));

		if (strncmp(id, "Target/", strlen("Target/")) != 0 || !issues)
			continue;
		if ((by_name && !strcmp(name, text)) ||
		    url_same(json_text(issues, "audience", ""), text))
			return name;
	}
	return NULL;
}

/* One thing more that says which target is meant. */
static bool narrow_target(struct meaning *m, const char *text, bool by_name)
{
	const char *name = target_of(m->flow, text, by_name);

	if (!name)
		return refuse(m, "target",
			      "No target of this authority takes tokens for "
			      "'%.128s'.",
			      text);
	if (m->target && strcmp(m->target, name) != 0)
		return refuse(m, "target",
			      "A token is for one target, and these are two; "
			      "ask for each by itself.");
	m->target = name;
	return true;
}

static bool said_target(struct meaning *m)
{
	const struct token_ask *ask = m->ask;
	const json_t *location;
	size_t at;

	if (ask->resource && !narrow_target(m, ask->resource, false))
		return false;
	if (ask->audience && !narrow_target(m, ask->audience, true))
		return false;
	json_array_foreach(json_array_in(ask->detail, "locations"), at,
			   location) {
		if (!narrow_target(m, json_string_value(location), true))
			return false;
	}
	return true;
}

/* ---- the task ---- */

static bool may_be_meant(const struct meaning *m, const struct task *t)
{
	if (strcmp(json_text(t->doc, "agent", ""), m->caller->name) != 0 ||
	    task_fault(t, clock_wall_ms()))
		return false;
	if (m->subject && strcmp(json_text(t->doc, "parent", ""),
				 json_text(m->subject, "writ_task", "-")) != 0)
		return false;
	return !m->target ||
	       json_has_text(json_object_get(t->doc, "targets"), m->target);
}

/* Without a word there must be one task alone that can be meant. */
static bool find_task(struct meaning *m)
{
	const struct task *t;
	size_t at = 0;

	while ((t = map_next(m->flow->tasks, &at, NULL))) {
		if (!may_be_meant(m, t))
			continue;
		if (m->task)
			return refuse(m, "which-task",
				      "This agent has several open tasks: say "
				      "which, in authorization_details.");
		m->task = t;
	}
	return m->task ||
	       refuse(m, "no-task", "This agent has no open task%s%s.",
		      m->subject ? " below that of the subject_token" : "",
		      m->target ? " that declares this target" : "");
}

static bool said_task(struct meaning *m)
{
	const char *id = json_text(m->ask->detail, "task", NULL);
	const char *fault;

	if (!id)
		return find_task(m);
	m->task = task_find(m->flow, id);
	if (!m->task ||
	    strcmp(json_text(m->task->doc, "agent", ""), m->caller->name) != 0)
		return refuse(m, "task", "This agent has no such open task.");
	fault = task_fault(m->task, clock_wall_ms());
	if (fault)
		return refuse(m, "task", "%s", fault);
	if (m->subject && strcmp(json_text(m->task->doc, "parent", ""),
				 json_text(m->subject, "writ_task", "-")) != 0)
		return refuse(m, "subject",
			      "The subject_token is not of the task that this "
			      "one came from.");
	return true;
}

/* The only target of the task that takes tokens, where none was said. */
static bool find_target(struct meaning *m)
{
	const json_t *name;
	size_t at;

	json_array_foreach(json_object_get(m->task->doc, "targets"), at, name) {
		const char *target = json_string_value(name);

		if (!issues_tokens(inventory_spec(m->flow->inventory,
						  MANIFEST_TARGET, target)))
			continue;
		if (m->target)
			return refuse(m, "target",
				      "The task has several targets that take "
				      "tokens: say which, as resource.");
		m->target = target;
	}
	return m->target ||
	       refuse(m, "target",
		      "No target of the task takes tokens of this authority.");
}

static bool take_target(struct meaning *m)
{
	if (!m->target && !find_target(m))
		return false;
	if (!json_has_text(json_object_get(m->task->doc, "targets"), m->target))
		return refuse(m, "target",
			      "The task did not declare target '%s'.",
			      m->target);
	m->spec =
		inventory_spec(m->flow->inventory, MANIFEST_TARGET, m->target);
	return m->spec != NULL ||
	       refuse(m, "target", "There is no such target.");
}

/* ---- the role ---- */

static bool has_role(const json_t *spec, const char *role)
{
	const json_t *rule;
	size_t at;

	json_array_foreach(json_array_in(spec, "classification"), at, rule) {
		if (!strcmp(json_text(json_object_in(rule, "match"), "resource",
				      ""),
			    role))
			return true;
	}
	return false;
}

/* The only role of the target, where none was said. */
static bool find_role(struct meaning *m)
{
	const json_t *rule;
	size_t at;

	json_array_foreach(json_array_in(m->spec, "classification"), at, rule) {
		const char *role = json_text(json_object_in(rule, "match"),
					     "resource", NULL);

		if (role && m->role)
			return refuse(
				m, "scope",
				"The target has several roles: say which, "
				"as scope.");
		if (role)
			m->role = role;
	}
	return m->role || refuse(m, "scope", "The target has no roles.");
}

static bool take_role(struct meaning *m)
{
	const char *identifier = json_text(m->ask->detail, "identifier", NULL);

	m->role = m->ask->scope ? m->ask->scope : identifier;
	if (!m->role)
		return find_role(m);
	if (identifier && strcmp(m->role, identifier) != 0)
		return refuse(m, "details",
			      "identifier is another role than scope.");
	if (strchr(m->role, ' '))
		return refuse(m, "scope",
			      "A token has one role; ask for each by itself.");
	return has_role(m->spec, m->role) ||
	       refuse(m, "scope", "The target has no role '%.64s'.", m->role);
}

/* ---- what is granted ---- */

/* For this task, target and role in the one way of writing it; owned. */
static json_t *placed_detail(const struct meaning *m, const json_t *said)
{
	json_t *detail = said ? json_deep_copy(said) : json_object();
	json_t *locations = json_array();
	const char *audience =
		json_text(issues_tokens(m->spec), "audience", "");

	json_array_append_new(locations, json_string(audience));
	json_set_text(detail, "type", "writ_task");
	json_set_text(detail, "task", m->task->id);
	json_set_new(detail, "locations", locations);
	json_set_text(detail, "identifier", m->role);
	return detail;
}

/* What is not said now is as the token above says it. */
static json_t *inherited_detail(const struct meaning *m, const json_t *above)
{
	static const char *const members[] = { "actions", "datatypes" };
	json_t *detail = placed_detail(m, m->ask->detail);

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		json_t *value = json_object_get(above, members[i]);

		if (value && !json_object_get(detail, members[i]))
			json_object_set(detail, members[i], value);
	}
	return detail;
}

/* A token says what it is for, asked or not; that of a task that was handed on
 * says it where the one above does. */
static void take_details(struct meaning *m)
{
	const json_t *above =
		json_array_in(m->subject, "authorization_details");
	json_t *detail;

	if (!m->subject)
		detail = placed_detail(m, m->ask->detail);
	else if (json_array_size(above))
		detail = inherited_detail(m, json_array_get(above, 0));
	else if (json_object_get(m->ask->detail, "actions") ||
		 json_object_get(m->ask->detail, "datatypes"))
		detail = placed_detail(m, m->ask->detail);
	else
		return;
	m->details = json_array();
	json_array_append_new(m->details, detail);
}

static json_t *parameters_of(const struct meaning *m)
{
	json_t *parameters = json_object();

	if (m->ask->cnf)
		json_object_set(parameters, "cnf",
				(json_t *)(uintptr_t)m->ask->cnf);
	if (m->details)
		json_object_set(parameters, "authorizationDetails", m->details);
	return parameters;
}

/* The claims that the token will have, owned; answers if it will have none. */
static json_t *claims_to_be(struct meaning *m)
{
	CLEANUP(json_put_p) json_t *parameters = parameters_of(m);
	const struct credential_ask ask = {
		.inventory = m->flow->inventory,
		.issuer = mint_issuer(m->flow->mint),
		.target = m->target,
		.agent = m->caller->name,
		.chain = task_chain(m->task),
		.task = m->task->id,
		.role = m->role,
		.parameters = parameters,
		.ttl_s = m->ttl_s,
	};
	struct credential_fault fault = { 0 };
	json_t *claims = credential_payload(&ask, &fault);

	if (claims)
		json_set_int(claims, "exp",
			     clock_wall_ms() / MS_PER_S + m->ttl_s);
	else
		discard(refuse(m, "details", "%s.", fault.detail));
	return claims;
}

static const char *code_of(enum attenuation result)
{
	if (result == ATTENUATION_SCOPE)
		return "scope";
	return result == ATTENUATION_DETAILS ? "details" : "subject";
}

static bool is_for(const json_t *claims, const char *audience)
{
	const json_t *aud = json_object_get(claims, "aud");

	return json_is_string(aud) ? !strcmp(json_string_value(aud), audience)
				   : json_has_text(aud, audience);
}

/* No more than the token above says, and for nobody else. */
static bool is_narrower(struct meaning *m)
{
	CLEANUP(json_put_p) json_t *claims = NULL;
	char why[ATTENUATE_WHY_MAX];
	enum attenuation result;

	if (!m->subject)
		return true;
	claims = claims_to_be(m);
	if (!claims)
		return false;
	if (!is_for(m->subject, json_text(claims, "aud", ""))) {
		flow_count_refusal(m->flow, "widened");
		return refuse(m, "target",
			      "The subject_token is not for this target.");
	}
	result = attenuates(m->subject, claims, why);
	if (result == ATTENUATION_HOLDS)
		return true;
	flow_count_refusal(m->flow, "widened");
	return refuse(m, code_of(result),
		      "This is more than the subject_token says: %s.", why);
}

/* ---- how long ---- */

static void lower(struct meaning *m, int64_t end_ms)
{
	int64_t left_s = (end_ms - clock_wall_ms()) / MS_PER_S - MARGIN_S;

	if (!m->not_after_ms || end_ms < m->not_after_ms)
		m->not_after_ms = end_ms;
	if (left_s < m->ttl_s)
		m->ttl_s = left_s;
}

static void lower_to_ends(struct meaning *m)
{
	if (m->ask->not_after_ms)
		lower(m, m->ask->not_after_ms);
	if (m->subject)
		lower(m, json_int(m->subject, "exp", 0) * (int64_t)MS_PER_S);
}

/* A ttl is a maximum: near its end a task lends for less. */
static void lower_to_window(struct meaning *m)
{
	int64_t left_ms = task_window_ms(m->task) - clock_wall_ms();
	int64_t left_s = left_ms / MS_PER_S - 1;

	if (left_s < m->ttl_s)
		m->ttl_s = left_s > 0 ? left_s : 1;
}

/* No longer than the certificate it is bound to, and the token above. */
static bool take_ttl(struct meaning *m)
{
	m->ttl_s = CREDENTIAL_TOKEN_DEFAULT_S;
	if (m->ask->ttl &&
	    (clock_parse_duration(m->ask->ttl, &m->ttl_s) < 0 || m->ttl_s <= 0))
		return refuse(m, "ttl", "The ttl is no duration.");
	if (m->ttl_s > CREDENTIAL_TOKEN_S)
		return refuse(m, "ttl", "A token lives an hour at most.");
	lower_to_window(m);
	lower_to_ends(m);
	return m->ttl_s > 0 ||
	       refuse(m, "ttl",
		      "What the token would be bound to ends just now.");
}

static bool take_subject(struct meaning *m)
{
	if (!m->ask->subject)
		return true;
	m->subject = token_claims(m->flow, m->ask->subject, m->caller->name,
				  &m->subject_doc);
	return m->subject ||
	       refuse(m, "subject",
		      "The subject_token is no token of this authority, or "
		      "it has ended.");
}

static bool take_binding(struct meaning *m)
{
	const char *binding =
		json_text(issues_tokens(m->spec), "binding", "optional");

	return m->ask->cnf || strcmp(binding, "required") != 0 ||
	       refuse(m, "binding",
		      "Tokens for this target are bound to a key: send a DPoP "
		      "proof, or show an X.509-SVID.");
}

/* Finds out what is meant; answers if that cannot be. */
static bool take_meaning(struct meaning *m)
{
	if (!take_subject(m) || !said_target(m) || !said_task(m) ||
	    !take_target(m) || !take_role(m) || !take_binding(m) ||
	    !take_ttl(m))
		return false;
	take_details(m);
	return is_narrower(m);
}

/* ---- asking ---- */

/* A call that waits for its token. */
struct asking {
	struct flow *flow;
	struct reply_to reply;
	struct caller caller;
	char request[ID_MAX];
	bool redeems;
	int64_t not_after_ms;
};

static void answer_on(struct asking *asking, const struct answer *a)
{
	if (asking->reply.fn)
		asking->reply.fn(asking->reply.cookie, a);
	free(asking);
}

static struct grant *grant_of_request(struct flow *f, const char *request)
{
	CLEANUP(json_put_p) json_t *doc = NULL;

	if (store_get(evidence_reader(f->evidence), NOUN_REQUEST, request, &doc,
		      NULL) < 0)
		return NULL;
	return map_get(f->grants,
		       json_text(json_object_in(doc, "grant"), "id", ""));
}

/* Who redeems again may not be who redeemed first: nobody keeps it. */
static void end_redeemed(struct asking *asking)
{
	struct grant *g = grant_of_request(asking->flow, asking->request);

	if (g && grant_is_live(g))
		grant_end(g, "redeemed a second time");
	flow_replay(asking->flow, &asking->caller, "redemption");
}

/* People may have taken long. */
static bool outlives(const struct asking *asking, const struct answer *a)
{
	const json_t *secret = json_object_in(a->body, "secret");
	int64_t end_ms = 0;

	return asking->not_after_ms && a->kind == ANSWER_OK &&
	       (clock_parse(json_text(secret, "expires", ""), &end_ms) < 0 ||
		end_ms > asking->not_after_ms);
}

static void answer_outlived(struct asking *asking)
{
	struct grant *g = grant_of_request(asking->flow, asking->request);

	if (g && grant_is_live(g))
		grant_end(g, "it would outlive what it rests on");
	answer_problem(asking->reply, ANSWER_CONFLICT, "ended",
		       "The token would have outlived the certificate or token "
		       "it rests on; ask anew.");
	free(asking);
}

static void secret_came(void *cookie, const struct answer *a)
{
	struct asking *asking = cookie;

	if (outlives(asking, a)) {
		answer_outlived(asking);
		return;
	}
	if (a->kind == ANSWER_CONFLICT && asking->redeems && a->code &&
	    !strcmp(a->code, "taken"))
		end_redeemed(asking);
	answer_on(asking, a);
}

static void take_secret(struct asking *asking)
{
	/* The assertion has served already, in this very call. */
	asking->caller.jti[0] = '\0';
	/* What waits for people is told at once. */
	flow_secret(asking->flow, &asking->caller, asking->request, 0,
		    (struct reply_to){ secret_came, asking });
}

/* Its time was over, or that of its task. */
static bool is_over(struct flow *f, const json_t *request)
{
	const struct task *t = task_find(f, json_text(request, "task", ""));
	const char *state = json_text(request, "state", "");

	return !strcmp(state, "expired") ||
	       (!strcmp(state, "cancelled") && (!t || !task_is_open(t)));
}

static void answer_failed(struct asking *asking, const json_t *request)
{
	const char *state = json_text(request, "state", "?");

	answer_problem(asking->reply, ANSWER_CONFLICT,
		       is_over(asking->flow, request) ? "expired" : "failed",
		       "The request is '%s'%s%s: no token was made.", state,
		       json_text(request, "detail", NULL) ? ", " : "",
		       json_text(request, "detail", ""));
	free(asking);
}

static void request_came(void *cookie, const struct answer *a)
{
	struct asking *asking = cookie;
	const char *state = json_text(a->body, "state", "");

	if (a->kind != ANSWER_OK) {
		answer_on(asking, a);
		return;
	}
	snprintf(asking->request, sizeof(asking->request), "%s",
		 json_text(a->body, "id", ""));
	if (!strcmp(state, "done"))
		take_secret(asking);
	else
		answer_failed(asking, a->body);
}

static struct asking *asking_new(const struct meaning *m)
{
	struct asking *asking = mem_new(struct asking);

	asking->flow = m->flow;
	asking->reply = m->reply;
	asking->caller = *m->caller;
	asking->not_after_ms = m->not_after_ms;
	return asking;
}

static json_t *body_of(const struct meaning *m)
{
	json_t *body = json_object();
	CLEANUP(mem_free_p) char *ttl = clock_format_duration(m->ttl_s);

	json_set_text(body, "task", m->task->id);
	json_set_text(body, "action", "IssueCredential");
	json_set_text(body, "target", m->target);
	json_set_text(body, "resource", m->role);
	json_set_new(body, "parameters", parameters_of(m));
	json_set_text(body, "mode", "execute");
	json_set_text(body, "ttl", ttl);
	return body;
}

/* The document of a request, as it stands or as it is kept; owned. */
static json_t *request_of(struct flow *f, const char *id)
{
	const struct request *r = request_find(f, id);
	json_t *doc = NULL;

	if (r)
		return json_incref(r->doc);
	if (!id_is("req", id) || store_get(evidence_reader(f->evidence),
					   NOUN_REQUEST, id, &doc, NULL) < 0)
		return NULL;
	return doc;
}

/* An assertion serves once, also where nothing comes of it. */
static bool serves(struct meaning *m)
{
	const struct caller *caller = m->caller;
	struct evidence_txn *t;

	if (!*caller->jti)
		return true;
	if (answered_as_replayed(m->flow, caller, m->reply))
		return false;
	if (answer_if_busy(m->flow, m->reply))
		return false;
	t = evidence_begin(m->flow->evidence);
	once_seen_put(m->flow, t, "jti", caller->jti, caller->expires_ms);
	evidence_commit(t, NULL, NULL);
	return true;
}

/* Whether g was lent for what is asked now, and nobody has taken it yet. */
static bool is_waiting_for(struct meaning *m, struct grant *g)
{
	CLEANUP(json_put_p) json_t *wanted = NULL;
	CLEANUP(json_put_p) json_t *doc = NULL;

	if (!g->secret || !g->active || strcmp(g->target, m->target) != 0)
		return false;
	doc = request_of(m->flow, json_text(grant_doc(g), "request", ""));
	wanted = parameters_of(m);
	return doc && !strcmp(json_text(doc, "resource", ""), m->role) &&
	       !strcmp(json_text(doc, "agent", ""), m->caller->name) &&
	       json_equal(json_object_in(doc, "parameters"), wanted);
}

/* Who waits for people may come without the request's id, too: what was
 * approved in the meantime is what is asked for.  Borrowed, or NULL. */
static struct grant *find_waiting(struct meaning *m)
{
	const struct holding *holding = map_get(m->flow->holdings, m->task->id);

	for (size_t i = 0; holding && i < holding->count; i++) {
		if (is_waiting_for(m, holding->grants[i]))
			return holding->grants[i];
	}
	return NULL;
}

static void take_waiting(struct meaning *m, struct grant *g)
{
	struct asking *asking;

	if (!serves(m))
		return;
	asking = asking_new(m);
	snprintf(asking->request, sizeof(asking->request), "%s",
		 json_text(grant_doc(g), "request", ""));
	take_secret(asking);
}

static void ask_anew(struct meaning *m)
{
	const struct acting acting = { .route = "/oauth/token" };
	CLEANUP(json_put_p) json_t *body = NULL;
	struct grant *waiting;

	if (!take_meaning(m))
		return;
	waiting = find_waiting(m);
	if (waiting) {
		take_waiting(m, waiting);
		return;
	}
	body = body_of(m);
	flow_request_create(m->flow, m->caller, &acting, body, WAIT_MS,
			    (struct reply_to){ request_came, asking_new(m) });
}

/* ---- redeeming ---- */

/* What is said beside the id must be what was asked then. */
static bool is_as_asked(struct meaning *m, const json_t *doc)
{
	const json_t *parameters = json_object_in(doc, "parameters");
	const json_t *cnf = json_object_in(parameters, "cnf");
	const char *task = json_text(m->ask->detail, "task", NULL);

	if (!said_target(m) || !take_subject(m))
		return false;
	if (m->target && strcmp(m->target, json_text(doc, "target", "")) != 0)
		return refuse(m, "target",
			      "The request is for another target.");
	if (m->ask->scope &&
	    strcmp(m->ask->scope, json_text(doc, "resource", "")) != 0)
		return refuse(m, "scope", "The request is for another role.");
	if (task && strcmp(task, json_text(doc, "task", "")) != 0)
		return refuse(m, "task", "The request is of another task.");
	if (!cnf != !m->ask->cnf || (cnf && !json_equal(cnf, m->ask->cnf)))
		return refuse(m, "request",
			      "The request was made for a token that is %s.",
			      cnf ? "bound to another key"
				  : "not bound to a key");
	return true;
}

static bool is_own_token(const struct meaning *m, const json_t *doc)
{
	const json_t *spec = inventory_spec(m->flow->inventory, MANIFEST_TARGET,
					    json_text(doc, "target", ""));

	return doc && !strcmp(json_text(doc, "agent", ""), m->caller->name) &&
	       !strcmp(json_text(doc, "action", ""), "IssueCredential") &&
	       issues_tokens(spec);
}

static void redeem(struct meaning *m)
{
	CLEANUP(json_put_p)
	json_t *doc = request_of(m->flow, m->ask->request);
	enum request_state state;
	struct asking *asking;

	if (!serves(m))
		return;
	if (!is_own_token(m, doc)) {
		discard(refuse(m, "request",
			       "This agent has made no such request for a "
			       "token."));
		return;
	}
	if (!is_as_asked(m, doc))
		return;
	lower_to_ends(m);
	asking = asking_new(m);
	asking->redeems = true;
	snprintf(asking->request, sizeof(asking->request), "%s",
		 m->ask->request);
	if (request_state_find(json_text(doc, "state", ""), &state) &&
	    request_state_is_end(state) && state != REQUEST_DENIED &&
	    state != REQUEST_DONE)
		answer_failed(asking, doc);
	else
		take_secret(asking);
}

void flow_token(struct flow *f, const struct caller *caller,
		const struct token_ask *ask, struct reply_to reply)
{
	CLEANUP(meaning_clear)
	struct meaning m = {
		.flow = f,
		.caller = caller,
		.ask = ask,
		.reply = reply,
	};

	if (ask->request)
		redeem(&m);
	else
		ask_anew(&m);
}
