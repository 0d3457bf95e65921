#include "cmocka_first.h"

#include "crypto/hmac.h"

/* RFC 4231, the tests that are not cut. */
static const struct {
	uint8_t key_byte;
	size_t key_len;
	const char *key; /* instead of key_byte */
	uint8_t data_byte;
	size_t data_len;
	const char *data; /* instead of data_byte */
	const char *tag;
} vectors[] = {
	{ 0x0b, 20, NULL, 0, 0, "Hi There",
	  "sha256:b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32"
	  "cff7" },
	{ 0, 0, "Jefe", 0, 0, "what do ya want for nothing?",
	  "sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec"
	  "3843" },
	{ 0xaa, 20, NULL, 0xdd, 50, NULL,
	  "sha256:773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced5"
	  "65fe" },
	{ 0xaa, 131, NULL, 0, 0,
	  "Test Using Larger Than Block-Size Key - Hash Key First",
	  "sha256:60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee3"
	  "7f54" },
};

static void tags_are_those_of_rfc_4231(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		uint8_t key[131];
		uint8_t data[50];
		struct slice k = slice_of(key, vectors[i].key_len);
		struct slice parts[2] = { slice_of(data, vectors[i].data_len),
					  slice_of(NULL, 0) };
		char text[DIGEST_TEXT_LEN];
		struct digest tag;

		memset(key, vectors[i].key_byte, sizeof(key));
		memset(data, vectors[i].data_byte, sizeof(data));
		if (vectors[i].key)
			k = slice_str(vectors[i].key);
		if (vectors[i].data) {
			parts[0] = slice_of(vectors[i].data, 3);
			parts[1] = slice_str(vectors[i].data + 3);
		}
		tag = hmac_of_parts(k, parts, ARRAY_LEN(parts));
		digest_format(&tag, text);
		assert_string_equal(text, vectors[i].tag);
	}
}

static void another_key_gives_another_tag(void **state)
{
	struct slice part = slice_str("the same");
	struct digest one = hmac_of_parts(slice_str("one"), &part, 1);
	struct digest two = hmac_of_parts(slice_str("two"), &part, 1);

	(void)state;
	assert_false(digest_equals(&one, &two));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_those_of_rfc_4231),
		cmocka_unit_test(another_key_gives_another_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
