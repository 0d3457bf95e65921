#include "connectors/ldap/discover.h"

#include <ldap.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/group_kind.h"
#include "connectors/ldap/hints.h"

enum { LIMIT_DEFAULT = 500, COOKIE_MAX = 4 * 1024 };

static const char *const account_attributes[] = { HINTS_ATTRIBUTES, NULL };
static const char *const group_attributes[] = { "objectClass", "cn",
						"description", NULL };

#define PLAIN_GROUPS                                                           \
	"(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)"         \
	"(objectClass=posixGroup)(objectClass=organizationalRole))"
#define AD_GROUPS "(objectClass=group)"

/* What is looked for, one after the other.  Computers, which are users in
 * Active Directory, are no accounts of anybody. */
static const struct part {
	enum reach_part reach;
	const char *filter;
	const char *ad_filter;
	const char *const *attributes;
} parts[] = {
	{ REACH_ACCOUNTS, DIRECTORY_ACCOUNTS,
	  "(|(&(objectCategory=person)(objectClass=user))"
	  "(objectClass=msDS-ManagedServiceAccount)"
	  "(objectClass=msDS-GroupManagedServiceAccount))",
	  account_attributes },
	{ REACH_GROUPS, PLAIN_GROUPS, AD_GROUPS, group_attributes },
	{ REACH_ROLES, PLAIN_GROUPS, AD_GROUPS, group_attributes },
};

/* Where a survey stands: number of the part, and the server's cookie. */
struct place {
	size_t part;
	struct buf cookie;
};

static void place_clear(struct place *place)
{
	buf_clear(&place->cookie);
}

/* "1:BASE64" */
static int place_parse(const char *text, struct place *place)
{
	if (text[0] < '0' || text[0] >= '0' + (int)ARRAY_LEN(parts) ||
	    text[1] != ':')
		return error_set(ERR_SYNTAX, "no cursor of ours");
	place->part = (size_t)(text[0] - '0');
	return text_from_base64(slice_str(text + 2), &place->cookie);
}

static void put_next(const struct place *place, json_t *result)
{
	CLEANUP(mem_free_p)
	char *cookie = text_base64(buf_slice(&place->cookie));
	CLEANUP(mem_free_p)
	char *text = mem_format("%zu:%s", place->part, cookie);

	json_set_text(result, "next", text);
}

/* Roles that lie among the groups are found with them. */
static bool is_covered(const struct reach *reach, enum reach_part part)
{
	const char *roles = reach->bases[REACH_ROLES];

	return part == REACH_ROLES && roles &&
	       dn_is_under(roles, reach->bases[REACH_GROUPS]);
}

/* Goes past the parts that are not configured; false at the end. */
static bool skip_to_part(const struct reach *reach, struct place *place)
{
	while (place->part < ARRAY_LEN(parts)) {
		enum reach_part part = parts[place->part].reach;

		if (reach->bases[part] && !is_covered(reach, part))
			return true;
		place->part++;
	}
	return false;
}

static void note_last_use(struct reach *reach, const json_t *records)
{
	const json_t *record;
	int64_t ms;
	size_t at;

	reach->last_use_seen |= directory_is_ad(reach->survey);
	json_array_foreach(records, at, record)
		reach->last_use_seen |= hints_last_use(record, &ms);
}

static json_t *group_of(const struct reach *reach, const json_t *record)
{
	const char *roles = reach->bases[REACH_ROLES];
	const char *name = json_text(record, "dn", "");
	bool is_role = roles && dn_is_under(name, roles);
	json_t *group;

	if (!group_kind_of(record_classes(record),
			   is_role ? reach->role_attribute : NULL))
		return NULL;
	group = json_object();
	json_set_text(group, "id", name);
	json_set_text(group, "kind", "group");
	json_set_flag(group, "disabled", false);
	json_set_new(group, "flags", json_array());
	if (is_role)
		discard(json_array_append_new(json_object_get(group, "flags"),
					      json_string("role")));
	return group;
}

static json_t *rows_of(struct reach *reach, const struct part *part,
		       const json_t *records)
{
	const struct hints_terms terms = {
		.is_ad = directory_is_ad(reach->survey),
		.last_use_known = reach->last_use_seen,
		.now_ms = clock_wall_ms(),
		.stale_days = reach->stale_days,
	};
	json_t *rows = json_array();
	const json_t *record;
	size_t at;

	json_array_foreach(records, at, record) {
		json_t *row = part->reach == REACH_ACCOUNTS
				      ? hints_account(record, &terms)
				      : group_of(reach, record);

		if (row)
			discard(json_array_append_new(rows, row));
	}
	return rows;
}

static int look(struct reach *reach, struct place *place, int limit,
		json_t *result)
{
	const struct part *part = &parts[place->part];
	const struct directory_query query = {
		reach->bases[part->reach], LDAP_SCOPE_SUBTREE,
		directory_is_ad(reach->survey) ? part->ad_filter : part->filter,
		part->attributes, limit
	};
	CLEANUP(json_put_p) json_t *records = NULL;
	bool cut = false;

	TRY(directory_page(reach->survey, &query, &place->cookie, &records,
			   &cut));
	if (cut)
		return error_set(ERR_LIMIT,
				 "the server shows our account no "
				 "more of %s (its size limit)",
				 query.base);
	note_last_use(reach, records);
	json_set_new(result, "accounts", rows_of(reach, part, records));
	if (place->cookie.len == 0)
		place->part++;
	return 0;
}

int discover_survey(void *self, const json_t *params,
		    struct connector_reply *reply)
{
	struct reach *reach = self;
	CLEANUP(place_clear) struct place place = { 0, BUF_INIT(COOKIE_MAX) };
	CLEANUP(json_put_p) json_t *result = json_object();
	const char *cursor = json_text(params, "cursor", NULL);
	int limit = (int)json_int(params, "limit", LIMIT_DEFAULT);

	if (cursor && place_parse(cursor, &place) < 0)
		return connector_refuse(reply, "invalid", "cursor: %s",
					error_message());
	if (cursor) {
		TRY(directory_go_on(reach->survey));
	} else {
		reach->last_use_seen = false;
		TRY(directory_connect(reach->survey));
	}
	if (skip_to_part(reach, &place))
		TRY(look(reach, &place, limit, result));
	else
		json_set_new(result, "accounts", json_array());
	if (skip_to_part(reach, &place))
		put_next(&place, result);
	reply->result = TAKE(result);
	return 0;
}
