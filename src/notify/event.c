#include "notify/event.h"

#include "base/mem.h"

static const struct {
	const char *name;
	const char *folder;
	const char *subject;
} events[NOTIFY_EVENT_COUNT] = {
#define EVENT_ROW(id, text, folder, subject)                                   \
	[NOTIFY_##id] = { text, folder, subject },
	NOTIFY_EVENTS(EVENT_ROW)
#undef EVENT_ROW
};

const char *notify_event_name(enum notify_event event)
{
	return events[event].name;
}

bool notify_event_find(const char *name, enum notify_event *ret_event)
{
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (name && !strcmp(events[i].name, name)) {
			*ret_event = (enum notify_event)i;
			return true;
		}
	}
	return false;
}

const char *notify_event_subject(enum notify_event event)
{
	return events[event].subject;
}

/* Unreserved characters (RFC 3986, 2.3) stand for themselves. */
static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

char *notify_event_link(enum notify_event event, const char *prefix,
			const char *about)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(8192);
	size_t length = strlen(prefix);

	while (length > 0 && prefix[length - 1] == '/')
		length--;
	buf_putf(&b, "%.*s/%s/", (int)length, prefix, events[event].folder);
	for (; *about; about++) {
		if (is_unreserved(*about))
			buf_put(&b, slice_of(about, 1));
		else
			buf_putf(&b, "%%%02X", (unsigned char)*about);
	}
	return buf_take_text(&b);
}

char *notify_event_body(enum notify_event event, const char *link,
			const char *about, const char *role, int64_t made_ms)
{
	CLEANUP(json_put_p) json_t *body = json_object();
	json_t *data = json_object();

	json_set_text(data, "id", about);
	json_set_text(data, "link", link);
	json_set_text(data, "role", role);
	json_set_new(body, "data", data);
	json_set_time(body, "timestamp", made_ms);
	json_set_text(body, "type", notify_event_name(event));
	return json_canonical(body);
}
