#include "govern/cited.h"

#include <string.h>

#include "base/mem.h"
#include "crypto/digest.h"

/* Bytes of canonical JSON: no other order of members is longer. */
static size_t size_of(const json_t *value)
{
	return json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* The rows that fit; owned. */
static json_t *fitting(const json_t *rows, size_t max)
{
	json_t *kept = json_array();
	size_t used = 2;
	json_t *row;
	size_t at;

	json_array_foreach(rows, at, row) {
		used += size_of(row) + (at > 0);
		if (used > max)
			break;
		json_array_append(kept, row);
	}
	return kept;
}

static json_t *cut_of(const json_t *rows)
{
	CLEANUP(mem_free_p) char *text = json_canonical(rows);
	struct digest digest = digest_of(slice_str(text));
	json_t *cut = json_object();
	char digest_text[DIGEST_TEXT_LEN];

	digest_format(&digest, digest_text);
	json_set_int(cut, "count", (int64_t)json_array_size(rows));
	json_set_text(cut, "digest", digest_text);
	return cut;
}

static char *cut_name(const char *name)
{
	return mem_format("%sCut", name);
}

void cited_set(json_t *object, const char *name, const json_t *rows, size_t max)
{
	json_t *kept = fitting(rows, max);
	CLEANUP(mem_free_p) char *cut = cut_name(name);

	/* The rows may be the member's own, so they are replaced last. */
	if (json_array_size(kept) < json_array_size(rows))
		json_set_new(object, cut, cut_of(rows));
	json_set_new(object, name, kept);
}

bool cited_is_cut(const json_t *object, const char *name)
{
	CLEANUP(mem_free_p) char *cut = cut_name(name);

	return json_object_get(object, cut);
}

/* Whether a byte of UTF-8 continues a character. */
static bool continues(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

char *cited_text(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len <= max)
		return mem_str(text);
	len = max - 3;
	while (len > 0 && continues(text[len]))
		len--;
	return mem_format("%.*s...", (int)len, text);
}

void cited_add_once(json_t *list, json_t *seen, const char *text)
{
	if (json_object_get(seen, text))
		return;
	json_set_flag(seen, text, true);
	json_array_append_new(list, json_string(text));
}
