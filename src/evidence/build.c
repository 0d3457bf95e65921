/* Building a transaction on the loop. */
#include "evidence/internal.h"

#include <assert.h>

#include "base/clock.h"
#include "base/error.h"

/* Members that every leaf may have of its own. */
static const char *const own_members[] = { "about", "at", "commit", "kind",
					   "v" };

struct evidence_txn *evidence_begin(struct evidence *e)
{
	struct evidence_txn *t;

	assert(!e->is_open);
	e->is_open = true;
	t = txn_new(e);
	t->stamp = tree_size(e->tree) ? tree_size(e->tree) - 1 : 0;
	return t;
}

static int check_fields(const json_t *fields)
{
	for (size_t i = 0; i < ARRAY_LEN(own_members); i++) {
		if (json_object_get(fields, own_members[i]))
			return error_set(ERR_SYNTAX,
					 "a leaf's own member '%s' is given",
					 own_members[i]);
	}
	return 0;
}

static int seal_parts(struct evidence_txn *t, uint64_t index, json_t *leaf,
		      const struct evidence_part *parts, size_t part_count)
{
	json_t *commit;

	if (part_count > STORE_PARTS_MAX)
		return error_set(ERR_LIMIT, "a leaf with %zu payload parts",
				 part_count);
	if (part_count == 0)
		return 0;
	commit = json_array();
	json_set_new(leaf, "commit", commit);
	for (unsigned i = 0; i < part_count; i++)
		TRY(vault_seal(t, index, i, &parts[i], commit));
	return 0;
}

/* Leaves never go back in time, whatever the clock does. */
static int64_t next_time(struct evidence *e)
{
	int64_t now = clock_wall_ms();

	if (now > e->last_at)
		e->last_at = now;
	return e->last_at;
}

static int write_leaf(struct evidence_txn *t, const json_t *leaf,
		      struct span *ret_body)
{
	size_t mark = t->bytes.len;

	TRY(json_put_canonical(&t->bytes, leaf));
	if (t->bytes.len - mark > EVIDENCE_LEAF_MAX)
		return error_set(ERR_LIMIT, "a leaf of %zu bytes",
				 t->bytes.len - mark);
	*ret_body = txn_span_since(t, mark);
	return 0;
}

static int add_leaf(struct evidence_txn *t, enum leaf_kind kind,
		    const char *about, json_t *leaf,
		    const struct evidence_part *parts, size_t part_count,
		    struct leaf_ref *ret_leaf)
{
	struct evidence *e = t->evidence;
	uint64_t index = tree_size(e->tree) + t->leaf_count;
	int64_t at = next_time(e);
	struct span body;
	struct op *op;

	TRY(check_fields(leaf));
	TRY(seal_parts(t, index, leaf, parts, part_count));
	json_set_text(leaf, "about", about);
	json_set_int(leaf, "at", at);
	json_set_text(leaf, "kind", leaf_kind_name(kind));
	json_set_int(leaf, "v", 1);
	TRY(write_leaf(t, leaf, &body));
	op = txn_op(t, OP_LEAF);
	op->number = kind;
	op->index = index;
	op->at_ms = at;
	op->name = txn_put_text(t, about);
	op->bytes = body;
	op->digest = merkle_leaf(slice_of(t->bytes.data + body.at, body.len));
	t->leaf_count++;
	t->stamp = index;
	*ret_leaf = (struct leaf_ref){ index, op->digest };
	return 0;
}

int evidence_leaf(struct evidence_txn *t, enum leaf_kind kind,
		  const char *about, json_t *fields,
		  const struct evidence_part *parts, size_t part_count,
		  struct leaf_ref *ret_leaf)
{
	CLEANUP(json_put_p) json_t *leaf = fields ? fields : json_object();

	if (t->failed == 0)
		t->failed = add_leaf(t, kind, about, leaf, parts, part_count,
				     ret_leaf);
	return t->failed;
}

void evidence_put(struct evidence_txn *t, enum noun noun, const char *id,
		  const json_t *doc)
{
	const char *values[STORE_COLUMNS_MAX];
	struct op *op = txn_op(t, OP_PUT);
	size_t mark;
	int r;

	op->number = noun;
	op->name = txn_put_text(t, id);
	mark = t->bytes.len;
	r = json_put_canonical(&t->bytes, doc);
	assert(r == 0); /* our own document: integers, not too deep */
	op->bytes = txn_span_since(t, mark);
	noun_values(noun, doc, values);
	for (size_t i = 0; noun_columns(noun)[i]; i++)
		op->values[i] = txn_put_text(t, values[i]);
}

void evidence_delete(struct evidence_txn *t, enum noun noun, const char *id)
{
	struct op *op = txn_op(t, OP_DELETE);

	op->number = noun;
	op->name = txn_put_text(t, id);
}

void evidence_reply(struct evidence_txn *t, const char *scope, const char *key,
		    const struct digest *request, const char *about,
		    int64_t expires_ms)
{
	struct op *op = txn_op(t, OP_REPLY);

	op->name = txn_put_text(t, scope);
	op->bytes = txn_put_text(t, key);
	op->about = txn_put_text(t, about ? about : "");
	op->digest = *request;
	op->at_ms = expires_ms;
}

void evidence_seen(struct evidence_txn *t, const char *scope, const char *value,
		   int64_t expires_ms)
{
	struct op *op = txn_op(t, OP_SEEN);

	op->name = txn_put_text(t, scope);
	op->bytes = txn_put_text(t, value);
	op->at_ms = expires_ms;
}

/* An act has either a human or a why, and one number beside the time. */
static uint64_t number_of(const struct outbox_change *c)
{
	if (c->act == OUTBOX_MOVE)
		return (uint64_t)c->attempts << 1 | c->is_dead;
	return (uint64_t)(c->act == OUTBOX_TRIM ? c->at_most : c->until_ms);
}

void evidence_outbox(struct evidence_txn *t, const struct outbox_change *c)
{
	struct op *op = txn_op(t, OP_OUTBOX);

	op->number = c->act;
	op->index = number_of(c);
	op->at_ms = c->at_ms;
	op->name = txn_put_text(t, c->id);
	op->about = txn_put_text(t, c->about);
	op->bytes = txn_put_text(t, c->act == OUTBOX_ADD ? c->human : c->why);
	op->values[0] = txn_put_text(t, c->endpoint);
	op->values[1] = txn_put_text(t, c->event);
	op->values[2] = txn_put_text(t, c->role);
	t->tells = true;
}

/* ---- the end of it --------------------------------------------------------
 */

static int keep_tile(void *cookie, unsigned level, uint64_t number,
		     struct slice hashes)
{
	struct evidence_txn *t = cookie;
	struct op *op = txn_op(t, OP_TILE);

	op->number = level;
	op->index = number;
	op->bytes = txn_put(t, hashes);
	return 0;
}

/* Only now do the leaves enter the tree: so abandoning costs nothing. */
static void grow_tree(struct evidence_txn *t)
{
	struct evidence *e = t->evidence;
	size_t count = t->op_count; /* keep_tile() adds to them */

	for (size_t i = 0; i < count; i++) {
		struct digest hash = t->ops[i].digest;

		if (t->ops[i].kind == OP_LEAF)
			discard(tree_add(e->tree, &hash, keep_tile, t));
	}
	if (t->leaf_count > 0)
		tree_frontier(e->tree, &t->frontier);
}

static void keep_keys(struct evidence_txn *t)
{
	while (t->keys) {
		struct data_key *key = t->keys;

		t->keys = key->next;
		vault_add(t->evidence->vault, key);
	}
}

void evidence_commit(struct evidence_txn *t, void (*done)(void *cookie),
		     void *cookie)
{
	struct evidence *e = t->evidence;

	assert(t->failed == 0);
	e->is_open = false;
	grow_tree(t);
	keep_keys(t);
	assert(!t->bytes.overflow);
	t->done = done;
	t->cookie = cookie;
	e->queued++;
	e->committed++;
	writer_put(e->writer, t);
}

void evidence_abandon(struct evidence_txn *t)
{
	t->evidence->is_open = false;
	txn_free(t);
}
