/* A folder, a loop, a keeper for tests and an evidence log in it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evidence/evidence.h"
#include "evidence/keeper.h"

#define TEST_ORIGIN "example.com/writ-test"

struct world {
	char folder[64]; /* holds data/ and keeper/ */
	char data[80];
	char keys[80];
	struct loop *loop;
	struct evidence_keeper *keeper;
	struct evidence *evidence;
	struct buf note; /* the last one signed, empty when refused */
	uint64_t signed_size;
	unsigned lost;	   /* calls */
	unsigned degraded; /* calls with on */
	unsigned healed;   /* calls with off */
	bool flag;	   /* set by world_done() */
	int seen;	   /* for a test's own use */
	/* Whose cosignatures are wanted, NULL for nobody's; a test's own. */
	const struct witness_policy *witnesses;
};

/* cmocka set-up and tear-down: state is a struct world with nothing open. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* Start and stop; may be repeated. */
int world_try_open(struct world *w);
void world_open(struct world *w);
void world_close(struct world *w);

/* A callback that sets flag and stops the loop; cookie is the world. */
void world_done(void *cookie);
/* Runs the loop until flag is set (and clears it); fails after 20 s. */
void world_wait(struct world *w);

/* Adds count leaves (the log's first is its genesis), each in a transaction of
 * its own, and waits until they are durable. */
void world_add(struct world *w, unsigned count);
/* Waits until index is signed; note is what was signed. */
void world_sign(struct world *w, uint64_t index);

/* Makes or removes a file in the keeper's folder. */
void world_tell_keeper(struct world *w, const char *what, bool on);

/* Runs a shell command in the world's folder; it must succeed. */
void world_shell(struct world *w, const char *format, ...) PRINTF_LIKE(2, 3);
/* One statement against the database, triggers removed. */
void world_sql(struct world *w, const char *sql);

struct checkpoint world_checkpoint(struct world *w, struct slice note);
