#include "base/reader.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"

static void what_a_buf_writes_a_reader_reads(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);
	struct reader r;

	buf_put_u8(&b, 0xff);
	buf_put_u16(&b, 0xfffe);
	buf_put_u32(&b, 0xfffefdfc);
	buf_put_u64(&b, UINT64_C(0xfffefdfcfbfaf9f8));
	buf_put_string(&b, slice_str("text"));
	buf_put_str(&b, "end");
	r = reader_of(buf_slice(&b));
	assert_int_equal(reader_u8(&r), 0xff);
	assert_int_equal(reader_u16(&r), 0xfffe);
	assert_int_equal(reader_u32(&r), 0xfffefdfc);
	assert_true(reader_u64(&r) == UINT64_C(0xfffefdfcfbfaf9f8));
	assert_true(slice_is(reader_string(&r), "text"));
	assert_true(slice_is(reader_bytes(&r, 3), "end"));
	assert_int_equal(reader_finish(&r), 0);
}

static void a_number_cut_short_is_refused(void **state UNUSED)
{
	struct reader r = reader_of(slice_of("\1\2\3", 3));

	assert_int_equal(reader_u32(&r), 0);
	assert_int_equal(reader_finish(&r), ERR_SYNTAX);
}

static void after_a_failure_everything_is_zero(void **state UNUSED)
{
	struct reader r = reader_of(slice_of("\1\2\3", 3));

	assert_int_equal(reader_u32(&r), 0);
	assert_int_equal(reader_u8(&r), 0);
	assert_int_equal(reader_bytes(&r, 1).len, 0);
	assert_int_equal(reader_finish(&r), ERR_SYNTAX);
}

static void a_string_longer_than_the_input_is_refused(void **state UNUSED)
{
	struct reader r = reader_of(slice_of("\xff\xff\xff\xff"
					     "a",
					     5));

	assert_int_equal(reader_string(&r).len, 0);
	assert_int_equal(reader_finish(&r), ERR_SYNTAX);
}

static void left_over_bytes_are_refused(void **state UNUSED)
{
	struct reader r = reader_of(slice_of("\1\2", 2));

	assert_int_equal(reader_u8(&r), 1);
	assert_int_equal(reader_finish(&r), ERR_SYNTAX);
}

static void an_empty_input_is_whole(void **state UNUSED)
{
	struct reader r = reader_of(slice_of(NULL, 0));

	assert_int_equal(reader_bytes(&r, 0).len, 0);
	assert_int_equal(reader_finish(&r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_buf_writes_a_reader_reads),
		cmocka_unit_test(a_number_cut_short_is_refused),
		cmocka_unit_test(after_a_failure_everything_is_zero),
		cmocka_unit_test(a_string_longer_than_the_input_is_refused),
		cmocka_unit_test(left_over_bytes_are_refused),
		cmocka_unit_test(an_empty_input_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
