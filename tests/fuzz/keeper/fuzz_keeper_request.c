/* A request to the keeper; nothing is written. */
#include <assert.h>

#include "base/frame.h"
#include "base/json.h"
#include "crypto/merkle.h"
#include "keeper/requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_last_put(struct last *last, const struct checkpoint *head,
		    struct slice note);

/* The memory of a keeper whose disk never fails, nor is written. */
int __wrap_last_put(struct last *last, const struct checkpoint *head,
		    struct slice note UNUSED)
{
	/* Never back, and never another root at the same size. */
	assert(head->size >= last->head.size);
	assert(head->size > last->head.size ||
	       digest_equals(&head->root, &last->head.root));
	return 0;
}

#define SECRET "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
#define LIST "[{\"key\":\"" SECRET "\",\"number\":1}]"

static const char keys_text[] =
	"{\"keks\":" LIST ",\"log\":\"" SECRET
	"\",\"origin\":\"writ.example/log\",\"ssh\":" LIST ",\"tokens\":" LIST
	",\"v\":2}";

static struct keeper keeper;

static void set_up(void)
{
	struct digest leaf = merkle_leaf(slice_str("a"));

	if (keeper.keys)
		return;
	if (keys_parse(slice_str(keys_text), &keeper.keys) < 0)
		abort();
	keeper.last.slots.fd = -1;
	keeper.issued.slots.fd = -1;
	if (note_verifier_new(&keeper.keys->vkey, &keeper.verifier) < 0)
		abort();
	keeper.lock_fd = -1;
	keeper.last.head.size = 1;
	keeper.last.head.root = leaf;
}

static int take_answer(void *cookie, struct slice answer)
{
	json_t **value = cookie;

	return json_parse(answer, FRAME_MAX, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *value = NULL;
	const struct slice body = slice_of(data, size);
	const struct rpc_sink sink = { take_answer, &value };

	set_up();
	if (keeper_answer(&keeper, &body, 1, &sink) < 0)
		abort();
	assert((json_object_get(value, "result") != NULL) !=
	       (json_object_get(value, "error") != NULL));
	return 0;
}
