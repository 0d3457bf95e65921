/* An authority with a log of three leaves, of which one arms a plan and another
 * what that undoes. */
#pragma once

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/merkle.h"
#include "crypto/note.h"

#define AUTHORITY_NAME "authority.example/writ"

enum { AUTHORITY_INDEX = 1 }; /* of the armed leaf */

struct authority {
	struct note_signer *signer;
	struct note_vkey vkey;
};

static inline struct authority authority_new(void)
{
	uint8_t seed[32] = { 7 };
	struct authority a = { 0 };

	if (note_signer_new(AUTHORITY_NAME, slice_of(seed, sizeof(seed)),
			    &a.signer) < 0)
		abort();
	note_signer_vkey(a.signer, &a.vkey);
	return a;
}

static inline void authority_clear(struct authority *a)
{
	note_signer_free(a->signer);
}

static inline void authority_add_node(json_t *proof, const struct digest *node)
{
	CLEANUP(mem_free_p) char *text = text_base64(digest_slice(node));

	json_array_append_new(proof, json_string(text));
}

/* The signed checkpoint of the log; owned. */
static inline char *authority_checkpoint(const struct authority *a,
					 const struct digest *root)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(1024);
	struct buf note = BUF_INIT(NOTE_MAX);
	struct checkpoint head = { .size = 3, .root = *root };

	snprintf(head.origin, sizeof(head.origin), "%s", AUTHORITY_NAME);
	if (checkpoint_format(&head, &text) < 0 ||
	    note_sign(a->signer, buf_slice(&text), &note) < 0)
		abort();
	return buf_take_text(&note);
}

/* The text of a leaf about a plan; owned. */
static inline char *authority_leaf(const char *plan, const char *kind)
{
	struct digest digest = digest_of(slice_str(plan));
	CLEANUP(json_put_p) json_t *leaf = json_object();
	char text[DIGEST_TEXT_LEN];

	digest_format(&digest, text);
	json_set_text(leaf, "kind", kind);
	json_set_text(leaf, "digest", text);
	return json_canonical(leaf);
}

/* Sets "leaf", "index" and "proof" of one of the three leaves. */
static inline void authority_prove(json_t *holder, const char *leaf,
				   uint64_t index,
				   const struct digest hashes[3])
{
	struct digest inner = merkle_node(&hashes[0], &hashes[1]);
	json_t *proof = json_array();

	if (index < 2)
		authority_add_node(proof, &hashes[1 - index]);
	authority_add_node(proof, index < 2 ? &hashes[2] : &inner);
	json_set_text(holder, "leaf", leaf);
	json_set_int(holder, "index", (int64_t)index);
	json_set_new(holder, "proof", proof);
}

/* The order of a plan that the leaf at index is about, and of what it undoes
 * (NULL if nothing), whose leaf of that kind is the next but two; owned. */
static inline json_t *authority_order(const struct authority *a,
				      const char *plan, const char *kind,
				      uint64_t index, const char *base,
				      const char *base_kind)
{
	CLEANUP(mem_free_p) char *leaf = authority_leaf(plan, kind);
	CLEANUP(mem_free_p)
	char *base_leaf = base ? authority_leaf(base, base_kind) : mem_str("0");
	CLEANUP(mem_free_p) char *note = NULL;
	struct digest hashes[3], root;
	uint64_t base_index = (index + 2) % 3;
	json_t *order = json_object();
	json_t *undone = base ? json_object() : json_null();

	hashes[(index + 1) % 3] = merkle_leaf(slice_str("2"));
	hashes[index] = merkle_leaf(slice_str(leaf));
	hashes[base_index] = merkle_leaf(slice_str(base_leaf));
	root = merkle_node(&hashes[0], &hashes[1]);
	root = merkle_node(&root, &hashes[2]);
	note = authority_checkpoint(a, &root);
	json_set_text(order, "plan", plan);
	authority_prove(order, leaf, index, hashes);
	json_set_text(order, "checkpoint", note);
	json_set_new(order, "signatures", json_array());
	if (base) {
		json_set_text(undone, "plan", base);
		authority_prove(undone, base_leaf, base_index, hashes);
	}
	json_set_new(order, "base", undone);
	return order;
}

static inline json_t *authority_arm_at(const struct authority *a,
				       const char *plan, const char *kind,
				       uint64_t index)
{
	return authority_order(a, plan, kind, index, NULL, NULL);
}

/* The order of a plan; owned. */
static inline json_t *authority_arm(const struct authority *a, const char *plan,
				    const char *kind)
{
	return authority_arm_at(a, plan, kind, AUTHORITY_INDEX);
}

/* The order of an end of base; owned. */
static inline json_t *authority_end(const struct authority *a, const char *plan,
				    const char *base, const char *base_kind)
{
	return authority_order(a, plan, "armed", AUTHORITY_INDEX, base,
			       base_kind);
}
