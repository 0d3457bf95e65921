/*
 * Reading the tokens that Writ lent, for the files of this folder.
 */
#pragma once

#include "flow/state.h"

/*
 * The claims of a token that Writ lent and that counts now, owned; NULL if it
 * is none.  One that is shown after its end is an incident.
 *
 * by: the agent that shows it.
 * ret_doc: of the credential, owned; set with the claims.
 */
json_t *token_claims(struct flow *f, const char *token, const char *by,
		     json_t **ret_doc);

/* Whether nothing was recorded of this in the last minute. */
bool incident_is_news(struct flow *f, const char *id);
