#include "cli/client.h"

#include <curl/curl.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/args.h"

enum {
	CONNECT_TIMEOUT_MS = 10000,
	RETRY_DELAY_MS = 250,
};

struct client {
	const struct settings *settings;
	CURL *curl;
	char *base;   /* what paths are put behind */
	char *socket; /* Unix socket, or NULL */
	char *token;  /* wiped */
	int64_t retry_delay_ms;
	char why[CURL_ERROR_SIZE];
};

static void slist_free_p(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

int client_open(const struct settings *s, struct client **ret_client)
{
	CLEANUP(client_close_p) struct client *c = NULL;

	if (!s->url)
		return error_set(ERR_USAGE, "where is the authority? Give "
					    "--url, set WRIT_URL, or put url "
					    "into ~/.config/writ/config.yaml");
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return error_set(ERR_BROKEN, "libcurl does not start");
	c = mem_new(struct client);
	c->settings = s;
	c->retry_delay_ms = RETRY_DELAY_MS;
	c->curl = curl_easy_init();
	if (!c->curl)
		return error_set(ERR_BROKEN, "libcurl does not start");
	if (!strncmp(s->url, "unix:", 5)) {
		c->socket = mem_str(s->url + strlen("unix:"));
		c->base = mem_str("http://localhost");
	} else {
		c->base = mem_str(s->url);
	}
	*ret_client = TAKE(c);
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	client_set_token(c, NULL);
	curl_easy_cleanup(c->curl);
	free(c->base);
	free(c->socket);
	free(c);
}

void client_set_token(struct client *c, const char *token)
{
	char *copy = mem_str(token);

	if (c->token)
		mem_wipe(c->token, strlen(c->token));
	free(c->token);
	c->token = copy;
}

void client_set_retry_delay(struct client *c, int64_t delay_ms)
{
	c->retry_delay_ms = delay_ms;
}

static size_t take_body(char *data, size_t size, size_t count, void *cookie)
{
	struct buf *body = cookie;

	buf_put(body, slice_of(data, size * count));
	return body->overflow ? 0 : size * count;
}

/* The server's clock: the Date header (RFC 9110, 6.6.1). */
static size_t take_header(char *data, size_t size, size_t count, void *cookie)
{
	struct client_answer *a = cookie;
	size_t len = size * count;
	char date[64];
	time_t at;

	if (len > 5 && len < sizeof(date) && !strncasecmp(data, "date:", 5)) {
		memcpy(date, data + 5, len - 5);
		date[len - 5] = '\0';
		at = curl_getdate(date, NULL);
		a->date_ms = at > 0 ? (int64_t)at * 1000 : 0;
	}
	return len;
}

static void add_header(struct curl_slist **list, char *line)
{
	*list = curl_slist_append(*list, line);
	mem_wipe(line, strlen(line));
	free(line);
}

static struct curl_slist *make_headers(const struct client *c,
				       const struct client_call *call)
{
	struct curl_slist *list = NULL;

	add_header(&list, mem_str("Accept: application/json, "
				  "application/problem+json, text/plain"));
	add_header(&list, mem_str("Expect:"));
	if (call->body)
		add_header(&list, mem_str("Content-Type: application/json"));
	if (call->idempotency_key)
		add_header(&list, mem_format("Idempotency-Key: %s",
					     call->idempotency_key));
	if (c->token)
		add_header(&list,
			   mem_format("Authorization: Bearer %s", c->token));
	return list;
}

static void set_transport(struct client *c)
{
	CURL *curl = c->curl;

	/* Never another protocol, never another host by redirection. */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR,
			 strncmp(c->base, "https:", 6) ? "http" : "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION,
			 (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "writ/" WRIT_VERSION);
	if (strncmp(c->base, "https:", 6) != 0)
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (c->socket)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	if (c->settings->ca)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->settings->ca);
}

static void set_call(struct client *c, const struct client_call *call,
		     const char *body, struct client_answer *a)
{
	CURL *curl = c->curl;

	if (body) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
			 (long)(c->settings->timeout_ms + call->wait_ms));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a->body);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->why);
}

static int read_json(struct client *c, struct client_answer *a)
{
	const char *type = NULL;

	curl_easy_getinfo(c->curl, CURLINFO_CONTENT_TYPE, &type);
	if (!type || a->body.len == 0)
		return 0;
	if (strncmp(type, "application/json", 16) != 0 &&
	    strncmp(type, "application/problem+json", 24) != 0)
		return 0;
	return json_parse(buf_slice(&a->body), CLIENT_ANSWER_MAX, &a->json);
}

/* One attempt. */
static int attempt(struct client *c, const struct client_call *call,
		   struct client_answer *a)
{
	CLEANUP(slist_free_p) struct curl_slist *headers = NULL;
	CLEANUP(mem_free_p) char *url = mem_format("%s%s", c->base, call->path);
	CLEANUP(mem_free_p) char *body = NULL;
	CURLcode code;

	if (call->body)
		body = json_dumps(call->body, JSON_COMPACT);
	else if (strcmp(call->method, "GET") != 0)
		body = mem_str("");
	curl_easy_reset(c->curl);
	headers = make_headers(c, call);
	set_transport(c);
	set_call(c, call, body, a);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	c->why[0] = '\0';
	code = curl_easy_perform(c->curl);
	if (a->body.overflow)
		return error_set(ERR_LIMIT, "an answer of more than %d bytes",
				 CLIENT_ANSWER_MAX);
	if (code != CURLE_OK)
		return error_set(ERR_UNAVAILABLE, "%s: %s", c->settings->url,
				 c->why[0] ? c->why : curl_easy_strerror(code));
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &a->status);
	return read_json(c, a);
}

static bool may_repeat(const struct client_call *call, int r, long status)
{
	if (strcmp(call->method, "GET") != 0)
		return false;
	if (r < 0)
		return r == ERR_UNAVAILABLE;
	return status == 429 || (status >= 502 && status <= 504);
}

static void pause_ms(int64_t ms)
{
	struct timespec t = { (time_t)(ms / 1000), (ms % 1000) * 1000000 };

	discard(nanosleep(&t, NULL));
}

static void answer_init(struct client_answer *a)
{
	*a = (struct client_answer){ .body = BUF_INIT(CLIENT_ANSWER_MAX) };
}

int client_call(struct client *c, const struct client_call *call,
		struct client_answer *ret_answer)
{
	int64_t delay = c->retry_delay_ms;
	int r = 0;

	answer_init(ret_answer);
	for (int i = 0; i < CLIENT_TRIES; i++) {
		if (i > 0) {
			pause_ms(delay);
			delay *= 2;
			client_answer_clear(ret_answer);
		}
		r = attempt(c, call, ret_answer);
		if (!may_repeat(call, r, ret_answer->status))
			break;
	}
	if (r < 0)
		client_answer_clear(ret_answer);
	return r;
}

void client_answer_clear(struct client_answer *a)
{
	json_decref(a->json);
	buf_clear(&a->body);
	answer_init(a);
}

char *client_escape(const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	CLEANUP(buf_clear) struct buf b = BUF_INIT(256 * 1024);

	for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
		bool plain =
			(*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
			(*p >= 'A' && *p <= 'Z') || strchr("-._~", *p) != NULL;

		if (plain)
			buf_put_u8(&b, *p);
		else
			buf_putf(&b, "%%%c%c", hex[*p >> 4], hex[*p & 15]);
	}
	return mem_str(buf_text(&b));
}
