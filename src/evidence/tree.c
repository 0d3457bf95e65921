/*
 * A tile holds the 256 hashes of its level and the 255 nodes above them, row
 * after row: 256, 128, ..., 1.  Row r starts at 512 - (512 >> r).  The open
 * tile of a level fills from the left, its inner nodes as soon as both children
 * stand.
 */
#include "evidence/tree.h"

#include "base/error.h"
#include "base/mem.h"

enum {
	TILE_NODES = 2 * TILE_WIDTH - 1,
	TILE_ROOT = TILE_NODES - 1,
	CACHE_MAX = 128, /* full tiles kept that could be read again */
};

struct nodes {
	struct digest node[TILE_NODES];
};

struct full_tile {
	struct full_tile *next; /* most recently used first */
	unsigned level;
	uint64_t number;
	struct nodes nodes;
};

struct tree {
	struct store *store;
	uint64_t size;
	uint64_t durable;
	struct nodes *open[TILE_LEVELS]; /* owned, NULL until wanted */
	struct full_tile *cache;
	unsigned cached;
};

static unsigned row_start(unsigned row)
{
	return 2U * TILE_WIDTH - (2U * TILE_WIDTH >> row);
}

/* Puts hash number at of a tile, and the inner nodes it completes. */
static void tile_put(struct nodes *n, unsigned at, const struct digest *hash)
{
	n->node[at] = *hash;
	for (unsigned row = 0; at & 1; row++, at >>= 1) {
		const struct digest *pair = &n->node[row_start(row) + at - 1];

		n->node[row_start(row + 1) + (at >> 1)] =
			merkle_node(&pair[0], &pair[1]);
	}
}

struct tree *tree_new(struct store *store)
{
	struct tree *t = mem_new(struct tree);

	t->store = store;
	return t;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < TILE_LEVELS; i++)
		free(t->open[i]);
	while (t->cache) {
		struct full_tile *next = t->cache->next;

		free(t->cache);
		t->cache = next;
	}
	free(t);
}

/* True if a full tile can be read from the store. */
static bool is_stored(const struct tree *t, const struct full_tile *f)
{
	return f->number < tile_level_size(f->level, t->durable) / TILE_WIDTH;
}

/* Drops the least recently used tile that is stored. */
static void cache_shrink(struct tree *t)
{
	struct full_tile **victim = NULL;
	struct full_tile *gone;

	for (struct full_tile **f = &t->cache; *f; f = &(*f)->next) {
		if (is_stored(t, *f))
			victim = f;
	}
	if (!victim)
		return;
	gone = *victim;
	*victim = gone->next;
	free(gone);
	t->cached--;
}

static struct full_tile *cache_add(struct tree *t, unsigned level,
				   uint64_t number)
{
	struct full_tile *f;

	if (t->cached >= CACHE_MAX)
		cache_shrink(t);
	f = mem_new(struct full_tile);
	f->level = level;
	f->number = number;
	f->next = t->cache;
	t->cache = f;
	t->cached++;
	return f;
}

static struct full_tile *cache_find(struct tree *t, unsigned level,
				    uint64_t number)
{
	for (struct full_tile **f = &t->cache; *f; f = &(*f)->next) {
		struct full_tile *found = *f;

		if (found->level != level || found->number != number)
			continue;
		*f = found->next;
		found->next = t->cache;
		t->cache = found;
		return found;
	}
	return NULL;
}

static int read_tile(struct tree *t, unsigned level, uint64_t number,
		     const struct nodes **ret_nodes)
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(STORE_TILE_LEN);
	struct full_tile *f;

	if (!t->store)
		return error_set(ERR_NOT_FOUND, "a tile that is not kept");
	TRY(store_tile_get(t->store, level, number, &bytes));
	f = cache_add(t, level, number);
	for (unsigned i = 0; i < TILE_WIDTH; i++) {
		struct digest hash;

		memcpy(hash.bytes, bytes.data + i * DIGEST_LEN, DIGEST_LEN);
		tile_put(&f->nodes, i, &hash);
	}
	*ret_nodes = &f->nodes;
	return 0;
}

/* The tile with at least its first width hashes. */
static int find_tile(struct tree *t, unsigned level, uint64_t number,
		     uint64_t width, const struct nodes **ret_nodes)
{
	uint64_t size = tile_level_size(level, t->size);
	const struct full_tile *f;

	if (number > size / TILE_WIDTH || size - number * TILE_WIDTH < width)
		return error_set(ERR_NOT_FOUND, "the tree has no such tile");
	if (number == size / TILE_WIDTH && t->open[level]) {
		*ret_nodes = t->open[level];
		return 0;
	}
	f = cache_find(t, level, number);
	if (!f)
		return read_tile(t, level, number, ret_nodes);
	*ret_nodes = &f->nodes;
	return 0;
}

static struct nodes *open_tile(struct tree *t, unsigned level)
{
	if (!t->open[level])
		t->open[level] = mem_new(struct nodes);
	return t->open[level];
}

/* Hands a tile that is full to full() and, for a tree with a store, to the
 * cache: until it is durable it cannot be read back. */
static int tile_filled(struct tree *t, unsigned level, uint64_t number,
		       tree_full_fn full, void *cookie)
{
	const struct nodes *n = t->open[level];

	if (t->store)
		cache_add(t, level, number)->nodes = *n;
	if (!full)
		return 0;
	return full(cookie, level, number,
		    slice_of(n->node, TILE_WIDTH * DIGEST_LEN));
}

int tree_add(struct tree *t, const struct digest *leaf, tree_full_fn full,
	     void *cookie)
{
	struct digest hash = *leaf;
	uint64_t at = t->size;

	t->size++;
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		struct nodes *n = open_tile(t, level);

		tile_put(n, (unsigned)(at % TILE_WIDTH), &hash);
		if (at % TILE_WIDTH != TILE_WIDTH - 1)
			return 0;
		at /= TILE_WIDTH;
		hash = n->node[TILE_ROOT];
		TRY(tile_filled(t, level, at, full, cookie));
	}
	return 0;
}

void tree_durable(struct tree *t, uint64_t size)
{
	t->durable = size;
	while (t->cached > CACHE_MAX) {
		unsigned before = t->cached;

		cache_shrink(t);
		if (t->cached == before)
			return;
	}
}

uint64_t tree_size(const struct tree *t)
{
	return t->size;
}

/* Node of a subtree that ends in an open tile. */
static const struct digest *open_node(const struct tree *t, unsigned level,
				      uint64_t index)
{
	unsigned row = level % 8;
	uint64_t in_tile = index % (TILE_WIDTH >> row);

	return &t->open[level / 8]->node[row_start(row) + in_tile];
}

void tree_frontier(const struct tree *t, struct merkle_frontier *ret_frontier)
{
	ret_frontier->size = t->size;
	ret_frontier->count = 0;
	for (unsigned bit = 64; bit-- > 0;) {
		uint64_t width = t->size >> bit;

		if (width & 1)
			ret_frontier->nodes[ret_frontier->count++] =
				*open_node(t, bit, width - 1);
	}
}

struct digest tree_root(const struct tree *t)
{
	struct merkle_frontier frontier;

	tree_frontier(t, &frontier);
	return merkle_frontier_root(&frontier);
}

int tree_node(void *tree, unsigned level, uint64_t index,
	      struct digest *ret_node)
{
	struct tree *t = tree;
	unsigned row = level % 8;
	uint64_t per_tile = TILE_WIDTH >> row;
	const struct nodes *n;

	if (level / 8 >= TILE_LEVELS)
		return error_set(ERR_NOT_FOUND, "no such level");
	TRY(find_tile(t, level / 8, index / per_tile,
		      (index % per_tile + 1) << row, &n));
	*ret_node = n->node[row_start(row) + index % per_tile];
	return 0;
}

int tree_tile(struct tree *t, unsigned level, uint64_t number, unsigned width,
	      struct buf *b)
{
	const struct nodes *n;

	if (level >= TILE_LEVELS)
		return error_set(ERR_NOT_FOUND, "no such level");
	TRY(find_tile(t, level, number, width, &n));
	buf_put(b, slice_of(n->node, width * DIGEST_LEN));
	return 0;
}

/* ---- loading --------------------------------------------------------------
 */

static int load_leaf(void *cookie, uint64_t index, const struct digest *hash,
		     struct slice body UNUSED)
{
	struct tree *t = cookie;

	tile_put(open_tile(t, 0), (unsigned)(index % TILE_WIDTH), hash);
	t->durable++;
	return 0;
}

/* Fills the open tile of a level from the roots of the tiles below. */
static int load_level(struct tree *t, unsigned level)
{
	uint64_t end = tile_level_size(level, t->size);
	const struct nodes *below;

	for (uint64_t i = end / TILE_WIDTH * TILE_WIDTH; i < end; i++) {
		TRY(read_tile(t, level - 1, i, &below));
		tile_put(open_tile(t, level), (unsigned)(i % TILE_WIDTH),
			 &below->node[TILE_ROOT]);
	}
	return 0;
}

int tree_load(struct store *store, uint64_t size, struct tree **ret_tree)
{
	CLEANUP(tree_free_p) struct tree *t = tree_new(store);
	uint64_t first = size / TILE_WIDTH * TILE_WIDTH;

	t->size = size;
	t->durable = first;
	TRY(store_leaf_each(store, first, size, load_leaf, t));
	if (t->durable != size)
		return error_set(ERR_NOT_FOUND, "leaves are missing");
	for (unsigned level = 1; level < TILE_LEVELS; level++)
		TRY(load_level(t, level));
	*ret_tree = TAKE(t);
	return 0;
}
