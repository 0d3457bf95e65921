/*
 * The steps that most commands are made of: a call whose answer is shown or
 * explained, and a statement that is signed and sent.
 */
#pragma once

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "identity/statement.h"

/* Opens a client with the agent's token, else with that of the session kept by
 * `writ login` for this URL.  Errors: those of client_open(). */
MUST_USE int exchange_open(struct cli *cli, struct client **ret_client);

/*
 * Makes a call; an answer of 400 and above is explained on standard error.
 *
 * ret_exit: CLI_OK when the answer is of use, else the code to end with.
 * Errors: those of client_call().
 */
MUST_USE int exchange_call(struct cli *cli, struct client *c,
			   const struct client_call *call,
			   struct client_answer *ret_answer, int *ret_exit);

/* GET path; the same. */
MUST_USE int exchange_get(struct cli *cli, struct client *c, const char *path,
			  struct client_answer *ret_answer, int *ret_exit);

/* POST path with body, for what does not act, or does it once however often it
 * is said: no Idempotency-Key. */
MUST_USE int exchange_ask(struct cli *cli, struct client *c, const char *path,
			  const json_t *body, struct client_answer *ret_answer,
			  int *ret_exit);

/* POST path with body and an Idempotency-Key (--idempotency-key, or a new
 * one). */
MUST_USE int exchange_post(struct cli *cli, struct client *c, const char *path,
			   const json_t *body, int64_t wait_ms,
			   struct client_answer *ret_answer, int *ret_exit);

/* Explains a problem document (RFC 9457) on standard error. */
void exchange_explain(struct cli *cli, const struct client_answer *a);

/*
 * What to do about a call that proved the wrong caller or none, on standard
 * error: names the option or variable whose token was sent.
 *
 * status: 401 or 403.
 */
void exchange_hint(struct cli *cli, long status);

/* The exit code for a status. */
int exchange_exit_for_status(long status);

/*
 * A statement of ours (or, if its type is a detector's, of the one that
 * --detector names) for the authority we are connected to; its origin must be
 * the one in the settings or, without it, the one met at login.
 *
 * ret_statement: owned; add the members of its type.
 * Errors: ERR_USAGE (name or key not set), ERR_CORRUPT (another authority).
 */
MUST_USE int exchange_statement(struct cli *cli, struct client *c,
				enum statement_type type,
				json_t **ret_statement);

/* Shows what is about to be signed, on standard error: every member but the
 * time of signing and the nonce. */
void exchange_show_statement(struct cli *cli, const json_t *statement);

/*
 * Signs with the key of the settings, as of now: the member at is set again,
 * for a person may have read for long.  Errors: those of sign_statement().
 */
MUST_USE int exchange_sign(struct cli *cli, enum statement_type type,
			   json_t *statement, json_t **ret_signed);

/* Signs and POSTs the signed form as the whole body; the answer as above. */
MUST_USE int exchange_send_signed(struct cli *cli, struct client *c,
				  enum statement_type type, json_t *statement,
				  const char *path,
				  struct client_answer *ret_answer,
				  int *ret_exit);

/*
 * Shows a statement, asks question, then signs and sends as above.
 * ret_exit: CLI_FAILED when the person said no.
 */
MUST_USE int exchange_ask_and_send(struct cli *cli, struct client *c,
				   enum statement_type type, json_t *statement,
				   const char *question, const char *path,
				   struct client_answer *ret_answer,
				   int *ret_exit);

/* PATH, and "?state=" with --state if that was given; owned. */
char *exchange_list_path(struct cli *cli, const char *path);

/* GET path, page after page, and show the array in member as a table, or all
 * of it as JSON. */
MUST_USE int exchange_list(struct cli *cli, const char *path,
			   const char *member,
			   const struct output_column *columns, size_t count);

/* Shows an answer as a record, or as JSON. */
void exchange_put(struct cli *cli, const json_t *answer,
		  const struct output_column *columns, size_t count);

/* GET path and show the answer as a record, or as JSON. */
MUST_USE int exchange_show(struct cli *cli, const char *path,
			   const struct output_column *columns, size_t count);

/* "PREFIX/SEGMENT" with the segment escaped, then suffix; owned. */
char *exchange_path(const char *prefix, const char *segment,
		    const char *suffix);
