#include "connectors/ldap/directory_private.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/identifier.h"

enum {
	PAGE = 500,	   /* entries of one page */
	NAMES_MAX = 20000, /* entries of one search for names */
};

/* Records.  */

static const struct {
	const char *attribute;
	char *(*text)(struct slice bytes);
} binary[] = {
	{ "objectGUID", identifier_guid },
	{ "objectSid", identifier_sid },
};

/* A value's text, owned; NULL for what is none. */
static char *value_text(const char *attribute, const struct berval *value)
{
	struct slice bytes = slice_of(value->bv_val, value->bv_len);
	char *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(binary); i++) {
		if (strcmp(attribute, binary[i].attribute) == 0)
			return binary[i].text(bytes);
	}
	if (!text_is_utf8(bytes) || directory_text(value, &text) < 0)
		return NULL;
	return text;
}

static void take_attribute(struct directory *d, LDAPMessage *message,
			   const char *attribute, json_t *record)
{
	CLEANUP(values_free_p)
	struct berval **values = ldap_get_values_len(d->ld, message, attribute);
	json_t *list;

	if (!values || !values[0])
		return;
	list = json_array();
	for (size_t i = 0; values[i]; i++) {
		CLEANUP(mem_free_p)
		char *text = value_text(attribute, values[i]);

		if (text)
			discard(json_array_append_new(list, json_string(text)));
	}
	json_set_new(record, attribute, list);
}

static int make_record(struct directory *d, LDAPMessage *message,
		       const char *const *attributes, json_t **ret_record)
{
	CLEANUP(json_put_p) json_t *record = json_object();
	CLEANUP(mem_free_p) char *name = NULL;
	CLEANUP(mem_free_p) char *spelling = NULL;
	char *dn = ldap_get_dn(d->ld, message);
	int r;

	if (!dn)
		return error_set(ERR_CORRUPT, "an entry without a name");
	r = dn_normalise(dn, &name);
	if (r == 0)
		r = dn_spell(dn, &spelling);
	ldap_memfree(dn);
	TRY(r);
	json_set_text(record, "dn", name);
	json_set_text(record, "spelling", spelling);
	for (size_t i = 0; attributes[i]; i++)
		take_attribute(d, message, attributes[i], record);
	*ret_record = TAKE(record);
	return 0;
}

int directory_record(struct directory *d, const char *name,
		     const char *const *attributes, json_t **ret_record)
{
	const struct directory_query query = { name, LDAP_SCOPE_BASE,
					       "(objectClass=*)", attributes,
					       1 };
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	LDAPMessage *entry;
	int id;

	TRY(directory_send(d, &query, NULL, &id));
	TRY(directory_wait(d, id, &message));
	entry = message ? ldap_first_entry(d->ld, message) : NULL;
	if (entry)
		return make_record(d, entry, attributes, ret_record);
	*ret_record = NULL;
	return 0;
}

const char *record_text(const json_t *record, const char *attribute)
{
	return json_string_value(
		json_array_get(json_object_get(record, attribute), 0));
}

int64_t record_int(const json_t *record, const char *attribute,
		   int64_t fallback)
{
	const char *text = record_text(record, attribute);
	char *end = NULL;
	long long value = text ? strtoll(text, &end, 10) : 0;

	return text && *text && !*end ? value : fallback;
}

unsigned record_classes(const json_t *record)
{
	const json_t *name;
	unsigned bits = 0;
	size_t at;

	json_array_foreach(json_object_get(record, "objectClass"), at, name)
		bits |= directory_class(slice_str(json_string_value(name)));
	return bits;
}

/* Pages.  */

struct pages {
	struct directory *directory;
	const struct directory_query *query;
	int size;	      /* entries of one */
	struct berval cookie; /* owned */
	bool cut;	      /* the server shows no more */
};

static void pages_clear(struct pages *pages)
{
	ber_memfree(pages->cookie.bv_val);
}

/* Whether another page follows. */
static bool page_follows(const struct pages *pages)
{
	return pages->cookie.bv_val && pages->cookie.bv_len > 0 && !pages->cut;
}

static int take_cookie(struct pages *pages, LDAPMessage *message)
{
	LDAP *ld = pages->directory->ld;
	LDAPControl **controls = NULL;
	LDAPControl *page;
	ber_int_t estimate;
	int r = ldap_parse_result(ld, message, NULL, NULL, NULL, NULL,
				  &controls, 0);

	ber_memfree(pages->cookie.bv_val);
	pages->cookie = (struct berval){ 0, NULL };
	page = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
	if (r == LDAP_SUCCESS && page)
		r = ldap_parse_pageresponse_control(ld, page, &estimate,
						    &pages->cookie);
	ldap_controls_free(controls);
	return r == LDAP_SUCCESS
		       ? 0
		       : directory_failure(pages->directory, r, "page");
}

/* A list that the server cuts short is still good for those who are told. */
static bool is_cut(int code)
{
	return code == LDAP_SIZELIMIT_EXCEEDED ||
	       code == LDAP_ADMINLIMIT_EXCEEDED;
}

static int wait_page(struct pages *pages, int id, LDAPMessage **ret_message)
{
	struct directory *d = pages->directory;
	CLEANUP(message_free_p) LDAPMessage *message = NULL;

	TRY(directory_answer(d, id, &message));
	pages->cut = is_cut(directory_code(d, message));
	if (!pages->cut) {
		TRY(take_cookie(pages, message));
		return directory_judge(d, TAKE(message), ret_message);
	}
	*ret_message = TAKE(message);
	return 0;
}

/* ret_message: owned, NULL if there is no such base. */
static int next_page(struct pages *pages, LDAPMessage **ret_message)
{
	struct directory *d = pages->directory;
	LDAPControl *controls[2] = { NULL, NULL };
	int r, id;

	if (!d->ld)
		return error_set(ERR_UNAVAILABLE, "not connected");
	r = ldap_create_page_control(d->ld, pages->size, &pages->cookie, 0,
				     &controls[0]);
	if (r != LDAP_SUCCESS)
		return directory_failure(d, r, "page");
	r = directory_send(d, pages->query, controls, &id);
	ldap_control_free(controls[0]);
	TRY(r);
	return wait_page(pages, id, ret_message);
}

static int take_records(struct directory *d, LDAPMessage *message,
			const struct directory_query *query, json_t *records)
{
	LDAPMessage *entry = ldap_first_entry(d->ld, message);

	for (; entry; entry = ldap_next_entry(d->ld, entry)) {
		json_t *record = NULL;

		TRY(make_record(d, entry, query->attributes, &record));
		discard(json_array_append_new(records, record));
	}
	return 0;
}

/* The server's own limit counts all pages; ours is counted here. */
static struct directory_query unlimited(const struct directory_query *query)
{
	struct directory_query all = *query;

	all.limit = 0;
	return all;
}

static void put_cookie(struct pages *pages, struct slice bytes)
{
	pages->cookie.bv_val = ber_memalloc(bytes.len + 1);
	pages->cookie.bv_len = pages->cookie.bv_val ? bytes.len : 0;
	if (pages->cookie.bv_len)
		memcpy(pages->cookie.bv_val, bytes.ptr, bytes.len);
}

int directory_page(struct directory *d, const struct directory_query *query,
		   struct buf *cookie, json_t **ret_records, bool *ret_cut)
{
	const struct directory_query all = unlimited(query);
	CLEANUP(pages_clear)
	struct pages pages = { d, &all, query->limit, { 0, NULL }, false };
	CLEANUP(json_put_p) json_t *records = json_array();
	CLEANUP(message_free_p) LDAPMessage *message = NULL;

	put_cookie(&pages, buf_slice(cookie));
	TRY(next_page(&pages, &message));
	if (message)
		TRY(take_records(d, message, query, records));
	buf_reset(cookie);
	if (message && page_follows(&pages))
		buf_put(cookie,
			slice_of(pages.cookie.bv_val, pages.cookie.bv_len));
	*ret_cut = pages.cut;
	*ret_records = TAKE(records);
	return 0;
}

/* Names.  */

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

/* In one piece, so that a list cut short by the server is seen to be. */
static int find_at_once(struct directory *d, struct walk *walk,
			const struct directory_query *query)
{
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	int id;

	TRY(directory_send(d, query, NULL, &id));
	TRY(directory_wait(d, id, &message));
	return message ? add_found(d, walk, message) : 0;
}

int directory_add_found(struct directory *d, struct walk *walk,
			const char *context, const char *filter)
{
	static const char *const none[] = { LDAP_NO_ATTRS, NULL };
	const struct directory_query query = { context, LDAP_SCOPE_SUBTREE,
					       filter, none, NAMES_MAX };
	const struct directory_query all = unlimited(&query);
	CLEANUP(pages_clear)
	struct pages pages = { d, &all, PAGE, { 0, NULL }, false };

	if (!d->is_ad)
		return find_at_once(d, walk, &query);
	do {
		CLEANUP(message_free_p) LDAPMessage *message = NULL;

		TRY(next_page(&pages, &message));
		if (!message)
			return 0;
		TRY(add_found(d, walk, message));
	} while (page_follows(&pages));
	if (pages.cut)
		return error_set(ERR_LIMIT, "the server shows no more");
	return 0;
}
