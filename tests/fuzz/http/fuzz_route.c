/* The first line is the method, the second the target. */
#include "http/router.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_route routes[] = {
	{ "GET", "/", 0, NULL, "" },
	{ "POST", "/a", 1, NULL, "" },
	{ "GET", "/a/{x}", 0, NULL, "" },
	{ "DELETE", "/a/{x}", 0, NULL, "" },
	{ "POST", "/a/{x}/b/{y}", 1, NULL, "" },
	{ "GET", "/t/{x}/{rest...}", 0, NULL, "" },
};

static void check(const struct route_match *m)
{
	assert(m->param_count <= HTTP_PARAMS_MAX);
	for (unsigned i = 0; i < m->param_count; i++)
		assert(m->params[i].name.len && *m->params[i].value);
	assert(strlen(m->allow) < ROUTE_ALLOW_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(size + 1);
	CLEANUP(mem_free_p) char *memory = NULL;
	struct route_match m;
	struct target t;
	char *target;

	if (size > TARGET_MAX)
		return 0;
	if (size)
		memcpy(text, data, size);
	target = strchr(text, '\n');
	if (!target)
		return 0;
	*target++ = 0;
	memory = mem_alloc(target_memory(strlen(target)));
	if (target_parse(target, memory, &t))
		return 0;
	route_find(routes, ARRAY_LEN(routes), text, &t, &m);
	check(&m);
	return 0;
}
