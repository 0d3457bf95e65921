#include "harness.h"

#include "base/error.h"
#include "base/mem.h"
#include "crypto/merkle.h"

/* ---- durability and order -------------------------------------------------
 */

static void a_leaf_is_in_the_store_when_done_is_called(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf body = BUF_INIT(EVIDENCE_LEAF_MAX);
	struct evidence_txn *t;
	struct leaf_ref leaf;
	struct digest hash;
	struct digest expected;

	world_open(w);
	t = evidence_begin(w->evidence);
	assert_int_equal(
		evidence_leaf(t, LEAF_GENESIS, "log", NULL, NULL, 0, &leaf), 0);
	assert_int_equal(leaf.index, 0);
	evidence_commit(t, world_done, w);
	world_wait(w);
	assert_int_equal(evidence_durable_size(w->evidence), 1);
	assert_int_equal(
		store_leaf_get(evidence_reader(w->evidence), 0, &body, &hash),
		0);
	expected = merkle_leaf(buf_slice(&body));
	assert_true(digest_equals(&hash, &leaf.hash));
	assert_true(digest_equals(&hash, &expected));
	assert_non_null(strstr(buf_text(&body), "\"kind\":\"genesis\""));
}

static void a_leaf_is_canonical_json_in_the_documented_form(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf body = BUF_INIT(EVIDENCE_LEAF_MAX);
	CLEANUP(json_put_p) json_t *value = NULL;
	CLEANUP(mem_free_p) char *again = NULL;

	world_open(w);
	world_add(w, 1);
	assert_int_equal(
		store_leaf_get(evidence_reader(w->evidence), 0, &body, NULL),
		0);
	assert_int_equal(
		json_parse(buf_slice(&body), EVIDENCE_LEAF_MAX, &value), 0);
	again = json_canonical(value);
	assert_string_equal(again, buf_text(&body));
	assert_string_equal(json_text(value, "about", ""), "hbt_1");
	assert_int_equal(json_int(value, "v", 0), 1);
	assert_int_equal(json_int(value, "n", -1), 0);
	assert_true(json_int(value, "at", 0) > 1600000000000);
	assert_null(json_object_get(value, "commit"));
}

struct order {
	struct world *world;
	unsigned next;
	struct step {
		struct order *order;
		unsigned number;
	} steps[2000];
};

static void on_step(void *cookie)
{
	struct step *step = cookie;

	assert_int_equal(step->order->next, step->number);
	if (++step->order->next == ARRAY_LEN(step->order->steps))
		world_done(step->order->world);
}

static void callbacks_come_in_the_order_of_the_log(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_free_p) struct order *order = mem_new(struct order);

	world_open(w);
	order->world = w;
	for (unsigned i = 0; i < ARRAY_LEN(order->steps); i++) {
		struct evidence_txn *t = evidence_begin(w->evidence);
		struct leaf_ref leaf;

		order->steps[i] = (struct step){ order, i };
		assert_int_equal(evidence_leaf(t, LEAF_HEARTBEAT, NULL, NULL,
					       NULL, 0, &leaf),
				 0);
		assert_int_equal(leaf.index, i);
		evidence_commit(t, on_step, &order->steps[i]);
	}
	world_wait(w);
	assert_int_equal(evidence_durable_size(w->evidence), 2000);
}

static void an_abandoned_transaction_leaves_nothing(void **state)
{
	struct world *w = *state;
	CLEANUP(json_put_p) json_t *doc = json_object();
	CLEANUP(json_put_p) json_t *found = NULL;
	struct evidence_txn *t;
	struct leaf_ref first;
	struct leaf_ref second;

	world_open(w);
	world_add(w, 3);
	t = evidence_begin(w->evidence);
	assert_int_equal(
		evidence_leaf(t, LEAF_TASK, "tsk_1", NULL, NULL, 0, &first), 0);
	evidence_put(t, NOUN_TASK, "tsk_1", doc);
	evidence_abandon(t);
	t = evidence_begin(w->evidence);
	assert_int_equal(
		evidence_leaf(t, LEAF_HEARTBEAT, NULL, NULL, NULL, 0, &second),
		0);
	evidence_commit(t, world_done, w);
	world_wait(w);
	assert_int_equal(first.index, 3);
	assert_int_equal(second.index, 3);
	assert_int_equal(store_get(evidence_reader(w->evidence), NOUN_TASK,
				   "tsk_1", &found, NULL),
			 ERR_NOT_FOUND);
	/* And the tree of what is left is right. */
	world_close(w);
	world_open(w);
	assert_int_equal(evidence_durable_size(w->evidence), 4);
}

static void a_document_is_stamped_with_the_last_leaf(void **state)
{
	struct world *w = *state;
	CLEANUP(json_put_p) json_t *doc = json_object();
	CLEANUP(json_put_p) json_t *got = NULL;
	CLEANUP(json_put_p) json_t *found = NULL;
	struct evidence_txn *t;
	struct leaf_ref leaf;
	uint64_t stamp;

	world_open(w);
	world_add(w, 5);
	json_set_text(doc, "id", "tsk_1");
	json_set_text(doc, "agent", "sorter");
	json_set_text(doc, "state", "open");
	t = evidence_begin(w->evidence);
	evidence_put(t, NOUN_TASK, "tsk_1", doc);
	json_set_text(doc, "state", "changed after the put");
	assert_int_equal(
		evidence_leaf(t, LEAF_TASK, "tsk_1", NULL, NULL, 0, &leaf), 0);
	evidence_commit(t, world_done, w);
	world_wait(w);
	assert_int_equal(store_get(evidence_reader(w->evidence), NOUN_TASK,
				   "tsk_1", &got, &stamp),
			 0);
	assert_int_equal(stamp, 5);
	assert_string_equal(json_text(got, "state", ""), "open");
	assert_int_equal(store_find(evidence_reader(w->evidence), NOUN_TASK,
				    "agent", "sorter", NULL, 10, &found),
			 0);
	assert_int_equal(json_array_size(found), 1);
}

static void replies_and_seen_values_are_kept(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_free_p) char *about = NULL;
	struct digest request = digest_of(slice_str("body"));
	struct digest got;
	struct evidence_txn *t;
	bool seen = false;

	world_open(w);
	t = evidence_begin(w->evidence);
	evidence_reply(t, "agent:a", "key-1", &request, "req_1", INT64_MAX);
	evidence_seen(t, "jti", "token-1", INT64_MAX);
	evidence_commit(t, world_done, w);
	world_wait(w);
	assert_int_equal(store_reply_get(evidence_reader(w->evidence),
					 "agent:a", "key-1", &got, &about),
			 0);
	assert_true(digest_equals(&got, &request));
	assert_string_equal(about, "req_1");
	assert_int_equal(store_seen_get(evidence_reader(w->evidence), "jti",
					"token-1", &seen),
			 0);
	assert_true(seen);
	assert_int_equal(store_seen_get(evidence_reader(w->evidence), "jti",
					"token-2", &seen),
			 0);
	assert_false(seen);
}

static void a_leaf_that_is_too_large_is_refused(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_free_p) char *text = mem_alloc(EVIDENCE_LEAF_MAX + 1);
	struct evidence_txn *t;
	struct leaf_ref leaf;
	json_t *fields = json_object();

	world_open(w);
	memset(text, 'x', EVIDENCE_LEAF_MAX);
	json_set_text(fields, "text", text);
	t = evidence_begin(w->evidence);
	assert_int_equal(
		evidence_leaf(t, LEAF_RECORD, NULL, fields, NULL, 0, &leaf),
		ERR_LIMIT);
	evidence_abandon(t);
	world_add(w, 1);
	assert_int_equal(evidence_durable_size(w->evidence), 1);
}

static void a_leafs_own_members_cannot_be_given(void **state)
{
	static const char *const names[] = { "about", "at", "commit", "kind",
					     "v" };
	struct world *w = *state;

	world_open(w);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct evidence_txn *t = evidence_begin(w->evidence);
		json_t *fields = json_object();
		struct leaf_ref leaf;

		json_set_text(fields, names[i], "forged");
		assert_int_equal(evidence_leaf(t, LEAF_RECORD, NULL, fields,
					       NULL, 0, &leaf),
				 ERR_SYNTAX);
		evidence_abandon(t);
	}
}

static void what_is_queued_at_close_is_durable_and_signed(void **state)
{
	struct world *w = *state;
	struct checkpoint c;

	world_open(w);
	for (unsigned i = 0; i < 100; i++) {
		struct evidence_txn *t = evidence_begin(w->evidence);
		struct leaf_ref leaf;

		assert_int_equal(evidence_leaf(t, LEAF_HEARTBEAT, NULL, NULL,
					       NULL, 0, &leaf),
				 0);
		evidence_commit(t, NULL, NULL);
	}
	world_close(w);
	world_open(w);
	assert_int_equal(evidence_durable_size(w->evidence), 100);
	c = world_checkpoint(w, evidence_checkpoint(w->evidence));
	assert_int_equal(c.size, 100);
}

static void a_second_process_is_refused(void **state)
{
	struct world *w = *state;
	struct store *second = NULL;

	world_open(w);
	assert_int_equal(store_open(w->data, false, &second), ERR_BUSY);
}

/* ---- signatures -----------------------------------------------------------
 */

static void a_signature_covers_the_leaf_it_was_awaited_for(void **state)
{
	struct world *w = *state;
	struct merkle_proof proof;
	struct evidence_txn *t;
	struct leaf_ref leaf;
	struct checkpoint c;

	world_open(w);
	world_add(w, 700);
	t = evidence_begin(w->evidence);
	assert_int_equal(
		evidence_leaf(t, LEAF_ARMED, "req_1", NULL, NULL, 0, &leaf), 0);
	evidence_commit(t, NULL, NULL);
	world_sign(w, leaf.index); /* not durable yet */
	c = world_checkpoint(w, buf_slice(&w->note));
	assert_true(c.size > leaf.index);
	assert_int_equal(c.size, w->signed_size);
	assert_int_equal(
		evidence_prove(w->evidence, leaf.index, c.size, &proof), 0);
	assert_true(merkle_inclusion_holds(leaf.index, c.size, &leaf.hash,
					   proof.nodes, proof.count, &c.root));
	/* Again, for what is signed already. */
	world_sign(w, 0);
	assert_true(w->note.len > 0);
}

static void a_refused_signature_arms_nothing(void **state)
{
	struct world *w = *state;
	const char *why;

	world_open(w);
	world_tell_keeper(w, "refuse", true);
	world_add(w, 2);
	world_sign(w, 1);
	assert_int_equal(w->note.len, 0);
	assert_true(evidence_is_degraded(w->evidence, &why));
	assert_non_null(strstr(why, "keeper"));
	assert_int_equal(w->degraded, 1);
	assert_true(evidence_is_busy(w->evidence));
	assert_int_equal(evidence_checkpoint(w->evidence).len, 0);
	/* The keeper comes to its senses. */
	world_tell_keeper(w, "refuse", false);
	world_sign(w, 1);
	assert_true(w->note.len > 0);
	assert_int_equal(w->healed, 1);
	assert_false(evidence_is_degraded(w->evidence, NULL));
}

static void a_note_of_another_tree_is_refused(void **state)
{
	struct world *w = *state;

	world_open(w);
	world_tell_keeper(w, "lie", true);
	world_add(w, 2);
	world_sign(w, 1);
	assert_int_equal(w->note.len, 0);
}

static void a_lost_keeper_is_reported_and_signs_nothing(void **state)
{
	struct world *w = *state;

	world_open(w);
	world_add(w, 2);
	world_tell_keeper(w, "die", true);
	world_sign(w, 1);
	assert_int_equal(w->note.len, 0);
	assert_int_equal(w->lost, 1);
	world_add(w, 1); /* leaves still land */
	world_sign(w, 2);
	assert_int_equal(w->note.len, 0);
	world_tell_keeper(w, "die", false);
}

static void look_for_checkpoint(void *cookie)
{
	struct world *w = cookie;

	if (evidence_checkpoint(w->evidence).len > 0)
		world_done(w);
	else
		loop_timer(w->loop, 5, look_for_checkpoint, w);
}

static void a_checkpoint_is_published_though_nobody_waits(void **state)
{
	struct world *w = *state;

	world_open(w);
	world_add(w, 1);
	assert_int_equal(evidence_checkpoint(w->evidence).len, 0);
	look_for_checkpoint(w);
	world_wait(w);
	assert_int_equal(
		world_checkpoint(w, evidence_checkpoint(w->evidence)).size, 1);
}

/* ---- proofs and files -----------------------------------------------------
 */

static const unsigned sizes[] = { 1,   2,   3,	 7,   8,   255, 256,
				  257, 511, 512, 513, 767, 768, 1025 };

static void every_leaf_is_proved_at_every_size(void **state)
{
	struct world *w = *state;
	unsigned have = 0;

	world_open(w);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct checkpoint c;

		world_add(w, sizes[i] - have);
		have = sizes[i];
		world_sign(w, have - 1);
		c = world_checkpoint(w, buf_slice(&w->note));
		assert_int_equal(c.size, have);
		for (unsigned index = 0; index < have; index++) {
			struct merkle_proof proof;
			struct digest hash;
			CLEANUP(buf_clear)
			struct buf body = BUF_INIT(EVIDENCE_LEAF_MAX);

			assert_int_equal(
				store_leaf_get(evidence_reader(w->evidence),
					       index, &body, &hash),
				0);
			assert_int_equal(evidence_prove(w->evidence, index,
							have, &proof),
					 0);
			assert_true(merkle_inclusion_holds(
				index, have, &hash, proof.nodes, proof.count,
				&c.root));
			hash.bytes[7] ^= 1;
			assert_false(merkle_inclusion_holds(
				index, have, &hash, proof.nodes, proof.count,
				&c.root));
		}
	}
}

static void what_is_not_durable_is_not_proved(void **state)
{
	struct world *w = *state;
	struct merkle_proof proof;

	world_open(w);
	world_add(w, 3);
	assert_int_equal(evidence_prove(w->evidence, 3, 4, &proof),
			 ERR_NOT_FOUND);
	assert_int_equal(evidence_prove(w->evidence, 2, 2, &proof),
			 ERR_NOT_FOUND);
	assert_int_equal(evidence_prove(w->evidence, 2, 3, &proof), 0);
}

static int file_of(struct world *w, const char *path, struct buf *b)
{
	const char *type;

	buf_reset(b);
	return evidence_public_file(w->evidence, path, b, &type);
}

static void files_show_what_is_published_and_no_more(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 20);

	world_open(w);
	assert_int_equal(file_of(w, "checkpoint", &b), ERR_NOT_FOUND);
	world_add(w, 600);
	world_sign(w, 599);
	look_for_checkpoint(w);
	world_wait(w);
	world_add(w, 1); /* durable, not published */
	assert_int_equal(file_of(w, "tile/0/002.p/88", &b), 0);
	assert_int_equal(b.len, 88 * 32);
	assert_int_equal(file_of(w, "tile/0/000", &b), 0);
	assert_int_equal(b.len, 8192);
	assert_int_equal(file_of(w, "tile/0/001.p/3", &b), 0);
	assert_int_equal(b.len, 96);
	assert_int_equal(file_of(w, "tile/1/000.p/2", &b), 0);
	assert_int_equal(b.len, 64);
	assert_int_equal(file_of(w, "tile/entries/002.p/88", &b), 0);
	assert_int_equal(file_of(w, "tile/0/002.p/89", &b), ERR_NOT_FOUND);
	assert_int_equal(file_of(w, "tile/entries/002.p/89", &b),
			 ERR_NOT_FOUND);
	assert_int_equal(file_of(w, "tile/0/002", &b), ERR_NOT_FOUND);
	assert_int_equal(file_of(w, "tile/1/000.p/3", &b), ERR_NOT_FOUND);
	assert_int_equal(file_of(w, "tile/2/000.p/1", &b), ERR_NOT_FOUND);
	assert_int_equal(file_of(w, "tile/0/x000/000", &b), ERR_SYNTAX);
	assert_int_equal(file_of(w, "../state.db", &b), ERR_SYNTAX);
}

static void a_receipt_is_given_once_it_is_published(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 16);

	world_open(w);
	world_add(w, 5);
	assert_int_equal(evidence_receipt(w->evidence, 4, RECEIPT_SIGNED, &b),
			 ERR_NOT_FOUND);
	world_sign(w, 4);
	look_for_checkpoint(w);
	world_wait(w);
	assert_int_equal(evidence_receipt(w->evidence, 4, RECEIPT_SIGNED, &b),
			 0);
	assert_int_equal(
		strncmp(buf_text(&b), "c2sp.org/tlog-proof@v1\nindex 4\n", 31),
		0);
	assert_int_equal(evidence_receipt(w->evidence, 5, RECEIPT_SIGNED, &b),
			 ERR_NOT_FOUND);
}

#define LOG_TEST(name)                                                         \
	cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(a_leaf_is_in_the_store_when_done_is_called),
		LOG_TEST(a_leaf_is_canonical_json_in_the_documented_form),
		LOG_TEST(callbacks_come_in_the_order_of_the_log),
		LOG_TEST(an_abandoned_transaction_leaves_nothing),
		LOG_TEST(a_document_is_stamped_with_the_last_leaf),
		LOG_TEST(replies_and_seen_values_are_kept),
		LOG_TEST(a_leaf_that_is_too_large_is_refused),
		LOG_TEST(a_leafs_own_members_cannot_be_given),
		LOG_TEST(what_is_queued_at_close_is_durable_and_signed),
		LOG_TEST(a_second_process_is_refused),
		LOG_TEST(a_signature_covers_the_leaf_it_was_awaited_for),
		LOG_TEST(a_refused_signature_arms_nothing),
		LOG_TEST(a_note_of_another_tree_is_refused),
		LOG_TEST(a_lost_keeper_is_reported_and_signs_nothing),
		LOG_TEST(a_checkpoint_is_published_though_nobody_waits),
		LOG_TEST(every_leaf_is_proved_at_every_size),
		LOG_TEST(what_is_not_durable_is_not_proved),
		LOG_TEST(files_show_what_is_published_and_no_more),
		LOG_TEST(a_receipt_is_given_once_it_is_published),
	};

	return cmocka_run_group_tests_name("evidence/log", tests, NULL, NULL);
}
