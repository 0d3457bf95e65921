/*
 * The Merkle tree of RFC 6962, section 2.1 (the same as RFC 9162, 2.1).
 * Nothing here does I/O: proofs are made from nodes that a callback supplies.
 * Proofs are made for trees of at most 2^63 leaves.
 */
#pragma once

#include "crypto/digest.h"

enum { MERKLE_PROOF_MAX = 64 }; /* nodes in a proof */

/* What is needed to append: the roots of the perfect subtrees, left to right.
 */
struct merkle_frontier {
	uint64_t size;
	unsigned count;
	struct digest nodes[64];
};

struct merkle_proof {
	unsigned count;
	struct digest nodes[MERKLE_PROOF_MAX];
};

struct digest merkle_leaf(struct slice entry); /* SHA-256(0x00 || entry) */
struct digest merkle_node(const struct digest *left,
			  const struct digest *right); /* 0x01 || l || r */

/* Appends a leaf, given by its hash. */
void merkle_frontier_add(struct merkle_frontier *f, const struct digest *leaf);

/* The root; SHA-256("") for an empty tree. */
struct digest merkle_frontier_root(const struct merkle_frontier *f);

/*
 * The root of the perfect subtree that spans leaves
 * [index << level, (index + 1) << level).  Errors are passed up unchanged.
 */
typedef int (*merkle_node_fn)(void *cookie, unsigned level, uint64_t index,
			      struct digest *ret_node);

/* RFC 9162, 2.1.3.1.  index < size.  Errors: ERR_LIMIT and those of get. */
MUST_USE int merkle_inclusion_prove(merkle_node_fn get, void *cookie,
				    uint64_t index, uint64_t size,
				    struct merkle_proof *ret_proof);

/* RFC 9162, 2.1.4.1.  0 < old_size <= size.  Errors: ERR_LIMIT and those of
 * get. */
MUST_USE int merkle_consistency_prove(merkle_node_fn get, void *cookie,
				      uint64_t old_size, uint64_t size,
				      struct merkle_proof *ret_proof);

/* The root of the first size leaves.  Errors: those of get. */
MUST_USE int merkle_root(merkle_node_fn get, void *cookie, uint64_t size,
			 struct digest *ret_root);

/* RFC 9162, 2.1.3.2. */
bool merkle_inclusion_holds(uint64_t index, uint64_t size,
			    const struct digest *leaf,
			    const struct digest *nodes, size_t count,
			    const struct digest *root);

/* RFC 9162, 2.1.4.2; from size 0 to a larger one an empty proof holds, whatever
 * old_root is. */
bool merkle_consistency_holds(uint64_t old_size, uint64_t size,
			      const struct digest *old_root,
			      const struct digest *root,
			      const struct digest *nodes, size_t count);
