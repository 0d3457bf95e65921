#include "base/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static void expect(const char *text, enum url_part keep, const char *wanted)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(URL_MAX + 1);

	if (url_normalize(text, keep, &b) < 0)
		fail_msg("%s: %s", text, error_message());
	assert_string_equal(buf_text(&b), wanted);
}

static void addresses_come_into_their_normal_form(void **state UNUSED)
{
	static const char *const rows[][2] = {
		{ "https://a.example", "https://a.example/" },
		{ "HTTPS://A.Example:443", "https://a.example/" },
		{ "http://a.example:80/x", "http://a.example/x" },
		{ "http://a.example:080/x", "http://a.example/x" },
		{ "https://a.example:8443/", "https://a.example:8443/" },
		{ "https://a.example:/x", "https://a.example/x" },
		{ "https://[2001:DB8::1]:443/", "https://[2001:db8::1]/" },
		{ "https://a.example/%7Ebob/%c3%a9",
		  "https://a.example/~bob/%C3%A9" },
		{ "https://a.example/a/./b/../c", "https://a.example/a/c" },
		{ "https://a.example/a/%2e%2e/b", "https://a.example/b" },
		{ "https://a.example/../x", "https://a.example/x" },
		{ "https://a.example/a/..", "https://a.example/" },
		{ "https://a.example/a/.", "https://a.example/a/" },
		{ "https://a.example/a//b", "https://a.example/a//b" },
		{ "https://a.example/a%2Fb", "https://a.example/a%2Fb" },
		{ "https://a.example?q=%7e", "https://a.example/?q=~" },
		{ "https://a.example/x#f", "https://a.example/x" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(rows[i][0], URL_WHOLE, rows[i][1]);
}

static void parts_that_are_not_wanted_are_left_out(void **state UNUSED)
{
	expect("https://a.example/x?y#z", URL_PATH, "https://a.example/x");
	expect("https://A.example:8443/x?y", URL_ORIGIN,
	       "https://a.example:8443");
}

static void what_is_no_web_address_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"",
		"a.example",
		"ftp://a.example/",
		"https:/a.example",
		"https://",
		"https:///x",
		"https://:443/",
		"https://user@a.example/",
		"https://a.example:x/",
		"https://a.example:65536/",
		"https://a.example:99999999999999999999/",
		"https://a b/",
		"https://a.example/ ",
		"https://a.example/\xc3\xa9",
		"https://a.example/%",
		"https://a.example/%4",
		"https://a.example/%4g",
		"https://a.example/?\"",
		"https://a%2eexample/",
		"https://[::1/",
		"https://[]/",
		"https://[::1]x/",
		"https://[g]/",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(buf_clear) struct buf b = BUF_INIT(URL_MAX + 1);

		if (url_normalize(texts[i], URL_WHOLE, &b) != ERR_SYNTAX)
			fail_msg("%s: %s", texts[i], buf_text(&b));
	}
}

static void an_address_that_is_too_long_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(URL_MAX + 2);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(URL_MAX + 1);

	memset(text, 'x', URL_MAX + 1);
	memcpy(text, "https://a/", strlen("https://a/"));
	assert_int_equal(url_normalize(text, URL_WHOLE, &b), ERR_LIMIT);
	text[URL_MAX] = '\0';
	assert_int_equal(url_normalize(text, URL_WHOLE, &b), 0);
}

static void the_same_address_is_recognised(void **state UNUSED)
{
	assert_true(url_same("https://A.example:443", "https://a.example/"));
	assert_true(url_same("urn:example:api", "urn:example:api"));
	assert_false(url_same("https://a.example/x", "https://a.example/x/"));
	assert_false(url_same("https://a.example/", "http://a.example/"));
	assert_false(url_same("https://a.example/x", "https://a.example/x?"));
	assert_false(url_same("urn:example:api", "urn:example:API"));
}

static void an_issuer_is_https_or_this_machine(void **state UNUSED)
{
	static const char *const issuers[] = {
		"https://a.example",	  "https://a.example:8443",
		"https://a.example/writ", "http://127.0.0.1:8470",
		"http://localhost",	  "http://[::1]:8470/x",
	};
	static const char *const others[] = {
		"https://a.example/",	    "https://A.example",
		"https://a.example:443",    "https://a.example/x/",
		"https://a.example/x?y",    "https://a.example/x#y",
		"http://a.example",	    "http://127.0.0.1.example",
		"http://localhost.example", "a.example",
		"https://a.example/x/../y", "",
	};

	for (size_t i = 0; i < ARRAY_LEN(issuers); i++) {
		if (!url_is_issuer(issuers[i]))
			fail_msg("%s", issuers[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (url_is_issuer(others[i]))
			fail_msg("%s", others[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_come_into_their_normal_form),
		cmocka_unit_test(parts_that_are_not_wanted_are_left_out),
		cmocka_unit_test(what_is_no_web_address_is_refused),
		cmocka_unit_test(an_address_that_is_too_long_is_refused),
		cmocka_unit_test(the_same_address_is_recognised),
		cmocka_unit_test(an_issuer_is_https_or_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
