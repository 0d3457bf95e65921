#include "crypto/evp.h"

#include "crypto/note.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/text.h"

enum {
	KEY_LEN = EVP_ED25519_KEY_LEN,
	SIGNATURE_LEN = EVP_ED25519_SIGNATURE_LEN,
	ID_LEN = 4,
	ID_HEX_LEN = 8,
	BLOB_MAX = NOTE_MAX, /* bytes of a decoded signature */
	SIZE_DIGITS_MAX = 20,
};

/* Before a signature: an em dash and a space. */
static const char mark[] = "\xe2\x80\x94 ";

enum { MARK_LEN = sizeof(mark) - 1 };

struct note_signer {
	struct note_vkey vkey;
	EVP_PKEY *key; /* owned */
};

struct note_verifier {
	struct note_vkey vkey;
	EVP_PKEY *key; /* owned */
};

/* The characters with Unicode's White_Space property, as ranges. */
static const struct {
	uint32_t first;
	uint32_t last;
} spaces[] = {
	{ 0x0009, 0x000d }, { 0x0020, 0x0020 }, { 0x0085, 0x0085 },
	{ 0x00a0, 0x00a0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200a },
	{ 0x2028, 0x2029 }, { 0x202f, 0x202f }, { 0x205f, 0x205f },
	{ 0x3000, 0x3000 },
};

static bool is_space(uint32_t character)
{
	for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
		if (character >= spaces[i].first && character <= spaces[i].last)
			return true;
	return false;
}

/* Decodes and removes the first character of well-formed UTF-8. */
static uint32_t next_character(struct slice *text)
{
	uint8_t lead = text->ptr[0];
	size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	uint32_t character = len == 1 ? lead : lead & (0x7fu >> len);

	for (size_t i = 1; i < len; i++)
		character = character << 6 | (text->ptr[i] & 0x3f);
	*text = slice_of(text->ptr + len, text->len - len);
	return character;
}

/* UTF-8 without control characters, but with line feeds if allowed. */
static bool is_plain(struct slice text, bool line_feeds)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x20 && !(line_feeds && text.ptr[i] == '\n'))
			return false;
	return text_is_utf8(text);
}

static bool is_key_name(struct slice name)
{
	if (name.len == 0 || name.len >= NOTE_NAME_MAX ||
	    !is_plain(name, false))
		return false;
	while (name.len > 0) {
		uint32_t character = next_character(&name);

		if (character == '+' || is_space(character))
			return false;
	}
	return true;
}

/* Removes and returns what stands before the first separator; all of it and
 * false in ret_found if there is none. */
static struct slice cut(struct slice *rest, char separator, bool *ret_found)
{
	const uint8_t *at =
		rest->len > 0 ? (const uint8_t *)memchr(rest->ptr, separator,
							rest->len)
			      : NULL;
	struct slice before = *rest;

	*ret_found = at != NULL;
	if (!at) {
		*rest = slice_of(rest->ptr + rest->len, 0);
		return before;
	}
	before.len = (size_t)(at - rest->ptr);
	*rest = slice_of(at + 1, rest->len - before.len - 1);
	return before;
}

static void copy_text(char *to, struct slice from)
{
	memcpy(to, from.ptr, from.len);
	to[from.len] = '\0';
}

static uint32_t key_id(struct slice name, uint8_t type, struct slice key)
{
	const uint8_t separator[] = { '\n', type };
	const struct slice parts[] = { name,
				       slice_of(separator, sizeof(separator)),
				       key };
	struct digest digest = digest_of_parts(parts, ARRAY_LEN(parts));
	struct reader r = reader_of(slice_of(digest.bytes, ID_LEN));

	return reader_u32(&r);
}

/* Reads type and key behind the last plus of a verifier key. */
static int decode_key(struct slice text, uint8_t wanted,
		      uint8_t ret_key[KEY_LEN])
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(1 + KEY_LEN);
	struct reader r;
	struct slice key;
	uint8_t type;

	if (text_from_base64(text, &bytes) < 0)
		return error_set(ERR_SYNTAX, "verifier key: damaged base64");
	r = reader_of(buf_slice(&bytes));
	type = reader_u8(&r);
	key = reader_bytes(&r, KEY_LEN);
	if (reader_finish(&r) < 0 || type != wanted)
		return error_set(ERR_SYNTAX, "verifier key: not of type 0x%02x",
				 wanted);
	memcpy(ret_key, key.ptr, KEY_LEN);
	return 0;
}

static int decode_id(struct slice text, uint32_t *ret_id)
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(ID_LEN);
	struct reader r;

	if (text.len != ID_HEX_LEN || text_from_hex(text, &bytes) < 0)
		return error_set(ERR_SYNTAX, "verifier key: damaged hash");
	r = reader_of(buf_slice(&bytes));
	*ret_id = reader_u32(&r);
	return 0;
}

int note_vkey_parse_as(enum note_type type, const char *text,
		       struct note_vkey *ret_vkey)
{
	struct slice rest = slice_of(text, strnlen(text, NOTE_VKEY_MAX));
	struct note_vkey vkey = { .type = (uint8_t)type };
	struct slice name;
	struct slice id;
	bool found_name;
	bool found_id;

	if (rest.len >= NOTE_VKEY_MAX)
		return error_set(ERR_LIMIT, "verifier key: too long");
	name = cut(&rest, '+', &found_name);
	id = cut(&rest, '+', &found_id);
	if (!found_name || !found_id || !is_key_name(name))
		return error_set(ERR_SYNTAX, "verifier key: not name+hash+key");
	TRY(decode_id(id, &vkey.id));
	TRY(decode_key(rest, vkey.type, vkey.key));
	if (key_id(name, vkey.type, slice_of(vkey.key, KEY_LEN)) != vkey.id)
		return error_set(ERR_SYNTAX, "verifier key: wrong hash");
	copy_text(vkey.name, name);
	*ret_vkey = vkey;
	return 0;
}

int note_vkey_parse(const char *text, struct note_vkey *ret_vkey)
{
	return note_vkey_parse_as(NOTE_ED25519, text, ret_vkey);
}

void note_vkey_format(const struct note_vkey *vkey, char text[NOTE_VKEY_MAX])
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(NOTE_VKEY_MAX - 1);
	uint8_t bytes[1 + KEY_LEN] = { vkey->type };

	memcpy(bytes + 1, vkey->key, KEY_LEN);
	buf_putf(&b, "%s+%08" PRIx32 "+", vkey->name, vkey->id);
	text_put_base64(&b, slice_of(bytes, sizeof(bytes)));
	copy_text(text, buf_slice(&b));
}

int note_signer_new(const char *name, struct slice seed,
		    struct note_signer **ret_signer)
{
	CLEANUP(note_signer_free_p) struct note_signer *s = NULL;
	struct slice name_bytes = slice_of(name, strnlen(name, NOTE_NAME_MAX));
	size_t key_len = KEY_LEN;

	if (!is_key_name(name_bytes))
		return error_set(ERR_SYNTAX, "not a key name");
	if (seed.len != KEY_LEN)
		return error_set(ERR_CRYPTO, "seed of %zu bytes", seed.len);
	s = mem_new(struct note_signer);
	copy_text(s->vkey.name, name_bytes);
	s->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed.ptr,
					      seed.len);
	if (!s->key ||
	    EVP_PKEY_get_raw_public_key(s->key, s->vkey.key, &key_len) != 1)
		return evp_fail("Ed25519 key");
	s->vkey.type = NOTE_ED25519;
	s->vkey.id = key_id(name_bytes, NOTE_ED25519,
			    slice_of(s->vkey.key, KEY_LEN));
	*ret_signer = TAKE(s);
	return 0;
}

void note_signer_vkey(const struct note_signer *s, struct note_vkey *ret_vkey)
{
	*ret_vkey = s->vkey;
}

void note_signer_free(struct note_signer *s)
{
	if (!s)
		return;
	EVP_PKEY_free(s->key); /* wipes the private part */
	mem_wipe(s, sizeof(*s));
	free(s);
}

static int sign(const struct note_signer *s, struct slice text,
		uint8_t signature[SIGNATURE_LEN])
{
	CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = SIGNATURE_LEN;

	if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, s->key) != 1 ||
	    EVP_DigestSign(ctx, signature, &len, text.ptr, text.len) != 1 ||
	    len != SIGNATURE_LEN)
		return evp_fail("sign note");
	return 0;
}

static void put_signature_line(struct buf *b, const struct note_vkey *vkey,
			       const uint8_t signature[SIGNATURE_LEN])
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(ID_LEN + SIGNATURE_LEN);

	buf_put_u32(&blob, vkey->id);
	buf_put(&blob, slice_of(signature, SIGNATURE_LEN));
	buf_putf(b, "%s%s ", mark, vkey->name);
	text_put_base64(b, buf_slice(&blob));
	buf_put_str(b, "\n");
}

int note_sign(const struct note_signer *s, struct slice text, struct buf *out)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	uint8_t signature[SIGNATURE_LEN];
	struct slice bytes;

	if (text.len == 0 || text.ptr[text.len - 1] != '\n' ||
	    !is_plain(text, true))
		return error_set(ERR_SYNTAX, "not the text of a note");
	TRY(sign(s, text, signature));
	buf_put(&note, text);
	buf_put_str(&note, "\n");
	put_signature_line(&note, &s->vkey, signature);
	TRY(buf_finish(&note, &bytes));
	buf_put(out, bytes);
	return buf_finish(out, &bytes);
}

/* line: without its line feed; blob: takes the decoded bytes. */
static int parse_line(struct slice line, struct buf *blob,
		      struct note_line *ret_line)
{
	struct note_line parsed = { .whole = line };
	struct reader r;
	bool found;

	if (line.len < MARK_LEN || memcmp(line.ptr, mark, MARK_LEN) != 0)
		return error_set(ERR_SYNTAX, "note: not a signature line");
	line = slice_of(line.ptr + MARK_LEN, line.len - MARK_LEN);
	parsed.name = cut(&line, ' ', &found);
	if (!found || !is_key_name(parsed.name) ||
	    text_from_base64(line, blob) < 0 || blob->len <= ID_LEN)
		return error_set(ERR_SYNTAX, "note: damaged signature line");
	r = reader_of(buf_slice(blob));
	parsed.id = reader_u32(&r);
	parsed.signature = r.rest;
	*ret_line = parsed;
	return 0;
}

int note_next_line(struct slice *lines, struct buf *blob,
		   struct note_line *ret_line)
{
	struct slice line;
	bool found;

	buf_reset(blob);
	blob->overflow = false;
	line = cut(lines, '\n', &found);
	if (!found)
		return error_set(ERR_SYNTAX, "note: line cut short");
	TRY(parse_line(line, blob, ret_line));
	ret_line->whole = slice_of(line.ptr, line.len + 1);
	return 0;
}

bool note_line_is_by(const struct note_line *line, const struct note_vkey *vkey)
{
	return line->id == vkey->id && slice_is(line->name, vkey->name);
}

/* What a note's signatures are checked with. */
struct check {
	const struct note_vkey *vkey;
	EVP_PKEY *key; /* borrowed */
	struct slice text;
	bool signed_by_key;
};

static int check_line(struct check *c, const struct note_line *line)
{
	static const struct evp_scheme ed25519 = { .md = NULL };

	if (!note_line_is_by(line, c->vkey))
		return 0;
	if (line->signature.len != SIGNATURE_LEN ||
	    !evp_verify(c->key, ed25519, line->signature, c->text))
		return error_set(ERR_CORRUPT, "note: wrong signature by '%s'",
				 c->vkey->name);
	c->signed_by_key = true;
	return 0;
}

static int check_signatures(struct check *c, struct slice lines)
{
	CLEANUP(buf_clear) struct buf blob = BUF_INIT(BLOB_MAX);
	size_t count = 0;

	while (lines.len > 0) {
		struct note_line line;

		if (++count > NOTE_SIGNATURES_MAX)
			return error_set(ERR_LIMIT, "note: many signatures");
		TRY(note_next_line(&lines, &blob, &line));
		TRY(check_line(c, &line));
	}
	if (count == 0)
		return error_set(ERR_SYNTAX, "note: no signature");
	if (!c->signed_by_key)
		return error_set(ERR_CORRUPT, "note: not signed by '%s'",
				 c->vkey->name);
	return 0;
}

int note_split(struct slice note, struct slice *ret_text,
	       struct slice *ret_lines)
{
	static const char empty_line[] = "\n\n";

	if (note.len > NOTE_MAX)
		return error_set(ERR_LIMIT, "note of %zu bytes", note.len);
	if (!is_plain(note, true))
		return error_set(ERR_SYNTAX, "note: not plain UTF-8");

	for (size_t i = note.len; i >= 2; i--) {
		if (memcmp(note.ptr + i - 2, empty_line, 2) != 0)
			continue;
		*ret_text = slice_of(note.ptr, i - 1);
		*ret_lines = slice_of(note.ptr + i, note.len - i);
		return 0;
	}
	return error_set(ERR_SYNTAX, "note: no empty line");
}

static int open_with(struct slice note, const struct note_vkey *vkey,
		     EVP_PKEY *key, struct slice *ret_text)
{
	struct check c = { .vkey = vkey, .key = key };
	struct slice lines;

	if (vkey->type != NOTE_ED25519)
		return error_set(ERR_CORRUPT, "note: '%s' is no log's key",
				 vkey->name);
	TRY(note_split(note, &c.text, &lines));
	TRY(check_signatures(&c, lines));
	*ret_text = c.text;
	return 0;
}

int note_open(struct slice note, const struct note_vkey *vkey,
	      struct slice *ret_text)
{
	CLEANUP(EVP_PKEY_free_p)
	EVP_PKEY *key = evp_ed25519(slice_of(vkey->key, KEY_LEN));

	if (!key)
		return error_set(ERR_CORRUPT, "note: unusable key");
	return open_with(note, vkey, key, ret_text);
}

int checkpoint_format(const struct checkpoint *c, struct buf *out)
{
	struct slice origin =
		slice_of(c->origin, strnlen(c->origin, NOTE_NAME_MAX));
	struct slice all;

	if (origin.len == 0 || origin.len == NOTE_NAME_MAX ||
	    !is_plain(origin, false))
		return error_set(ERR_SYNTAX, "checkpoint: no origin");
	buf_putf(out, "%s\n%" PRIu64 "\n", c->origin, c->size);
	text_put_base64(out, digest_slice(&c->root));
	buf_put_str(out, "\n");
	return buf_finish(out, &all);
}

static int parse_size(struct slice digits, uint64_t *ret_size)
{
	uint64_t size = 0;

	if (digits.len == 0 || digits.len > SIZE_DIGITS_MAX ||
	    (digits.len > 1 && digits.ptr[0] == '0'))
		return error_set(ERR_SYNTAX, "checkpoint: not a tree size");
	for (size_t i = 0; i < digits.len; i++) {
		uint64_t digit = (uint64_t)digits.ptr[i] - '0';

		if (digits.ptr[i] < '0' || digits.ptr[i] > '9' ||
		    __builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, digit, &size))
			return error_set(ERR_SYNTAX,
					 "checkpoint: not a tree size");
	}
	*ret_size = size;
	return 0;
}

static int parse_root(struct slice text, struct digest *ret_root)
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(DIGEST_LEN);

	if (text_from_base64(text, &bytes) < 0 || bytes.len != DIGEST_LEN)
		return error_set(ERR_SYNTAX, "checkpoint: not a root hash");
	memcpy(ret_root->bytes, bytes.data, DIGEST_LEN);
	return 0;
}

/* Takes one line that is not empty from the front of rest. */
static int take_line(struct slice *rest, struct slice *ret_line)
{
	bool found;
	struct slice line = cut(rest, '\n', &found);

	if (!found || line.len == 0)
		return error_set(ERR_SYNTAX, "checkpoint: a line is missing");
	*ret_line = line;
	return 0;
}

int checkpoint_parse(struct slice text, struct checkpoint *ret)
{
	struct checkpoint c = { .size = 0 };
	struct slice line;

	if (text.len > NOTE_MAX || !is_plain(text, true))
		return error_set(ERR_SYNTAX, "checkpoint: not plain UTF-8");
	TRY(take_line(&text, &line));
	if (line.len >= NOTE_NAME_MAX)
		return error_set(ERR_SYNTAX, "checkpoint: origin too long");
	copy_text(c.origin, line);
	TRY(take_line(&text, &line));
	TRY(parse_size(line, &c.size));
	TRY(take_line(&text, &line));
	TRY(parse_root(line, &c.root));
	while (text.len > 0)
		TRY(take_line(&text, &line));
	*ret = c;
	return 0;
}

static int take_checkpoint(struct slice text, const struct note_vkey *vkey,
			   struct checkpoint *ret)
{
	struct checkpoint c;

	TRY(checkpoint_parse(text, &c));
	if (strcmp(c.origin, vkey->name) != 0)
		return error_set(ERR_SYNTAX, "checkpoint: origin is not '%s'",
				 vkey->name);
	*ret = c;
	return 0;
}

int checkpoint_open(struct slice note, const struct note_vkey *vkey,
		    struct checkpoint *ret)
{
	struct slice text;

	TRY(note_open(note, vkey, &text));
	return take_checkpoint(text, vkey, ret);
}

int note_verifier_new(const struct note_vkey *vkey,
		      struct note_verifier **ret_verifier)
{
	CLEANUP(note_verifier_free_p)
	struct note_verifier *v = mem_new(struct note_verifier);

	v->vkey = *vkey;
	v->key = evp_ed25519(slice_of(vkey->key, KEY_LEN));
	if (!v->key)
		return error_set(ERR_CORRUPT, "note: unusable key");
	*ret_verifier = TAKE(v);
	return 0;
}

void note_verifier_free(struct note_verifier *v)
{
	if (!v)
		return;
	EVP_PKEY_free(v->key);
	free(v);
}

int checkpoint_verify(struct slice note, const struct note_verifier *v,
		      struct checkpoint *ret)
{
	struct slice text;

	TRY(open_with(note, &v->vkey, v->key, &text));
	return take_checkpoint(text, &v->vkey, ret);
}
