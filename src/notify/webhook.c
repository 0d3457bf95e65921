#include "notify/webhook.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/hmac.h"

enum { FILE_MAX = 1024, SIGNED_MAX = 64 * 1024 };

/* A kind of line. */
struct kind {
	const char *prefix;
	const char *words;
	int (*take)(struct webhook_secrets *s, struct slice key);
};

static int take_secret(struct webhook_secrets *s, struct slice key)
{
	if (s->count == WEBHOOK_SECRETS_MAX)
		return error_set(ERR_LIMIT, "more than %d secrets",
				 WEBHOOK_SECRETS_MAX);
	if (key.len < WEBHOOK_SECRET_MIN)
		return error_set(ERR_SYNTAX,
				 "a secret is not the base64 of %d to %d bytes",
				 WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX);
	memcpy(s->keys[s->count], key.ptr, key.len);
	s->lens[s->count++] = key.len;
	return 0;
}

static int take_seed(struct webhook_secrets *s, struct slice key)
{
	struct slice seed = slice_of(key.ptr, ED25519_SEED_LEN);
	uint8_t public[ED25519_KEY_LEN];

	if (s->seed_count == WEBHOOK_SECRETS_MAX)
		return error_set(ERR_LIMIT, "more than %d keys",
				 WEBHOOK_SECRETS_MAX);
	if (key.len != ED25519_SEED_LEN &&
	    key.len != ED25519_SEED_LEN + ED25519_KEY_LEN)
		return error_set(
			ERR_SYNTAX, "a key is not the base64 of %d or %d bytes",
			ED25519_SEED_LEN, ED25519_SEED_LEN + ED25519_KEY_LEN);
	TRY(ed25519_public(seed, public));
	if (key.len > ED25519_SEED_LEN &&
	    memcmp(key.ptr + ED25519_SEED_LEN, public, sizeof(public)) != 0)
		return error_set(ERR_SYNTAX,
				 "a key's public half is that of another");
	memcpy(s->seeds[s->seed_count++], seed.ptr, seed.len);
	return 0;
}

static const struct kind shared = { "whsec_", "secret", take_secret };
static const struct kind own = { "whsk_", "key", take_seed };

static struct slice trimmed(struct slice line)
{
	while (line.len > 0 && (line.ptr[line.len - 1] == '\r' ||
				line.ptr[line.len - 1] == ' '))
		line.len--;
	return line;
}

static int take_line(const struct kind *kind, struct webhook_secrets *s,
		     struct slice line)
{
	CLEANUP(buf_clear) struct buf key = BUF_INIT(WEBHOOK_SECRET_MAX);
	size_t length = strlen(kind->prefix);

	if (line.len < length || memcmp(line.ptr, kind->prefix, length) != 0)
		return error_set(ERR_SYNTAX, "a %s does not begin with '%s'",
				 kind->words, kind->prefix);
	if (text_from_base64(slice_of(line.ptr + length, line.len - length),
			     &key) < 0)
		return error_set(ERR_SYNTAX,
				 "a %s is not base64, or is of more than %d "
				 "bytes",
				 kind->words, WEBHOOK_SECRET_MAX);
	return kind->take(s, buf_slice(&key));
}

static int take_lines(const struct kind *kind, struct webhook_secrets *s,
		      struct slice text)
{
	size_t before = s->count + s->seed_count;

	while (text.len > 0) {
		const uint8_t *end = memchr(text.ptr, '\n', text.len);
		size_t length = end ? (size_t)(end - text.ptr) : text.len;
		struct slice line = trimmed(slice_of(text.ptr, length));

		if (line.len > 0)
			TRY(take_line(kind, s, line));
		length += end != NULL;
		text = slice_of(text.ptr + length, text.len - length);
	}
	if (s->count + s->seed_count == before)
		return error_set(ERR_SYNTAX, "there is no %s", kind->words);
	return 0;
}

static int parse(const struct kind *kind, struct slice text,
		 struct webhook_secrets *secrets)
{
	CLEANUP(webhook_secrets_clear) struct webhook_secrets s = *secrets;

	TRY(take_lines(kind, &s, text));
	*secrets = s;
	return 0;
}

int webhook_secrets_parse(struct slice text, struct webhook_secrets *secrets)
{
	return parse(&shared, text, secrets);
}

int webhook_keys_parse(struct slice text, struct webhook_secrets *secrets)
{
	return parse(&own, text, secrets);
}

static int read_file(const struct kind *kind, const char *path,
		     struct webhook_secrets *secrets)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILE_MAX);
	int r;

	if (!path)
		return 0;
	TRY(file_read_private(path, &b));
	r = parse(kind, buf_slice(&b), secrets);
	mem_wipe(b.data, b.len);
	return r < 0 ? error_context(ERR_SYNTAX, "%s", path) : 0;
}

int webhook_secrets_read(const char *secret_path, const char *key_path,
			 struct webhook_secrets *ret_secrets)
{
	CLEANUP(webhook_secrets_clear) struct webhook_secrets s = { 0 };

	TRY(read_file(&shared, secret_path, &s));
	TRY(read_file(&own, key_path, &s));
	if (s.count + s.seed_count == 0)
		return error_set(ERR_SYNTAX, "neither secret nor key");
	*ret_secrets = s;
	return 0;
}

void webhook_secrets_clear(struct webhook_secrets *secrets)
{
	mem_wipe(secrets, sizeof(*secrets));
}

static struct slice seed_of(const struct webhook_secrets *secrets, size_t i)
{
	return slice_of(secrets->seeds[i], ED25519_SEED_LEN);
}

char *webhook_public_key(const struct webhook_secrets *secrets, size_t i)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(128);
	uint8_t key[ED25519_KEY_LEN];

	if (ed25519_public(seed_of(secrets, i), key) < 0)
		return NULL;
	buf_put_str(&b, "whpk_");
	text_put_base64(&b, slice_of(key, sizeof(key)));
	return buf_take_text(&b);
}

static void put_shared(struct buf *b, const struct webhook_secrets *s, size_t i,
		       struct slice message)
{
	struct digest tag =
		hmac_of_parts(slice_of(s->keys[i], s->lens[i]), &message, 1);

	buf_put_str(b, b->len ? " v1," : "v1,");
	text_put_base64(b, digest_slice(&tag));
}

static int put_own(struct buf *b, const struct webhook_secrets *s, size_t i,
		   struct slice message)
{
	uint8_t signature[ED25519_SIGNATURE_LEN];

	TRY(ed25519_sign(seed_of(s, i), message, signature));
	buf_put_str(b, b->len ? " v1a," : "v1a,");
	text_put_base64(b, slice_of(signature, sizeof(signature)));
	return 0;
}

char *webhook_signature(const struct webhook_secrets *secrets, const char *id,
			int64_t at_s, struct slice body)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(2048);
	CLEANUP(buf_clear) struct buf message = BUF_INIT(SIGNED_MAX);

	buf_putf(&message, "%s.%lld.", id, (long long)at_s);
	buf_put(&message, body);
	if (message.overflow)
		return NULL;
	for (size_t i = 0; i < secrets->count; i++)
		put_shared(&b, secrets, i, buf_slice(&message));
	for (size_t i = 0; i < secrets->seed_count; i++) {
		if (put_own(&b, secrets, i, buf_slice(&message)) < 0)
			return NULL;
	}
	return buf_take_text(&b);
}
