#include "crypto/merkle.h"

#include <assert.h>

#include "base/error.h"

enum {
	LEAF_PREFIX = 0x00,
	NODE_PREFIX = 0x01,
	LEVELS = 64, /* of a tree of fewer than 2^64 leaves */
};

/* With larger trees a consistency proof could need one node too many. */
static const uint64_t size_max = UINT64_C(1) << (MERKLE_PROOF_MAX - 1);

/* Where nodes come from. */
struct source {
	merkle_node_fn get;
	void *cookie;
};

/* The leaves begin, begin + 1, ..., begin + size - 1.  As all ranges here come
 * from splitting a tree, begin is a multiple of a power of two >= size. */
struct range {
	uint64_t begin;
	uint64_t size;
};

struct digest merkle_leaf(struct slice entry)
{
	static const uint8_t first = LEAF_PREFIX;
	const struct slice parts[] = { { &first, 1 }, entry };

	return digest_of_parts(parts, ARRAY_LEN(parts));
}

struct digest merkle_node(const struct digest *left, const struct digest *right)
{
	uint8_t bytes[1 + 2 * DIGEST_LEN];

	bytes[0] = NODE_PREFIX;
	memcpy(bytes + 1, left->bytes, DIGEST_LEN);
	memcpy(bytes + 1 + DIGEST_LEN, right->bytes, DIGEST_LEN);
	return digest_of(slice_of(bytes, sizeof(bytes)));
}

static struct digest empty_root(void)
{
	return digest_of(slice_of(NULL, 0));
}

void merkle_frontier_add(struct merkle_frontier *f, const struct digest *leaf)
{
	struct digest node = *leaf;

	assert(f->size < UINT64_MAX);
	/* Each trailing one of size is a perfect subtree that now doubles. */
	for (uint64_t rest = f->size; rest & 1; rest >>= 1) {
		f->count--;
		node = merkle_node(&f->nodes[f->count], &node);
	}
	f->nodes[f->count++] = node;
	f->size++;
}

struct digest merkle_frontier_root(const struct merkle_frontier *f)
{
	struct digest root;

	if (f->count == 0)
		return empty_root();
	root = f->nodes[f->count - 1];
	for (unsigned i = f->count - 1; i > 0; i--)
		root = merkle_node(&f->nodes[i - 1], &root);
	return root;
}

/* The root over a range that is not empty, folded from its right end. */
static int range_root(struct source from, struct range range,
		      struct digest *ret_root)
{
	uint64_t end = range.begin + range.size;
	struct digest root;
	bool first = true;

	for (unsigned level = 0; level < LEVELS; level++) {
		struct digest node;

		if (!(range.size >> level & 1))
			continue;
		TRY(from.get(from.cookie, level, (end >> level) - 1, &node));
		root = first ? node : merkle_node(&node, &root);
		first = false;
		end -= UINT64_C(1) << level;
	}
	*ret_root = root;
	return 0;
}

int merkle_root(merkle_node_fn get, void *cookie, uint64_t size,
		struct digest *ret_root)
{
	const struct range all = { 0, size };

	if (size == 0) {
		*ret_root = empty_root();
		return 0;
	}
	return range_root((struct source){ get, cookie }, all, ret_root);
}

/* Parts a range of two leaves or more as RFC 9162, 2.1.1 does: the left part
 * has the largest power of two that is smaller than the size. */
static void split(struct range range, struct range *ret_left,
		  struct range *ret_right)
{
	unsigned top = (unsigned)__builtin_clzll(range.size - 1);
	uint64_t middle = UINT64_C(1) << (63 - top);

	*ret_left = (struct range){ range.begin, middle };
	*ret_right =
		(struct range){ range.begin + middle, range.size - middle };
}

static int add_root(struct source from, struct range range,
		    struct merkle_proof *proof)
{
	assert(proof->count < MERKLE_PROOF_MAX);
	TRY(range_root(from, range, &proof->nodes[proof->count]));
	proof->count++;
	return 0;
}

/* Nodes are gathered from the root down and given from the leaf up. */
static void reverse(struct merkle_proof *proof)
{
	for (unsigned i = 0; i < proof->count / 2; i++) {
		unsigned j = proof->count - 1 - i;
		struct digest node = proof->nodes[i];

		proof->nodes[i] = proof->nodes[j];
		proof->nodes[j] = node;
	}
}

static int check_size(uint64_t size)
{
	if (size > size_max)
		return error_set(ERR_LIMIT, "tree too large for a proof");
	return 0;
}

int merkle_inclusion_prove(merkle_node_fn get, void *cookie, uint64_t index,
			   uint64_t size, struct merkle_proof *ret_proof)
{
	const struct source from = { get, cookie };
	struct range range = { 0, size };
	struct merkle_proof proof;

	assert(index < size);
	TRY(check_size(size));
	proof.count = 0;
	while (range.size > 1) {
		struct range left;
		struct range right;
		bool goes_left;

		split(range, &left, &right);
		goes_left = index < right.begin;
		TRY(add_root(from, goes_left ? right : left, &proof));
		range = goes_left ? left : right;
	}
	reverse(&proof);
	*ret_proof = proof;
	return 0;
}

int merkle_consistency_prove(merkle_node_fn get, void *cookie,
			     uint64_t old_size, uint64_t size,
			     struct merkle_proof *ret_proof)
{
	const struct source from = { get, cookie };
	struct range range = { 0, size };
	struct merkle_proof proof;

	assert(old_size > 0 && old_size <= size);
	TRY(check_size(size));
	proof.count = 0;
	while (range.begin + range.size != old_size) {
		struct range left;
		struct range right;
		bool goes_left;

		split(range, &left, &right);
		goes_left = old_size <= right.begin;
		TRY(add_root(from, goes_left ? right : left, &proof));
		range = goes_left ? left : right;
	}
	/* The verifier knows this node only if it is the whole old tree. */
	if (range.begin > 0)
		TRY(add_root(from, range, &proof));
	reverse(&proof);
	*ret_proof = proof;
	return 0;
}

/*
 * The walk of both verifications: fn is the position in the tree and sn that
 * of its last node, on the present level.
 */
struct walk {
	uint64_t fn;
	uint64_t sn;
};

static bool joins_left(const struct walk *w)
{
	return (w->fn & 1) || w->fn == w->sn;
}

static void go_up(struct walk *w)
{
	w->fn >>= 1;
	w->sn >>= 1;
}

/* After a left join: up to the level where the node is a right child. */
static void skip_levels(struct walk *w)
{
	while (!(w->fn & 1) && w->fn != 0)
		go_up(w);
}

bool merkle_inclusion_holds(uint64_t index, uint64_t size,
			    const struct digest *leaf,
			    const struct digest *nodes, size_t count,
			    const struct digest *root)
{
	struct walk walk = { index, size - 1 };
	struct digest r = *leaf;

	if (index >= size)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (walk.sn == 0)
			return false;
		if (joins_left(&walk)) {
			r = merkle_node(&nodes[i], &r);
			skip_levels(&walk);
		} else {
			r = merkle_node(&r, &nodes[i]);
		}
		go_up(&walk);
	}
	return walk.sn == 0 && digest_equals(&r, root);
}

static bool is_power_of_two(uint64_t n)
{
	return (n & (n - 1)) == 0;
}

/* RFC 9162, 2.1.4.2 for 0 < old_size < size; first is the node to start with,
 * the nodes are those after it. */
static bool grows(struct walk walk, const struct digest *first,
		  const struct digest *old_root, const struct digest *root,
		  const struct digest *nodes, size_t count)
{
	struct digest fr = *first;
	struct digest sr = *first;

	while (walk.fn & 1)
		go_up(&walk);
	for (size_t i = 0; i < count; i++) {
		if (walk.sn == 0)
			return false;
		if (joins_left(&walk)) {
			fr = merkle_node(&nodes[i], &fr);
			sr = merkle_node(&nodes[i], &sr);
			skip_levels(&walk);
		} else {
			sr = merkle_node(&sr, &nodes[i]);
		}
		go_up(&walk);
	}
	return walk.sn == 0 && digest_equals(&fr, old_root) &&
	       digest_equals(&sr, root);
}

bool merkle_consistency_holds(uint64_t old_size, uint64_t size,
			      const struct digest *old_root,
			      const struct digest *root,
			      const struct digest *nodes, size_t count)
{
	const struct walk walk = { old_size - 1, size - 1 };

	if (old_size > size)
		return false;
	if (old_size == size)
		return count == 0 && digest_equals(old_root, root);
	if (old_size == 0)
		return count == 0;
	if (count == 0)
		return false;
	if (is_power_of_two(old_size))
		return grows(walk, old_root, old_root, root, nodes, count);
	return grows(walk, &nodes[0], old_root, root, nodes + 1, count - 1);
}
