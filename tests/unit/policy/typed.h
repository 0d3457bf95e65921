/* An ask in JSON as the typed question that says the same, and the other way
 * round as a test of both. */
#pragma once

#include "policy/policy.h"

struct typed {
	struct policy_question question;
	const char *names[256];
	size_t name_count;
	struct policy_count counts[64];
};

/* False if the ask has facts that only JSON can say.  Borrows from ask. */
bool typed_of(const json_t *ask, struct typed *ret);

/*
 * The part of a scenario file's entities that is an inventory; what is not,
 * such as tasks and resources, is left out.  Owned array.
 */
json_t *typed_world(const json_t *entities);

/* Gives an ask its own task and resource, out of the file's entities. */
void typed_bring(json_t *ask, const json_t *entities);
