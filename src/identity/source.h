/*
 * A document that is fetched again and again, for as long as the last good one
 * is fresh enough to be believed.  What it says is its owner's business.
 */
#pragma once

#include "base/json.h"
#include "identity/refresh.h"
#include "net/transfer.h"

enum {
	SOURCE_REDIRECTS_MAX = 3,
	SOURCE_AFTER_MAX_MS = 24 * 3600 * 1000, /* between two fetches */
};

struct source {
	struct transfers *transfers; /* borrowed; NULL: nothing is fetched */
	struct refresh refresh;
	struct transfer *transfer; /* under way, or NULL */
	int64_t stale_ms;	   /* age at which a document counts no more */
	int64_t good_wall_ms;	   /* when it was last fetched well; 0: never */
	int64_t good_boot_ms;	   /* the same; -1: before this process */
	bool stale;
	bool changed;			 /* its keys are others than before */
	char *fault;			 /* owned: not yet told, or NULL */
	char trouble[TRANSFER_TEXT_MAX]; /* of the last fetch, "" if well */
	/* What source_fetch() was given. */
	int (*take)(void *owner, const struct transfer_result *result,
		    int64_t *ret_after_ms);
	void *owner;
};

/*
 * Fetches a document: take is given an answer of status 200 and says when the
 * next fetch is due; what it returns below 0 is a failure like any other.
 * Answers that fail are told by source_tell().
 */
void source_fetch(struct source *s, const struct transfer_request *request,
		  int (*take)(void *owner, const struct transfer_result *result,
			      int64_t *ret_after_ms),
		  void *owner);

/* Cancels the fetch under way, if there is one. */
void source_drop(struct source *s);

/* A good document is there, fetched at wall_ms. */
void source_good(struct source *s, int64_t wall_ms, int64_t boot_ms);

/* True if a good document is there and fresh enough. */
bool source_is_good(const struct source *s);

/* Whether it is time for a fetch. */
bool source_is_due(const struct source *s);

/* Sees whether the document has become too old; then it is a change. */
void source_look(struct source *s);

/* Notes a fault in words; it is told once, however often it comes. */
void source_fail(struct source *s, const char *why);

/* Appends the fault that has not been told, as "name: words"; true if the keys
 * have changed since the last call. */
bool source_tell(struct source *s, const char *name, json_t *faults);

/* Ends what is under way and releases what it holds. */
void source_clear(struct source *s);

/* Half of the age at which it counts no more, and at most a day: after_ms
 * within least_ms and that. */
int64_t source_after(const struct source *s, int64_t after_ms,
		     int64_t least_ms);
