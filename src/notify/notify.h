/*
 * Notification: who is told, durably, by signed webhooks and by mail.
 *
 * A notice is put into the transaction of what it tells of, one row of the
 * outbox for each webhook and each person.  What is durable is sent, at least
 * once and in no order, each row under an id of its own that stays the same;
 * what is not taken is tried again, ever more seldom, and in the end it is a
 * dead letter.  All of it is bounded: an endpoint that hangs or is full costs
 * its own notices, the oldest first, and never anything else.
 */
#pragma once

#include "evidence/evidence.h"
#include "net/transfer.h"
#include "notify/event.h"

enum {
	NOTIFY_ENDPOINT_ROWS_MAX = 1000, /* in the outbox, by default */
	NOTIFY_FLYING_MAX = 16,		 /* under way at once */
	NOTIFY_ENDPOINT_FLYING_MAX = 2,	 /* the same for one endpoint */
	NOTIFY_TIMEOUT_MS = 10 * 1000,	 /* of one try */
	NOTIFY_ANSWER_MAX = 16 * 1024,	 /* bytes of an answer's body */
};

struct notifier;

struct notify_config {
	struct loop *loop;
	struct evidence *evidence;
	struct transfers *transfers;
	const json_t *config; /* "notify" of writd.yaml, checked; NULL: nobody
			       * is told anything */
	/* The address of a human for mail: borrowed, NULL if there is none. */
	const char *(*address)(void *cookie, const char *human);
	/* An endpoint takes notices, or does not any more (why).  May be NULL.
	 */
	void (*changed)(void *cookie, const char *endpoint, bool works,
			const char *why);
	void *cookie;
};

/*
 * Reads the secrets' files once, to see that they can be used, and takes up
 * what is in the outbox.  Endpoints that are not configured any more leave dead
 * letters.
 *
 * Errors: ERR_SYNTAX (a URL, an address, a secret), ERR_IO, ERR_NOT_FOUND.
 */
MUST_USE int notify_open(const struct notify_config *config,
			 struct notifier **ret_notifier);
/* What of that can be seen without a log and a loop; for --check-config.
 * reach: addresses that are named.  Errors: as above, ERR_REFUSED (a secret is
 * open to others; a URL without TLS to what is not named). */
MUST_USE int notify_check(const json_t *config, const struct reach *reach);
/* Ends what is under way; it is sent again at the next start. */
void notify_close(struct notifier *n);
DEFINE_CLEANUP(struct notifier *, notify_close)

/* Who is to be told.  Webhooks are chosen by all three, mail goes to humans. */
enum notice_kind { NOTICE_TO_HUMAN, NOTICE_TO_GROUP, NOTICE_TO_AGENT };

struct notice_to {
	enum notice_kind kind;
	const char *name;
};

struct notice {
	enum notify_event event;
	const char *about; /* id of the thing */
	const char *role;  /* of who is told: "approver", "requester", ... */
	const struct notice_to *to;
	size_t to_count;
};

/* Whether anybody would be told of such an event at all; n may be NULL. */
bool notify_wants(const struct notifier *n, enum notify_event event);

/* Puts a notice into t.  Nothing for which no endpoint is configured is written
 * down.  n may be NULL. */
void notify_put(struct notifier *n, struct evidence_txn *t,
		const struct notice *notice);

/* {"waiting", "dead", "dropped", "oldest" (time), "endpoints": [{"name",
 * "works", "why", "held"}]}; owned. */
json_t *notify_health(const struct notifier *n);

/* Rows of the outbox as people see them, at most max, oldest first; state as in
 * store_outbox_list().  Owned array.  Errors: ERR_IO. */
MUST_USE int notify_list(const struct notifier *n, const char *state,
			 unsigned max, json_t **ret_rows);
/* One of them.  Errors: ERR_NOT_FOUND, ERR_IO. */
MUST_USE int notify_find(const struct notifier *n, const char *id,
			 json_t **ret_row);
/* Begins anew with a notice, or lets go of it, in t. */
void notify_retry(struct notifier *n, struct evidence_txn *t, const char *id);
void notify_drop(struct notifier *n, struct evidence_txn *t, const json_t *row);
