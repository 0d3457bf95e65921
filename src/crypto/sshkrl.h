/*
 * OpenSSH key revocation lists (PROTOCOL.krl of OpenSSH) that revoke
 * certificates of one authority by their serial numbers.  sshd reads them from
 * the file that RevokedKeys names; they need no signature, since whoever can
 * write that file can take it away.
 */
#pragma once

#include "base/buf.h"

enum { SSHKRL_SERIALS_MAX = 1 << 20 };

struct sshkrl {
	const char *authority;	 /* the line of its public key */
	uint64_t version;	 /* never decreases */
	int64_t made;		 /* seconds since 1970 */
	const uint64_t *serials; /* ascending, none twice, none 0 */
	size_t count;		 /* at most SSHKRL_SERIALS_MAX */
};

/* Appends the list in its binary form.  Errors: ERR_SYNTAX (no key, serials out
 * of order), ERR_LIMIT. */
MUST_USE int sshkrl_format(const struct sshkrl *krl, struct buf *out);
