#include "cmocka_first.h"

#include "crypto/scram.h"

#include "base/error.h"
#include "base/text.h"

/* The salt of the example of RFC 7677, section 3. */
static void take_salt(uint8_t salt[SCRAM_SALT_LEN])
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(SCRAM_SALT_LEN);

	assert_int_equal(
		text_from_base64(slice_str("W22ZaJ0SNY7soEsUEjb6gQ=="), &bytes),
		0);
	memcpy(salt, bytes.data, SCRAM_SALT_LEN);
}

/* The keys are those with which the RFC's proof and server signature come out.
 */
static void the_example_of_rfc_7677_comes_out(void **state UNUSED)
{
	char verifier[SCRAM_VERIFIER_MAX];
	uint8_t salt[SCRAM_SALT_LEN];

	take_salt(salt);
	assert_int_equal(
		scram_verifier(slice_str("pencil"), salt, 4096, verifier), 0);
	assert_string_equal(verifier,
			    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
			    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
			    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

static void password_salt_and_iterations_all_matter(void **state UNUSED)
{
	char first[SCRAM_VERIFIER_MAX], other[SCRAM_VERIFIER_MAX];
	uint8_t salt[SCRAM_SALT_LEN];

	take_salt(salt);
	assert_int_equal(scram_verifier(slice_str("pencil"), salt, 1, first),
			 0);
	assert_int_equal(scram_verifier(slice_str("pencil"), salt, 2, other),
			 0);
	assert_string_not_equal(first, other);
	assert_int_equal(scram_verifier(slice_str("pencim"), salt, 1, other),
			 0);
	assert_string_not_equal(first, other);
	salt[0] ^= 1;
	assert_int_equal(scram_verifier(slice_str("pencil"), salt, 1, other),
			 0);
	assert_string_not_equal(first, other);
}

static void a_password_that_would_need_saslprep_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = { "", "caf\xc3\xa9", "a\nb",
					     "\x7f" };
	char verifier[SCRAM_VERIFIER_MAX];
	uint8_t salt[SCRAM_SALT_LEN];

	take_salt(salt);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(scram_verifier(slice_str(wrong[i]), salt, 4096,
						verifier),
				 ERR_SYNTAX);
	assert_int_equal(scram_verifier(slice_str("a"), salt, 0, verifier),
			 ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_rfc_7677_comes_out),
		cmocka_unit_test(password_salt_and_iterations_all_matter),
		cmocka_unit_test(
			a_password_that_would_need_saslprep_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
