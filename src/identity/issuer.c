#include "identity/issuer.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "identity/oidc.h"
#include "identity/private.h"
#include "identity/source.h"

enum {
	METADATA_MAX = 64 * 1024,
	KEYS_LEAST_MS = 60 * 1000, /* between two fetches of a key set */
	KEYS_DEFAULT_MS = 3600 * 1000,
	METADATA_MS = 24 * 3600 * 1000,
	STALE_DEFAULT_S = 24 * 3600,
	MS_PER_S = 1000,
	STATUS_NOT_FOUND = 404,
};

/* Where metadata is looked for, in this order. */
enum well_known { WELL_KNOWN_OIDC, WELL_KNOWN_OAUTH, WELL_KNOWN_COUNT };

struct issuer {
	struct trust *trust; /* borrowed */
	uint64_t generation; /* of its keys */
	json_t *spec;	     /* reference */
	const json_t *oidc;  /* in spec */
	const char *name;    /* in spec: its URL */
	const char *ca_file; /* in spec; NULL: that of the transfers */
	int64_t longest_s;
	enum well_known well_known;
	char *jwks_uri;	     /* owned; NULL: not found yet */
	bool fixed;	     /* jwks_uri is of the spec */
	int64_t metadata_ms; /* boot clock: when metadata was read */
	struct digest content;
	struct jose_key **keys; /* owned; NULL: none yet */
	struct source source;
};

/* ---- documents ---- */

int issuer_parse_metadata(struct slice text, const char *issuer,
			  char **ret_jwks_uri)
{
	CLEANUP(json_put_p) json_t *document = NULL;
	const char *uri;

	TRY(json_parse(text, METADATA_MAX, &document));
	if (strcmp(json_text(document, "issuer", ""), issuer) != 0)
		return error_set(ERR_REFUSED,
				 "the metadata is of another issuer");
	uri = json_text(document, "jwks_uri", NULL);
	if (!uri)
		return error_set(ERR_SYNTAX, "the metadata has no jwks_uri");
	TRY(transfer_check_url(uri));
	*ret_jwks_uri = mem_str(uri);
	return 0;
}

/* NULL for a key that is not for signatures, or none we can use. */
static struct jose_key *read_key(const json_t *jwk)
{
	const json_t *use = json_object_get(jwk, "use");
	struct jose_key *key = NULL;

	if (use && (!json_is_string(use) ||
		    strcmp(json_string_value(use), "sig") != 0))
		return NULL;
	return jose_key_parse(jwk, &key) < 0 ? NULL : key;
}

static void free_keys_p(struct jose_key ***keys)
{
	issuer_keys_free(*keys);
}

int issuer_parse_keys(struct slice text, struct jose_key ***ret_keys)
{
	CLEANUP(json_put_p) json_t *document = NULL;
	CLEANUP(free_keys_p) struct jose_key **keys = NULL;
	const json_t *array;
	const json_t *jwk;
	size_t count = 0;
	size_t at;

	TRY(json_parse(text, JOSE_SET_MAX, &document));
	array = json_array_in(document, "keys");
	if (!array)
		return error_set(ERR_SYNTAX, "key set without keys");
	if (json_array_size(array) > JOSE_KEYS_MAX)
		return error_set(ERR_LIMIT, "more than %d keys", JOSE_KEYS_MAX);
	keys = mem_array(JOSE_KEYS_MAX + 1, sizeof(struct jose_key *));
	json_array_foreach(array, at, jwk) {
		struct jose_key *key = read_key(jwk);

		if (key)
			keys[count++] = key;
	}
	*ret_keys = TAKE(keys);
	return 0;
}

void issuer_keys_free(struct jose_key **keys)
{
	for (size_t i = 0; keys && keys[i]; i++)
		jose_key_free(keys[i]);
	free(keys);
}

/* ---- fetching ---- */

/* The issuer's own path comes behind, in the one, or after the well-known part,
 * in the other (RFC 8414, 3.1). */
static char *metadata_url(const struct issuer *i)
{
	const char *host = strstr(i->name, "://") + 3;
	size_t whole = strlen(i->name);
	size_t path = strcspn(host, "/");
	size_t len;

	if (i->name[whole - 1] == '/')
		whole--;
	if (i->well_known == WELL_KNOWN_OIDC)
		return mem_format("%.*s/.well-known/openid-configuration",
				  (int)whole, i->name);
	len = (size_t)(host - i->name) + path;
	if (len > whole)
		len = whole;
	return mem_format("%.*s/.well-known/oauth-authorization-server%.*s",
			  (int)len, i->name, (int)(whole - len), i->name + len);
}

static int take_metadata(void *owner, const struct transfer_result *result,
			 int64_t *ret_after_ms)
{
	struct issuer *i = owner;
	char *uri = NULL;

	TRY(issuer_parse_metadata(result->body, i->name, &uri));
	free(i->jwks_uri);
	i->jwks_uri = uri;
	i->metadata_ms = clock_boot_ms();
	*ret_after_ms = 0;
	return 0;
}

static int64_t next_fetch_ms(const struct issuer *i, int64_t fresh_s)
{
	int64_t after_ms = fresh_s < 0 ? KEYS_DEFAULT_MS : fresh_s * MS_PER_S;

	return source_after(&i->source, after_ms, KEYS_LEAST_MS);
}

static int take_keys(void *owner, const struct transfer_result *result,
		     int64_t *ret_after_ms)
{
	struct issuer *i = owner;
	struct digest content = digest_of(result->body);
	struct jose_key **keys = NULL;

	TRY(issuer_parse_keys(result->body, &keys));
	issuer_keys_free(i->keys);
	i->keys = keys;
	source_good(&i->source, clock_wall_ms(), clock_boot_ms());
	if (!digest_equals(&content, &i->content)) {
		i->source.changed = true;
		i->generation = trust_next_generation(i->trust);
	}
	i->content = content;
	*ret_after_ms = next_fetch_ms(i, result->fresh_s);
	return 0;
}

static void fetch_metadata(struct issuer *i)
{
	CLEANUP(mem_free_p) char *url = metadata_url(i);
	const struct transfer_request request = {
		.url = url,
		.ca_file = i->ca_file,
		.bytes_max = METADATA_MAX,
	};

	/* The other place is looked at the next time, should this fail. */
	i->well_known = (i->well_known + 1) % WELL_KNOWN_COUNT;
	source_fetch(&i->source, &request, take_metadata, i);
}

static void fetch_keys(struct issuer *i)
{
	const struct transfer_request request = {
		.url = i->jwks_uri,
		.ca_file = i->ca_file,
		.bytes_max = JOSE_SET_MAX,
	};

	source_fetch(&i->source, &request, take_keys, i);
}

static bool needs_metadata(const struct issuer *i)
{
	if (i->fixed)
		return false;
	return !i->jwks_uri || clock_boot_ms() - i->metadata_ms > METADATA_MS;
}

bool issuer_refresh(struct issuer *i, json_t *faults)
{
	CLEANUP(mem_free_p) char *name = mem_format("issuer %s", i->name);

	source_look(&i->source);
	if (source_is_due(&i->source)) {
		if (needs_metadata(i))
			fetch_metadata(i);
		else
			fetch_keys(i);
	}
	return source_tell(&i->source, name, faults);
}

void issuer_hurry(struct issuer *i)
{
	refresh_hurry(&i->source.refresh, clock_boot_ms());
}

/* ---- the whole ---- */

static int64_t duration_s(const json_t *spec, const char *name,
			  int64_t fallback)
{
	int64_t seconds;

	return clock_parse_duration(json_text(spec, name, ""), &seconds) < 0
		       ? fallback
		       : seconds;
}

struct issuer *issuer_new(struct trust *t, const struct trust_means *means,
			  const json_t *spec)
{
	struct issuer *i = mem_new(struct issuer);

	i->trust = t;
	i->generation = trust_next_generation(t);
	i->spec = json_incref((json_t *)(uintptr_t)spec);
	i->oidc = json_object_in(spec, "oidc");
	i->name = json_text(i->oidc, "issuer", "");
	i->ca_file = json_text(i->oidc, "caFile", NULL);
	i->jwks_uri = mem_str(json_text(i->oidc, "jwksUri", NULL));
	i->fixed = i->jwks_uri != NULL;
	i->longest_s = duration_s(i->oidc, "longestToken", OIDC_LIFETIME_MAX_S);
	i->source.stale_ms =
		duration_s(spec, "staleAfter", STALE_DEFAULT_S) * MS_PER_S;
	i->source.transfers = means->transfers;
	return i;
}

void issuer_free(struct issuer *i)
{
	if (!i)
		return;
	source_clear(&i->source);
	issuer_keys_free(i->keys);
	free(i->jwks_uri);
	json_decref(i->spec);
	free(i);
}

const char *issuer_name(const struct issuer *i)
{
	return i->name;
}

const json_t *issuer_spec(const struct issuer *i)
{
	return i->spec;
}

struct jose_key *const *issuer_keys(const struct issuer *i)
{
	return source_is_good(&i->source) ? i->keys : NULL;
}

uint64_t issuer_generation(const struct issuer *i)
{
	return issuer_keys(i) ? i->generation : 0;
}

int64_t issuer_longest_s(const struct issuer *i)
{
	return i->longest_s;
}

bool issuer_is_single_use(const struct issuer *i)
{
	return json_flag(i->oidc, "singleUse", true);
}

json_t *issuer_health(const struct issuer *i)
{
	json_t *row = json_object();

	json_set_text(row, "name", i->name);
	json_set_text(row, "kind", "oidc");
	json_set_text(row, "source", i->jwks_uri ? i->jwks_uri : i->name);
	json_set_flag(row, "usable", issuer_keys(i) != NULL);
	if (i->source.good_wall_ms)
		json_set_time(row, "fetched", i->source.good_wall_ms);
	if (*i->source.trouble)
		json_set_text(row, "trouble", i->source.trouble);
	return row;
}
