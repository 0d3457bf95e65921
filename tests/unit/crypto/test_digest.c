#include "cmocka_first.h"

#include "crypto/digest.h"

#include <pthread.h>

#include "base/error.h"

static const char abc_text[] =
	"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015"
	"ad";
static const char empty_text[] =
	"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8"
	"55";

static void the_digest_of_abc_is_that_of_fips_180(void **state)
{
	struct digest digest = digest_of(slice_str("abc"));
	char text[DIGEST_TEXT_LEN];

	(void)state;
	digest_format(&digest, text);
	assert_string_equal(text, abc_text);
}

static void nothing_has_a_digest_too(void **state)
{
	struct digest digest = digest_of(slice_of(NULL, 0));
	struct digest of_no_parts = digest_of_parts(NULL, 0);
	char text[DIGEST_TEXT_LEN];

	(void)state;
	digest_format(&digest, text);
	assert_string_equal(text, empty_text);
	assert_true(digest_equals(&digest, &of_no_parts));
}

static void parts_have_the_digest_of_their_concatenation(void **state)
{
	const struct slice parts[] = { slice_str("a"), slice_of(NULL, 0),
				       slice_str("bc") };
	struct digest whole = digest_of(slice_str("abc"));
	struct digest parted = digest_of_parts(parts, ARRAY_LEN(parts));

	(void)state;
	assert_true(digest_equals(&whole, &parted));
}

static void different_bytes_are_told_apart(void **state)
{
	struct digest a = digest_of(slice_str("abc"));

	(void)state;
	for (size_t i = 0; i < DIGEST_LEN; i++) {
		struct digest b = a;

		b.bytes[i] ^= 1;
		assert_false(digest_equals(&a, &b));
	}
}

static void text_is_read_back(void **state)
{
	struct digest digest = digest_of(slice_str("abc"));
	struct digest read;

	(void)state;
	assert_int_equal(digest_parse(abc_text, &read), 0);
	assert_true(digest_equals(&digest, &read));
}

static void any_other_text_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"sha256:",
		"ba7816bf",
		/* another prefix, upper case, one digit less, one more */
		"sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff"
		"61f20015ad",
		"SHA256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff"
		"61f20015ad",
		"sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF"
		"61F20015AD",
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff"
		"61f20015a",
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff"
		"61f20015ad0",
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff"
		"61f20015ag",
		" sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410f"
		"f61f20015a",
	};
	struct digest digest;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(digest_parse(texts[i], &digest), ERR_SYNTAX);
}

static void *hash_much(void *cookie)
{
	const struct digest *wanted = cookie;
	bool *good = calloc(1, sizeof(*good));

	*good = true;
	for (int i = 0; i < 1000; i++) {
		struct digest digest = digest_of(slice_str("abc"));

		*good = *good && digest_equals(&digest, wanted);
	}
	return good;
}

static void threads_do_not_disturb_each_other(void **state)
{
	struct digest wanted = digest_of(slice_str("abc"));
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, hash_much, &wanted),
			0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *good;

		assert_int_equal(pthread_join(threads[i], &good), 0);
		assert_true(*(bool *)good);
		free(good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_of_abc_is_that_of_fips_180),
		cmocka_unit_test(nothing_has_a_digest_too),
		cmocka_unit_test(parts_have_the_digest_of_their_concatenation),
		cmocka_unit_test(different_bytes_are_told_apart),
		cmocka_unit_test(text_is_read_back),
		cmocka_unit_test(any_other_text_is_refused),
		cmocka_unit_test(threads_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
