#include "connectors/ldap/identifier.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static void a_guid_has_the_spelling_that_searches_take(void **state UNUSED)
{
	static const uint8_t bytes[16] = { 0x76, 0x73, 0xfb, 0xb6, 0x41, 0xc5,
					   0xb8, 0x40, 0x92, 0x9d, 0xd3, 0x3f,
					   0xa9, 0xb9, 0x2c, 0xad };
	CLEANUP(mem_free_p)
	char *text = identifier_guid(slice_of(bytes, sizeof(bytes)));

	assert_string_equal(text, "b6fb7376-c541-40b8-929d-d33fa9b92cad");
	assert_null(identifier_guid(slice_of(bytes, 15)));
	assert_null(identifier_guid(slice_of(NULL, 0)));
}

static void a_sid_is_spelled_out(void **state UNUSED)
{
	static const uint8_t bytes[] = { 1,    2, 0, 0, 0,    0, 0, 5,
					 0x20, 0, 0, 0, 0x21, 2, 0, 0 };
	CLEANUP(mem_free_p)
	char *text = identifier_sid(slice_of(bytes, sizeof(bytes)));

	assert_string_equal(text, "S-1-5-32-545");
}

static void a_sid_that_lies_about_its_length_is_none(void **state UNUSED)
{
	uint8_t bytes[68] = { 1, 15, 0, 0, 0, 0, 0, 5 };
	CLEANUP(mem_free_p)
	char *longest = identifier_sid(slice_of(bytes, sizeof(bytes)));

	assert_non_null(longest);
	assert_null(identifier_sid(slice_of(bytes, sizeof(bytes) - 1)));
	bytes[1] = 16;
	assert_null(identifier_sid(slice_of(bytes, sizeof(bytes))));
	bytes[1] = 255;
	assert_null(identifier_sid(slice_of(bytes, sizeof(bytes))));
	assert_null(identifier_sid(slice_of(bytes, 7)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guid_has_the_spelling_that_searches_take),
		cmocka_unit_test(a_sid_is_spelled_out),
		cmocka_unit_test(a_sid_that_lies_about_its_length_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
