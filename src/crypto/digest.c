#include "crypto/evp.h"

#include "crypto/digest.h"

#include <pthread.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"

static const char prefix[] = "sha256:";

enum { PREFIX_LEN = sizeof(prefix) - 1 };

/*
 * One context for each thread, already bound to SHA-256: starting it again
 * costs no look-up and no allocation.  The key only serves to free it when the
 * thread ends.
 */
static _Thread_local EVP_MD_CTX *context;
static pthread_key_t context_key;
static pthread_once_t key_made = PTHREAD_ONCE_INIT;

__attribute__((noreturn)) static void fail(void)
{
	/* Without SHA-256 nothing that this program says can be trusted. */
	fprintf(stderr, "SHA-256 failed\n");
	abort();
}

static void free_context(void *ctx)
{
	context = NULL;
	EVP_MD_CTX_free(ctx);
}

static void make_key(void)
{
	if (pthread_key_create(&context_key, free_context) != 0)
		fail();
}

static void make_context(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx ||
	    EVP_DigestInit_ex2(ctx, evp_md(EVP_HASH_SHA256), NULL) != 1 ||
	    pthread_once(&key_made, make_key) != 0 ||
	    pthread_setspecific(context_key, ctx) != 0)
		fail();
	context = ctx;
}

struct digest digest_of_parts(const struct slice *parts, size_t count)
{
	struct digest digest;
	bool good;

	if (!context)
		make_context();
	good = EVP_DigestInit_ex2(context, NULL, NULL) == 1;
	for (size_t i = 0; i < count; i++)
		good = good && EVP_DigestUpdate(context, parts[i].ptr,
						parts[i].len) == 1;
	if (!good || EVP_DigestFinal_ex(context, digest.bytes, NULL) != 1)
		fail();
	return digest;
}

struct digest digest_of(struct slice bytes)
{
	return digest_of_parts(&bytes, 1);
}

bool digest_equals(const struct digest *a, const struct digest *b)
{
	return secret_equals(digest_slice(a), digest_slice(b));
}

void digest_format(const struct digest *d, char text[DIGEST_TEXT_LEN])
{
	static const char digits[] = "0123456789abcdef";
	char *out = text + PREFIX_LEN;

	memcpy(text, prefix, PREFIX_LEN);
	for (size_t i = 0; i < DIGEST_LEN; i++) {
		*out++ = digits[d->bytes[i] >> 4];
		*out++ = digits[d->bytes[i] & 15];
	}
	*out = '\0';
}

int digest_parse(const char *text, struct digest *ret_digest)
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(DIGEST_LEN);
	size_t len = strnlen(text, DIGEST_TEXT_LEN);

	if (len != DIGEST_TEXT_LEN - 1 || memcmp(text, prefix, PREFIX_LEN) != 0)
		return error_set(ERR_SYNTAX, "not a sha256: digest");
	TRY(text_from_hex(slice_of(text + PREFIX_LEN, len - PREFIX_LEN),
			  &bytes));
	memcpy(ret_digest->bytes, bytes.data, DIGEST_LEN);
	return 0;
}
