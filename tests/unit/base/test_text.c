#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"

struct pair {
	const char *plain;
	const char *coded;
};

/* RFC 4648, 10 */
static const struct pair base64_vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
};

static void base64_is_that_of_the_rfc(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(base64_vectors); i++) {
		const struct pair *pair = &base64_vectors[i];
		CLEANUP(mem_free_p)
		char *coded = text_base64(slice_str(pair->plain));
		CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

		assert_string_equal(coded, pair->coded);
		assert_int_equal(text_from_base64(slice_str(coded), &b), 0);
		assert_string_equal(buf_text(&b), pair->plain);
	}
}

static void base64url_has_its_own_digits_and_no_padding(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *coded = text_base64url(slice_of("\xfb\xff\xfe\xff", 4));
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	assert_string_equal(coded, "-__-_w");
	assert_int_equal(text_from_base64url(slice_str(coded), &b), 0);
	assert_true(
		slice_equals(buf_slice(&b), slice_of("\xfb\xff\xfe\xff", 4)));
}

static void what_is_encoded_decodes_to_itself(void **state UNUSED)
{
	uint8_t bytes[70];

	random_bytes(bytes, sizeof(bytes));
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		struct slice plain = slice_of(bytes, len);
		CLEANUP(mem_free_p) char *hex = text_hex(plain);
		CLEANUP(mem_free_p) char *standard = text_base64(plain);
		CLEANUP(mem_free_p) char *url = text_base64url(plain);
		CLEANUP(buf_clear) struct buf b = BUF_INIT(sizeof(bytes));

		assert_int_equal(text_from_hex(slice_str(hex), &b), 0);
		assert_true(slice_equals(buf_slice(&b), plain));
		buf_reset(&b);
		assert_int_equal(text_from_base64(slice_str(standard), &b), 0);
		assert_true(slice_equals(buf_slice(&b), plain));
		buf_reset(&b);
		assert_int_equal(text_from_base64url(slice_str(url), &b), 0);
		assert_true(slice_equals(buf_slice(&b), plain));
	}
}

static void loose_base64_is_refused(void **state UNUSED)
{
	static const char *const standard[] = {
		"Zg",	"Zg=",	"Zg===", "=",	   "==",       "====",
		"A===", "Zh==", "Zm9=",	 "Zm9v\n", " Zg==",    "Z=g=",
		"Zm-v", "Zm_v", "A",	 "AAAAA",  "Zg==Zg==",
	};
	static const char *const url[] = { "Zg==", "A",	   "Zh",    "Zm9",
					   "Zm+v", "Zm/v", "AAAAA", "Zm9v=" };
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	buf_put_str(&b, "kept");
	for (size_t i = 0; i < ARRAY_LEN(standard); i++)
		assert_int_equal(text_from_base64(slice_str(standard[i]), &b),
				 ERR_SYNTAX);
	for (size_t i = 0; i < ARRAY_LEN(url); i++)
		assert_int_equal(text_from_base64url(slice_str(url[i]), &b),
				 ERR_SYNTAX);
	assert_string_equal(buf_text(&b), "kept");
	assert_false(b.overflow);
}

static void every_foreign_byte_is_refused(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1000);

	for (unsigned c = 0; c < 256; c++) {
		uint8_t text[4] = { 'A', (uint8_t)c, 'A', 'A' };
		bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			     (c >= '0' && c <= '9');
		int standard = text_from_base64(slice_of(text, 4), &b);
		int url = text_from_base64url(slice_of(text, 4), &b);

		assert_int_equal(standard == 0, plain || c == '+' || c == '/');
		assert_int_equal(url == 0, plain || c == '-' || c == '_');
	}
}

static void loose_hex_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = { "a",   "AB",  "0x", "0g",
					     "ab ", " ab", "a:b" };
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(text_from_hex(slice_str(wrong[i]), &b),
				 ERR_SYNTAX);
	assert_int_equal(b.len, 0);
}

static void more_than_fits_is_refused(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(3);

	assert_int_equal(text_from_hex(slice_str("01020304"), &b), ERR_LIMIT);
	buf_reset(&b);
	assert_int_equal(text_from_base64(slice_str("AAAAAA=="), &b),
			 ERR_LIMIT);
	buf_reset(&b);
	assert_int_equal(text_from_base64(slice_str("AAAA"), &b), 0);
}

static void well_formed_utf8_is_told_from_other_bytes(void **state UNUSED)
{
	static const char *const right[] = {
		"",
		"plain",
		"\xc2\x80",
		"\xdf\xbf",
		"\xe0\xa0\x80",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbf",
		"\xf0\x90\x80\x80",
		"\xc3\xa9x",
		"\xf4\x8f\xbf\xbf",
	};
	static const char *const wrong[] = {
		"\x80",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc2",
		"\xc2x",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xef\xbf",
		"\xef\xbfx",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf0\x90\x80",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xfe",
	};

	for (size_t i = 0; i < ARRAY_LEN(right); i++)
		assert_true(text_is_utf8(slice_str(right[i])));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(text_is_utf8(slice_str(wrong[i])));
	assert_false(text_is_utf8(slice_of("a\0b", 3)));
	/* Eight bytes are looked at together. */
	assert_true(text_is_utf8(slice_str("abcdefgh\x7f\x01jklmnop\xc3\xa4")));
	assert_false(text_is_utf8(slice_of("abcdefgh\0jklmnopq", 17)));
	assert_false(text_is_utf8(slice_of("abcdefg\0ijklmnop", 16)));
	assert_false(text_is_utf8(slice_str("abcdefghijk\xe4lmnop")));
}

static void names_are_told_from_other_text(void **state UNUSED)
{
	static const char *const right[] = { "a", "0", "a-b", "a.b_c", "a--b" };
	static const char *const wrong[] = { "",	 "-a", "a-",  ".a",
					     "a.",	 "A",  "a b", "a/b",
					     "\xc3\xa4", "_" };
	char text[65];

	for (size_t i = 0; i < ARRAY_LEN(right); i++)
		assert_true(text_is_name(right[i]));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(text_is_name(wrong[i]));
	assert_false(text_is_name(NULL));
	memset(text, 'a', 64);
	text[64] = '\0';
	assert_false(text_is_name(text));
	text[63] = '\0';
	assert_true(text_is_name(text));
}

static void a_name_in_a_pointer_is_escaped(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	text_put_pointer_token(&b, "a/b~c~1");
	text_put_pointer_token(&b, "");
	assert_string_equal(buf_text(&b), "a~1b~0c~01");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_that_of_the_rfc),
		cmocka_unit_test(base64url_has_its_own_digits_and_no_padding),
		cmocka_unit_test(what_is_encoded_decodes_to_itself),
		cmocka_unit_test(loose_base64_is_refused),
		cmocka_unit_test(every_foreign_byte_is_refused),
		cmocka_unit_test(loose_hex_is_refused),
		cmocka_unit_test(more_than_fits_is_refused),
		cmocka_unit_test(well_formed_utf8_is_told_from_other_bytes),
		cmocka_unit_test(names_are_told_from_other_text),
		cmocka_unit_test(a_name_in_a_pointer_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
