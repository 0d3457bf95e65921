#include "connectors/ldap/hints.h"

#include <ctype.h>
#include <stdarg.h>
#include <strings.h>

#include "base/mem.h"
#include "connectors/ldap/directory.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/moment.h"

enum {
	DAY_MS = 24 * 3600 * 1000,
	WORD_MAX = 32,
	TEXT_MAX = 256, /* bytes of a description that are told */
	DISABLED = 0x2, /* userAccountControl, MS-ADTS 2.2.16 */
	NEVER_EXPIRES = 0x10000,
};

/* Words of a login or a name that tell what it is for. */
static const char *const service_words[] = {
	"svc",	"service", "srv", "bot",    "robot", "daemon", "app", "api",
	"sync", "backup",  "ci",  "deploy", "batch", "cron",   "job", NULL
};
static const char *const shared_words[] = { "shared",  "team",	 "common",
					    "generic", "office", "everyone",
					    "group",   "pool",	 NULL };

static bool is_listed(const char *word, const char *const *list)
{
	for (; *list; list++) {
		if (strcasecmp(word, *list) == 0)
			return true;
	}
	return false;
}

/* The first of the words of text that is in the list; parted by what is no
 * letter.  word: filled with it. */
static bool find_word(const char *text, const char *const *list,
		      char word[WORD_MAX])
{
	size_t len = 0;

	for (const char *at = text;; at++) {
		if (isalpha((unsigned char)*at)) {
			if (len + 1 < WORD_MAX)
				word[len] = *at;
			len++;
			continue;
		}
		if (len > 0 && len < WORD_MAX) {
			word[len] = '\0';
			if (is_listed(word, list))
				return true;
		}
		if (!*at)
			return false;
		len = 0;
	}
}

static size_t count_of(const json_t *record, const char *attribute)
{
	return json_array_size(json_object_get(record, attribute));
}

/* Appends "name: why". */
PRINTF_LIKE(3, 4)
static void flag(json_t *flags, const char *name, const char *format, ...)
{
	char text[TEXT_MAX];
	int len = snprintf(text, sizeof(text), "%s: ", name);
	va_list args;

	va_start(args, format);
	vsnprintf(text + len, sizeof(text) - (size_t)len, format, args);
	va_end(args);
	discard(json_array_append_new(flags, json_string(text)));
}

static const char *login_of(const json_t *record)
{
	const char *login = record_text(record, "sAMAccountName");

	if (!login)
		login = record_text(record, "uid");
	return login ? login : record_text(record, "cn");
}

/* Service accounts.  */

static bool has_class(const json_t *record, const char *name)
{
	const json_t *value;
	size_t at;

	json_array_foreach(json_object_get(record, "objectClass"), at, value) {
		if (strcasecmp(json_string_value(value), name) == 0)
			return true;
	}
	return false;
}

/* By the names of its classes: person, inetOrgPerson, user, ... */
static bool is_person(const json_t *record)
{
	const json_t *value;
	size_t at;

	json_array_foreach(json_object_get(record, "objectClass"), at, value) {
		const char *name = json_string_value(value);

		if (strcasestr(name, "person") || strcasestr(name, "user"))
			return true;
	}
	return false;
}

static void judge_class(const json_t *record, json_t *flags)
{
	static const char *const managed[] = {
		"msDS-ManagedServiceAccount", "msDS-GroupManagedServiceAccount",
		NULL
	};

	for (size_t i = 0; managed[i]; i++) {
		if (has_class(record, managed[i]))
			flag(flags, "service",
			     "it is a managed service "
			     "account (objectClass)");
	}
	if (!is_person(record))
		flag(flags, "service", "it is no person (objectClass)");
}

static void judge_service(const json_t *record, json_t *flags)
{
	const char *login = login_of(record);
	const char *shell = record_text(record, "loginShell");
	const char *base = shell ? strrchr(shell, '/') : NULL;
	char word[WORD_MAX];

	judge_class(record, flags);
	if (count_of(record, "servicePrincipalName") > 0)
		flag(flags, "service",
		     "services log in by it "
		     "(servicePrincipalName)");
	if (base &&
	    (strcmp(base, "/nologin") == 0 || strcmp(base, "/false") == 0))
		flag(flags, "service",
		     "nobody gets a shell by it "
		     "(loginShell)");
	if (login && find_word(login, service_words, word))
		flag(flags, "service", "its name says '%s'", word);
}

/* Shared accounts.  */

static void judge_many(const json_t *record, const char *attribute,
		       const char *words, json_t *flags)
{
	size_t count = count_of(record, attribute);

	if (count > 1)
		flag(flags, "shared", "it has %zu %s (%s)", count, words,
		     attribute);
}

static void judge_shared(const json_t *record, json_t *flags)
{
	static const char *const names[] = { "cn", "displayName",
					     "description" };
	const char *login = login_of(record);
	char word[WORD_MAX];

	judge_many(record, "sshPublicKey", "SSH keys", flags);
	judge_many(record, "userCertificate", "certificates", flags);
	judge_many(record, "userCertificate;binary", "certificates", flags);
	judge_many(record, "owner", "owners", flags);
	judge_many(record, "manager", "managers", flags);
	if (login && find_word(login, shared_words, word)) {
		flag(flags, "shared", "its name says '%s'", word);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *text = record_text(record, names[i]);

		if (text && find_word(text, shared_words, word)) {
			flag(flags, "shared", "its %s says '%s'", names[i],
			     word);
			return;
		}
	}
}

/* Use.  */

bool hints_last_use(const json_t *record, int64_t *ret_ms)
{
	static const struct {
		const char *attribute;
		bool (*parse)(const char *text, int64_t *ret_ms);
	} places[] = {
		{ "pwdLastSuccess", moment_of_generalized },
		{ "authTimestamp", moment_of_generalized },
		{ "lastLogonTimestamp", moment_of_filetime },
		{ "lastLogon", moment_of_filetime },
	};
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const char *text = record_text(record, places[i].attribute);
		int64_t ms = 0;

		if (!text || !places[i].parse(text, &ms))
			continue;
		if (!any || ms > *ret_ms)
			*ret_ms = ms;
		any = true;
	}
	return any;
}

static bool created_at(const json_t *record, int64_t *ret_ms)
{
	const char *text = record_text(record, "whenCreated");

	if (!text)
		text = record_text(record, "createTimestamp");
	return text && moment_of_generalized(text, ret_ms);
}

static void judge_use(const json_t *record, const struct hints_terms *terms,
		      json_t *account, json_t *flags)
{
	int64_t limit = terms->now_ms - terms->stale_days * DAY_MS;
	int64_t used = 0, created = 0;
	bool is_used = hints_last_use(record, &used);
	bool has_created = created_at(record, &created);

	if (has_created)
		json_set_time(account, "created", created);
	if (is_used)
		json_set_time(account, "lastUsed", used);
	if (is_used && used < limit)
		flag(flags, "stale", "nobody logged in for %lld days",
		     (long long)((terms->now_ms - used) / DAY_MS));
	else if (!is_used && terms->last_use_known && has_created &&
		 created < limit)
		flag(flags, "stale",
		     "no login is recorded, and it is %lld "
		     "days old",
		     (long long)((terms->now_ms - created) / DAY_MS));
}

static bool is_disabled(const json_t *record, bool is_ad)
{
	const char *locked = record_text(record, "pwdAccountLockedTime");

	if (is_ad)
		return record_int(record, "userAccountControl", 0) & DISABLED;
	return locked && strcmp(locked, "000001010000Z") == 0;
}

/* A member whose text is cut, and has no control bytes. */
static void put_text(json_t *account, const char *name, const char *text)
{
	CLEANUP(mem_free_p) char *copy = NULL;
	size_t len = text ? strlen(text) : 0;

	if (!text)
		return;
	/* Not within a character. */
	if (len > TEXT_MAX)
		for (len = TEXT_MAX; len > 0 && (text[len] & 0xc0) == 0x80;)
			len--;
	copy = mem_format("%.*s", (int)len, text);
	for (char *at = copy; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	json_set_text(account, name, copy);
}

/* In the spelling that names have everywhere else. */
static void put_manager(json_t *account, const char *manager)
{
	CLEANUP(mem_free_p) char *name = NULL;

	if (manager && dn_normalise(manager, &name) == 0)
		json_set_text(account, "manager", name);
}

static bool has_flag(const json_t *flags, const char *name)
{
	const json_t *row;
	size_t at;

	json_array_foreach(flags, at, row) {
		const char *text = json_string_value(row);

		if (strncmp(text, name, strlen(name)) == 0 &&
		    text[strlen(name)] == ':')
			return true;
	}
	return false;
}

json_t *hints_account(const json_t *record, const struct hints_terms *terms)
{
	json_t *account = json_object();
	json_t *flags = json_array();
	bool disabled = is_disabled(record, terms->is_ad);

	json_set_text(account, "id", json_text(record, "dn", ""));
	put_text(account, "login", login_of(record));
	put_text(account, "description", record_text(record, "description"));
	put_manager(account, record_text(record, "manager"));
	json_set_flag(account, "disabled", disabled);
	judge_service(record, flags);
	judge_shared(record, flags);
	judge_use(record, terms, account, flags);
	if (record_int(record, "userAccountControl", 0) & NEVER_EXPIRES)
		flag(flags, "never-expires", "its password never expires");
	if (record_int(record, "adminCount", 0) > 0)
		flag(flags, "privileged",
		     "it is or was in a protected group "
		     "(adminCount)");
	json_set_text(account, "kind",
		      has_flag(flags, "service") ? "service" : "account");
	json_set_new(account, "flags", flags);
	return account;
}
