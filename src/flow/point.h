/*
 * What the changes of a target stand on: its connector, or for a target that
 * Writ signs credentials for, this program itself (mint.h).  Callers do not
 * see which.  Such a target may have a connector, too, which then only reads:
 * discover, entitlements, activity.
 */
#pragma once

#include "flow/state.h"

/*
 * Asks as connector_call() does, with the same answers: of the issuer plan,
 * apply and read, for IssueCredential and RevokeCredential.  done comes exactly
 * once, never from within this.
 *
 * params: owned by the call.
 */
void point_call(struct target *t, enum connect_method method, json_t *params,
		enum connector_priority priority, int64_t timeout_ms,
		connector_done_fn done, void *cookie);

/* Whether what a plan, or the parameters of one, says is done by the issuer.
 * What was signed is taken back here, even where the target has been given a
 * connector since. */
bool point_is_here(const struct target *t, const json_t *about);

/* What carries orders out, as plans name it: a connector's build; never NULL.
 */
const char *point_build(const struct target *t);

/* What the connector that carries changes out says of itself, borrowed; NULL
 * while it is down, and for the issuer. */
const json_t *point_describe(const struct target *t);

/* Whether its connector is up and answers this method, one that connectors need
 * not have: connector_call() asks it. */
bool point_tells(const struct target *t, enum connect_method method);

/* Why changes cannot be made while t is not up; never NULL. */
const char *point_why(const struct target *t);

/* Its connector has come up. */
void point_connector_up(struct target *t);

/* Holds the targets against their manifests: those that say "issues" are made
 * or taken from their connectors.  One without a connector stays until the flow
 * closes. */
void points_review(struct flow *f);
