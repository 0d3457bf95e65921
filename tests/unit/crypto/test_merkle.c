#include "cmocka_first.h"

#include "crypto/merkle.h"

#include <dirent.h>
#include <limits.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

enum { SIZES = 71, VECTOR_DEPTH = 3, VECTORS_MIN = 90 };

static struct digest leaves[SIZES];
static struct digest roots[SIZES]; /* of the first i leaves */

/* RFC 6962, 2.1 as it stands there. */
static struct digest root_by_definition(const struct digest *of, size_t size)
{
	struct digest left;
	struct digest right;
	size_t k = 1;

	if (size == 0)
		return digest_of(slice_of(NULL, 0));
	if (size == 1)
		return of[0];
	while (k * 2 < size)
		k *= 2;
	left = root_by_definition(of, k);
	right = root_by_definition(of + k, size - k);
	return merkle_node(&left, &right);
}

static int prepare(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < SIZES; i++)
		leaves[i] = merkle_leaf(slice_of(&i, 1));
	for (size_t i = 0; i < SIZES; i++)
		roots[i] = root_by_definition(leaves, i);
	return 0;
}

/* The cookie is the size of the tree that exists. */
static int get_node(void *cookie, unsigned level, uint64_t index,
		    struct digest *ret_node)
{
	const uint64_t *size = cookie;
	uint64_t begin = index << level;
	uint64_t count = UINT64_C(1) << level;

	if (begin + count > *size)
		return error_set(ERR_NOT_FOUND, "no such node");
	*ret_node = root_by_definition(leaves + begin, count);
	return 0;
}

static int fail_to_get(void *cookie, unsigned level, uint64_t index,
		       struct digest *ret_node)
{
	(void)cookie;
	(void)level;
	(void)index;
	(void)ret_node;
	return error_set(ERR_BUSY, "not now");
}

static void check_hex(struct digest digest, const char *hex)
{
	char text[DIGEST_TEXT_LEN];

	digest_format(&digest, text);
	assert_string_equal(text + strlen("sha256:"), hex);
}

static const struct {
	const char *entry; /* hex */
	const char *root;  /* after adding it */
} reference[] = {
	{ "",
	  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
	{ "00",
	  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
	{ "10",
	  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
	{ "2021",
	  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
	{ "3031",
	  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
	{ "40414243",
	  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
	{ "5051525354555657",
	  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
	{ "606162636465666768696a6b6c6d6e6f",
	  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
};

static void the_reference_tree_has_its_roots(void **state)
{
	struct merkle_frontier frontier = { .size = 0 };

	(void)state;
	check_hex(merkle_frontier_root(&frontier),
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852"
		  "b855");
	for (size_t i = 0; i < ARRAY_LEN(reference); i++) {
		CLEANUP(buf_clear) struct buf entry = BUF_INIT(16);
		struct digest leaf;

		assert_int_equal(
			text_from_hex(slice_str(reference[i].entry), &entry),
			0);
		leaf = merkle_leaf(buf_slice(&entry));
		merkle_frontier_add(&frontier, &leaf);
		check_hex(merkle_frontier_root(&frontier), reference[i].root);
	}
}

static void a_frontier_grows_to_the_root_of_the_definition(void **state)
{
	struct merkle_frontier frontier = { .size = 0 };

	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		struct digest root = merkle_frontier_root(&frontier);

		assert_int_equal(frontier.size, i);
		assert_int_equal(frontier.count, __builtin_popcountll(i));
		assert_true(digest_equals(&root, &roots[i]));
		merkle_frontier_add(&frontier, &leaves[i]);
	}
}

static void a_root_is_made_from_stored_nodes(void **state)
{
	(void)state;
	for (uint64_t size = 0; size < SIZES; size++) {
		struct digest root;

		assert_int_equal(merkle_root(get_node, &size, size, &root), 0);
		assert_true(digest_equals(&root, &roots[size]));
	}
}

/* A tree that independent programs have computed too. */
static void a_tree_of_seventy_thousand_has_its_known_root(void **state)
{
	static const char entry_format[] =
		"{\"seq\": %u, \"kind\": \"intent\", \"c\": \"%s\"}";
	struct merkle_frontier frontier = { .size = 0 };
	struct digest root;

	(void)state;
	for (unsigned i = 0; i < 70000; i++) {
		CLEANUP(buf_clear) struct buf entry = BUF_INIT(256);
		char text[DIGEST_TEXT_LEN];
		char number[16];
		struct digest digest;

		snprintf(number, sizeof(number), "%u", i);
		digest = digest_of(slice_str(number));
		digest_format(&digest, text);
		buf_putf(&entry, entry_format, i, text + strlen("sha256:"));
		digest = merkle_leaf(buf_slice(&entry));
		merkle_frontier_add(&frontier, &digest);
	}
	root = merkle_frontier_root(&frontier);
	check_hex(root, "716d52950d7efa78bded057b3a822c7d0a4ff7aa90114b52f21327"
			"4141c80be6");
}

static bool included(uint64_t index, uint64_t size, const struct digest *leaf,
		     const struct merkle_proof *proof,
		     const struct digest *root)
{
	return merkle_inclusion_holds(index, size, leaf, proof->nodes,
				      proof->count, root);
}

/* Everything that differs from a right proof in one thing. */
static void refuse_wrong_inclusions(uint64_t index, uint64_t size,
				    struct merkle_proof proof)
{
	struct digest leaf = leaves[index];
	struct digest root = roots[size];

	for (uint64_t other = 0; other <= size; other++)
		if (other != index)
			assert_false(
				included(other, size, &leaf, &proof, &root));
	assert_false(included(UINT64_MAX, size, &leaf, &proof, &root));
	root.bytes[31] ^= 1;
	assert_false(included(index, size, &leaf, &proof, &root));
	root.bytes[31] ^= 1;
	leaf.bytes[0] ^= 0x80;
	assert_false(included(index, size, &leaf, &proof, &root));
	leaf.bytes[0] ^= 0x80;
	for (unsigned i = 0; i < proof.count; i++) {
		proof.nodes[i].bytes[i] ^= 1;
		assert_false(included(index, size, &leaf, &proof, &root));
		proof.nodes[i].bytes[i] ^= 1;
	}
	for (unsigned count = 0; count < proof.count; count++)
		assert_false(merkle_inclusion_holds(index, size, &leaf,
						    proof.nodes, count, &root));
	proof.nodes[proof.count++] = root;
	assert_false(included(index, size, &leaf, &proof, &root));
}

static void each_leaf_is_proven_in_each_tree_and_nothing_else_is(void **state)
{
	(void)state;
	for (uint64_t size = 1; size < SIZES; size++) {
		for (uint64_t index = 0; index < size; index++) {
			struct merkle_proof proof;

			assert_int_equal(merkle_inclusion_prove(get_node, &size,
								index, size,
								&proof),
					 0);
			assert_true(included(index, size, &leaves[index],
					     &proof, &roots[size]));
			refuse_wrong_inclusions(index, size, proof);
		}
	}
}

static bool consistent(uint64_t old_size, uint64_t size,
		       const struct merkle_proof *proof)
{
	return merkle_consistency_holds(old_size, size, &roots[old_size],
					&roots[size], proof->nodes,
					proof->count);
}

static void refuse_wrong_growth(uint64_t old_size, uint64_t size,
				struct merkle_proof proof)
{
	struct digest wrong = roots[0];

	for (uint64_t other = 1; other < SIZES; other++) {
		/* With the right roots other sizes must not do either. */
		if (other != old_size)
			assert_false(merkle_consistency_holds(
				other, size, &roots[old_size], &roots[size],
				proof.nodes, proof.count));
		if (other != old_size)
			assert_false(consistent(other, size, &proof));
	}
	assert_false(merkle_consistency_holds(old_size, size, &wrong,
					      &roots[size], proof.nodes,
					      proof.count));
	assert_false(merkle_consistency_holds(old_size, size, &roots[old_size],
					      &wrong, proof.nodes,
					      proof.count));
	for (unsigned i = 0; i < proof.count; i++) {
		proof.nodes[i].bytes[i] ^= 1;
		assert_false(consistent(old_size, size, &proof));
		proof.nodes[i].bytes[i] ^= 1;
	}
	for (unsigned count = 0; count < proof.count; count++)
		assert_false(merkle_consistency_holds(
			old_size, size, &roots[old_size], &roots[size],
			proof.nodes, count));
	proof.nodes[proof.count++] = roots[size];
	assert_false(consistent(old_size, size, &proof));
}

static void each_growth_is_proven_and_nothing_else_is(void **state)
{
	(void)state;
	for (uint64_t size = 1; size < SIZES; size++) {
		for (uint64_t old = 1; old <= size; old++) {
			struct merkle_proof proof;

			assert_int_equal(merkle_consistency_prove(get_node,
								  &size, old,
								  size, &proof),
					 0);
			assert_true(consistent(old, size, &proof));
			refuse_wrong_growth(old, size, proof);
		}
	}
}

static void from_nothing_only_an_empty_proof_holds(void **state)
{
	struct merkle_proof proof = { .count = 0 };

	(void)state;
	assert_true(consistent(0, 0, &proof));
	assert_true(consistent(0, 5, &proof));
	assert_false(consistent(1, 0, &proof));
	assert_false(
		merkle_consistency_holds(0, 0, &roots[0], &roots[1], NULL, 0));
	proof.nodes[proof.count++] = roots[5];
	assert_false(consistent(0, 0, &proof));
	assert_false(consistent(0, 5, &proof));
}

static void a_leaf_is_never_taken_for_a_node(void **state)
{
	uint8_t bytes[2 * DIGEST_LEN];
	struct digest leaf;
	struct digest node = merkle_node(&leaves[0], &leaves[1]);

	(void)state;
	memcpy(bytes, leaves[0].bytes, DIGEST_LEN);
	memcpy(bytes + DIGEST_LEN, leaves[1].bytes, DIGEST_LEN);
	leaf = merkle_leaf(slice_of(bytes, sizeof(bytes)));
	assert_false(digest_equals(&leaf, &node));
}

static void failures_to_read_nodes_are_passed_up(void **state)
{
	struct merkle_proof proof;
	struct digest root;

	(void)state;
	assert_int_equal(merkle_root(fail_to_get, NULL, 3, &root), ERR_BUSY);
	assert_int_equal(
		merkle_inclusion_prove(fail_to_get, NULL, 1, 3, &proof),
		ERR_BUSY);
	assert_int_equal(
		merkle_consistency_prove(fail_to_get, NULL, 1, 3, &proof),
		ERR_BUSY);
}

/* All nodes of a tree whose leaves are the same. */
static int get_uniform(void *cookie, unsigned level, uint64_t index,
		       struct digest *ret_node)
{
	const struct digest *levels = cookie;

	(void)index;
	*ret_node = levels[level];
	return 0;
}

static void the_largest_tree_can_be_proven(void **state)
{
	const uint64_t size = UINT64_C(1) << 63;
	const uint64_t old_size = 3;
	struct digest levels[64] = { leaves[0] };
	struct merkle_frontier old = { .size = 0 };
	struct merkle_proof proof;
	struct digest old_root;
	struct digest root;

	(void)state;
	for (size_t i = 1; i < ARRAY_LEN(levels); i++)
		levels[i] = merkle_node(&levels[i - 1], &levels[i - 1]);
	for (uint64_t i = 0; i < old_size; i++)
		merkle_frontier_add(&old, &leaves[0]);
	old_root = merkle_frontier_root(&old);
	assert_int_equal(merkle_root(get_uniform, levels, size, &root), 0);
	assert_int_equal(merkle_consistency_prove(get_uniform, levels, old_size,
						  size, &proof),
			 0);
	assert_int_equal(proof.count, MERKLE_PROOF_MAX);
	assert_true(merkle_consistency_holds(old_size, size, &old_root, &root,
					     proof.nodes, proof.count));
	assert_int_equal(merkle_inclusion_prove(get_uniform, levels, size - 1,
						size, &proof),
			 0);
	assert_int_equal(proof.count, 63);
	assert_true(included(size - 1, size, &leaves[0], &proof, &root));
	assert_int_equal(merkle_inclusion_prove(get_uniform, levels, 0,
						size + 1, &proof),
			 ERR_LIMIT);
}

/*
 * The vectors below are data of another project.  Some negative ones hold
 * hashes of a wrong length, which our types cannot: they are cut or filled up,
 * a leaf's in another way than a root's.
 */
static struct digest read_hash(const json_t *value, uint8_t filling)
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(1024);
	const char *text = json_string_value(value);
	struct digest digest;

	memset(digest.bytes, filling, DIGEST_LEN);
	if (text)
		assert_int_equal(text_from_base64(slice_str(text), &bytes), 0);
	if (bytes.len > 0)
		memcpy(digest.bytes, bytes.data,
		       bytes.len < DIGEST_LEN ? bytes.len : DIGEST_LEN);
	return digest;
}

/* Some are 2^64 - 1, which jansson has no integer for. */
static uint64_t read_size(const json_t *vector, const char *name)
{
	double size = json_number_value(json_object_get(vector, name));

	return size >= 0x1p64 ? UINT64_MAX : (uint64_t)size;
}

static void read_proof(const json_t *vector, struct merkle_proof *ret_proof)
{
	const json_t *list = json_object_get(vector, "proof");

	ret_proof->count = (unsigned)json_array_size(list);
	assert_in_range(ret_proof->count, 0, MERKLE_PROOF_MAX);
	for (unsigned i = 0; i < ret_proof->count; i++)
		ret_proof->nodes[i] = read_hash(json_array_get(list, i), 0);
}

static bool inclusion_vector_holds(const json_t *vector)
{
	struct digest leaf = read_hash(json_object_get(vector, "leafHash"), 1);
	struct digest root = read_hash(json_object_get(vector, "root"), 0);
	struct merkle_proof proof;

	read_proof(vector, &proof);
	return included(read_size(vector, "leafIdx"),
			read_size(vector, "treeSize"), &leaf, &proof, &root);
}

static bool consistency_vector_holds(const json_t *vector)
{
	struct digest old_root = read_hash(json_object_get(vector, "root1"), 0);
	struct digest root = read_hash(json_object_get(vector, "root2"), 0);
	struct merkle_proof proof;

	read_proof(vector, &proof);
	return merkle_consistency_holds(read_size(vector, "size1"),
					read_size(vector, "size2"), &old_root,
					&root, proof.nodes, proof.count);
}

/*
 * The vectors refuse every proof from size 0.  We follow the witness protocol
 * there, where a first request comes with an empty proof.
 */
static bool is_first_growth(const json_t *vector)
{
	struct digest old_root = read_hash(json_object_get(vector, "root1"), 0);
	struct digest root = read_hash(json_object_get(vector, "root2"), 0);

	return json_object_get(vector, "size1") &&
	       read_size(vector, "size1") == 0 &&
	       json_array_size(json_object_get(vector, "proof")) == 0 &&
	       (read_size(vector, "size2") > 0 ||
		digest_equals(&old_root, &root));
}

static void check_vector(const char *path, bool (*holds)(const json_t *))
{
	CLEANUP(json_put_p)
	json_t *vector = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
	bool wanted = !json_flag(vector, "wantErr", false) ||
		      (vector && is_first_growth(vector));

	assert_non_null(vector);
	if (holds(vector) != wanted)
		fail_msg("%s", path);
}

static unsigned check_folder(const char *folder, bool (*holds)(const json_t *),
			     unsigned depth)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	unsigned count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		char path[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		assert_in_range(snprintf(path, sizeof(path), "%s/%s", folder,
					 entry->d_name),
				1, sizeof(path) - 1);
		if (strstr(entry->d_name, ".json")) {
			check_vector(path, holds);
			count++;
		} else if (depth > 0) {
			count += check_folder(path, holds, depth - 1);
		}
	}
	closedir(dir);
	return count;
}

static void check_vectors(const char *kind, bool (*holds)(const json_t *))
{
	const char *base = getenv("WRIT_VECTORS");
	char folder[PATH_MAX];
	unsigned count;

	assert_in_range(snprintf(folder, sizeof(folder), "%s/merkle/%s",
				 base ? base : DEFAULT_VECTORS, kind),
			1, sizeof(folder) - 1);
	count = check_folder(folder, holds, VECTOR_DEPTH);
	if (count == 0) {
		print_message("no vectors at %s (see WRIT_VECTORS): skipped\n",
			      folder);
		skip();
	}
	print_message("%u vectors of %s\n", count, kind);
	assert_in_range(count, VECTORS_MIN, UINT_MAX);
}

static void the_inclusion_vectors_are_judged_right(void **state)
{
	(void)state;
	check_vectors("inclusion", inclusion_vector_holds);
}

static void the_consistency_vectors_are_judged_right(void **state)
{
	(void)state;
	check_vectors("consistency", consistency_vector_holds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_tree_has_its_roots),
		cmocka_unit_test(
			a_frontier_grows_to_the_root_of_the_definition),
		cmocka_unit_test(a_root_is_made_from_stored_nodes),
		cmocka_unit_test(a_tree_of_seventy_thousand_has_its_known_root),
		cmocka_unit_test(
			each_leaf_is_proven_in_each_tree_and_nothing_else_is),
		cmocka_unit_test(each_growth_is_proven_and_nothing_else_is),
		cmocka_unit_test(from_nothing_only_an_empty_proof_holds),
		cmocka_unit_test(a_leaf_is_never_taken_for_a_node),
		cmocka_unit_test(failures_to_read_nodes_are_passed_up),
		cmocka_unit_test(the_largest_tree_can_be_proven),
		cmocka_unit_test(the_inclusion_vectors_are_judged_right),
		cmocka_unit_test(the_consistency_vectors_are_judged_right),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
