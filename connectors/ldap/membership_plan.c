#include "connectors/ldap/membership_private.h"

#include "base/error.h"
#include "base/mem.h"

const char *membership_value(const struct change *change,
			     const struct facts *facts)
{
	if (facts->kind->by_login)
		return change->login;
	return change->add ? facts->member.spelling : change->member;
}

struct filter_change membership_terms(const struct change *change,
				      const struct facts *facts)
{
	return (struct filter_change){
		.group = change->group,
		.uuid = facts->group.uuid,
		.attribute = facts->kind->attribute,
		.member = membership_value(change, facts),
		.add = change->add,
		.keeps_one = facts->kind->needs_one,
		.others = facts->others,
		.other_count = facts->other_count,
	};
}

/* Entries are named by their GUIDs there, and the change itself fails when the
 * value is there already or is not. */
static json_t *ad_precondition(const struct change *change,
			       const struct facts *facts)
{
	json_t *precondition = json_object();

	json_set_text(precondition, "groupUuid", facts->group.uuid);
	json_set_text(precondition, "memberUuid", facts->member.uuid);
	json_set_flag(precondition, "member", !change->add);
	return precondition;
}

int membership_precondition(const struct change *change,
			    const struct facts *facts, json_t **ret)
{
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	const struct filter_change terms = membership_terms(change, facts);
	struct slice bytes;

	if (facts->is_ad) {
		*ret = ad_precondition(change, facts);
		return 0;
	}
	filter_put_condition(&filter, &terms);
	TRY(buf_finish(&filter, &bytes));
	*ret = json_object();
	json_set_text(*ret, "filter", buf_text(&filter));
	if (change->add)
		json_set_text(*ret, "memberUuid", facts->member.uuid);
	else if (facts->kind->needs_one)
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

/* A login stands for every account that has it. */
static int add_by_login(const struct reach *reach, const char *login,
			struct walk *walk)
{
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	const char *const *contexts;
	size_t count = directory_contexts(reach->directory, &contexts);
	struct slice bytes;

	buf_put_str(&filter, "(&(objectClass=posixAccount)");
	filter_put_equals(&filter, "uid", slice_str(login));
	buf_put_str(&filter, ")");
	TRY(buf_finish(&filter, &bytes));
	for (size_t i = 0; i < count; i++)
		TRY(directory_add_found(reach->directory, walk, contexts[i],
					buf_text(&filter)));
	return 0;
}

static int put_principals(const struct reach *reach,
			  const struct change *change,
			  const struct facts *facts, json_t *plan,
			  struct connector_reply *reply)
{
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(REACH_NESTED_MAX);
	json_t *list;

	TRY(walk_add(&walk, change->member));
	if (facts->kind->by_login)
		TRY(add_by_login(reach, change->login, &walk));
	TRY(walk_run(&walk, directory_walk_down, reach->directory));
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

static int put_nesting(const struct reach *reach, const struct change *change,
		       json_t *plan)
{
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(REACH_NESTED_MAX);
	json_t *list;

	TRY(walk_add(&walk, change->group));
	TRY(directory_nesting(reach->directory, &walk));
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

json_t *membership_parameters(const struct change *change,
			      const struct facts *facts)
{
	json_t *object = json_object();

	json_set_text(object, "member", change->member);
	if (facts->kind->by_login)
		json_set_text(object, "login", change->login);
	return object;
}

static json_t *make_diff(const struct change *change, const struct facts *facts)
{
	json_t *diff = json_array();

	reach_put_diff(diff, change->add ? "add" : "delete",
		       facts->kind->attribute, membership_value(change, facts));
	return diff;
}

/* Whoever is gone cannot be added again, so that removal has no undo. */
static json_t *make_undo(const struct change *change, const struct facts *facts)
{
	if (!facts->member_found)
		return json_null();
	return reach_undo(change->inverse, change->group,
			  membership_parameters(change, facts));
}

static void put_common(const struct change *change, const struct facts *facts,
		       json_t *plan)
{
	bool stands = membership_stands(change, facts);

	json_set_text(plan, "resource", change->group);
	json_set_new(plan, "parameters", membership_parameters(change, facts));
	json_set_new(plan, "before",
		     membership_state(facts->holds, facts->primary));
	json_set_new(plan, "after",
		     membership_state(stands ? facts->holds : change->add,
				      facts->primary));
	json_set_flag(plan, "atomic", true);
	json_set_text(plan, "targetVersion", facts->group.version);
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

/* For an end nobody is counted: it must stay possible however many there are.
 */
static int put_people(const struct reach *reach, const struct change *change,
		      const struct facts *facts, json_t *plan,
		      struct connector_reply *reply)
{
	TRY(put_nesting(reach, change, plan));
	if (membership_stands(change, facts))
		return 0;
	return put_principals(reach, change, facts, plan, reply);
}

int membership_plan(void *self, const struct connector_ask *ask,
		    struct connector_reply *reply)
{
	const struct reach *reach = self;
	CLEANUP(change_clear) struct change change = { 0 };
	CLEANUP(facts_clear) struct facts facts = { 0 };
	CLEANUP(json_put_p) json_t *plan = NULL;

	TRY(membership_take(reach, ask->action, ask->resource, ask->parameters,
			    &change, reply));
	if (is_refused(reply))
		return 0;
	TRY(membership_look(reach, &change, &facts));
	TRY(membership_judge(reach, &change, &facts, reply));
	if (is_refused(reply))
		return 0;
	plan = json_object();
	put_common(&change, &facts, plan);
	reach_put_nobody(plan);
	if (membership_stands(&change, &facts))
		reach_put_no_change(plan);
	else
		TRY(put_change(&change, &facts, plan));
	if (!ask->brief)
		TRY(put_people(reach, &change, &facts, plan, reply));
	if (!is_refused(reply))
		reply->result = TAKE(plan);
	return 0;
}
