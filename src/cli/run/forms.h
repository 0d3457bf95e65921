/*
 * The forms in which a credential reaches a command: those that programs read
 * already.
 *
 *   login  PGSERVICEFILE with services TARGET and TARGET.ROLE, PGPASSFILE;
 *          with one login only, PGHOST, PGPORT, PGDATABASE and PGUSER, too
 *   ssh    SSH_AUTH_SOCK
 *   token  a file, named in WRIT_TOKEN_FILE_<TARGET>_<ROLE>; the first of a
 *          target in WRIT_TOKEN_FILE_<TARGET>, and with one token only in
 *          WRIT_ACCESS_TOKEN_FILE, too
 */
#pragma once

#include "base/json.h"
#include "cli/run/child.h"
#include "cli/run/keyring.h"
#include "cli/run/scratch.h"

struct forms {
	struct scratch *scratch; /* borrowed, as all here */
	struct keyring *keyring; /* NULL without one */
	struct environment *env;
	struct buf services;  /* of PGSERVICEFILE */
	struct buf passwords; /* of PGPASSFILE; wiped */
	json_t *variables;    /* that name a token: name -> target */
	unsigned logins;
	unsigned tokens;
};

void forms_open(struct forms *f, struct scratch *scratch,
		struct environment *env);
void forms_clear(struct forms *f);

/* What a credential is for; texts are borrowed. */
struct lent {
	const char *target;
	const char *role;
	int64_t life_s; /* until its task ends */
};

/*
 * Lays out what was lent.
 *
 * secret: of the loan: its members say which form it is.
 * Errors: ERR_SYNTAX (not a form that is known, or something in it that the
 * files cannot hold), ERR_REFUSED, ERR_IO.
 */
MUST_USE int forms_add(struct forms *f, const struct lent *lent,
		       const json_t *secret);

/* Replaces a token that was laid out by its successor.  Errors: ERR_IO. */
MUST_USE int forms_renew_token(struct forms *f, const struct lent *lent,
			       const char *token);
