/*
 * The operational log: one line of key=value on standard error.  It is not
 * evidence.  Only the top layers (flow, api, daemon, keeper, connectors, cli)
 * log; a secret, a token, a prompt or a whole payload never goes in.
 */
#pragma once

#include "base/base.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* program: put in every line.  Lines above level are dropped. */
void log_open(const char *program, enum log_level level);

/* Errors: ERR_SYNTAX if text is no level. */
MUST_USE int log_level_parse(const char *text, enum log_level *ret_level);

/*
 * text (which may be NULL) as a quoted value, owned: quotes, backslashes and
 * control bytes escaped, cut after 256 bytes.
 */
char *log_quote(const char *text);

/*
 * Writes one line in one write.  event: what happened, in words with '-'.
 * format gives key=value pairs; pass values from outside through log_quote().
 * Control bytes become '?', so that a line stays one line.
 */
PRINTF_LIKE(3, 4)
void log_line(enum log_level level, const char *event, const char *format, ...);

#define log_error(event, ...) log_line(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warning(event, ...) log_line(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_info(event, ...) log_line(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_line(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
