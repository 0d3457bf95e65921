/*
 * Scenarios (policy/scenarios.json) as questions: the short form of a file's
 * entities and cases is written out as Cedar's JSON.
 */
#pragma once

#include "base/json.h"

/*
 * The file's entities in Cedar's JSON form; owned array.
 * Errors: ERR_SYNTAX for a type or member that is not as docs/policy.md says.
 */
MUST_USE int scenario_entities(const json_t *file, json_t **ret_entities);

/*
 * The facts of a case: defaults, the presets it names, its own; owned object in
 * short form.
 * Errors: ERR_SYNTAX for an unknown preset.
 */
MUST_USE int scenario_facts(const json_t *file, const json_t *scenario,
			    json_t **ret_facts);

/* The ask of a case with its facts; owned.  Errors: ERR_SYNTAX. */
MUST_USE int scenario_ask(const json_t *file, const json_t *scenario,
			  const json_t *facts, json_t **ret_ask);

/* The case's links for policy_bundle_link(); owned array, empty if none. */
json_t *scenario_links(const json_t *scenario);

/* Members of a group, nested ones too, in the form of policy_members_fn;
 * cookie is the file. */
size_t scenario_members(void *cookie, const char *group, const char **names,
			size_t max);
