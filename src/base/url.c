#include "base/url.h"

#include "base/error.h"

enum { PORT_MAX = 65535 };

/* What a URL is made of; views into its text. */
struct parts {
	const char *scheme; /* "http" or "https" */
	struct slice host;
	struct slice port; /* without the colon; empty for none */
	struct slice path;
	struct slice query; /* with '?', empty for none */
};

static bool is_alpha(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static int hex_value(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3986, 2.3. */
static bool is_unreserved(uint8_t c)
{
	return is_alpha(c) || is_digit(c) || (c && strchr("-._~", c));
}

/* RFC 3986, 3.3: pchar without escapes, and the slash. */
static bool is_path_byte(uint8_t c)
{
	return is_unreserved(c) || (c && strchr("!$&'()*+,;=:@/", c));
}

static bool is_query_byte(uint8_t c)
{
	return is_path_byte(c) || c == '?';
}

static bool is_name_byte(uint8_t c)
{
	return is_unreserved(c);
}

static bool is_literal_byte(uint8_t c)
{
	return hex_value(c) >= 0 || c == ':' || c == '.';
}

static bool all(struct slice text, bool (*is)(uint8_t c))
{
	for (size_t i = 0; i < text.len; i++) {
		if (!is(text.ptr[i]))
			return false;
	}
	return true;
}

static int malformed(const char *what)
{
	return error_set(ERR_SYNTAX, "URL: %s", what);
}

/* Moves len bytes from the start of rest to a part. */
static struct slice cut(struct slice *rest, size_t len)
{
	struct slice part = slice_of(rest->ptr, len);

	rest->ptr += len;
	rest->len -= len;
	return part;
}

/* How many bytes come before one of stops. */
static size_t span(struct slice text, const char *stops)
{
	size_t len = 0;

	while (len < text.len && !strchr(stops, text.ptr[len]))
		len++;
	return len;
}

static bool begins(struct slice text, const char *scheme)
{
	size_t len = strlen(scheme);

	for (size_t i = 0; i < len; i++) {
		if (i >= text.len ||
		    (is_alpha(text.ptr[i]) ? text.ptr[i] | 0x20
					   : text.ptr[i]) != scheme[i])
			return false;
	}
	return true;
}

/* "[::1]" or a name. */
static int take_host(struct slice *rest, struct slice *ret_host)
{
	size_t len;

	if (rest->len && rest->ptr[0] == '[') {
		len = span(*rest, "]");
		if (len == rest->len ||
		    !all(slice_of(rest->ptr + 1, len - 1), is_literal_byte))
			return malformed("no IPv6 address");
		*ret_host = cut(rest, len + 1);
		return len > 1 ? 0 : malformed("no host");
	}
	*ret_host = cut(rest, span(*rest, ":"));
	if (!ret_host->len || !all(*ret_host, is_name_byte))
		return malformed("no host");
	return 0;
}

static int take_port(struct slice rest, struct slice *ret_port)
{
	long port = 0;

	*ret_port = slice_of(rest.ptr, 0);
	if (!rest.len)
		return 0;
	if (rest.ptr[0] != ':')
		return malformed("no host");
	cut(&rest, 1);
	while (rest.len > 1 && rest.ptr[0] == '0')
		cut(&rest, 1);
	for (size_t i = 0; i < rest.len; i++) {
		if (!is_digit(rest.ptr[i]) || port > PORT_MAX)
			return malformed("no port");
		port = port * 10 + (rest.ptr[i] - '0');
	}
	if (port > PORT_MAX)
		return malformed("no port");
	*ret_port = rest;
	return 0;
}

static int take_parts(struct slice rest, struct parts *ret)
{
	struct slice authority;

	if (begins(rest, "https://"))
		ret->scheme = "https";
	else if (begins(rest, "http://"))
		ret->scheme = "http";
	else
		return malformed("neither http nor https");
	cut(&rest, strlen(ret->scheme) + strlen("://"));
	rest.len = span(rest, "#");
	authority = cut(&rest, span(rest, "/?"));
	if (span(authority, "@") < authority.len)
		return malformed("holds a user");
	TRY(take_host(&authority, &ret->host));
	TRY(take_port(authority, &ret->port));
	ret->path = cut(&rest, span(rest, "?"));
	ret->query = rest;
	return 0;
}

static void put_lower(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_put_u8(out, is_alpha(text.ptr[i]) ? text.ptr[i] | 0x20
						      : text.ptr[i]);
}

static void put_origin(struct buf *out, const struct parts *p)
{
	const char *usual = !strcmp(p->scheme, "https") ? "443" : "80";

	buf_putf(out, "%s://", p->scheme);
	put_lower(out, p->host);
	if (!p->port.len || slice_is(p->port, usual))
		return;
	buf_put_u8(out, ':');
	buf_put(out, p->port);
}

/* RFC 3986, 6.2.2.1 and 6.2.2.2. */
static int put_escaped(struct buf *out, struct slice text,
		       bool (*is)(uint8_t c))
{
	for (size_t i = 0; i < text.len; i++) {
		int high, low;
		uint8_t byte;

		if (text.ptr[i] != '%') {
			if (!is(text.ptr[i]))
				return malformed("a byte that is not allowed");
			buf_put_u8(out, text.ptr[i]);
			continue;
		}
		high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
		low = i + 2 < text.len ? hex_value(text.ptr[i + 2]) : -1;
		if (high < 0 || low < 0)
			return malformed("a bad escape");
		byte = (uint8_t)(high * 16 + low);
		if (is_unreserved(byte))
			buf_put_u8(out, byte);
		else
			buf_putf(out, "%%%02X", byte);
		i += 2;
	}
	return 0;
}

/* Takes the last segment and its slash away from what begins at start. */
static void drop_segment(struct buf *out, size_t start)
{
	size_t len = out->len;

	while (len > start && out->data[len - 1] != '/')
		len--;
	buf_cut(out, len > start ? len - 1 : start);
}

/* RFC 3986, 5.2.4: path begins with a slash; escapes are normal already. */
static void put_without_dots(struct buf *out, struct slice path)
{
	size_t start = out->len;

	while (path.len) {
		struct slice segment;
		bool last;

		cut(&path, 1);
		segment = cut(&path, span(path, "/"));
		last = path.len == 0;
		if (slice_is(segment, "..")) {
			drop_segment(out, start);
			if (last)
				buf_put_u8(out, '/');
		} else if (slice_is(segment, ".")) {
			if (last)
				buf_put_u8(out, '/');
		} else {
			buf_put_u8(out, '/');
			buf_put(out, segment);
		}
	}
}

static int put_path(struct buf *out, struct slice path)
{
	CLEANUP(buf_clear) struct buf plain = BUF_INIT(URL_MAX);

	if (!path.len) {
		buf_put_u8(out, '/');
		return 0;
	}
	TRY(put_escaped(&plain, path, is_path_byte));
	put_without_dots(out, buf_slice(&plain));
	return 0;
}

int url_normalize(const char *text, enum url_part keep, struct buf *out)
{
	struct slice whole = slice_str(text);
	struct parts parts = { 0 };
	struct slice done;

	if (whole.len > URL_MAX)
		return error_set(ERR_LIMIT, "URL: longer than %d bytes",
				 (int)URL_MAX);
	TRY(take_parts(whole, &parts));
	put_origin(out, &parts);
	if (keep >= URL_PATH)
		TRY(put_path(out, parts.path));
	if (keep == URL_WHOLE)
		TRY(put_escaped(out, parts.query, is_query_byte));
	return buf_finish(out, &done);
}

bool url_same(const char *a, const char *b)
{
	CLEANUP(buf_clear) struct buf one = BUF_INIT(URL_MAX + 1);
	CLEANUP(buf_clear) struct buf other = BUF_INIT(URL_MAX + 1);

	if (!strcmp(a, b))
		return true;
	return url_normalize(a, URL_WHOLE, &one) == 0 &&
	       url_normalize(b, URL_WHOLE, &other) == 0 &&
	       slice_equals(buf_slice(&one), buf_slice(&other));
}

static bool is_this_machine(const char *text)
{
	static const char *const hosts[] = { "http://127.0.0.1", "http://[::1]",
					     "http://localhost" };

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		size_t len = strlen(hosts[i]);

		if (!strncmp(text, hosts[i], len) &&
		    (!text[len] || strchr(":/", text[len])))
			return true;
	}
	return false;
}

bool url_is_issuer(const char *text)
{
	CLEANUP(buf_clear) struct buf normal = BUF_INIT(URL_MAX + 1);
	size_t len = strlen(text);

	if (url_normalize(text, URL_WHOLE, &normal) < 0 ||
	    strpbrk(text, "?#") || text[len - 1] == '/')
		return false;
	/* Without a path the normal form has one slash more. */
	if (strncmp(buf_text(&normal), text, len) != 0 ||
	    (buf_text(&normal)[len] && strcmp(buf_text(&normal) + len, "/")))
		return false;
	return !strncmp(text, "https:", 6) || is_this_machine(text);
}
