#include "crypto/evp.h"

#include "crypto/cosignature.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/reader.h"

enum {
	KEY_LEN = EVP_ED25519_KEY_LEN,
	SIGNATURE_LEN = EVP_ED25519_SIGNATURE_LEN,
	BLOB_MAX = 4096, /* bytes of a signature; other types are longer */
};

int cosignature_vkey_parse(const char *text, struct note_vkey *ret_vkey)
{
	return note_vkey_parse_as(NOTE_COSIGNATURE, text, ret_vkey);
}

/* What is looked for. */
struct search {
	const struct note_vkey *witness;
	EVP_PKEY *key; /* borrowed */
	struct slice text;
	int64_t now_s;
};

/* struct { u64 timestamp; u8 signature[64]; } over "cosignature/v1", the time
 * and the checkpoint. */
static int check(const struct search *s, struct slice signature,
		 int64_t *ret_at_s)
{
	static const struct evp_scheme ed25519 = { .md = NULL };
	CLEANUP(buf_clear) struct buf message = BUF_INIT(NOTE_MAX + 64);
	struct reader r = reader_of(signature);
	uint64_t at = reader_u64(&r);
	struct slice made = reader_bytes(&r, SIGNATURE_LEN);

	if (reader_finish(&r) < 0 || at > INT64_MAX)
		return error_set(ERR_CORRUPT, "cosignature by '%s': its form",
				 s->witness->name);
	buf_putf(&message, "cosignature/v1\ntime %" PRIu64 "\n", at);
	buf_put(&message, s->text);
	if (message.overflow ||
	    !evp_verify(s->key, ed25519, made, buf_slice(&message)))
		return error_set(ERR_CORRUPT, "wrong cosignature by '%s'",
				 s->witness->name);
	if ((int64_t)at - COSIGNATURE_AHEAD_MAX > s->now_s)
		return error_set(ERR_CORRUPT,
				 "cosignature by '%s' from the future",
				 s->witness->name);
	*ret_at_s = (int64_t)at;
	return 0;
}

struct found {
	struct slice line;
	int64_t at_s; /* -1: none yet */
};

static int find_latest(const struct search *s, struct slice lines,
		       struct found *found)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(BLOB_MAX);
	size_t count = 0;

	while (lines.len > 0) {
		struct note_line line = { .id = 0 };
		int64_t at_s = 0;

		if (++count > NOTE_SIGNATURES_MAX)
			return error_set(ERR_LIMIT, "note: many signatures");
		TRY(note_next_line(&lines, &blob, &line));
		if (!note_line_is_by(&line, s->witness))
			continue;
		TRY(check(s, line.signature, &at_s));
		if (at_s > found->at_s)
			*found = (struct found){ line.whole, at_s };
	}
	if (found->at_s < 0)
		return error_set(ERR_NOT_FOUND, "no cosignature by '%s'",
				 s->witness->name);
	return 0;
}

int cosignature_find(const struct note_vkey *witness, struct slice text,
		     struct slice lines, int64_t now_s, struct slice *ret_line,
		     int64_t *ret_at_s)
{
	CLEANUP(EVP_PKEY_free_p)
	EVP_PKEY *key = evp_ed25519(slice_of(witness->key, KEY_LEN));
	const struct search s = { witness, key, text, now_s };
	struct found found = { .at_s = -1 };

	if (!key || witness->type != NOTE_COSIGNATURE)
		return error_set(ERR_CORRUPT, "'%s' has no witness's key",
				 witness->name);
	TRY(find_latest(&s, lines, &found));
	*ret_line = found.line;
	*ret_at_s = found.at_s;
	return 0;
}
