#include "harness.h"

#include "base/file.h"
#include "base/mem.h"
#include "evidence/erase.h"

struct answer {
	struct world *world;
	json_t *payload; /* owned */
	char why[64];
};

static void on_payload(void *cookie, json_t *payload, const char *why)
{
	struct answer *a = cookie;

	a->payload = payload;
	snprintf(a->why, sizeof(a->why), "%s", why ? why : "");
	world_done(a->world);
}

/* Why a part cannot be read, "" if it can. */
static void expect(struct world *w, uint64_t leaf, const char *why)
{
	struct answer a = { .world = w };

	evidence_disclose(w->evidence, leaf, 0, on_payload, &a);
	world_wait(w);
	assert_string_equal(a.why, why);
	assert_int_equal(a.payload != NULL, !*why);
	json_decref(a.payload);
}

static struct leaf_ref put(struct world *w, const char *subject)
{
	CLEANUP(json_put_p) json_t *value = json_object();
	const struct evidence_part part = { subject, value };
	struct evidence_txn *t = evidence_begin(w->evidence);
	struct leaf_ref leaf;

	json_set_text(value, "words", subject);
	assert_int_equal(
		evidence_leaf(t, LEAF_RECORD, NULL, NULL, &part, 1, &leaf), 0);
	evidence_commit(t, world_done, w);
	world_wait(w);
	return leaf;
}

static void erase(struct world *w, const char *subject)
{
	const struct evidence_subject gone = { .subject = subject };
	struct evidence_txn *t = evidence_begin(w->evidence);

	evidence_erase(t, &gone);
	evidence_commit(t, world_done, w);
	world_wait(w);
}

static uint64_t parts_of(struct world *w, const char *subject)
{
	uint64_t count = 0;

	assert_int_equal(evidence_parts_of(w->evidence, subject, &count), 0);
	return count;
}

static void an_erased_subject_is_not_read_any_more_and_others_are(void **state)
{
	struct world *w = *state;
	struct leaf_ref alice;
	struct leaf_ref al;

	world_open(w);
	alice = put(w, "human:alice");
	al = put(w, "human:al");
	assert_int_equal(parts_of(w, "human:al"), 1);
	erase(w, "human:al");
	assert_int_equal(parts_of(w, "human:al"), 0);
	expect(w, al.index, "erased");
	expect(w, alice.index, "");
	world_close(w);
}

static void what_comes_later_has_a_key_of_its_own(void **state)
{
	struct world *w = *state;
	struct leaf_ref before;
	struct leaf_ref after;

	world_open(w);
	before = put(w, "human:al");
	erase(w, "human:al");
	after = put(w, "human:al");
	expect(w, before.index, "erased");
	expect(w, after.index, "");
	world_close(w);
	world_open(w);
	expect(w, before.index, "erased");
	expect(w, after.index, "");
	world_close(w);
}

static void every_proof_holds_after_an_erasure(void **state)
{
	struct world *w = *state;
	struct merkle_proof inclusion;
	struct leaf_ref leaf;
	struct checkpoint c;

	world_open(w);
	leaf = put(w, "human:al");
	world_add(w, 3);
	world_sign(w, leaf.index + 3);
	c = world_checkpoint(w, buf_slice(&w->note));
	erase(w, "human:al");
	assert_int_equal(
		evidence_prove(w->evidence, leaf.index, c.size, &inclusion), 0);
	assert_true(merkle_inclusion_holds(leaf.index, c.size, &leaf.hash,
					   inclusion.nodes, inclusion.count,
					   &c.root));
	world_close(w);
	world_open(w); /* the check at the start finds nothing */
	world_close(w);
}

/* Whether a file of the data folder holds the bytes. */
static bool is_kept(struct world *w, struct slice bytes)
{
	static const char *const names[] = { "state.db", "state.db-wal",
					     "ballast" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p)
		char *path = mem_format("%s/%s", w->data, names[i]);
		CLEANUP(buf_clear) struct buf b = BUF_INIT(64 << 20);

		if (file_read(path, &b) == 0 &&
		    memmem(b.data, b.len, bytes.ptr, bytes.len))
			return true;
	}
	return false;
}

static void done_comes_when_no_file_holds_it(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf sealed = BUF_INIT(1 << 16);
	CLEANUP(buf_clear) struct buf wrapped = BUF_INIT(64);
	char *name = NULL;
	struct leaf_ref leaf;
	unsigned kek;

	world_open(w);
	leaf = put(w, "human:al");
	assert_int_equal(store_payload_get(evidence_reader(w->evidence),
					   leaf.index, 0, &name, &sealed),
			 0);
	assert_int_equal(store_subject_get(evidence_reader(w->evidence), name,
					   &wrapped, &kek),
			 0);
	free(name);
	assert_true(is_kept(w, buf_slice(&sealed)));
	assert_true(is_kept(w, buf_slice(&wrapped)));
	erase(w, "human:al");
	assert_false(is_kept(w, buf_slice(&sealed)));
	assert_false(is_kept(w, buf_slice(&wrapped)));
	world_close(w);
}

static void a_rewriting_alone_changes_nothing(void **state)
{
	struct world *w = *state;
	struct evidence_txn *t;
	struct leaf_ref leaf;

	world_open(w);
	leaf = put(w, "human:al");
	t = evidence_begin(w->evidence);
	evidence_scrub(t);
	evidence_commit(t, world_done, w);
	world_wait(w);
	expect(w, leaf.index, "");
	world_add(w, 2);
	world_close(w);
	world_open(w);
	expect(w, leaf.index, "");
	world_close(w);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_erased_subject_is_not_read_any_more_and_others_are),
		TEST(what_comes_later_has_a_key_of_its_own),
		TEST(every_proof_holds_after_an_erasure),
		TEST(done_comes_when_no_file_holds_it),
		TEST(a_rewriting_alone_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
