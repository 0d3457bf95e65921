/*
 * Names, filters, identifiers and times out of any bytes: a normal form
 * normalises to itself, prints, and goes back and forth through a filter
 * without leaving its clause; the others are texts or nothing.
 */
#include <assert.h>

#include "base/mem.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/filter.h"
#include "connectors/ldap/identifier.h"
#include "connectors/ldap/moment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *text)
{
	CLEANUP(mem_free_p) char *name = NULL;
	CLEANUP(mem_free_p) char *again = NULL;
	CLEANUP(mem_free_p) char *spelling = NULL;
	CLEANUP(mem_free_p) char *respelled = NULL;

	if (dn_normalise(text, &name) < 0)
		return;
	assert(strlen(name) <= DN_MAX);
	for (const char *at = name; *at; at++)
		assert(*at >= 0x20 && *at < 0x7f && *at != ';' && *at != '"');
	assert(dn_normalise(name, &again) == 0 && strcmp(name, again) == 0);
	assert(dn_spell(text, &spelling) == 0);
	assert(dn_normalise(spelling, &respelled) == 0);
	assert(strcmp(name, respelled) == 0);
	assert(dn_is_under(name, name));
	(void)dn_is_under(name, "dc=example,dc=org");
}

static size_t count_byte(struct slice bytes, uint8_t byte)
{
	size_t count = 0;

	for (size_t i = 0; i < bytes.len; i++)
		count += bytes.ptr[i] == byte;
	return count;
}

static void check_filter(struct slice value)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(FILTER_MAX);
	struct slice bytes;

	filter_put_equals(&b, "member", value);
	if (buf_finish(&b, &bytes) < 0)
		return;
	/* No byte of the value can open, close or widen anything. */
	assert(count_byte(bytes, '(') == 1 && count_byte(bytes, ')') == 1);
	assert(count_byte(bytes, '*') == 0 && count_byte(bytes, 0) == 0);
}

static void check_identifiers(struct slice bytes, const char *text)
{
	CLEANUP(mem_free_p) char *guid = identifier_guid(bytes);
	CLEANUP(mem_free_p) char *sid = identifier_sid(bytes);
	int64_t ms = 0;

	assert(!guid || strlen(guid) == 36);
	assert(!sid || strncmp(sid, "S-", 2) == 0);
	(void)moment_of_filetime(text, &ms);
	if (moment_of_generalized(text, &ms))
		assert(ms > -63000000000000 && ms < 254000000000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > 8192)
		return 0;
	text = mem_alloc(size + 1);
	memcpy(text, data, size);
	check_name(text);
	check_identifiers(slice_of(data, size), text);
	free(text);
	check_filter(slice_of(data, size));
	return 0;
}
