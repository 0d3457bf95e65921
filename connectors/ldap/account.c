#include "connectors/ldap/account.h"

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/account_lock.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/filter.h"
#include "connectors/ldap/holdings.h"

/* What is asked for, and what the directory says about it. */
struct account {
	bool suspend;
	bool is_ad;
	char *name;	/* owned */
	json_t *record; /* owned; NULL: there is none */
	const struct lock_way *way;
	struct lock lock;
};

static void account_clear(struct account *a)
{
	free(a->name);
	json_decref(a->record);
}

static const char *uuid_of(const struct account *a)
{
	return record_text(a->record, a->is_ad ? "objectGUID" : "entryUUID");
}

static const char *version_of(const struct account *a)
{
	return record_text(a->record, a->is_ad ? "uSNChanged" : "entryCSN");
}

static int take(const struct reach *reach, const char *action,
		const char *resource, const json_t *parameters,
		struct account *a, struct connector_reply *reply)
{
	a->suspend = strcmp(action, "SuspendAccount") == 0;
	if (json_object_size(parameters) != 0)
		return connector_refuse(reply, "invalid", "parameters: none");
	reach_take(reach, REACH_ACCOUNTS, resource, &a->name, reply);
	return 0;
}

static int look(const struct reach *reach, struct account *a)
{
	struct directory *d = reach->directory;

	TRY(directory_connect(d));
	a->is_ad = directory_is_ad(d);
	a->way = lock_way_of(d);
	TRY(directory_record(d, a->name, a->way->attributes, &a->record));
	if (!a->record)
		return reach_see(reach, REACH_ACCOUNTS);
	free(a->name);
	a->name = mem_str(json_text(a->record, "dn", ""));
	a->way->see(a->record, &a->lock);
	return 0;
}

/* Our own account must not lock itself out. */
static bool is_ours(const struct reach *reach, const struct account *a)
{
	const char *ours = directory_bind_dn(reach->directory);
	CLEANUP(mem_free_p) char *name = NULL;

	return ours && dn_normalise(ours, &name) == 0 &&
	       strcmp(name, a->name) == 0;
}

static int judge(const struct reach *reach, const struct account *a,
		 struct connector_reply *reply)
{
	if (!a->record)
		return connector_refuse(reply, "no-such-resource",
					"there is no entry %s", a->name);
	reach_judge(reach, REACH_ACCOUNTS, a->name, reply);
	if (is_refused(reply))
		return 0;
	if (is_ours(reach, a))
		return connector_refuse(reply, "invalid",
					"%s is the connector's own account",
					a->name);
	return a->way->judge(reach, a->record, reply);
}

static bool stands(const struct account *a)
{
	return a->lock.state == (a->suspend ? LOCK_PLACED : LOCK_NONE);
}

/* The plan. */

static json_t *state_of(const struct lock *lock)
{
	bool placed = lock->state == LOCK_PLACED;
	json_t *object = json_object();

	json_set_flag(object, "suspended", placed);
	json_set_flag(object, "locked", placed || lock->failures);
	if (placed)
		json_set_text(object, "by", "administration");
	else if (lock->failures)
		json_set_text(object, "by", "failed logins");
	json_set_text(object, "since", lock->since);
	return object;
}

/* What a change leads to: no lock of the server's own survives it, in Active
 * Directory either (MS-SAMR 3.1.1.8.10). */
static json_t *after_of(const struct account *a)
{
	const struct lock after = { .state = a->suspend ? LOCK_PLACED
							: LOCK_NONE };

	return state_of(&after);
}

/* In Active Directory only one bit of the value is the change's. */
static json_t *ad_precondition(const struct account *a)
{
	json_t *object = json_object();

	json_set_text(object, "uuid", uuid_of(a));
	json_set_flag(object, "suspended", a->lock.state == LOCK_PLACED);
	return object;
}

static json_t *precondition(const struct account *a)
{
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	const struct filter_lock terms = { a->name, uuid_of(a),
					   a->lock.attribute, a->lock.value };
	json_t *object;

	if (a->is_ad)
		return ad_precondition(a);
	object = json_object();
	filter_put_lock_condition(&filter, &terms);
	json_set_text(object, "filter", buf_text(&filter));
	return object;
}

/* What the server placed nobody can place back. */
static json_t *undo_of(const struct account *a)
{
	if (a->lock.failures)
		return json_null();
	return reach_undo(a->suspend ? "ResumeAccount" : "SuspendAccount",
			  a->name, json_object());
}

/* The bit is named, not the number it is part of: other bits are not ours. */
static json_t *diff_of(const struct account *a,
		       const struct lock_change *change)
{
	json_t *diff = json_array();

	if (a->is_ad) {
		reach_put_diff(diff, a->suspend ? "add" : "delete",
			       a->lock.attribute, "ACCOUNTDISABLE");
		return diff;
	}
	if (change->remove)
		reach_put_diff(diff, "delete", a->lock.attribute,
			       change->remove);
	if (change->add)
		reach_put_diff(diff, "add", a->lock.attribute, change->add);
	return diff;
}

static void put_subject(const struct account *a, json_t *plan)
{
	json_t *list = json_array();

	discard(json_array_append_new(list, reach_subject("account", a->name)));
	json_set_int(plan, "blastRadius", 1);
	json_set_new(plan, a->suspend ? "loses" : "gains", list);
}

static int put_holdings(const struct reach *reach, const struct account *a,
			json_t *plan)
{
	CLEANUP(json_put_p) json_t *holdings = NULL;

	TRY(holdings_find(reach->directory, a->record, REACH_NESTED_MAX,
			  &holdings));
	json_set_new(plan, "nestedIn", holdings_names(holdings));
	return 0;
}

static void put_common(const struct account *a, json_t *plan)
{
	json_set_text(plan, "resource", a->name);
	json_set_new(plan, "parameters", json_object());
	json_set_new(plan, "before", state_of(&a->lock));
	json_set_new(plan, "after", after_of(a));
	json_set_flag(plan, "atomic", true);
	json_set_text(plan, "targetVersion", version_of(a));
	reach_put_nobody(plan);
}

static void put_change(const struct account *a, bool brief, json_t *plan)
{
	struct lock_change change = { 0 };

	a->way->change(&a->lock, a->suspend, &change);
	json_set_flag(plan, "noChange", false);
	json_set_new(plan, "diff", diff_of(a, &change));
	json_set_new(plan, "precondition", precondition(a));
	json_set_new(plan, "undo", undo_of(a));
	if (!brief)
		put_subject(a, plan);
}

/* It is not suspended, and yet nobody gets in. */
static void judge_failures(const struct account *a,
			   struct connector_reply *reply)
{
	if (a->suspend || a->lock.state != LOCK_NONE || !a->lock.failures)
		return;
	discard(connector_refuse(reply, "locked-out",
				 "the directory locked it after failed logins "
				 "(lockoutTime %s); it is not suspended, and "
				 "that lock ends by itself",
				 a->lock.since ?: "unknown"));
}

int account_plan(void *self, const struct connector_ask *ask,
		 struct connector_reply *reply)
{
	const struct reach *reach = self;
	CLEANUP(account_clear) struct account a = { 0 };
	CLEANUP(json_put_p) json_t *plan = json_object();

	TRY(take(reach, ask->action, ask->resource, ask->parameters, &a,
		 reply));
	if (is_refused(reply))
		return 0;
	TRY(look(reach, &a));
	TRY(judge(reach, &a, reply));
	if (is_refused(reply))
		return 0;
	put_common(&a, plan);
	judge_failures(&a, reply);
	if (stands(&a))
		reach_put_no_change(plan);
	else
		put_change(&a, ask->brief, plan);
	if (!ask->brief)
		TRY(put_holdings(reach, &a, plan));
	if (!is_refused(reply))
		reply->result = TAKE(plan);
	return 0;
}

/* The change. */

static int see(const struct reach *reach, const struct account *a,
	       struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *record = NULL;
	struct lock lock;
	int r = directory_record(reach->directory, a->name, a->way->attributes,
				 &record);

	if (r == 0 && !record)
		r = error_set(ERR_NOT_FOUND, "the entry is gone");
	if (r < 0)
		return error_context(r, "changed, but not seen since");
	a->way->see(record, &lock);
	reply->result = connector_applied(
		state_of(&lock),
		record_text(record, a->is_ad ? "uSNChanged" : "entryCSN"));
	return 0;
}

static int send(const struct reach *reach, const struct account *a,
		struct directory_change *request,
		const struct lock_change *change, struct connector_reply *reply)
{
	struct directory_mod mods[2];
	struct change_answer answer;
	size_t count = 0;

	if (change->remove)
		mods[count++] =
			(struct directory_mod){ false, a->lock.attribute,
						change->remove };
	if (change->add)
		mods[count++] = (struct directory_mod){ true, a->lock.attribute,
							change->add };
	request->mods = mods;
	request->mod_count = count;
	directory_change(reach->directory, request, &answer);
	if (answer.outcome == CHANGE_DONE)
		return see(reach, a, reply);
	if (answer.outcome == CHANGE_UNKNOWN)
		return error_set(ERR_UNAVAILABLE, "modify: %s", answer.detail);
	return reach_refuse_change(reply, &answer);
}

/* The value that was seen is removed with the new one added: the server refuses
 * when another stands there by then. */
static int carry_out(const struct reach *reach, const struct account *a,
		     struct connector_reply *reply)
{
	CLEANUP(buf_clear) struct buf assertion = BUF_INIT(FILTER_MAX);
	CLEANUP(mem_free_p) char *by_guid = NULL;
	const struct filter_lock terms = { a->name, uuid_of(a),
					   a->lock.attribute, a->lock.value };
	struct directory_change request = { a->name, NULL, 0, NULL };
	struct lock_change change = { 0 };

	a->way->change(&a->lock, a->suspend, &change);
	if (a->is_ad && !uuid_of(a))
		return connector_refuse(reply, "not-allowed",
					"objectGUID cannot be read");
	if (a->is_ad) {
		by_guid = reach_by_guid(uuid_of(a));
		request.name = by_guid;
	} else {
		filter_put_lock_assertion(&assertion, &terms);
		request.assertion = buf_text(&assertion);
	}
	return send(reach, a, &request, &change, reply);
}

static int judge_order(const struct connector_order *order,
		       const struct account *a, struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *now = precondition(a);

	if (strcmp(order->resource, a->name) != 0)
		return connector_refuse(reply, "order",
					"the account is not spelled as the "
					"directory spells it");
	if (!order->precondition || !json_equal(now, order->precondition))
		return connector_refuse(reply, "precondition",
					"the account is another entry than the "
					"one planned, or locked otherwise");
	return 0;
}

int account_apply(void *self, const struct connector_order *order,
		  struct connector_reply *reply)
{
	const struct reach *reach = self;
	CLEANUP(account_clear) struct account a = { 0 };
	int r = take(reach, order->action, order->resource, order->parameters,
		     &a, reply);

	if (r < 0 || is_refused(reply))
		return r;
	r = look(reach, &a);
	if (r == 0)
		r = judge(reach, &a, reply);
	if (r < 0)
		return reach_refuse_failure(reply, r);
	if (is_refused(reply))
		return 0;
	if (stands(&a)) {
		reply->result = connector_no_change();
		return 0;
	}
	discard(judge_order(order, &a, reply));
	return is_refused(reply) ? 0 : carry_out(reach, &a, reply);
}

int account_read(void *self, const struct connector_ask *ask,
		 struct connector_reply *reply)
{
	const struct reach *reach = self;
	CLEANUP(account_clear) struct account a = { 0 };

	TRY(take(reach, ask->action, ask->resource, ask->parameters, &a,
		 reply));
	if (is_refused(reply))
		return 0;
	TRY(look(reach, &a));
	if (!a.record)
		return connector_refuse(reply, "no-such-resource",
					"there is no entry %s", a.name);
	reply->result = json_object();
	json_set_flag(reply->result, "present", stands(&a));
	json_set_new(reply->result, "state", state_of(&a.lock));
	json_set_text(reply->result, "targetVersion", version_of(&a));
	return 0;
}
