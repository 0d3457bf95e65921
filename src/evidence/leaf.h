/*
 * The kinds of leaves, one row each.  A leaf is one RFC 8785 object:
 *
 *   {"about": id, "at": wall ms, "commit": ["c:..."], "kind": ..., "v": 1,
 *    ... public members of its kind ...}
 *
 * Names of people, resources and tasks' words are personal data: they stand in
 * the payload parts that "commit" commits to, never in the leaf.
 */
#pragma once

#include "base/base.h"

/* kind, text, what it says */
#define LEAF_KINDS(ROW)                                                        \
	ROW(GENESIS, "genesis", "the log begins")                              \
	ROW(CONFIG, "config", "the daemon started, with this build")           \
	ROW(CHANGE, "change", "inventory changed, signed by these")            \
	ROW(PERSON, "person", "what a change says of one human")               \
	ROW(POLICY, "policy", "a policy bundle was activated")                 \
	ROW(TASK, "task", "a task was opened or ended")                        \
	ROW(RECORD, "record", "a prompt or tool trace was attached")           \
	ROW(VOUCHER, "voucher", "a human vouched for evidence")                \
	ROW(DECISION, "decision", "a request was decided")                     \
	ROW(APPROVAL, "approval", "a human signed for or against a plan")      \
	ROW(ARMED, "armed", "an effect may now happen")                        \
	ROW(OUTCOME, "outcome", "what an armed effect came to")                \
	ROW(ENDED, "ended", "a grant ended and was read back")                 \
	ROW(ISSUED, "issued", "one credential may be made, once")              \
	ROW(DELIVERED, "delivered", "what was lent was handed out, once")      \
	ROW(REVOKED, "revoked", "a human ended what was granted, signed")      \
	ROW(READ, "read", "an agent was told what a target holds")             \
	ROW(CLOSED, "closed", "a request ended without an effect")             \
	ROW(RESOLVED, "resolved", "an unknown outcome was closed by a human")  \
	ROW(RECOVERY, "recovery", "what was found after a restart")            \
	ROW(DRILL, "drill", "a way back was tried")                            \
	ROW(CONTAIN, "contain", "an agent or task was contained")              \
	ROW(RELEASE, "release", "a containment was lifted")                    \
	ROW(LOGIN, "login", "a human logged in")                               \
	ROW(DISCLOSED, "disclosed", "a payload was read")                      \
	ROW(ERASED, "erased", "what was kept of somebody was erased, signed")  \
	ROW(REFUSED, "refused", "calls refused: unproved, or over a quota")    \
	ROW(DEGRADED, "degraded", "a condition that stops arming, on or off")  \
	ROW(INCIDENT, "incident", "something that should not have been tried") \
	ROW(SIGNAL, "signal", "a detector sent a score")                       \
	ROW(EXCEPTION, "exception", "break-glass: signed, in force, revoked")  \
	ROW(ESCALATED, "escalated", "a group was silent: another may sign")    \
	ROW(NOTICE, "notice", "a human retried or dropped a notification")     \
	ROW(HEARTBEAT, "heartbeat", "these detectors were heard; batched")

enum leaf_kind {
#define LEAF_ENUM(name, text, help) LEAF_##name,
	LEAF_KINDS(LEAF_ENUM)
#undef LEAF_ENUM
		LEAF_KIND_COUNT
};

/* The text of a kind. */
const char *leaf_kind_name(enum leaf_kind kind);
