/*
 * A certificate that reads as a leaf is never an authority's, and is trusted by
 * nobody who was not given it.
 */
#include "crypto/x509.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(x509_roots_free_p) struct x509_roots *roots = x509_roots_new();
	struct slice chain[] = { slice_of(data, size), slice_of(data, size) };
	struct x509_leaf leaf;
	bool is_leaf = x509_read_leaf(chain[0], &leaf) == X509_VALID;

	assert(x509_verify(roots, chain, 2, 1800000000000) != X509_VALID);
	if (x509_roots_add(roots, chain[0]) == 0)
		assert(!is_leaf && x509_roots_count(roots) == 1);
	if (is_leaf) {
		assert(*leaf.uri && strlen(leaf.uri) < X509_URI_MAX);
		assert(x509_verify(roots, chain, 1, 1800000000000) !=
		       X509_VALID);
	}
	return 0;
}
