/* What the files of the directory share: connecting in directory.c, reading in
 * directory_ops.c, changing in directory_change.c. */
#pragma once

#include <ldap.h>
#include <sys/time.h>

#include "connectors/ldap/directory.h"

struct directory {
	struct directory_options options;
	LDAP *ld;	     /* NULL while not connected */
	int64_t deadline_ms; /* boot clock; when looking has to end */
	void *tls;	     /* the library's context, kept for its life */
	char *tls_stamp;     /* owned; the files it was made of */
	bool is_ad;
	bool can_post_read;
	char *contexts[DIRECTORY_CONTEXTS_MAX + 1]; /* owned, normal form */
	size_t context_count;
};

static inline UNUSED void message_free_p(LDAPMessage **message)
{
	if (*message)
		discard(ldap_msgfree(*message));
}

static inline UNUSED void values_free_p(struct berval ***values)
{
	ldap_value_free_len(*values);
}

/* Sets the deadline, from now. */
void directory_hurry(struct directory *d, int64_t budget_ms);

/* How long the next answer may take: the configured time, within the
 * deadline. */
struct timeval directory_patience(const struct directory *d);

/*
 * Ends the connection.  It is never used again after a failure: the library
 * would quietly open a new one without TLS and without a bind.
 */
void directory_disconnect(struct directory *d);

/*
 * Records what went wrong and returns the code for it, after ending the
 * connection.  code: a result code of the library or the server.
 */
MUST_USE int directory_failure(struct directory *d, int code, const char *what);

/* Appends the words for code, printable ASCII only. */
void directory_describe(LDAP *ld, int code, char *text, size_t size);

/* Waits for the whole answer to request id; ret_message: owned.
 * Errors: ERR_UNAVAILABLE. */
MUST_USE int directory_answer(struct directory *d, int id,
			      LDAPMessage **ret_message);

/* A search in two steps, so that several can be on their way.  controls:
 * NULL-terminated, NULL for none. */
MUST_USE int directory_send(struct directory *d,
			    const struct directory_query *query,
			    LDAPControl **controls, int *ret_id);

/*
 * Waits for all answers to a search.
 *
 * ret_message: owned, NULL if there is no such base.
 * Errors: those of directory_read().
 */
MUST_USE int directory_wait(struct directory *d, int id,
			    LDAPMessage **ret_message);

/* What directory_wait() makes of an answer; takes owned. */
MUST_USE int directory_judge(struct directory *d, LDAPMessage *owned,
			     LDAPMessage **ret_message);

/* The result code of a whole answer, or what kept us from reading it. */
int directory_code(struct directory *d, LDAPMessage *message);

/* A value as owned text.  Errors: ERR_CORRUPT for one with a NUL byte. */
MUST_USE int directory_text(const struct berval *value, char **ret_text);

/* directory_read() in two steps, so that several can be on their way. */
MUST_USE int directory_send_read(struct directory *d, const char *name,
				 int *ret_id);
MUST_USE int directory_wait_read(struct directory *d, int id,
				 struct directory_entry *ret_entry,
				 bool *ret_found);
