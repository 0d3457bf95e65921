#include "connectors/postgres/rolename.h"

#include "base/error.h"
#include "base/text.h"
#include "crypto/digest.h"

enum { LOGIN_BYTES = 16, BASE32_BITS = 5 };

static const char login_prefix[] = "writ_";
static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* Reads the escape that begins at text; returns its length, 0 if broken. */
static size_t read_escape(const char *text, uint8_t *ret_byte)
{
	int high, low;

	if (text[1] == '\\') {
		*ret_byte = '\\';
		return 2;
	}
	high = hex_value(text[1]);
	low = high < 0 ? -1 : hex_value(text[2]);
	if (low < 0)
		return 0;
	*ret_byte = (uint8_t)(high * 16 + low);
	return 3;
}

int rolename_parse(const char *spelling, char ret_name[ROLENAME_MAX + 1])
{
	const char *at = spelling;
	uint8_t name[ROLENAME_MAX + 1];
	size_t len = 0;

	if (!text_is_utf8(slice_str(spelling)))
		return error_set(ERR_SYNTAX, "a name that is not UTF-8");
	while (*at) {
		uint8_t byte = (uint8_t)*at;
		size_t used = *at == '\\' ? read_escape(at, &byte) : 1;

		if (used == 0)
			return error_set(ERR_SYNTAX,
					 "a backslash is written \\\\, another "
					 "byte \\ and two hex digits");
		if (byte == 0)
			return error_set(ERR_SYNTAX, "a NUL in a name");
		if (len == ROLENAME_MAX)
			return error_set(ERR_SYNTAX,
					 "a name of more than %d bytes",
					 ROLENAME_MAX);
		name[len++] = byte;
		at += used;
	}
	if (len == 0)
		return error_set(ERR_SYNTAX, "an empty name");
	name[len] = 0;
	memcpy(ret_name, name, len + 1);
	return 0;
}

/* Bytes of the UTF-8 character at the start of text, 0 if there is none. */
static size_t character_len(const char *text, size_t left)
{
	for (size_t len = 1; len <= 4 && len <= left; len++)
		if (text_is_utf8(slice_of(text, len)))
			return len;
	return 0;
}

void rolename_spell(const char *name, char ret_text[ROLENAME_SPELLING_MAX])
{
	size_t left = strnlen(name, ROLENAME_MAX);
	char *out = ret_text;

	while (left > 0) {
		uint8_t byte = (uint8_t)*name;
		size_t len = character_len(name, left);

		if (byte == '\\') {
			memcpy(out, "\\\\", 2);
			out += 2;
		} else if (len == 0 || byte < 0x20 || byte == 0x7f) {
			snprintf(out, 4, "\\%02x", byte);
			out += 3;
			len = 1;
		} else {
			memcpy(out, name, len);
			out += len;
		}
		name += len;
		left -= len;
	}
	*out = '\0';
}

void rolename_login(const char *request, char ret_name[ROLENAME_LOGIN_LEN + 1])
{
	struct digest digest = digest_of(slice_str(request));
	char *out = ret_name + strlen(login_prefix);
	unsigned bits = 0, held = 0;

	memcpy(ret_name, login_prefix, strlen(login_prefix));
	for (size_t i = 0; i < LOGIN_BYTES; i++) {
		held = held << 8 | digest.bytes[i];
		bits += 8;
		while (bits >= BASE32_BITS) {
			bits -= BASE32_BITS;
			*out++ = base32[held >> bits & 0x1f];
		}
		held &= (1u << bits) - 1;
	}
	*out++ = base32[held << (BASE32_BITS - bits) & 0x1f];
	*out = '\0';
}

bool rolename_is_login(const char *name)
{
	size_t prefix = strlen(login_prefix);

	return strlen(name) == ROLENAME_LOGIN_LEN &&
	       !strncmp(name, login_prefix, prefix) &&
	       strspn(name + prefix, base32) == ROLENAME_LOGIN_LEN - prefix;
}
