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

#include "base/json.h"
#include "connectors/ldap/walk.h"

enum {
	DIRECTORY_ANSWER_MAX = 64 << 20, /* bytes of one message from it */
	DIRECTORY_CONTEXTS_MAX = 16,	 /* naming contexts looked through */
	DIRECTORY_PASSWORD_MAX = 1024,	 /* bytes of the password file */
	DIRECTORY_VERSION_MAX = 64,	 /* bytes of an entryCSN with NUL */
	DIRECTORY_DETAIL_MAX = 256,
	DIRECTORY_MEMBERS_MAX = 100 * 1000, /* of a group that comes in parts */
	DIRECTORY_MODS_MAX = 4, /* values added or removed by one change */
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
 * (bind refused; or neither Active Directory nor the assertion control, RFC
 * 4528).
 */
MUST_USE int directory_connect(struct directory *d);

/* Whether the server last connected to is an Active Directory domain
 * controller (MS-ADTS 3.1.1.3.4.3.1). */
bool directory_is_ad(const struct directory *d);

/* The name our own account logs in by, NULL for SASL EXTERNAL; borrowed. */
const char *directory_bind_dn(const struct directory *d);

/* Object classes that matter here, as bits. */
enum {
	DIRECTORY_GROUP_OF_NAMES = 1 << 0,
	DIRECTORY_GROUP_OF_UNIQUE_NAMES = 1 << 1,
	DIRECTORY_POSIX_GROUP = 1 << 2,
	DIRECTORY_DYNAMIC_GROUP = 1 << 3,
	DIRECTORY_ROLE = 1 << 4,     /* organizationalRole */
	DIRECTORY_AD_GROUP = 1 << 5, /* only of Active Directory */
	/* Somebody of another domain: a person, a group, or everybody. */
	DIRECTORY_FOREIGN = 1 << 6,
	DIRECTORY_GROUPS = DIRECTORY_GROUP_OF_NAMES |
			   DIRECTORY_GROUP_OF_UNIQUE_NAMES |
			   DIRECTORY_POSIX_GROUP | DIRECTORY_DYNAMIC_GROUP |
			   DIRECTORY_AD_GROUP,
};

/* The bit of one object class, by name or number; 0 if it does not matter. */
unsigned directory_class(struct slice name);

struct directory_entry {
	char *name;	/* owned, the server's spelling in normal form */
	char *spelling; /* owned, see dn_spell() */
	char *version; /* owned, entryCSN or uSNChanged; NULL if none is told */
	char *uuid;    /* owned, entryUUID or objectGUID; NULL likewise */
	char *login; /* owned, uid (sAMAccountName), if there is exactly one */
	int64_t rid; /* last part of objectSid; -1 without one */
	int64_t primary_rid; /* primaryGroupID; -1 without one */
	int64_t gid;	     /* gidNumber; -1 without one */
	unsigned classes;
	char **members; /* owned; values of the attributes that name members */
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

/* Is there an entry of this name that the filter finds?  The server knows the
 * classes that a class is made of.  Errors: those of directory_read(). */
MUST_USE int directory_matches(struct directory *d, const char *name,
			       const char *filter, bool *ret_matches);

/* What may log in, where it is not Active Directory. */
#define DIRECTORY_ACCOUNTS                                                     \
	"(|(objectClass=person)(objectClass=account)"                          \
	"(objectClass=posixAccount)(objectClass=simpleSecurityObject))"

/*
 * Does the entry hold this value, by the server's own comparison?
 * Errors: ERR_UNAVAILABLE; ERR_REFUSED also if there is no such entry, because
 * the server says so, too, of what it hides.
 */
MUST_USE int directory_holds(struct directory *d, const char *name,
			     const char *attribute, const char *value,
			     bool *ret_holds);

/* What to look for.  All is borrowed. */
struct directory_query {
	const char *base;
	int scope; /* LDAP_SCOPE_... */
	const char *filter;
	const char *const *attributes; /* NULL-terminated */
	int limit;		       /* entries, 0 for the server's own */
};

/*
 * One entry's attributes as an object: "dn" in normal form, "spelling" by
 * dn_spell(), and a list of texts for each attribute that is there, by the name
 * it was asked for.  objectGUID and objectSid are in their text forms; values
 * that are no text are left out.
 *
 * ret_record: owned; NULL if there is no such entry.
 * Errors: those of directory_read().
 */
MUST_USE int directory_record(struct directory *d, const char *name,
			      const char *const *attributes,
			      json_t **ret_record);

/*
 * One page of the entries that a search finds, as records (RFC 2696).
 *
 * query: its limit is that of the page, 1 to 1000.
 * cookie: where the page begins; empty for the first.  Replaced by where the
 *   next one does, and left empty by the last.  It is good for this connection
 *   and search only, and while no other search in pages is made.
 * ret_records: owned array.
 * ret_cut: the server shows no more than this, though there is more.
 * Errors: those of directory_read().
 */
MUST_USE int directory_page(struct directory *d,
			    const struct directory_query *query,
			    struct buf *cookie, json_t **ret_records,
			    bool *ret_cut);

/* Goes on with a connection whose pages are under way.  Errors:
 * ERR_UNAVAILABLE if it was lost. */
MUST_USE int directory_go_on(struct directory *d);

/* The first text of a record's attribute, or NULL; borrowed. */
const char *record_text(const json_t *record, const char *attribute);

/* The same as a number; fallback without one. */
int64_t record_int(const json_t *record, const char *attribute,
		   int64_t fallback);

/* The bits of a record's objectClass. */
unsigned record_classes(const json_t *record);

/* The naming contexts that are looked through; borrowed. */
size_t directory_contexts(const struct directory *d,
			  const char *const **ret_names);

/* Adds the names of all entries that a search finds in a context to the walk.
 * Errors: those of directory_read() and walk_add(). */
MUST_USE int directory_add_found(struct directory *d, struct walk *walk,
				 const char *context, const char *filter);

/* Expansions for walk_run(); cookie is the directory.  Down: entries to their
 * members.  Up: names to the groups, in every naming context, that hold them.
 * Errors: those of directory_read() and walk_add(). */
int directory_walk_down(void *cookie, struct walk *walk, size_t first,
			size_t count);
int directory_walk_up(void *cookie, struct walk *walk, size_t first,
		      size_t count);

/* Adds every group, in every naming context, that the names of the walk are in,
 * at any depth.  Errors: those of directory_walk_up(). */
MUST_USE int directory_nesting(struct directory *d, struct walk *walk);

/* One value that is added or removed. */
struct directory_mod {
	bool add;
	const char *attribute;
	const char *value;
};

struct directory_change {
	const char *name; /* of the entry; <GUID=...> in Active Directory */
	const struct directory_mod *mods;
	size_t mod_count;      /* 1 to DIRECTORY_MODS_MAX, in this order */
	const char *assertion; /* filter; NULL where the server has none */
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
