/*
 * SPIFFE-ID section 2.  Only the lower-case forms are taken: scheme and trust
 * domain compare without case (2.4), but an ID must not be made otherwise.
 */
#include "identity/svid.h"

#include "base/error.h"

static const char scheme[] = "spiffe://";

enum {
	SCHEME_LEN = sizeof(scheme) - 1,
	DOMAIN_MAX = 255, /* bytes, section 2.3 */
};

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Section 2.1; no user, port, percent-encoding or IPv6 gets past this. */
static bool is_domain_char(char c)
{
	return is_lower_or_digit(c) || c == '.' || c == '-' || c == '_';
}

/* Section 2.2. */
static bool is_segment_char(char c)
{
	return is_domain_char(c) || (c >= 'A' && c <= 'Z');
}

static bool is_dots(const char *segment, size_t len)
{
	return (len == 1 || len == 2) && segment[0] == '.' &&
	       segment[len - 1] == '.';
}

/* Checks "/segment/segment"; an empty path is right as well. */
static int check_path(const char *path)
{
	while (*path == '/') {
		const char *segment = path + 1;
		size_t len = 0;

		while (is_segment_char(segment[len]))
			len++;
		if (len == 0)
			return error_set(ERR_SYNTAX,
					 "SPIFFE ID with an empty segment");
		if (is_dots(segment, len))
			return error_set(ERR_SYNTAX,
					 "SPIFFE ID with a relative segment");
		path = segment + len;
	}
	if (*path)
		return error_set(ERR_SYNTAX,
				 "SPIFFE ID with a byte that is not allowed");
	return 0;
}

int spiffe_id_parse(const char *text, struct spiffe_id *ret_id)
{
	size_t len = strnlen(text, SPIFFE_ID_MAX);
	size_t domain_len = 0;
	const char *domain;

	if (len >= SPIFFE_ID_MAX)
		return error_set(ERR_SYNTAX, "SPIFFE ID too long");
	if (strncmp(text, scheme, SCHEME_LEN) != 0)
		return error_set(ERR_SYNTAX, "not a SPIFFE ID");
	domain = text + SCHEME_LEN;
	while (is_domain_char(domain[domain_len]))
		domain_len++;
	if (domain_len == 0 || domain_len > DOMAIN_MAX)
		return error_set(ERR_SYNTAX, "SPIFFE ID without a domain");
	TRY(check_path(domain + domain_len));
	memcpy(ret_id->text, text, len + 1);
	memcpy(ret_id->domain, domain, domain_len);
	ret_id->domain[domain_len] = 0;
	return 0;
}
