/*
 * IssueCredential and RevokeCredential: a login that is lent for one task and
 * taken back.  The functions are those of struct connector_ops, with a struct
 * target as their self.
 *
 * The login's name follows from the id of the request.  Its password is made
 * here, leaves in the answer to apply and is kept nowhere; the server gets a
 * verifier.
 */
#pragma once

#include "connectors/postgres/target.h"

/* Reads the server and says what lending or taking back would change. */
MUST_USE int credential_plan(struct target *t, const struct connector_ask *ask,
			     struct connector_reply *reply);

/* Lends, or takes back; a login that the request has already is taken back
 * first. */
MUST_USE int credential_apply(struct target *t,
			      const struct connector_order *order,
			      struct connector_reply *reply);

/* Whether the login is there and can be used, or is gone for good. */
MUST_USE int credential_read(struct target *t, const struct connector_ask *ask,
			     struct connector_reply *reply);
