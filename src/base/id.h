/* Random bytes and names for things. */
#pragma once

#include "base/base.h"

enum { ID_MAX = 40 }; /* bytes of an id with its NUL */

/* Fills bytes from the kernel's generator; ends the process if it fails. */
void random_bytes(void *bytes, size_t size);

/*
 * Writes prefix, '_' and a UUIDv7 (RFC 9562, 5.7) in 32 hex digits, so that ids
 * sort by time.  prefix: 2 to 4 lower-case letters.
 */
void id_new(const char *prefix, char id[ID_MAX]);

/* True for an id that id_new(prefix, ...) could have made. */
bool id_is(const char *prefix, const char *text);
