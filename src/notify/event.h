/*
 * What is told of, one row each, and the words and the body of a notice: ids
 * and a link, never a name of a resource, an intent, or anything about a
 * person.
 */
#pragma once

#include "base/json.h"

/* name, text, folder of the link, subject of a mail */
#define NOTIFY_EVENTS(ROW)                                                     \
	ROW(REQUEST_WAITING, "request.waiting", "requests",                    \
	    "A request waits for your signature")                              \
	ROW(REQUEST_DECIDED, "request.decided", "requests",                    \
	    "A request you were asked about is decided")                       \
	ROW(REQUEST_ENDED, "request.ended", "requests", "A request has ended") \
	ROW(REQUEST_UNKNOWN, "request.unknown", "requests",                    \
	    "Nobody can tell yet what a request of your agent came to")        \
	ROW(REQUEST_ESCALATED, "request.escalated", "requests",                \
	    "A request waits, and those who were asked are silent")            \
	ROW(GRANT_ENDED, "grant.ended", "grants",                              \
	    "A grant of your agent has ended")                                 \
	ROW(AGENT_EXPIRING, "agent.expiring", "agents",                        \
	    "An agent of yours expires soon")                                  \
	ROW(AGENT_EXPIRED, "agent.expired", "agents",                          \
	    "An agent of yours has expired")                                   \
	ROW(CONTAINED, "containment.made", "containments",                     \
	    "An agent of yours, or a task of it, was contained")               \
	ROW(CHANGE_WAITING, "change.waiting", "changes",                       \
	    "A change of the inventory waits for signatures")                  \
	ROW(CHANGE_REMOVED, "change.removed", "changes",                       \
	    "What you own was removed from the inventory")                     \
	ROW(EXCEPTION_WAITING, "exception.waiting", "exceptions",              \
	    "An exception (break-glass) waits for signatures")                 \
	ROW(EXCEPTION_CHANGED, "exception.changed", "exceptions",              \
	    "An exception for a task of your agent is in force, or revoked")   \
	ROW(CREDENTIAL_SHOWN, "credential.shown", "credentials",               \
	    "A credential of your agent was shown after its end")

enum notify_event {
#define NOTIFY_EVENT_ENUM(name, text, folder, subject) NOTIFY_##name,
	NOTIFY_EVENTS(NOTIFY_EVENT_ENUM)
#undef NOTIFY_EVENT_ENUM
		NOTIFY_EVENT_COUNT
};

const char *notify_event_name(enum notify_event event);
/* False for no such name. */
bool notify_event_find(const char *name, enum notify_event *ret_event);
const char *notify_event_subject(enum notify_event event);

/* prefix/FOLDER/about, percent-encoded (RFC 3986, 2.1); owned. */
char *notify_event_link(enum notify_event event, const char *prefix,
			const char *about);

/*
 * The body of a webhook, canonical JSON: {"data": {"id", "link", "role"},
 * "timestamp", "type"}; owned.  The same for the same notice at each try.
 */
char *notify_event_body(enum notify_event event, const char *link,
			const char *about, const char *role, int64_t made_ms);
