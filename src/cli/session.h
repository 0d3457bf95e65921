/*
 * What `writ login` keeps: the session's token (it only reads) and the name of
 * the authority that was met, in the person's state folder, mode 0600.
 */
#pragma once

#include "base/json.h"

/* The session kept for url: {"url","origin","vkey","human","token","expires"};
 * owned, NULL if there is none or it cannot be read. */
json_t *session_find(const char *url);

/* The same of one person; human NULL: of whoever logged in last. */
json_t *session_of(const char *url, const char *human);

/* Keeps a session, replacing the one for the same url and person.  Errors:
 * ERR_IO. */
MUST_USE int session_keep(const json_t *session);
