/*
 * Cosignatures of witnesses: C2SP tlog-cosignature, Ed25519 (signature type
 * 0x04).  A witness says by one that at a time the largest consistent tree it
 * had seen of the log was this checkpoint.
 */
#pragma once

#include "crypto/note.h"

enum {
	/* How far ahead of our clock a witness's may be, in seconds. */
	COSIGNATURE_AHEAD_MAX = 300,
};

/* A witness's key; its type is NOTE_COSIGNATURE.  Errors: ERR_SYNTAX,
 * ERR_LIMIT. */
MUST_USE int cosignature_vkey_parse(const char *text,
				    struct note_vkey *ret_vkey);

/*
 * Finds a witness's cosignature of text, the three lines of a checkpoint, among
 * signature lines.  Lines of others are ignored; one of the witness that does
 * not verify, or is from the future, spoils them all.  Of several the latest
 * counts.
 *
 * now_s: POSIX seconds; ret_line: the line with its line feed, a view into
 * lines; ret_at_s: when the witness signed.
 * Errors: ERR_NOT_FOUND (none by it), ERR_CORRUPT (wrong, or of the future),
 * ERR_SYNTAX, ERR_LIMIT.
 */
MUST_USE int cosignature_find(const struct note_vkey *witness,
			      struct slice text, struct slice lines,
			      int64_t now_s, struct slice *ret_line,
			      int64_t *ret_at_s);
