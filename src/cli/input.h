/* What commands take in besides words: files, lists, pairs, points in time. */
#pragma once

#include "base/json.h"
#include "cli/cli.h"

enum {
	INPUT_RECORD_MAX = 512 * 1024, /* bytes of a prompt or tool trace */
};

/*
 * Appends a file, or standard input for "-"; it must be UTF-8 text
 * without NUL.
 * Errors: ERR_IO, ERR_NOT_FOUND, ERR_LIMIT, ERR_SYNTAX (not text).
 */
MUST_USE int input_read(struct cli *cli, const char *path, struct buf *b);

/* All values of an option; owned array of strings. */
json_t *input_list(const struct args *a, const char *name);

/*
 * All "NAME=VALUE" of an option; owned object of strings.
 * Errors: ERR_USAGE (no '=', no name, a name twice).
 */
MUST_USE int input_pairs(const struct args *a, const char *name,
			 json_t **ret_object);

/*
 * A point in time, written as RFC 3339 or as a duration from now_ms.
 * Errors: ERR_SYNTAX, ERR_LIMIT; an option of the kind WHEN was checked for
 * them when the command line was read.
 */
MUST_USE int input_time(const char *text, int64_t now_ms, int64_t *ret_ms);
