/*
 * The input is a signed form.  None can be valid: the only key was made up and
 * its private half does not exist.
 */
#include "identity/statement.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const json_t *keys_of(void *cookie, const char *human)
{
	return strcmp(human, "alice") ? NULL : cookie;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *form = NULL;
	CLEANUP(json_put_p)
	json_t *keys = json_pack(
		"[s]",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAA"
		"AAAAAAAAAAAAAAAAAAAAAAAA");
	struct statement s;

	if (json_parse(slice_of(data, size), 64 * 1024, &form) < 0)
		return 0;
	for (int type = 0; type < STATEMENT_TYPE_COUNT; type++) {
		bool claims = statement_claims(form, (enum statement_type)type);
		enum statement_verdict verdict = statement_verify(
			form, (enum statement_type)type, "writ.example/log",
			1800000000000, keys_of, keys, &s);

		if (verdict == STATEMENT_VALID)
			abort();
		/* What gets past the type says that it is of it. */
		if (verdict == STATEMENT_UNKNOWN && !claims)
			abort();
	}
	return 0;
}
