/* A request to the keeper; nothing is written. */
#include <assert.h>

#include "base/frame.h"
#include "base/json.h"
#include "crypto/merkle.h"
#include "keeper/requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_last_store(struct last *last, const struct checkpoint *head,
		      struct slice note);

/* The memory of a keeper whose disk never fails, nor is written. */
int __wrap_last_store(struct last *last, const struct checkpoint *head,
		      struct slice note UNUSED)
{
	/* Never back, and never another root at the same size. */
	assert(head->size >= last->head.size);
	assert(head->size > last->head.size ||
	       digest_equals(&head->root, &last->head.root));
	return 0;
}

static const char keys_text[] =
	"{\"keks\":[{\"key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\","
	"\"number\":1}],\"log\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	"\",\"origin\":\"writ.example/log\",\"v\":1}";

static struct keeper keeper;

static void set_up(void)
{
	struct digest leaf = merkle_leaf(slice_str("a"));

	if (keeper.keys)
		return;
	if (keys_parse(slice_str(keys_text), &keeper.keys) < 0)
		abort();
	keeper.last.folder_fd = -1;
	keeper.lock_fd = -1;
	keeper.last.head.size = 1;
	keeper.last.head.root = leaf;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_clear) struct buf reply = BUF_INIT(FRAME_MAX);
	CLEANUP(json_put_p) json_t *value = NULL;

	set_up();
	if (keeper_answer(&keeper, slice_of(data, size), &reply) < 0 ||
	    json_parse(buf_slice(&reply), FRAME_MAX, &value) < 0)
		abort();
	assert((json_object_get(value, "result") != NULL) !=
	       (json_object_get(value, "error") != NULL));
	return 0;
}
