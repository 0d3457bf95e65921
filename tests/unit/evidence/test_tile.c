#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "evidence/tile.h"
#include "evidence/tree.h"

static void paths_are_read_and_written_alike(void **state UNUSED)
{
	static const struct {
		const char *path;
		struct tile_id id;
	} rows[] = {
		{ "tile/0/000", { false, 0, 0, 256 } },
		{ "tile/0/000.p/1", { false, 0, 0, 1 } },
		{ "tile/0/999.p/255", { false, 0, 999, 255 } },
		{ "tile/1/x001/000", { false, 1, 1000, 256 } },
		{ "tile/0/x001/x234/067", { false, 0, 1234067, 256 } },
		{ "tile/entries/x001/234.p/17", { true, 0, 1234, 17 } },
		{ "tile/63/x018/x446/x744/x073/x709/x551/615",
		  { false, 63, UINT64_MAX, 256 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tile_id id;
		char path[TILE_PATH_MAX];

		assert_int_equal(tile_parse(rows[i].path, &id), 0);
		assert_true(id.is_entries == rows[i].id.is_entries);
		assert_int_equal(id.level, rows[i].id.level);
		assert_true(id.number == rows[i].id.number);
		assert_int_equal(id.width, rows[i].id.width);
		tile_format(&id, path);
		assert_string_equal(path, rows[i].path);
	}
}

static void other_paths_are_refused(void **state UNUSED)
{
	static const char *const paths[] = {
		"",
		"tile",
		"tile/",
		"tile/0",
		"tile/0/",
		"tile/0/0",
		"tile/0/00",
		"tile/0/0000",
		"tile/0/1234",
		"tile/00/000",
		"tile/64/000",
		"tile/-1/000",
		"tile/0/000.p/",
		"tile/0/000.p/0",
		"tile/0/000.p/01",
		"tile/0/000.p/256",
		"tile/0/000.p/1/",
		"tile/0/000/",
		"tile/0/x000/000",
		"tile/0/x001",
		"tile/0/x001/",
		"tile/0/001/000",
		"tile/0/x001/x000",
		"tile/0/X001/000",
		"tile/0/x018/x446/x744/x073/x709/x551/616",
		"tile/0/x001/x000/x000/x000/x000/x000/x000/000",
		"tile/entries",
		"tile/entries/0/000",
		"tile/data/000",
		"/tile/0/000",
		"tile//0/000",
		"tile/0/../../state.db",
		"tile/0/00a",
		" tile/0/000",
		"tile/0/000 ",
	};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct tile_id id;

		if (tile_parse(paths[i], &id) != ERR_SYNTAX)
			fail_msg("'%s' is taken", paths[i]);
	}
}

static void a_tile_is_within_a_tree_that_covers_it(void **state UNUSED)
{
	const struct tile_id full = { false, 0, 1, 256 };
	const struct tile_id partial = { false, 0, 1, 3 };
	const struct tile_id upper = { false, 1, 0, 2 };

	assert_true(tile_is_within(&full, 512));
	assert_false(tile_is_within(&full, 511));
	assert_true(tile_is_within(&partial, 259));
	assert_false(tile_is_within(&partial, 258));
	assert_false(tile_is_within(&partial, 0));
	assert_true(tile_is_within(&upper, 512));
	assert_false(tile_is_within(&upper, 511));
}

/* Keeps the leaves' hashes, so that a tree can be worked out plainly. */
static struct digest leaves[70000];

static int get_leaf_node(void *cookie UNUSED, unsigned level, uint64_t index,
			 struct digest *ret_node)
{
	struct digest left;
	struct digest right;

	if (level == 0) {
		*ret_node = leaves[index];
		return 0;
	}
	TRY(get_leaf_node(NULL, level - 1, index * 2, &left));
	TRY(get_leaf_node(NULL, level - 1, index * 2 + 1, &right));
	*ret_node = merkle_node(&left, &right);
	return 0;
}

static int count_tile(void *cookie, unsigned level, uint64_t number UNUSED,
		      struct slice hashes)
{
	unsigned *counts = cookie;

	counts[level]++;
	return hashes.len == 8192 ? 0 : -1;
}

static void a_tree_has_the_roots_that_the_definition_gives(void **state UNUSED)
{
	CLEANUP(tree_free_p) struct tree *t = tree_new(NULL);
	unsigned counts[TILE_LEVELS] = { 0 };

	for (uint64_t i = 0; i < ARRAY_LEN(leaves); i++) {
		struct digest expected;
		struct digest root;

		leaves[i] = merkle_leaf(slice_of(&i, sizeof(i)));
		assert_int_equal(tree_add(t, &leaves[i], count_tile, counts),
				 0);
		if (i > 300 && i % 9973 != 0 && (i + 1) % 65536 > 1)
			continue;
		root = tree_root(t);
		assert_int_equal(
			merkle_root(get_leaf_node, NULL, i + 1, &expected), 0);
		assert_true(digest_equals(&root, &expected));
	}
	assert_int_equal(counts[0], 70000 / 256);
	assert_int_equal(counts[1], 1);
	assert_int_equal(counts[2], 0);
}

static void what_a_tree_does_not_have_is_not_found(void **state UNUSED)
{
	CLEANUP(tree_free_p) struct tree *t = tree_new(NULL);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(STORE_TILE_LEN);
	struct digest node;

	assert_int_equal(tree_node(t, 0, 0, &node), ERR_NOT_FOUND);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(tree_add(t, &leaves[i], NULL, NULL), 0);
	assert_int_equal(tree_node(t, 0, 2, &node), 0);
	assert_int_equal(tree_node(t, 0, 3, &node), ERR_NOT_FOUND);
	assert_int_equal(tree_node(t, 1, 0, &node), 0);
	assert_int_equal(tree_node(t, 1, 1, &node), ERR_NOT_FOUND);
	assert_int_equal(tree_node(t, 8, 0, &node), ERR_NOT_FOUND);
	assert_int_equal(tree_node(t, 64, 0, &node), ERR_NOT_FOUND);
	assert_int_equal(tree_tile(t, 0, 0, 4, &b), ERR_NOT_FOUND);
	assert_int_equal(tree_tile(t, 0, UINT64_MAX, 1, &b), ERR_NOT_FOUND);
	assert_int_equal(tree_tile(t, 9, 0, 1, &b), ERR_NOT_FOUND);
	assert_int_equal(tree_tile(t, 0, 0, 3, &b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_read_and_written_alike),
		cmocka_unit_test(other_paths_are_refused),
		cmocka_unit_test(a_tile_is_within_a_tree_that_covers_it),
		cmocka_unit_test(
			a_tree_has_the_roots_that_the_definition_gives),
		cmocka_unit_test(what_a_tree_does_not_have_is_not_found),
	};

	return cmocka_run_group_tests_name("evidence/tile", tests, NULL, NULL);
}
