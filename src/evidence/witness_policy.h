/*
 * Policy files of C2SP tlog-policy: which logs and witnesses are known, and
 * which witnesses together make a quorum.
 */
#pragma once

#include "crypto/note.h"

enum {
	WITNESS_POLICY_MAX = 256 * 1024, /* bytes of a file */
	WITNESS_MAX = 64,		 /* witnesses in it */
	WITNESS_GROUPS_MAX = 64,
	WITNESS_LOGS_MAX = 64,
};

struct witness {
	char *name; /* within the file */
	struct note_vkey vkey;
	char *url; /* submission prefix without a '/' at its end, or NULL */
};

struct witness_policy;

/*
 * Reads a policy file's text.
 *
 * ret_policy: owned.
 * Errors: ERR_SYNTAX with the line's number, ERR_LIMIT.
 */
MUST_USE int witness_policy_parse(struct slice text,
				  struct witness_policy **ret_policy);
/* The same from a file.  Errors: ERR_IO and ERR_NOT_FOUND, too. */
MUST_USE int witness_policy_load(const char *path,
				 struct witness_policy **ret_policy);
void witness_policy_free(struct witness_policy *p);
DEFINE_CLEANUP(struct witness_policy *, witness_policy_free)

size_t witness_policy_count(const struct witness_policy *p);
/* Borrowed; index below the count. */
const struct witness *witness_policy_at(const struct witness_policy *p,
					size_t index);

/* Whether the log is one of the file's; a file that names none says nothing
 * about logs. */
bool witness_policy_has_log(const struct witness_policy *p,
			    const struct note_vkey *log);

/* Whether witnesses (bit n: the one at index n) make the quorum. */
bool witness_policy_is_met(const struct witness_policy *p, uint64_t witnesses);
