#include "crypto/evp.h"

#include "crypto/sshsig.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/text.h"

enum {
	VERSION = 1,
	COORDINATE_LEN = 32, /* P-256 */
	POINT_LEN = 1 + 2 * COORDINATE_LEN,
	MPINT_MAX = COORDINATE_LEN + 1, /* with a sign byte */
	FLAG_USER_PRESENT = 0x01,
	FLAG_USER_VERIFIED = 0x04,
	HASH_MAX = 64, /* bytes */
};

static const char magic[] = "SSHSIG";
static const char curve[] = "nistp256";
static const char armor_begin[] = "-----BEGIN SSH SIGNATURE-----\n";
static const char armor_end[] = "\n-----END SSH SIGNATURE-----";
static const char application_prefix[] = "ssh:";

struct key_type {
	const char *name;
	bool ecdsa;
	bool hardware;
};

static const struct key_type key_types[] = {
	{ "ssh-ed25519", false, false },
	{ "ecdsa-sha2-nistp256", true, false },
	{ "sk-ssh-ed25519@openssh.com", false, true },
	{ "sk-ecdsa-sha2-nistp256@openssh.com", true, true },
};

static const struct {
	const char *name;
	enum evp_hash hash;
} message_hashes[] = {
	{ "sha256", EVP_HASH_SHA256 },
	{ "sha512", EVP_HASH_SHA512 },
};

static const struct key_type *find_type(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(key_types); i++)
		if (slice_is(name, key_types[i].name))
			return &key_types[i];
	return NULL;
}

static bool starts_with(struct slice text, struct slice prefix)
{
	return text.len >= prefix.len &&
	       slice_equals(slice_of(text.ptr, prefix.len), prefix);
}

static struct slice without_front(struct slice text, size_t count)
{
	return slice_of(text.ptr + count, text.len - count);
}

/* A key's blob taken apart; views into the blob. */
struct key_parts {
	const struct key_type *type;
	struct slice point; /* or the 32 bytes of an Ed25519 key */
	struct slice application;
};

static int take_apart(struct slice blob, struct key_parts *ret_parts)
{
	struct reader r = reader_of(blob);
	struct key_parts parts = { .type = find_type(reader_string(&r)) };
	bool right_curve = true;

	if (!parts.type)
		return error_set(ERR_SYNTAX, "SSH key: type is not taken");
	if (parts.type->ecdsa)
		right_curve = slice_is(reader_string(&r), curve);
	parts.point = reader_string(&r);
	if (parts.type->hardware)
		parts.application = reader_string(&r);
	if (reader_finish(&r) < 0 || !right_curve)
		return error_set(ERR_SYNTAX, "SSH key: damaged");
	if (parts.type->hardware &&
	    !starts_with(parts.application, slice_str(application_prefix)))
		return error_set(ERR_SYNTAX, "SSH key: application is not ssh");
	*ret_parts = parts;
	return 0;
}

/* Owned; NULL if the key is none. */
static EVP_PKEY *load_key(const struct key_parts *parts)
{
	if (!parts->type->ecdsa)
		return evp_ed25519(parts->point);
	if (parts->point.len != POINT_LEN)
		return NULL;
	return evp_ec("P-256", parts->point);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Removes the next word of a line and the blanks before it. */
static struct slice take_word(struct slice *line)
{
	struct slice word;

	while (line->len > 0 && is_blank(line->ptr[0]))
		*line = without_front(*line, 1);
	word = slice_of(line->ptr, 0);
	while (word.len < line->len && !is_blank(word.ptr[word.len]))
		word.len++;
	*line = without_front(*line, word.len);
	return word;
}

static int check_line(struct slice line)
{
	if (line.len >= SSHSIG_KEY_MAX)
		return error_set(ERR_LIMIT, "SSH key: line too long");
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] < ' ' && line.ptr[i] != '\t')
			return error_set(ERR_SYNTAX, "SSH key: not one line");
	return 0;
}

/* The line without the line feed that ends a file. */
static struct slice whole_line(const char *text)
{
	struct slice line = slice_of(text, strnlen(text, SSHSIG_KEY_MAX));

	if (line.len > 0 && line.ptr[line.len - 1] == '\n')
		line.len--;
	return line;
}

int ssh_key_parse(const char *line, struct ssh_key *ret_key)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(sizeof(ret_key->blob));
	CLEANUP(EVP_PKEY_free_p) EVP_PKEY *pkey = NULL;
	struct slice rest = whole_line(line);
	struct key_parts parts = { NULL };
	struct ssh_key key = { .hardware = false };
	struct slice name;
	int r;

	TRY(check_line(rest));
	name = take_word(&rest);
	r = text_from_base64(take_word(&rest), &blob);
	if (r < 0)
		return error_context(r, "SSH key");
	TRY(take_apart(buf_slice(&blob), &parts));
	if (!slice_is(name, parts.type->name))
		return error_set(ERR_SYNTAX, "SSH key: two different types");
	pkey = load_key(&parts);
	if (!pkey)
		return error_set(ERR_SYNTAX, "SSH key: not a point");
	memcpy(key.type, name.ptr, name.len);
	memcpy(key.blob, blob.data, blob.len);
	key.blob_len = blob.len;
	key.hardware = parts.type->hardware;
	*ret_key = key;
	return 0;
}

char *ssh_key_fingerprint(const struct ssh_key *key)
{
	struct digest digest = digest_of(slice_of(key->blob, key->blob_len));
	char *text = text_base64(digest_slice(&digest));
	char *fingerprint;

	text[strcspn(text, "=")] = '\0';
	fingerprint = mem_format("SHA256:%s", text);
	free(text);
	return fingerprint;
}

/* Decodes what stands between the two armor lines; lines may have any width.
 * False if the armor is not clean. */
static bool remove_armor(struct slice armored, struct buf *blob)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(SSHSIG_ARMOR_MAX);
	struct slice begin = slice_str(armor_begin);
	struct slice end = slice_str(armor_end);
	struct slice body;

	if (armored.len > SSHSIG_ARMOR_MAX || !starts_with(armored, begin))
		return false;
	body = without_front(armored, begin.len);
	if (body.len > 0 && body.ptr[body.len - 1] == '\n')
		body.len--;
	if (body.len < end.len ||
	    !slice_equals(without_front(body, body.len - end.len), end))
		return false;
	body.len -= end.len;
	for (size_t i = 0; i < body.len; i++)
		if (body.ptr[i] != '\n')
			buf_put_u8(&text, body.ptr[i]);
	return text_from_base64(buf_slice(&text), blob) == 0;
}

/* The outer structure of a signature; views into the blob. */
struct envelope {
	struct slice key;
	struct slice namespace;
	struct slice reserved;
	struct slice hash;
	struct slice signature;
};

static bool open_envelope(struct slice blob, struct envelope *ret_envelope)
{
	struct reader r = reader_of(blob);
	struct slice start = reader_bytes(&r, sizeof(magic) - 1);
	uint32_t version = reader_u32(&r);
	struct envelope e;

	e.key = reader_string(&r);
	e.namespace = reader_string(&r);
	e.reserved = reader_string(&r);
	e.hash = reader_string(&r);
	e.signature = reader_string(&r);
	if (reader_finish(&r) < 0 || !slice_is(start, magic) ||
	    version != VERSION)
		return false;
	*ret_envelope = e;
	return true;
}

/* The inner structure; views into the blob. */
struct signature {
	struct slice type;
	struct slice bytes;
	uint8_t flags; /* these two: sk- types only */
	uint32_t counter;
};

static bool open_signature(struct slice blob, const struct key_type *type,
			   struct signature *ret_signature)
{
	struct reader r = reader_of(blob);
	struct signature s = { .flags = 0 };

	s.type = reader_string(&r);
	s.bytes = reader_string(&r);
	if (type->hardware) {
		s.flags = reader_u8(&r);
		s.counter = reader_u32(&r);
	}
	if (reader_finish(&r) < 0 || !slice_is(s.type, type->name))
		return false;
	*ret_signature = s;
	return true;
}

/* H(message) by the hash that the envelope names. */
static bool hash_message(struct slice name, struct slice message,
			 uint8_t hash[HASH_MAX], size_t *ret_len)
{
	unsigned len = 0;

	for (size_t i = 0; i < ARRAY_LEN(message_hashes); i++) {
		if (!slice_is(name, message_hashes[i].name))
			continue;
		if (EVP_Digest(message.ptr, message.len, hash, &len,
			       evp_md(message_hashes[i].hash), NULL) != 1)
			return false;
		*ret_len = len;
		return true;
	}
	return false;
}

static void put_signed_bytes(struct buf *b, const struct envelope *e,
			     struct slice hash)
{
	buf_put_str(b, magic);
	buf_put_string(b, e->namespace);
	buf_put_string(b, e->reserved);
	buf_put_string(b, e->hash);
	buf_put_string(b, hash);
}

/* What an authenticator signs (PROTOCOL.u2f of OpenSSH). */
static void put_authenticator_bytes(struct buf *b, struct slice application,
				    const struct signature *s,
				    struct slice signed_bytes)
{
	struct digest application_digest = digest_of(application);
	struct digest message_digest = digest_of(signed_bytes);

	buf_put(b, digest_slice(&application_digest));
	buf_put_u8(b, s->flags);
	buf_put_u32(b, s->counter);
	buf_put(b, digest_slice(&message_digest));
}

/* A positive mpint (RFC 4251, 5) of at most 256 bits in its one right form. */
static bool is_number(struct slice n)
{
	if (n.len == 0 || n.len > MPINT_MAX || n.ptr[0] >= 0x80)
		return false;
	if (n.ptr[0] == 0)
		return n.len > 1 && n.ptr[1] >= 0x80;
	return n.len < MPINT_MAX;
}

static bool ecdsa_holds(EVP_PKEY *pkey, struct slice signature,
			struct slice input)
{
	struct reader reader = reader_of(signature);
	struct slice r = reader_string(&reader);
	struct slice s = reader_string(&reader);

	return reader_finish(&reader) == 0 && is_number(r) && is_number(s) &&
	       evp_verify_ecdsa(pkey, evp_md(EVP_HASH_SHA256), r, s, input);
}

static bool signature_holds(const struct key_parts *parts,
			    const struct signature *s, struct slice input)
{
	static const struct evp_scheme ed25519 = { .md = NULL };
	CLEANUP(EVP_PKEY_free_p) EVP_PKEY *pkey = load_key(parts);

	if (!pkey)
		return false;
	if (parts->type->ecdsa)
		return ecdsa_holds(pkey, s->bytes, input);
	return s->bytes.len == EVP_ED25519_SIGNATURE_LEN &&
	       evp_verify(pkey, ed25519, s->bytes, input);
}

static struct sshsig_outcome refuse(const char *why)
{
	return (struct sshsig_outcome){ .valid = false, .why = why };
}

/* The signature itself, once the envelope is known to be for us. */
static struct sshsig_outcome check_signature(const struct envelope *e,
					     const struct key_parts *parts,
					     struct slice hash)
{
	CLEANUP(buf_clear) struct buf plain = BUF_INIT(SSHSIG_ARMOR_MAX);
	CLEANUP(buf_clear) struct buf device = BUF_INIT(SSHSIG_ARMOR_MAX);
	struct sshsig_outcome outcome = { .why = "" };
	struct slice input;
	struct signature s;

	if (!open_signature(e->signature, parts->type, &s))
		return refuse("damaged signature");
	put_signed_bytes(&plain, e, hash);
	put_authenticator_bytes(&device, parts->application, &s,
				buf_slice(&plain));
	if (plain.overflow)
		return refuse("namespace too long");
	input = buf_slice(parts->type->hardware ? &device : &plain);
	if (!signature_holds(parts, &s, input))
		return refuse("wrong signature");
	outcome.user_present = s.flags & FLAG_USER_PRESENT;
	outcome.user_verified = s.flags & FLAG_USER_VERIFIED;
	outcome.counter = s.counter;
	outcome.valid = !parts->type->hardware || outcome.user_present;
	if (!outcome.valid)
		outcome.why = "no user presence";
	return outcome;
}

struct sshsig_outcome sshsig_verify(struct slice armored, const char *namespace,
				    struct slice message,
				    const struct ssh_key *key)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(SSHSIG_ARMOR_MAX);
	struct slice enrolled = slice_of(key->blob, key->blob_len);
	struct key_parts parts;
	struct envelope e;
	uint8_t hash[HASH_MAX];
	size_t hash_len;

	if (!remove_armor(armored, &blob))
		return refuse("damaged armor");
	if (!open_envelope(buf_slice(&blob), &e))
		return refuse("damaged signature");
	if (!slice_equals(e.key, enrolled) || take_apart(enrolled, &parts) < 0)
		return refuse("made with another key");
	if (namespace[0] == '\0' || !slice_is(e.namespace, namespace))
		return refuse("made for another namespace");
	if (e.reserved.len > 0)
		return refuse("reserved part is not empty");
	if (!hash_message(e.hash, message, hash, &hash_len))
		return refuse("hash is not sha256 or sha512");
	return check_signature(&e, &parts, slice_of(hash, hash_len));
}
