#include "connectors/ldap/walk.h"

#include <search.h>

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void push(struct walk *walk, char *name)
{
	if (walk->count == walk->capacity) {
		walk->capacity = walk->capacity ? 2 * walk->capacity : 16;
		walk->nodes = mem_grow(walk->nodes, walk->capacity,
				       sizeof(walk->nodes[0]));
	}
	walk->nodes[walk->count++] = (struct walk_node){ name, WALK_UNSEEN };
}

int walk_add(struct walk *walk, const char *name)
{
	CLEANUP(mem_free_p) char *normal = NULL;

	TRY(dn_normalise(name, &normal));
	if (tfind(normal, &walk->index, compare_names))
		return 0;
	if (walk->count >= walk->max)
		return error_set(ERR_LIMIT, "more than %zu names nested",
				 walk->max);
	if (!tsearch(normal, &walk->index, compare_names))
		return error_set(ERR_LIMIT, "no memory for another name");
	push(walk, TAKE(normal));
	return 0;
}

int walk_run(struct walk *walk, walk_expand_fn expand, void *cookie)
{
	size_t done = 0;

	while (done < walk->count) {
		size_t batch = walk->count - done;

		if (batch > WALK_BATCH)
			batch = WALK_BATCH;
		TRY(expand(cookie, walk, done, batch));
		done += batch;
	}
	return 0;
}

static int compare_nodes(const void *a, const void *b)
{
	const struct walk_node *left = a;
	const struct walk_node *right = b;

	return strcmp(left->name, right->name);
}

void walk_sort(struct walk *walk)
{
	if (walk->count)
		qsort(walk->nodes, walk->count, sizeof(walk->nodes[0]),
		      compare_nodes);
}

static void keep_name(void *name UNUSED)
{
}

void walk_clear(struct walk *walk)
{
	tdestroy(walk->index, keep_name);
	for (size_t i = 0; i < walk->count; i++)
		free(walk->nodes[i].name);
	free(walk->nodes);
	*walk = (struct walk)WALK_INIT(walk->max);
}
