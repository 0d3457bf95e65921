#include "cmocka_first.h"

#include "crypto/seal.h"

#include "base/error.h"
#include "base/text.h"

static const uint8_t key[SEAL_KEY_LEN] = { 1, 2, 3 };
static const uint8_t other_key[SEAL_KEY_LEN] = { 1, 2, 4 };

static void from_hex(const char *text, uint8_t *bytes, size_t len)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(256);

	assert_int_equal(text_from_hex(slice_str(text), &b), 0);
	assert_int_equal(b.len, len);
	memcpy(bytes, b.data, len);
}

static void what_was_sealed_opens(void **state)
{
	static const char *const plains[] = { "", "x", "a longer plain text" };
	static const char *const aads[] = { "", "leaf" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(plains) * ARRAY_LEN(aads); i++) {
		CLEANUP(buf_clear) struct buf sealed = BUF_INIT(100);
		CLEANUP(buf_clear) struct buf opened = BUF_INIT(100);
		struct slice plain = slice_str(plains[i / ARRAY_LEN(aads)]);
		struct slice aad = slice_str(aads[i % ARRAY_LEN(aads)]);

		assert_int_equal(seal_close(key, aad, plain, &sealed), 0);
		assert_int_equal(sealed.len,
				 plain.len + SEAL_NONCE_LEN + SEAL_TAG_LEN);
		assert_int_equal(
			seal_open(key, aad, buf_slice(&sealed), &opened), 0);
		assert_true(slice_equals(buf_slice(&opened), plain));
	}
}

static void output_is_appended(void **state)
{
	CLEANUP(buf_clear) struct buf sealed = BUF_INIT(100);
	CLEANUP(buf_clear) struct buf opened = BUF_INIT(100);
	struct slice tail;

	(void)state;
	buf_put_str(&sealed, "head");
	buf_put_str(&opened, "head");
	assert_int_equal(
		seal_close(key, slice_str(""), slice_str("body"), &sealed), 0);
	tail = slice_of(sealed.data + 4, sealed.len - 4);
	assert_int_equal(seal_open(key, slice_str(""), tail, &opened), 0);
	assert_string_equal(buf_text(&opened), "headbody");
}

static void the_same_text_never_seals_to_the_same_bytes(void **state)
{
	CLEANUP(buf_clear) struct buf a = BUF_INIT(100);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(seal_close(key, slice_str(""), slice_str("x"), &a), 0);
	assert_int_equal(seal_close(key, slice_str(""), slice_str("x"), &b), 0);
	assert_false(slice_equals(buf_slice(&a), buf_slice(&b)));
}

static void any_changed_bit_is_noticed(void **state)
{
	CLEANUP(buf_clear) struct buf sealed = BUF_INIT(100);

	(void)state;
	assert_int_equal(
		seal_close(key, slice_str("aad"), slice_str("plain"), &sealed),
		0);
	for (size_t bit = 0; bit < sealed.len * 8; bit++) {
		CLEANUP(buf_clear) struct buf opened = BUF_INIT(100);

		sealed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(seal_open(key, slice_str("aad"),
					   buf_slice(&sealed), &opened),
				 ERR_CORRUPT);
		assert_int_equal(opened.len, 0);
		sealed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void any_shorter_text_is_noticed(void **state)
{
	CLEANUP(buf_clear) struct buf sealed = BUF_INIT(100);

	(void)state;
	assert_int_equal(
		seal_close(key, slice_str(""), slice_str("plain"), &sealed), 0);
	for (size_t len = 0; len < sealed.len; len++) {
		CLEANUP(buf_clear) struct buf opened = BUF_INIT(100);

		assert_int_equal(seal_open(key, slice_str(""),
					   slice_of(sealed.data, len), &opened),
				 ERR_CORRUPT);
	}
}

static void another_key_or_other_data_does_not_open(void **state)
{
	CLEANUP(buf_clear) struct buf sealed = BUF_INIT(100);
	CLEANUP(buf_clear) struct buf opened = BUF_INIT(100);
	struct slice bytes;

	(void)state;
	assert_int_equal(
		seal_close(key, slice_str("a"), slice_str("plain"), &sealed),
		0);
	bytes = buf_slice(&sealed);
	assert_int_equal(seal_open(other_key, slice_str("a"), bytes, &opened),
			 ERR_CORRUPT);
	assert_int_equal(seal_open(key, slice_str("b"), bytes, &opened),
			 ERR_CORRUPT);
	assert_int_equal(seal_open(key, slice_str(""), bytes, &opened),
			 ERR_CORRUPT);
}

static void what_does_not_fit_is_refused(void **state)
{
	CLEANUP(buf_clear) struct buf sealed = BUF_INIT(32);
	CLEANUP(buf_clear) struct buf more = BUF_INIT(33);

	(void)state;
	assert_int_equal(
		seal_close(key, slice_str(""), slice_str("12345"), &sealed),
		ERR_LIMIT);
	assert_int_equal(
		seal_close(key, slice_str(""), slice_str("12345"), &more), 0);
}

/* Test case 16 of the GCM specification of McGrew and Viega. */
static void the_vector_of_gcm_opens(void **state)
{
	static const char plain[] =
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a"
		"721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
	uint8_t vector_key[SEAL_KEY_LEN];
	uint8_t aad[20];
	uint8_t sealed[SEAL_NONCE_LEN + 60 + SEAL_TAG_LEN];
	uint8_t wanted[60];
	CLEANUP(buf_clear) struct buf opened = BUF_INIT(100);

	(void)state;
	from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f946730"
		 "8308",
		 vector_key, sizeof(vector_key));
	from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad, sizeof(aad));
	from_hex("cafebabefacedbaddecaf888"
		 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555"
		 "d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
		 "76fc6ece0f4e1768cddf8853bb2d551b",
		 sealed, sizeof(sealed));
	from_hex(plain, wanted, sizeof(wanted));
	assert_int_equal(seal_open(vector_key, slice_of(aad, sizeof(aad)),
				   slice_of(sealed, sizeof(sealed)), &opened),
			 0);
	assert_true(slice_equals(buf_slice(&opened),
				 slice_of(wanted, sizeof(wanted))));
}

/* RFC 3394, 4.6. */
static void the_vector_of_rfc_3394_wraps_and_unwraps(void **state)
{
	uint8_t kek[SEAL_KEY_LEN];
	uint8_t data[SEAL_KEY_LEN];
	uint8_t wanted[SEAL_WRAPPED_LEN];
	uint8_t wrapped[SEAL_WRAPPED_LEN];
	uint8_t unwrapped[SEAL_KEY_LEN];

	(void)state;
	from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d"
		 "1e1f",
		 kek, sizeof(kek));
	from_hex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d"
		 "0e0f",
		 data, sizeof(data));
	from_hex("28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99"
		 "f43bfb988b9b7a02dd21",
		 wanted, sizeof(wanted));
	assert_int_equal(seal_wrap(kek, data, wrapped), 0);
	assert_memory_equal(wrapped, wanted, sizeof(wanted));
	assert_int_equal(seal_unwrap(kek, wrapped, unwrapped), 0);
	assert_memory_equal(unwrapped, data, sizeof(data));
}

static void a_damaged_wrapped_key_is_refused(void **state)
{
	uint8_t wrapped[SEAL_WRAPPED_LEN];
	uint8_t unwrapped[SEAL_KEY_LEN];

	(void)state;
	assert_int_equal(seal_wrap(key, other_key, wrapped), 0);
	assert_int_equal(seal_unwrap(other_key, wrapped, unwrapped),
			 ERR_CORRUPT);
	for (size_t bit = 0; bit < sizeof(wrapped) * 8; bit++) {
		wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(seal_unwrap(key, wrapped, unwrapped),
				 ERR_CORRUPT);
		wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_opens),
		cmocka_unit_test(output_is_appended),
		cmocka_unit_test(the_same_text_never_seals_to_the_same_bytes),
		cmocka_unit_test(any_changed_bit_is_noticed),
		cmocka_unit_test(any_shorter_text_is_noticed),
		cmocka_unit_test(another_key_or_other_data_does_not_open),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(the_vector_of_gcm_opens),
		cmocka_unit_test(the_vector_of_rfc_3394_wraps_and_unwraps),
		cmocka_unit_test(a_damaged_wrapped_key_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
