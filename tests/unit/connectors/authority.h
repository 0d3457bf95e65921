/* An authority with a log of three leaves, the second of which arms a plan. */
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

/* The order of a plan; owned. */
static inline json_t *authority_arm(const struct authority *a, const char *plan,
				    const char *kind)
{
	struct digest digest = digest_of(slice_str(plan));
	struct digest outer[2] = { merkle_leaf(slice_str("0")),
				   merkle_leaf(slice_str("2")) };
	CLEANUP(json_put_p) json_t *leaf = json_object();
	CLEANUP(mem_free_p) char *leaf_text = NULL;
	CLEANUP(mem_free_p) char *note = NULL;
	char digest_text[DIGEST_TEXT_LEN];
	json_t *order = json_object();
	json_t *proof = json_array();
	struct digest inner, root;

	digest_format(&digest, digest_text);
	json_set_text(leaf, "kind", kind);
	json_set_text(leaf, "digest", digest_text);
	leaf_text = json_canonical(leaf);
	inner = merkle_leaf(slice_str(leaf_text));
	inner = merkle_node(&outer[0], &inner);
	root = merkle_node(&inner, &outer[1]);
	note = authority_checkpoint(a, &root);
	authority_add_node(proof, &outer[0]);
	authority_add_node(proof, &outer[1]);
	json_set_text(order, "plan", plan);
	json_set_text(order, "leaf", leaf_text);
	json_set_int(order, "index", AUTHORITY_INDEX);
	json_set_new(order, "proof", proof);
	json_set_text(order, "checkpoint", note);
	json_set_new(order, "signatures", json_array());
	json_set_new(order, "base", json_null());
	return order;
}
