/*
 * Signatures come from two makers that are not the code under test: the real
 * ssh-keygen, and for hardware keys a key in software whose output ssh-keygen
 * accepts.
 */
#include "cmocka_first.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "crypto/sshsig.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

static const char space[] = "writ-approval";
static const char message[] = "approve sha256:0123456789abcdef\n";

enum { PLAIN_KEYS = 2, STRIDE = 7 };

/* A key in software, for each type that is taken. */
static struct soft_key {
	const char *type;
	bool ecdsa;
	bool hardware;
	EVP_PKEY *pkey;
	struct ssh_key key;
} soft_keys[] = {
	{ "ssh-ed25519", false, false, NULL, { .hardware = false } },
	{ "ecdsa-sha2-nistp256", true, false, NULL, { .hardware = false } },
	{ "sk-ssh-ed25519@openssh.com",
	  false,
	  true,
	  NULL,
	  { .hardware = false } },
	{ "sk-ecdsa-sha2-nistp256@openssh.com",
	  true,
	  true,
	  NULL,
	  { .hardware = false } },
};

static void put_text(struct buf *b, const char *text)
{
	buf_put_string(b, slice_str(text));
}

/* The public part as it stands in a key blob after the type. */
static void put_public(struct buf *b, const struct soft_key *k)
{
	uint8_t bytes[65];
	size_t len = sizeof(bytes);

	if (k->ecdsa) {
		assert_int_equal(EVP_PKEY_get_octet_string_param(
					 k->pkey, OSSL_PKEY_PARAM_PUB_KEY,
					 bytes, sizeof(bytes), &len),
				 1);
		put_text(b, "nistp256");
	} else {
		assert_int_equal(
			EVP_PKEY_get_raw_public_key(k->pkey, bytes, &len), 1);
	}
	buf_put_string(b, slice_of(bytes, len));
}

static char *line_of(const char *type, const struct buf *blob)
{
	char *text = text_base64(buf_slice(blob));
	char *line = mem_format("%s %s somebody@example", type, text);

	free(text);
	return line;
}

static void make_soft_key(struct soft_key *k)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(1024);
	char *line;

	k->pkey = k->ecdsa ? EVP_EC_gen("P-256")
			   : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	assert_non_null(k->pkey);
	put_text(&blob, k->type);
	put_public(&blob, k);
	if (k->hardware)
		put_text(&blob, "ssh:");
	line = line_of(k->type, &blob);
	assert_int_equal(ssh_key_parse(line, &k->key), 0);
	free(line);
}

static int make_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++)
		make_soft_key(&soft_keys[i]);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++)
		EVP_PKEY_free(soft_keys[i].pkey);
	return 0;
}

/* What a signature says; every member can be made wrong. */
struct content {
	const char *magic;
	uint32_t version;
	const char *namespace;
	const char *reserved;
	const char *hash;
	const char *type; /* of the signature; NULL: the key's */
	uint8_t flags;
	uint32_t counter;
	const char *after_bytes;     /* within the signature's own bytes */
	const char *after_signature; /* after flags and counter */
	const char *after_all;
	bool long_numbers;  /* r and s with a needless zero byte */
	bool no_sign_bytes; /* r and s as they are, even if negative */
};

static const struct content sound = {
	.magic = "SSHSIG",
	.version = 1,
	.namespace = space,
	.reserved = "",
	.hash = "sha512",
	.flags = 0x01,
	.counter = 7,
	.after_bytes = "",
	.after_signature = "",
	.after_all = "",
};

static void put_hash(struct buf *b, const char *name, struct slice bytes)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	size_t len = 0;

	assert_int_equal(EVP_Q_digest(NULL, name, NULL, bytes.ptr, bytes.len,
				      hash, &len),
			 1);
	buf_put(b, slice_of(hash, len));
}

/* The bytes that a key signs. */
static void put_input(struct buf *input, const struct soft_key *k,
		      const struct content *c)
{
	CLEANUP(buf_clear) struct buf hash = BUF_INIT(64);
	CLEANUP(buf_clear) struct buf plain = BUF_INIT(1024);

	put_hash(&hash, c->hash, slice_str(message));
	buf_put_str(&plain, "SSHSIG");
	put_text(&plain, c->namespace);
	put_text(&plain, c->reserved);
	put_text(&plain, c->hash);
	buf_put_string(&plain, buf_slice(&hash));
	if (!k->hardware) {
		buf_put(input, buf_slice(&plain));
		return;
	}
	put_hash(input, "SHA256", slice_str("ssh:"));
	buf_put_u8(input, c->flags);
	buf_put_u32(input, c->counter);
	put_hash(input, "SHA256", buf_slice(&plain));
}

static void put_mpint(struct buf *b, const BIGNUM *number,
		      const struct content *c)
{
	uint8_t bytes[40] = { 0 };
	size_t len = (size_t)BN_num_bytes(number);
	size_t zeros;

	BN_bn2bin(number, bytes + 2);
	zeros = bytes[2] >= 0x80 && !c->no_sign_bytes ? 1 : 0;
	if (c->long_numbers)
		zeros++;
	buf_put_string(b, slice_of(bytes + 2 - zeros, len + zeros));
}

static void put_signed(struct buf *b, const struct soft_key *k,
		       const struct content *c, struct slice input)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[128];
	const uint8_t *at = signature;
	size_t len = sizeof(signature);

	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL,
					       k->ecdsa ? "SHA256" : NULL, NULL,
					       NULL, k->pkey, NULL),
			 1);
	assert_int_equal(
		EVP_DigestSign(ctx, signature, &len, input.ptr, input.len), 1);
	EVP_MD_CTX_free(ctx);
	if (!k->ecdsa) {
		buf_put(b, slice_of(signature, len));
		return;
	}
	ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &at, (long)len);

	put_mpint(b, ECDSA_SIG_get0_r(numbers), c);
	put_mpint(b, ECDSA_SIG_get0_s(numbers), c);
	ECDSA_SIG_free(numbers);
}

static void put_signature(struct buf *b, const struct soft_key *k,
			  const struct content *c)
{
	CLEANUP(buf_clear) struct buf input = BUF_INIT(1024);
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(1024);

	put_input(&input, k, c);
	put_signed(&bytes, k, c, buf_slice(&input));
	buf_put_str(&bytes, c->after_bytes);
	put_text(b, c->type ? c->type : k->type);
	buf_put_string(b, buf_slice(&bytes));
	if (k->hardware) {
		buf_put_u8(b, c->flags);
		buf_put_u32(b, c->counter);
	}
	buf_put_str(b, c->after_signature);
}

static void put_blob(struct buf *b, const struct soft_key *k,
		     const struct content *c)
{
	CLEANUP(buf_clear) struct buf signature = BUF_INIT(1024);

	put_signature(&signature, k, c);
	buf_put_str(b, c->magic);
	buf_put_u32(b, c->version);
	buf_put_string(b, slice_of(k->key.blob, k->key.blob_len));
	put_text(b, c->namespace);
	put_text(b, c->reserved);
	put_text(b, c->hash);
	buf_put_string(b, buf_slice(&signature));
	buf_put_str(b, c->after_all);
	assert_false(b->overflow);
}

/* width: characters in a line. */
static void put_armor(struct buf *b, struct slice blob, size_t width)
{
	char *text = text_base64(blob);

	buf_put_str(b, "-----BEGIN SSH SIGNATURE-----\n");
	for (size_t i = 0; i < strlen(text); i += width)
		buf_putf(b, "%.*s\n", (int)width, text + i);
	buf_put_str(b, "-----END SSH SIGNATURE-----\n");
	free(text);
}

static struct sshsig_outcome verify_blob(struct slice blob,
					 const struct ssh_key *key)
{
	CLEANUP(buf_clear) struct buf armored = BUF_INIT(16 * 1024);

	put_armor(&armored, blob, 70);
	return sshsig_verify(buf_slice(&armored), space, slice_str(message),
			     key);
}

static struct sshsig_outcome verify_content(const struct soft_key *k,
					    const struct content *c)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);

	put_blob(&blob, k, c);
	return verify_blob(buf_slice(&blob), &k->key);
}

/* Every refusal has its reason and says nothing about an authenticator. */
static void assert_refused(struct sshsig_outcome outcome)
{
	assert_false(outcome.valid);
	assert_string_not_equal(outcome.why, "");
	assert_false(outcome.user_present);
	assert_false(outcome.user_verified);
	assert_int_equal(outcome.counter, 0);
}

static void every_key_type_verifies_with_both_hashes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++) {
		struct content c = sound;
		struct sshsig_outcome outcome;

		outcome = verify_content(&soft_keys[i], &c);
		assert_string_equal(outcome.why, "");
		assert_true(outcome.valid);
		c.hash = "sha256";
		outcome = verify_content(&soft_keys[i], &c);
		assert_true(outcome.valid);
		assert_int_equal(soft_keys[i].key.hardware,
				 soft_keys[i].hardware);
	}
}

static void what_the_authenticator_said_comes_back(void **state)
{
	struct content c = sound;
	struct sshsig_outcome outcome;

	(void)state;
	for (size_t i = PLAIN_KEYS; i < ARRAY_LEN(soft_keys); i++) {
		c.flags = 0x01;
		c.counter = 0xfedcba98;
		outcome = verify_content(&soft_keys[i], &c);
		assert_true(outcome.valid);
		assert_true(outcome.user_present);
		assert_false(outcome.user_verified);
		assert_int_equal(outcome.counter, 0xfedcba98);
		c.flags = 0x05;
		outcome = verify_content(&soft_keys[i], &c);
		assert_true(outcome.valid);
		assert_true(outcome.user_verified);
	}
}

static void a_plain_key_says_nothing_about_a_user(void **state)
{
	(void)state;
	for (size_t i = 0; i < PLAIN_KEYS; i++) {
		struct sshsig_outcome outcome =
			verify_content(&soft_keys[i], &sound);

		assert_true(outcome.valid);
		assert_false(outcome.user_present);
		assert_false(outcome.user_verified);
		assert_int_equal(outcome.counter, 0);
	}
}

static void a_hardware_signature_without_touch_is_not_valid(void **state)
{
	static const uint8_t flags[] = { 0x00, 0x04, 0x80, 0xfe };

	(void)state;
	for (size_t i = PLAIN_KEYS; i < ARRAY_LEN(soft_keys); i++) {
		for (size_t k = 0; k < ARRAY_LEN(flags); k++) {
			struct content c = sound;
			struct sshsig_outcome outcome;

			c.flags = flags[k];
			outcome = verify_content(&soft_keys[i], &c);
			assert_false(outcome.valid);
			assert_string_equal(outcome.why, "no user presence");
			assert_false(outcome.user_present);
		}
	}
}

static void no_bit_of_a_signature_can_change(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++) {
		CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);
		size_t step = i == 0 ? 1 : STRIDE;

		put_blob(&blob, &soft_keys[i], &sound);
		for (size_t bit = 0; bit < blob.len * 8; bit += step) {
			blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_refused(verify_blob(buf_slice(&blob),
						   &soft_keys[i].key));
			blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_true(
			verify_blob(buf_slice(&blob), &soft_keys[i].key).valid);
	}
}

static void no_byte_of_a_signature_can_be_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++) {
		CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);

		put_blob(&blob, &soft_keys[i], &sound);
		for (size_t len = 0; len < blob.len; len++)
			assert_refused(verify_blob(slice_of(blob.data, len),
						   &soft_keys[i].key));
	}
}

/* Contents that are truly signed and must be refused all the same. */
static void unsound_contents_are_refused(void **state)
{
	struct content bad[11];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		bad[i] = sound;
	bad[0].magic = "SSHSIH";
	bad[1].version = 0;
	bad[2].version = 2;
	bad[3].namespace = "";
	bad[4].namespace = "git";
	bad[5].namespace = "writ-approval ";
	bad[6].reserved = "x";
	bad[7].hash = "sha384";
	bad[8].after_bytes = "x";
	bad[9].after_signature = "x";
	bad[10].after_all = "x";
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++)
		for (size_t k = 0; k < ARRAY_LEN(bad); k++)
			assert_refused(verify_content(&soft_keys[i], &bad[k]));
}

static void the_signature_type_must_be_that_of_the_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++) {
		for (size_t k = 0; k < ARRAY_LEN(soft_keys); k++) {
			struct content c = sound;

			c.type = soft_keys[k].type;
			assert_int_equal(
				verify_content(&soft_keys[i], &c).valid,
				i == k);
		}
	}
}

static void numbers_of_ecdsa_have_one_form(void **state)
{
	(void)state;
	for (size_t i = 1; i < ARRAY_LEN(soft_keys); i += 2) {
		struct content c = sound;
		bool refused = false;

		assert_true(soft_keys[i].ecdsa);
		c.long_numbers = true;
		assert_refused(verify_content(&soft_keys[i], &c));
		/* Some r or s has its top bit set before long. */
		c.long_numbers = false;
		c.no_sign_bytes = true;
		for (int k = 0; k < 100 && !refused; k++)
			refused = !verify_content(&soft_keys[i], &c).valid;
		assert_true(refused);
	}
}

static void another_message_or_namespace_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++) {
		CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);
		CLEANUP(buf_clear) struct buf armor = BUF_INIT(8192);
		const struct ssh_key *key = &soft_keys[i].key;
		struct slice text = slice_str(message);

		put_blob(&blob, &soft_keys[i], &sound);
		put_armor(&armor, buf_slice(&blob), 76);
		assert_true(sshsig_verify(buf_slice(&armor), space, text, key)
				    .valid);
		assert_refused(sshsig_verify(buf_slice(&armor), "writ-login",
					     text, key));
		assert_refused(sshsig_verify(buf_slice(&armor), "", text, key));
		assert_refused(sshsig_verify(buf_slice(&armor), space,
					     slice_str("approve"), key));
		assert_refused(sshsig_verify(buf_slice(&armor), space,
					     slice_of(NULL, 0), key));
	}
}

static void an_empty_namespace_is_refused_even_if_wanted(void **state)
{
	struct content c = sound;
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);
	CLEANUP(buf_clear) struct buf armor = BUF_INIT(8192);

	(void)state;
	c.namespace = "";
	put_blob(&blob, &soft_keys[0], &c);
	put_armor(&armor, buf_slice(&blob), 70);
	assert_refused(sshsig_verify(buf_slice(&armor), "", slice_str(message),
				     &soft_keys[0].key));
}

static void only_the_enrolled_key_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++) {
		CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);

		put_blob(&blob, &soft_keys[i], &sound);
		for (size_t k = 0; k < ARRAY_LEN(soft_keys); k++)
			assert_int_equal(
				verify_blob(buf_slice(&blob), &soft_keys[k].key)
					.valid,
				i == k);
	}
}

static void armor_lines_may_have_any_width(void **state)
{
	static const size_t widths[] = { 1, 64, 70, 76, 1000 };
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);

	(void)state;
	put_blob(&blob, &soft_keys[0], &sound);
	for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
		CLEANUP(buf_clear) struct buf armor = BUF_INIT(8192);
		struct slice bytes;

		put_armor(&armor, buf_slice(&blob), widths[i]);
		bytes = buf_slice(&armor);
		assert_true(sshsig_verify(bytes, space, slice_str(message),
					  &soft_keys[0].key)
				    .valid);
		/* The last line feed may be missing. */
		bytes.len--;
		assert_true(sshsig_verify(bytes, space, slice_str(message),
					  &soft_keys[0].key)
				    .valid);
	}
}

static void armor_that_is_not_clean_is_refused(void **state)
{
	/* %s is the base64 of a sound signature. */
	static const struct {
		const char *before;
		const char *after;
	} armors[] = {
		{ "", "" },
		{ "-----BEGIN SSH SIGNATURE-----\n", "" },
		{ "", "\n-----END SSH SIGNATURE-----\n" },
		{ " -----BEGIN SSH SIGNATURE-----\n",
		  "\n-----END SSH SIGNATURE-----\n" },
		{ "-----BEGIN SSH SIGNATURE-----\r\n",
		  "\r\n-----END SSH SIGNATURE-----\r\n" },
		{ "-----BEGIN SSH SIGNATURE----- \n",
		  "\n-----END SSH SIGNATURE-----\n" },
		{ "-----BEGIN SSH SIGNATURE-----\n",
		  "\n-----END SSH SIGNATURE-----\n\n" },
		{ "-----BEGIN SSH SIGNATURE-----\n",
		  "\n-----END SSH SIGNATURE-----\nmore" },
		{ "-----BEGIN SSH SIGNATURE-----\n",
		  "-----END SSH SIGNATURE-----\n" },
		{ "-----BEGIN SSH SIGNATURE-----\n ",
		  "\n-----END SSH SIGNATURE-----\n" },
		{ "-----BEGIN SSH SIGNATURE-----\n",
		  "=\n-----END SSH SIGNATURE-----\n" },
		{ "-----BEGIN SSH SIGNATURE-----\nAAAA",
		  "\n-----END SSH SIGNATURE-----\n" },
		{ "-----BEGIN PGP SIGNATURE-----\n",
		  "\n-----END PGP SIGNATURE-----\n" },
	};
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);
	char *text;

	(void)state;
	put_blob(&blob, &soft_keys[0], &sound);
	text = text_base64(buf_slice(&blob));
	for (size_t i = 0; i < ARRAY_LEN(armors); i++) {
		char *armor = mem_format("%s%s%s", armors[i].before, text,
					 armors[i].after);

		assert_refused(sshsig_verify(slice_str(armor), space,
					     slice_str(message),
					     &soft_keys[0].key));
		free(armor);
	}
	free(text);
}

static void armor_longer_than_the_limit_is_refused(void **state)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);
	CLEANUP(buf_clear) struct buf armor = BUF_INIT(2 * SSHSIG_ARMOR_MAX);
	char *text;

	(void)state;
	put_blob(&blob, &soft_keys[0], &sound);
	text = text_base64(buf_slice(&blob));
	buf_put_str(&armor, "-----BEGIN SSH SIGNATURE-----\n");
	while (armor.len <= SSHSIG_ARMOR_MAX)
		buf_put_str(&armor, "\n");
	buf_putf(&armor, "%s\n-----END SSH SIGNATURE-----\n", text);
	assert_refused(sshsig_verify(buf_slice(&armor), space,
				     slice_str(message), &soft_keys[0].key));
	free(text);
}

static void an_armored_nothing_is_refused(void **state)
{
	static const char *const armors[] = {
		"",
		"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
		"-----BEGIN SSH SIGNATURE-----\n\n"
		"-----END SSH SIGNATURE-----\n",
		"-----BEGIN SSH SIGNATURE-----",
		"-----END SSH SIGNATURE-----",
		"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n"
		"-----END SSH SIGNATURE-----\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(armors); i++)
		assert_refused(sshsig_verify(slice_str(armors[i]), space,
					     slice_str(message),
					     &soft_keys[0].key));
}

static int parse_blob(const char *type, const struct buf *blob)
{
	struct ssh_key key;
	char *line = line_of(type, blob);
	int r = ssh_key_parse(line, &key);

	free(line);
	return r;
}

static void a_key_line_is_read(void **state)
{
	const struct soft_key *k = &soft_keys[0];
	char *text = text_base64(slice_of(k->key.blob, k->key.blob_len));
	static const char *const formats[] = {
		"%s %s",     "%s %s\n",	       "%s %s comment with blanks",
		"%s\t%s\tx", "  %s   %s   \n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		CLEANUP(buf_clear) struct buf line = BUF_INIT(2048);
		const char *rest = formats[i];
		struct ssh_key key;
		bool type_done = false;

		for (; *rest; rest++) {
			if (*rest != '%') {
				buf_put_u8(&line, (uint8_t)*rest);
				continue;
			}
			buf_put_str(&line, type_done ? text : k->type);
			type_done = true;
			rest++;
		}
		assert_int_equal(ssh_key_parse(buf_text(&line), &key), 0);
		assert_string_equal(key.type, k->type);
		assert_int_equal(key.blob_len, k->key.blob_len);
		assert_memory_equal(key.blob, k->key.blob, key.blob_len);
	}
	free(text);
}

static void lines_that_are_no_key_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"\n",
		" ",
		"ssh-ed25519",
		"ssh-ed25519 ",
		"ssh-ed25519 AAAA",
		"ssh-ed25519 !!!!",
		"# ssh-ed25519 AAAA",
		/* sound but for one thing each */
		"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3H"
		"eJDpjrASKGLWdop",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlM"
		"hV3HeJDpjrASKGLWdo",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlM"
		"hV3HeJDpjrASKGLWdopAAAA",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlM"
		"hV3HeJDpjrASKGLWdop\n\n",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlM"
		"hV3HeJDpjrASKGLWdop a\nb",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlM"
		"hV3HeJDpjrASKGLWdop\r\n",
		"restrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo"
		"0CpvDXNlMhV3HeJDpjrASKGLWdop",
		"SSH-ED25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlM"
		"hV3HeJDpjrASKGLWdop",
	};
	static const char right[] =
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlM"
		"hV3HeJDpjrASKGLWdop";
	struct ssh_key key;

	(void)state;
	assert_int_equal(ssh_key_parse(right, &key), 0);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		assert_int_equal(ssh_key_parse(lines[i], &key), ERR_SYNTAX);
}

static void keys_of_other_types_are_refused(void **state)
{
	static const char *const types[] = {
		"ssh-rsa",
		"rsa-sha2-512",
		"ssh-dss",
		"ecdsa-sha2-nistp384",
		"ssh-ed448",
		"ssh-ed25519-cert-v01@openssh.com",
		"webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		CLEANUP(buf_clear) struct buf blob = BUF_INIT(1024);

		put_text(&blob, types[i]);
		put_public(&blob, &soft_keys[0]);
		assert_int_equal(parse_blob(types[i], &blob), ERR_SYNTAX);
	}
}

static void damaged_key_blobs_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++) {
		const struct soft_key *k = &soft_keys[i];

		for (size_t len = 0; len < k->key.blob_len; len++) {
			CLEANUP(buf_clear) struct buf blob = BUF_INIT(1024);

			buf_put(&blob, slice_of(k->key.blob, len));
			assert_int_equal(parse_blob(k->type, &blob),
					 ERR_SYNTAX);
		}
		CLEANUP(buf_clear) struct buf more = BUF_INIT(1024);

		buf_put(&more, slice_of(k->key.blob, k->key.blob_len));
		buf_put_u8(&more, 0);
		assert_int_equal(parse_blob(k->type, &more), ERR_SYNTAX);
	}
}

static void a_point_off_the_curve_is_refused(void **state)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(1024);
	const struct soft_key *k = &soft_keys[1];

	(void)state;
	buf_put(&blob, slice_of(k->key.blob, k->key.blob_len));
	blob.data[blob.len - 1] ^= 1;
	assert_int_equal(parse_blob(k->type, &blob), ERR_SYNTAX);
	blob.data[blob.len - 1] ^= 1;
	assert_int_equal(parse_blob(k->type, &blob), 0);
	/* compressed, or another form mark */
	blob.data[blob.len - 65] = 0x02;
	assert_int_equal(parse_blob(k->type, &blob), ERR_SYNTAX);
	blob.data[blob.len - 65] = 0x06;
	assert_int_equal(parse_blob(k->type, &blob), ERR_SYNTAX);
}

static void another_curve_name_is_refused(void **state)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(1024);
	const struct soft_key *k = &soft_keys[1];

	(void)state;
	buf_put(&blob, slice_of(k->key.blob, k->key.blob_len));
	/* 4 + 19 bytes of type, 4 of length, then "nistp256" */
	assert_int_equal(blob.data[4 + 19 + 4], 'n');
	memcpy(blob.data + 4 + 19 + 4, "nistp384", 8);
	assert_int_equal(parse_blob(k->type, &blob), ERR_SYNTAX);
}

static void a_hardware_key_belongs_to_ssh(void **state)
{
	static const struct {
		const char *application;
		int wanted;
	} cases[] = {
		{ "ssh:", 0 },
		{ "ssh:work", 0 },
		{ "", ERR_SYNTAX },
		{ "ssh", ERR_SYNTAX },
		{ "https://example.com", ERR_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_clear) struct buf blob = BUF_INIT(1024);

		put_text(&blob, soft_keys[2].type);
		put_public(&blob, &soft_keys[2]);
		put_text(&blob, cases[i].application);
		assert_int_equal(parse_blob(soft_keys[2].type, &blob),
				 cases[i].wanted);
	}
}

static void lines_beyond_the_limit_are_refused(void **state)
{
	CLEANUP(buf_clear) struct buf line = BUF_INIT(4 * SSHSIG_KEY_MAX);
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(2048);
	struct ssh_key key;

	(void)state;
	buf_put_str(&line, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYq"
			   "Oo0CpvDXNlMhV3HeJDpjrASKGLWdop ");
	while (line.len < SSHSIG_KEY_MAX)
		buf_put_str(&line, "x");
	assert_int_equal(ssh_key_parse(buf_text(&line), &key), ERR_LIMIT);
	for (int i = 0; i < 1026; i++)
		buf_put_u8(&blob, 0);
	assert_int_equal(parse_blob("ssh-ed25519", &blob), ERR_LIMIT);
}

/* The real thing. */

struct folder {
	char path[64];
};

static void remove_folder(struct folder *f)
{
	static const char *const names[] = { "key", "key.pub", "text",
					     "text.sig" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = mem_format("%s/%s", f->path, names[i]);

		discard(unlink(path));
		free(path);
	}
	discard(rmdir(f->path));
}

static struct folder make_folder(void)
{
	struct folder f = { "/tmp/test_sshsig.XXXXXX" };

	assert_non_null(mkdtemp(f.path));
	return f;
}

/* Runs a program silently with input as its standard input; its exit status,
 * or -1 if there is no such program. */
static int run(const char *const *argv, const char *input)
{
	posix_spawn_file_actions_t actions;
	char *const environment[] = { NULL };
	char *arguments[16] = { NULL };
	int status = -1;
	pid_t pid;
	int r;

	for (size_t i = 0; argv[i]; i++)
		arguments[i] = mem_str(argv[i]);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments,
			 environment);
	posix_spawn_file_actions_destroy(&actions);
	for (size_t i = 0; arguments[i]; i++)
		free(arguments[i]);
	if (r != 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* 127 is how a failed exec may also be told. */
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return -1;
	return WEXITSTATUS(status);
}

static void write_text(const struct folder *f, const char *name,
		       struct slice content)
{
	char *path = mem_format("%s/%s", f->path, name);

	assert_int_equal(file_write(path, content, 0600), 0);
	free(path);
}

static void read_text(const struct folder *f, const char *name, struct buf *b)
{
	char *path = mem_format("%s/%s", f->path, name);

	assert_int_equal(file_read(path, b), 0);
	free(path);
}

/* Skips the test where there is no ssh-keygen. */
static void require_ssh_keygen(void)
{
	const char *const argv[] = { "ssh-keygen", "-l", "-f", "/dev/null",
				     NULL };

	if (run(argv, "/dev/null") >= 0)
		return;
	print_message("no ssh-keygen here: skipped\n");
	skip();
}

static void generate(const struct folder *f, const char *type)
{
	char *path = mem_format("%s/key", f->path);
	const char *const argv[] = { "ssh-keygen", "-q", "-t", type,
				     "-N",	   "",	 "-C", "a comment",
				     "-f",	   path, NULL };

	assert_int_equal(run(argv, "/dev/null"), 0);
	free(path);
}

static void sign_for_real(const struct folder *f, const char *option,
			  struct buf *armored)
{
	char *key = mem_format("%s/key", f->path);
	char *text = mem_format("%s/text", f->path);
	char *signature = mem_format("%s/text.sig", f->path);
	const char *const argv[] = { "ssh-keygen", "-Y", "sign", "-n",
				     space,	   "-f", key,	 "-O",
				     option,	   text, NULL };

	discard(unlink(signature));
	write_text(f, "text", slice_str(message));
	assert_int_equal(run(argv, "/dev/null"), 0);
	read_text(f, "text.sig", armored);
	free(key);
	free(text);
	free(signature);
}

static void check_real_signature(const struct folder *f, const char *option)
{
	CLEANUP(buf_clear) struct buf line = BUF_INIT(SSHSIG_KEY_MAX);
	CLEANUP(buf_clear) struct buf armored = BUF_INIT(SSHSIG_ARMOR_MAX);
	struct ssh_key key;

	sign_for_real(f, option, &armored);
	read_text(f, "key.pub", &line);
	assert_int_equal(ssh_key_parse(buf_text(&line), &key), 0);
	assert_true(sshsig_verify(buf_slice(&armored), space,
				  slice_str(message), &key)
			    .valid);
	assert_refused(sshsig_verify(buf_slice(&armored), "file",
				     slice_str(message), &key));
	assert_refused(sshsig_verify(buf_slice(&armored), space,
				     slice_str("another message"), &key));
	assert_refused(sshsig_verify(buf_slice(&armored), space,
				     slice_str(message), &soft_keys[0].key));
}

static void check_real_type(const char *type)
{
	CLEANUP(remove_folder) struct folder f = make_folder();

	generate(&f, type);
	check_real_signature(&f, "hashalg=sha512");
	check_real_signature(&f, "hashalg=sha256");
}

static void signatures_of_ssh_keygen_with_ed25519_verify(void **state)
{
	(void)state;
	require_ssh_keygen();
	check_real_type("ed25519");
}

static void signatures_of_ssh_keygen_with_ecdsa_verify(void **state)
{
	(void)state;
	require_ssh_keygen();
	check_real_type("ecdsa");
}

static void check_real_rsa(void)
{
	CLEANUP(remove_folder) struct folder f = make_folder();
	CLEANUP(buf_clear) struct buf line = BUF_INIT(SSHSIG_KEY_MAX);
	struct ssh_key key;

	generate(&f, "rsa");
	read_text(&f, "key.pub", &line);
	assert_int_equal(ssh_key_parse(buf_text(&line), &key), ERR_SYNTAX);
}

static void rsa_keys_of_ssh_keygen_are_refused(void **state)
{
	(void)state;
	require_ssh_keygen();
	check_real_rsa();
}

static int ask_ssh_keygen(const struct folder *f, const struct soft_key *k)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(4096);
	CLEANUP(buf_clear) struct buf armored = BUF_INIT(8192);
	char *text = mem_format("%s/text", f->path);
	char *signature = mem_format("%s/text.sig", f->path);
	const char *const argv[] = { "ssh-keygen", "-Y",  "check-novalidate",
				     "-n",	   space, "-s",
				     signature,	   NULL };
	int status;

	put_blob(&blob, k, &sound);
	put_armor(&armored, buf_slice(&blob), 70);
	write_text(f, "text", slice_str(message));
	write_text(f, "text.sig", buf_slice(&armored));
	status = run(argv, text);
	free(text);
	free(signature);
	return status;
}

static void check_with_ssh_keygen(void)
{
	CLEANUP(remove_folder) struct folder f = make_folder();

	for (size_t i = 0; i < ARRAY_LEN(soft_keys); i++)
		assert_int_equal(ask_ssh_keygen(&f, &soft_keys[i]), 0);
}

/* Shows that the signatures made in this file are what ssh expects. */
static void ssh_keygen_accepts_the_signatures_made_here(void **state)
{
	(void)state;
	require_ssh_keygen();
	check_with_ssh_keygen();
}

/* The fingerprint that ssh-keygen -l prints for this key. */
static void a_fingerprint_is_that_of_ssh_keygen(void **state)
{
	static const char line[] =
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlM"
		"hV3HeJDpjrASKGLWdop";
	struct ssh_key key;
	char *fingerprint;

	(void)state;
	assert_int_equal(ssh_key_parse(line, &key), 0);
	fingerprint = ssh_key_fingerprint(&key);
	assert_string_equal(
		fingerprint,
		"SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo");
	free(fingerprint);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_type_verifies_with_both_hashes),
		cmocka_unit_test(what_the_authenticator_said_comes_back),
		cmocka_unit_test(a_plain_key_says_nothing_about_a_user),
		cmocka_unit_test(
			a_hardware_signature_without_touch_is_not_valid),
		cmocka_unit_test(no_bit_of_a_signature_can_change),
		cmocka_unit_test(no_byte_of_a_signature_can_be_missing),
		cmocka_unit_test(unsound_contents_are_refused),
		cmocka_unit_test(the_signature_type_must_be_that_of_the_key),
		cmocka_unit_test(numbers_of_ecdsa_have_one_form),
		cmocka_unit_test(another_message_or_namespace_is_refused),
		cmocka_unit_test(an_empty_namespace_is_refused_even_if_wanted),
		cmocka_unit_test(only_the_enrolled_key_counts),
		cmocka_unit_test(armor_lines_may_have_any_width),
		cmocka_unit_test(armor_that_is_not_clean_is_refused),
		cmocka_unit_test(armor_longer_than_the_limit_is_refused),
		cmocka_unit_test(an_armored_nothing_is_refused),
		cmocka_unit_test(a_key_line_is_read),
		cmocka_unit_test(lines_that_are_no_key_are_refused),
		cmocka_unit_test(keys_of_other_types_are_refused),
		cmocka_unit_test(damaged_key_blobs_are_refused),
		cmocka_unit_test(a_point_off_the_curve_is_refused),
		cmocka_unit_test(another_curve_name_is_refused),
		cmocka_unit_test(a_hardware_key_belongs_to_ssh),
		cmocka_unit_test(lines_beyond_the_limit_are_refused),
		cmocka_unit_test(signatures_of_ssh_keygen_with_ed25519_verify),
		cmocka_unit_test(signatures_of_ssh_keygen_with_ecdsa_verify),
		cmocka_unit_test(rsa_keys_of_ssh_keygen_are_refused),
		cmocka_unit_test(ssh_keygen_accepts_the_signatures_made_here),
		cmocka_unit_test(a_fingerprint_is_that_of_ssh_keygen),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
