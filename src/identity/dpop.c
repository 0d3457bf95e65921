#include "identity/dpop.h"

#include <assert.h>

#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/url.h"
#include "crypto/digest.h"

enum {
	MS_PER_S = 1000,
	KEEP_MS = (DPOP_AGE_MAX_S + DPOP_AHEAD_MAX_S + 1) * MS_PER_S,
	NONCE_BYTES = 16,
};

/* A date no proof of ours can hold; keeps the sums below from overflowing. */
static const int64_t date_max = INT64_MAX / MS_PER_S / 4;

/* A proof that has served; entries lie in a ring, in the order of their ends,
 * and are chained by the slot of their digest. */
struct entry {
	struct digest id;
	int64_t until_ms; /* boot clock; 0: place is free */
	uint32_t next;	  /* place + 1 in the same slot; 0: last */
};

struct nonce {
	char text[DPOP_NONCE_LEN];
	int64_t made_ms; /* boot clock */
};

struct dpop {
	struct entry *ring;
	uint32_t *slots;	    /* place + 1 of the first entry; 0: none */
	uint32_t size;		    /* of ring and slots */
	uint32_t place;		    /* that is filled next */
	uint8_t secret[DIGEST_LEN]; /* so that nobody chooses slots */
	int64_t started_s;
	int64_t latest_s;	/* the latest time seen: a clock may go back */
	struct nonce nonces[2]; /* the current one, and the one before */
};

static const struct {
	const char *name;
	const char *words;
} verdicts[] = {
	[DPOP_VALID] = { "valid", "The proof is right." },
	[DPOP_MALFORMED] = { "malformed", "The DPoP header is no proof." },
	[DPOP_TYPE] = { "type", "The proof's typ is not dpop+jwt." },
	[DPOP_ALGORITHM] = { "algorithm",
			     "The proof's alg is not taken or not its key's." },
	[DPOP_KEY] = { "key", "The proof has no jwk that is taken: a public "
			      "EC or RSA key." },
	[DPOP_CLAIMS] = { "claims",
			  "The proof lacks jti, htm, htu or iat, or one of "
			  "them is not right." },
	[DPOP_METHOD] = { "method", "The proof's htm is not this method." },
	[DPOP_URL] = { "url", "The proof's htu is not this endpoint." },
	[DPOP_TIME] = { "time", "The proof's iat is too old or of the "
				"future." },
	[DPOP_TOKEN] = { "token", "The proof's ath is not of this token." },
	[DPOP_NONCE] = { "nonce", "Make a proof with the nonce of the "
				  "DPoP-Nonce header." },
	[DPOP_SIGNATURE] = { "signature",
			     "The proof is not signed by its own key." },
	[DPOP_REPLAYED] = { "replayed", "The proof has served already." },
	[DPOP_FULL] = { "full", "Too many proofs came lately; try again." },
};

const char *dpop_verdict_name(enum dpop_verdict verdict)
{
	return verdicts[verdict].name;
}

const char *dpop_verdict_words(enum dpop_verdict verdict)
{
	return verdicts[verdict].words;
}

/* ---- nonces ---- */

static void nonce_make(struct nonce *nonce, int64_t boot_ms)
{
	uint8_t bytes[NONCE_BYTES];
	CLEANUP(mem_free_p) char *text = NULL;

	random_bytes(bytes, sizeof(bytes));
	text = text_base64url(slice_of(bytes, sizeof(bytes)));
	snprintf(nonce->text, sizeof(nonce->text), "%s", text);
	nonce->made_ms = boot_ms;
}

static void nonces_turn(struct dpop *d, int64_t boot_ms)
{
	if (boot_ms < d->nonces[0].made_ms + DPOP_NONCE_MS)
		return;
	d->nonces[1] = d->nonces[0];
	if (boot_ms >= d->nonces[1].made_ms + 2 * (int64_t)DPOP_NONCE_MS)
		d->nonces[1].text[0] = '\0';
	nonce_make(&d->nonces[0], boot_ms);
}

const char *dpop_nonce(struct dpop *d, int64_t boot_ms)
{
	nonces_turn(d, boot_ms);
	return d->nonces[0].text;
}

static bool nonce_counts(struct dpop *d, const char *text, int64_t boot_ms)
{
	nonces_turn(d, boot_ms);
	return *text && (!strcmp(text, d->nonces[0].text) ||
			 !strcmp(text, d->nonces[1].text));
}

/* ---- what has served ---- */

struct dpop *dpop_new(size_t entries, int64_t now_ms)
{
	struct dpop *d = mem_new(struct dpop);

	assert(entries > 0 && entries < UINT32_MAX / 2);
	d->size = (uint32_t)entries;
	d->ring = mem_array(entries, sizeof(*d->ring));
	d->slots = mem_array(entries, sizeof(*d->slots));
	d->started_s = now_ms / MS_PER_S;
	random_bytes(d->secret, sizeof(d->secret));
	nonce_make(&d->nonces[0], 0);
	return d;
}

void dpop_free(struct dpop *d)
{
	if (!d)
		return;
	free(d->ring);
	free(d->slots);
	free(d);
}

static uint32_t *slot_of(struct dpop *d, const struct digest *id)
{
	uint64_t start;

	memcpy(&start, id->bytes, sizeof(start));
	return &d->slots[start % d->size];
}

/* The link that leads to the entry, or the last one of its slot. */
static uint32_t *find(struct dpop *d, const struct digest *id)
{
	uint32_t *link = slot_of(d, id);

	while (*link && !digest_equals(&d->ring[*link - 1].id, id))
		link = &d->ring[*link - 1].next;
	return link;
}

static void forget(struct dpop *d, struct entry *e)
{
	uint32_t *link = find(d, &e->id);

	*link = e->next;
	*e = (struct entry){ .until_ms = 0 };
}

/* The same jti of two keys is two proofs. */
static enum dpop_verdict remember(struct dpop *d, const char *jti,
				  const char *thumbprint, int64_t boot_ms)
{
	const struct slice parts[] = {
		slice_of(d->secret, sizeof(d->secret)),
		slice_str(thumbprint),
		slice_str(jti),
	};
	struct digest id = digest_of_parts(parts, ARRAY_LEN(parts));
	struct entry *e = &d->ring[d->place];
	uint32_t *link = find(d, &id);

	if (*link && d->ring[*link - 1].until_ms > boot_ms)
		return DPOP_REPLAYED;
	if (e->until_ms > boot_ms)
		return DPOP_FULL;
	if (*link)
		forget(d, &d->ring[*link - 1]);
	if (e->until_ms)
		forget(d, e);
	*e = (struct entry){ id, boot_ms + KEEP_MS, *slot_of(d, &id) };
	*slot_of(d, &id) = d->place + 1;
	d->place = (d->place + 1) % d->size;
	return DPOP_VALID;
}

/* ---- one proof ---- */

struct check {
	struct dpop *dpop;
	const struct dpop_call *call;
	const struct jose_token *token;
	struct jose_key *key; /* owned */
};

static enum dpop_verdict from_jose(enum jose_verdict verdict)
{
	switch (verdict) {
	case JOSE_VALID:
		return DPOP_VALID;
	case JOSE_ALGORITHM:
		return DPOP_ALGORITHM;
	case JOSE_BAD_SIGNATURE:
		return DPOP_SIGNATURE;
	case JOSE_MALFORMED:
	case JOSE_HEADER:
		return DPOP_MALFORMED;
	}
	return DPOP_MALFORMED;
}

static enum dpop_verdict check_type(struct check *c)
{
	return strcmp(json_text(c->token->header, "typ", ""), "dpop+jwt")
		       ? DPOP_TYPE
		       : DPOP_VALID;
}

static enum dpop_verdict check_key(struct check *c)
{
	const json_t *jwk = json_object_in(c->token->header, "jwk");

	if (!jwk || jose_key_parse(jwk, &c->key) < 0 || !c->key)
		return DPOP_KEY;
	return DPOP_VALID;
}

static enum dpop_verdict check_claims(struct check *c)
{
	const json_t *claims = c->token->claims;
	const json_t *iat = json_object_get(claims, "iat");
	const json_t *nonce = json_object_get(claims, "nonce");
	const char *jti = json_text(claims, "jti", "");

	if (!*jti || strlen(jti) > DPOP_JTI_MAX ||
	    !json_text(claims, "htm", NULL) ||
	    !json_text(claims, "htu", NULL) || !json_is_integer(iat) ||
	    json_integer_value(iat) < 0 || json_integer_value(iat) > date_max ||
	    (nonce && !json_is_string(nonce)))
		return DPOP_CLAIMS;
	return DPOP_VALID;
}

static enum dpop_verdict check_method(struct check *c)
{
	return strcmp(json_text(c->token->claims, "htm", ""), c->call->method)
		       ? DPOP_METHOD
		       : DPOP_VALID;
}

/* Section 4.3, 9: without query and fragment, and normalised. */
static enum dpop_verdict check_url(struct check *c)
{
	CLEANUP(buf_clear) struct buf said = BUF_INIT(URL_MAX + 1);
	CLEANUP(buf_clear) struct buf meant = BUF_INIT(URL_MAX + 1);

	if (url_normalize(json_text(c->token->claims, "htu", ""), URL_PATH,
			  &said) < 0 ||
	    url_normalize(c->call->url, URL_PATH, &meant) < 0)
		return DPOP_URL;
	return slice_equals(buf_slice(&said), buf_slice(&meant)) ? DPOP_VALID
								 : DPOP_URL;
}

static enum dpop_verdict check_time(struct check *c)
{
	struct dpop *d = c->dpop;
	int64_t now_s = c->call->now_ms / MS_PER_S;
	int64_t iat = json_int(c->token->claims, "iat", 0);

	if (now_s > d->latest_s)
		d->latest_s = now_s;
	return iat < d->latest_s - DPOP_AGE_MAX_S ||
			       iat > now_s + DPOP_AHEAD_MAX_S
		       ? DPOP_TIME
		       : DPOP_VALID;
}

static enum dpop_verdict check_token(struct check *c)
{
	CLEANUP(mem_free_p) char *text = NULL;
	struct digest digest;

	if (!c->call->token.len)
		return DPOP_VALID;
	digest = digest_of(c->call->token);
	text = text_base64url(digest_slice(&digest));
	return strcmp(json_text(c->token->claims, "ath", ""), text)
		       ? DPOP_TOKEN
		       : DPOP_VALID;
}

/* One made before the start may have served then. */
static enum dpop_verdict check_nonce(struct check *c)
{
	const char *nonce = json_text(c->token->claims, "nonce", NULL);

	if (nonce)
		return nonce_counts(c->dpop, nonce, c->call->boot_ms)
			       ? DPOP_VALID
			       : DPOP_NONCE;
	return json_int(c->token->claims, "iat", 0) <=
			       c->dpop->started_s + DPOP_AHEAD_MAX_S
		       ? DPOP_NONCE
		       : DPOP_VALID;
}

static enum dpop_verdict check_signature(struct check *c)
{
	return from_jose(jose_verify(c->token, c->key));
}

typedef enum dpop_verdict (*clause_fn)(struct check *c);

/* The costly ones last. */
static const clause_fn clauses[] = {
	check_type,  check_claims, check_method, check_url,	  check_time,
	check_token, check_key,	   check_nonce,	 check_signature,
};

static enum dpop_verdict check_clauses(struct check *c)
{
	for (size_t i = 0; i < ARRAY_LEN(clauses); i++) {
		enum dpop_verdict verdict = clauses[i](c);

		if (verdict != DPOP_VALID)
			return verdict;
	}
	return DPOP_VALID;
}

enum dpop_verdict dpop_verify(struct dpop *d, struct slice proof,
			      const struct dpop_call *call,
			      char ret_thumbprint[JOSE_THUMBPRINT_LEN])
{
	CLEANUP(jose_token_clear) struct jose_token token = { 0 };
	char thumbprint[JOSE_THUMBPRINT_LEN];
	struct check c = { d, call, &token, NULL };
	enum dpop_verdict verdict;

	if (proof.len > DPOP_PROOF_MAX)
		return DPOP_MALFORMED;
	verdict = from_jose(jose_token_parse_any(proof, &token));
	if (verdict == DPOP_VALID)
		verdict = check_clauses(&c);
	jose_key_free(c.key);
	if (verdict != DPOP_VALID)
		return verdict;
	jose_thumbprint(json_object_get(token.header, "jwk"), thumbprint);
	verdict = remember(d, json_text(token.claims, "jti", ""), thumbprint,
			   call->boot_ms);
	if (verdict == DPOP_VALID)
		memcpy(ret_thumbprint, thumbprint, sizeof(thumbprint));
	return verdict;
}
