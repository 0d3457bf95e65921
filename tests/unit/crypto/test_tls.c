/* A handshake in memory between a client that is judged by us and a server. */
#include "cmocka_first.h"

#include "certificates.h"

#include "crypto/tls.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/error.h"

static struct test_cert authority, leaf;
static struct seen {
	bool answer;
	size_t count;
	size_t first_len;
	int calls;
} seen;

static bool judge(void *cookie, const struct slice *chain, size_t count)
{
	struct seen *s = cookie;

	s->calls++;
	s->count = count;
	s->first_len = chain[0].len;
	assert_true(slice_equals(chain[0], test_cert_der(&leaf)));
	return s->answer;
}

static SSL *end_of(SSL_CTX *ctx, bool server, BIO *in, BIO *out)
{
	SSL *ssl = SSL_new(ctx);

	BIO_up_ref(in);
	BIO_up_ref(out);
	SSL_set_bio(ssl, in, out);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

/* Lets both ends talk until nothing moves; whether the client is through. */
static bool talk(SSL_CTX *client_ctx, SSL_CTX *server_ctx)
{
	BIO *there = BIO_new(BIO_s_mem());
	BIO *back = BIO_new(BIO_s_mem());
	SSL *client = end_of(client_ctx, false, back, there);
	SSL *server = end_of(server_ctx, true, there, back);
	bool through = false;

	for (int i = 0; i < 8; i++) {
		through = SSL_do_handshake(client) == 1;
		discard(SSL_do_handshake(server));
	}
	SSL_free(client);
	SSL_free(server);
	BIO_free(there);
	BIO_free(back);
	return through;
}

static bool connects(bool answer, int extra)
{
	struct tls_judge j = { judge, &seen };
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());
	bool through;

	seen = (struct seen){ .answer = answer };
	SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
	tls_ask(client, &j);
	SSL_CTX_use_certificate(server, leaf.x);
	SSL_CTX_use_PrivateKey(server, leaf.key);
	for (int i = 0; i < extra; i++) {
		X509_up_ref(authority.x);
		SSL_CTX_add_extra_chain_cert(server, authority.x);
	}
	through = talk(client, server);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	return through;
}

static int setup(void **state)
{
	discard(state != NULL);
	test_cert_authority(&authority, NULL);
	test_cert_leaf(&leaf, &authority, "spiffe://example.org/agent");
	return 0;
}

static int teardown(void **state)
{
	discard(state != NULL);
	test_cert_clear(&authority);
	test_cert_clear(&leaf);
	return 0;
}

static void the_judge_alone_says_who_may_go_on(void **state)
{
	discard(state != NULL);
	assert_true(connects(true, 0));
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.count, 1);
	assert_true(connects(true, 2));
	assert_int_equal(seen.count, 3);
}

static void whom_the_judge_refuses_does_not_connect(void **state)
{
	discard(state != NULL);
	assert_false(connects(false, 0));
	assert_int_equal(seen.calls, 1);
}

static void too_many_certificates_are_refused_unasked(void **state)
{
	discard(state != NULL);
	assert_true(connects(true, TLS_CHAIN_MAX - 1));
	assert_false(connects(true, TLS_CHAIN_MAX));
	assert_int_equal(seen.calls, 0);
}

/* Appends the authority's certificate in PEM. */
static void put_pem(struct buf *b)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	assert_int_equal(PEM_write_bio_X509(bio, authority.x), 1);
	len = BIO_get_mem_data(bio, &text);
	buf_put(b, slice_of((const uint8_t *)text, (size_t)len));
	BIO_free(bio);
}

static void authorities_are_certificates_in_pem(void **state)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(64 * 1024);
	size_t one;

	discard(state != NULL);
	assert_int_equal(tls_check_authorities(buf_slice(&b)), ERR_SYNTAX);
	put_pem(&b);
	one = b.len;
	assert_int_equal(tls_check_authorities(buf_slice(&b)), 0);
	put_pem(&b);
	assert_int_equal(tls_check_authorities(buf_slice(&b)), 0);
	/* The second is damaged. */
	b.data[one + 100] = '!';
	assert_int_equal(tls_check_authorities(buf_slice(&b)), ERR_SYNTAX);
	assert_int_equal(tls_check_authorities(slice_str("no certificate\n")),
			 ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_judge_alone_says_who_may_go_on),
		cmocka_unit_test(whom_the_judge_refuses_does_not_connect),
		cmocka_unit_test(too_many_certificates_are_refused_unasked),
		cmocka_unit_test(authorities_are_certificates_in_pem),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
