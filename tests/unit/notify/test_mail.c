#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "notify/mail.h"

static void addresses_that_can_stand_as_they_are_are_good(void **state)
{
	static const char *const good[] = { "ada@example.org",
					    "a.b+c@x-y.example",
					    "o'neil@localhost", "x@1.example" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(mail_address_is_good(good[i]));
}

static void what_could_break_out_of_a_header_is_no_address(void **state)
{
	static const char *const wrong[] = {
		"",
		"@",
		"ada",
		"ada@",
		"@example.org",
		"ada@example.org\r\nBcc: eve@example.org",
		"ada@example.org>, <eve@example.org",
		"ada@example.org,eve@example.org",
		"ada lovelace@example.org",
		"\"ada\"@example.org",
		"ada@@example.org",
		"ada@[127.0.0.1]",
		".ada@example.org",
		"ada.@example.org",
		"a..da@example.org",
		"ada@example..org",
		"ada@-example.org",
		"-oQ@example.org",
		"ad\xc3\xa4@example.org",
	};

	(void)state;
	assert_false(mail_address_is_good(NULL));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(mail_address_is_good(wrong[i]));
}

static const struct mail_parts parts = {
	.id = "ntc_1",
	.domain = "example.org",
	.from = "writ@example.org",
	.to = "ada@example.org",
	.subject = "A request waits",
	.link = "https://console.example/requests/req_1",
	.made_ms = 1792000000000, /* 2026-10-14T17:46:40Z */
};

static void a_mail_has_the_headers_of_an_automatic_message(void **state)
{
	static const char *const lines[] = {
		"From: Writ <writ@example.org>\r\n",
		"\r\nTo: <ada@example.org>\r\n",
		"\r\nSubject: A request waits\r\n",
		"\r\nDate: Wed, 14 Oct 2026 17:46:40 +0000\r\n",
		"\r\nMessage-ID: <ntc_1@example.org>\r\n",
		"\r\nAuto-Submitted: auto-generated\r\n",
		"\r\n\r\nA request waits.\r\n",
		"\r\nhttps://console.example/requests/req_1\r\n",
	};
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);
	const char *at;

	(void)state;
	assert_int_equal(mail_compose(&parts, &b), 0);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		assert_non_null(strstr(buf_text(&b), lines[i]));
	for (at = buf_text(&b); (at = strchr(at, '\n')); at++)
		assert_int_equal(at[-1], '\r');
}

static void a_mail_to_what_is_no_address_is_not_made(void **state)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);
	struct mail_parts wrong = parts;

	(void)state;
	wrong.to = "ada@example.org\r\nBcc: eve@example.org";
	assert_int_equal(mail_compose(&wrong, &b), ERR_SYNTAX);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_that_can_stand_as_they_are_are_good),
		cmocka_unit_test(
			what_could_break_out_of_a_header_is_no_address),
		cmocka_unit_test(
			a_mail_has_the_headers_of_an_automatic_message),
		cmocka_unit_test(a_mail_to_what_is_no_address_is_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
