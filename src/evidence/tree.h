/*
 * The Merkle tree in memory: the open (right-most) tile of every level with its
 * inner nodes, and a small cache of full ones, which come from the store.  It
 * may be ahead of what is durable.  One thread.
 */
#pragma once

#include "crypto/merkle.h"
#include "evidence/tile.h"
#include "store/store.h"

struct tree;

/* Gets a tile that has just become full: 256 hashes.  A negative result is
 * passed up by tree_add(), the tree is of no use then. */
typedef int (*tree_full_fn)(void *cookie, unsigned level, uint64_t number,
			    struct slice hashes);

/* An empty tree.  store: where full tiles can be read; NULL to keep none. */
struct tree *tree_new(struct store *store);
void tree_free(struct tree *t);
DEFINE_CLEANUP(struct tree *, tree_free)

/* The tree of the first size leaves of the store.  Errors: those of the store,
 * ERR_NOT_FOUND for leaves or tiles that are not there. */
MUST_USE int tree_load(struct store *store, uint64_t size,
		       struct tree **ret_tree);

/* Appends a leaf's hash; full is called for each tile that it fills.  Errors:
 * those of full. */
MUST_USE int tree_add(struct tree *t, const struct digest *leaf,
		      tree_full_fn full, void *cookie);

/* Says that everything below size is in the store, so that full tiles there may
 * leave the cache. */
void tree_durable(struct tree *t, uint64_t size);

/* Leaves so far. */
uint64_t tree_size(const struct tree *t);
/* What is needed to append. */
void tree_frontier(const struct tree *t, struct merkle_frontier *ret_frontier);
/* The root of all leaves so far. */
struct digest tree_root(const struct tree *t);

/* A merkle_node_fn; cookie is the tree.  Errors: those of the store. */
MUST_USE int tree_node(void *tree, unsigned level, uint64_t index,
		       struct digest *ret_node);

/* Appends the first width hashes of a tile.  Errors: ERR_NOT_FOUND for what the
 * tree does not have, those of the store. */
MUST_USE int tree_tile(struct tree *t, unsigned level, uint64_t number,
		       unsigned width, struct buf *b);
