/* An address that is named by itself is reached; nothing else opens the way to
 * 169.254.169.254 but a name that holds it. */
#include "net/reach.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sockaddr_in metadata(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	inet_pton(AF_INET, "169.254.169.254", &a.sin_addr);
	a.sin_port = htons(443);
	return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *names = json_array();
	struct reach *r = NULL;
	struct sockaddr_in a = metadata();
	const struct sockaddr *address = (const struct sockaddr *)&a;

	json_array_append_new(names, json_stringn((const char *)data, size));
	if (reach_new(names, &r) < 0)
		return 0;
	assert(reach_allows(r, address, false) == reach_names(r, address));
	assert(!reach_allows(r, address, true));
	reach_free(r);
	return 0;
}
