/*
 * The life of a request as a table: which event leads from which state to
 * which.  What is not in the table cannot happen.
 */
#pragma once

#include "base/base.h"

/* state, text, is it an end, what it means to a person */
#define REQUEST_STATES(ROW)                                                    \
	ROW(PLANNING, "planning", false, "the target is being read")           \
	ROW(WAITING, "waiting", false, "people are asked")                     \
	ROW(REPLANNING, "replanning", false, "the plan is made again")         \
	ROW(ARMED, "armed", false, "the change may now happen")                \
	ROW(READING, "reading", false, "the target is read back")              \
	ROW(UNKNOWN, "unknown", false, "nobody can tell yet what happened")    \
	ROW(DONE, "done", true, "carried out and read back")                   \
	ROW(NO_CHANGE, "no_change", true, "it was so already")                 \
	ROW(FAILED, "failed", true, "not carried out")                         \
	ROW(PARTIAL, "partial", true, "carried out otherwise than planned")    \
	ROW(ROLLED_BACK, "rolled_back", true, "carried out, then undone")      \
	ROW(CONFLICT, "conflict", true, "what was to be undone has changed")   \
	ROW(RECOMMENDED, "recommended", true, "advice, nothing executed")      \
	ROW(ADOPTED, "adopted", true, "advice a human took up")                \
	ROW(DENIED, "denied", true, "not allowed")                             \
	ROW(EXPIRED, "expired", true, "not signed in time")                    \
	ROW(CANCELLED, "cancelled", true, "withdrawn before any effect")

enum request_state {
#define REQUEST_ENUM(name, text, end, help) REQUEST_##name,
	REQUEST_STATES(REQUEST_ENUM)
#undef REQUEST_ENUM
		REQUEST_STATE_COUNT
};

/* event, text */
#define REQUEST_EVENTS(ROW)                                                    \
	ROW(ASK_PEOPLE, "ask people")                                          \
	ROW(ADVISE, "advise")                                                  \
	ROW(DENY, "deny")                                                      \
	ROW(ALREADY_SO, "already so")                                          \
	ROW(STATE_DIFFERS, "state differs")                                    \
	ROW(PLAN_AGAIN, "plan again")                                          \
	ROW(ARM, "arm")                                                        \
	ROW(APPLIED, "applied")                                                \
	ROW(NOT_APPLIED, "not applied")                                        \
	ROW(CANNOT_TELL, "cannot tell")                                        \
	ROW(AS_PLANNED, "as planned")                                          \
	ROW(NOT_AS_PLANNED, "not as planned")                                  \
	ROW(EXPIRE, "expire")                                                  \
	ROW(CANCEL, "cancel")                                                  \
	ROW(GIVE_UP, "give up")                                                \
	ROW(UNDONE, "undone")                                                  \
	ROW(ADOPT, "adopt")                                                    \
	ROW(ANSWERED, "answered")

enum request_event {
#define REQUEST_EVENT_ENUM(name, text) REQUEST_EVENT_##name,
	REQUEST_EVENTS(REQUEST_EVENT_ENUM)
#undef REQUEST_EVENT_ENUM
		REQUEST_EVENT_COUNT
};

const char *request_state_name(enum request_state state);
const char *request_event_name(enum request_event event);
/* False for no such name. */
bool request_state_find(const char *name, enum request_state *ret_state);
bool request_state_is_end(enum request_state state);

/*
 * Where event leads from state.  Returns false, leaving ret_state alone, when
 * the table has no such step: a bug of the caller or a race that must change
 * nothing.
 */
bool request_next(enum request_state state, enum request_event event,
		  enum request_state *ret_state);
