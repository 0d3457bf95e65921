/* What a connector answers: the first byte picks the method. */
#include <assert.h>

#include "base/mem.h"
#include "connect/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(reply_clear) struct reply reply = { 0 };
	enum connect_method method;

	if (size == 0)
		return 0;
	method = (enum connect_method)(data[0] % CONNECT_METHOD_COUNT);
	reply_parse(slice_of(data + 1, size - 1), method, 7, &reply);
	assert((reply.result != NULL) == (reply.kind == REPLY_RESULT));
	assert(reply.kind != REPLY_ERROR || reply.reason[0]);
	return 0;
}
