#include "connectors/postgres/credential_private.h"

#include "base/error.h"

static json_t *parameters_of(const struct loan *loan)
{
	json_t *parameters = json_object();

	json_set_text(parameters, "login", loan->login);
	return parameters;
}

/* The login alone: what else is so of it changes by the hour. */
static json_t *brief_state(bool login)
{
	json_t *state = json_object();

	json_set_flag(state, "login", login);
	return state;
}

static void add_row(json_t *diff, const char *op, const char *attribute,
		    const char *value)
{
	json_t *row = json_object();

	json_set_text(row, "op", op);
	json_set_text(row, "attribute", attribute);
	json_set_text(row, "value", value);
	discard(json_array_append_new(diff, row));
}

static json_t *diff_of(const struct loan *loan, const struct standing *standing)
{
	json_t *diff = json_array();

	if (standing->login.found)
		add_row(diff, loan->issue ? "replace" : "delete", "login",
			loan->login);
	else if (loan->issue)
		add_row(diff, "add", "login", loan->login);
	if (loan->issue)
		add_row(diff, "add", "member", loan->login);
	return diff;
}

/* The login, once, or nobody. */
static json_t *subjects(const struct loan *loan, bool any)
{
	json_t *list = json_array();
	json_t *one;

	if (!any)
		return list;
	one = json_object();
	json_set_text(one, "type", "account");
	json_set_text(one, "id", loan->login);
	discard(json_array_append_new(list, one));
	return list;
}

/* What is lent is taken back; what was taken back is not lent again: it would
 * be another login. */
static json_t *undo_of(const struct loan *loan)
{
	json_t *undo;

	if (!loan->issue)
		return json_null();
	undo = json_object();
	json_set_text(undo, "action", "RevokeCredential");
	json_set_text(undo, "resource", loan->role_text);
	json_set_new(undo, "parameters", parameters_of(loan));
	return undo;
}

static void put_subjects(const struct loan *loan, bool any, json_t *plan)
{
	json_set_int(plan, "blastRadius", any);
	json_set_new(plan, "gains", subjects(loan, any && loan->issue));
	json_set_new(plan, "loses", subjects(loan, any && !loan->issue));
}

static json_t *make_plan(const struct loan *loan,
			 const struct standing *standing, const json_t *given,
			 bool brief)
{
	bool change = loan->issue || standing->login.found;
	json_t *plan = json_object();

	json_set_text(plan, "resource", loan->role_text);
	json_set_new(plan, "parameters", parameters_of(loan));
	json_set_new(plan, "before", brief_state(standing->login.found));
	json_set_new(plan, "after", brief_state(loan->issue));
	json_set_new(plan, "diff",
		     change ? diff_of(loan, standing) : json_array());
	json_set_new(plan, "nestedIn",
		     brief ? json_array()
			   : json_copy((json_t *)(uintptr_t)given));
	json_set_flag(plan, "noChange", !change);
	/* Taking back is many steps, each of which only takes. */
	json_set_flag(plan, "atomic", loan->issue && !standing->login.found);
	json_set_new(plan, "undo", change ? undo_of(loan) : json_null());
	json_set_new(plan, "precondition",
		     change ? credential_precondition(
				      standing, loan->issue ? given : NULL)
			    : json_object());
	json_set_text(plan, "targetVersion", standing->version);
	put_subjects(loan, change && !brief, plan);
	return plan;
}

/* What the role gives.  When it is gone, what was lent for it still ends. */
static int look_up(struct target *t, const struct loan *loan,
		   const struct standing *standing, bool brief,
		   json_t **ret_given, struct connector_reply *reply)
{
	if (loan->issue)
		return credential_judge(t, loan, standing, ret_given, reply);
	if (!brief && standing->role.found)
		return roles_given(t->database, &standing->role, ret_given);
	*ret_given = json_array();
	return 0;
}

int credential_plan(struct target *t, const struct connector_ask *ask,
		    struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *given = NULL;
	struct standing standing;
	struct loan loan;

	credential_take(t, ask->action, ask->resource, ask->parameters, &loan,
			reply);
	if (target_refused(reply))
		return 0;
	TRY(target_begin(t, TARGET_LOOK_MS));
	TRY(credential_look(t, &loan, &standing));
	TRY(look_up(t, &loan, &standing, ask->brief, &given, reply));
	if (!target_refused(reply))
		reply->result = make_plan(&loan, &standing, given, ask->brief);
	return 0;
}
