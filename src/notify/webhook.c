#include "notify/webhook.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/hmac.h"

enum { FILE_MAX = 1024 };

static const char prefix[] = "whsec_";

enum { PREFIX_LEN = sizeof(prefix) - 1 };

static struct slice trimmed(struct slice line)
{
	while (line.len > 0 && (line.ptr[line.len - 1] == '\r' ||
				line.ptr[line.len - 1] == ' '))
		line.len--;
	return line;
}

static int take_secret(struct webhook_secrets *s, struct slice line)
{
	CLEANUP(buf_clear) struct buf key = BUF_INIT(WEBHOOK_SECRET_MAX);

	if (s->count == WEBHOOK_SECRETS_MAX)
		return error_set(ERR_LIMIT, "more than %d secrets",
				 WEBHOOK_SECRETS_MAX);
	if (line.len < PREFIX_LEN || memcmp(line.ptr, prefix, PREFIX_LEN) != 0)
		return error_set(ERR_SYNTAX,
				 "a secret does not begin with '%s'", prefix);
	if (text_from_base64(
		    slice_of(line.ptr + PREFIX_LEN, line.len - PREFIX_LEN),
		    &key) < 0 ||
	    key.len < WEBHOOK_SECRET_MIN)
		return error_set(ERR_SYNTAX,
				 "a secret is not the base64 of %d to %d bytes",
				 WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX);
	memcpy(s->keys[s->count], key.data, key.len);
	s->lens[s->count++] = key.len;
	return 0;
}

static int take_lines(struct webhook_secrets *s, struct slice text)
{
	while (text.len > 0) {
		const uint8_t *end = memchr(text.ptr, '\n', text.len);
		size_t length = end ? (size_t)(end - text.ptr) : text.len;
		struct slice line = trimmed(slice_of(text.ptr, length));

		if (line.len > 0)
			TRY(take_secret(s, line));
		length += end != NULL;
		text = slice_of(text.ptr + length, text.len - length);
	}
	if (s->count == 0)
		return error_set(ERR_SYNTAX, "there is no secret");
	return 0;
}

int webhook_secrets_parse(struct slice text,
			  struct webhook_secrets *ret_secrets)
{
	CLEANUP(webhook_secrets_clear) struct webhook_secrets s = { 0 };

	TRY(take_lines(&s, text));
	*ret_secrets = s;
	return 0;
}

int webhook_secrets_read(const char *path, struct webhook_secrets *ret_secrets)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILE_MAX);

	TRY(file_read(path, &b));
	if (webhook_secrets_parse(buf_slice(&b), ret_secrets) < 0)
		return error_context(ERR_SYNTAX, "%s", path);
	return 0;
}

void webhook_secrets_clear(struct webhook_secrets *secrets)
{
	mem_wipe(secrets, sizeof(*secrets));
}

char *webhook_signature(const struct webhook_secrets *secrets, const char *id,
			int64_t at_s, struct slice body)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1024);
	char seconds[24];
	struct slice parts[5] = {
		slice_str(id), slice_str("."), { 0 }, slice_str("."), body
	};

	snprintf(seconds, sizeof(seconds), "%lld", (long long)at_s);
	parts[2] = slice_str(seconds);
	for (size_t i = 0; i < secrets->count; i++) {
		struct digest tag = hmac_of_parts(
			slice_of(secrets->keys[i], secrets->lens[i]), parts,
			ARRAY_LEN(parts));

		buf_put_str(&b, i ? " v1," : "v1,");
		text_put_base64(&b, digest_slice(&tag));
	}
	return buf_take_text(&b);
}
