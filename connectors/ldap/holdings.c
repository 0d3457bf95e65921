#include "connectors/ldap/holdings.h"

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/filter.h"

struct search {
	struct directory *directory;
	struct walk *walk; /* everything found so far */
	json_t *found;	   /* name -> how */
};

/* What was found last is so because of how. */
static void note(struct search *s, size_t from, const char *how)
{
	for (size_t i = from; i < s->walk->count; i++)
		json_set_text(s->found, s->walk->nodes[i].name, how);
}

static int look(struct search *s, const char *filter, const char *how)
{
	const char *const *contexts;
	size_t count = directory_contexts(s->directory, &contexts);
	size_t from = s->walk->count;

	for (size_t i = 0; i < count; i++)
		TRY(directory_add_found(s->directory, s->walk, contexts[i],
					filter));
	note(s, from, how);
	return 0;
}

static int look_for(struct search *s, const char *format_attribute,
		    const char *value, const char *how)
{
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	struct slice bytes;

	filter_put_equals(&filter, format_attribute, slice_str(value));
	TRY(buf_finish(&filter, &bytes));
	return look(s, buf_text(&filter), how);
}

static int find_named(struct search *s, const char *name)
{
	static const char *const attributes[] = { "member", "uniqueMember",
						  "roleOccupant" };
	size_t count =
		directory_is_ad(s->directory) ? 1 : ARRAY_LEN(attributes);

	for (size_t i = 0; i < count; i++)
		TRY(look_for(s, attributes[i], name, "member"));
	return 0;
}

/* posixGroup: the login, and the number of the primary group. */
static int find_posix(struct search *s, const json_t *record)
{
	const json_t *logins = json_object_get(record, "uid");
	const char *gid = record_text(record, "gidNumber");
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	struct slice bytes;
	const json_t *login;
	size_t at;

	json_array_foreach(logins, at, login)
		TRY(look_for(s, "memberUid", json_string_value(login),
			     "login"));
	if (!gid)
		return 0;
	buf_put_str(&filter, "(&(objectClass=posixGroup)");
	filter_put_equals(&filter, "gidNumber", slice_str(gid));
	buf_put_str(&filter, ")");
	TRY(buf_finish(&filter, &bytes));
	return look(s, buf_text(&filter), "primary");
}

/* The primary group has the account's SID with another last part. */
static int find_primary(struct search *s, const json_t *record)
{
	const char *sid = record_text(record, "objectSid");
	const char *rid = record_text(record, "primaryGroupID");
	const char *dash = sid ? strrchr(sid, '-') : NULL;
	CLEANUP(mem_free_p) char *group = NULL;

	if (!dash || !rid)
		return 0;
	group = mem_format("%.*s-%s", (int)(dash - sid), sid, rid);
	return look_for(s, "objectSid", group, "primary");
}

static int compare_rows(const void *left, const void *right)
{
	json_t *const *a = left;
	json_t *const *b = right;

	return strcmp(json_text(*a, "id", ""), json_text(*b, "id", ""));
}

static json_t *make_list(const json_t *found)
{
	size_t count = json_object_size(found), at = 0;
	CLEANUP(mem_free_p)
	json_t **rows = mem_array(count + 1, sizeof(*rows));
	json_t *list = json_array();
	const char *name;
	json_t *how;

	json_object_foreach((json_t *)(uintptr_t)found, name, how) {
		rows[at] = json_object();
		json_set_text(rows[at], "id", name);
		json_set_text(rows[at++], "how", json_string_value(how));
	}
	qsort(rows, count, sizeof(*rows), compare_rows);
	for (size_t i = 0; i < count; i++)
		discard(json_array_append_new(list, rows[i]));
	return list;
}

int holdings_find(struct directory *d, const json_t *record, size_t max,
		  json_t **ret_holdings)
{
	CLEANUP(walk_clear) struct walk walk = WALK_INIT(max);
	CLEANUP(json_put_p) json_t *found = json_object();
	struct search s = { d, &walk, found };
	size_t direct;

	TRY(find_named(&s, json_text(record, "dn", "")));
	TRY(directory_is_ad(d) ? find_primary(&s, record)
			       : find_posix(&s, record));
	direct = walk.count;
	TRY(directory_nesting(d, &walk));
	note(&s, direct, "nested");
	*ret_holdings = make_list(found);
	return 0;
}

json_t *holdings_names(const json_t *holdings)
{
	json_t *names = json_array();
	const json_t *row;
	size_t at;

	json_array_foreach(holdings, at, row)
		discard(json_array_append_new(
			names, json_string(json_text(row, "id", ""))));
	return names;
}
