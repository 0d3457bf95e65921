#include "http/exchange.h"

#include <assert.h>
#include <gnutls/gnutls.h>
#include <strings.h>

#include "base/mem.h"
#include "http/problem.h"

enum { REPLY_MAX = 64 << 20 }; /* bytes; what is listed is limited by flow */

static const char too_large[] =
	"{\"type\":\"urn:writ:problem:answer-too-large\","
	"\"title\":\"Internal Server Error\",\"status\":500,"
	"\"detail\":\"The answer is too large; ask for less of it.\","
	"\"code\":\"answer-too-large\"}";

/* The request. */

const char *http_method(const struct http_exchange *x)
{
	return x->method;
}

const char *http_path(const struct http_exchange *x)
{
	return x->target.path;
}

const char *http_param(const struct http_exchange *x, const char *name)
{
	for (unsigned i = 0; i < x->match.param_count; i++) {
		if (slice_is(x->match.params[i].name, name))
			return x->match.params[i].value;
	}
	return NULL;
}

const char *http_query(const struct http_exchange *x, const char *name)
{
	const char *value = NULL;

	for (unsigned i = 0; i < x->target.query_count; i++) {
		if (strcmp(x->target.query[i].name, name) != 0)
			continue;
		if (value)
			return NULL;
		value = x->target.query[i].value;
	}
	return value;
}

struct header_search {
	const char *name;
	const char *value;
	unsigned count;
};

static enum MHD_Result find_header(void *cookie, enum MHD_ValueKind kind UNUSED,
				   const char *name, size_t name_len UNUSED,
				   const char *value, size_t value_len UNUSED)
{
	struct header_search *search = cookie;

	if (!strcasecmp(name, search->name)) {
		search->value = value;
		search->count++;
	}
	return MHD_YES;
}

static struct header_search search_header(const struct http_exchange *x,
					  const char *name)
{
	struct header_search search = { name, NULL, 0 };

	if (x->connection)
		MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND,
					    find_header, &search);
	return search;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
	const struct header_search search = search_header(x, name);

	return search.count == 1 ? search.value : NULL;
}

unsigned http_header_count(const struct http_exchange *x, const char *name)
{
	return search_header(x, name).count;
}

struct slice http_body(const struct http_exchange *x)
{
	return buf_slice(&x->body);
}

/* RFC 6750, 2.1; the scheme compares without case (RFC 9110, 11.1). */
struct slice http_bearer(const struct http_exchange *x)
{
	static const char scheme[] = "Bearer ";
	const char *value = http_header(x, "Authorization");
	size_t len = strlen(scheme);

	if (!value || strncasecmp(value, scheme, len) != 0)
		return slice_of(NULL, 0);
	value += len;
	value += strspn(value, " ");
	len = strcspn(value, " \t,");
	return value[len] ? slice_of(NULL, 0) : slice_of(value, len);
}

bool http_bearer_is_broken(const struct http_exchange *x)
{
	static const char scheme[] = "Bearer";
	const char *value = http_header(x, "Authorization");
	size_t len = strlen(scheme);

	return value && !strncasecmp(value, scheme, len) &&
	       (!value[len] || value[len] == ' ') && !http_bearer(x).len;
}

size_t http_peer_chain(const struct http_exchange *x,
		       struct slice chain[HTTP_CHAIN_MAX])
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		x->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	const gnutls_datum_t *certs = NULL;
	unsigned count = 0;

	if (info && info->tls_session)
		certs = gnutls_certificate_get_peers(info->tls_session, &count);
	if (!certs)
		return 0;
	if (count > HTTP_CHAIN_MAX)
		count = HTTP_CHAIN_MAX;
	for (unsigned i = 0; i < count; i++)
		chain[i] = slice_of(certs[i].data, certs[i].size);
	return count;
}

const struct http_route *http_matched(const struct http_exchange *x)
{
	return x->match.route;
}

bool http_is_local(const struct http_exchange *x)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return info && info->client_addr &&
	       info->client_addr->sa_family == AF_UNIX;
}

void http_set_tag(struct http_exchange *x, void *tag)
{
	x->tag = tag;
}

void *http_tag(const struct http_exchange *x)
{
	return x->tag;
}

void http_on_gone(struct http_exchange *x,
		  void (*gone)(struct http_exchange *x, void *cookie),
		  void *cookie)
{
	x->gone = gone;
	x->gone_cookie = cookie;
}

/* The reply. */

static bool is_clean(const char *value)
{
	for (; *value; value++) {
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return false;
	}
	return true;
}

void http_add_header(struct http_exchange *x, const char *name,
		     const char *value)
{
	if (!is_clean(value))
		return;
	buf_put(&x->headers, slice_of(name, strlen(name) + 1));
	buf_put(&x->headers, slice_of(value, strlen(value) + 1));
}

/* Puts the added headers into response; says whether Cache-Control was one. */
static bool put_added(const struct http_exchange *x,
		      struct MHD_Response *response)
{
	const char *at = (const char *)x->headers.data;
	const char *end = at + x->headers.len;
	bool cache = false;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		cache |= !strcasecmp(at, MHD_HTTP_HEADER_CACHE_CONTROL);
		MHD_add_response_header(response, at, value);
		at = value + strlen(value) + 1;
	}
	return cache;
}

static void reply(struct http_exchange *x, unsigned status, const char *type,
		  struct MHD_Response *response)
{
	assert(response);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (x->headers.overflow || !x->headers.len || !put_added(x, response))
		MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
					"no-store");
	if (x->close)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION,
					"close");
	exchange_finish(x, status, response);
}

/* libmicrohttpd copies from the pointer, though its type does not say so. */
static struct MHD_Response *response_copy(struct slice body)
{
	static uint8_t nothing;
	uint8_t *start = &nothing;

	if (body.len)
		memcpy(&start, &body.ptr, sizeof(start));
	return MHD_create_response_from_buffer(body.len, start,
					       MHD_RESPMEM_MUST_COPY);
}

void http_reply(struct http_exchange *x, unsigned status, const char *type,
		struct slice body)
{
	reply(x, status, type, response_copy(body));
}

/* Some answers tell a secret: none of them stays in memory. */
static void text_sent(void *text)
{
	mem_wipe(text, strlen(text));
	free(text);
}

static void reply_json(struct http_exchange *x, unsigned status,
		       const char *type, json_t *value)
{
	CLEANUP(json_put_p) json_t *owned = value;
	struct buf text = BUF_INIT(REPLY_MAX);
	size_t len;

	/* What is kept may be more than one answer can be. */
	if (json_put_compact(&text, owned) < 0 || text.overflow) {
		buf_clear(&text);
		status = 500;
		type = "application/problem+json";
		buf_put_str(&text, too_large);
	}
	len = text.len;
	reply(x, status, type,
	      MHD_create_response_from_buffer_with_free_callback(
		      len, buf_take_text(&text), text_sent));
}

void http_reply_json(struct http_exchange *x, unsigned status, json_t *value)
{
	reply_json(x, status, "application/json", value);
}

void http_reply_problem(struct http_exchange *x, unsigned status,
			const char *code, const char *detail, json_t *more)
{
	reply_json(x, status, "application/problem+json",
		   problem_new(status, code, detail, more));
}

void exchange_free(struct http_exchange *x)
{
	if (x->response)
		MHD_destroy_response(x->response);
	buf_clear(&x->body);
	buf_clear(&x->headers);
	free(x);
}
