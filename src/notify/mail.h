/* Mail: one message to one person. */
#pragma once

#include "base/buf.h"

/* Whether text is an address as far as mail is sent to it: a dot-atom, '@' and
 * a domain (RFC 5321, 4.1.2), at most 254 bytes of ASCII, so that it can stand
 * in a header and in an envelope as it is. */
bool mail_address_is_good(const char *text);

enum { MAIL_LINE_MAX = 512 }; /* bytes of a user's name or password's file */

/* Appends the first line of a file, nothing for NULL.  secret: it must not be
 * open to others.  Errors: those of file_read_private(). */
MUST_USE int mail_read_line(const char *path, bool secret, struct buf *b);

struct mail_parts {
	const char *id;	    /* of the notice; stands in Message-ID */
	const char *domain; /* of the Message-ID */
	const char *from;   /* good addresses */
	const char *to;
	const char *subject; /* ASCII without controls */
	const char *link;
	int64_t made_ms;
};

/* Appends the message (RFC 5322) with CR LF.  Errors: ERR_SYNTAX (an address is
 * not good), ERR_LIMIT. */
MUST_USE int mail_compose(const struct mail_parts *parts, struct buf *b);
