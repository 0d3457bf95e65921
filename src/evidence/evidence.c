#include "evidence/internal.h"

#include <assert.h>
#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"

enum { CLOSE_MAX_MS = 5000 };

/* ---- the check at the start -----------------------------------------------
 */

/* A tree size at which the root must be a certain one. */
struct milestone {
	const char *what;
	uint64_t size;
	struct digest root;
};

struct scan {
	struct evidence *evidence;
	struct buf tile;		/* as stored */
	struct buf last;		/* the last leaf */
	struct milestone milestones[3]; /* roots that must be met */
	size_t milestone_count;
};

static int check_tile(void *cookie, unsigned level, uint64_t number,
		      struct slice hashes)
{
	struct scan *scan = cookie;
	int r;

	buf_reset(&scan->tile);
	r = store_tile_get(scan->evidence->reader, level, number, &scan->tile);
	if (r == ERR_NOT_FOUND || r == ERR_CORRUPT)
		return error_context(ERR_CORRUPT, "the log");
	if (r < 0)
		return r;
	if (!slice_equals(buf_slice(&scan->tile), hashes))
		return error_set(ERR_CORRUPT,
				 "the log does not verify: tile %u/%" PRIu64
				 " is not that of its leaves",
				 level, number);
	return 0;
}

static int check_milestones(const struct scan *scan)
{
	const struct tree *t = scan->evidence->tree;

	for (size_t i = 0; i < scan->milestone_count; i++) {
		const struct milestone *m = &scan->milestones[i];
		struct digest root;

		if (m->size != tree_size(t))
			continue;
		root = tree_root(t);
		if (!digest_equals(&root, &m->root))
			return error_set(ERR_CORRUPT,
					 "%s: other leaves than ours at size "
					 "%" PRIu64,
					 m->what, m->size);
	}
	return 0;
}

static int check_leaf(void *cookie, uint64_t index, const struct digest *hash,
		      struct slice body)
{
	struct scan *scan = cookie;
	struct tree *t = scan->evidence->tree;
	struct digest computed = merkle_leaf(body);

	if (index != tree_size(t))
		return error_set(ERR_CORRUPT,
				 "the log does not verify: leaf %" PRIu64
				 " is missing",
				 tree_size(t));
	if (!digest_equals(&computed, hash))
		return error_set(ERR_CORRUPT,
				 "the log does not verify: leaf %" PRIu64
				 " was altered",
				 index);
	TRY(tree_add(t, &computed, check_tile, scan));
	if (tree_size(t) % TILE_WIDTH == 0)
		tree_durable(t, tree_size(t));
	buf_reset(&scan->last);
	buf_put(&scan->last, body);
	return check_milestones(scan);
}

static void add_milestone(struct scan *scan, const char *what, uint64_t size,
			  const struct digest *root)
{
	scan->milestones[scan->milestone_count++] =
		(struct milestone){ what, size, *root };
}

/* What is published goes on being published. */
static int load_published(struct evidence *e, struct scan *scan)
{
	struct checkpoint c;
	uint64_t size;
	int r = store_checkpoint_last(e->reader, &size, &e->published_note);

	if (r == ERR_NOT_FOUND)
		return 0;
	if (r < 0)
		return r;
	if (checkpoint_open(buf_slice(&e->published_note),
			    keeper_vkey(e->config.keeper), &c) < 0 ||
	    c.size != size)
		return error_context(ERR_CORRUPT, "the stored checkpoint");
	buf_put(&e->signed_note, buf_slice(&e->published_note));
	e->published_size = size;
	e->signed_size = size;
	add_milestone(scan, "the stored checkpoint", size, &c.root);
	return 0;
}

static int check_last_leaf(struct evidence *e, const struct scan *scan)
{
	CLEANUP(json_put_p) json_t *leaf = NULL;

	if (tree_size(e->tree) == 0)
		return 0;
	if (json_parse(buf_slice(&scan->last), EVIDENCE_LEAF_MAX, &leaf) < 0)
		return error_context(ERR_CORRUPT, "the last leaf");
	e->last_at = json_int(leaf, "at", 0);
	return 0;
}

static int check_size(const struct evidence *e, const struct store_head *head)
{
	uint64_t size = tree_size(e->tree);
	uint64_t seen = keeper_last(e->config.keeper)->size;

	if (size != head->size)
		return error_set(ERR_CORRUPT,
				 "the log does not verify: its head says "
				 "%" PRIu64 " leaves, there are %" PRIu64,
				 head->size, size);
	if (size < seen)
		return error_set(ERR_CORRUPT,
				 "rollback detected: the log has %" PRIu64
				 " leaves, the keeper has signed %" PRIu64,
				 size, seen);
	if (size < e->published_size)
		return error_set(ERR_CORRUPT,
				 "rollback detected: the log has %" PRIu64
				 " leaves, its checkpoint %" PRIu64,
				 size, e->published_size);
	return 0;
}

static int check_log(struct evidence *e, struct scan *scan)
{
	const struct checkpoint *last = keeper_last(e->config.keeper);
	struct store_head head;

	TRY(load_published(e, scan));
	TRY(store_head_get(e->reader, &head));
	add_milestone(scan, "the stored head", head.size, &head.root);
	if (last->size > 0)
		add_milestone(scan, "fork detected: the keeper has signed",
			      last->size, &last->root);
	TRY(store_leaf_each(e->reader, 0, INT64_MAX, check_leaf, scan));
	TRY(check_size(e, &head));
	TRY(check_last_leaf(e, scan));
	tree_durable(e->tree, head.size);
	tree_frontier(e->tree, &e->durable);
	return 0;
}

static int verify_start(struct evidence *e)
{
	struct scan scan = { .evidence = e,
			     .tile = BUF_INIT(STORE_TILE_LEN),
			     .last = BUF_INIT(UINT16_MAX) };
	int r = check_log(e, &scan);

	buf_clear(&scan.tile);
	buf_clear(&scan.last);
	return r;
}

/* ---- opening --------------------------------------------------------------
 */

static void on_written(void *cookie, struct evidence_txn *first)
{
	struct evidence *e = cookie;
	const struct evidence_txn *last = NULL;
	bool tells = false;

	for (const struct evidence_txn *t = first; t; t = t->next) {
		e->queued--;
		tells |= t->tells;
		if (t->leaf_count > 0)
			last = t;
	}
	if (last) {
		e->durable = last->frontier;
		tree_durable(e->tree, e->durable.size);
	}
	while (first) {
		struct evidence_txn *next = first->next;

		/* Our own are seen to in any case. */
		if (first->done && (!e->closing || first->cookie == e))
			first->done(first->cookie);
		txn_free(first);
		first = next;
	}
	if (tells && e->on_outbox && !e->closing)
		e->on_outbox(e->outbox_cookie);
	signer_advance(e);
}

static void on_full(void *cookie, bool is_full)
{
	evidence_set_trouble(cookie, TROUBLE_DISK, is_full, "the disk is full");
}

void evidence_set_trouble(struct evidence *e, unsigned bit, bool on,
			  const char *why)
{
	unsigned before = e->trouble;

	e->trouble = on ? before | bit : before & ~bit;
	if (e->trouble == before)
		return;
	if (on)
		snprintf(e->trouble_why, sizeof(e->trouble_why), "%s", why);
	/* The wait at the start was not told, and is no reason to stay silent.
	 */
	if (e->closing || !e->config.degraded ||
	    (!on && e->trouble & ~(unsigned)TROUBLE_START))
		return;
	e->config.degraded(e->config.cookie, on, on ? e->trouble_why : "");
}

static int open_log(struct evidence *e)
{
	static const struct writer_events events = { on_written, on_full };
	const struct evidence_config *c = &e->config;
	struct store *store;

	if (strcmp(c->origin, keeper_vkey(c->keeper)->name) != 0)
		return error_set(ERR_CORRUPT, "the keeper signs for '%s'",
				 keeper_vkey(c->keeper)->name);
	TRY(store_open(e->folder, true, &store));
	TRY(writer_open(c->loop, store, e->folder, &events, e, &e->writer));
	TRY(store_open_reader(e->folder, &e->reader));
	e->tree = tree_new(e->reader);
	TRY(verify_start(e));
	TRY(witnesses_open(e, &e->witnesses));
	signer_advance(e);
	witnesses_advance(e->witnesses);
	return 0;
}

int evidence_open(const struct evidence_config *config,
		  struct evidence **ret_evidence)
{
	struct evidence *e = mem_new(struct evidence);
	int r;

	e->config = *config;
	e->folder = mem_str(config->folder);
	e->vault = vault_new();
	e->signed_note = (struct buf)BUF_INIT(NOTE_MAX);
	e->writing_note = (struct buf)BUF_INIT(NOTE_MAX);
	e->published_note = (struct buf)BUF_INIT(NOTE_MAX);
	r = open_log(e);
	if (r < 0) {
		r = error_context(r, "evidence");
		e->durable.size = 0; /* nothing is to be signed */
		evidence_close(e);
		return r;
	}
	*ret_evidence = e;
	return 0;
}

/* ---- closing --------------------------------------------------------------
 */

static void on_late(void *cookie)
{
	struct evidence *e = cookie;

	e->limit = NULL;
	loop_stop(e->config.loop);
}

/* Runs the loop until everything is durable, signed and stored. */
static void finish(struct evidence *e)
{
	loop_timer_end(TAKE(e->calls));
	loop_timer_end(TAKE(e->cadence));
	e->closing = true;
	if (signer_is_done(e))
		return;
	e->limit = loop_timer(e->config.loop, CLOSE_MAX_MS, on_late, e);
	signer_advance(e);
	while (e->limit && !signer_is_done(e)) {
		if (loop_run(e->config.loop) < 0)
			break;
	}
	loop_timer_end(TAKE(e->limit));
}

void evidence_close(struct evidence *e)
{
	if (!e)
		return;
	assert(!e->is_open);
	if (e->writer)
		finish(e);
	disclosures_drop(e);
	witnesses_close(e->witnesses);
	signer_clear(e);
	tree_free(e->tree);
	/* The writer's connection is the last, so that it leaves one file. */
	store_close(e->reader);
	writer_close(e->writer);
	vault_free(e->vault);
	free(e->folder);
	free(e);
}

/* ---- asking ---------------------------------------------------------------
 */

void evidence_on_outbox(struct evidence *e, void (*fn)(void *cookie),
			void *cookie)
{
	e->on_outbox = fn;
	e->outbox_cookie = cookie;
}

struct store *evidence_reader(struct evidence *e)
{
	return e->reader;
}

uint64_t evidence_committed(const struct evidence *e)
{
	return e->committed;
}

uint64_t evidence_durable(const struct evidence *e)
{
	return e->committed - e->queued;
}

bool evidence_lacks_keys(const struct evidence *e)
{
	return !keeper_has_keys(e->config.keeper);
}

bool evidence_is_busy(const struct evidence *e)
{
	return e->queued >= EVIDENCE_QUEUE_MAX || e->trouble != 0 ||
	       !keeper_has_keys(e->config.keeper);
}

bool evidence_is_degraded(const struct evidence *e, const char **ret_why)
{
	if (ret_why)
		*ret_why = e->trouble ? e->trouble_why : "";
	return e->trouble != 0;
}

bool evidence_is_full(const struct evidence *e)
{
	return e->trouble & TROUBLE_DISK;
}

void evidence_when_receipt(struct evidence *e, uint64_t index,
			   enum receipt_strength strength, int64_t timeout_ms,
			   evidence_receipt_fn fn, void *cookie)
{
	witnesses_await(e->witnesses, index, strength, timeout_ms, fn, cookie);
}

void evidence_give_up(struct evidence *e, const char *why)
{
	witnesses_give_up(e->witnesses, why);
}

json_t *evidence_witness_report(const struct evidence *e)
{
	return witnesses_report(e->witnesses);
}

uint64_t evidence_durable_size(const struct evidence *e)
{
	return e->durable.size;
}

const struct note_vkey *evidence_vkey(const struct evidence *e)
{
	return keeper_vkey(e->config.keeper);
}
