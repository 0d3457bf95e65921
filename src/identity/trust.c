#include "identity/trust.h"

#include "base/file.h"
#include "base/mem.h"
#include "identity/domain.h"
#include "identity/issuer.h"
#include "identity/private.h"

struct trust {
	struct trust_means means;
	char *folder; /* owned */
	struct domain **domains;
	size_t domain_count;
	struct issuer **issuers;
	size_t issuer_count;
	uint64_t last_generation;
};

struct trust *trust_new(void)
{
	return mem_new(struct trust);
}

/* A folder that cannot be made is told with the first bundle to be kept. */
void trust_use(struct trust *t, const struct trust_means *means)
{
	free(t->folder);
	t->folder =
		means->folder ? mem_format("%s/trust", means->folder) : NULL;
	t->means = (struct trust_means){ means->transfers, t->folder };
	if (t->folder)
		discard(file_make_folder(t->folder));
}

uint64_t trust_next_generation(struct trust *t)
{
	return ++t->last_generation;
}

static void free_all(struct domain **domains, size_t domain_count,
		     struct issuer **issuers, size_t issuer_count)
{
	for (size_t i = 0; i < domain_count; i++)
		domain_free(domains[i]);
	for (size_t i = 0; i < issuer_count; i++)
		issuer_free(issuers[i]);
	free(domains);
	free(issuers);
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	free_all(t->domains, t->domain_count, t->issuers, t->issuer_count);
	free(t->folder);
	free(t);
}

static struct domain **find_domain(const struct trust *t, const char *name)
{
	for (size_t i = 0; i < t->domain_count; i++) {
		if (t->domains[i] && !strcmp(domain_name(t->domains[i]), name))
			return &t->domains[i];
	}
	return NULL;
}

static struct issuer **find_issuer(const struct trust *t, const char *name)
{
	for (size_t i = 0; i < t->issuer_count; i++) {
		if (t->issuers[i] && !strcmp(issuer_name(t->issuers[i]), name))
			return &t->issuers[i];
	}
	return NULL;
}

/* The domain of old that spec describes, or a new one. */
static struct domain *take_domain(struct trust *t, const struct trust *old,
				  const json_t *spec)
{
	struct domain **place =
		find_domain(old, json_text(spec, "trustDomain", ""));
	struct domain *d;

	if (place && json_equal(domain_spec(*place), spec))
		return TAKE(*place);
	d = domain_new(t, &t->means, spec);
	if (place)
		domain_inherit(d, *place);
	return d;
}

static struct issuer *take_issuer(struct trust *t, const struct trust *old,
				  const json_t *spec)
{
	struct issuer **place = find_issuer(
		old, json_text(json_object_in(spec, "oidc"), "issuer", ""));

	if (place && json_equal(issuer_spec(*place), spec))
		return TAKE(*place);
	return issuer_new(t, &t->means, spec);
}

/* A name that is there twice has been refused when the manifest was applied;
 * here the first one counts. */
static void add(struct trust *t, const struct trust *old, const json_t *spec)
{
	const char *domain = json_text(spec, "trustDomain", NULL);

	if (domain && !find_domain(t, domain))
		t->domains[t->domain_count++] = take_domain(t, old, spec);
	if (!domain && json_object_in(spec, "oidc"))
		t->issuers[t->issuer_count++] = take_issuer(t, old, spec);
}

void trust_set(struct trust *t, const json_t *specs, json_t **ret_faults)
{
	const struct trust old = *t;
	const json_t *spec;
	size_t at;

	t->domains =
		mem_array(json_array_size(specs) + 1, sizeof(struct domain *));
	t->issuers =
		mem_array(json_array_size(specs) + 1, sizeof(struct issuer *));
	t->domain_count = 0;
	t->issuer_count = 0;
	json_array_foreach(specs, at, spec)
		add(t, &old, spec);
	free_all(old.domains, old.domain_count, old.issuers, old.issuer_count);
	discard(trust_refresh(t, ret_faults));
}

bool trust_refresh(struct trust *t, json_t **ret_faults)
{
	CLEANUP(json_put_p) json_t *faults = json_array();
	bool changed = false;

	for (size_t i = 0; i < t->domain_count; i++)
		changed |= domain_refresh(t->domains[i], faults);
	for (size_t i = 0; i < t->issuer_count; i++)
		changed |= issuer_refresh(t->issuers[i], faults);
	if (ret_faults)
		*ret_faults = TAKE(faults);
	return changed;
}

uint64_t trust_generation(const struct trust *t, const char *domain)
{
	struct domain **place = find_domain(t, domain);
	struct issuer **issuer = place ? NULL : find_issuer(t, domain);

	if (issuer)
		return issuer_generation(*issuer);
	return place ? domain_generation(*place) : 0;
}

static const struct bundle *bundle_of(const struct trust *t, const char *domain)
{
	struct domain **place = find_domain(t, domain);

	return place ? domain_bundle(*place) : NULL;
}

struct jose_key *const *trust_keys(const struct trust *t, const char *domain)
{
	const struct bundle *bundle = bundle_of(t, domain);

	return bundle ? bundle->keys : NULL;
}

const struct x509_roots *trust_roots(const struct trust *t, const char *domain)
{
	const struct bundle *bundle = bundle_of(t, domain);

	return bundle ? bundle->roots : NULL;
}

int64_t trust_certificate_longest_s(const struct trust *t, const char *domain)
{
	struct domain **place = find_domain(t, domain);

	return place ? domain_certificate_longest_s(*place) : 0;
}

void trust_hurry(struct trust *t, const char *name)
{
	struct domain **domain = find_domain(t, name);
	struct issuer **issuer = find_issuer(t, name);

	if (domain)
		domain_hurry(*domain);
	if (issuer)
		issuer_hurry(*issuer);
}

const struct issuer *trust_issuer(const struct trust *t, const char *name)
{
	struct issuer **place = find_issuer(t, name);

	return place ? *place : NULL;
}

bool trust_has_issuers(const struct trust *t)
{
	return t->issuer_count > 0;
}

json_t *trust_health(const struct trust *t)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < t->domain_count; i++)
		json_array_append_new(rows, domain_health(t->domains[i]));
	for (size_t i = 0; i < t->issuer_count; i++)
		json_array_append_new(rows, issuer_health(t->issuers[i]));
	return rows;
}
