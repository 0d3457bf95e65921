/* What the log shows: proofs, receipts, and the files of tlog-tiles. */
#include "evidence/internal.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/text.h"
#include "evidence/bundle.h"

int evidence_prove(struct evidence *e, uint64_t index, uint64_t size,
		   struct merkle_proof *ret_proof)
{
	if (index >= size || size > e->durable.size)
		return error_set(ERR_NOT_FOUND,
				 "leaf %" PRIu64 " is not in a tree of %" PRIu64
				 " durable leaves",
				 index, size);
	return merkle_inclusion_prove(tree_node, e->tree, index, size,
				      ret_proof);
}

struct slice evidence_checkpoint(const struct evidence *e)
{
	return buf_slice(&e->published_note);
}

/* The note a receipt of that strength rests on. */
static struct slice note_of(const struct evidence *e,
			    enum receipt_strength strength, uint64_t *ret_size)
{
	if (strength == RECEIPT_WITNESSED)
		return witnesses_note(e->witnesses, ret_size);
	*ret_size = e->published_size;
	return buf_slice(&e->published_note);
}

int evidence_receipt(struct evidence *e, uint64_t index,
		     enum receipt_strength strength, struct buf *b)
{
	struct merkle_proof proof;
	uint64_t size;
	struct slice note = note_of(e, strength, &size);

	if (index >= size)
		return error_set(
			ERR_NOT_FOUND, "leaf %" PRIu64 " is not %s yet", index,
			strength == RECEIPT_WITNESSED ? "witnessed" : "signed");
	TRY(evidence_prove(e, index, size, &proof));
	buf_putf(b, "c2sp.org/tlog-proof@v1\nindex %" PRIu64 "\n", index);
	for (unsigned i = 0; i < proof.count; i++) {
		text_put_base64(b, digest_slice(&proof.nodes[i]));
		buf_put_str(b, "\n");
	}
	buf_put_str(b, "\n");
	buf_put(b, note);
	return 0;
}

static int put_note(struct slice note, struct buf *b, const char **ret_type)
{
	if (note.len == 0)
		return error_set(ERR_NOT_FOUND, "nothing is published yet");
	buf_put(b, note);
	*ret_type = "text/plain; charset=utf-8";
	return 0;
}

static int put_checkpoint(struct evidence *e, struct buf *b,
			  const char **ret_type)
{
	TRY(put_note(buf_slice(&e->published_note), b, ret_type));
	witnesses_put_lines(e->witnesses, e->published_size, b);
	return 0;
}

static int put_witnessed(struct evidence *e, struct buf *b,
			 const char **ret_type)
{
	uint64_t size;

	return put_note(witnesses_note(e->witnesses, &size), b, ret_type);
}

static int put_tile(struct evidence *e, const char *path, struct buf *b,
		    const char **ret_type)
{
	struct tile_id id;

	TRY(tile_parse(path, &id));
	if (!tile_is_within(&id, e->published_size))
		return error_set(ERR_NOT_FOUND, "not in the published tree");
	if (id.is_entries)
		TRY(entry_bundle_write(e->reader, &id, b));
	else
		TRY(tree_tile(e->tree, id.level, id.number, id.width, b));
	*ret_type = "application/octet-stream";
	return 0;
}

int evidence_public_file(struct evidence *e, const char *path, struct buf *b,
			 const char **ret_type)
{
	if (!strcmp(path, "checkpoint"))
		return put_checkpoint(e, b, ret_type);
	if (!strcmp(path, "checkpoint.witnessed"))
		return put_witnessed(e, b, ret_type);
	return put_tile(e, path, b, ret_type);
}
