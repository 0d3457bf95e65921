#include "connectors/ldap/directory_private.h"

#include <strings.h>

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/filter.h"

enum { GROUPS_MAX = 20000 }; /* entries asked of one search upward */

static const char *const entry_attributes[] = { "objectClass",	"entryCSN",
						"entryUUID",	"member",
						"uniqueMember", NULL };
static const char *const no_attributes[] = { LDAP_NO_ATTRS, NULL };

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
};

/* Searching.  */

int directory_send(struct directory *d, const struct directory_query *query,
		   int *ret_id)
{
	struct timeval patience = directory_patience(d);
	char *attributes[8] = { NULL };
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
			    attributes, 0, NULL, NULL, &patience, query->limit,
			    ret_id);
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

static int result_code(struct directory *d, LDAPMessage *message)
{
	int code = LDAP_OTHER;
	int r = ldap_parse_result(d->ld, message, &code, NULL, NULL, NULL, NULL,
				  0);

	return r == LDAP_SUCCESS ? code : r;
}

int directory_wait(struct directory *d, int id, LDAPMessage **ret_message)
{
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	int code;

	TRY(directory_answer(d, id, &message));
	code = result_code(d, message);
	/* A name of types that the server does not know is no entry of it. */
	if (code == LDAP_NO_SUCH_OBJECT || code == LDAP_INVALID_DN_SYNTAX) {
		*ret_message = NULL;
		return 0;
	}
	if (code != LDAP_SUCCESS)
		return directory_failure(d, code, "search");
	if (ldap_first_reference(d->ld, message))
		return directory_failure(d, LDAP_REFERRAL,
					 "a part lies on another server");
	*ret_message = TAKE(message);
	return 0;
}

/* Entries.  */

static int text_of(const struct berval *value, char **ret_text)
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
	return text_of(values[0], ret_text);
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
		TRY(text_of(values[i], &entry->members[entry->member_count]));
		entry->member_count++;
	}
	return 0;
}

static unsigned class_bit(const struct berval *value)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		if (value->bv_len == strlen(classes[i].name) &&
		    strncasecmp(value->bv_val, classes[i].name,
				value->bv_len) == 0)
			return classes[i].bit;
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
		entry->classes |= class_bit(values[i]);
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

static int take_entry(struct directory *d, LDAPMessage *message,
		      struct directory_entry *entry)
{
	TRY(take_name(d, message, entry));
	TRY(take_first(d, message, "entryCSN", &entry->version));
	TRY(take_first(d, message, "entryUUID", &entry->uuid));
	take_classes(d, message, entry);
	TRY(take_members(d, message, "member", entry));
	return take_members(d, message, "uniqueMember", entry);
}

void directory_entry_clear(struct directory_entry *entry)
{
	for (size_t i = 0; i < entry->member_count; i++)
		free(entry->members[i]);
	free(entry->members);
	free(entry->uuid);
	free(entry->version);
	free(entry->spelling);
	free(entry->name);
	*entry = (struct directory_entry){ 0 };
}

static int send_read(struct directory *d, const char *name, int *ret_id)
{
	const struct directory_query query = { name, LDAP_SCOPE_BASE,
					       "(objectClass=*)",
					       entry_attributes, 1 };

	return directory_send(d, &query, ret_id);
}

static int wait_read(struct directory *d, int id,
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

	TRY(send_read(d, name, &id));
	return wait_read(d, id, ret_entry, ret_found);
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

int directory_holds(struct directory *d, const char *name, const char *member,
		    bool *ret_holds)
{
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	CLEANUP(mem_free_p) char *copy = mem_str(member);
	struct berval value = { strlen(member), copy };
	int r, id, code;

	if (!d->ld)
		return error_set(ERR_UNAVAILABLE, "not connected");
	r = ldap_compare_ext(d->ld, name, "member", &value, NULL, NULL, &id);
	if (r != LDAP_SUCCESS)
		return directory_failure(d, r, "compare");
	TRY(directory_answer(d, id, &message));
	code = result_code(d, message);
	if (!is_comparison(code))
		return directory_failure(d, code, "compare");
	*ret_holds = code == LDAP_COMPARE_TRUE;
	return 0;
}

/* Walking.  */

static enum walk_kind kind_of(const struct directory_entry *entry)
{
	const unsigned groups = DIRECTORY_GROUP_OF_NAMES |
				DIRECTORY_GROUP_OF_UNIQUE_NAMES |
				DIRECTORY_POSIX_GROUP;

	if (entry->classes & DIRECTORY_DYNAMIC_GROUP)
		return WALK_OPAQUE;
	if (entry->member_count > 0)
		return WALK_GROUP;
	/* A group that shows no member names them in another way, or hides
	 * them from us. */
	return entry->classes & groups ? WALK_OPAQUE : WALK_ACCOUNT;
}

static int expand_node(struct directory *d, struct walk *walk, size_t node,
		       int id)
{
	CLEANUP(directory_entry_clear) struct directory_entry entry = { 0 };
	bool found = false;

	TRY(wait_read(d, id, &entry, &found));
	if (!found) {
		walk->nodes[node].kind = WALK_MISSING;
		return 0;
	}
	walk->nodes[node].kind = kind_of(&entry);
	for (size_t i = 0; i < entry.member_count; i++)
		TRY(walk_add(walk, entry.members[i]));
	return 0;
}

int directory_walk_down(void *cookie, struct walk *walk, size_t first,
			size_t count)
{
	struct directory *d = cookie;
	int ids[WALK_BATCH];
	int r = 0;

	if (count > WALK_BATCH)
		return error_set(ERR_LIMIT, "batch of %zu", count);
	for (size_t i = 0; i < count; i++)
		TRY(send_read(d, walk->nodes[first + i].name, &ids[i]));
	for (size_t i = 0; i < count && r == 0; i++)
		r = expand_node(d, walk, first + i, ids[i]);
	/* Answers that nobody waits for any more must not meet the next
	 * question. */
	if (r < 0)
		directory_disconnect(d);
	return r;
}

static int add_found(struct directory *d, struct walk *walk,
		     LDAPMessage *message)
{
	LDAPMessage *entry = ldap_first_entry(d->ld, message);

	for (; entry; entry = ldap_next_entry(d->ld, entry)) {
		char *dn = ldap_get_dn(d->ld, entry);
		int r;

		if (!dn)
			return error_set(ERR_CORRUPT,
					 "an entry without a name");
		r = walk_add(walk, dn);
		ldap_memfree(dn);
		TRY(r);
	}
	return 0;
}

static int search_holders(struct directory *d, struct walk *walk,
			  const char *context, const char *filter)
{
	const struct directory_query query = { context, LDAP_SCOPE_SUBTREE,
					       filter, no_attributes,
					       GROUPS_MAX };
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	int id;

	TRY(directory_send(d, &query, &id));
	TRY(directory_wait(d, id, &message));
	return message ? add_found(d, walk, message) : 0;
}

static int expand_up(struct directory *d, struct walk *walk, size_t node)
{
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	struct slice name = slice_str(walk->nodes[node].name);

	buf_put_str(&filter, "(|");
	filter_put_equals(&filter, "member", name);
	filter_put_equals(&filter, "uniqueMember", name);
	buf_put_str(&filter, ")");
	TRY(buf_finish(&filter, &name));
	walk->nodes[node].kind = WALK_GROUP;
	for (size_t i = 0; i < d->context_count; i++)
		TRY(search_holders(d, walk, d->contexts[i], buf_text(&filter)));
	return 0;
}

int directory_walk_up(void *cookie, struct walk *walk, size_t first,
		      size_t count)
{
	for (size_t i = first; i < first + count; i++)
		TRY(expand_up(cookie, walk, i));
	return 0;
}
