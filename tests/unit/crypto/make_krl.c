/* A revocation list for the tests of other programs: make_krl LINE SERIAL...
 * writes to standard output the list of crypto/sshkrl.h for the authority whose
 * public key is LINE. */
#include <unistd.h>

#include "base/error.h"
#include "crypto/sshkrl.h"

enum { SERIALS_MAX = 64 };

int main(int argc, char **argv)
{
	CLEANUP(buf_clear) struct buf list = BUF_INIT(1 << 20);
	uint64_t serials[SERIALS_MAX];
	struct sshkrl krl = {
		.version = 1,
		.made = 1795000000,
		.serials = serials,
	};

	if (argc < 2 || argc - 2 > SERIALS_MAX)
		return 2;
	krl.authorities = (const char *const *)&argv[1];
	krl.authority_count = 1;
	for (int i = 2; i < argc; i++)
		serials[krl.count++] = strtoull(argv[i], NULL, 10);
	if (sshkrl_format(&krl, &list) < 0) {
		fprintf(stderr, "%s\n", error_message());
		return 1;
	}
	return write(STDOUT_FILENO, list.data, list.len) != (ssize_t)list.len;
}
