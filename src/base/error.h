/*
 * Errors.  A function that can fail returns int: 0, or one of the negative
 * codes below after recording a message.  A refusal, a "no" and an empty
 * result are not errors; they come back through a ret_ parameter.
 *
 * The message is for operators.  Never put a secret or a whole payload in it.
 * It belongs to the thread that recorded it.
 */
#pragma once

#include "base/base.h"

enum {
	ERR_IO = -1,	      /* the system refused; errno is in the message */
	ERR_BUSY = -2,	      /* held by someone else; try again later */
	ERR_LIMIT = -3,	      /* larger than this program accepts */
	ERR_SYNTAX = -4,      /* input does not follow its grammar */
	ERR_CORRUPT = -5,     /* our own data does not verify */
	ERR_BROKEN = -6,      /* an earlier failure makes this unsafe */
	ERR_CRYPTO = -7,      /* the crypto library failed */
	ERR_NOT_FOUND = -8,   /* what was named is not there */
	ERR_UNAVAILABLE = -9, /* a process or server we need does not answer */
	ERR_REFUSED = -10,    /* a peer process refused what we asked */
};

enum { ERROR_MESSAGE_MAX = 512 }; /* bytes, cut off silently */

/* Records a message and returns code, so: return error_set(ERR_LIMIT, ...); */
PRINTF_LIKE(2, 3) int error_set(int code, const char *format, ...);

/* The same for a failed system call: adds errno's text, returns ERR_IO. */
PRINTF_LIKE(1, 2) int error_sys(const char *format, ...);

/* Puts "text: " in front of the message and returns code. */
PRINTF_LIKE(2, 3) int error_context(int code, const char *format, ...);

/* The last message recorded in this thread.  Valid until the next one. */
const char *error_message(void);

/* The name of a code, such as "ERR_LIMIT"; "?" for what is none. */
const char *error_name(int code);

/* Passes a failure up.  The only macro in this project that returns. */
#define TRY(call)                                                              \
	do {                                                                   \
		int try_r_ = (call);                                           \
		if (try_r_ < 0)                                                \
			return try_r_;                                         \
	} while (0)
