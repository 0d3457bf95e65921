/*
 * Runs transfers for tests/integration/test_transfer.py: one JSON object on
 * standard input says where it may go ("allow", "ca") and which "requests" and
 * "mails" to make, all at once; their results come out as a JSON array.
 */
#include <unistd.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/mem.h"
#include "net/transfer.h"

enum { INPUT_MAX = 4 << 20, HEADERS_MAX = 16 };

struct fetch {
	struct loop *loop;
	struct transfers *transfers;
	json_t *results;
	size_t open;
};

/* One that is under way: where its result goes. */
struct slot {
	struct fetch *fetch;
	size_t index;
};

static void took(void *cookie, const struct transfer_result *result)
{
	struct slot *slot = cookie;
	json_t *row = json_object();

	json_set_text(row, "why", result->why);
	json_set_int(row, "status", result->status);
	json_set_int(row, "fresh", result->fresh_s);
	json_set_int(row, "retryAfter", result->retry_after_s);
	json_set_text(row, "contentType", result->content_type);
	json_set_text(row, "location", result->location);
	json_set_int(row, "size", (json_int_t)result->body.len);
	json_set_new(row, "body",
		     json_stringn((const char *)result->body.ptr,
				  result->body.len > 4096 ? 4096
							  : result->body.len));
	json_array_set_new(slot->fetch->results, slot->index, row);
	if (--slot->fetch->open == 0)
		loop_stop(slot->fetch->loop);
	free(slot);
}

static struct slot *slot_new(struct fetch *f)
{
	struct slot *slot = mem_new(struct slot);

	slot->fetch = f;
	slot->index = json_array_size(f->results);
	json_array_append_new(f->results, json_null());
	f->open++;
	return slot;
}

static bool nobody(void *cookie, const struct slice *chain, size_t count,
		   char why[TRANSFER_TEXT_MAX])
{
	discard(cookie != NULL || chain != NULL || count);
	snprintf(why, TRANSFER_TEXT_MAX, "nobody is trusted");
	return false;
}

static bool anybody(void *cookie, const struct slice *chain, size_t count,
		    char why[TRANSFER_TEXT_MAX])
{
	discard(cookie != NULL || why != NULL);
	return count > 0 && chain[0].len > 2 && chain[0].ptr[0] == 0x30;
}

static transfer_peer_fn peer_of(const char *name)
{
	if (!strcmp(name, "nobody"))
		return nobody;
	return strcmp(name, "anybody") ? NULL : anybody;
}

static void request(struct fetch *f, const json_t *row)
{
	const char *headers[HEADERS_MAX + 1] = { NULL };
	const json_t *header;
	size_t at;

	json_array_foreach(json_array_in(row, "headers"), at, header) {
		if (at < HEADERS_MAX)
			headers[at] = json_string_value(header);
	}
	transfer_start(
		f->transfers,
		&(struct transfer_request){
			.method = json_text(row, "method", NULL),
			.url = json_text(row, "url", ""),
			.headers = headers,
			.body = slice_str(json_text(row, "body", NULL)),
			.ca_file = json_text(row, "ca", NULL),
			.bytes_max = (size_t)json_int(row, "bytesMax", 0),
			.timeout_ms = json_int(row, "timeoutMs", 0),
			.redirects = (int)json_int(row, "redirects", 0),
			.peer = peer_of(json_text(row, "peer", "")),
		},
		took, slot_new(f));
}

static void mail(struct fetch *f, const json_t *row)
{
	const char *to[HEADERS_MAX + 1] = { NULL };
	const json_t *address;
	size_t at;

	json_array_foreach(json_array_in(row, "to"), at, address) {
		if (at < HEADERS_MAX)
			to[at] = json_string_value(address);
	}
	transfer_mail(
		f->transfers,
		&(struct transfer_mail){
			.url = json_text(row, "url", ""),
			.user = json_text(row, "user", NULL),
			.password = json_text(row, "password", NULL),
			.from = json_text(row, "from", ""),
			.to = to,
			.message = slice_str(json_text(row, "message", "")),
			.ca_file = json_text(row, "ca", NULL),
			.timeout_ms = json_int(row, "timeoutMs", 0),
			.plain = json_flag(row, "plain", false),
		},
		took, slot_new(f));
}

static int run(struct fetch *f, const json_t *order)
{
	const json_t *row;
	size_t at;

	json_array_foreach(json_array_in(order, "requests"), at, row)
		request(f, row);
	json_array_foreach(json_array_in(order, "mails"), at, row)
		mail(f, row);
	return f->open ? loop_run(f->loop) : 0;
}

static int read_order(json_t **ret_order)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(INPUT_MAX);
	uint8_t part[4096];
	ssize_t len;

	while ((len = read(STDIN_FILENO, part, sizeof(part))) > 0)
		buf_put(&b, slice_of(part, (size_t)len));
	return json_parse(buf_slice(&b), INPUT_MAX, ret_order);
}

static int fetch_all(void)
{
	CLEANUP(json_put_p) json_t *order = NULL;
	CLEANUP(json_put_p) json_t *results = json_array();
	CLEANUP(loop_close_p) struct loop *loop = NULL;
	CLEANUP(reach_free_p) struct reach *reach = NULL;
	CLEANUP(transfers_close_p) struct transfers *transfers = NULL;
	CLEANUP(mem_free_p) char *text = NULL;
	struct transfers_config config = { 0 };
	struct fetch f = { .results = results };

	TRY(read_order(&order));
	TRY(loop_open(&loop));
	TRY(reach_new(json_object_get(order, "allow"), &reach));
	config = (struct transfers_config){ loop, reach,
					    json_text(order, "ca", NULL) };
	TRY(transfers_open(&config, &transfers));
	f.loop = loop;
	f.transfers = transfers;
	TRY(run(&f, order));
	text = json_canonical(results);
	puts(text);
	return 0;
}

int main(void)
{
	if (fetch_all() == 0)
		return 0;
	fprintf(stderr, "%s\n", error_message());
	return 1;
}
