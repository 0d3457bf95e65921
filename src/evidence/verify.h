/*
 * The offline verifier: an auditor's own check of an evidence log, from its
 * public files alone.  It trusts a verifier key and, if there is one, a state
 * file of its own with the last checkpoint it saw per origin; nothing that the
 * log says about itself.
 *
 * What it cannot show: leaves that were never written, and a log that is whole
 * but was never shown to anybody else.
 */
#pragma once

#include "base/json.h"
#include "evidence/witness_policy.h"

enum {
	VERIFY_PROOF_MAX = 128 * 1024,	/* bytes of a .tlog-proof */
	VERIFY_FINDINGS_MAX = 100,	/* findings listed in a report */
	VERIFY_STATE_MAX = 1024 * 1024, /* bytes of a state file */
};

/*
 * Appends the file at a C2SP tlog-tiles path ("checkpoint", "tile/0/000", ...)
 * to b.  Errors: ERR_NOT_FOUND (the log does not have it: a finding), any other
 * (it could not be asked: the verdict is unknown).
 */
typedef int (*verify_fetch_fn)(void *cookie, const char *path, struct buf *b);

struct verify_config {
	const char *vkey; /* C2SP verifier key of the log */
	/* Exactly one: a folder with the files, or a way to fetch them. */
	const char *folder;
	verify_fetch_fn fetch;
	void *cookie;
	/* The auditor's state file, made if absent and replaced when nothing
	 * was found; NULL for none. */
	const char *state;
	int64_t now_ms; /* wall time, for ages and the state file */
	/* Whose cosignatures the log must have; NULL: nobody's. */
	const struct witness_policy *policy;
};

/*
 * Checks a whole log: the checkpoint's signature, every entry's hash, the tiles
 * of every level, the root, consistency with the state file, and what leaves
 * must say (times in order, every effect decided before and ended after).  With
 * a policy also that its quorum has cosigned the checkpoint, or the one in the
 * file checkpoint.witnessed, of which this log is a continuation.
 *
 * ret_report: owned,
 *   {"verdict": "ok" | "finding" | "unknown", "sentence": text,
 *    "origin", "size", "root": base64,
 *    "findings": [{"index"?: n, "what": text}],
 *    "open": [{"index": n, "about": id}],   armed, no end recorded yet
 *    "lent": [{"index": n, "about": id, "expires": s}],   credentials likewise
 *    "previous": {"size", "root", "at": RFC 3339, "ageSeconds"} or null,
 *    "witnessed": {"size", "quorum": bool,      with a policy alone
 *                  "witnesses": [{"name", "at", "ageSeconds"}]}}
 * A log that does not verify is not an error but a report.
 * Errors: ERR_SYNTAX (vkey or state file), ERR_IO (state file), ERR_LIMIT.
 */
MUST_USE int verify_log(const struct verify_config *config,
			json_t **ret_report);

/* A C2SP .tlog-proof taken apart; views into the text. */
struct verify_receipt {
	uint64_t index;
	unsigned count;
	struct digest nodes[64];
	struct slice note;
};

/* Errors: ERR_SYNTAX, ERR_LIMIT. */
MUST_USE int verify_receipt_parse(struct slice text,
				  struct verify_receipt *ret_receipt);

/*
 * Checks that leaf (its exact bytes) is in the log of vkey by a .tlog-proof,
 * and with a policy (or NULL) that its quorum has cosigned the checkpoint.
 *
 * ret_report: owned, {"verdict": "ok" | "finding", "sentence", "index", "size",
 * "root", "leaf": the parsed leaf, "witnessed": as in verify_log()}; the last
 * five only where they are known.
 * Errors: ERR_SYNTAX (vkey).
 */
MUST_USE int verify_proof(const char *vkey, const struct witness_policy *policy,
			  int64_t now_ms, struct slice proof, struct slice leaf,
			  json_t **ret_report);

/*
 * Who of a policy has cosigned a note, which carries the log's signature.
 *
 * ret_report: owned, the "witnessed" above but for "size".
 * ret_why: what is wrong, owned, or NULL when the quorum is there.
 */
bool verify_witnesses(const struct witness_policy *policy, struct slice note,
		      int64_t now_ms, json_t **ret_report, char **ret_why);

/*
 * Checks a disclosed payload, {"salt": base64url, "payload": value}, against
 * commitment number part of leaf (its exact bytes).
 *
 * ret_report: owned, {"verdict": "ok" | "finding", "sentence"}.
 * Errors: ERR_SYNTAX for a disclosure that has no such form, or a leaf that is
 * no JSON object.
 */
MUST_USE int verify_disclosure(struct slice leaf, unsigned part,
			       const json_t *disclosure, json_t **ret_report);
