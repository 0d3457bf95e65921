/*
 * What a process shuts behind itself once it has opened what it needs: the
 * calls of the kernel it will not make (seccomp), the files it will not touch
 * (Landlock), new rights and core files.  A library of its own, because it
 * needs libseccomp.
 *
 * Nothing of it can be undone, and all of it holds for programs that are
 * started afterwards.
 */
#pragma once

#include "base/json.h"

enum sandbox_mode {
	SANDBOX_OFF,
	SANDBOX_ON,	  /* as far as this kernel and this build can */
	SANDBOX_REQUIRED, /* all of it, or an error */
};

/* Reads "off", "on" or "required"; false for anything else. */
bool sandbox_mode_parse(const char *text, enum sandbox_mode *ret_mode);

enum sandbox_profile {
	/* It starts programs that others wrote, and they inherit this: all
	 * calls but those that no part of it has a use for; every file may be
	 * read and executed. */
	SANDBOX_HOST,
	/* No network, no program, no memory that is both data and code: the
	 * calls of one who reads, reckons and writes. */
	SANDBOX_CLOSED,
	/* The same, and connections to others; never from others. */
	SANDBOX_CLIENT,
};

enum { SANDBOX_WHY_MAX = 160 }; /* bytes with the NUL */

/*
 * A file, or a folder with all in it; one that is not there is passed over.
 * The right to a file is lost when another takes its place by rename, so for
 * what is replaced while the program runs name the folder.
 */
struct sandbox_path {
	const char *path;
	bool write; /* and make, rename, remove; reading comes with it */
};

struct sandbox {
	enum sandbox_mode mode;
	enum sandbox_profile profile;
	const struct sandbox_path *paths;
	size_t path_count;
	bool any_path;	/* all paths as before: without Landlock */
	unsigned files; /* descriptors at a time; 0: as before */
};

/* What is shut. */
struct sandbox_state {
	enum sandbox_mode mode;
	bool seccomp;
	int landlock;		   /* the kernel's version of it; 0: not */
	char why[SANDBOX_WHY_MAX]; /* what is missing; empty for nothing */
};

/*
 * Shuts it for all threads as to calls, and for the calling thread and those it
 * starts as to files: call it before there are others.  SANDBOX_OFF leaves all
 * as it is.  A build with sanitizers needs more calls than are allowed: there
 * SANDBOX_ON does nothing but say so.
 *
 * ret_state: filled in any case.
 * Errors: for SANDBOX_REQUIRED ERR_UNAVAILABLE; else none.
 */
MUST_USE int sandbox_enter(const struct sandbox *sandbox,
			   struct sandbox_state *ret_state);

/* True when this program was built with sanitizers. */
bool sandbox_is_sanitized(void);

/* {"mode", "seccomp", "landlock", "why"} without why if nothing is missing;
 * owned. */
json_t *sandbox_report(const struct sandbox_state *state);
