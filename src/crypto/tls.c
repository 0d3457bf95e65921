#include "crypto/evp.h"

#include "crypto/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/error.h"

enum { CHAIN_BYTES_MAX = 128 * 1024 };

/* Appends the DER form of cert; its end is noted by the caller. */
static bool put_der(struct buf *b, const X509 *cert)
{
	int size = i2d_X509(cert, NULL);
	uint8_t *at = size > 0 ? buf_extend(b, (size_t)size) : NULL;

	return at && i2d_X509(cert, &at) == size;
}

static bool judge_chain(const struct tls_judge *judge,
			const STACK_OF(X509) * certs)
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(CHAIN_BYTES_MAX);
	struct slice chain[TLS_CHAIN_MAX];
	size_t ends[TLS_CHAIN_MAX];
	int count = sk_X509_num(certs);
	size_t start = 0;

	if (count < 1 || count > TLS_CHAIN_MAX)
		return false;
	for (int i = 0; i < count; i++) {
		if (!put_der(&bytes, sk_X509_value(certs, i)))
			return false;
		ends[i] = bytes.len;
	}
	for (int i = 0; i < count; i++) {
		chain[i] = slice_of(bytes.data + start, ends[i] - start);
		start = ends[i];
	}
	return judge->fn(judge->cookie, chain, (size_t)count);
}

static int verify(X509_STORE_CTX *context, void *cookie)
{
	bool good = judge_chain(cookie, X509_STORE_CTX_get0_untrusted(context));

	X509_STORE_CTX_set_error(context,
				 good ? X509_V_OK
				      : X509_V_ERR_APPLICATION_VERIFICATION);
	return good;
}

void tls_ask(void *ssl_ctx, struct tls_judge *judge)
{
	SSL_CTX_set_cert_verify_callback(ssl_ctx, verify, judge);
}

static void bio_free_p(BIO **bio)
{
	BIO_free(*bio);
}

int tls_check_authorities(struct slice pem)
{
	CLEANUP(bio_free_p) BIO *bio = NULL;
	size_t count = 0;
	unsigned long end;

	if (pem.len > INT_MAX)
		return error_set(ERR_SYNTAX, "too many certificates");
	bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	ERR_clear_error();
	for (;;) {
		X509 *cert =
			bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

		if (!cert)
			break;
		X509_free(cert);
		count++;
	}
	end = ERR_peek_last_error();
	ERR_clear_error();
	if (count == 0 || ERR_GET_REASON(end) != PEM_R_NO_START_LINE)
		return error_set(ERR_SYNTAX, "no certificates in PEM");
	return 0;
}
