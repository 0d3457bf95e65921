/*
 * Accounts that may or may not log in: SuspendAccount and ResumeAccount, by the
 * password policy's lock (draft-behera-ldap-password-policy, OpenLDAP's
 * ppolicy) or, in Active Directory, by userAccountControl.  The functions are
 * those of struct connector_ops, with a struct reach as their self.
 *
 * A lock that the server placed itself after failed logins is another state
 * than one that somebody placed: it can be lifted, but never placed back.
 */
#pragma once

#include "connectors/ldap/reach.h"

int account_plan(void *self, const struct connector_ask *ask,
		 struct connector_reply *reply);
int account_apply(void *self, const struct connector_order *order,
		  struct connector_reply *reply);
int account_read(void *self, const struct connector_ask *ask,
		 struct connector_reply *reply);
