/*
 * Signing, keeper-paced: as long as somebody waits, the newest durable head is
 * asked for as soon as the last answer is here; otherwise once a second.
 *
 *   durable head -> keeper (which has it on its own disk before it answers)
 *     -> those who wait -> row in the store -> published
 */
#include "evidence/internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum {
	CADENCE_MS = 1000,
	/* A note that nobody has published yet waits so long for a newer one:
	 * storing it is a commit, and those that arm must not wait for it. */
	KEEP_MS = 20,
	PATIENCE_MS = 10 * 1000, /* with a keeper that does not answer */
};

static void waiters_put(struct waiters *w, struct waiter waiter)
{
	if (w->count == w->capacity) {
		w->capacity = w->capacity ? w->capacity * 2 : 16;
		w->items = mem_grow(w->items, w->capacity, sizeof(*w->items));
	}
	w->items[w->count++] = waiter;
}

/* Moves those that a tree of size covers to ret_taken, in order. */
static void waiters_take(struct waiters *w, uint64_t size,
			 struct waiters *ret_taken)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->count; i++) {
		if (w->items[i].index < size)
			waiters_put(ret_taken, w->items[i]);
		else
			w->items[kept++] = w->items[i];
	}
	w->count = kept;
}

/* Calls and empties; fn may ask for more. */
static void waiters_call(struct evidence *e, struct waiters *w,
			 struct slice note, uint64_t size)
{
	if (!e->closing) {
		for (size_t i = 0; i < w->count; i++)
			w->items[i].fn(w->items[i].cookie, note, size);
	}
	free(w->items);
	*w = (struct waiters){ 0 };
}

/* ---- keeping the note -----------------------------------------------------
 */

static void copy_note(struct buf *to, struct slice note)
{
	buf_reset(to);
	buf_put(to, note);
}

static void note_durable(void *cookie)
{
	struct evidence *e = cookie;

	e->note_written = false;
	e->published_size = e->writing_size;
	copy_note(&e->published_note, buf_slice(&e->writing_note));
	witnesses_advance(e->witnesses);
}

/* Has the newest note stored. */
static void store_note(struct evidence *e)
{
	/* Of which the newest note is; it was verified when it came. */
	const struct checkpoint *c = keeper_last(e->config.keeper);
	struct evidence_txn *t = txn_new(e);
	struct op *op = txn_op(t, OP_CHECKPOINT);

	e->note_waits = false;
	e->note_written = true;
	e->writing_size = c->size;
	copy_note(&e->writing_note, buf_slice(&e->signed_note));
	op->index = c->size;
	op->digest = c->root;
	op->at_ms = clock_wall_ms();
	op->bytes = txn_put(t, buf_slice(&e->signed_note));
	t->done = note_durable;
	t->cookie = e;
	e->queued++;
	e->committed++;
	writer_put(e->writer, t);
}

static void on_keeping(void *cookie)
{
	struct evidence *e = cookie;

	e->keeping = NULL;
	if (e->note_waits && !e->note_written)
		store_note(e);
}

/* Sees that a note that is not stored will be, one at a time. */
static void keep_note(struct evidence *e)
{
	if (!e->note_waits || e->note_written)
		return;
	if (!e->closing) {
		if (!e->keeping)
			e->keeping = loop_timer(e->config.loop, KEEP_MS,
						on_keeping, e);
		return;
	}
	loop_timer_end(TAKE(e->keeping));
	store_note(e);
}

/* ---- asking ---------------------------------------------------------------
 */

static void refused(struct evidence *e, uint64_t size, const char *why)
{
	struct waiters failed = { 0 };

	evidence_set_trouble(e, TROUBLE_KEEPER, true, why);
	waiters_take(&e->waiters, size, &failed);
	waiters_call(e, &failed, slice_of(NULL, 0), 0);
}

static void accepted(struct evidence *e, struct slice note)
{
	struct waiters served = { 0 };

	e->signed_size = keeper_last(e->config.keeper)->size;
	copy_note(&e->signed_note, note);
	e->note_waits = true;
	evidence_set_trouble(e, TROUBLE_KEEPER, false, "");
	keep_note(e);
	waiters_take(&e->waiters, e->signed_size, &served);
	waiters_call(e, &served, buf_slice(&e->signed_note), e->signed_size);
}

static void ask_later(struct evidence *e);

static void on_note(void *cookie, struct slice note, const char *why)
{
	struct evidence *e = cookie;

	e->signing = false;
	loop_timer_end(TAKE(e->patience));
	if (note.len > 0) {
		accepted(e, note);
		signer_advance(e);
		return;
	}
	refused(e, e->asked_size, why);
	ask_later(e);
}

/* From the keeper's last tree to ours; none is wanted from an empty tree. */
static int prove_growth(struct evidence *e, struct merkle_proof *ret_proof)
{
	uint64_t from = keeper_last(e->config.keeper)->size;

	ret_proof->count = 0;
	if (from == 0 || from == e->durable.size)
		return 0;
	return merkle_consistency_prove(tree_node, e->tree, from,
					e->durable.size, ret_proof);
}

/* One that hangs is as good as none, and somebody should look. */
static void on_silence(void *cookie)
{
	struct evidence *e = cookie;

	e->patience = NULL;
	evidence_set_trouble(e, TROUBLE_KEEPER, true,
			     "the keeper does not answer");
}

static void ask(struct evidence *e)
{
	struct merkle_proof proof;
	struct digest root;

	e->asked_size = e->durable.size;
	if (prove_growth(e, &proof) < 0) {
		refused(e, e->asked_size, error_message());
		ask_later(e);
		return;
	}
	loop_timer_end(TAKE(e->cadence));
	root = merkle_frontier_root(&e->durable);
	e->signing = true;
	e->patience = loop_timer(e->config.loop, PATIENCE_MS, on_silence, e);
	keeper_sign(e->config.keeper, e->asked_size, &root, &proof, on_note, e);
}

static void on_cadence(void *cookie)
{
	struct evidence *e = cookie;

	e->cadence = NULL;
	if (!e->signing && e->durable.size > e->signed_size)
		ask(e);
}

static void ask_later(struct evidence *e)
{
	if (!e->cadence && !e->closing)
		e->cadence =
			loop_timer(e->config.loop, CADENCE_MS, on_cadence, e);
	if (e->closing && signer_is_done(e))
		loop_stop(e->config.loop);
}

static bool is_awaited(const struct evidence *e)
{
	for (size_t i = 0; i < e->waiters.count; i++) {
		if (e->waiters.items[i].index < e->durable.size)
			return true;
	}
	return e->closing && !(e->trouble & TROUBLE_KEEPER);
}

void signer_advance(struct evidence *e)
{
	keep_note(e);
	if (!e->signing && e->durable.size > e->signed_size) {
		if (is_awaited(e))
			ask(e);
		else
			ask_later(e);
	}
	if (e->closing && signer_is_done(e))
		loop_stop(e->config.loop);
}

bool signer_is_done(const struct evidence *e)
{
	if (e->signing || e->note_waits || e->note_written || e->queued > 0)
		return false;
	return e->durable.size <= e->signed_size ||
	       (e->trouble & TROUBLE_KEEPER) != 0;
}

void signer_clear(struct evidence *e)
{
	loop_timer_end(TAKE(e->cadence));
	loop_timer_end(TAKE(e->keeping));
	loop_timer_end(TAKE(e->patience));
	loop_timer_end(TAKE(e->calls));
	keeper_forget(e->config.keeper, e);
	free(e->waiters.items);
	free(e->ready.items);
	buf_clear(&e->signed_note);
	buf_clear(&e->writing_note);
	buf_clear(&e->published_note);
}

/* ---- waiting --------------------------------------------------------------
 */

static void call_ready(void *cookie)
{
	struct evidence *e = cookie;
	struct waiters ready = e->ready;

	e->calls = NULL;
	e->ready = (struct waiters){ 0 };
	waiters_call(e, &ready, buf_slice(&e->signed_note), e->signed_size);
}

void evidence_when_signed(struct evidence *e, uint64_t index,
			  void (*fn)(void *cookie, struct slice note,
				     uint64_t size),
			  void *cookie)
{
	const struct waiter waiter = { index, fn, cookie };

	if (index >= e->signed_size) {
		waiters_put(&e->waiters, waiter);
		if (!e->signing && index < e->durable.size)
			signer_advance(e);
		return;
	}
	waiters_put(&e->ready, waiter);
	if (!e->calls)
		e->calls = loop_timer(e->config.loop, 0, call_ready, e);
}
