#include "identity/bundle.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "identity/svid.h"

static const char use_jwt_svid[] = "jwt-svid";
static const char use_x509_svid[] = "x509-svid";

/* Takes a key for tokens, unless it is of a kind we do not use. */
static int read_jwt_key(const json_t *jwk, struct bundle *b, size_t *count)
{
	CLEANUP(jose_key_free_p) struct jose_key *key = NULL;

	if (!*json_text(jwk, "kid", ""))
		return error_set(ERR_SYNTAX, "jwt-svid key without kid");
	TRY(jose_key_parse(jwk, &key));
	if (!key)
		return 0;
	if (*count == JOSE_KEYS_MAX)
		return error_set(ERR_LIMIT, "more than %d keys", JOSE_KEYS_MAX);
	b->keys[(*count)++] = TAKE(key);
	return 0;
}

/* Takes the authority of an x509-svid key: the first value of x5c; one without
 * any is passed over (X509-SVID, section 6). */
static int read_authority(const json_t *jwk, struct bundle *b)
{
	CLEANUP(buf_clear) struct buf der = BUF_INIT(X509_DER_MAX);
	const json_t *x5c = json_array_in(jwk, "x5c");
	const char *text = json_string_value(json_array_get(x5c, 0));

	if (!json_array_size(x5c))
		return 0;
	if (!text || text_from_base64(slice_str(text), &der) < 0)
		return error_set(ERR_SYNTAX, "x5c is not base64");
	return x509_roots_add(b->roots, buf_slice(&der));
}

/* One element of "keys"; only this one is ignored if it is for something else
 * (section 4.2). */
static int read_key(const json_t *jwk, struct bundle *b, size_t *count)
{
	const char *use = json_text(jwk, "use", "");

	if (!json_is_object(jwk))
		return error_set(ERR_SYNTAX, "key is not an object");
	if (!strcmp(use, use_jwt_svid))
		return read_jwt_key(jwk, b, count);
	if (!strcmp(use, use_x509_svid))
		return read_authority(jwk, b);
	return 0;
}

static int read_keys(const json_t *array, struct bundle *b)
{
	size_t count = 0;
	const json_t *jwk;
	size_t i;

	b->keys = mem_array(JOSE_KEYS_MAX + 1, sizeof(struct jose_key *));
	b->roots = x509_roots_new();
	json_array_foreach(array, i, jwk) {
		int r = read_key(jwk, b, &count);

		if (r < 0)
			return error_context(r, "key %zu", i);
	}
	return 0;
}

/* A whole number that may be absent. */
static int read_number(const json_t *document, const char *name,
		       int64_t *ret_value)
{
	const json_t *value = json_object_get(document, name);

	*ret_value = -1;
	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return error_set(ERR_SYNTAX, "%s is no whole number", name);
	*ret_value = json_integer_value(value);
	return 0;
}

static bool is_domain_name(const char *name)
{
	CLEANUP(mem_free_p) char *text = mem_format("spiffe://%.300s", name);
	struct spiffe_id id;

	return spiffe_id_parse(text, &id) == 0 && !strcmp(id.domain, name);
}

/* The entry of a domain in a bundle map.  The parser has refused a domain that
 * is there twice. */
static int find_entry(const json_t *map, const char *domain,
		      const json_t **ret_document)
{
	const char *name;
	const json_t *entry;

	if (!json_is_object(map))
		return error_set(ERR_SYNTAX, "trust_domains is not an object");
	json_object_foreach((json_t *)(uintptr_t)map, name, entry) {
		if (!is_domain_name(name) || !json_is_object(entry))
			return error_set(ERR_SYNTAX,
					 "trust_domains has a member that is "
					 "no trust domain's");
	}
	*ret_document = json_object_get(map, domain);
	if (!*ret_document)
		return error_set(ERR_NOT_FOUND,
				 "the bundle map has no entry for %s", domain);
	return 0;
}

static int find_document(const json_t *whole, const char *domain,
			 const json_t **ret_document)
{
	const json_t *map = json_object_get(whole, "trust_domains");

	if (!json_is_object(whole))
		return error_set(ERR_SYNTAX, "bundle is not an object");
	*ret_document = whole;
	if (!map)
		return 0;
	if (json_object_get(whole, "keys"))
		return error_set(ERR_SYNTAX,
				 "bundle and bundle map in one document");
	return find_entry(map, domain, ret_document);
}

int bundle_parse(struct slice text, const char *domain,
		 struct bundle **ret_bundle)
{
	CLEANUP(json_put_p) json_t *whole = NULL;
	CLEANUP(bundle_free_p) struct bundle *b = mem_new(struct bundle);
	const json_t *document = NULL;
	const json_t *keys;

	TRY(json_parse(text, JOSE_SET_MAX, &whole));
	TRY(find_document(whole, domain, &document));
	keys = json_array_in(document, "keys");
	if (!keys)
		return error_set(ERR_SYNTAX, "bundle without keys");
	TRY(read_number(document, "spiffe_sequence", &b->sequence));
	TRY(read_number(document, "spiffe_refresh_hint", &b->refresh_hint_s));
	TRY(read_keys(keys, b));
	*ret_bundle = TAKE(b);
	return 0;
}

void bundle_free(struct bundle *b)
{
	if (!b)
		return;
	for (size_t i = 0; b->keys && b->keys[i]; i++)
		jose_key_free(b->keys[i]);
	free(b->keys);
	x509_roots_free(b->roots);
	free(b);
}
