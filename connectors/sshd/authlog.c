#include "connectors/sshd/authlog.h"

#include <string.h>

#include "base/base.h"
#include "base/clock.h"

enum { TIME_MAX = 40 }; /* bytes of a time */

/* ---- slices ---- */

static bool begins(struct slice text, const char *with)
{
	size_t len = strlen(with);

	return text.len >= len && !memcmp(text.ptr, with, len);
}

static struct slice without(struct slice text, size_t len)
{
	return slice_of(text.ptr + len, text.len - len);
}

/* Takes what stands before a byte off text, and the byte; false if it does not
 * stand there. */
static bool take_until(struct slice *text, char end, struct slice *ret_part)
{
	const uint8_t *at =
		text->len ? memchr(text->ptr, end, text->len) : NULL;
	size_t len;

	if (!at)
		return false;
	len = (size_t)(at - text->ptr);
	*ret_part = slice_of(text->ptr, len);
	*text = without(*text, len + 1);
	return true;
}

/* Where words stand in text last; SIZE_MAX if nowhere. */
static size_t find_last(struct slice text, const char *words)
{
	size_t len = strlen(words);

	for (size_t at = text.len; at-- > 0;) {
		if (begins(without(text, at), words) && text.len - at >= len)
			return at;
	}
	return SIZE_MAX;
}

/* ---- lines ---- */

static bool read_time(struct slice text, int64_t *ret_ms)
{
	char words[TIME_MAX];

	if (text.len == 0 || text.len >= sizeof(words))
		return false;
	memcpy(words, text.ptr, text.len);
	words[text.len] = '\0';
	return !memchr(words, '\0', text.len) &&
	       clock_parse(words, ret_ms) == 0;
}

/* "sshd[77]: "; also the names that later versions split it into. */
static bool take_sshd(struct slice *text)
{
	static const char *const names[] = { "sshd[", "sshd-session[",
					     "sshd-auth[" };
	struct slice pid;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!begins(*text, names[i]))
			continue;
		*text = without(*text, strlen(names[i]));
		if (!take_until(text, ']', &pid) || !begins(*text, ": "))
			return false;
		*text = without(*text, 2);
		return true;
	}
	return false;
}

enum authlog_kind authlog_next(struct slice *text,
			       struct authlog_line *ret_line)
{
	struct slice line;
	struct slice time;

	if (!take_until(text, '\n', &line))
		return AUTHLOG_END;
	/* Of two texts that differ behind a NUL one would pass for the other.
	 */
	if ((line.len && memchr(line.ptr, '\0', line.len)) ||
	    !take_until(&line, ' ', &time) ||
	    !read_time(time, &ret_line->at_ms))
		return AUTHLOG_ODD;
	if (!take_until(&line, ' ', &ret_line->host) || !take_sshd(&line))
		return AUTHLOG_OTHER;
	ret_line->message = line;
	return AUTHLOG_SSHD;
}

/* ---- messages ---- */

static const char *const names[] = {
	[AUTHLOG_NOTHING] = "nothing", [AUTHLOG_LOGIN] = "login",
	[AUTHLOG_SHELL] = "shell",     [AUTHLOG_EXEC] = "exec",
	[AUTHLOG_SFTP] = "sftp",       [AUTHLOG_SUBSYSTEM] = "subsystem",
};

const char *authlog_event_name(enum authlog_event event)
{
	return names[event];
}

/* "ADDRESS port N" behind the last " from "; what follows it is left in
 * text. */
static bool take_peer(struct slice *text, struct slice *ret_peer)
{
	static const char from[] = " from ";
	static const char port[] = " port ";
	size_t at = find_last(*text, from);
	struct slice rest;
	size_t end;

	if (at == SIZE_MAX)
		return false;
	rest = without(*text, at + strlen(from));
	end = find_last(rest, port);
	if (end == SIZE_MAX || end == 0)
		return false;
	end += strlen(port);
	while (end < rest.len && rest.ptr[end] >= '0' && rest.ptr[end] <= '9')
		end++;
	*ret_peer = slice_of(rest.ptr, end);
	*text = without(rest, end);
	return true;
}

/* "TYPE FINGERPRINT ID KEYID (serial N) CA TYPE FINGERPRINT".  A key id may
 * have blanks and more in it; it ends where the last serial begins. */
static struct slice key_id_of(struct slice key)
{
	static const char id[] = "ID ";
	const struct slice none = { 0 };
	struct slice word;
	size_t serial;

	if (!take_until(&key, ' ', &word) ||
	    find_last(word, "-CERT") == SIZE_MAX ||
	    !take_until(&key, ' ', &word) || !begins(key, id))
		return none; /* no certificate */
	key = without(key, strlen(id));
	serial = find_last(key, " (serial ");
	return serial == SIZE_MAX ? none : slice_of(key.ptr, serial);
}

/* "METHOD for USER from PEER ssh2: KEY"; methods without a key end with
 * "ssh2". */
static enum authlog_event read_login(struct slice message,
				     struct slice *ret_peer,
				     struct slice *ret_key_id)
{
	static const char protocol[] = " ssh2";
	struct slice key = { 0 };
	struct slice method;
	struct slice peer;

	if (!take_until(&message, ' ', &method) || !begins(message, "for "))
		return AUTHLOG_NOTHING;
	/* The first one: what a key id says comes behind it. */
	for (size_t at = 0; at < message.len; at++) {
		struct slice rest = without(message, at);

		if (!begins(rest, protocol))
			continue;
		rest = without(rest, strlen(protocol));
		if (begins(rest, ": "))
			key = without(rest, 2);
		else if (rest.len > 0)
			continue;
		message = slice_of(message.ptr, at);
		break;
	}
	if (!take_peer(&message, &peer))
		return AUTHLOG_NOTHING;
	*ret_peer = peer;
	*ret_key_id = slice_is(method, "publickey") ? key_id_of(key)
						    : slice_of(NULL, 0);
	return AUTHLOG_LOGIN;
}

/* "Starting session: KIND for USER from PEER id N" */
static enum authlog_event read_session(struct slice kind)
{
	static const struct {
		const char *word;
		enum authlog_event event;
	} kinds[] = {
		{ "shell on ", AUTHLOG_SHELL },
		{ "shell for ", AUTHLOG_SHELL },
		{ "subsystem 'sftp'", AUTHLOG_SFTP },
		{ "subsystem '", AUTHLOG_SUBSYSTEM },
		{ "command ", AUTHLOG_EXEC },
		{ "forced-command ", AUTHLOG_EXEC },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (begins(kind, kinds[i].word))
			return kinds[i].event;
	}
	return AUTHLOG_NOTHING;
}

enum authlog_event authlog_read(struct slice message, struct slice *ret_peer,
				struct slice *ret_key_id)
{
	static const char accepted[] = "Accepted ";
	static const char starting[] = "Starting session: ";
	enum authlog_event event;
	struct slice rest;
	struct slice peer;

	if (begins(message, accepted))
		return read_login(without(message, strlen(accepted)), ret_peer,
				  ret_key_id);
	if (!begins(message, starting))
		return AUTHLOG_NOTHING;
	rest = message;
	event = read_session(without(message, strlen(starting)));
	if (event == AUTHLOG_NOTHING || !take_peer(&rest, &peer))
		return AUTHLOG_NOTHING;
	*ret_peer = peer;
	return event;
}
