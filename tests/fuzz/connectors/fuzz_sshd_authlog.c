/*
 * Lines out of any bytes: each lies within the text, the text grows shorter,
 * and what is read of a message lies within the message.
 */
#include <assert.h>

#include "connectors/sshd/authlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct slice whole, struct slice part)
{
	if (part.len == 0)
		return;
	assert(part.ptr >= whole.ptr);
	assert(part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_message(struct slice message)
{
	struct slice peer = { 0 };
	struct slice key_id = { 0 };
	enum authlog_event event = authlog_read(message, &peer, &key_id);

	check_within(message, peer);
	check_within(message, key_id);
	assert((event == AUTHLOG_NOTHING) == (peer.len == 0));
	assert(event == AUTHLOG_LOGIN || key_id.len == 0);
	assert(authlog_event_name(event)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice whole = slice_of(data, size);
	struct slice left = whole;
	struct authlog_line line;
	enum authlog_kind kind;

	if (size > 64 * 1024)
		return 0;
	check_message(whole);
	for (;;) {
		size_t before = left.len;

		kind = authlog_next(&left, &line);
		if (kind == AUTHLOG_END)
			break;
		assert(left.len < before);
		assert(left.ptr + left.len == whole.ptr + whole.len);
		if (kind != AUTHLOG_SSHD)
			continue;
		check_within(whole, line.host);
		check_within(whole, line.message);
		check_message(line.message);
	}
	return 0;
}
