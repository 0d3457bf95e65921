/*
 * {"parent": claims, "child": claims}: a child that attenuates ends no later,
 * has no scope or action that its parent has not, and attenuates itself; with
 * less of it, it still does; with more time, it does not.
 */
#include "govern/attenuate.h"

#include <assert.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum attenuation ask(const json_t *parent, const json_t *child)
{
	char why[ATTENUATE_WHY_MAX];
	enum attenuation result = attenuates(parent, child, why);

	assert((result == ATTENUATION_HOLDS) == !*why);
	assert(*attenuation_name(result));
	return result;
}

/* Whether text stands in list between blanks or ends. */
static bool has_word(const char *list, const char *word, size_t length)
{
	for (const char *at = list; *at;) {
		size_t here = strcspn(at, " ");

		if (here == length && !strncmp(at, word, length))
			return true;
		at += here + (at[here] == ' ');
	}
	return false;
}

static void check_scope(const json_t *parent, const json_t *child)
{
	const char *at = json_text(child, "scope", "");

	while (*at) {
		size_t length = strcspn(at, " ");

		assert(has_word(json_text(parent, "scope", ""), at, length));
		at += length + (at[length] == ' ');
	}
}

static bool somewhere(const json_t *details, const char *action)
{
	const json_t *detail;
	size_t at;

	json_array_foreach(details, at, detail) {
		if (json_has_text(json_object_get(detail, "actions"), action))
			return true;
	}
	return false;
}

static void check_details(const json_t *parent, const json_t *child)
{
	static const char name[] = "authorization_details";
	const json_t *detail;
	const json_t *action;
	size_t at, i;

	json_array_foreach(json_object_get(child, name), at, detail) {
		json_array_foreach(json_object_get(detail, "actions"), i,
				   action)
			assert(somewhere(json_object_get(parent, name),
					 json_string_value(action)));
	}
}

static void check_less(const json_t *parent, const json_t *child)
{
	static const char *const grants[] = { "scope",
					      "authorization_details" };

	for (size_t i = 0; i < ARRAY_LEN(grants); i++) {
		CLEANUP(json_put_p)
		json_t *less = json_copy((json_t *)(uintptr_t)child);

		json_object_del(less, grants[i]);
		assert(ask(parent, less) == ATTENUATION_HOLDS);
	}
}

static void check_more(const json_t *parent, const json_t *child)
{
	CLEANUP(json_put_p)
	json_t *longer = json_copy((json_t *)(uintptr_t)child);
	int64_t exp = json_int(parent, "exp", 0);

	if (exp == INT64_MAX)
		return;
	json_set_int(longer, "exp", exp + 1);
	assert(ask(parent, longer) == ATTENUATION_EXP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *input = NULL;
	const json_t *parent;
	const json_t *child;

	if (json_parse(slice_of(data, size), 64 * 1024, &input) < 0)
		return 0;
	parent = json_object_get(input, "parent");
	child = json_object_get(input, "child");
	if (ask(parent, child) != ATTENUATION_HOLDS)
		return 0;
	assert(json_int(child, "exp", 0) <= json_int(parent, "exp", 0));
	check_scope(parent, child);
	check_details(parent, child);
	check_less(parent, child);
	check_more(parent, child);
	assert(ask(child, child) == ATTENUATION_HOLDS);
	return 0;
}
