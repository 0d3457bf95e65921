/*
 * Names of roles out of any text: what is read is spelled in one way, which is
 * read as the same name; and any bytes a server may have as a name come back.
 */
#include <assert.h>

#include "base/mem.h"
#include "base/text.h"
#include "connectors/postgres/rolename.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_spelling(const char *text)
{
	char spelling[ROLENAME_SPELLING_MAX], again[ROLENAME_SPELLING_MAX];
	char name[ROLENAME_MAX + 1], back[ROLENAME_MAX + 1];

	if (rolename_parse(text, name) < 0)
		return;
	assert(*name && strlen(name) <= ROLENAME_MAX);
	rolename_spell(name, spelling);
	assert(text_is_utf8(slice_str(spelling)));
	for (const char *at = spelling; *at; at++)
		assert((unsigned char)*at >= 0x20 && *at != 0x7f);
	assert(rolename_parse(spelling, back) == 0);
	assert(strcmp(name, back) == 0);
	rolename_spell(back, again);
	assert(strcmp(spelling, again) == 0);
}

static void check_name(const char *text)
{
	char spelling[ROLENAME_SPELLING_MAX], name[ROLENAME_MAX + 1];

	if (!*text)
		return;
	rolename_spell(text, spelling);
	assert(rolename_parse(spelling, name) == 0);
	assert(strncmp(text, name, ROLENAME_MAX) == 0);
	assert(!rolename_is_login(text) || strcmp(text, spelling) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char login[ROLENAME_LOGIN_LEN + 1];
	char *text;

	if (size > 8192)
		return 0;
	text = mem_alloc(size + 1);
	memcpy(text, data, size);
	check_spelling(text);
	check_name(text);
	rolename_login(text, login);
	assert(rolename_is_login(login));
	free(text);
	return 0;
}
