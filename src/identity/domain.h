/*
 * One SPIFFE trust domain: where its bundle comes from, and the last good one.
 *
 * A bundle from a file counts as long as the file was read once.  One from an
 * endpoint counts from when it was fetched until it is "staleAfter" old, over
 * restarts too: it is kept beside the state.  With an endpoint of profile
 * https_spiffe the file is only what the endpoint itself is first believed by.
 */
#pragma once

#include "identity/bundle.h"
#include "identity/trust.h"

struct domain;

/* spec: of a TrustDomain with "trustDomain", checked; a reference is taken.
 * trust: looked at when an endpoint is of another domain.  Borrowed. */
struct domain *domain_new(struct trust *trust, const struct trust_means *means,
			  const json_t *spec);
void domain_free(struct domain *d);

const char *domain_name(const struct domain *d);
/* The TrustDomain it was made of. */
const json_t *domain_spec(const struct domain *d);

/* As trust_refresh(), for this domain. */
bool domain_refresh(struct domain *d, json_t *faults);
void domain_hurry(struct domain *d);

/* The bundle that counts now; NULL if there is none. */
const struct bundle *domain_bundle(const struct domain *d);
/* 0: it never had one. */
uint64_t domain_generation(const struct domain *d);
int64_t domain_certificate_longest_s(const struct domain *d);

/* Moves what an older form of the same domain knows into d, if both read it
 * from a file. */
void domain_inherit(struct domain *d, struct domain *old);

/* A row of trust_health(). */
json_t *domain_health(const struct domain *d);
