#include "connectors/ldap/directory_private.h"

#include <strings.h>

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/filter.h"
#include "connectors/ldap/identifier.h"

static const char *const entry_attributes[] = {
	"objectClass", "entryCSN",     "entryUUID",    "uid", "gidNumber",
	"member",      "uniqueMember", "roleOccupant", NULL
};
/* A group of many shows its members there in parts, and only when asked so
 * (MS-ADTS 3.1.1.3.1.3.3). */
#define RANGE "member;range="
static const char *const ad_attributes[] = { "objectClass",    "uSNChanged",
					     "objectGUID",     "objectSid",
					     "primaryGroupID", "sAMAccountName",
					     RANGE "0-999",    NULL };

static const struct {
	const char *name;
	unsigned bit;
} classes[] = {
	{ "groupOfNames", DIRECTORY_GROUP_OF_NAMES },
	{ "2.5.6.9", DIRECTORY_GROUP_OF_NAMES },
	{ "groupOfUniqueNames", DIRECTORY_GROUP_OF_UNIQUE_NAMES },
	{ "2.5.6.17", DIRECTORY_GROUP_OF_UNIQUE_NAMES },
	{ "posixGroup", DIRECTORY_POSIX_GROUP },
	{ "1.3.6.1.1.1.2.2", DIRECTORY_POSIX_GROUP },
	{ "groupOfURLs", DIRECTORY_DYNAMIC_GROUP },
	{ "2.16.840.1.113730.3.2.33", DIRECTORY_DYNAMIC_GROUP },
	{ "organizationalRole", DIRECTORY_ROLE },
	{ "2.5.6.8", DIRECTORY_ROLE },
	{ "group", DIRECTORY_AD_GROUP },
	{ "foreignSecurityPrincipal", DIRECTORY_FOREIGN },
};

unsigned directory_class(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		if (name.len == strlen(classes[i].name) &&
		    strncasecmp((const char *)name.ptr, classes[i].name,
				name.len) == 0)
			return classes[i].bit;
	}
	return 0;
}

/* Searching.  */

int directory_send(struct directory *d, const struct directory_query *query,
		   LDAPControl **controls, int *ret_id)
{
	struct timeval patience = directory_patience(d);
	char *attributes[32] = { NULL };
	int r;

	/* The library's prototype wants char **; it only reads them. */
	for (size_t i = 0; query->attributes[i]; i++) {
		if (i + 1 == ARRAY_LEN(attributes))
			return error_set(ERR_LIMIT, "attributes of a search");
		memcpy(&attributes[i], &query->attributes[i],
		       sizeof(attributes[i]));
	}
	if (!d->ld)
		return error_set(ERR_UNAVAILABLE, "not connected");
	r = ldap_search_ext(d->ld, query->base, query->scope, query->filter,
			    attributes, 0, controls, NULL, &patience,
			    query->limit, ret_id);
	return r == LDAP_SUCCESS ? 0 : directory_failure(d, r, "search");
}

int directory_answer(struct directory *d, int id, LDAPMessage **ret_message)
{
	struct timeval patience = directory_patience(d);
	int type, code = LDAP_SERVER_DOWN;

	if (!d->ld)
		return error_set(ERR_UNAVAILABLE, "not connected");
	type = ldap_result(d->ld, id, LDAP_MSG_ALL, &patience, ret_message);
	if (type > 0)
		return 0;
	if (type == 0)
		return directory_failure(d, LDAP_TIMEOUT, "answer");
	discard(ldap_get_option(d->ld, LDAP_OPT_RESULT_CODE, &code));
	return directory_failure(d, code < 0 ? code : LDAP_SERVER_DOWN,
				 "answer");
}

int directory_code(struct directory *d, LDAPMessage *message)
{
	int code = LDAP_OTHER;
	int r = ldap_parse_result(d->ld, message, &code, NULL, NULL, NULL, NULL,
				  0);

	return r == LDAP_SUCCESS ? code : r;
}

static void referrals_free_p(char ***urls)
{
	ldap_memvfree((void **)*urls);
}

static bool is_context(const struct directory *d, const char *url_text)
{
	LDAPURLDesc *url = NULL;
	CLEANUP(mem_free_p) char *name = NULL;
	bool found = false;

	if (ldap_url_parse(url_text, &url) != LDAP_URL_SUCCESS)
		return false;
	if (url->lud_dn && dn_normalise(url->lud_dn, &name) == 0) {
		for (size_t i = 0; i < d->context_count; i++)
			found |= strcmp(d->contexts[i], name) == 0;
	}
	ldap_free_urldesc(url);
	return found;
}

/* A domain controller points from its domain to its other contexts, which it
 * serves itself and which are looked through on their own. */
static bool points_to_itself(struct directory *d, LDAPMessage *reference)
{
	CLEANUP(referrals_free_p) char **urls = NULL;

	if (!d->is_ad || ldap_parse_reference(d->ld, reference, &urls, NULL,
					      0) != LDAP_SUCCESS)
		return false;
	for (size_t i = 0; urls && urls[i]; i++) {
		if (!is_context(d, urls[i]))
			return false;
	}
	return true;
}

static bool points_elsewhere(struct directory *d, LDAPMessage *message)
{
	LDAPMessage *reference = ldap_first_reference(d->ld, message);

	for (; reference; reference = ldap_next_reference(d->ld, reference)) {
		if (!points_to_itself(d, reference))
			return true;
	}
	return false;
}

int directory_judge(struct directory *d, LDAPMessage *owned,
		    LDAPMessage **ret_message)
{
	CLEANUP(message_free_p) LDAPMessage *message = owned;
	int code = directory_code(d, message);

	/* A name of types that the server does not know is no entry of it. */
	if (code == LDAP_NO_SUCH_OBJECT || code == LDAP_INVALID_DN_SYNTAX) {
		*ret_message = NULL;
		return 0;
	}
	if (code != LDAP_SUCCESS)
		return directory_failure(d, code, "search");
	if (points_elsewhere(d, message))
		return directory_failure(d, LDAP_REFERRAL,
					 "a part lies on another server");
	*ret_message = TAKE(message);
	return 0;
}

int directory_wait(struct directory *d, int id, LDAPMessage **ret_message)
{
	LDAPMessage *message = NULL;

	TRY(directory_answer(d, id, &message));
	return directory_judge(d, message, ret_message);
}

/* Entries.  */

int directory_text(const struct berval *value, char **ret_text)
{
	if (memchr(value->bv_val, 0, value->bv_len))
		return error_set(ERR_CORRUPT, "a value with a NUL byte");
	*ret_text = mem_alloc(value->bv_len + 1);
	memcpy(*ret_text, value->bv_val, value->bv_len);
	return 0;
}

static int take_first(struct directory *d, LDAPMessage *message,
		      const char *attribute, char **ret_text)
{
	CLEANUP(values_free_p)
	struct berval **values = ldap_get_values_len(d->ld, message, attribute);

	if (!values || !values[0])
		return 0;
	return directory_text(values[0], ret_text);
}

static int take_members(struct directory *d, LDAPMessage *message,
			const char *attribute, struct directory_entry *entry)
{
	CLEANUP(values_free_p)
	struct berval **values = ldap_get_values_len(d->ld, message, attribute);
	size_t count = (size_t)ldap_count_values_len(values);

	if (!values || count == 0)
		return 0;
	entry->members = mem_grow(entry->members, entry->member_count + count,
				  sizeof(entry->members[0]));
	for (size_t i = 0; i < count; i++) {
		TRY(directory_text(values[i],
				   &entry->members[entry->member_count]));
		entry->member_count++;
	}
	return 0;
}

static void take_classes(struct directory *d, LDAPMessage *message,
			 struct directory_entry *entry)
{
	CLEANUP(values_free_p)
	struct berval **values =
		ldap_get_values_len(d->ld, message, "objectClass");

	for (size_t i = 0; values && values[i]; i++)
		entry->classes |= directory_class(
			slice_of(values[i]->bv_val, values[i]->bv_len));
}

static int take_name(struct directory *d, LDAPMessage *message,
		     struct directory_entry *entry)
{
	char *dn = ldap_get_dn(d->ld, message);
	int r;

	if (!dn)
		return error_set(ERR_CORRUPT, "an entry without a name");
	r = dn_normalise(dn, &entry->name);
	if (r == 0)
		r = dn_spell(dn, &entry->spelling);
	ldap_memfree(dn);
	return r;
}

static int take_login(struct directory *d, LDAPMessage *message,
		      struct directory_entry *entry)
{
	CLEANUP(values_free_p)
	struct berval **values = ldap_get_values_len(
		d->ld, message, d->is_ad ? "sAMAccountName" : "uid");

	if (ldap_count_values_len(values) != 1)
		return 0;
	return directory_text(values[0], &entry->login);
}

static int64_t take_number(struct directory *d, LDAPMessage *message,
			   const char *attribute)
{
	CLEANUP(mem_free_p) char *text = NULL;

	if (take_first(d, message, attribute, &text) < 0 || !text)
		return -1;
	return strtoll(text, NULL, 10);
}

static int64_t last_part(const char *sid)
{
	const char *dash = sid ? strrchr(sid, '-') : NULL;

	return dash ? strtoll(dash + 1, NULL, 10) : -1;
}

/* The binary attributes of Active Directory. */
static void take_identity(struct directory *d, LDAPMessage *message,
			  struct directory_entry *entry)
{
	CLEANUP(values_free_p)
	struct berval **guid =
		ldap_get_values_len(d->ld, message, "objectGUID");
	CLEANUP(values_free_p)
	struct berval **sid = ldap_get_values_len(d->ld, message, "objectSid");
	CLEANUP(mem_free_p) char *sid_text = NULL;

	if (guid && guid[0])
		entry->uuid = identifier_guid(
			slice_of(guid[0]->bv_val, guid[0]->bv_len));
	if (sid && sid[0])
		sid_text = identifier_sid(
			slice_of(sid[0]->bv_val, sid[0]->bv_len));
	entry->rid = last_part(sid_text);
	entry->primary_rid = take_number(d, message, "primaryGroupID");
}

/* The attribute of this answer that holds a part of the members, owned; NULL if
 * there is none.  ret_next: number of the first that is missing, -1 if none
 * is. */
static char *range_of(struct directory *d, LDAPMessage *message, long *ret_next)
{
	BerElement *place = NULL;
	char *name = ldap_first_attribute(d->ld, message, &place);
	char *found = NULL;

	while (name && !found) {
		if (strncasecmp(name, RANGE, strlen(RANGE)) == 0)
			found = mem_str(name);
		ldap_memfree(name);
		name = ldap_next_attribute(d->ld, message, place);
	}
	ldap_memfree(name);
	if (place)
		ber_free(place, 0);
	if (found) {
		const char *dash = strrchr(found, '-');

		*ret_next = dash && dash[1] != '*'
				    ? strtol(dash + 1, NULL, 10) + 1
				    : -1;
	}
	return found;
}

static int next_range(struct directory *d, const char *name, long from,
		      LDAPMessage **ret_message)
{
	CLEANUP(mem_free_p)
	char *attribute = mem_format(RANGE "%ld-%ld", from, from + 999);
	const char *const wanted[] = { attribute, NULL };
	const struct directory_query query = { name, LDAP_SCOPE_BASE,
					       "(objectClass=*)", wanted, 1 };
	int id;

	TRY(directory_send(d, &query, NULL, &id));
	return directory_wait(d, id, ret_message);
}

/* Members that come in parts, all of them. */
static int take_ranges(struct directory *d, LDAPMessage *first,
		       struct directory_entry *entry)
{
	CLEANUP(message_free_p) LDAPMessage *more = NULL;
	LDAPMessage *at = first;

	while (at) {
		long next = -1;
		CLEANUP(mem_free_p) char *part = range_of(d, at, &next);

		if (part)
			TRY(take_members(d, at, part, entry));
		if (!part || next < 0)
			return 0;
		if (entry->member_count > DIRECTORY_MEMBERS_MAX)
			return error_set(ERR_LIMIT, "more than %d members",
					 DIRECTORY_MEMBERS_MAX);
		message_free_p(&more);
		more = NULL;
		TRY(next_range(d, entry->name, next, &more));
		at = more ? ldap_first_entry(d->ld, more) : NULL;
	}
	return 0;
}

static int take_entry(struct directory *d, LDAPMessage *message,
		      struct directory_entry *entry)
{
	TRY(take_name(d, message, entry));
	take_classes(d, message, entry);
	TRY(take_login(d, message, entry));
	entry->rid = entry->primary_rid = -1;
	entry->gid = take_number(d, message, "gidNumber");
	if (d->is_ad) {
		take_identity(d, message, entry);
		TRY(take_first(d, message, "uSNChanged", &entry->version));
		return take_ranges(d, message, entry);
	}
	TRY(take_first(d, message, "entryCSN", &entry->version));
	TRY(take_first(d, message, "entryUUID", &entry->uuid));
	TRY(take_members(d, message, "member", entry));
	TRY(take_members(d, message, "uniqueMember", entry));
	return take_members(d, message, "roleOccupant", entry);
}

void directory_entry_clear(struct directory_entry *entry)
{
	for (size_t i = 0; i < entry->member_count; i++)
		free(entry->members[i]);
	free(entry->members);
	free(entry->login);
	free(entry->uuid);
	free(entry->version);
	free(entry->spelling);
	free(entry->name);
	*entry = (struct directory_entry){ 0 };
}

int directory_send_read(struct directory *d, const char *name, int *ret_id)
{
	const struct directory_query query = {
		name, LDAP_SCOPE_BASE, "(objectClass=*)",
		d->is_ad ? ad_attributes : entry_attributes, 1
	};

	return directory_send(d, &query, NULL, ret_id);
}

int directory_wait_read(struct directory *d, int id,
			struct directory_entry *ret_entry, bool *ret_found)
{
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	CLEANUP(directory_entry_clear) struct directory_entry entry = { 0 };
	LDAPMessage *first;

	TRY(directory_wait(d, id, &message));
	first = message ? ldap_first_entry(d->ld, message) : NULL;
	*ret_found = first != NULL;
	if (!first)
		return 0;
	TRY(take_entry(d, first, &entry));
	*ret_entry = entry;
	entry = (struct directory_entry){ 0 };
	return 0;
}

int directory_read(struct directory *d, const char *name,
		   struct directory_entry *ret_entry, bool *ret_found)
{
	int id;

	TRY(directory_send_read(d, name, &id));
	return directory_wait_read(d, id, ret_entry, ret_found);
}

int directory_matches(struct directory *d, const char *name, const char *filter,
		      bool *ret_matches)
{
	static const char *const none[] = { LDAP_NO_ATTRS, NULL };
	const struct directory_query query = { name, LDAP_SCOPE_BASE, filter,
					       none, 1 };
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	int id;

	TRY(directory_send(d, &query, NULL, &id));
	TRY(directory_wait(d, id, &message));
	*ret_matches = message && ldap_first_entry(d->ld, message);
	return 0;
}

/* The results of a compare that answer it; all but the first mean no. */
static bool is_comparison(int code)
{
	static const int answers[] = {
		LDAP_COMPARE_TRUE,
		LDAP_COMPARE_FALSE,
		LDAP_NO_SUCH_ATTRIBUTE,
		LDAP_INVALID_SYNTAX,
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		if (answers[i] == code)
			return true;
	}
	return false;
}

/* Domain controllers take a name in a comparison for a part of a filter; in a
 * filter it is data. */
static int finds_value(struct directory *d, const char *name,
		       const char *attribute, const char *value,
		       bool *ret_holds)
{
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	struct slice bytes;

	filter_put_equals(&filter, attribute, slice_str(value));
	TRY(buf_finish(&filter, &bytes));
	return directory_matches(d, name, buf_text(&filter), ret_holds);
}

int directory_holds(struct directory *d, const char *name,
		    const char *attribute, const char *value, bool *ret_holds)
{
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	CLEANUP(mem_free_p) char *copy = mem_str(value);
	struct berval bytes = { strlen(value), copy };
	int r, id, code;

	if (!d->ld)
		return error_set(ERR_UNAVAILABLE, "not connected");
	if (d->is_ad)
		return finds_value(d, name, attribute, value, ret_holds);
	r = ldap_compare_ext(d->ld, name, attribute, &bytes, NULL, NULL, &id);
	if (r != LDAP_SUCCESS)
		return directory_failure(d, r, "compare");
	TRY(directory_answer(d, id, &message));
	code = directory_code(d, message);
	if (!is_comparison(code))
		return directory_failure(d, code, "compare");
	*ret_holds = code == LDAP_COMPARE_TRUE;
	return 0;
}
