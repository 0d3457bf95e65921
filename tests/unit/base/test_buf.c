#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static void puts_follow_each_other(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1000);
	struct slice bytes;
	static const uint8_t wanted[] = { 'a', 'b', 1, 2, 3, 4,	  5,  6,
					  7,   0,   0, 0, 0, 0,	  0,  0,
					  8,   0,   0, 0, 2, 'x', 'y' };

	buf_put_str(&b, "ab");
	buf_put_u8(&b, 1);
	buf_put_u16(&b, 0x0203);
	buf_put_u32(&b, 0x04050607);
	buf_put_u64(&b, 8);
	buf_put_string(&b, slice_str("xy"));
	assert_int_equal(buf_finish(&b, &bytes), 0);
	assert_int_equal(bytes.len, sizeof(wanted));
	assert_memory_equal(bytes.ptr, wanted, sizeof(wanted));
}

static void formatted_text_of_any_length_fits(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(10000);

	buf_putf(&b, "%s=%d;", "a", 1);
	buf_putf(&b, "%1000d", 7);
	assert_int_equal(b.len, 4 + 1000);
	assert_int_equal(strlen(buf_text(&b)), b.len);
	assert_int_equal(b.data[b.len - 1], '7');
}

static void an_overflow_is_remembered_and_the_rest_dropped(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4);
	struct slice bytes;

	buf_put_str(&b, "abc");
	buf_put_str(&b, "de");
	buf_put_str(&b, "f");
	assert_string_equal(buf_text(&b), "abc");
	assert_int_equal(buf_finish(&b, &bytes), ERR_LIMIT);
	buf_reset(&b);
	buf_put_str(&b, "wxyz");
	assert_int_equal(buf_finish(&b, &bytes), 0);
	assert_true(slice_is(bytes, "wxyz"));
}

static void an_empty_one_reads_as_empty_text(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4);
	CLEANUP(mem_free_p) char *text = NULL;
	struct slice bytes;

	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_finish(&b, &bytes), 0);
	assert_int_equal(bytes.len, 0);
	text = buf_take_text(&b);
	assert_string_equal(text, "");
}

static void consuming_keeps_the_tail(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	buf_put_str(&b, "abcdef");
	buf_consume(&b, 2);
	assert_string_equal(buf_text(&b), "cdef");
	buf_consume(&b, 100);
	assert_int_equal(b.len, 0);
}

static void cutting_wipes_what_it_cuts(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	buf_put_str(&b, "public-secret");
	buf_cut(&b, 6);
	assert_string_equal(buf_text(&b), "public");
	for (size_t i = 6; i < 13; i++)
		assert_int_equal(b.data[i], 0);
	buf_cut(&b, 50);
	assert_int_equal(b.len, 6);
}

static void taken_text_is_owned_by_the_taker(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);
	CLEANUP(mem_free_p) char *text = NULL;

	buf_put_str(&b, "mine");
	text = buf_take_text(&b);
	assert_string_equal(text, "mine");
	assert_int_equal(b.len, 0);
	buf_put_str(&b, "again");
	assert_string_equal(buf_text(&b), "again");
	assert_string_equal(text, "mine");
}

static void a_huge_maximum_does_not_wrap(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(SIZE_MAX);

	buf_put_str(&b, "x");
	assert_null(buf_extend(&b, SIZE_MAX - 1));
	assert_true(b.overflow);
	assert_string_equal(buf_text(&b), "x");
}

static void growth_keeps_the_content(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100000);

	for (unsigned i = 0; i < 100000; i++)
		buf_put_u8(&b, (uint8_t)(i & 0xff));
	assert_false(b.overflow);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(b.data[i], i & 0xff);
	buf_put_u8(&b, 0);
	assert_true(b.overflow);
}

static void slices_compare_by_content(void **state UNUSED)
{
	assert_true(slice_equals(slice_str("a"), slice_str("a")));
	assert_false(slice_equals(slice_str("a"), slice_str("b")));
	assert_false(slice_equals(slice_str("a"), slice_str("aa")));
	assert_true(slice_equals(slice_str(NULL), slice_str("")));
	assert_true(secret_equals(slice_str("key"), slice_str("key")));
	assert_false(secret_equals(slice_str("key"), slice_str("kez")));
	assert_false(secret_equals(slice_str("key"), slice_str("ke")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_follow_each_other),
		cmocka_unit_test(formatted_text_of_any_length_fits),
		cmocka_unit_test(
			an_overflow_is_remembered_and_the_rest_dropped),
		cmocka_unit_test(an_empty_one_reads_as_empty_text),
		cmocka_unit_test(consuming_keeps_the_tail),
		cmocka_unit_test(cutting_wipes_what_it_cuts),
		cmocka_unit_test(taken_text_is_owned_by_the_taker),
		cmocka_unit_test(a_huge_maximum_does_not_wrap),
		cmocka_unit_test(growth_keeps_the_content),
		cmocka_unit_test(slices_compare_by_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
