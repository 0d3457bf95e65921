#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/ed25519.h"

/* RFC 8032, section 7.1, tests 1 and 2. */
static const struct {
	const char *seed;
	const char *key;
	const char *message;
	const char *signature;
} vectors[] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
	  "",
	  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8"
	  "821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
	  "72",
	  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085a"
	  "c1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
};

static void bytes_of(const char *hex, uint8_t *bytes)
{
	for (size_t i = 0; hex[2 * i]; i++) {
		char pair[3] = { hex[2 * i], hex[2 * i + 1], 0 };

		bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
}

static void the_examples_of_the_standard_come_out(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		uint8_t seed[ED25519_SEED_LEN];
		uint8_t message[1];
		uint8_t key[ED25519_KEY_LEN];
		uint8_t made[ED25519_SIGNATURE_LEN];
		size_t len = strlen(vectors[i].message) / 2;
		CLEANUP(mem_free_p) char *key_hex = NULL;
		CLEANUP(mem_free_p) char *made_hex = NULL;

		bytes_of(vectors[i].seed, seed);
		bytes_of(vectors[i].message, message);
		assert_int_equal(
			ed25519_public(slice_of(seed, sizeof(seed)), key), 0);
		assert_int_equal(ed25519_sign(slice_of(seed, sizeof(seed)),
					      slice_of(message, len), made),
				 0);
		key_hex = text_hex(slice_of(key, sizeof(key)));
		made_hex = text_hex(slice_of(made, sizeof(made)));
		assert_string_equal(key_hex, vectors[i].key);
		assert_string_equal(made_hex, vectors[i].signature);
	}
}

static void a_seed_of_another_length_is_refused(void **state UNUSED)
{
	uint8_t seed[33] = { 0 };
	uint8_t key[ED25519_KEY_LEN];
	uint8_t made[ED25519_SIGNATURE_LEN];

	assert_int_equal(ed25519_public(slice_of(seed, 31), key), ERR_CRYPTO);
	assert_int_equal(ed25519_public(slice_of(seed, 33), key), ERR_CRYPTO);
	assert_int_equal(ed25519_sign(slice_of(seed, 0), slice_str("x"), made),
			 ERR_CRYPTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_standard_come_out),
		cmocka_unit_test(a_seed_of_another_length_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
