#include "connectors/ldap/account_lock.h"

#include <strings.h>

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/holdings.h"

/* The password policy's lock.  */

#define LOCKED_TIME "pwdAccountLockedTime"
/* "cannot be unlocked but by somebody" (draft-behera, 5.3.3; slapo-ppolicy) */
#define LOCKED_FOR_GOOD "000001010000Z"

static const char *const policy_attributes[] = {
	HOLDINGS_ATTRIBUTES, "entryUUID",	  "entryCSN",
	LOCKED_TIME,	     "pwdPolicySubentry", NULL
};

/*
 * A policy that does not lock (pwdLockout) lets a locked account in: there a
 * suspension would be a word.
 */
static int judge_policy(const struct reach *reach, const json_t *record,
			struct connector_reply *reply)
{
	static const char *const wanted[] = { "pwdLockout", NULL };
	const char *name = record_text(record, "pwdPolicySubentry");
	CLEANUP(json_put_p) json_t *policy = NULL;
	bool is_account = false;

	TRY(directory_matches(reach->directory, json_text(record, "dn", ""),
			      DIRECTORY_ACCOUNTS, &is_account));
	if (!is_account)
		return connector_refuse(reply, "wrong-type", "%s is no account",
					json_text(record, "dn", ""));
	if (!name)
		name = reach->policy;
	if (!name)
		return connector_refuse(
			reply, "no-policy",
			"%s has no password policy of its own: name the "
			"default one in accounts.policy",
			json_text(record, "dn", ""));
	TRY(directory_record(reach->directory, name, wanted, &policy));
	if (strcasecmp(policy ? record_text(policy, "pwdLockout") ?: "" : "",
		       "TRUE") != 0)
		return connector_refuse(
			reply, "no-policy",
			"the password policy %s does not lock (pwdLockout is "
			"not TRUE, or not shown to us): a suspended account "
			"could still log in",
			name);
	return 0;
}

static void see_policy(const json_t *record, struct lock *lock)
{
	const char *value = record_text(record, LOCKED_TIME);

	*lock = (struct lock){ LOCK_NONE, LOCKED_TIME, value, false, NULL };
	if (!value)
		return;
	lock->failures = strcmp(value, LOCKED_FOR_GOOD) != 0;
	lock->state = lock->failures ? LOCK_FAILURES : LOCK_PLACED;
	if (lock->failures)
		lock->since = value;
}

static void change_policy(const struct lock *lock, bool suspend,
			  struct lock_change *change)
{
	change->remove = lock->value;
	change->add = suspend ? LOCKED_FOR_GOOD : NULL;
}

static const struct lock_way policy_way = { policy_attributes, judge_policy,
					    see_policy, change_policy };

/* Active Directory.  */

#define CONTROL "userAccountControl"
#define COMPUTED "msDS-User-Account-Control-Computed"
/* MS-ADTS 2.2.16: ADS_UF_ACCOUNT_DISABLE, ADS_UF_LOCKOUT */
enum { ACCOUNT_DISABLED = 0x2, ACCOUNT_LOCKED_OUT = 0x10 };

static const char *const ad_attributes[] = { HOLDINGS_ATTRIBUTES,
					     "objectGUID",
					     "uSNChanged",
					     CONTROL,
					     COMPUTED,
					     "lockoutTime",
					     "isCriticalSystemObject",
					     NULL };

static int judge_ad(const struct reach *reach UNUSED, const json_t *record,
		    struct connector_reply *reply)
{
	const char *critical = record_text(record, "isCriticalSystemObject");

	if (record_int(record, CONTROL, -1) < 0)
		return connector_refuse(reply, "wrong-type",
					"%s is no account, or its " CONTROL
					" is not shown to us",
					json_text(record, "dn", ""));
	if (critical && strcasecmp(critical, "TRUE") == 0)
		return connector_refuse(reply, "wrong-type",
					"%s is a part of the directory itself "
					"(isCriticalSystemObject)",
					json_text(record, "dn", ""));
	return 0;
}

static void see_ad(const json_t *record, struct lock *lock)
{
	*lock = (struct lock){ LOCK_NONE, CONTROL, record_text(record, CONTROL),
			       false, NULL };
	if (record_int(record, CONTROL, 0) & ACCOUNT_DISABLED)
		lock->state = LOCK_PLACED;
	lock->failures = record_int(record, COMPUTED, 0) & ACCOUNT_LOCKED_OUT;
	if (lock->failures)
		lock->since = record_text(record, "lockoutTime");
}

static void change_ad(const struct lock *lock, bool suspend,
		      struct lock_change *change)
{
	long long now = lock->value ? strtoll(lock->value, NULL, 10) : 0;

	snprintf(change->text, sizeof(change->text), "%lld",
		 suspend ? now | ACCOUNT_DISABLED : now & ~ACCOUNT_DISABLED);
	change->remove = lock->value;
	change->add = change->text;
}

static const struct lock_way ad_way = { ad_attributes, judge_ad, see_ad,
					change_ad };

const struct lock_way *lock_way_of(const struct directory *d)
{
	return directory_is_ad(d) ? &ad_way : &policy_way;
}
