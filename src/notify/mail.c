#include "notify/mail.h"

#include "base/civil.h"
#include "base/error.h"
#include "base/file.h"

enum {
	ADDRESS_MAX = 254,
	LOCAL_MAX = 64,
};

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

/* 1 or more of what fits, in parts with single dots in between. */
static bool is_dotted(struct slice text, const char *also)
{
	bool dot = true;

	for (size_t i = 0; i < text.len; i++) {
		char c = (char)text.ptr[i];
		bool is_dot = c == '.';

		if (is_dot ? dot
			   : !c || (!is_letter_or_digit(c) && !strchr(also, c)))
			return false;
		dot = is_dot;
	}
	return !dot;
}

bool mail_address_is_good(const char *text)
{
	const char *at = text ? strchr(text, '@') : NULL;
	size_t local = at ? (size_t)(at - text) : 0;

	return at && local <= LOCAL_MAX && strlen(text) <= ADDRESS_MAX &&
	       is_dotted(slice_of(text, local), "!#$%&'*+/=?^_`{|}~-") &&
	       *text != '-' && is_dotted(slice_str(at + 1), "-") &&
	       at[1] != '-';
}

/* RFC 5322, 3.3; always in UTC. */
static void put_date(struct buf *b, int64_t wall_ms)
{
	static const char days[][4] = { "Mon", "Tue", "Wed", "Thu",
					"Fri", "Sat", "Sun" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr",
					  "May", "Jun", "Jul", "Aug",
					  "Sep", "Oct", "Nov", "Dec" };
	struct civil c = civil_of(wall_ms / 86400000);
	int64_t second = wall_ms / 1000 % 86400;

	buf_putf(b, "Date: %s, %d %s %lld %02d:%02d:%02d +0000\r\n",
		 days[civil_weekday(wall_ms / 86400000) - 1], c.day,
		 months[c.month - 1], (long long)c.year, (int)(second / 3600),
		 (int)(second / 60 % 60), (int)(second % 60));
}

int mail_compose(const struct mail_parts *parts, struct buf *b)
{
	struct slice all;

	if (!mail_address_is_good(parts->from) ||
	    !mail_address_is_good(parts->to))
		return error_set(ERR_SYNTAX, "that is no address for mail");
	buf_putf(b, "From: Writ <%s>\r\nTo: <%s>\r\nSubject: %s\r\n",
		 parts->from, parts->to, parts->subject);
	put_date(b, parts->made_ms);
	buf_putf(b,
		 "Message-ID: <%s@%s>\r\n"
		 "Auto-Submitted: auto-generated\r\n"
		 "MIME-Version: 1.0\r\n"
		 "Content-Type: text/plain; charset=us-ascii\r\n"
		 "\r\n"
		 "%s.\r\n"
		 "\r\n"
		 "%s\r\n"
		 "\r\n"
		 "Nothing is decided by opening this link, or by answering "
		 "this mail.\r\n",
		 parts->id, parts->domain, parts->subject, parts->link);
	return buf_finish(b, &all);
}

int mail_read_line(const char *path, bool secret, struct buf *b)
{
	if (!path)
		return 0;
	TRY(secret ? file_read_private(path, b) : file_read(path, b));
	buf_cut(b, strcspn(buf_text(b), "\r\n"));
	return 0;
}
