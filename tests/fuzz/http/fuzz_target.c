/* What a target decodes to is clean text without relative segments. */
#include "http/target.h"

#include <assert.h>

#include "base/mem.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	assert(text_is_utf8(slice_str(text)));
	for (; *text; text++)
		assert((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void check(struct target *t)
{
	for (unsigned i = 0; i < t->segment_count; i++) {
		check_text(t->segments[i]);
		assert(*t->segments[i]);
		assert(strcmp(t->segments[i], ".") != 0);
		assert(strcmp(t->segments[i], "..") != 0);
	}
	for (unsigned i = 0; i < t->query_count; i++) {
		check_text(t->query[i].name);
		check_text(t->query[i].value);
	}
	if (target_rest(t, 0))
		check_text(t->segments[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(size + 1);
	CLEANUP(mem_free_p) char *memory = NULL;
	struct target t;

	if (size > TARGET_MAX)
		return 0;
	if (size)
		memcpy(text, data, size);
	memory = mem_alloc(target_memory(strlen(text)));
	if (!target_parse(text, memory, &t))
		check(&t);
	return 0;
}
