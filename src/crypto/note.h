/*
 * Signed notes and checkpoints: C2SP signed-note v1.0.0 and tlog-checkpoint
 * v1.0.0, Ed25519 keys (signature type 0x01).
 */
#pragma once

#include "crypto/digest.h"

enum {
	NOTE_NAME_MAX = 256,	   /* bytes of a key name with NUL */
	NOTE_VKEY_MAX = 384,	   /* bytes of a verifier key's text with NUL */
	NOTE_MAX = 64 * 1024,	   /* bytes of a whole note */
	NOTE_SIGNATURES_MAX = 100, /* lines accepted */
};

/* Signature types of C2SP signed-note, "Signature types". */
enum note_type {
	NOTE_ED25519 = 0x01,	 /* a plain signature: logs */
	NOTE_COSIGNATURE = 0x04, /* Ed25519 with a time: witnesses */
};

/* A verifier key "name+hash+base64(type || key)". */
struct note_vkey {
	char name[NOTE_NAME_MAX];
	uint32_t id;
	uint8_t type; /* enum note_type */
	uint8_t key[32];
};

/* A key of type NOTE_ED25519.  Errors: ERR_SYNTAX (also when the hash does not
 * match), ERR_LIMIT. */
MUST_USE int note_vkey_parse(const char *text, struct note_vkey *ret_vkey);
/* The same for a key of another type. */
MUST_USE int note_vkey_parse_as(enum note_type type, const char *text,
				struct note_vkey *ret_vkey);
void note_vkey_format(const struct note_vkey *vkey, char text[NOTE_VKEY_MAX]);

/* An Ed25519 signing key with its name; seed is a secret of 32 bytes. */
struct note_signer;
/* Errors: ERR_SYNTAX for a name that C2SP does not allow, ERR_CRYPTO. */
MUST_USE int note_signer_new(const char *name, struct slice seed,
			     struct note_signer **ret_signer);
void note_signer_vkey(const struct note_signer *s, struct note_vkey *ret_vkey);
void note_signer_free(struct note_signer *s); /* wipes */
DEFINE_CLEANUP(struct note_signer *, note_signer_free)

/* Appends text (which ends in a line feed), an empty line and the signature
 * line to out.  Errors: ERR_SYNTAX, ERR_CRYPTO, ERR_LIMIT. */
MUST_USE int note_sign(const struct note_signer *s, struct slice text,
		       struct buf *out);

/*
 * Checks that note is well formed and carries a valid signature by vkey.
 * Unknown signatures are ignored, a known one that fails is ERR_CORRUPT.
 *
 * ret_text: a view into note, with its last line feed.
 * Errors: ERR_SYNTAX, ERR_LIMIT, ERR_CORRUPT (not signed by vkey).
 */
MUST_USE int note_open(struct slice note, const struct note_vkey *vkey,
		       struct slice *ret_text);

/*
 * Splits a note at its last empty line, without checking a signature.
 *
 * ret_text: with its last line feed; ret_lines: the signature lines; views.
 * Errors: ERR_SYNTAX, ERR_LIMIT.
 */
MUST_USE int note_split(struct slice note, struct slice *ret_text,
			struct slice *ret_lines);

/* One signature line taken apart. */
struct note_line {
	struct slice whole; /* with its line feed */
	struct slice name;
	uint32_t id;
	struct slice signature; /* a view into blob */
};

/*
 * Takes the first line off lines.  blob is reset and gets the decoded bytes.
 * Errors: ERR_SYNTAX, ERR_LIMIT.
 */
MUST_USE int note_next_line(struct slice *lines, struct buf *blob,
			    struct note_line *ret_line);

/* Whether a line is by this key, going by its name and id alone. */
bool note_line_is_by(const struct note_line *line,
		     const struct note_vkey *vkey);

struct checkpoint {
	char origin[NOTE_NAME_MAX];
	uint64_t size;
	struct digest root;
};

/* Appends the three lines.  Errors: ERR_LIMIT, ERR_SYNTAX (no clean origin). */
MUST_USE int checkpoint_format(const struct checkpoint *c, struct buf *out);

/* Extension lines are accepted and ignored.  Errors: ERR_SYNTAX. */
MUST_USE int checkpoint_parse(struct slice text, struct checkpoint *ret);

/* note_open() and checkpoint_parse(); the origin must equal the key's name. */
MUST_USE int checkpoint_open(struct slice note, const struct note_vkey *vkey,
			     struct checkpoint *ret);

/* A verifier key made ready, for who opens many notes of one log. */
struct note_verifier;
/* ret_verifier: owned, note_verifier_free().  Errors: ERR_CORRUPT for a key
 * that cannot be used. */
MUST_USE int note_verifier_new(const struct note_vkey *vkey,
			       struct note_verifier **ret_verifier);
void note_verifier_free(struct note_verifier *v);
DEFINE_CLEANUP(struct note_verifier *, note_verifier_free)

/* checkpoint_open() with a key made ready. */
MUST_USE int checkpoint_verify(struct slice note, const struct note_verifier *v,
			       struct checkpoint *ret);
