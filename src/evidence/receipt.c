/* The checks of single leaves: receipts and disclosures. */
#include "evidence/verify.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/merkle.h"
#include "evidence/evidence.h"

/* Takes the next line, without its line feed. */
static bool next_line(struct slice *rest, struct slice *ret_line)
{
	const uint8_t *end;

	if (rest->len == 0)
		return false;
	end = memchr(rest->ptr, '\n', rest->len);
	if (!end)
		return false;
	*ret_line = slice_of(rest->ptr, (size_t)(end - rest->ptr));
	*rest = slice_of(end + 1, rest->len - ret_line->len - 1);
	return true;
}

static bool skip(struct slice *line, const char *prefix)
{
	size_t len = strlen(prefix);

	if (line->len < len || memcmp(line->ptr, prefix, len) != 0)
		return false;
	*line = slice_of(line->ptr + len, line->len - len);
	return true;
}

/* Decimal without leading zeros, below 2^63. */
static bool read_index(struct slice text, uint64_t *ret_index)
{
	uint64_t index = 0;

	if (text.len == 0 || text.len > 19 ||
	    (text.len > 1 && text.ptr[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		index = index * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	*ret_index = index;
	return index <= INT64_MAX;
}

static bool read_hash(struct slice line, struct digest *ret_hash)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(DIGEST_LEN);

	if (text_from_base64(line, &b) < 0 || b.len != DIGEST_LEN)
		return false;
	memcpy(ret_hash->bytes, b.data, DIGEST_LEN);
	return true;
}

static bool read_hashes(struct slice *rest, struct verify_receipt *receipt)
{
	struct slice line;

	for (;;) {
		if (!next_line(rest, &line))
			return false;
		if (line.len == 0)
			return true;
		if (receipt->count == ARRAY_LEN(receipt->nodes) ||
		    !read_hash(line, &receipt->nodes[receipt->count++]))
			return false;
	}
}

static bool read_receipt(struct slice text, struct verify_receipt *receipt)
{
	CLEANUP(buf_clear) struct buf extra = BUF_INIT(VERIFY_PROOF_MAX);
	struct slice line;

	if (!next_line(&text, &line) ||
	    !slice_is(line, "c2sp.org/tlog-proof@v1") ||
	    !next_line(&text, &line))
		return false;
	/* Unauthenticated: looked over, not used. */
	if (skip(&line, "extra ") &&
	    (text_from_base64(line, &extra) < 0 || !next_line(&text, &line)))
		return false;
	if (!skip(&line, "index ") || !read_index(line, &receipt->index) ||
	    !read_hashes(&text, receipt))
		return false;
	receipt->note = text;
	return text.len > 0;
}

int verify_receipt_parse(struct slice text, struct verify_receipt *ret_receipt)
{
	struct verify_receipt receipt = { 0 };

	if (text.len > VERIFY_PROOF_MAX)
		return error_set(ERR_LIMIT, "a proof of %zu bytes", text.len);
	if (!read_receipt(text, &receipt))
		return error_set(ERR_SYNTAX, "not a tlog-proof");
	*ret_receipt = receipt;
	return 0;
}

static void set_result(json_t *report, bool holds, const char *sentence)
{
	json_set_text(report, "verdict", holds ? "ok" : "finding");
	json_set_text(report, "sentence", sentence);
}

/* What a receipt says of a leaf; the sentence when it does not hold. */
static const char *check_receipt(const struct note_vkey *vkey,
				 struct slice proof, struct slice leaf,
				 json_t *report, struct slice *ret_note)
{
	CLEANUP(mem_free_p) char *root = NULL;
	struct digest hash = merkle_leaf(leaf);
	struct verify_receipt receipt;
	struct checkpoint c;

	if (verify_receipt_parse(proof, &receipt) < 0)
		return "The proof is not in the form of a tlog-proof.";
	json_set_int(report, "index", (int64_t)receipt.index);
	if (checkpoint_open(receipt.note, vkey, &c) < 0)
		return "The proof's checkpoint is not signed by this log.";
	root = text_base64(digest_slice(&c.root));
	json_set_int(report, "size", (int64_t)c.size);
	json_set_text(report, "root", root);
	*ret_note = receipt.note;
	if (!merkle_inclusion_holds(receipt.index, c.size, &hash, receipt.nodes,
				    receipt.count, &c.root))
		return "The leaf is not what the proof proves.";
	return NULL;
}

/* The same for who cosigned; owned. */
static char *check_policy(const struct witness_policy *policy,
			  const struct note_vkey *vkey, struct slice note,
			  int64_t now_ms, json_t *report)
{
	CLEANUP(mem_free_p) char *why = NULL;
	json_t *witnessed;

	if (!witness_policy_has_log(policy, vkey))
		return mem_str("The policy is not for this log.");
	if (!verify_witnesses(policy, note, now_ms, &witnessed, &why))
		json_set_text(witnessed, "why", why);
	json_object_set(witnessed, "size", json_object_get(report, "size"));
	json_set_new(report, "witnessed", witnessed);
	return why ? mem_format("The proof's checkpoint: %s.", why) : NULL;
}

int verify_proof(const char *vkey, const struct witness_policy *policy,
		 int64_t now_ms, struct slice proof, struct slice leaf,
		 json_t **ret_report)
{
	CLEANUP(mem_free_p) char *fault = NULL;
	struct slice note = { NULL, 0 };
	struct note_vkey key;
	const char *why;
	json_t *report;
	json_t *value;

	TRY(note_vkey_parse(vkey, &key));
	report = json_object();
	why = check_receipt(&key, proof, leaf, report, &note);
	if (!why && policy)
		why = fault = check_policy(policy, &key, note, now_ms, report);
	set_result(report, !why, why ? why : "The leaf is in the log.");
	if (json_parse(leaf, EVIDENCE_LEAF_MAX, &value) == 0)
		json_set_new(report, "leaf", value);
	*ret_report = report;
	return 0;
}

static int commitment_of(const json_t *disclosure, char **ret_commitment)
{
	CLEANUP(buf_clear) struct buf salt = BUF_INIT(DIGEST_LEN);
	CLEANUP(buf_clear) struct buf payload = BUF_INIT(EVIDENCE_PAYLOAD_MAX);
	const char *text = json_text(disclosure, "salt", "");
	const json_t *value = json_object_get(disclosure, "payload");

	if (!value || text_from_base64url(slice_str(text), &salt) < 0 ||
	    salt.len != DIGEST_LEN)
		return error_set(ERR_SYNTAX, "not a disclosure");
	if (json_put_canonical(&payload, value) < 0 || payload.overflow)
		return error_set(ERR_SYNTAX, "not a disclosure's payload");
	*ret_commitment = evidence_commitment(salt.data, buf_slice(&payload));
	return 0;
}

int verify_disclosure(struct slice leaf, unsigned part,
		      const json_t *disclosure, json_t **ret_report)
{
	CLEANUP(mem_free_p) char *commitment = NULL;
	CLEANUP(json_put_p) json_t *value = NULL;
	const char *committed;
	bool holds;

	TRY(json_parse(leaf, EVIDENCE_LEAF_MAX, &value));
	if (!json_is_object(value))
		return error_set(ERR_SYNTAX, "not a leaf");
	TRY(commitment_of(disclosure, &commitment));
	committed = json_string_value(
		json_array_get(json_array_in(value, "commit"), part));
	holds = committed && !strcmp(committed, commitment);
	*ret_report = json_object();
	set_result(*ret_report, holds,
		   holds ? "The payload is what the leaf commits to."
			 : "The leaf does not commit to this payload.");
	return 0;
}
