/* The project's own policies, and small asks made by hand. */
#pragma once

#include "base/file.h"
#include "policy/policy.h"

/* Texts of POLICY_FOLDER as policy_bundle_build() wants them; owned. */
json_t *support_files(void);

/* The bundle of those files; ends the test if it has faults. */
struct policy_bundle *support_bundle(void);

/* policy/scenarios.json; owned. */
json_t *support_scenarios(void);

/* A bundle of one small schema (namespace Gov) and these policies; NULL, with
 * the faults, if it is refused.  ret_faults may be NULL. */
struct policy_bundle *support_small(const char *policies,
				    const char *invariants,
				    json_t **ret_faults);

/* An ask of that schema: Agent "a" Acts on Thing "t", whose entities are in the
 * ask; owned. */
json_t *support_ask(void);

/* JSON with ' in place of "; owned, ends the test if it is none. */
json_t *support_json(const char *text);
