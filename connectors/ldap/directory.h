/*
 * A connection to one LDAP directory, and the few operations that this
 * connector needs.  Referrals and aliases are not followed.  One thread; every
 * function may block up to the configured time for each answer it waits for,
 * and all that follow one directory_connect() for about 12 seconds in sum (a
 * change begins anew).
 *
 * The library's own configuration (ldap.conf, ldaprc, LDAP* variables) is not
 * read: what is not in the options is not used.
 */
#pragma once

#include "base/buf.h"
#include "connectors/ldap/walk.h"

enum {
	DIRECTORY_ANSWER_MAX = 64 << 20, /* bytes of one message from it */
	DIRECTORY_CONTEXTS_MAX = 16,	 /* naming contexts looked through */
	DIRECTORY_PASSWORD_MAX = 1024,	 /* bytes of the password file */
	DIRECTORY_VERSION_MAX = 64,	 /* bytes of an entryCSN with NUL */
	DIRECTORY_DETAIL_MAX = 256,
	DIRECTORY_TIMEOUT_MAX_SECONDS = 10,
};

enum directory_bind { DIRECTORY_BIND_SIMPLE, DIRECTORY_BIND_EXTERNAL };

/* All text is borrowed and must outlive the directory. */
struct directory_options {
	const char *url;       /* ldaps://host, ldap://host, ldapi://%2Fpath */
	bool start_tls;	       /* RFC 4513, 3: refused unless it succeeds */
	const char *ca_file;   /* PEM; needed for TLS */
	const char *cert_file; /* PEM; client certificate, NULL if none */
	const char *key_file;
	enum directory_bind bind;
	const char *bind_dn;
	const char *password_file; /* read at each bind, then wiped */
	const char *base;	   /* name below which the groups lie */
	int timeout_seconds;
};

struct directory;

/*
 * Takes options after checking that they fit together: TLS has its CA file; a
 * password goes only over TLS, ldapi or loopback; EXTERNAL has something to
 * stand on.  Does not connect.
 *
 * ret_directory: owned.
 * Errors: ERR_SYNTAX with the rule that is broken.
 */
MUST_USE int directory_open(const struct directory_options *options,
			    struct directory **ret_directory);

/*
 * Makes sure of a live, bound connection: the idle one is tried first, then a
 * new one is made.  Call it before the others, which do not reconnect.
 *
 * Errors: ERR_UNAVAILABLE (no answer, or no TLS by our rules), ERR_REFUSED
 * (bind refused, or no assertion control, RFC 4528).
 */
MUST_USE int directory_connect(struct directory *d);

/* Object classes that matter here, as bits. */
enum {
	DIRECTORY_GROUP_OF_NAMES = 1 << 0,
	DIRECTORY_GROUP_OF_UNIQUE_NAMES = 1 << 1,
	DIRECTORY_POSIX_GROUP = 1 << 2,
	DIRECTORY_DYNAMIC_GROUP = 1 << 3,
};

struct directory_entry {
	char *name;	/* owned, the server's spelling in normal form */
	char *spelling; /* owned, see dn_spell() */
	char *version;	/* owned, entryCSN; NULL if the server gives none */
	char *uuid;	/* owned, entryUUID; NULL likewise */
	unsigned classes;
	char **members; /* owned; values of member and uniqueMember */
	size_t member_count;
};

/*
 * Reads one entry by its name.
 *
 * ret_entry: filled only if ret_found; cleared with directory_entry_clear().
 * Errors: ERR_UNAVAILABLE, ERR_REFUSED, ERR_LIMIT, ERR_CORRUPT (an answer that
 * does not make sense).
 */
MUST_USE int directory_read(struct directory *d, const char *name,
			    struct directory_entry *ret_entry, bool *ret_found);
void directory_entry_clear(struct directory_entry *entry);

/*
 * Does the entry hold this value of member, by the server's own comparison?
 * Errors: ERR_UNAVAILABLE; ERR_REFUSED also if there is no such entry, because
 * the server says so, too, of what it hides.
 */
MUST_USE int directory_holds(struct directory *d, const char *name,
			     const char *member, bool *ret_holds);

/* Expansions for walk_run(); cookie is the directory.  Down: entries to their
 * members.  Up: names to the groups, in every naming context, that hold them.
 * Errors: those of directory_read() and walk_add(). */
int directory_walk_down(void *cookie, struct walk *walk, size_t first,
			size_t count);
int directory_walk_up(void *cookie, struct walk *walk, size_t first,
		      size_t count);

struct directory_change {
	const char *name; /* of the group */
	bool add;
	const char *member;
	const char *assertion; /* filter */
};

enum change_outcome {
	CHANGE_DONE,
	CHANGE_ALREADY,	    /* the value was there, or was not */
	CHANGE_ASSERTION,   /* the assertion did not hold */
	CHANGE_CONSTRAINT,  /* the entry's own rules forbid it */
	CHANGE_NOT_ALLOWED, /* our account may not */
	CHANGE_NO_ENTRY,
	CHANGE_REFUSED,	 /* refused for another reason; see the detail */
	CHANGE_NOT_SENT, /* the request did not leave */
	CHANGE_UNKNOWN,	 /* sent, and no answer that settles it */
};

struct change_answer {
	enum change_outcome outcome;
	char version[DIRECTORY_VERSION_MAX]; /* entryCSN after it, or "" */
	char detail[DIRECTORY_DETAIL_MAX];   /* words for operators */
};

/* Sends one modify request.  Every outcome but CHANGE_DONE and CHANGE_UNKNOWN
 * means that nothing changed. */
void directory_change(struct directory *d,
		      const struct directory_change *change,
		      struct change_answer *ret_answer);

/* Accepts NULL. */
void directory_close(struct directory *d);
DEFINE_CLEANUP(struct directory *, directory_close)
