/*
 * What a target is, for those who would use it; and what it holds, for people
 * who take that into the inventory: the connector looks, and each account is
 * told with whose it is already.
 */
#include "base/mem.h"
#include "flow/point.h"
#include "flow/state.h"

/* One question to a connector. */
struct discovery {
	struct flow *flow;
	char *target;
	struct reply_to reply;
};

static void discovery_free(struct discovery *d)
{
	free(d->target);
	free(d);
}

/* "Agent/NAME" or "Human/NAME" where the inventory has the account. */
static void note_owner(const struct flow *f, const char *target, json_t *row)
{
	CLEANUP(mem_free_p)
	char *account = mem_format("%s/%s", target, json_text(row, "id", ""));
	CLEANUP(mem_free_p) char *owner = NULL;
	bool agent = false;
	const char *name =
		inventory_owner_of_account(f->inventory, account, &agent);

	if (!name)
		return;
	owner = mem_format("%s/%s", agent ? "Agent" : "Human", name);
	json_set_text(row, "inventory", owner);
}

/* The human whose account manages it, as far as the inventory knows. */
static void suggest_owner(const struct flow *f, const char *target, json_t *row)
{
	const char *manager = json_text(row, "manager", NULL);
	CLEANUP(mem_free_p)
	char *account = manager ? mem_format("%s/%s", target, manager) : NULL;
	bool agent = false;
	const char *name = account ? inventory_owner_of_account(f->inventory,
								account, &agent)
				   : NULL;

	if (name && !agent)
		json_set_text(row, "suggestedOwner", name);
}

static json_t *body_of(const struct discovery *d, const json_t *found)
{
	json_t *body = json_deep_copy(found);
	json_t *row;
	size_t at;

	json_set_text(body, "target", d->target);
	json_array_foreach(json_object_get(body, "accounts"), at, row) {
		note_owner(d->flow, d->target, row);
		suggest_owner(d->flow, d->target, row);
	}
	return body;
}

/* A refusal of the connector, as the caller is told it. */
static void refuse(const struct discovery *d, const struct connector_result *r)
{
	if (d->flow->closing)
		answer_closing(d->reply);
	else if (r->status == CONNECT_REFUSED &&
		 strcmp(r->reason, "invalid") == 0)
		answer_problem(d->reply, ANSWER_INVALID, "cursor", "%s",
			       r->detail);
	else if (r->status == CONNECT_REFUSED &&
		 strcmp(r->reason, "too-large") == 0)
		answer_problem(d->reply, ANSWER_CONFLICT, "too-large", "%s",
			       r->detail);
	else
		answer_problem(d->reply, ANSWER_UNAVAILABLE, "unavailable",
			       "The target could not be looked through: %s",
			       r->detail);
}

static void found(void *cookie, const struct connector_result *r)
{
	struct discovery *d = cookie;
	struct flow *f = d->flow;

	if (r->status == CONNECT_OK)
		answer(d->reply, ANSWER_OK, body_of(d, r->json));
	else
		refuse(d, r);
	discovery_free(d);
	effect_settled(f);
}

static void ask(struct flow *f, const struct target *t, const char *cursor,
		int64_t limit, struct reply_to reply)
{
	struct discovery *d = mem_new(struct discovery);
	json_t *params = json_object();

	*d = (struct discovery){ f, mem_str(t->name), reply };
	json_set_text(params, "cursor", cursor);
	json_set_int(params, "limit", limit);
	f->in_flight++;
	connector_call(t->connector, CONNECT_DISCOVER, params, CONNECTOR_NORMAL,
		       0, found, d);
}

void flow_discover(struct flow *f, const struct caller *caller,
		   const char *target, const char *cursor, int64_t limit,
		   struct reply_to reply)
{
	const struct target *t = map_get(f->targets, target);

	if (caller->kind != CALLER_HUMAN ||
	    !human_is(f, caller->name, "administrators"))
		answer_problem(reply, ANSWER_DENIED, "may-not-discover",
			       "Only an administrator looks through a target.");
	else if (!t || !inventory_find(f->inventory, MANIFEST_TARGET, target))
		answer_problem(reply, ANSWER_NOT_FOUND, "not-found",
			       "There is no such target.");
	else if (f->closing || (t->connector && !connector_is_up(t->connector)))
		answer_problem(reply, ANSWER_UNAVAILABLE, "unavailable",
			       "The connector is down.");
	else if (!point_tells(t, CONNECT_DISCOVER))
		answer_problem(reply, ANSWER_CONFLICT, "cannot-discover",
			       "This kind of connector cannot tell what is "
			       "there.");
	else
		ask(f, t, cursor, limit, reply);
}

/* Whether a connector that is up can do an action. */
static bool does(const struct target *t, const char *action)
{
	const json_t *row;
	size_t at;

	json_array_foreach(json_object_get(point_describe(t), "actions"), at,
			   row) {
		if (!strcmp(json_text(row, "action", ""), action))
			return true;
	}
	return false;
}

/* The form in which it lends, or NULL. */
static const char *lends(const struct target *t, const json_t *spec)
{
	const char *form =
		json_text(json_object_get(spec, "issues"), "form", NULL);

	if (form)
		return form;
	return does(t, "IssueCredential") ? "login" : NULL;
}

void flow_target(struct flow *f, const char *name, struct reply_to reply)
{
	static const char *const members[] = { "audience", "hosts" };
	const struct target *t = map_get(f->targets, name);
	const json_t *spec =
		inventory_spec(f->inventory, MANIFEST_TARGET, name);
	json_t *body;

	if (!t || !spec) {
		answer_problem(reply, ANSWER_NOT_FOUND, "not-found",
			       "There is no such target.");
		return;
	}
	body = json_object();
	json_set_text(body, "name", name);
	json_set_text(body, "plane", json_text(spec, "plane", NULL));
	json_set_flag(body, "up", t->up);
	json_set_text(body, "lends", lends(t, spec));
	json_pick(body, json_object_get(spec, "issues"), members,
		  ARRAY_LEN(members));
	answer(reply, ANSWER_OK, body);
}
