/*
 * libcurl tells which sockets and which time it waits for; the loop tells it
 * when they are there.  What has ended is collected after each such call.
 */
#include "net/transfer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/tls.h"
#include "net/caching.h"

enum {
	CONNECT_MS = 5 * 1000,
	REQUEST_MAX = 16 << 20, /* bytes of a body or mail that is sent */
	URL_MAX = 2048,
	CA_MAX = 8 << 20,	/* bytes of a file of authorities */
	MAIL_ADDRESS_MAX = 254, /* RFC 5321, 4.5.3.1.3 */
	RECIPIENTS_MAX = 100,
	MS_PER_S = 1000,
};

/* What is kept of an answer's header. */
enum kept {
	KEPT_CONTENT_TYPE,
	KEPT_LOCATION,
	KEPT_CACHE_CONTROL,
	KEPT_EXPIRES,
	KEPT_DATE,
	KEPT_RETRY_AFTER,
	KEPT_COUNT,
};

static const char *const kept_names[KEPT_COUNT] = {
	[KEPT_CONTENT_TYPE] = "Content-Type",
	[KEPT_LOCATION] = "Location",
	[KEPT_CACHE_CONTROL] = "Cache-Control",
	[KEPT_EXPIRES] = "Expires",
	[KEPT_DATE] = "Date",
	[KEPT_RETRY_AFTER] = "Retry-After",
};

static const char *const methods[] = { "GET", "POST", "PUT", "PATCH",
				       "DELETE" };

struct transfers {
	struct loop *loop;
	const struct reach *reach;
	char *ca_file; /* owned; NULL: the system's */
	CURLM *multi;
	struct loop_timer *timer;
	struct transfer *first;
};

/* A socket of libcurl's that is watched. */
struct watched {
	struct transfers *transfers;
	struct loop_watch *watch;
	curl_socket_t fd;
};

struct transfer {
	struct transfers *transfers;
	struct transfer *previous, *next;
	CURL *curl;
	bool added; /* to the multi handle */
	bool plain; /* without TLS */
	struct curl_slist *headers;
	struct curl_slist *recipients;
	struct buf sent;
	size_t sent_at; /* of a mail */
	struct buf body;
	size_t header_bytes;
	char kept[KEPT_COUNT][TRANSFER_TEXT_MAX];
	char why[TRANSFER_TEXT_MAX]; /* ours; "" if libcurl's is better */
	char curl_why[CURL_ERROR_SIZE];
	transfer_peer_fn peer;
	void *peer_cookie;
	struct tls_judge judge;
	transfer_done_fn done;
	void *cookie;
};

static void explain(struct transfer *x, const char *why)
{
	if (!x->why[0])
		snprintf(x->why, sizeof(x->why), "%s", why);
}

/* ---- ends ---- */

static void transfer_free(struct transfer *x)
{
	if (x->previous)
		x->previous->next = x->next;
	else
		x->transfers->first = x->next;
	if (x->next)
		x->next->previous = x->previous;
	if (x->added)
		curl_multi_remove_handle(x->transfers->multi, x->curl);
	curl_easy_cleanup(x->curl);
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->recipients);
	buf_clear(&x->sent);
	buf_clear(&x->body);
	free(x);
}

static void read_kept(struct transfer *x, struct transfer_result *result)
{
	int64_t now_s = clock_wall_ms() / MS_PER_S;

	memcpy(result->content_type, x->kept[KEPT_CONTENT_TYPE],
	       TRANSFER_TEXT_MAX);
	memcpy(result->location, x->kept[KEPT_LOCATION], TRANSFER_TEXT_MAX);
	result->fresh_s = caching_fresh_s(x->kept[KEPT_CACHE_CONTROL],
					  x->kept[KEPT_EXPIRES],
					  x->kept[KEPT_DATE], now_s);
	result->retry_after_s =
		caching_retry_s(x->kept[KEPT_RETRY_AFTER], now_s);
}

static bool is_redirect(long status)
{
	return status >= 300 && status < 400 && status != 304;
}

static void explain_size(struct transfer *x)
{
	char why[TRANSFER_TEXT_MAX];

	snprintf(why, sizeof(why), "the answer is larger than %zu bytes",
		 x->body.max);
	explain(x, why);
}

static const char *why_of(struct transfer *x, CURLcode code)
{
	if (code == CURLE_FILESIZE_EXCEEDED)
		explain_size(x);
	if (code != CURLE_OK && !x->why[0])
		explain(x, x->curl_why[0] ? x->curl_why
					  : curl_easy_strerror(code));
	return x->why[0] ? x->why : NULL;
}

/* Tells how it went, after which x is no more. */
static void finish(struct transfer *x, CURLcode code)
{
	struct transfer_result result = { .body = buf_slice(&x->body) };
	char text[64];

	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &result.status);
	if (code == CURLE_OK && is_redirect(result.status)) {
		snprintf(text, sizeof(text),
			 "the answer is a redirect (%ld), not followed",
			 result.status);
		explain(x, text);
	}
	result.why = why_of(x, code);
	read_kept(x, &result);
	if (result.why)
		result.body = slice_of(NULL, 0);
	x->done(x->cookie, &result);
	transfer_free(x);
}

/* A request that could not be sent at all. */
static void fail(void *cookie)
{
	finish(cookie, CURLE_FAILED_INIT);
}

static void collect(struct transfers *t)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(t->multi, &left))) {
		struct transfer *x = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &x);
		finish(x, message->data.result);
	}
}

void transfer_cancel(struct transfer *x)
{
	loop_defer_end(x->transfers->loop, x);
	transfer_free(x);
}

/* ---- the loop's side ---- */

static void run(struct transfers *t, curl_socket_t fd, int events)
{
	int running;

	curl_multi_socket_action(t->multi, fd, events, &running);
	collect(t);
}

static void on_socket(void *cookie, uint32_t events)
{
	const struct watched *w = cookie;
	int flags = 0;

	if (events & EPOLLIN)
		flags |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		flags |= CURL_CSELECT_ERR;
	run(w->transfers, w->fd, flags);
}

static void on_timer(void *cookie)
{
	struct transfers *t = cookie;

	t->timer = NULL;
	run(t, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long delay_ms, void *cookie)
{
	struct transfers *t = cookie;

	discard(multi != NULL);
	loop_timer_end(TAKE(t->timer));
	if (delay_ms >= 0)
		t->timer = loop_timer(t->loop, delay_ms, on_timer, t);
	return 0;
}

static void unwatch(struct transfers *t, struct watched *w)
{
	if (!w)
		return;
	curl_multi_assign(t->multi, w->fd, NULL);
	loop_watch_end(w->watch);
	free(w);
}

static int watch(struct transfers *t, curl_socket_t fd, uint32_t events)
{
	struct watched *w = mem_new(struct watched);

	w->transfers = t;
	w->fd = fd;
	if (loop_watch(t->loop, fd, events, on_socket, w, &w->watch) < 0) {
		free(w);
		return -1;
	}
	curl_multi_assign(t->multi, fd, w);
	return 0;
}

static int set_socket(CURL *curl, curl_socket_t fd, int what, void *cookie,
		      void *socket_cookie)
{
	struct transfers *t = cookie;
	struct watched *w = socket_cookie;
	uint32_t events = 0;

	discard(curl != NULL);
	if (what == CURL_POLL_REMOVE) {
		unwatch(t, w);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	return w ? loop_watch_change(w->watch, events) : watch(t, fd, events);
}

/* ---- what libcurl asks ---- */

static void explain_refusal(struct transfer *x, const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN] = "this";
	char why[TRANSFER_TEXT_MAX];
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
	} else if (address->sa_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
	}
	snprintf(why, sizeof(why),
		 x->plain ? "%s is no loopback address that the configuration "
			    "names, and nothing else is spoken to without TLS"
			  : "%s is an internal address that the configuration "
			    "does not name",
		 text);
	explain(x, why);
}

/* The one place where connections come from. */
static curl_socket_t open_socket(void *cookie, curlsocktype purpose,
				 struct curl_sockaddr *address)
{
	struct transfer *x = cookie;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    !reach_allows(x->transfers->reach, &address->addr, x->plain)) {
		explain_refusal(x, &address->addr);
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
		      address->protocol);
}

static bool ask_peer(void *cookie, const struct slice *chain, size_t count)
{
	struct transfer *x = cookie;
	char why[TRANSFER_TEXT_MAX] = "";

	if (x->peer(x->peer_cookie, chain, count, why))
		return true;
	explain(x, why[0] ? why : "the peer is not who it should be");
	return false;
}

static CURLcode set_judge(CURL *curl, void *ssl_ctx, void *cookie)
{
	struct transfer *x = cookie;

	discard(curl != NULL);
	x->judge = (struct tls_judge){ ask_peer, x };
	tls_ask(ssl_ctx, &x->judge);
	return CURLE_OK;
}

static size_t take_body(char *data, size_t one, size_t size, void *cookie)
{
	struct transfer *x = cookie;

	buf_put(&x->body, slice_of(data, one * size));
	if (!x->body.overflow)
		return one * size;
	explain_size(x);
	return 0;
}

/* Keeps the value of one line, joined to an earlier one of that name (RFC 9110,
 * 5.3). */
static void keep(char kept[TRANSFER_TEXT_MAX], struct slice value)
{
	size_t used = strlen(kept);
	int len;

	while (value.len && (value.ptr[0] == ' ' || value.ptr[0] == '\t'))
		value = slice_of(value.ptr + 1, value.len - 1);
	while (value.len && value.ptr[value.len - 1] <= ' ')
		value.len--;
	len = value.len < TRANSFER_TEXT_MAX ? (int)value.len
					    : TRANSFER_TEXT_MAX;
	snprintf(kept + used, TRANSFER_TEXT_MAX - used, "%s%.*s",
		 used ? ", " : "", len, (const char *)value.ptr);
}

static void look_at_header(struct transfer *x, struct slice line)
{
	for (size_t i = 0; i < KEPT_COUNT; i++) {
		size_t len = strlen(kept_names[i]);

		if (line.len > len && line.ptr[len] == ':' &&
		    !strncasecmp((const char *)line.ptr, kept_names[i], len))
			keep(x->kept[i],
			     slice_of(line.ptr + len + 1, line.len - len - 1));
	}
}

static size_t take_header(char *data, size_t one, size_t size, void *cookie)
{
	struct transfer *x = cookie;
	struct slice line = slice_of(data, one * size);

	/* Another answer begins, after a redirect or a 100. */
	if (line.len > 5 && !memcmp(data, "HTTP/", 5))
		memset(x->kept, 0, sizeof(x->kept));
	x->header_bytes += line.len;
	if (x->header_bytes > TRANSFER_HEADERS_MAX) {
		explain(x, "the answer's header is too large");
		return 0;
	}
	look_at_header(x, line);
	return line.len;
}

static size_t give_mail(char *data, size_t one, size_t size, void *cookie)
{
	struct transfer *x = cookie;
	size_t left = x->sent.len - x->sent_at;
	size_t len = one * size < left ? one * size : left;

	if (len)
		memcpy(data, x->sent.data + x->sent_at, len);
	x->sent_at += len;
	return len;
}

/* ---- setting up ---- */

int transfers_open(const struct transfers_config *config,
		   struct transfers **ret_transfers)
{
	struct transfers *t;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return error_set(ERR_BROKEN, "libcurl does not start");
	t = mem_new(struct transfers);
	t->loop = config->loop;
	t->reach = config->reach;
	t->ca_file = mem_str(config->ca_file);
	t->multi = curl_multi_init();
	if (!t->multi) {
		transfers_close(t);
		return error_set(ERR_BROKEN, "libcurl does not start");
	}
	curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
	curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
	curl_multi_setopt(t->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
			  (long)TRANSFER_CONNECTIONS_MAX);
	*ret_transfers = t;
	return 0;
}

void transfers_close(struct transfers *t)
{
	if (!t)
		return;
	while (t->first)
		transfer_cancel(t->first);
	curl_multi_cleanup(t->multi);
	loop_timer_end(t->timer);
	free(t->ca_file);
	free(t);
	curl_global_cleanup();
}

/* Nothing of the environment, nothing kept, nothing but what is asked for. */
static void set_limits(struct transfer *x, int64_t timeout_ms)
{
	CURL *curl = x->curl;

	if (timeout_ms <= 0)
		timeout_ms = TRANSFER_TIMEOUT_MS;
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	/* A resolver that hangs is left behind instead of being waited for. */
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
}

static void set_callbacks(struct transfer *x)
{
	CURL *curl = x->curl;

	curl_easy_setopt(curl, CURLOPT_PRIVATE, x);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, x->curl_why);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, x);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
}

static void set_tls(struct transfer *x, const char *ca_file)
{
	CURL *curl = x->curl;

	curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, x->peer ? 0L : 2L);
	if (!ca_file)
		ca_file = x->transfers->ca_file;
	if (ca_file && !x->peer) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	if (!x->peer)
		return;
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, set_judge);
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, x);
}

static struct transfer *transfer_new(struct transfers *t, transfer_done_fn done,
				     void *cookie)
{
	struct transfer *x = mem_new(struct transfer);

	x->transfers = t;
	x->curl = curl_easy_init();
	assert(x->curl); /* no memory */
	x->sent.max = REQUEST_MAX;
	x->done = done;
	x->cookie = cookie;
	x->next = t->first;
	if (x->next)
		x->next->previous = x;
	t->first = x;
	set_callbacks(x);
	return x;
}

/* r: how the preparations went. */
static struct transfer *begin(struct transfer *x, int r)
{
	if (r < 0)
		explain(x, error_message());
	x->added =
		r == 0 && !curl_multi_add_handle(x->transfers->multi, x->curl);
	if (!x->added)
		loop_defer(x->transfers->loop, fail, x);
	return x;
}

/* ---- HTTP ---- */

static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	}
	return true;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static void url_free_p(CURLU **url)
{
	curl_url_cleanup(*url);
}

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool there = !curl_url_get(url, part, &text, 0) && text && *text;

	curl_free(text);
	return there;
}

static int check_mail_url(const char *url, bool plain)
{
	bool starttls = begins(url, "smtp://");

	if (!starttls && !begins(url, "smtps://"))
		return error_set(ERR_SYNTAX,
				 "mail goes to smtp:// or smtps://");
	if (strlen(url) > URL_MAX || !is_printable(url) || strchr(url, '@') ||
	    !strchr(url, '/')[2])
		return error_set(ERR_SYNTAX, "the mail server's URL");
	if (plain && !starttls)
		return error_set(ERR_REFUSED, "smtps:// is never plain");
	return 0;
}

/* The address and port that the URL names as such; false for a name. */
static bool read_literal(CURLU *url, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	char *host = NULL;
	char *port = NULL;
	char bare[INET6_ADDRSTRLEN + 2] = "";
	in_port_t number = 0;
	bool found = true;

	*ret = (struct sockaddr_storage){ 0 };
	if (!curl_url_get(url, CURLUPART_HOST, &host, 0) && host)
		snprintf(bare, sizeof(bare), "%s", host + (*host == '['));
	bare[strcspn(bare, "]")] = '\0';
	if (!curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
	    port)
		number = htons((uint16_t)strtol(port, NULL, 10));
	curl_free(host);
	curl_free(port);
	if (inet_pton(AF_INET, bare, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = number;
	} else if (inet_pton(AF_INET6, bare, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = number;
	} else {
		found = false;
	}
	return found;
}

static bool is_loopback(CURLU *url)
{
	struct sockaddr_storage address;

	return read_literal(url, &address) &&
	       reach_is_loopback((const struct sockaddr *)&address);
}

static int check_named(const struct reach *reach, const char *text)
{
	CLEANUP(url_free_p) CURLU *url = curl_url();
	struct sockaddr_storage address;

	if (url && !curl_url_set(url, CURLUPART_URL, text, 0) &&
	    read_literal(url, &address) &&
	    reach_allows(reach, (const struct sockaddr *)&address, true))
		return 0;
	return error_set(ERR_REFUSED,
			 "URL: without TLS only to a loopback address that "
			 "outgoing.allow of writd.yaml names");
}

int transfer_check_reach(const struct reach *reach, const char *url)
{
	TRY(transfer_check_url(url));
	return begins(url, "http://") ? check_named(reach, url) : 0;
}

int transfer_check_mail(const struct reach *reach, const char *url, bool plain)
{
	TRY(check_mail_url(url, plain));
	return plain ? check_named(reach, url) : 0;
}

const struct reach *transfers_reach(const struct transfers *t)
{
	return t->reach;
}

int transfer_check_ca(const char *path)
{
	CLEANUP(buf_clear) struct buf pem = BUF_INIT(CA_MAX);

	TRY(file_read(path, &pem));
	return tls_check_authorities(buf_slice(&pem)) < 0
		       ? error_context(ERR_SYNTAX, "'%s'", path)
		       : 0;
}

int transfer_check_url(const char *text)
{
	CLEANUP(url_free_p) CURLU *url = curl_url();
	const char *rest;

	if (strlen(text) > URL_MAX)
		return error_set(ERR_SYNTAX, "URL: too long");
	for (const char *c = text; *c; c++) {
		if (*c <= 0x20 || *c >= 0x7f)
			return error_set(ERR_SYNTAX,
					 "URL: only printable ASCII");
	}
	if (!begins(text, "https://") && !begins(text, "http://"))
		return error_set(ERR_SYNTAX, "not an https URL");
	rest = strchr(text, '/') + 2;
	if (*rest == '/' || !url || curl_url_set(url, CURLUPART_URL, text, 0) ||
	    !has_part(url, CURLUPART_HOST))
		return error_set(ERR_SYNTAX, "URL: no host");
	if (begins(text, "http://") && !is_loopback(url))
		return error_set(ERR_SYNTAX,
				 "not an https URL (http goes only to a "
				 "loopback address that outgoing.allow names)");
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		return error_set(ERR_SYNTAX, "URL: holds a user");
	if (strchr(text, '#'))
		return error_set(ERR_SYNTAX, "URL: holds a fragment");
	return 0;
}

static int set_url(struct transfer *x, const char *url)
{
	TRY(transfer_check_url(url));
	x->plain = begins(url, "http://");
	curl_easy_setopt(x->curl, CURLOPT_URL, url);
	curl_easy_setopt(x->curl, CURLOPT_PROTOCOLS_STR,
			 x->plain ? "http" : "https");
	curl_easy_setopt(x->curl, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(x->curl, CURLOPT_USERAGENT, "writ/" WRIT_VERSION);
	return 0;
}

static int set_method(struct transfer *x, const char *method)
{
	size_t i = 0;

	while (i < ARRAY_LEN(methods) && strcmp(method, methods[i]) != 0)
		i++;
	if (i == ARRAY_LEN(methods))
		return error_set(ERR_SYNTAX, "no such method");
	if (i > 0) {
		curl_easy_setopt(x->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(x->curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)x->sent.len);
		curl_easy_setopt(x->curl, CURLOPT_POSTFIELDS,
				 buf_text(&x->sent));
		curl_easy_setopt(x->curl, CURLOPT_CUSTOMREQUEST, methods[i]);
	}
	return 0;
}

static int set_redirects(struct transfer *x, const char *method, int redirects)
{
	if (redirects > 0 && strcmp(method, methods[0]) != 0)
		return error_set(ERR_SYNTAX, "only GET follows redirects");
	curl_easy_setopt(x->curl, CURLOPT_FOLLOWLOCATION,
			 redirects > 0 ? 1L : 0L);
	curl_easy_setopt(x->curl, CURLOPT_MAXREDIRS,
			 redirects > 0 ? (long)redirects : 0L);
	curl_easy_setopt(x->curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
	return 0;
}

static int set_headers(struct transfer *x, const char *const *headers)
{
	x->headers = curl_slist_append(NULL, "Expect:");
	for (; headers && *headers; headers++) {
		if (!is_printable(*headers) || !strchr(*headers, ':'))
			return error_set(ERR_SYNTAX,
					 "a header is not \"Name: value\"");
		x->headers = curl_slist_append(x->headers, *headers);
	}
	curl_easy_setopt(x->curl, CURLOPT_HTTPHEADER, x->headers);
	return 0;
}

static int set_sent(struct transfer *x, struct slice bytes)
{
	buf_put(&x->sent, bytes);
	if (x->sent.overflow)
		return error_set(ERR_LIMIT, "more than %d bytes to send",
				 REQUEST_MAX);
	return 0;
}

static int prepare_request(struct transfer *x,
			   const struct transfer_request *request)
{
	const char *method = request->method ? request->method : methods[0];

	x->body.max =
		request->bytes_max ? request->bytes_max : TRANSFER_BYTES_MAX;
	x->peer = request->peer;
	x->peer_cookie = request->peer_cookie;
	curl_easy_setopt(x->curl, CURLOPT_MAXFILESIZE_LARGE,
			 (curl_off_t)x->body.max);
	set_limits(x, request->timeout_ms);
	set_tls(x, request->ca_file);
	TRY(set_sent(x, request->body));
	TRY(set_url(x, request->url));
	TRY(set_method(x, method));
	TRY(set_redirects(x, method, request->redirects));
	return set_headers(x, request->headers);
}

struct transfer *transfer_start(struct transfers *t,
				const struct transfer_request *request,
				transfer_done_fn done, void *cookie)
{
	struct transfer *x = transfer_new(t, done, cookie);

	return begin(x, prepare_request(x, request));
}

/* ---- mail ---- */

/* A mailbox as RFC 5321, 4.1.2 writes it, without quoted forms. */
static bool is_mail_address(const char *text)
{
	size_t len = strlen(text);
	const char *at = strrchr(text, '@');

	if (len > MAIL_ADDRESS_MAX || !at || at == text || !at[1])
		return false;
	for (const char *c = text; *c; c++) {
		if (*c <= 0x20 || *c >= 0x7f || strchr("<>\"\\(),;:[]", *c))
			return false;
	}
	return strchr(text, '@') == at;
}

static int set_recipients(struct transfer *x, const char *const *to)
{
	size_t count = 0;

	for (; *to; to++) {
		if (!is_mail_address(*to) || ++count > RECIPIENTS_MAX)
			return error_set(ERR_SYNTAX,
					 "a recipient is no mail address, or "
					 "there are more than %d",
					 RECIPIENTS_MAX);
		x->recipients = curl_slist_append(x->recipients, *to);
	}
	if (!count)
		return error_set(ERR_SYNTAX, "a mail without recipients");
	curl_easy_setopt(x->curl, CURLOPT_MAIL_RCPT, x->recipients);
	return 0;
}

static int set_mail_url(struct transfer *x, const struct transfer_mail *mail)
{
	TRY(check_mail_url(mail->url, mail->plain));
	x->plain = mail->plain;
	if (x->plain && mail->user)
		return error_set(ERR_REFUSED,
				 "a password is not sent without TLS");
	curl_easy_setopt(x->curl, CURLOPT_URL, mail->url);
	curl_easy_setopt(x->curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(x->curl, CURLOPT_USE_SSL,
			 (long)(x->plain ? CURLUSESSL_NONE : CURLUSESSL_ALL));
	return 0;
}

static void set_login(struct transfer *x, const struct transfer_mail *mail)
{
	if (!mail->user)
		return;
	curl_easy_setopt(x->curl, CURLOPT_USERNAME, mail->user);
	curl_easy_setopt(x->curl, CURLOPT_PASSWORD,
			 mail->password ? mail->password : "");
}

static int prepare_mail(struct transfer *x, const struct transfer_mail *mail)
{
	x->body.max = TRANSFER_BYTES_MAX;
	set_limits(x, mail->timeout_ms);
	set_tls(x, mail->ca_file);
	set_login(x, mail);
	TRY(set_sent(x, mail->message));
	TRY(set_mail_url(x, mail));
	if (!is_mail_address(mail->from))
		return error_set(ERR_SYNTAX, "the sender is no mail address");
	TRY(set_recipients(x, mail->to));
	curl_easy_setopt(x->curl, CURLOPT_MAIL_FROM, mail->from);
	curl_easy_setopt(x->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(x->curl, CURLOPT_READFUNCTION, give_mail);
	curl_easy_setopt(x->curl, CURLOPT_READDATA, x);
	curl_easy_setopt(x->curl, CURLOPT_INFILESIZE_LARGE,
			 (curl_off_t)x->sent.len);
	return 0;
}

struct transfer *transfer_mail(struct transfers *t,
			       const struct transfer_mail *mail,
			       transfer_done_fn done, void *cookie)
{
	struct transfer *x = transfer_new(t, done, cookie);

	return begin(x, prepare_mail(x, mail));
}
