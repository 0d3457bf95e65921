#include "certificates.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

enum { HOUR = 3600, DAY = 86400 };

static void set_name(X509 *x, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(x);

	assert(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
					  (const unsigned char *)name, -1, -1,
					  0) == 1);
}

static void add_extensions(X509 *x, X509 *issuer, const char *const *extensions)
{
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	for (; *extensions; extensions += 2) {
		X509_EXTENSION *e = X509V3_EXT_conf(
			NULL, &context, extensions[0], extensions[1]);

		assert(e);
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
}

void test_cert_make(struct test_cert *c, const struct test_cert *issuer,
		    long from_s, long until_s, const char *const *extensions)
{
	static long serial;
	char name[32];
	X509 *x = X509_new();
	EVP_PKEY *signer;

	c->key = EVP_EC_gen("P-256");
	signer = issuer ? issuer->key : c->key;
	snprintf(name, sizeof(name), "test %ld", ++serial);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
	ASN1_TIME_set(X509_getm_notBefore(x), from_s);
	ASN1_TIME_set(X509_getm_notAfter(x), until_s);
	set_name(x, name);
	X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer->x : x));
	X509_set_pubkey(x, c->key);
	add_extensions(x, issuer ? issuer->x : x, extensions);
	assert(X509_sign(x, signer, EVP_sha256()) > 0);
	c->x = x;
	c->der = NULL;
	c->der_len = i2d_X509(x, &c->der);
	assert(c->der_len > 0);
}

void test_cert_clear(struct test_cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	OPENSSL_free(c->der);
	*c = (struct test_cert){ 0 };
}

void test_cert_authority(struct test_cert *c, const struct test_cert *issuer)
{
	static const char *const extensions[] = {
		"basicConstraints", "critical,CA:TRUE", "keyUsage",
		"critical,keyCertSign,cRLSign", NULL
	};

	test_cert_make(c, issuer, CERT_NOW_S - HOUR, CERT_NOW_S + DAY,
		       extensions);
}

void test_cert_leaf(struct test_cert *c, const struct test_cert *issuer,
		    const char *uri)
{
	char names[256];
	const char *const extensions[] = { "subjectAltName",
					   names,
					   "basicConstraints",
					   "critical,CA:FALSE",
					   "keyUsage",
					   "critical,digitalSignature",
					   "extendedKeyUsage",
					   "serverAuth,clientAuth",
					   NULL };

	snprintf(names, sizeof(names), "URI:%s", uri);
	test_cert_make(c, issuer, CERT_NOW_S - 60, CERT_NOW_S + HOUR,
		       extensions);
}
