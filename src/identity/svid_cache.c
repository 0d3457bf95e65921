/*
 * Valid tokens by their digest.  Entries lie in a ring, so that the oldest goes
 * first; a chained hash table over the ring's places finds them.  The digest is
 * of the attacker's choosing, but only valid tokens get in.
 */
#include "identity/svid.h"

#include <assert.h>

#include "base/mem.h"
#include "identity/private.h"

struct entry {
	struct digest token;
	uint64_t generation; /* of the domain's bundle; 0: place is free */
	int64_t expires_ms;
	char *audience; /* owned */
	char *id;	/* owned */
	char *jti;	/* owned */
	uint32_t next;	/* place + 1 in the same slot; 0: last */
};

struct svid_cache {
	struct entry *ring;
	uint32_t *slots; /* place + 1 of the first entry; 0: none */
	uint32_t size;	 /* of ring and slots */
	uint32_t oldest; /* the place that is filled next */
};

struct svid_cache *svid_cache_new(size_t entries)
{
	struct svid_cache *c = mem_new(struct svid_cache);

	assert(entries > 0 && entries < UINT32_MAX / 2);
	c->size = (uint32_t)entries;
	c->ring = mem_array(entries, sizeof(*c->ring));
	c->slots = mem_array(entries, sizeof(*c->slots));
	return c;
}

static void clear_entry(struct entry *e)
{
	free(e->audience);
	free(e->id);
	free(e->jti);
	*e = (struct entry){ 0 };
}

void svid_cache_free(struct svid_cache *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->size; i++)
		clear_entry(&c->ring[i]);
	free(c->ring);
	free(c->slots);
	free(c);
}

static uint32_t *slot_of(struct svid_cache *c, const struct digest *token)
{
	uint64_t start;

	memcpy(&start, token->bytes, sizeof(start));
	return &c->slots[start % c->size];
}

/* The link that leads to the token's entry, or the last one of its slot. */
static uint32_t *find(struct svid_cache *c, const struct digest *token)
{
	uint32_t *link = slot_of(c, token);

	while (*link) {
		struct entry *e = &c->ring[*link - 1];

		if (digest_equals(&e->token, token))
			break;
		link = &e->next;
	}
	return link;
}

static void drop(struct svid_cache *c, uint32_t *link)
{
	struct entry *e = &c->ring[*link - 1];

	*link = e->next;
	clear_entry(e);
}

static void drop_place(struct svid_cache *c, uint32_t place)
{
	if (c->ring[place].generation)
		drop(c, find(c, &c->ring[place].token));
}

static void put(struct svid_cache *c, const struct trust *t,
		const char *audience, const struct svid *svid)
{
	uint32_t place = c->oldest;
	struct entry *e = &c->ring[place];
	uint32_t *slot;

	drop_place(c, place);
	c->oldest = (place + 1) % c->size;
	e->token = svid->token;
	e->generation = trust_generation(t, svid->id.domain);
	e->expires_ms = svid->expires_ms;
	e->audience = mem_str(audience);
	e->id = mem_str(svid->id.text);
	e->jti = mem_str(svid->jti);
	slot = slot_of(c, &svid->token);
	e->next = *slot;
	*slot = place + 1;
}

/* Fills ret_svid from e; false if e does not hold any more. */
static bool recall(const struct entry *e, const struct trust *t, int64_t now_ms,
		   struct svid *ret_svid)
{
	if (e->expires_ms <= now_ms ||
	    spiffe_id_parse(e->id, &ret_svid->id) < 0 ||
	    e->generation != trust_generation(t, ret_svid->id.domain))
		return false;
	memcpy(ret_svid->jti, e->jti, strlen(e->jti) + 1);
	ret_svid->expires_ms = e->expires_ms;
	ret_svid->token = e->token;
	return true;
}

/* Finds what is known of a digest; drops it if it does not hold any more. */
static bool look_up(struct svid_cache *c, const struct trust *t,
		    const struct digest *digest, const char *audience,
		    int64_t now_ms, struct svid *ret_svid)
{
	uint32_t *link = find(c, digest);
	const struct entry *e;

	if (!*link)
		return false;
	e = &c->ring[*link - 1];
	if (!strcmp(e->audience, audience) && recall(e, t, now_ms, ret_svid))
		return true;
	drop(c, link);
	return false;
}

/* Keeps what is valid, and has a bundle without its key fetched early. */
static void note(struct svid_cache *c, struct trust *t, const char *audience,
		 enum svid_verdict verdict, const struct svid *svid)
{
	if (verdict == SVID_VALID)
		put(c, t, audience, svid);
	if (verdict == SVID_UNTRUSTED)
		trust_hurry(t, svid->id.domain);
}

enum svid_verdict svid_cache_verify(struct svid_cache *c, struct trust *t,
				    struct slice token, const char *audience,
				    int64_t now_ms, struct svid *ret_svid)
{
	struct digest digest = digest_of(token);
	enum svid_verdict verdict;

	if (look_up(c, t, &digest, audience, now_ms, ret_svid))
		return SVID_VALID;
	verdict = svid_verify(t, token, audience, now_ms, ret_svid);
	note(c, t, audience, verdict, ret_svid);
	return verdict;
}

/* A chain is kept under no audience, which no token has. */
enum svid_verdict svid_cache_verify_x509(struct svid_cache *c, struct trust *t,
					 const struct slice *chain,
					 size_t count, int64_t now_ms,
					 struct svid *ret_svid)
{
	struct digest digest;
	enum svid_verdict verdict;

	if (count == 0 || count > X509_CHAIN_MAX)
		return SVID_MALFORMED;
	digest = chain_digest(chain, count);
	if (look_up(c, t, &digest, "", now_ms, ret_svid))
		return SVID_VALID;
	verdict = x509_svid_verify(t, chain, count, now_ms, ret_svid);
	note(c, t, "", verdict, ret_svid);
	return verdict;
}
