#include "connectors/postgres/membership.h"

#include "base/error.h"

enum { VERSION_MAX = 64 }; /* bytes of a place in the server's log */

/* What is asked for. */
struct change {
	bool add;
	char role[ROLENAME_MAX + 1];
	char member[ROLENAME_MAX + 1];
	/* The same, spelled. */
	char role_text[ROLENAME_SPELLING_MAX];
	char member_text[ROLENAME_SPELLING_MAX];
};

/* What the server says about it. */
struct facts {
	struct role self;
	char grantor[ROLES_OID_MAX]; /* that our grants have */
	struct role role;
	struct role member;
	struct tie tie;
	char version[VERSION_MAX];
};

static void facts_clear(struct facts *facts)
{
	tie_clear(&facts->tie);
}

/* Reads {"member": name}, and nothing else. */
static void take(const struct target *t, const char *action,
		 const char *resource, const json_t *parameters,
		 struct change *change, struct connector_reply *reply)
{
	const char *member = json_text(parameters, "member", NULL);

	*change = (struct change){ .add = !strcmp(action, "GrantRole") };
	target_take_name(resource, "resource", change->role, reply);
	if (!target_refused(reply))
		target_take_name(member, "member", change->member, reply);
	if (target_refused(reply))
		return;
	if (json_object_size(parameters) != 1)
		discard(connector_refuse(reply, "invalid",
					 "parameters: exactly \"member\""));
	rolename_spell(change->role, change->role_text);
	rolename_spell(change->member, change->member_text);
	if (target_refused(reply))
		return;
	if (!target_reaches(t, change->role))
		discard(connector_refuse(reply, "out-of-base",
					 "%s is not among the roles of this "
					 "connector",
					 change->role_text));
	else if (!strcmp(change->role, change->member))
		discard(connector_refuse(reply, "invalid",
					 "a role cannot be its own member"));
}

static int look(struct target *t, const struct change *change,
		struct facts *facts)
{
	struct database *d = t->database;

	TRY(roles_self(d, &facts->self, facts->grantor));
	TRY(roles_find(d, change->role, &facts->role));
	TRY(roles_find(d, change->member, &facts->member));
	tie_clear(&facts->tie);
	if (facts->role.found && facts->member.found)
		TRY(roles_tie(d, &facts->role, &facts->member, facts->grantor,
			      &facts->tie));
	return roles_version(d, facts->version, sizeof(facts->version));
}

static bool is_member(const struct facts *facts)
{
	return facts->tie.ours || json_array_size(facts->tie.others) > 0;
}

/* Whether what is asked for is so.  A membership of somebody else's making is
 * one; what we take away is only our own. */
static bool is_so(const struct change *change, const struct facts *facts)
{
	return change->add ? is_member(facts) : !facts->tie.ours;
}

static json_t *state_of(const struct facts *facts)
{
	json_t *state = json_object();

	json_set_flag(state, "member", is_member(facts));
	if (facts->tie.ours_admin)
		json_set_flag(state, "admin", true);
	if (json_array_size(facts->tie.others) > 0)
		json_object_set(state, "grantedBy", facts->tie.others);
	return state;
}

/* The state when our own grant is made, or taken away. */
static json_t *state_after(const struct change *change,
			   const struct facts *facts)
{
	size_t others = json_array_size(facts->tie.others);
	json_t *state = json_object();

	json_set_flag(state, "member", change->add || others > 0);
	if (change->add && facts->tie.ours_admin)
		json_set_flag(state, "admin", true);
	if (others > 0)
		json_object_set(state, "grantedBy", facts->tie.others);
	return state;
}

/* ---- judging ---- */

static int judge_addition(struct target *t, const struct change *change,
			  const struct facts *facts,
			  struct connector_reply *reply)
{
	bool circle = false;

	if (!strcmp(facts->member.oid, facts->self.oid))
		return connector_refuse(reply, "invalid",
					"%s is this connector's own account",
					change->member_text);
	if (rolename_is_login(change->member))
		return connector_refuse(reply, "invalid",
					"%s is lent: it has the role it was "
					"lent for and no other",
					change->member_text);
	TRY(roles_is_in(t->database, &facts->role, &facts->member, &circle));
	if (circle)
		return connector_refuse(reply, "invalid",
					"%s is a member of %s already, and "
					"roles cannot go in circles",
					change->role_text, change->member_text);
	return 0;
}

/* A role that must not be left without anybody: one that rules over others, or
 * that the configuration names. */
static int judge_last(struct target *t, const struct change *change,
		      const struct facts *facts, struct connector_reply *reply)
{
	bool others = false;

	if (!facts->tie.ours ||
	    !(facts->role.is_superuser || facts->role.can_create_roles ||
	      target_keeps(t, change->role)))
		return 0;
	TRY(roles_has_other_holder(t->database, &facts->role, &facts->member,
				   &others));
	if (others)
		return 0;
	return connector_refuse(reply, "last-member",
				"%s is the last login that has %s",
				change->member_text, change->role_text);
}

/* The end of a grant is due whoever else granted it, and if nobody is left. */
static int judge_removal(struct target *t, const struct change *change,
			 const struct facts *facts, bool is_end,
			 struct connector_reply *reply)
{
	const char *other =
		json_string_value(json_array_get(facts->tie.others, 0));

	if (is_end)
		return 0;
	if (!facts->tie.ours && other)
		return connector_refuse(reply, "other-grantor",
					"%s was made a member of %s by %s, "
					"not by this connector",
					change->member_text, change->role_text,
					other);
	return judge_last(t, change, facts, reply);
}

/* May this change be made at all, as things stand? */
static int judge(struct target *t, const struct change *change,
		 const struct facts *facts, bool is_end,
		 struct connector_reply *reply)
{
	if (!facts->role.found)
		return connector_refuse(reply, "no-such-resource",
					"there is no role %s",
					change->role_text);
	if (!facts->member.found)
		return connector_refuse(reply, "no-such-member",
					"there is no role %s",
					change->member_text);
	if (change->add)
		return judge_addition(t, change, facts, reply);
	return judge_removal(t, change, facts, is_end, reply);
}

/* ---- planning ---- */

static json_t *parameters_of(const struct change *change)
{
	json_t *parameters = json_object();

	json_set_text(parameters, "member", change->member_text);
	return parameters;
}

static json_t *diff_of(const struct change *change)
{
	json_t *diff = json_array();
	json_t *row = json_object();

	json_set_text(row, "op", change->add ? "add" : "delete");
	json_set_text(row, "attribute", "member");
	json_set_text(row, "value", change->member_text);
	discard(json_array_append_new(diff, row));
	return diff;
}

/* The right to hand a role on is not given back: there is no way to it. */
static json_t *undo_of(const struct change *change, const struct facts *facts)
{
	json_t *undo;

	if (facts->tie.ours_admin)
		return json_null();
	undo = json_object();
	json_set_text(undo, "action", change->add ? "RevokeRole" : "GrantRole");
	json_set_text(undo, "resource", change->role_text);
	json_set_new(undo, "parameters", parameters_of(change));
	return undo;
}

/* What apply() holds the server to.  given: NULL for a removal, which what
 * the role gives does not make worse. */
static json_t *precondition_of(const struct facts *facts, const json_t *given)
{
	json_t *precondition = json_object();
	char digest[DIGEST_TEXT_LEN];

	json_set_text(precondition, "role", facts->role.oid);
	json_set_text(precondition, "memberRole", facts->member.oid);
	json_set_flag(precondition, "member", is_member(facts));
	if (facts->tie.ours_admin)
		json_set_flag(precondition, "admin", true);
	if (given) {
		roles_digest(given, digest);
		json_set_text(precondition, "gives", digest);
	}
	return precondition;
}

/* Who gains or loses, and how many. */
static int put_holders(struct target *t, const struct change *change,
		       const struct facts *facts, bool counted, json_t *plan)
{
	json_t *list = json_array();

	if (counted) {
		json_decref(list);
		TRY(roles_holders(t->database, &facts->member, &list));
	}
	json_set_int(plan, "blastRadius", (int64_t)json_array_size(list));
	json_set_new(plan, change->add ? "gains" : "loses", list);
	json_set_new(plan, change->add ? "loses" : "gains", json_array());
	return 0;
}

static void put_change(const struct change *change, const struct facts *facts,
		       const json_t *given, json_t *plan)
{
	bool so = is_so(change, facts);

	json_set_flag(plan, "noChange", so);
	json_set_new(plan, "diff", so ? json_array() : diff_of(change));
	json_set_new(plan, "undo", so ? json_null() : undo_of(change, facts));
	json_set_new(plan, "precondition",
		     so ? json_object()
			: precondition_of(facts, change->add ? given : NULL));
}

static int fill_plan(struct target *t, const struct change *change,
		     const struct facts *facts, bool brief, json_t *plan)
{
	CLEANUP(json_put_p) json_t *given = json_array();

	if (!brief) {
		json_decref(TAKE(given));
		TRY(roles_given(t->database, &facts->role, &given));
	}
	json_set_text(plan, "resource", change->role_text);
	json_set_new(plan, "parameters", parameters_of(change));
	json_set_new(plan, "before", state_of(facts));
	json_set_new(plan, "after",
		     is_so(change, facts) ? state_of(facts)
					  : state_after(change, facts));
	json_object_set(plan, "nestedIn", given);
	json_set_flag(plan, "atomic", true);
	json_set_text(plan, "targetVersion", facts->version);
	put_change(change, facts, given, plan);
	return put_holders(t, change, facts, !brief && !is_so(change, facts),
			   plan);
}

int membership_plan(struct target *t, const struct connector_ask *ask,
		    struct connector_reply *reply)
{
	CLEANUP(facts_clear) struct facts facts = { 0 };
	CLEANUP(json_put_p) json_t *plan = json_object();
	struct change change;

	take(t, ask->action, ask->resource, ask->parameters, &change, reply);
	if (target_refused(reply))
		return 0;
	TRY(target_begin(t, TARGET_LOOK_MS));
	TRY(look(t, &change, &facts));
	TRY(judge(t, &change, &facts, ask->brief, reply));
	if (target_refused(reply))
		return 0;
	TRY(fill_plan(t, &change, &facts, ask->brief, plan));
	reply->result = TAKE(plan);
	return 0;
}

int membership_read(struct target *t, const struct connector_ask *ask,
		    struct connector_reply *reply)
{
	CLEANUP(facts_clear) struct facts facts = { 0 };
	struct change change;
	json_t *answer;

	take(t, ask->action, ask->resource, ask->parameters, &change, reply);
	if (target_refused(reply))
		return 0;
	TRY(target_begin(t, TARGET_LOOK_MS));
	TRY(look(t, &change, &facts));
	answer = json_object();
	json_set_flag(answer, "present", is_so(&change, &facts));
	json_set_new(answer, "state", state_of(&facts));
	json_set_text(answer, "targetVersion", facts.version);
	reply->result = answer;
	return 0;
}

/* ---- applying ---- */

/* Is the world still the one that the order was made in? */
static int judge_order(struct target *t, const struct connector_order *order,
		       const struct change *change, const struct facts *facts,
		       struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *given = NULL;
	CLEANUP(json_put_p) json_t *now = NULL;

	if (change->add)
		TRY(roles_given(t->database, &facts->role, &given));
	now = precondition_of(facts, given);
	if (order->precondition && json_equal(now, order->precondition))
		return 0;
	return connector_refuse(reply, "precondition",
				"the role, the member, the membership or what "
				"the role gives is not as planned");
}

/* Looks again after the change: what was planned has come about, on the same
 * two roles, and what the role gives is what it gave. */
static int judge_effect(struct target *t, const struct connector_order *order,
			const struct change *change, const struct facts *before,
			const struct facts *after,
			struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *given = NULL;
	char gives[DIGEST_TEXT_LEN];

	if (after->tie.ours != change->add ||
	    strcmp(after->role.oid, before->role.oid) != 0 ||
	    strcmp(after->member.oid, before->member.oid) != 0)
		return connector_refuse(reply, "precondition",
					"something else changed the "
					"membership at the same moment, or "
					"it does not stand as our own");
	if (!change->add)
		return 0;
	TRY(roles_given(t->database, &after->role, &given));
	roles_digest(given, gives);
	if (strcmp(gives, json_text(order->precondition, "gives", "")) != 0)
		return connector_refuse(reply, "precondition",
					"what the role gives changed at the "
					"same moment");
	return 0;
}

/* What was seen before the lock may have changed since. */
static int lock_and_look(struct target *t, const struct change *change,
			 struct facts *facts)
{
	TRY(look(t, change, facts));
	if (!facts->role.found)
		return 0;
	TRY(roles_lock(t->database, &facts->role, &facts->self));
	return look(t, change, facts);
}

/* All that comes before the commit.  A refusal, an error and no change leave
 * nothing to commit. */
static int prepare(struct target *t, const struct connector_order *order,
		   const struct change *change, struct facts *after,
		   struct connector_reply *reply)
{
	CLEANUP(facts_clear) struct facts facts = { 0 };
	bool is_end = !strcmp(order->purpose, "end");

	TRY(database_begin(t->database));
	TRY(lock_and_look(t, change, &facts));
	TRY(judge(t, change, &facts, is_end, reply));
	if (target_refused(reply))
		return 0;
	if (is_so(change, &facts)) {
		reply->result = connector_no_change();
		return 0;
	}
	TRY(judge_order(t, order, change, &facts, reply));
	if (target_refused(reply))
		return 0;
	TRY(DATABASE_RUN(t->database,
			 change->add ? "GRANT %I TO %I" : "REVOKE %I FROM %I",
			 change->role, change->member));
	TRY(look(t, change, after));
	return judge_effect(t, order, change, &facts, after, reply);
}

int membership_apply(struct target *t, const struct connector_order *order,
		     struct connector_reply *reply)
{
	CLEANUP(facts_clear) struct facts after = { 0 };
	struct change change;
	int r;

	take(t, order->action, order->resource, order->parameters, &change,
	     reply);
	if (target_refused(reply))
		return 0;
	r = target_begin(t, TARGET_APPLY_MS);
	if (r == 0)
		r = prepare(t, order, &change, &after, reply);
	if (r == 0 && !target_refused(reply) && !reply->result)
		return target_commit(t, state_of(&after), after.version, reply);
	r = target_refuse_failure(t, reply, r);
	database_rollback(t->database);
	return r;
}
