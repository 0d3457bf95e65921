/*
 * Records out of any bytes: each lies within the text, the text grows shorter,
 * and what a field says is no longer than it is written.
 */
#include <assert.h>

#include "base/error.h"
#include "connectors/postgres/csvlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_field(struct slice whole, struct slice field)
{
	CLEANUP(buf_clear) struct buf said = BUF_INIT(1 << 20);
	int64_t at_ms = 0;

	assert(field.ptr >= whole.ptr);
	assert(field.ptr + field.len <= whole.ptr + whole.len);
	csvlog_put(&said, field);
	assert(said.len <= field.len && !said.overflow);
	if (said.len > 0 && !memchr(said.data, 0, said.len))
		assert(csvlog_is(field, buf_text(&said)));
	if (csvlog_time(field, &at_ms) == 0)
		assert(field.len == 27);
	assert(csvlog_statement(field).len <= field.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice whole = slice_of(data, size);
	struct slice left = whole;
	struct csvlog_record record;

	if (size > 64 * 1024)
		return 0;
	for (;;) {
		size_t before = left.len;

		if (!csvlog_next(&left, &record))
			break;
		assert(left.len < before);
		assert(left.ptr + left.len == whole.ptr + whole.len);
		assert(record.count >= 1 && record.count <= CSVLOG_FIELDS_MAX);
		for (size_t i = 0; i < record.count; i++)
			check_field(whole, record.fields[i]);
	}
	return 0;
}
