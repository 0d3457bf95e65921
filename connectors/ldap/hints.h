/*
 * What the attributes of an entry tell about the account it is: whether it is a
 * service's, whether several share it, whether anybody uses it.  Pure: nothing
 * here asks a directory or a clock.  Each flag says why.
 */
#pragma once

#include "base/json.h"

/* Attributes that a record must have been asked for. */
#define HINTS_ATTRIBUTES                                                       \
	"objectClass", "uid", "cn", "displayName", "description", "manager",   \
		"owner", "loginShell", "sshPublicKey", "userCertificate",      \
		"userCertificate;binary", "createTimestamp", "pwdLastSuccess", \
		"authTimestamp", "pwdAccountLockedTime", "sAMAccountName",     \
		"userAccountControl", "adminCount", "servicePrincipalName",    \
		"whenCreated", "lastLogonTimestamp", "lastLogon"

struct hints_terms {
	bool is_ad;
	bool last_use_known; /* the server records it */
	int64_t now_ms;
	int64_t stale_days;
};

/* The last login that is recorded of a record; false without one. */
bool hints_last_use(const json_t *record, int64_t *ret_ms);

/* The account as discover answers it (docs/connector-protocol.md); owned. */
json_t *hints_account(const json_t *record, const struct hints_terms *terms);
