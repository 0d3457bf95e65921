#include "evidence/leaf.h"

static const char *const names[] = {
#define LEAF_NAME(name, text, help) [LEAF_##name] = (text),
	LEAF_KINDS(LEAF_NAME)
#undef LEAF_NAME
};

const char *leaf_kind_name(enum leaf_kind kind)
{
	return (unsigned)kind < ARRAY_LEN(names) ? names[kind] : "?";
}
