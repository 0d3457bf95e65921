/*
 * OpenSSH key revocation lists (PROTOCOL.krl of OpenSSH) that revoke
 * certificates of authorities by their serial numbers.  sshd reads them from
 * the file that RevokedKeys names; they need no signature, since whoever can
 * write that file can take it away.
 */
#pragma once

#include "base/buf.h"

enum {
	SSHKRL_SERIALS_MAX = 1 << 20,
	SSHKRL_AUTHORITIES_MAX = 8,
	SSHKRL_BYTES_MAX = 32 << 20, /* of a whole list */
};

struct sshkrl {
	/* The lines of their public keys; the serials are those of whichever
	 * of them signed. */
	const char *const *authorities;
	size_t authority_count;
	uint64_t version;	 /* never decreases */
	int64_t made;		 /* seconds since 1970 */
	const uint64_t *serials; /* ascending, none twice, none 0 */
	size_t count;		 /* at most SSHKRL_SERIALS_MAX */
};

/* Appends the list in its binary form.  Errors: ERR_SYNTAX (no key, serials out
 * of order), ERR_LIMIT. */
MUST_USE int sshkrl_format(const struct sshkrl *krl, struct buf *out);

/*
 * Reads a list from outside as far as to see that it is whole and of the kind
 * that sshkrl_format() writes: sections of certificates alone, with lists and
 * ranges of serials.
 *
 * ret_version: its version; ret_count: sections, one an authority.
 * Errors: ERR_SYNTAX.
 */
MUST_USE int sshkrl_check(struct slice list, uint64_t *ret_version,
			  unsigned *ret_count);
