#include "evidence/txn.h"

#include "base/error.h"
#include "base/mem.h"
#include "evidence/leaf.h"
#include "store/cosignature.h"
#include "store/erase.h"

enum {
	TXN_MAX = 1 << 30, /* bytes; callers' own limits are far below */
};

struct evidence_txn *txn_new(struct evidence *e)
{
	struct evidence_txn *t = mem_new(struct evidence_txn);

	t->evidence = e;
	t->bytes = (struct buf)BUF_INIT(TXN_MAX);
	return t;
}

void data_key_free(struct data_key *k)
{
	if (!k)
		return;
	free(k->subject);
	free(k->name);
	mem_wipe(k, sizeof(*k));
	free(k);
}

void txn_free(struct evidence_txn *t)
{
	if (!t)
		return;
	while (t->keys) {
		struct data_key *next = t->keys->next;

		data_key_free(t->keys);
		t->keys = next;
	}
	buf_clear(&t->bytes);
	free(t->ops);
	free(t);
}

struct op *txn_op(struct evidence_txn *t, enum op_kind kind)
{
	struct op *op;

	if (t->op_count == t->op_capacity) {
		t->op_capacity = t->op_capacity ? t->op_capacity * 2 : 8;
		t->ops = mem_grow(t->ops, t->op_capacity, sizeof(*t->ops));
	}
	op = &t->ops[t->op_count++];
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	return op;
}

struct span txn_span_since(struct evidence_txn *t, size_t mark)
{
	struct span span = { mark, t->bytes.len - mark, true };

	buf_put_u8(&t->bytes, 0);
	return span;
}

struct span txn_put(struct evidence_txn *t, struct slice bytes)
{
	size_t mark = t->bytes.len;

	buf_put(&t->bytes, bytes);
	return txn_span_since(t, mark);
}

struct span txn_put_text(struct evidence_txn *t, const char *text)
{
	return text ? txn_put(t, slice_str(text)) : (struct span){ 0 };
}

/* ---- writing, on the writer's thread --------------------------------------
 */

static struct slice bytes_of(const struct evidence_txn *t, struct span span)
{
	return slice_of(t->bytes.data + span.at, span.len);
}

static const char *text_of(const struct evidence_txn *t, struct span span)
{
	return span.is_set ? (const char *)t->bytes.data + span.at : NULL;
}

static int apply_leaf(struct store *s, const struct evidence_txn *t,
		      const struct op *op)
{
	return store_leaf_add(s, op->index, op->at_ms,
			      leaf_kind_name((enum leaf_kind)op->number),
			      text_of(t, op->name), &op->digest,
			      bytes_of(t, op->bytes));
}

static int apply_tile(struct store *s, const struct evidence_txn *t,
		      const struct op *op)
{
	return store_tile_add(s, op->number, op->index, bytes_of(t, op->bytes));
}

static int apply_put(struct store *s, const struct evidence_txn *t,
		     const struct op *op)
{
	const char *values[STORE_COLUMNS_MAX];

	for (size_t i = 0; i < STORE_COLUMNS_MAX; i++)
		values[i] = text_of(t, op->values[i]);
	return store_put_text(s, (enum noun)op->number, text_of(t, op->name),
			      bytes_of(t, op->bytes), values, t->stamp);
}

static int apply_delete(struct store *s, const struct evidence_txn *t,
			const struct op *op)
{
	return store_delete(s, (enum noun)op->number, text_of(t, op->name));
}

static int apply_reply(struct store *s, const struct evidence_txn *t,
		       const struct op *op)
{
	return store_reply_put(s, text_of(t, op->name), text_of(t, op->bytes),
			       &op->digest, text_of(t, op->about), op->at_ms);
}

static int apply_seen(struct store *s, const struct evidence_txn *t,
		      const struct op *op)
{
	return store_seen_put(s, text_of(t, op->name), text_of(t, op->bytes),
			      op->at_ms);
}

static int apply_subject(struct store *s, const struct evidence_txn *t,
			 const struct op *op)
{
	return store_subject_add(s, text_of(t, op->name),
				 bytes_of(t, op->bytes), op->number);
}

static int apply_payload(struct store *s, const struct evidence_txn *t,
			 const struct op *op)
{
	return store_payload_add(s, op->index, op->number, text_of(t, op->name),
				 bytes_of(t, op->bytes));
}

static int apply_checkpoint(struct store *s, const struct evidence_txn *t,
			    const struct op *op)
{
	return store_checkpoint_add(s, op->index, &op->digest, op->at_ms,
				    bytes_of(t, op->bytes));
}

static int apply_outbox(struct store *s, const struct evidence_txn *t,
			const struct op *op)
{
	const char *words = text_of(t, op->bytes);
	const struct outbox_change change = {
		.act = (enum outbox_act)op->number,
		.id = text_of(t, op->name),
		.about = text_of(t, op->about),
		.human = words,
		.why = words,
		.endpoint = text_of(t, op->values[0]),
		.event = text_of(t, op->values[1]),
		.role = text_of(t, op->values[2]),
		.at_ms = op->at_ms,
		.until_ms = (int64_t)op->index,
		.at_most = (int64_t)op->index,
		.attempts = (int64_t)(op->index >> 1),
		.is_dead = op->index & 1,
	};

	return store_outbox_change(s, &change);
}

static int apply_cosignature(struct store *s, const struct evidence_txn *t,
			     const struct op *op)
{
	return store_cosignature_put(s, op->index, text_of(t, op->name),
				     op->at_ms, bytes_of(t, op->bytes));
}

static int apply_cosignatures_drop(struct store *s,
				   const struct evidence_txn *t UNUSED,
				   const struct op *op)
{
	return store_cosignatures_drop(s, op->index);
}

static int apply_erase(struct store *s, const struct evidence_txn *t,
		       const struct op *op)
{
	TRY(store_subject_erase(s, text_of(t, op->name)));
	if (op->about.is_set)
		TRY(store_replies_drop(s, text_of(t, op->about)));
	if (op->values[0].is_set)
		TRY(store_notices_drop(s, text_of(t, op->values[0])));
	return 0;
}

int txn_apply(struct store *s, const struct evidence_txn *t)
{
	static int (*const apply[])(struct store * s,
				    const struct evidence_txn *t,
				    const struct op *op) = {
		[OP_LEAF] = apply_leaf,
		[OP_TILE] = apply_tile,
		[OP_PUT] = apply_put,
		[OP_DELETE] = apply_delete,
		[OP_REPLY] = apply_reply,
		[OP_SEEN] = apply_seen,
		[OP_SUBJECT] = apply_subject,
		[OP_PAYLOAD] = apply_payload,
		[OP_CHECKPOINT] = apply_checkpoint,
		[OP_COSIGNATURE] = apply_cosignature,
		[OP_COSIGNATURES_DROP] = apply_cosignatures_drop,
		[OP_ERASE] = apply_erase,
		[OP_OUTBOX] = apply_outbox,
	};

	for (size_t i = 0; i < t->op_count; i++)
		TRY(apply[t->ops[i].kind](s, t, &t->ops[i]));
	return 0;
}
