/* What a leaf commits to, after its proofs: the payload of a token, or after
 * 's' that of an SSH certificate.  What is made must be one. */
#include <assert.h>

#include "keeper/credential.h"

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct es256_key *key;
static struct sshcert_authority *authority;

static void set_up(void)
{
	uint8_t secret[32] = { [31] = 1 };

	if (key)
		return;
	if (es256_key_new(secret, &key) < 0 ||
	    sshcert_authority_new(secret, &authority) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool ssh = size > 0 && data[0] == 's';
	CLEANUP(buf_clear) struct buf out = BUF_INIT(64 * 1024);
	CLEANUP(json_put_p) json_t *payload = NULL;
	struct rpc_fault fault = { 0 };
	struct credential c = {
		.index = 7,
		.id = "crd_1",
		.task = "tsk_1",
		.made = 1795000000,
		.expires = 1795000300,
	};
	int r;

	set_up();
	if (json_parse(slice_of(data + ssh, size - ssh), CREDENTIAL_PAYLOAD_MAX,
		       &payload) < 0)
		return 0;
	c.payload = payload;
	r = ssh ? credential_ssh(&c, authority, &out, &fault)
		: credential_token(&c, key, &out, &fault);
	assert(r < 0 || (fault.code == 0) == (out.len > 0));
	return 0;
}
