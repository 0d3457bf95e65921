#include "base/text.h"

#include "base/error.h"
#include "base/mem.h"

struct alphabet {
	const char *digits; /* 64 of them */
	bool padded;
};

static const struct alphabet standard = {
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true
};
static const struct alphabet url_safe = {
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
	false
};

void text_put_hex(struct buf *b, struct slice bytes)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *place =
		bytes.len > SIZE_MAX / 2 ? NULL : buf_extend(b, bytes.len * 2);

	if (!place) {
		b->overflow = true;
		return;
	}
	for (size_t i = 0; i < bytes.len; i++) {
		place[2 * i] = (uint8_t)digits[bytes.ptr[i] >> 4];
		place[2 * i + 1] = (uint8_t)digits[bytes.ptr[i] & 15];
	}
}

static size_t encoded_len(const struct alphabet *alphabet, size_t len)
{
	size_t last = len % 3;

	if (last == 0)
		return len / 3 * 4;
	return len / 3 * 4 + (alphabet->padded ? 4 : last + 1);
}

static void put_base64(struct buf *b, struct slice bytes,
		       const struct alphabet *alphabet)
{
	const char *digits = alphabet->digits;
	size_t left = encoded_len(alphabet, bytes.len);
	uint8_t *place = bytes.len > SIZE_MAX / 2 ? NULL : buf_extend(b, left);

	if (!place) {
		b->overflow = true;
		return;
	}
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
		size_t make = left < 4 ? left : 4;
		uint32_t group = 0;

		for (size_t k = 0; k < 3; k++)
			group = group << 8 | (k < have ? bytes.ptr[i + k] : 0U);
		for (size_t k = 0; k < make; k++)
			*place++ =
				k <= have
					? (uint8_t)
						  digits[group >> (18 - 6 * k) &
							 63]
					: (uint8_t)'=';
		left -= make;
	}
}

void text_put_base64(struct buf *b, struct slice bytes)
{
	put_base64(b, bytes, &standard);
}

void text_put_base64url(struct buf *b, struct slice bytes)
{
	put_base64(b, bytes, &url_safe);
}

static char *as_text(struct slice bytes,
		     void (*put)(struct buf *b, struct slice bytes))
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(SIZE_MAX - 1);

	put(&b, bytes);
	return buf_take_text(&b);
}

char *text_hex(struct slice bytes)
{
	return as_text(bytes, text_put_hex);
}

char *text_base64(struct slice bytes)
{
	return as_text(bytes, text_put_base64);
}

char *text_base64url(struct slice bytes)
{
	return as_text(bytes, text_put_base64url);
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int full(const struct buf *b)
{
	return error_set(ERR_LIMIT, "more than %zu bytes", b->max);
}

/* Takes back what a decoder has written so far. */
static int spoiled(struct buf *b, size_t old_len, const char *what)
{
	buf_cut(b, old_len);
	return error_set(ERR_SYNTAX, "not %s", what);
}

int text_from_hex(struct slice text, struct buf *b)
{
	size_t old_len = b->len;
	uint8_t *place;

	if (text.len % 2)
		return error_set(ERR_SYNTAX, "hex of odd length");
	place = buf_extend(b, text.len / 2);
	if (!place)
		return full(b);
	for (size_t i = 0; i < text.len; i += 2) {
		int high = hex_value(text.ptr[i]);
		int low = hex_value(text.ptr[i + 1]);

		if (high < 0 || low < 0)
			return spoiled(b, old_len, "lower-case hex");
		*place++ = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int digit_value(uint8_t c, const struct alphabet *alphabet)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (uint8_t)alphabet->digits[62])
		return 62;
	return c == (uint8_t)alphabet->digits[63] ? 63 : -1;
}

/* Decodes 2 to 4 digits; false for a foreign digit or set bits left over. */
static bool decode_group(const uint8_t *digits, size_t count,
			 const struct alphabet *alphabet, uint8_t *place)
{
	uint32_t group = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < count ? digit_value(digits[i], alphabet) : 0;

		if (value < 0)
			return false;
		group = group << 6 | (uint32_t)value;
	}
	for (size_t i = 0; i < count - 1; i++)
		place[i] = (uint8_t)(group >> (16 - 8 * i) & 0xff);
	return count == 4 || (group & (count == 3 ? 0xffU : 0xffffU)) == 0;
}

static int from_base64(struct slice text, struct buf *b,
		       const struct alphabet *alphabet)
{
	size_t old_len = b->len;
	size_t digits = text.len;
	uint8_t *place;

	if (alphabet->padded) {
		if (text.len % 4)
			return spoiled(b, old_len, "padded base64");
		for (int i = 0; i < 2 && digits; i++)
			digits -= text.ptr[digits - 1] == '=';
	}
	if (digits % 4 == 1)
		return spoiled(b, old_len, "base64");
	place = buf_extend(b,
			   digits / 4 * 3 + (digits % 4 ? digits % 4 - 1 : 0));
	if (!place)
		return full(b);
	for (size_t i = 0; i < digits; i += 4) {
		size_t count = digits - i < 4 ? digits - i : 4;

		if (!decode_group(text.ptr + i, count, alphabet, place))
			return spoiled(b, old_len, "base64");
		place += count - 1;
	}
	return 0;
}

int text_from_base64(struct slice text, struct buf *b)
{
	return from_base64(text, b, &standard);
}

int text_from_base64url(struct slice text, struct buf *b)
{
	return from_base64(text, b, &url_safe);
}

/* One row of RFC 3629 section 4: a range of first bytes, the range of the
 * second byte, and how many continuation bytes there are in all. */
struct utf8_row {
	uint8_t first_from, first_to;
	uint8_t second_from, second_to;
	uint8_t more;
};

static const struct utf8_row utf8_rows[] = {
	{ 0x01, 0x7f, 0x00, 0x00, 0 }, { 0xc2, 0xdf, 0x80, 0xbf, 1 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 2 }, { 0xe1, 0xec, 0x80, 0xbf, 2 },
	{ 0xed, 0xed, 0x80, 0x9f, 2 }, { 0xee, 0xef, 0x80, 0xbf, 2 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 3 }, { 0xf1, 0xf3, 0x80, 0xbf, 3 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 3 },
};

/* Bytes of the character at ptr, 0 if there is no well-formed one. */
static size_t utf8_len(const uint8_t *ptr, size_t left)
{
	const struct utf8_row *row = utf8_rows;

	for (size_t i = 0; i < ARRAY_LEN(utf8_rows); i++, row++)
		if (ptr[0] >= row->first_from && ptr[0] <= row->first_to)
			break;
	if (row == utf8_rows + ARRAY_LEN(utf8_rows) || left <= row->more)
		return 0;
	if (row->more && (ptr[1] < row->second_from || ptr[1] > row->second_to))
		return 0;
	for (size_t i = 2; i <= row->more; i++)
		if ((ptr[i] & 0xc0) != 0x80)
			return 0;
	return row->more + 1U;
}

/* Whether the next eight bytes are ASCII and none is NUL, as most text is:
 * taking 1 from each sets the highest bit of a NUL alone. */
static bool is_plain(const uint8_t *ptr)
{
	const uint64_t high = 0x8080808080808080;
	uint64_t bytes;

	memcpy(&bytes, ptr, sizeof(bytes));
	return ((bytes | (bytes - 0x0101010101010101)) & high) == 0;
}

bool text_is_utf8(struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		size_t len;

		if (text.len - i >= 8 && is_plain(text.ptr + i)) {
			i += 8;
			continue;
		}
		len = utf8_len(text.ptr + i, text.len - i);
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

void text_put_pointer_token(struct buf *b, const char *name)
{
	for (; *name; name++) {
		if (*name == '~')
			buf_put_str(b, "~0");
		else if (*name == '/')
			buf_put_str(b, "~1");
		else
			buf_put(b, slice_of(name, 1));
	}
}

bool text_is_name(const char *text)
{
	size_t len = text ? strnlen(text, 64) : 0;

	if (len < 1 || len > 63)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		bool inner = (c == '-' || c == '.' || c == '_') && i > 0 &&
			     i < len - 1;

		if (!plain && !inner)
			return false;
	}
	return true;
}
