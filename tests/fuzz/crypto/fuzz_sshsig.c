/* An armored signature from anybody: the input may be the armor itself or, to
 * reach the inner parsers, the blob that is armored here. */
#include "crypto/sshsig.h"

#include <assert.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const lines[] = {
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINkcCo1icj11+IZLFAe+lcyU"
	"IhqsXxVkJrf6sp2P70YY",
	"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlz"
	"dHAyNTYAAABBBIaS6Y2OSNtqdX4teeDESZYNtOtXE9qU6YeAHq2uTeBzuQ/0"
	"toIYEq/S0sgRR0c7vSLS5aEt0j+1sM+WAP7Y/vI=",
	"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc"
	"2guY29tAAAAINwJNoRvtlJOPeIkscHpd0NHVJo4Z1uxhupum3ShKH3EAAAAB"
	"HNzaDo=",
	"sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItb"
	"mlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBKB3LEheMkeSs"
	"Ksq9cCLyeyQywnVTMubvPyJIn85l/DY3YKeHKuo6+1x7iVkqqLuNeR8ykRd4"
	"Otn4RwTOqRX8HQAAAAEc3NoOg==",
};

static void check(struct slice armored)
{
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct sshsig_outcome outcome;
		struct ssh_key key;

		if (ssh_key_parse(lines[i], &key) < 0)
			abort();
		outcome = sshsig_verify(armored, "writ-approval",
					slice_str("a message"), &key);
		assert(outcome.valid == (outcome.why[0] == '\0'));
		/* Nobody has signed this message with these keys. */
		assert(!outcome.valid);
		outcome = sshsig_verify(armored, "writ-approval",
					slice_str("approve\n"), &key);
		assert(!outcome.valid || !key.hardware || outcome.user_present);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_clear) struct buf armored = BUF_INIT(2 * SSHSIG_ARMOR_MAX);

	check(slice_of(data, size));
	buf_put_str(&armored, "-----BEGIN SSH SIGNATURE-----\n");
	text_put_base64(&armored, slice_of(data, size));
	buf_put_str(&armored, "\n-----END SSH SIGNATURE-----\n");
	check(buf_slice(&armored));
	return 0;
}
