/* A public key line that somebody enrolls. */
#include "crypto/sshsig.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *line = mem_alloc(size + 1);
	CLEANUP(mem_free_p) char *fingerprint = NULL;
	struct ssh_key key;

	memcpy(line, data, size);
	if (ssh_key_parse(line, &key) < 0)
		return 0;
	assert(key.blob_len <= sizeof(key.blob));
	assert(key.hardware == (strncmp(key.type, "sk-", 3) == 0));
	fingerprint = ssh_key_fingerprint(&key);
	assert(strlen(fingerprint) == strlen("SHA256:") + 43);
	return 0;
}
