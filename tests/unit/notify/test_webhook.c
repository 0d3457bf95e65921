#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "notify/webhook.h"

/* The first is the example of the Standard Webhooks specification. */
#define EXAMPLE "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const char body[] = "{\"test\": 2432232314}";

static int parse(const char *text, struct webhook_secrets *ret)
{
	return webhook_secrets_parse(slice_str(text), ret);
}

static void the_signature_is_that_of_the_specifications_example(void **state)
{
	CLEANUP(webhook_secrets_clear) struct webhook_secrets s = { 0 };
	CLEANUP(mem_free_p) char *signature = NULL;

	(void)state;
	assert_int_equal(parse(EXAMPLE "\n", &s), 0);
	signature = webhook_signature(&s, "msg_p5jXN8AQM9LWM0D4loKWxJek",
				      1614265330, slice_str(body));
	assert_string_equal(signature,
			    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void each_secret_signs_while_they_are_exchanged(void **state)
{
	CLEANUP(webhook_secrets_clear) struct webhook_secrets s = { 0 };
	CLEANUP(mem_free_p) char *signature = NULL;

	(void)state;
	assert_int_equal(parse(OTHER "\r\n\n" EXAMPLE, &s), 0);
	assert_int_equal(s.count, 2);
	signature = webhook_signature(&s, "msg_p5jXN8AQM9LWM0D4loKWxJek",
				      1614265330, slice_str(body));
	assert_non_null(strstr(
		signature, " v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
	assert_memory_equal(signature, "v1,", 3);
}

static void what_is_no_secret_is_refused_without_repeating_it(void **state)
{
	static const char *const wrong[] = {
		"",
		"\n\n",
		"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_",
		"whsec_c2hvcnQ=",
		"whsec_not base64 at all, certainly not",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
		EXAMPLE "\nnonsense",
		EXAMPLE "\n" EXAMPLE "\n" EXAMPLE "\n" EXAMPLE "\n" EXAMPLE,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct webhook_secrets s = { 0 };

		assert_true(parse(wrong[i], &s) < 0);
		assert_int_equal(s.count, 0);
		assert_null(strstr(error_message(), "MfKQ9r8G"));
		assert_null(strstr(error_message(), "c2hvcnQ"));
	}
}

static void a_secret_of_more_than_64_bytes_is_refused(void **state)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(200);
	struct webhook_secrets s = { 0 };

	(void)state;
	buf_put_str(&b, "whsec_");
	for (int i = 0; i < 88; i++)
		buf_put_str(&b, "A");
	assert_int_equal(parse(buf_text(&b), &s), ERR_SYNTAX);
}

/* RFC 8032, section 7.1, test 1: the seed, and its public key. */
#define SEED "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="

static void a_key_signs_as_ed25519_and_tells_its_public_half(void **state)
{
	CLEANUP(webhook_secrets_clear) struct webhook_secrets s = { 0 };
	CLEANUP(mem_free_p) char *public = NULL;
	CLEANUP(mem_free_p) char *signature = NULL;
	CLEANUP(mem_free_p) char *both = NULL;

	(void)state;
	assert_int_equal(webhook_keys_parse(slice_str("whsk_" SEED), &s), 0);
	public = webhook_public_key(&s, 0);
	assert_string_equal(
		public, "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
	signature = webhook_signature(&s, "msg_1", 1614265330, slice_str(body));
	assert_memory_equal(signature, "v1a,", 4);
	assert_int_equal(strlen(signature), 4 + 88);
	assert_int_equal(parse(EXAMPLE, &s), 0);
	both = webhook_signature(&s, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
				 slice_str(body));
	assert_memory_equal(
		both, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,",
		strlen("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,"));
}

static void what_is_no_key_is_refused_without_repeating_it(void **state)
{
	static const char *const wrong[] = {
		"",
		"whsk_",
		SEED,
		"whsec_" SEED,
		"whpk_" SEED,
		"whsk_c2hvcnQ=",
		"whsk_not base64",
		"whsk_" SEED "\nwhsk_" SEED "\nwhsk_" SEED "\nwhsk_" SEED
		"\nwhsk_" SEED,
		/* A public half that is not the seed's. */
		"whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2CdYbGd7/"
		"1aYLqESvSS7CzEREnFaXsyaRlwO6wDHK5/YA==",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct webhook_secrets s = { 0 };

		assert_true(webhook_keys_parse(slice_str(wrong[i]), &s) < 0);
		assert_int_equal(s.seed_count, 0);
		assert_null(strstr(error_message(), "nWGxne"));
	}
}

static void secrets_are_read_from_a_file(void **state)
{
	char path[] = "/tmp/writ-secret-XXXXXX";
	int fd = mkstemp(path);
	struct webhook_secrets s = { 0 };

	(void)state;
	assert_true(fd >= 0);
	fd_close_p(&fd);
	assert_int_equal(file_write(path, slice_str(EXAMPLE "\n"), 0600), 0);
	assert_int_equal(webhook_secrets_read(path, NULL, &s), 0);
	assert_int_equal(s.count, 1);
	assert_int_equal(remove(path), 0);
	assert_int_equal(webhook_secrets_read(path, NULL, &s), ERR_NOT_FOUND);
	assert_int_equal(webhook_secrets_read(NULL, path, &s), ERR_NOT_FOUND);
	assert_int_equal(webhook_secrets_read(NULL, NULL, &s), ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_signature_is_that_of_the_specifications_example),
		cmocka_unit_test(each_secret_signs_while_they_are_exchanged),
		cmocka_unit_test(
			what_is_no_secret_is_refused_without_repeating_it),
		cmocka_unit_test(a_secret_of_more_than_64_bytes_is_refused),
		cmocka_unit_test(
			a_key_signs_as_ed25519_and_tells_its_public_half),
		cmocka_unit_test(
			what_is_no_key_is_refused_without_repeating_it),
		cmocka_unit_test(secrets_are_read_from_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
