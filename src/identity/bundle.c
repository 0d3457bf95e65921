/* SPIFFE bundle documents (SPIFFE Trust Domain and Bundle, section 4). */
#include "identity/trust.h"

#include "base/error.h"
#include "base/mem.h"

static const char use_jwt_svid[] = "jwt-svid";

/*
 * Reads one element of "keys"; NULL for one that is not for tokens.  Only this
 * element is ignored then (section 4.2).
 */
static int read_key(const json_t *jwk, struct jose_key **ret_key)
{
	const char *use = json_text(jwk, "use", "");
	const char *kid = json_text(jwk, "kid", "");

	*ret_key = NULL;
	if (!json_is_object(jwk))
		return error_set(ERR_SYNTAX, "key is not an object");
	if (strcmp(use, use_jwt_svid) != 0)
		return 0;
	if (!*kid)
		return error_set(ERR_SYNTAX, "jwt-svid key without kid");
	return jose_key_parse(jwk, ret_key);
}

static int read_keys(const json_t *array, struct jose_key **keys)
{
	size_t count = 0;
	const json_t *jwk;
	size_t i;

	json_array_foreach(array, i, jwk) {
		struct jose_key *key;
		int r = read_key(jwk, &key);

		if (r < 0)
			return error_context(r, "key %zu", i);
		if (!key)
			continue;
		if (count == JOSE_KEYS_MAX) {
			jose_key_free(key);
			return error_set(ERR_LIMIT, "more than %d keys",
					 JOSE_KEYS_MAX);
		}
		keys[count++] = key;
	}
	return 0;
}

static void free_keys_p(struct jose_key ***keys)
{
	bundle_keys_free(*keys);
}

int bundle_parse(struct slice text, struct jose_key ***ret_keys)
{
	CLEANUP(json_put_p) json_t *document = NULL;
	CLEANUP(free_keys_p) struct jose_key **keys = NULL;
	const json_t *array;

	TRY(json_parse(text, JOSE_SET_MAX, &document));
	if (!json_is_object(document))
		return error_set(ERR_SYNTAX, "bundle is not an object");
	array = json_array_in(document, "keys");
	if (!array)
		return error_set(ERR_SYNTAX, "bundle without keys");
	keys = mem_array(JOSE_KEYS_MAX + 1, sizeof(struct jose_key *));
	TRY(read_keys(array, keys));
	*ret_keys = TAKE(keys);
	return 0;
}

void bundle_keys_free(struct jose_key **keys)
{
	if (!keys)
		return;
	for (size_t i = 0; keys[i]; i++)
		jose_key_free(keys[i]);
	free(keys);
}
