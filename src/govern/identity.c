/*
 * Each issuer has one claim that every rule of it names ("subjectClaim"), so
 * that rules are found, and compared with each other, by its values.
 */
#include "govern/identity.h"

#include "base/mem.h"
#include "base/text.h"

enum { NAME_MAX_LEN = 256 }; /* bytes of a claim's name */

static const char subject_default[] = "sub";

struct identities {
	json_t *domains; /* trust domain -> "TrustDomain/name" */
	json_t *issuers; /* issuer -> {"by": "TrustDomain/name", "claim"} */
	json_t *rules;	 /* "issuer value" -> array of {"agent", "claims"} */
};

/* Claims that say nothing of who it is, or that are checked already. */
static const char *const other_claims[] = { "iss", "aud", "exp",  "nbf",
					    "iat", "jti", "nonce" };

static void fault(json_t *faults, const char *at, char *detail)
{
	json_t *row = json_object();

	json_set_text(row, "at", at);
	json_set_text(row, "detail", detail);
	json_array_append_new(faults, row);
	free(detail);
}

static const char *name_of(const char *id)
{
	return strchr(id, '/') + 1;
}

/* ---- claims ---- */

/* A name in the form of a JSON pointer, owned: "sub" and "/sub" are one. */
static char *pointer_of(const char *name)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(2 * NAME_MAX_LEN + 2);

	if (*name == '/')
		return mem_str(name);
	buf_put_str(&b, "/");
	text_put_pointer_token(&b, name);
	return buf_take_text(&b);
}

static bool is_pointer(const char *name)
{
	if (!*name || strlen(name) > NAME_MAX_LEN ||
	    name[strlen(name) - 1] == '/' || strstr(name, "//"))
		return false;
	for (const char *c = name; *c; c++) {
		if (*c == '~' && c[1] != '0' && c[1] != '1')
			return false;
	}
	return true;
}

/* Takes one token off a pointer, unescaped; *pointer stands at its slash. */
static void next_token(const char **pointer, char token[NAME_MAX_LEN + 1])
{
	size_t len = 0;

	for (++*pointer; **pointer && **pointer != '/'; ++*pointer) {
		char c = **pointer;

		if (c == '~')
			c = *++*pointer == '1' ? '/' : '~';
		if (len < NAME_MAX_LEN)
			token[len++] = c;
	}
	token[len] = '\0';
}

/* The text that claims have under a name; NULL if there is none. */
static const char *claim_text(const json_t *claims, const char *name)
{
	char token[NAME_MAX_LEN + 1];

	if (*name != '/')
		return json_string_value(json_object_get(claims, name));
	while (*name && claims) {
		next_token(&name, token);
		claims = json_object_get(claims, token);
	}
	return json_string_value(claims);
}

/* A rule's value for a claim is a text or an array of them. */
static bool value_has(const json_t *value, const char *text)
{
	if (json_is_string(value))
		return !strcmp(json_string_value(value), text);
	return json_has_text(value, text);
}

static bool values_meet(const json_t *a, const json_t *b)
{
	const json_t *element;
	size_t at;

	if (json_is_string(a))
		return value_has(b, json_string_value(a));
	json_array_foreach(a, at, element) {
		if (value_has(b, json_string_value(element)))
			return true;
	}
	return false;
}

static bool rule_fits(const json_t *rule, const json_t *claims)
{
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)rule, name, value) {
		const char *text = claim_text(claims, name);

		if (!text || !value_has(value, text))
			return false;
	}
	return true;
}

/* Whether a claim that both rules name tells them apart. */
static bool differ_in(const json_t *rule, const char *name, const json_t *value)
{
	CLEANUP(mem_free_p) char *pointer = pointer_of(name);
	const char *other;
	const json_t *theirs;

	json_object_foreach((json_t *)(uintptr_t)rule, other, theirs) {
		CLEANUP(mem_free_p) char *same = pointer_of(other);

		if (!strcmp(pointer, same) && !values_meet(value, theirs))
			return true;
	}
	return false;
}

/* Whether one token could fit both. */
static bool rules_meet(const json_t *a, const json_t *b)
{
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)a, name, value) {
		if (differ_in(b, name, value))
			return false;
	}
	return true;
}

/* ---- trust domains ---- */

static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text <= 0x20 || *text >= 0x7f)
			return false;
	}
	return true;
}

/* http is for loopback addresses that the configuration names; that is seen
 * when it is fetched. */
static bool is_url(const char *url)
{
	size_t scheme = !strncmp(url, "https://", 8)  ? 8
			: !strncmp(url, "http://", 7) ? 7
						      : 0;

	return scheme && url[scheme] && url[scheme] != '/' &&
	       is_printable(url) && !strchr(url, '#') && !strchr(url, '@');
}

static bool is_domain_name(const char *name)
{
	return *name &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") ==
		       strlen(name);
}

/* The trust domain of a SPIFFE ID with a path, owned; NULL if it is none. */
static char *domain_of(const char *id)
{
	const char *rest = id + strlen("spiffe://");
	CLEANUP(mem_free_p) char *name = NULL;
	size_t len;

	if (strncmp(id, "spiffe://", strlen("spiffe://")) != 0 ||
	    !is_printable(id))
		return NULL;
	len = strcspn(rest, "/");
	name = mem_format("%.*s", (int)len, rest);
	return is_domain_name(name) && rest[len] && rest[len + 1] ? TAKE(name)
								  : NULL;
}

static const char *fault_of_spiffe(const json_t *spec, const json_t *endpoint)
{
	const char *id = json_text(endpoint, "spiffeId", NULL);
	CLEANUP(mem_free_p) char *domain = NULL;
	bool self;

	if (!id)
		return "spec.endpoint.spiffeId: https_spiffe needs it";
	domain = domain_of(id);
	if (!domain)
		return "spec.endpoint.spiffeId: not a SPIFFE ID with a path";
	self = !strcmp(domain, json_text(spec, "trustDomain", ""));
	if (self && !json_object_get(spec, "bundleFile"))
		return "spec.bundleFile: an endpoint of its own domain is "
		       "first believed by it";
	if (!self && json_object_get(spec, "bundleFile"))
		return "spec.bundleFile: the endpoint is believed by the "
		       "bundle of another domain";
	return NULL;
}

static const char *fault_of_endpoint(const json_t *spec)
{
	const json_t *endpoint = json_object_in(spec, "endpoint");

	if (!endpoint)
		return json_object_get(spec, "bundleFile")
			       ? NULL
			       : "spec: bundleFile or endpoint is wanted";
	if (!is_domain_name(json_text(spec, "trustDomain", "")))
		return "spec.trustDomain: only a-z, 0-9, '.', '-' and '_'";
	if (!is_url(json_text(endpoint, "url", "")))
		return "spec.endpoint.url: not an https URL";
	if (!strcmp(json_text(endpoint, "profile", ""), "https_spiffe"))
		return fault_of_spiffe(spec, endpoint);
	if (json_object_get(endpoint, "spiffeId"))
		return "spec.endpoint.spiffeId: https_web has none";
	if (json_object_get(spec, "bundleFile"))
		return "spec.bundleFile: https_web has none";
	return NULL;
}

static const char *fault_of_issuer(const json_t *spec)
{
	static const char *const others[] = { "bundleFile", "endpoint",
					      "longestCertificate" };
	const json_t *oidc = json_object_in(spec, "oidc");
	const char *keys = json_text(oidc, "jwksUri", NULL);

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (json_object_get(spec, others[i]))
			return "spec: bundleFile, endpoint and "
			       "longestCertificate are of a trustDomain";
	}
	if (!is_url(json_text(oidc, "issuer", "")) ||
	    strchr(json_text(oidc, "issuer", ""), '?'))
		return "spec.oidc.issuer: not an https URL without a query";
	if (keys && !is_url(keys))
		return "spec.oidc.jwksUri: not an https URL";
	if (!is_pointer(json_text(oidc, "subjectClaim", subject_default)))
		return "spec.oidc.subjectClaim: neither a name nor a JSON "
		       "pointer";
	return NULL;
}

static const char *fault_of_domain(const json_t *spec)
{
	bool domain = json_object_get(spec, "trustDomain") != NULL;
	bool oidc = json_object_get(spec, "oidc") != NULL;

	if (domain == oidc)
		return "spec: either trustDomain or oidc is wanted";
	return domain ? fault_of_endpoint(spec) : fault_of_issuer(spec);
}

static void enter_domain(struct identities *ids, const char *id,
			 const json_t *spec, json_t *faults)
{
	const char *name = json_text(spec, "trustDomain", NULL);
	const char *holder = json_text(ids->domains, name ? name : "", NULL);

	if (holder)
		fault(faults, id,
		      mem_format("spec.trustDomain: '%s' is already that of "
				 "%s",
				 name, holder));
	else if (name)
		json_set_text(ids->domains, name, id);
}

static void enter_issuer(struct identities *ids, const char *id,
			 const json_t *spec, json_t *faults)
{
	const json_t *oidc = json_object_in(spec, "oidc");
	const char *name = json_text(oidc, "issuer", NULL);
	const json_t *holder = json_object_get(ids->issuers, name ? name : "");
	json_t *row;

	if (!name)
		return;
	if (holder) {
		fault(faults, id,
		      mem_format("spec.oidc.issuer: '%s' is already that of %s",
				 name, json_text(holder, "by", "")));
		return;
	}
	row = json_object();
	json_set_text(row, "by", id);
	json_set_text(row, "claim",
		      json_text(oidc, "subjectClaim", subject_default));
	json_set_new(ids->issuers, name, row);
}

static void check_domain(struct identities *ids, const char *id,
			 const json_t *spec, json_t *faults)
{
	const char *why = fault_of_domain(spec);

	if (why)
		fault(faults, id, mem_str(why));
	enter_domain(ids, id, spec, faults);
	enter_issuer(ids, id, spec, faults);
}

/* Once all are known: an endpoint of another domain is believed by that one's
 * bundle. */
static void check_endpoint(struct identities *ids, const char *id,
			   const json_t *spec, json_t *faults)
{
	const char *peer =
		json_text(json_object_in(spec, "endpoint"), "spiffeId", NULL);
	CLEANUP(mem_free_p) char *domain = peer ? domain_of(peer) : NULL;

	if (domain && !json_object_get(ids->domains, domain))
		fault(faults, id,
		      mem_format("spec.endpoint.spiffeId: there is no "
				 "TrustDomain for '%s'",
				 domain));
}

/* ---- rules ---- */

static bool is_value(const json_t *value)
{
	const json_t *element;
	size_t at;

	if (json_is_string(value))
		return *json_string_value(value) != '\0';
	if (!json_array_size(value) ||
	    json_array_size(value) > IDENTITY_VALUES_MAX)
		return false;
	json_array_foreach(value, at, element) {
		if (!json_is_string(element) || !*json_string_value(element))
			return false;
	}
	return true;
}

static bool is_other_claim(const char *name)
{
	name += *name == '/';
	for (size_t i = 0; i < ARRAY_LEN(other_claims); i++) {
		if (!strcmp(name, other_claims[i]))
			return true;
	}
	return false;
}

static bool check_claims(const char *id, const json_t *claims, json_t *faults)
{
	const char *name;
	const json_t *value;
	size_t before = json_array_size(faults);

	json_object_foreach((json_t *)(uintptr_t)claims, name, value) {
		if (!is_pointer(name))
			fault(faults, id,
			      mem_format("spec.oidc: claim '%s' is neither a "
					 "name nor a JSON pointer",
					 name));
		else if (is_other_claim(name))
			fault(faults, id,
			      mem_format("spec.oidc: claim '%s' says nothing "
					 "of who it is",
					 name));
		else if (!is_value(value))
			fault(faults, id,
			      mem_format("spec.oidc: claim '%s' is compared "
					 "with a text or a list of 1 to %d "
					 "texts",
					 name, IDENTITY_VALUES_MAX));
	}
	return json_array_size(faults) == before;
}

/* The rule's values for the claim that selects, under any of its names. */
static const json_t *selecting(const json_t *claims, const char *claim)
{
	CLEANUP(mem_free_p) char *wanted = pointer_of(claim);
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)claims, name, value) {
		CLEANUP(mem_free_p) char *pointer = pointer_of(name);

		if (!strcmp(pointer, wanted))
			return value;
	}
	return NULL;
}

static char *key_of(const char *issuer, const char *value)
{
	return mem_format("%s %s", issuer, value);
}

/* Enters a rule under one value, unless another agent's could fit as well. */
static void enter_value(struct identities *ids, const char *id,
			const char *issuer, const char *value,
			const json_t *claims, json_t *faults)
{
	CLEANUP(mem_free_p) char *key = key_of(issuer, value);
	json_t *list = json_object_get(ids->rules, key);
	const json_t *row;
	size_t at;
	json_t *fresh = json_object();

	json_array_foreach(list, at, row) {
		const char *other = json_text(row, "agent", "");

		if (strcmp(other, id) != 0 &&
		    rules_meet(claims, json_object_get(row, "claims")))
			fault(faults, id,
			      mem_format("spec.oidc: a token of '%s' could be "
					 "that of %s as well",
					 value, other));
	}
	if (!list) {
		list = json_array();
		json_set_new(ids->rules, key, list);
	}
	if (json_array_size(list) == IDENTITY_SHARED_MAX)
		fault(faults, id,
		      mem_format("spec.oidc: more than %d rules for '%s'",
				 IDENTITY_SHARED_MAX, value));
	json_set_text(fresh, "agent", id);
	json_object_set(fresh, "claims", (json_t *)(uintptr_t)claims);
	json_array_append_new(list, fresh);
}

static void enter_values(struct identities *ids, const char *id,
			 const char *issuer, const json_t *values,
			 const json_t *claims, json_t *faults)
{
	const json_t *element;
	size_t at;

	if (json_is_string(values))
		enter_value(ids, id, issuer, json_string_value(values), claims,
			    faults);
	json_array_foreach(values, at, element)
		enter_value(ids, id, issuer, json_string_value(element), claims,
			    faults);
}

/* An agent that may do nothing may have lost its issuer. */
static bool is_active(const json_t *spec)
{
	return !strcmp(json_text(spec, "status", "active"), "active");
}

static void enter_rule(struct identities *ids, const char *id,
		       const json_t *spec, const json_t *rule, json_t *faults)
{
	const char *issuer = json_text(rule, "issuer", "");
	const json_t *claims = json_object_in(rule, "claims");
	const json_t *row = json_object_get(ids->issuers, issuer);
	const char *claim = json_text(row, "claim", subject_default);
	const json_t *values = selecting(claims, claim);

	if (!row) {
		if (is_active(spec))
			fault(faults, id,
			      mem_format("spec.oidc: there is no TrustDomain "
					 "with the issuer '%s'",
					 issuer));
		return;
	}
	if (!check_claims(id, claims, faults))
		return;
	if (!values) {
		fault(faults, id,
		      mem_format("spec.oidc: the claim '%s' is wanted, by "
				 "which agents of '%s' are told apart",
				 claim, issuer));
		return;
	}
	enter_values(ids, id, issuer, values, claims, faults);
}

static void enter_agent(struct identities *ids, const char *id,
			const json_t *spec, json_t *faults)
{
	const json_t *rules = json_array_in(spec, "oidc");
	const json_t *rule;
	size_t at;

	if (!json_array_size(rules) &&
	    !json_array_size(json_array_in(spec, "identities")))
		fault(faults, id,
		      mem_str("spec: identities or oidc is wanted"));
	json_array_foreach(rules, at, rule)
		enter_rule(ids, id, spec, rule, faults);
}

/* ---- the whole ---- */

typedef void (*enter_fn)(struct identities *ids, const char *id,
			 const json_t *spec, json_t *faults);

static void each(struct identities *ids, const json_t *manifests,
		 const char *kind, enter_fn enter, json_t *faults)
{
	const char *id;
	const json_t *manifest;

	json_object_foreach((json_t *)(uintptr_t)manifests, id, manifest) {
		if (!strcmp(json_text(manifest, "kind", ""), kind))
			enter(ids, id, json_object_get(manifest, "spec"),
			      faults);
	}
}

struct identities *identities_new(const json_t *manifests, json_t *faults)
{
	struct identities *ids = mem_new(struct identities);

	ids->domains = json_object();
	ids->issuers = json_object();
	ids->rules = json_object();
	each(ids, manifests, "TrustDomain", check_domain, faults);
	each(ids, manifests, "TrustDomain", check_endpoint, faults);
	each(ids, manifests, "Agent", enter_agent, faults);
	return ids;
}

void identities_free(struct identities *ids)
{
	if (!ids)
		return;
	json_decref(ids->domains);
	json_decref(ids->issuers);
	json_decref(ids->rules);
	free(ids);
}

const char *identities_agent(const struct identities *ids, const char *issuer,
			     const json_t *claims, bool *ret_several)
{
	const json_t *known = json_object_get(ids->issuers, issuer);
	const char *value =
		known ? claim_text(claims, json_text(known, "claim", ""))
		      : NULL;
	CLEANUP(mem_free_p) char *key = value ? key_of(issuer, value) : NULL;
	const char *found = NULL;
	const json_t *row;
	size_t at;

	*ret_several = false;
	json_array_foreach(key ? json_object_get(ids->rules, key) : NULL, at,
			   row) {
		const char *agent = json_text(row, "agent", "");

		if (!rule_fits(json_object_get(row, "claims"), claims))
			continue;
		*ret_several |= found && strcmp(found, agent) != 0;
		found = agent;
	}
	return found && !*ret_several ? name_of(found) : NULL;
}
