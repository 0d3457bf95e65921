#include "connectors/ldap/dn.h"

#include <ldap.h>
#include <locale.h>
#include <wctype.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

static void dn_free_p(LDAPDN *dn)
{
	ldap_dnfree(*dn);
}

static void text_free_p(char **text)
{
	ldap_memfree(*text);
}

/* The letters of every script.  The C library always has this one. */
static locale_t all_letters(void)
{
	static locale_t letters;

	if (!letters)
		letters = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
	return letters;
}

static void lower_ascii(struct berval *bytes)
{
	for (size_t i = 0; i < bytes->bv_len; i++) {
		char c = bytes->bv_val[i];

		if (c >= 'A' && c <= 'Z')
			bytes->bv_val[i] = (char)(c - 'A' + 'a');
	}
}

/* Reads a character of two to four bytes out of well-formed UTF-8; returns how
 * many, or 1 for ASCII. */
static size_t read_letter(const uint8_t *at, wint_t *ret_letter)
{
	static const struct {
		uint8_t first;
		size_t bytes;
		uint8_t mask;
	} forms[] = { { 0xf0, 4, 0x07 }, { 0xe0, 3, 0x0f }, { 0xc0, 2, 0x1f } };
	wint_t letter;

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (*at < forms[i].first)
			continue;
		letter = *at & forms[i].mask;
		for (size_t k = 1; k < forms[i].bytes; k++)
			letter = letter << 6 | (at[k] & 0x3f);
		*ret_letter = letter;
		return forms[i].bytes;
	}
	*ret_letter = *at;
	return 1;
}

static size_t letter_bytes(wint_t letter)
{
	if (letter < 0x80)
		return 1;
	if (letter < 0x800)
		return 2;
	return letter < 0x10000 ? 3 : 4;
}

static void write_letter(uint8_t *at, wint_t letter, size_t bytes)
{
	static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t k = bytes - 1; k > 0; k--) {
		at[k] = (uint8_t)(0x80 | (letter & 0x3f));
		letter >>= 6;
	}
	at[0] = (uint8_t)(first[bytes] | letter);
}

/*
 * Other scripts' letters, where that keeps them what they are: of the same
 * length, never into ASCII (a dotless i is no i), and back to the same letter.
 */
static void lower_others(struct berval *bytes)
{
	uint8_t *text = (uint8_t *)bytes->bv_val;
	locale_t letters = all_letters();
	size_t at = 0;

	if (!letters || !text_is_utf8(slice_of(text, bytes->bv_len)))
		return;
	while (at < bytes->bv_len) {
		wint_t letter;
		size_t size = read_letter(text + at, &letter);
		wint_t small = size > 1 ? towlower_l(letter, letters) : letter;

		if (small != letter && letter_bytes(small) == size &&
		    towupper_l(small, letters) == letter)
			write_letter(text + at, small, size);
		at += size;
	}
}

static void lower(struct berval *bytes)
{
	lower_ascii(bytes);
	lower_others(bytes);
}

static int compare_bytes(const struct berval *a, const struct berval *b)
{
	size_t least = a->bv_len < b->bv_len ? a->bv_len : b->bv_len;
	int order = least ? memcmp(a->bv_val, b->bv_val, least) : 0;

	if (order != 0)
		return order;
	return (a->bv_len > b->bv_len) - (a->bv_len < b->bv_len);
}

static int compare_parts(const void *left, const void *right)
{
	const LDAPAVA *a = *(LDAPAVA *const *)left;
	const LDAPAVA *b = *(LDAPAVA *const *)right;
	int order = compare_bytes(&a->la_attr, &b->la_attr);

	return order != 0 ? order : compare_bytes(&a->la_value, &b->la_value);
}

static void fold_rdn(LDAPRDN rdn)
{
	size_t count = 0;

	for (; rdn[count]; count++) {
		lower(&rdn[count]->la_attr);
		lower(&rdn[count]->la_value);
	}
	qsort(rdn, count, sizeof(rdn[0]), compare_parts);
}

/* A value in "#hex" form is an encoding that only the schema can read. */
static bool has_encoded_value(LDAPDN dn)
{
	for (size_t i = 0; dn[i]; i++) {
		for (size_t k = 0; dn[i][k]; k++) {
			if (dn[i][k]->la_flags & LDAP_AVA_BINARY)
				return true;
		}
	}
	return false;
}

/* The library leaves control bytes as they are: fine for a directory, not for
 * a screen on which people decide. */
static void put_printable(struct buf *b, const char *text)
{
	for (const char *at = text; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (c < 0x20 || c >= 0x7f)
			buf_putf(b, "\\%02X", (unsigned)c);
		else
			buf_put_u8(b, c);
	}
}

static int rewrite(const char *text, bool fold, char **ret_text)
{
	CLEANUP(dn_free_p) LDAPDN dn = NULL;
	CLEANUP(text_free_p) char *plain = NULL;
	CLEANUP(buf_clear) struct buf out = BUF_INIT(DN_MAX);
	struct slice bytes;

	if (strnlen(text, DN_MAX + 1) > DN_MAX)
		return error_set(ERR_LIMIT, "name longer than %d bytes",
				 DN_MAX);
	if (ldap_str2dn(text, &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
		return error_set(ERR_SYNTAX, "not a distinguished name");
	if (!dn)
		return error_set(ERR_SYNTAX, "the empty name");
	if (has_encoded_value(dn))
		return error_set(ERR_SYNTAX, "a value in #hex form");
	for (size_t i = 0; fold && dn[i]; i++)
		fold_rdn(dn[i]);
	if (ldap_dn2str(dn, &plain, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS ||
	    !plain)
		return error_set(ERR_SYNTAX, "not a distinguished name");
	put_printable(&out, plain);
	TRY(buf_finish(&out, &bytes));
	*ret_text = buf_take_text(&out);
	return 0;
}

int dn_normalise(const char *text, char **ret_name)
{
	return rewrite(text, true, ret_name);
}

int dn_spell(const char *text, char **ret_spelling)
{
	return rewrite(text, false, ret_spelling);
}

bool dn_is_under(const char *name, const char *base)
{
	size_t name_len = strlen(name);
	size_t base_len = strlen(base);

	if (base_len == 0 || name_len < base_len)
		return false;
	if (strcmp(name + name_len - base_len, base) != 0)
		return false;
	return name_len == base_len || name[name_len - base_len - 1] == ',';
}
