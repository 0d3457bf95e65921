#include "http/framing.h"

#include <strings.h>

static void refuse(struct framing *f, unsigned status, const char *code,
		   const char *detail)
{
	if (!f->refusal.status)
		f->refusal = (struct framing_refusal){ status, code, detail };
}

static void malformed(struct framing *f, const char *detail)
{
	refuse(f, 400, "malformed", detail);
}

/* RFC 9110, 5.6.2: the bytes of a token; so no blank before the colon. */
static bool is_token(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = name.ptr[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return name.len > 0;
}

/* RFC 9110, 5.5: visible bytes, blanks, tabs, and the high ones. */
static bool is_value(struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = value.ptr[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static struct slice trimmed(struct slice text)
{
	while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
		text.ptr++;
		text.len--;
	}
	while (text.len && (text.ptr[text.len - 1] == ' ' ||
			    text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

static bool is_word(struct slice text, const char *word)
{
	return text.len == strlen(word) &&
	       !strncasecmp((const char *)text.ptr, word, text.len);
}

/* RFC 9110, 7.2, closely enough: nothing that ends the authority. */
static void on_host(struct framing *f, struct slice value)
{
	if (++f->hosts > 1)
		malformed(f, "more than one Host header");
	for (size_t i = 0; i < value.len; i++) {
		if (strchr("/?#@\\, \t\"<>", value.ptr[i]))
			malformed(f, "the Host header is not a host");
	}
}

static void on_length(struct framing *f, struct slice value)
{
	size_t length = 0;

	if (++f->lengths > 1)
		malformed(f, "more than one Content-Length header");
	if (!value.len)
		malformed(f, "Content-Length is not a number");
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			malformed(f, "Content-Length is not a number");
		if (length > (SIZE_MAX - 9) / 10)
			length = SIZE_MAX;
		else
			length = length * 10 + (size_t)(value.ptr[i] & 0x0f);
	}
	f->content_length = length;
}

static void on_coding(struct framing *f, struct slice value)
{
	if (++f->codings > 1 || !is_word(value, "chunked"))
		refuse(f, 501, "transfer-coding",
		       "only the transfer coding chunked is known");
	f->chunked = true;
}

/* application/json, with no parameter but charset=utf-8 (RFC 8259, 11). */
static void on_type(struct framing *f, struct slice value)
{
	const uint8_t *semicolon = memchr(value.ptr, ';', value.len);
	struct slice type = value, rest = slice_of(NULL, 0);

	if (++f->types > 1)
		malformed(f, "more than one Content-Type header");
	if (semicolon) {
		type.len = (size_t)(semicolon - value.ptr);
		rest = trimmed(
			slice_of(semicolon + 1, value.len - type.len - 1));
	}
	f->json = is_word(trimmed(type), "application/json") &&
		  (!semicolon || is_word(rest, "charset=utf-8") ||
		   is_word(rest, "charset=\"utf-8\""));
}

static void on_authorization(struct framing *f, struct slice value UNUSED)
{
	if (++f->authorizations > 1)
		malformed(f, "more than one Authorization header");
}

static void on_key(struct framing *f, struct slice value UNUSED)
{
	if (++f->keys > 1)
		malformed(f, "more than one Idempotency-Key header");
}

static void on_encoding(struct framing *f, struct slice value)
{
	if (!is_word(value, "identity"))
		refuse(f, 415, "content-encoding",
		       "an encoded body is not accepted");
}

static const struct {
	const char *name;
	void (*look)(struct framing *f, struct slice value);
} rules[] = {
	{ "Host", on_host },
	{ "Content-Length", on_length },
	{ "Transfer-Encoding", on_coding },
	{ "Content-Type", on_type },
	{ "Authorization", on_authorization },
	{ "Idempotency-Key", on_key },
	{ "Content-Encoding", on_encoding },
};

void framing_header(struct framing *f, struct slice name, struct slice value)
{
	if (!is_token(name))
		malformed(f, "a header name is not a token");
	if (!is_value(value))
		malformed(f, "a header holds a control byte");
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		if (is_word(name, rules[i].name)) {
			rules[i].look(f, trimmed(value));
			return;
		}
	}
}

void framing_finish_head(struct framing *f, const char *version)
{
	bool is_1_1 = !strcmp(version, "HTTP/1.1");

	if (!is_1_1 && strcmp(version, "HTTP/1.0") != 0)
		refuse(f, 505, "version", "only HTTP/1.1 and 1.0 are spoken");
	if (is_1_1 && f->hosts == 0)
		malformed(f, "there is no Host header");
	if (f->lengths && f->codings)
		malformed(f, "both Content-Length and Transfer-Encoding");
	if (f->codings && !is_1_1)
		malformed(f, "Transfer-Encoding in HTTP/1.0");
}

void framing_finish(struct framing *f, const char *version, size_t body_max,
		    bool any_type)
{
	bool body = f->chunked || f->content_length > 0;

	framing_finish_head(f, version);
	if (f->content_length > body_max || (f->chunked && body_max == 0))
		refuse(f, 413, "body-too-large",
		       body_max ? "the body is larger than accepted here"
				: "no body is accepted here");
	if (body && !any_type && !f->json)
		refuse(f, 415, "media-type",
		       "the body must be application/json");
}
