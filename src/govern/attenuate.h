/*
 * Whether a token that was made for delegated work carries no more than the one
 * it was made from.  A pure function of two sets of claims, so that whoever
 * serves a resource can ask it offline (docs/delegation.md).
 *
 * It compares what stands there and guesses nothing: no scope, address or
 * action stands for others, and what it does not know is refused.
 */
#pragma once

#include "base/json.h"

enum {
	ATTENUATE_WHY_MAX = 256,    /* bytes of the words, with NUL */
	ATTENUATE_ACTORS_MAX = 8,   /* in one chain */
	ATTENUATE_VALUES_MAX = 256, /* of one list, or scopes of one token */
};

/* result, text */
#define ATTENUATIONS(ROW)                                                      \
	ROW(HOLDS, "attenuates")                                               \
	ROW(MALFORMED, "malformed")                                            \
	ROW(SCOPE, "scope")                                                    \
	ROW(RESOURCE, "resource")                                              \
	ROW(DETAILS, "authorization_details")                                  \
	ROW(EXP, "exp")                                                        \
	ROW(ACT, "act")                                                        \
	ROW(SUB, "sub")

enum attenuation {
#define ATTENUATION_ENUM(name, text) ATTENUATION_##name,
	ATTENUATIONS(ATTENUATION_ENUM)
#undef ATTENUATION_ENUM
		ATTENUATION_COUNT
};

/* "attenuates", or what stands against it: "scope", ... */
const char *attenuation_name(enum attenuation result);

/*
 * Compares the claims of child with those of parent:
 *
 * - scope (RFC 6749, 3.3): each of child is one of parent, letter by letter;
 * - resource: the same for absolute URIs in one spelling (RFC 3986, 6.2.2 and
 *   6.2.3), none is part of another; if parent names any, so does child;
 * - authorization_details (RFC 9396): each object of child refines one of
 * parent of the same type: actions, locations and datatypes lie within its, the
 *   identifier is equal, what one says the other says, and neither has another
 *   member (but for "task" of type writ_task, which is not compared);
 * - exp: not later than that of parent;
 * - act (RFC 8693, 4.1): the chain of parent as it is, or that within one new
 *   outermost actor, who is the one of parent's may_act (4.4) if it has that.
 *   Where parent has no act, its sub is the first of the chain;
 * - sub: that of parent, or the new actor.
 *
 * aud and cnf are not authority and not compared, signatures are not looked at.
 *
 * parent, child: claims, any JSON.
 * ret_why: words for a person; "" if it holds.
 */
enum attenuation attenuates(const json_t *parent, const json_t *child,
			    char ret_why[ATTENUATE_WHY_MAX]);
