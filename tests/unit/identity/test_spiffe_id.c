#include "tokens.h"

#include "base/error.h"
#include "base/mem.h"

static struct spiffe_id id;

static void an_id_is_taken_apart(void **state UNUSED)
{
	assert_int_equal(spiffe_id_parse("spiffe://a.b-c_1/X/y.z/..a", &id), 0);
	assert_string_equal(id.domain, "a.b-c_1");
	assert_string_equal(id.text, "spiffe://a.b-c_1/X/y.z/..a");
	assert_int_equal(spiffe_id_parse("spiffe://10.0.0.1", &id), 0);
	assert_string_equal(id.domain, "10.0.0.1");
}

static void what_section_2_does_not_allow_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"",
		"spiffe:/a/b",
		"spiffe://",
		"spiffe:///a",
		"SPIFFE://a/b",
		"http://a/b",
		"spiffe://A/b",	    /* 2.1: lower case */
		"spiffe://a:80/b",  /* 2.1: no port */
		"spiffe://u@a/b",   /* 2.1: no user */
		"spiffe://[::1]/b", /* 2.1: no IPv6 */
		"spiffe://a%20/b",  /* 2.1: no percent-encoding */
		"spiffe://\xc3\xa9/b",
		"spiffe://a/b%20", /* 2.2: no percent-encoding */
		"spiffe://a//b",   /* 2.2: no empty segment */
		"spiffe://a/b/",   /* 2.2: no trailing slash */
		"spiffe://a/",
		"spiffe://a/./b", /* 2.2: no relative segment */
		"spiffe://a/..",
		"spiffe://a/b?c", /* 2: no query */
		"spiffe://a/b#c", /* 2: no fragment */
		"spiffe://a?b",
		"spiffe://a/b c",
		"spiffe://a/b\n",
		"spiffe://a/\xc3\xa9",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (spiffe_id_parse(texts[i], &id) != ERR_SYNTAX)
			fail_msg("'%s' was taken", texts[i]);
	}
}

static void up_to_2048_bytes_are_taken_and_not_one_more(void **state UNUSED)
{
	char text[SPIFFE_ID_MAX + 1];
	int head = snprintf(text, sizeof(text), "spiffe://a/");

	memset(text + head, 'x', sizeof(text) - (size_t)head);
	text[2048] = 0;
	assert_int_equal(spiffe_id_parse(text, &id), 0);
	text[2048] = 'x';
	text[2049] = 0;
	assert_int_equal(spiffe_id_parse(text, &id), ERR_SYNTAX);
}

static void a_domain_of_255_bytes_is_taken_and_not_one_more(void **state UNUSED)
{
	char text[512];

	snprintf(text, sizeof(text), "spiffe://%0255d/a", 0);
	assert_int_equal(spiffe_id_parse(text, &id), 0);
	snprintf(text, sizeof(text), "spiffe://%0256d/a", 0);
	assert_int_equal(spiffe_id_parse(text, &id), ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_taken_apart),
		cmocka_unit_test(what_section_2_does_not_allow_is_refused),
		cmocka_unit_test(up_to_2048_bytes_are_taken_and_not_one_more),
		cmocka_unit_test(
			a_domain_of_255_bytes_is_taken_and_not_one_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
