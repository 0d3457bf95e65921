/* A folder of its own, a real SSH key, and `writ` run within the process. */
#pragma once

#include "base/base.h"

/* Makes a folder, points HOME at it and clears WRIT_* and XDG_*. */
void fixture_open(void);
void fixture_close(void); /* removes it */

/* "FOLDER/name", owned. */
char *fixture_path(const char *name);
void fixture_write(const char *name, const char *text);
char *fixture_read(const char *name); /* owned; NULL if there is none */

/* Makes an Ed25519 key pair "name", "name.pub" with a passphrase ("" none). */
void fixture_key(const char *name, const char *passphrase);

struct run {
	int code;
	char *out; /* owned */
	char *err; /* owned */
};

/* Runs `writ` with these words, standard input being input. */
struct run run_writ(const char *input, const char *const *words);
void run_clear(struct run *r);

#define RUN(input, ...)                                                        \
	run_writ((input), (const char *const[]){ __VA_ARGS__, NULL })
