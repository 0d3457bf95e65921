#include "crypto/evp.h"

#include "crypto/sshcert.h"

#include <arpa/inet.h>

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/text.h"

enum {
	TYPE_USER = 1,
	NONCE_LEN = 32,
	BLOB_MAX = 12 * 1024, /* bytes of a certificate */
	PART_MAX = 8 * 1024,  /* bytes of a list in it */
};

static const char key_type[] = "ssh-ed25519";

struct sshcert_authority {
	EVP_PKEY *key; /* owned */
	uint8_t public[EVP_ED25519_KEY_LEN];
	char *line; /* owned */
};

static const struct {
	const char *key;
	const char *cert;
} types[] = {
	{ "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com" },
	{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com" },
	{ "sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com" },
	{ "sk-ecdsa-sha2-nistp256@openssh.com",
	  "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com" },
};

/* In the order of their names, as the format wants it. */
static const struct {
	unsigned flag;
	const char *name; /* an extension; ours is without "permit-" */
} permits[] = {
	{ SSHCERT_X11_FORWARDING, "permit-X11-forwarding" },
	{ SSHCERT_AGENT_FORWARDING, "permit-agent-forwarding" },
	{ SSHCERT_PORT_FORWARDING, "permit-port-forwarding" },
	{ SSHCERT_PTY, "permit-pty" },
	{ SSHCERT_USER_RC, "permit-user-rc" },
};

enum { PREFIX_LEN = sizeof("permit-") - 1 };

unsigned sshcert_permit_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(permits); i++)
		if (!strcmp(name, permits[i].name + PREFIX_LEN))
			return permits[i].flag;
	return 0;
}

/* ---- the authority ---- */

static void put_public(struct buf *b, const struct sshcert_authority *a)
{
	buf_put_string(b, slice_str(key_type));
	buf_put_string(b, slice_of(a->public, sizeof(a->public)));
}

int sshcert_authority_new(const uint8_t seed[SSHCERT_SEED_LEN],
			  struct sshcert_authority **ret_authority)
{
	CLEANUP(sshcert_authority_free_p)
	struct sshcert_authority *a = mem_new(struct sshcert_authority);
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(128);
	CLEANUP(mem_free_p) char *text = NULL;
	size_t len = sizeof(a->public);

	a->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed,
					      SSHCERT_SEED_LEN);
	if (!a->key ||
	    EVP_PKEY_get_raw_public_key(a->key, a->public, &len) != 1)
		return evp_fail("Ed25519 key");
	put_public(&blob, a);
	text = text_base64(buf_slice(&blob));
	a->line = mem_format("%s %s", key_type, text);
	*ret_authority = TAKE(a);
	return 0;
}

void sshcert_authority_free(struct sshcert_authority *a)
{
	if (!a)
		return;
	EVP_PKEY_free(a->key); /* wipes the private part */
	free(a->line);
	free(a);
}

const char *sshcert_authority_line(const struct sshcert_authority *a)
{
	return a->line;
}

/* ---- what may stand in a certificate ---- */

/* Whether text has 1 to max bytes of UTF-8 and no control characters. */
static bool is_clean(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	if (len == 0 || len > max || !text_is_utf8(slice_of(text, len)))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

bool sshcert_takes_principal(const char *text)
{
	return is_clean(text, SSHCERT_NAME_MAX) && !strpbrk(text, ", \"'");
}

/* Whether text is a decimal number from 0 to max without leading zeros. */
static bool is_width(const char *text, unsigned max)
{
	size_t len = strspn(text, "0123456789");

	return len > 0 && len <= 3 && !text[len] &&
	       (len == 1 || text[0] != '0') && strtoul(text, NULL, 10) <= max;
}

bool sshcert_takes_command(const char *text)
{
	return is_clean(text, SSHCERT_COMMAND_MAX);
}

/* An address, or a network: what is below its width must be zero. */
static bool is_network(char *text)
{
	static const struct {
		int family;
		unsigned bits;
	} families[] = { { AF_INET, 32 }, { AF_INET6, 128 } };
	char *slash = strchr(text, '/');
	uint8_t bytes[16];

	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		unsigned bits = families[i].bits;
		unsigned width = bits;

		if (inet_pton(families[i].family, text, bytes) != 1)
			continue;
		if (slash && !is_width(slash + 1, bits))
			return false;
		if (slash)
			width = (unsigned)strtoul(slash + 1, NULL, 10);
		for (unsigned at = width; at < bits; at++)
			if (bytes[at / 8] & (0x80 >> at % 8))
				return false;
		return true;
	}
	return false;
}

bool sshcert_takes_sources(const char *text)
{
	CLEANUP(mem_free_p) char *copy = NULL;
	char *rest;

	if (!is_clean(text, SSHCERT_SOURCES_MAX))
		return false;
	copy = mem_str(text);
	rest = copy;
	while (rest) {
		char *one = strsep(&rest, ",");

		if (!is_network(one))
			return false;
	}
	return true;
}

static int check(const struct sshcert *cert)
{
	if (cert->principal_count == 0 ||
	    cert->principal_count > SSHCERT_PRINCIPALS_MAX)
		return error_set(ERR_SYNTAX,
				 "a certificate needs 1 to %d principals",
				 SSHCERT_PRINCIPALS_MAX);
	for (size_t i = 0; i < cert->principal_count; i++)
		if (!sshcert_takes_principal(cert->principals[i]))
			return error_set(ERR_SYNTAX, "principal %zu is no name",
					 i + 1);
	/* No list can revoke it. */
	if (cert->serial == 0)
		return error_set(ERR_SYNTAX, "a certificate has no serial 0");
	if (!is_clean(cert->id, SSHCERT_ID_MAX))
		return error_set(ERR_SYNTAX, "the key id is no text");
	if (cert->valid_after < 0 || cert->valid_before <= cert->valid_after)
		return error_set(ERR_SYNTAX, "the certificate has no time");
	if (cert->sources && !sshcert_takes_sources(cert->sources))
		return error_set(ERR_SYNTAX,
				 "a source is no address and no network");
	if (cert->command && !sshcert_takes_command(cert->command))
		return error_set(ERR_SYNTAX, "the forced command is no text");
	return 0;
}

/* ---- the certificate ---- */

static const char *find_type(const struct ssh_key *key)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!strcmp(key->type, types[i].key))
			return types[i].cert;
	return NULL;
}

/* An option: its name, and its value as a string within one. */
static void put_option(struct buf *b, const char *name, const char *value)
{
	CLEANUP(buf_clear) struct buf inner = BUF_INIT(PART_MAX);

	buf_put_string(&inner, slice_str(value));
	buf_put_string(b, slice_str(name));
	buf_put_string(b, buf_slice(&inner));
}

static void put_principals(struct buf *b, const struct sshcert *cert)
{
	CLEANUP(buf_clear) struct buf list = BUF_INIT(PART_MAX);

	for (size_t i = 0; i < cert->principal_count; i++)
		buf_put_string(&list, slice_str(cert->principals[i]));
	buf_put_string(b, buf_slice(&list));
}

static void put_options(struct buf *b, const struct sshcert *cert)
{
	CLEANUP(buf_clear) struct buf critical = BUF_INIT(PART_MAX);
	CLEANUP(buf_clear) struct buf extensions = BUF_INIT(PART_MAX);

	if (cert->command)
		put_option(&critical, "force-command", cert->command);
	if (cert->sources)
		put_option(&critical, "source-address", cert->sources);
	for (size_t i = 0; i < ARRAY_LEN(permits); i++) {
		if (!(cert->permits & permits[i].flag))
			continue;
		buf_put_string(&extensions, slice_str(permits[i].name));
		buf_put_string(&extensions, slice_of(NULL, 0));
	}
	buf_put_string(b, buf_slice(&critical));
	buf_put_string(b, buf_slice(&extensions));
	buf_put_string(b, slice_of(NULL, 0)); /* reserved */
}

static int put_signature(struct buf *b, const struct sshcert_authority *a)
{
	CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	CLEANUP(buf_clear) struct buf whole = BUF_INIT(256);
	uint8_t signature[EVP_ED25519_SIGNATURE_LEN];
	size_t len = sizeof(signature);

	if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, a->key) != 1 ||
	    EVP_DigestSign(ctx, signature, &len, b->data, b->len) != 1)
		return evp_fail("sign a certificate");
	buf_put_string(&whole, slice_str(key_type));
	buf_put_string(&whole, slice_of(signature, len));
	buf_put_string(b, buf_slice(&whole));
	return 0;
}

/* Fills b with the certificate's bytes. */
static int put_blob(struct buf *b, const struct sshcert_authority *a,
		    const struct sshcert *cert, const char *type)
{
	struct reader key =
		reader_of(slice_of(cert->key->blob, cert->key->blob_len));
	CLEANUP(buf_clear) struct buf authority = BUF_INIT(128);
	uint8_t nonce[NONCE_LEN];
	struct slice all;

	/* A key is its type and its parts; so is its certificate, with a nonce
	 * between them. */
	if (!slice_is(reader_string(&key), cert->key->type))
		return error_set(ERR_SYNTAX, "the key is of two types");
	random_bytes(nonce, sizeof(nonce));
	buf_put_string(b, slice_str(type));
	buf_put_string(b, slice_of(nonce, sizeof(nonce)));
	buf_put(b, key.rest);
	buf_put_u64(b, cert->serial);
	buf_put_u32(b, TYPE_USER);
	buf_put_string(b, slice_str(cert->id));
	put_principals(b, cert);
	buf_put_u64(b, (uint64_t)cert->valid_after);
	buf_put_u64(b, (uint64_t)cert->valid_before);
	put_options(b, cert);
	put_public(&authority, a);
	buf_put_string(b, buf_slice(&authority));
	TRY(buf_finish(b, &all));
	TRY(put_signature(b, a));
	return buf_finish(b, &all);
}

int sshcert_sign(const struct sshcert_authority *a, const struct sshcert *cert,
		 struct buf *out)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(BLOB_MAX);
	const char *type = find_type(cert->key);
	struct slice all;

	if (!type)
		return error_set(ERR_SYNTAX, "no certificate for such a key");
	TRY(check(cert));
	TRY(put_blob(&blob, a, cert, type));
	buf_put_str(out, type);
	buf_put_str(out, " ");
	text_put_base64(out, buf_slice(&blob));
	buf_putf(out, " %s", cert->id);
	return buf_finish(out, &all);
}
