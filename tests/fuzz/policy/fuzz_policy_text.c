/* A bundle whose policies are the input: built or refused, never worse. */
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema[] =
	"namespace Gov {\n"
	"  entity Evidence enum [\"ticket\"];\n"
	"  entity Agent { level: Long };\n"
	"  entity Thing { owner: Agent };\n"
	"  entity Ledger tags Long;\n"
	"  action Act appliesTo { principal: [Agent], resource: [Thing],\n"
	"    context: { evidence: Set<Evidence>, approvals: Ledger } };\n"
	"}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(policy_bundle_unref_p) struct policy_bundle *b = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(json_put_p) json_t *files = NULL;
	json_t *text;

	if (size > 4096)
		return 0;
	/* NULL if the input is not UTF-8. */
	text = json_stringn((const char *)data, size);
	if (!text)
		return 0;
	files = json_pack("{s:s, s:{s:o}, s:s}", "schema", schema, "policies",
			  "own.cedar", text, "invariants", "");
	if (policy_bundle_build(files, &b, &faults) == 0 && b) {
		CLEANUP(json_put_p) json_t *list = policy_list(b);

		for (size_t i = 0; i < json_array_size(list); i++)
			if (!policy_text(b, json_text(json_array_get(list, i),
						      "id", "")))
				__builtin_trap();
	}
	if (b && json_array_size(faults) > 0)
		__builtin_trap();
	return 0;
}
