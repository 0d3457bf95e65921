/* Addresses from manifests: what is good can break out of no header and no
 * envelope, and a mail to it can be made. */
#include "base/mem.h"
#include "notify/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p)
	char *text = mem_format("%.*s", (int)(size > 512 ? 512 : size),
				(const char *)data);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);
	struct mail_parts parts = { .id = "ntc_1",
				    .domain = "example.org",
				    .from = "writ@example.org",
				    .to = text,
				    .subject = "x",
				    .link = "https://c.example" };
	bool good = mail_address_is_good(text);

	if (good && (strpbrk(text, " \t\r\n<>,;:\"()[]\\") ||
		     strchr(text, '@') != strrchr(text, '@')))
		abort();
	if (good != (mail_compose(&parts, &b) == 0))
		abort();
	return 0;
}
