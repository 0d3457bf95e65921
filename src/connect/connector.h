/*
 * The host side of one connector: a child process per target that is started,
 * asked, bounded, timed, and started again when it dies, hangs or says
 * something it should not.  It is asked as many things ahead as it describes
 * ("pipeline"), at most CONNECTOR_PIPELINE_MAX, and answers in order.
 *
 * Lives on the loop's thread.  No callback comes from within connector_open()
 * or connector_call().
 */
#pragma once

#include "base/json.h"
#include "base/loop.h"
#include "connect/protocol.h"

struct connector;

enum { CONNECTOR_PIPELINE_MAX = 64 };

/*
 * How a call ended.  For apply, what is certain about the target:
 *
 *   OK        result says "applied" or "no-change"
 *   REFUSED   the connector refused: certainly no effect
 *   BUSY      never sent (queue full, waited too long, or closing): no effect
 *   UNKNOWN, TIMEOUT, DIED, MALFORMED
 *             sent, and nobody can tell: read back before anything else
 */
enum connect_status {
	CONNECT_OK,
	CONNECT_REFUSED,
	CONNECT_BUSY,
	CONNECT_UNKNOWN,   /* apply answered with an error */
	CONNECT_TIMEOUT,   /* no answer in time; the child is ended */
	CONNECT_DIED,	   /* the child ended with the call in its hands */
	CONNECT_MALFORMED, /* the answer breaks the protocol; the child is
			      ended */
};

/* "ok", "refused", "busy", "unknown", "timeout", "died", "malformed". */
const char *connect_status_name(enum connect_status status);

struct connector_result {
	enum connect_status status;
	/* Checked against the method's shape.  Borrowed: json_incref() to keep
	 * it.  NULL unless OK, or REFUSED by an apply. */
	json_t *json;
	const char *reason; /* one word: the connector's when REFUSED, else
			       the status' name; never NULL; borrowed */
	const char *detail; /* words for operators; never NULL; borrowed */
};

enum connector_priority {
	CONNECTOR_NORMAL,
	/* Ends: before all others that wait, with slots of their own, one of
	 * them among what the child is asked ahead. */
	CONNECTOR_FIRST,
};

typedef void (*connector_done_fn)(void *cookie,
				  const struct connector_result *result);

struct connector_config {
	struct loop *loop;
	const char *target;	    /* name, for messages */
	const char *const *command; /* NULL-terminated; [0] has a '/' */
	/* The file whose digest the build must be; NULL for command[0] (wrong
	 * where that is an interpreter). */
	const char *build_file;
	size_t queue_max;   /* NORMAL calls that wait; 0: 256 */
	size_t reserve_max; /* further slots for FIRST; 0: as queue_max */
	int64_t wait_ms;    /* longest wait in the queue; 0: 30 s */
	int64_t timeout_ms[CONNECT_METHOD_COUNT]; /* 0: the method's own */
	int64_t restart_min_ms; /* first pause before a restart; 0: 100 ms */
	int64_t restart_max_ms; /* the pause doubles up to this; 0: 30 s */
	/* The child has described itself well; it is gone.  Either may be
	 * NULL. */
	void (*up)(void *cookie);
	void (*down)(void *cookie, const char *why);
	void *cookie;
};

/*
 * Starts the connector.  A program that does not start or describe itself
 * wrongly is not an error here: it is told by down() and tried again.
 *
 * config: copied, also command and texts.
 * Errors: ERR_SYNTAX for a command without a path.
 */
MUST_USE int connector_open(const struct connector_config *config,
			    struct connector **ret_connector);

/*
 * Ends the child; not from within one of its callbacks.  Every call still open
 * is answered from within this: DIED if it was sent, BUSY if not.  So is a call
 * made meanwhile; who asks again at every BUSY would never be done.
 */
void connector_close(struct connector *c);
DEFINE_CLEANUP(struct connector *, connector_close)

/*
 * Queues a call; done comes exactly once.  When the child is lost, an apply it
 * was sent is told so; what has no effect and was not its turn is asked again.
 *
 * params: owned by the call, an object.
 * timeout_ms: time the child has once it has answered what it was sent before;
 *   0: as configured.
 */
void connector_call(struct connector *c, enum connect_method method,
		    json_t *params, enum connector_priority priority,
		    int64_t timeout_ms, connector_done_fn done, void *cookie);

/* What the running child answered to describe; borrowed until it goes down;
 * NULL while it is not up. */
const json_t *connector_describe(const struct connector *c);

/* The build of the last child that was up, "sha256:..."; "" if none was. */
const char *connector_build(const struct connector *c);

bool connector_is_up(const struct connector *c);

/* The row of describe's "actions" for an action, or NULL; borrowed like
 * connector_describe(). */
const json_t *connector_action(const struct connector *c, const char *action);

/* Calls that wait or are in flight. */
size_t connector_load(const struct connector *c);
