#include "net/caching.h"

#include <strings.h>

#include <curl/curl.h>

static bool is_given(const char *text)
{
	return text && *text;
}

static int64_t bounded(int64_t seconds)
{
	if (seconds < 0)
		return 0;
	return seconds > CACHING_MAX_S ? CACHING_MAX_S : seconds;
}

/* Reads delta-seconds (RFC 9111, 1.2.2), with or without quotes, up to end; -1
 * if it is none. */
static int64_t read_seconds(const char *text, const char *end)
{
	int64_t value = 0;

	if (end - text >= 2 && *text == '"' && end[-1] == '"') {
		text++;
		end--;
	}
	if (text == end)
		return -1;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = bounded(value * 10 + (*text - '0'));
	}
	return value;
}

/* One directive of Cache-Control. */
struct directive {
	const char *name;
	size_t name_len;
	const char *value; /* NULL: none */
	const char *end;
};

static const char *skip(const char *text, const char *what)
{
	return text + strspn(text, what);
}

/* The end of a value: at a comma that is not within quotes. */
static const char *value_end(const char *text)
{
	bool quoted = false;

	for (; *text && (quoted || *text != ','); text++) {
		if (quoted && *text == '\\' && text[1])
			text++;
		else if (*text == '"')
			quoted = !quoted;
	}
	return text;
}

/* Takes the next directive off text; false at the end. */
static bool next_directive(const char **text, struct directive *d)
{
	const char *end;

	*text = skip(*text, " \t,");
	if (!**text)
		return false;
	d->name = *text;
	d->name_len = strcspn(d->name, "=, \t");
	d->value = NULL;
	end = d->name + d->name_len;
	if (*end == '=') {
		d->value = end + 1;
		end = value_end(d->value);
	}
	d->end = end;
	while (d->value && d->end > d->value &&
	       (d->end[-1] == ' ' || d->end[-1] == '\t'))
		d->end--;
	*text = end;
	return true;
}

static bool is_named(const struct directive *d, const char *name)
{
	return d->name_len == strlen(name) &&
	       !strncasecmp(d->name, name, d->name_len);
}

/* -1: no word about freshness. */
static int64_t by_cache_control(const char *text)
{
	struct directive d;
	int64_t fresh = -1;

	while (next_directive(&text, &d)) {
		int64_t seconds = -1;

		if (is_named(&d, "no-store") || is_named(&d, "no-cache"))
			return 0;
		if (!is_named(&d, "max-age"))
			continue;
		if (d.value)
			seconds = bounded(read_seconds(d.value, d.end));
		seconds = seconds < 0 ? 0 : seconds;
		fresh = fresh < 0 || seconds < fresh ? seconds : fresh;
	}
	return fresh;
}

/* Seconds since 1970 of an HTTP date, fallback if it is none. */
static int64_t read_date(const char *text, int64_t fallback)
{
	time_t at = is_given(text) ? curl_getdate(text, NULL) : -1;

	return at == -1 ? fallback : (int64_t)at;
}

int64_t caching_fresh_s(const char *cache_control, const char *expires,
			const char *date, int64_t now_s)
{
	int64_t fresh =
		is_given(cache_control) ? by_cache_control(cache_control) : -1;

	if (fresh >= 0 || !is_given(expires))
		return fresh;
	return bounded(read_date(expires, 0) - read_date(date, now_s));
}

int64_t caching_retry_s(const char *retry_after, int64_t now_s)
{
	int64_t seconds, at;

	if (!is_given(retry_after))
		return -1;
	seconds = read_seconds(retry_after, retry_after + strlen(retry_after));
	if (seconds >= 0)
		return seconds;
	at = read_date(retry_after, -1);
	return at < 0 ? -1 : bounded(at - now_s);
}
