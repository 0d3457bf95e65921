/*
 * Entries lie in a ring, so that the oldest goes first; a chained hash table
 * over the ring's places finds them.  The digest is of the attacker's choosing,
 * but only valid tokens get in.
 */
#include "identity/token_cache.h"

#include <assert.h>

#include "base/mem.h"

struct entry {
	struct digest token;
	uint64_t generation; /* of the source's keys; 0: place is free */
	int64_t expires_ms;
	char *audience; /* owned */
	char *source;	/* owned */
	char *id;	/* owned, or NULL */
	char *jti;	/* owned */
	json_t *claims; /* reference, or NULL */
	uint32_t next;	/* place + 1 in the same slot; 0: last */
};

struct token_cache {
	struct entry *ring;
	uint32_t *slots; /* place + 1 of the first entry; 0: none */
	uint32_t size;	 /* of ring and slots */
	uint32_t oldest; /* the place that is filled next */
};

struct token_cache *token_cache_new(size_t entries)
{
	struct token_cache *c = mem_new(struct token_cache);

	assert(entries > 0 && entries < UINT32_MAX / 2);
	c->size = (uint32_t)entries;
	c->ring = mem_array(entries, sizeof(*c->ring));
	c->slots = mem_array(entries, sizeof(*c->slots));
	return c;
}

static void drop_text(char *text)
{
	if (text)
		mem_wipe(text, strlen(text));
	free(text);
}

static void clear_entry(struct entry *e)
{
	drop_text(e->audience);
	drop_text(e->source);
	drop_text(e->id);
	drop_text(e->jti);
	json_decref(e->claims);
	mem_wipe(e, sizeof(*e));
}

void token_cache_free(struct token_cache *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->size; i++)
		clear_entry(&c->ring[i]);
	free(c->ring);
	free(c->slots);
	free(c);
}

static uint32_t *slot_of(struct token_cache *c, const struct digest *token)
{
	uint64_t start;

	memcpy(&start, token->bytes, sizeof(start));
	return &c->slots[start % c->size];
}

/* The link that leads to the token's entry, or the last one of its slot. */
static uint32_t *find(struct token_cache *c, const struct digest *token)
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

static void drop(struct token_cache *c, uint32_t *link)
{
	struct entry *e = &c->ring[*link - 1];

	*link = e->next;
	clear_entry(e);
}

static void drop_place(struct token_cache *c, uint32_t place)
{
	if (c->ring[place].generation)
		drop(c, find(c, &c->ring[place].token));
}

void token_cache_put(struct token_cache *c, const struct trust *t,
		     const struct token_known *known)
{
	uint64_t generation = trust_generation(t, known->source);
	uint32_t place = c->oldest;
	struct entry *e = &c->ring[place];
	uint32_t *link = find(c, &known->token);
	uint32_t *slot;

	if (!generation)
		return;
	if (*link)
		drop(c, link);
	drop_place(c, place);
	c->oldest = (place + 1) % c->size;
	e->token = known->token;
	e->generation = generation;
	e->expires_ms = known->expires_ms;
	e->audience = mem_str(known->audience);
	e->source = mem_str(known->source);
	e->id = mem_str(known->id);
	e->jti = mem_str(known->jti);
	e->claims = json_incref(known->claims);
	slot = slot_of(c, &known->token);
	e->next = *slot;
	*slot = place + 1;
}

static bool holds(const struct entry *e, const struct trust *t,
		  const char *audience, int64_t now_ms)
{
	return !strcmp(e->audience, audience) && e->expires_ms > now_ms &&
	       e->generation == trust_generation(t, e->source);
}

bool token_cache_find(struct token_cache *c, const struct trust *t,
		      const struct digest *token, const char *audience,
		      int64_t now_ms, struct token_known *ret_known)
{
	uint32_t *link = find(c, token);
	const struct entry *e;

	if (!*link)
		return false;
	e = &c->ring[*link - 1];
	if (!holds(e, t, audience, now_ms)) {
		drop(c, link);
		return false;
	}
	*ret_known = (struct token_known){
		.token = e->token,
		.audience = e->audience,
		.source = e->source,
		.id = e->id,
		.jti = e->jti,
		.claims = e->claims,
		.expires_ms = e->expires_ms,
	};
	return true;
}
