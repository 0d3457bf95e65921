/*
 * Web addresses, read strictly and compared: absolute http and https URLs in
 * their normal form (RFC 3986, 6.2.2 and 6.2.3).
 */
#pragma once

#include "base/buf.h"

enum {
	URL_MAX = 2048, /* bytes */
};

/* What of a URL is kept. */
enum url_part {
	URL_ORIGIN, /* "https://host:port", without a slash */
	URL_PATH,   /* and the path, at least "/" */
	URL_WHOLE,  /* and the query, if there is one */
};

/*
 * Appends the normal form: scheme and host in lower case, no port that the
 * scheme has anyway, no "." and ".." segments, escapes of unreserved bytes
 * decoded and those of others in upper case.  A fragment is passed over.
 *
 * Errors: ERR_SYNTAX (another scheme, no host, a user, a byte or an escape that
 * is not allowed in its place), ERR_LIMIT.
 */
MUST_USE int url_normalize(const char *text, enum url_part keep,
			   struct buf *out);

/* Whether two texts are the same address: equal in normal form without
 * fragments, or, where one of them is no web address, byte for byte. */
bool url_same(const char *a, const char *b);

/*
 * Whether text may name an authority that gives tokens (RFC 8414, section 2):
 * https, or http on this machine itself, in normal form, without query, and
 * without a slash at its end.
 */
bool url_is_issuer(const char *text);
