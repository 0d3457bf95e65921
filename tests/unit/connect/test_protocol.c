#include "connect/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"

static void a_build_is_the_digest_of_the_programs_file(void **state UNUSED)
{
	char path[] = "/tmp/test-build-XXXXXX";
	int fd = mkstemp(path);
	struct digest digest = digest_of(slice_str("program"));
	char expected[DIGEST_TEXT_LEN];
	char text[DIGEST_TEXT_LEN];

	fd_close_p(&fd);
	assert_int_equal(file_write(path, slice_str("program"), 0600), 0);
	assert_int_equal(connect_build_of(path, text), 0);
	digest_format(&digest, expected);
	assert_string_equal(text, expected);
	assert_int_equal(unlink(path), 0);
}

static void what_is_no_program_has_no_build(void **state UNUSED)
{
	char text[DIGEST_TEXT_LEN];

	assert_int_equal(connect_build_of("/nonexistent", text), ERR_NOT_FOUND);
	assert_int_equal(connect_build_of("/tmp", text), ERR_IO);
	assert_int_equal(connect_build_of("/dev/null", text), ERR_IO);
}

static void every_method_has_a_name_a_time_and_a_shape(void **state UNUSED)
{
	for (int i = 0; i < CONNECT_METHOD_COUNT; i++) {
		enum connect_method method = (enum connect_method)i;

		assert_non_null(connect_method_name(method));
		assert_true(connect_method_timeout_ms(method) > 0);
		assert_non_null(connect_method_result(method));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_build_is_the_digest_of_the_programs_file),
		cmocka_unit_test(what_is_no_program_has_no_build),
		cmocka_unit_test(every_method_has_a_name_a_time_and_a_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
