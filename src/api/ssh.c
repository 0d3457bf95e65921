/* What hosts fetch to check SSH certificates; public, like the log. */
#include "api/call.h"

#include <inttypes.h>

#include "base/error.h"

static void refuse(struct http_exchange *x)
{
	http_reply_problem(x, 503, "unavailable", error_message(), NULL);
}

/* Hosts that ask every minute are told "the same" (RFC 9110, 13.1.2). */
static bool has_it(struct http_exchange *x, const char *tag)
{
	const char *held = http_header(x, "If-None-Match");

	http_add_header(x, "ETag", tag);
	http_add_header(x, "Cache-Control", "no-cache");
	if (!held || strcmp(held, tag) != 0)
		return false;
	http_reply(x, 304, "application/octet-stream", slice_of(NULL, 0));
	return true;
}

void ssh_krl(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	struct slice list;
	uint64_t version;
	char tag[32];

	if (flow_ssh_krl(api->flow, &list, &version) < 0) {
		refuse(x);
		return;
	}
	snprintf(tag, sizeof(tag), "\"%" PRIu64 "\"", version);
	if (!has_it(x, tag))
		http_reply(x, 200, "application/octet-stream", list);
}

void ssh_authorities(struct http_exchange *x, void *cookie)
{
	struct api *api = cookie;
	const json_t *keys =
		json_array_in(flow_ssh_authorities(api->flow), "keys");
	CLEANUP(buf_clear) struct buf lines = BUF_INIT(64 * 1024);
	const json_t *line;
	size_t at;

	json_array_foreach(keys, at, line)
		buf_putf(&lines, "%s\n", json_string_value(line));
	if (lines.len)
		http_reply(x, 200, "text/plain; charset=utf-8",
			   buf_slice(&lines));
	else
		http_reply_problem(x, 503, "unavailable",
				   "The keeper issues no certificates.", NULL);
}
