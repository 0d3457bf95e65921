/*
 * Where the authority is and who we are: options, then environment, then the
 * person's own file, in this order.
 *
 *   url, human, key, origin, ca    ~/.config/writ/config.yaml
 *   WRIT_URL, WRIT_HUMAN, WRIT_KEY, WRIT_CONFIG, WRIT_TOKEN_FILE,
 *   WRIT_TOKEN_COMMAND, WRIT_TOKEN
 *
 * A token is never taken from the command line, where other users see it.  A
 * person who is named there (--human, --key) is meant, whatever token the
 * environment has.
 */
#pragma once

#include "base/json.h"

struct args;

enum {
	SETTINGS_TOKEN_MAX = 16 * 1024, /* bytes */
	SETTINGS_FILE_MAX = 64 * 1024,
};

struct settings {
	char *url;	/* without a slash at the end; NULL if not known */
	char *human;	/* our name as the authority knows it, or NULL */
	char *key;	/* file of the signing key, or NULL */
	char *origin;	/* the authority's name if the file pins it, or NULL */
	char *ca;	/* CA certificates beside the system's, or NULL */
	char *token;	/* bearer token of an agent, or NULL; wiped */
	bool has_token; /* there is a source of one: settings_renew_token() */
	const char *token_from; /* its option or variable, static; or NULL */
	int64_t timeout_ms;	/* of one call */
};

/*
 * Gathers settings.  The file may be absent unless it was named.
 *
 * ret_settings: released with settings_clear(), also after an error.
 * Errors: ERR_USAGE (a bad URL or timeout, a person and a token at once on the
 * command line), ERR_SYNTAX (the file, a token that
 * is none), ERR_IO,
 * ERR_NOT_FOUND (a named file), ERR_LIMIT.
 */
MUST_USE int settings_load(const struct args *args,
			   struct settings *ret_settings);
void settings_clear(struct settings *s);

/*
 * Takes the token anew from where it comes from: a file or a command may have a
 * newer one, and a token serves once.
 * Errors: ERR_USAGE (nothing to take it from), ERR_SYNTAX, ERR_IO,
 * ERR_NOT_FOUND, ERR_LIMIT, ERR_REFUSED (the command failed or took too
 * long).
 */
MUST_USE int settings_renew_token(const struct args *args, struct settings *s);

/*
 * Checks a base URL: https, or http to a loopback address, or a Unix socket as
 * "unix:/path"; no user, query or fragment.  Errors: ERR_USAGE.
 */
MUST_USE int settings_check_url(const char *url);

/* "~/.config/writ/NAME" and "~/.local/state/writ/NAME", following the XDG base
 * directories; owned, NULL if there is no home. */
char *settings_config_path(const char *name);
char *settings_state_path(const char *name);
