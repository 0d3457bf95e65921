#include "crypto/evp.h"

#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/mem.h"

enum {
	VERSION_3 = 2,
	AUTH_LEVEL = 2, /* at least 112 bits, no SHA-1 */
	MS_PER_S = 1000,
};

DEFINE_CLEANUP(ASN1_TIME *, ASN1_TIME_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)
DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free)

static const char spiffe_scheme[] = "spiffe://";

struct x509_roots {
	X509_STORE *store; /* owned */
	size_t count;
};

/* A stack whose certificates are its own. */
static void free_stack_p(STACK_OF(X509) * *certs)
{
	sk_X509_pop_free(*certs, X509_free);
}

static X509 *parse(struct slice der)
{
	const uint8_t *at = der.ptr;
	X509 *cert = NULL;

	if (der.len == 0 || der.len > X509_DER_MAX)
		return NULL;
	cert = d2i_X509(NULL, &at, (long)der.len);
	ERR_clear_error();
	if (cert && at == der.ptr + der.len)
		return cert;
	X509_free(cert);
	return NULL;
}

/* ---- authorities ---- */

struct x509_roots *x509_roots_new(void)
{
	struct x509_roots *roots = mem_new(struct x509_roots);

	roots->store = X509_STORE_new();
	if (!roots->store) /* no memory */
		abort();
	return roots;
}

void x509_roots_free(struct x509_roots *roots)
{
	if (!roots)
		return;
	X509_STORE_free(roots->store);
	free(roots);
}

size_t x509_roots_count(const struct x509_roots *roots)
{
	return roots->count;
}

/* cA, and a key that may sign certificates if its use is limited. */
static bool is_authority(X509 *cert)
{
	uint32_t flags = X509_get_extension_flags(cert);

	return (flags & EXFLAG_CA) && !(flags & EXFLAG_INVALID) &&
	       (!(flags & EXFLAG_KUSAGE) ||
		(X509_get_key_usage(cert) & KU_KEY_CERT_SIGN));
}

int x509_roots_add(struct x509_roots *roots, struct slice der)
{
	CLEANUP(X509_free_p) X509 *cert = parse(der);

	if (!cert)
		return error_set(ERR_SYNTAX, "not a certificate in DER");
	if (!is_authority(cert))
		return error_set(ERR_SYNTAX, "not an authority's certificate");
	if (roots->count == X509_ROOTS_MAX)
		return error_set(ERR_LIMIT, "more than %d authorities",
				 X509_ROOTS_MAX);
	if (X509_STORE_add_cert(roots->store, cert) != 1) {
		ERR_clear_error();
		return error_set(ERR_CRYPTO, "the crypto library does not "
					     "take the certificate");
	}
	roots->count++;
	return 0;
}

/* ---- one certificate ---- */

/* Copies the one URI among the names of cert; -1 if it has several, names that
 * cannot be read or a URI that is no text; 0 if there is none. */
static int read_uri(const X509 *cert, char uri[X509_URI_MAX])
{
	int critical;
	CLEANUP(GENERAL_NAMES_free_p)
	GENERAL_NAMES *names =
		X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
	int found = 0;

	ERR_clear_error();
	if (!names)
		return critical == -1 ? 0 : -1;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *text;
		size_t len;

		if (name->type != GEN_URI)
			continue;
		text = name->d.uniformResourceIdentifier;
		len = (size_t)ASN1_STRING_length(text);
		if (found++ || len == 0 || len >= X509_URI_MAX ||
		    memchr(ASN1_STRING_get0_data(text), 0, len))
			return -1;
		memcpy(uri, ASN1_STRING_get0_data(text), len);
		uri[len] = '\0';
	}
	return found;
}

static bool read_time(const ASN1_TIME *from, int64_t *ret_ms)
{
	CLEANUP(ASN1_TIME_free_p) ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days, seconds;

	if (!epoch || ASN1_TIME_diff(&days, &seconds, epoch, from) != 1)
		return false;
	*ret_ms = ((int64_t)days * 86400 + seconds) * MS_PER_S;
	return true;
}

/* Present, critical, digitalSignature and no signing of others (section 4.3).
 */
static bool has_leaf_usage(X509 *cert)
{
	int at = X509_get_ext_by_NID(cert, NID_key_usage, -1);
	uint32_t usage = X509_get_key_usage(cert);

	return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(cert, at)) &&
	       (usage & KU_DIGITAL_SIGNATURE) &&
	       !(usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN));
}

/* Both ends of TLS, where it is said at all (section 4.4). */
static bool has_tls_purpose(X509 *cert)
{
	uint32_t wanted = XKU_SSL_SERVER | XKU_SSL_CLIENT;

	return !(X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) ||
	       (X509_get_extended_key_usage(cert) & wanted) == wanted;
}

static bool may_sign_others(X509 *cert)
{
	uint32_t flags = X509_get_extension_flags(cert);

	return (flags & (EXFLAG_CA | EXFLAG_PROXY)) ||
	       ((flags & EXFLAG_KUSAGE) &&
		(X509_get_key_usage(cert) & KU_KEY_CERT_SIGN));
}

enum x509_verdict x509_read_leaf(struct slice der, struct x509_leaf *ret)
{
	CLEANUP(X509_free_p) X509 *cert = parse(der);

	if (!cert || X509_get_version(cert) != VERSION_3 ||
	    (X509_get_extension_flags(cert) & EXFLAG_INVALID) ||
	    !read_time(X509_get0_notBefore(cert), &ret->from_ms) ||
	    !read_time(X509_get0_notAfter(cert), &ret->until_ms))
		return X509_MALFORMED;
	if (may_sign_others(cert))
		return X509_AUTHORITY;
	if (read_uri(cert, ret->uri) != 1)
		return X509_SUBJECT;
	if (!has_leaf_usage(cert) || !has_tls_purpose(cert))
		return X509_USAGE;
	return X509_VALID;
}

/* ---- the path ---- */

/* A signing certificate that is an SVID itself has no path (section 3.2). */
static bool may_be_between(const X509 *cert)
{
	char uri[X509_URI_MAX];
	int found = read_uri(cert, uri);
	const char *rest = uri + strlen(spiffe_scheme);

	if (found <= 0)
		return found == 0;
	return strncmp(uri, spiffe_scheme, strlen(spiffe_scheme)) != 0 ||
	       !strchr(rest, '/');
}

static STACK_OF(X509) * parse_between(const struct slice *chain, size_t count)
{
	CLEANUP(free_stack_p) STACK_OF(X509) *certs = sk_X509_new_null();

	for (size_t i = 0; certs && i < count; i++) {
		CLEANUP(X509_free_p) X509 *cert = parse(chain[i]);

		if (!cert || !may_be_between(cert) ||
		    sk_X509_push(certs, cert) <= 0)
			return NULL;
		cert = NULL;
	}
	return TAKE(certs);
}

static enum x509_verdict from_error(int error)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return X509_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return X509_NOT_YET;
	default:
		return X509_UNTRUSTED;
	}
}

static enum x509_verdict verify_at(X509_STORE_CTX *context, int64_t now_ms)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);

	X509_VERIFY_PARAM_set_time(param, (time_t)(now_ms / MS_PER_S));
	X509_VERIFY_PARAM_set_depth(param, X509_CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	/* An authority of the bundle ends the path, whoever signed it. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN |
						   X509_V_FLAG_TRUSTED_FIRST);
	if (X509_verify_cert(context) == 1)
		return X509_VALID;
	return from_error(X509_STORE_CTX_get_error(context));
}

enum x509_verdict x509_verify(const struct x509_roots *roots,
			      const struct slice *chain, size_t count,
			      int64_t now_ms)
{
	CLEANUP(X509_free_p) X509 *leaf = NULL;
	CLEANUP(free_stack_p) STACK_OF(X509) *between = NULL;
	CLEANUP(X509_STORE_CTX_free_p)
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	enum x509_verdict verdict;

	if (count == 0 || count > X509_CHAIN_MAX)
		return X509_MALFORMED;
	leaf = parse(chain[0]);
	between = parse_between(chain + 1, count - 1);
	if (!leaf || !between)
		return X509_MALFORMED;
	if (!context ||
	    X509_STORE_CTX_init(context, roots->store, leaf, between) != 1)
		return X509_UNTRUSTED;
	verdict = verify_at(context, now_ms);
	ERR_clear_error();
	return verdict;
}
