/*
 * {"rule": claims of an agent, "token": claims of a token}: a token that is the
 * agent's has a text under each claim of the rule.
 */
#include "govern/identity.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *manifests_of(json_t *rule)
{
	return json_pack("{s:{s:s, s:{s:{s:s}}}, s:{s:s, s:{s:[{s:s, s:O}]}}}",
			 "TrustDomain/t", "kind", "TrustDomain", "spec", "oidc",
			 "issuer", "https://issuer.example", "Agent/a", "kind",
			 "Agent", "spec", "oidc", "issuer",
			 "https://issuer.example", "claims", rule);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *input = NULL;
	CLEANUP(json_put_p) json_t *faults = json_array();
	CLEANUP(json_put_p) json_t *manifests = NULL;
	CLEANUP(identities_free_p) struct identities *ids = NULL;
	bool several = false;
	const char *name;
	json_t *rule;

	if (json_parse(slice_of(data, size), 64 * 1024, &input) < 0)
		return 0;
	rule = json_object_in(input, "rule");
	if (!rule)
		return 0;
	manifests = manifests_of(rule);
	ids = identities_new(manifests, faults);
	name = identities_agent(ids, "https://issuer.example",
				json_object_get(input, "token"), &several);
	assert(!several);
	if (name)
		assert(!strcmp(name, "a") && json_object_size(rule) > 0);
	return 0;
}
