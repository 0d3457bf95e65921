#include "connectors/ldap/walk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

/* A directory of edges; a name without edges is an account. */
struct edge {
	const char *from;
	const char *to;
};

struct graph {
	const struct edge *edges;
	size_t count;
	size_t visits;
};

static int expand(void *cookie, struct walk *walk, size_t first, size_t count)
{
	struct graph *graph = cookie;

	for (size_t i = first; i < first + count; i++) {
		const char *name = walk->nodes[i].name;

		graph->visits++;
		walk->nodes[i].kind = WALK_ACCOUNT;
		for (size_t k = 0; k < graph->count; k++) {
			if (strcmp(graph->edges[k].from, name) != 0)
				continue;
			walk->nodes[i].kind = WALK_GROUP;
			TRY(walk_add(walk, graph->edges[k].to));
		}
	}
	return 0;
}

static size_t accounts(const struct walk *walk)
{
	size_t count = 0;

	for (size_t i = 0; i < walk->count; i++)
		count += walk->nodes[i].kind == WALK_ACCOUNT;
	return count;
}

static void a_walk_reaches_every_depth_once(void **state UNUSED)
{
	static const struct edge edges[] = {
		{ "cn=a", "cn=b" },  { "cn=a", "uid=1" }, { "cn=b", "cn=c" },
		{ "cn=c", "uid=2" }, { "cn=c", "uid=1" }, { "cn=b", "UID=2" },
	};
	struct graph graph = { edges, ARRAY_LEN(edges), 0 };
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(100);

	assert_int_equal(walk_add(&walk, "cn=a"), 0);
	assert_int_equal(walk_run(&walk, expand, &graph), 0);
	assert_int_equal(graph.visits, 5);
	assert_int_equal(accounts(&walk), 2);
}

static void a_circle_ends(void **state UNUSED)
{
	static const struct edge edges[] = {
		{ "cn=a", "cn=b" },  { "cn=b", "cn=c" }, { "cn=c", "cn=a" },
		{ "cn=c", "uid=1" }, { "cn=b", "cn=b" },
	};
	struct graph graph = { edges, ARRAY_LEN(edges), 0 };
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(100);

	assert_int_equal(walk_add(&walk, "cn=a"), 0);
	assert_int_equal(walk_run(&walk, expand, &graph), 0);
	assert_int_equal(walk.count, 4);
	assert_int_equal(accounts(&walk), 1);
}

static void a_walk_that_grows_too_large_is_an_error(void **state UNUSED)
{
	static const struct edge edges[] = {
		{ "cn=a", "uid=1" },
		{ "cn=a", "uid=2" },
		{ "cn=a", "uid=3" },
	};
	struct graph graph = { edges, ARRAY_LEN(edges), 0 };
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(3);
	CLEANUP(walk_clear) struct walk enough = WALK_INIT(4);

	assert_int_equal(walk_add(&walk, "cn=a"), 0);
	assert_int_equal(walk_run(&walk, expand, &graph), ERR_LIMIT);
	assert_int_equal(walk_add(&enough, "cn=a"), 0);
	assert_int_equal(walk_run(&enough, expand, &graph), 0);
}

static void a_full_walk_still_knows_its_names(void **state UNUSED)
{
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(1);

	assert_int_equal(walk_add(&walk, "cn=a"), 0);
	assert_int_equal(walk_add(&walk, "CN=A"), 0);
	assert_int_equal(walk_add(&walk, "cn=b"), ERR_LIMIT);
	assert_int_equal(walk.count, 1);
}

static void a_name_that_does_not_parse_ends_the_walk(void **state UNUSED)
{
	static const struct edge edges[] = { { "cn=a", "no name" } };
	struct graph graph = { edges, ARRAY_LEN(edges), 0 };
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(10);

	assert_int_equal(walk_add(&walk, "cn=a"), 0);
	assert_int_equal(walk_run(&walk, expand, &graph), ERR_SYNTAX);
}

static int expand_wide(void *cookie, struct walk *walk, size_t first,
		       size_t count)
{
	size_t *largest = cookie;

	if (count > *largest)
		*largest = count;
	for (size_t i = 0; first == 0 && i < 1000; i++) {
		CLEANUP(mem_free_p) char *name = mem_format("uid=%zu", i);

		TRY(walk_add(walk, name));
	}
	return 0;
}

static void a_batch_is_never_larger_than_promised(void **state UNUSED)
{
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(2000);
	size_t largest = 0;

	assert_int_equal(walk_add(&walk, "cn=a"), 0);
	assert_int_equal(walk_run(&walk, expand_wide, &largest), 0);
	assert_int_equal(walk.count, 1001);
	assert_int_equal(largest, WALK_BATCH);
}

static void the_outcome_does_not_depend_on_the_order(void **state UNUSED)
{
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(10);

	assert_int_equal(walk_add(&walk, "uid=c"), 0);
	assert_int_equal(walk_add(&walk, "uid=a"), 0);
	assert_int_equal(walk_add(&walk, "uid=b"), 0);
	walk_sort(&walk);
	assert_string_equal(walk.nodes[0].name, "uid=a");
	assert_string_equal(walk.nodes[1].name, "uid=b");
	assert_string_equal(walk.nodes[2].name, "uid=c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_walk_reaches_every_depth_once),
		cmocka_unit_test(a_circle_ends),
		cmocka_unit_test(a_walk_that_grows_too_large_is_an_error),
		cmocka_unit_test(a_full_walk_still_knows_its_names),
		cmocka_unit_test(a_name_that_does_not_parse_ends_the_walk),
		cmocka_unit_test(a_batch_is_never_larger_than_promised),
		cmocka_unit_test(the_outcome_does_not_depend_on_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
