#include "connectors/ldap/membership_private.h"

#include "base/error.h"

const char *membership_value(const struct change *change,
			     const struct facts *facts)
{
	return change->add ? facts->member.spelling : change->member;
}

struct filter_change membership_terms(const struct change *change,
				      const struct facts *facts)
{
	return (struct filter_change){
		.group = change->group,
		.uuid = facts->group.uuid,
		.member = membership_value(change, facts),
		.add = change->add,
		.others = facts->others,
		.other_count = facts->other_count,
	};
}

/* What apply() will hold the directory to.  It is digested, so it names only
 * what the change depends on. */
int membership_precondition(const struct change *change,
			    const struct facts *facts, json_t **ret)
{
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	const struct filter_change terms = membership_terms(change, facts);
	struct slice bytes;

	filter_put_condition(&filter, &terms);
	TRY(buf_finish(&filter, &bytes));
	*ret = json_object();
	json_set_text(*ret, "filter", buf_text(&filter));
	if (change->add)
		json_set_text(*ret, "memberUuid", facts->member.uuid);
	else
		json_set_flag(*ret, "keepsOneMember", true);
	return 0;
}

static const char *const type_of_kind[] = {
	[WALK_UNSEEN] = "unresolved",  [WALK_ACCOUNT] = "account",
	[WALK_GROUP] = NULL,	       [WALK_OPAQUE] = "unresolved",
	[WALK_MISSING] = "unresolved",
};

static bool has_opaque(const struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++) {
		if (walk->nodes[i].kind == WALK_OPAQUE)
			return true;
	}
	return false;
}

static json_t *principals(const struct walk *walk)
{
	json_t *list = json_array();

	for (size_t i = 0; i < walk->count; i++) {
		const char *type = type_of_kind[walk->nodes[i].kind];
		json_t *one;

		if (!type)
			continue;
		one = json_object();
		json_set_text(one, "type", type);
		json_set_text(one, "id", walk->nodes[i].name);
		discard(json_array_append_new(list, one));
	}
	return list;
}

static int put_principals(const struct membership *m,
			  const struct change *change, json_t *plan,
			  struct connector_reply *reply)
{
	CLEANUP(walk_clear)
	struct walk walk = WALK_INIT(MEMBERSHIP_NESTED_MAX);
	json_t *list;

	TRY(walk_add(&walk, change->member));
	TRY(walk_run(&walk, directory_walk_down, m->directory));
	if (change->add && has_opaque(&walk))
		return connector_refuse(reply, "wrong-type",
					"a group at or below %s does not show "
					"its members, so nobody can tell who "
					"would gain",
					change->member);
	walk_sort(&walk);
	list = principals(&walk);
	json_set_int(plan, "blastRadius", (int64_t)json_array_size(list));
	json_set_new(plan, change->add ? "gains" : "loses", list);
	json_set_new(plan, change->add ? "loses" : "gains", json_array());
	return 0;
}

static int put_nesting(const struct membership *m, const struct change *change,
		       json_t *plan)
{
	CLEANUP(walk_clear)
	struct walk walk = WALK_INIT(MEMBERSHIP_NESTED_MAX);
	json_t *list;

	TRY(walk_add(&walk, change->group));
	TRY(walk_run(&walk, directory_walk_up, m->directory));
	walk_sort(&walk);
	list = json_array();
	for (size_t i = 0; i < walk.count; i++) {
		if (strcmp(walk.nodes[i].name, change->group) != 0)
			discard(json_array_append_new(
				list, json_string(walk.nodes[i].name)));
	}
	json_set_new(plan, "nestedIn", list);
	return 0;
}

static json_t *member_object(const char *member)
{
	json_t *object = json_object();

	json_set_text(object, "member", member);
	return object;
}

static json_t *make_diff(const struct change *change, const struct facts *facts)
{
	json_t *diff = json_array();
	json_t *row = json_object();

	json_set_text(row, "op", change->add ? "add" : "delete");
	json_set_text(row, "attribute", "member");
	json_set_text(row, "value", membership_value(change, facts));
	discard(json_array_append_new(diff, row));
	return diff;
}

/* Whoever is gone cannot be added again, so that removal has no undo. */
static json_t *make_undo(const struct change *change, const struct facts *facts)
{
	json_t *undo;

	if (!facts->member_found)
		return json_null();
	undo = json_object();
	json_set_text(undo, "action",
		      change->add ? "RemoveFromGroup" : "AddToGroup");
	json_set_text(undo, "resource", change->group);
	json_set_new(undo, "parameters", member_object(change->member));
	return undo;
}

static void put_common(const struct change *change, const struct facts *facts,
		       json_t *plan)
{
	json_set_text(plan, "resource", change->group);
	json_set_new(plan, "parameters", member_object(change->member));
	json_set_new(plan, "before", membership_state(facts->holds));
	json_set_new(plan, "after", membership_state(change->add));
	json_set_flag(plan, "atomic", true);
	json_set_text(plan, "targetVersion", facts->group.version);
}

static void put_no_change(json_t *plan)
{
	json_set_flag(plan, "noChange", true);
	json_set_new(plan, "diff", json_array());
	json_set_new(plan, "undo", json_null());
	json_set_new(plan, "precondition", json_object());
}

/* For an end nobody is counted: it must stay possible however many there are.
 */
static void put_nobody(json_t *plan)
{
	json_set_int(plan, "blastRadius", 0);
	json_set_new(plan, "gains", json_array());
	json_set_new(plan, "loses", json_array());
}

static int put_change(const struct change *change, const struct facts *facts,
		      json_t *plan)
{
	json_t *precondition;

	TRY(membership_precondition(change, facts, &precondition));
	json_set_new(plan, "precondition", precondition);
	json_set_flag(plan, "noChange", false);
	json_set_new(plan, "diff", make_diff(change, facts));
	json_set_new(plan, "undo", make_undo(change, facts));
	return 0;
}

int membership_plan(void *self, const struct connector_ask *ask,
		    struct connector_reply *reply)
{
	struct membership *m = self;
	CLEANUP(change_clear) struct change change = { 0 };
	CLEANUP(facts_clear) struct facts facts = { 0 };
	CLEANUP(json_put_p) json_t *plan = NULL;

	TRY(membership_take(m, ask->action, ask->resource, ask->parameters,
			    &change, reply));
	if (membership_refused(reply))
		return 0;
	TRY(membership_look(m, &change, &facts));
	TRY(membership_judge(m, &change, &facts, reply));
	if (membership_refused(reply))
		return 0;
	plan = json_object();
	put_common(&change, &facts, plan);
	put_nobody(plan);
	if (ask->brief)
		json_set_new(plan, "nestedIn", json_array());
	else
		TRY(put_nesting(m, &change, plan));
	if (facts.holds == change.add)
		put_no_change(plan);
	else
		TRY(put_change(&change, &facts, plan));
	if (facts.holds != change.add && !ask->brief)
		TRY(put_principals(m, &change, plan, reply));
	if (!membership_refused(reply))
		reply->result = TAKE(plan);
	return 0;
}
