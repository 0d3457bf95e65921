#include "connectors/postgres/survey.h"

#include "base/error.h"

enum { PAGE_DEFAULT = 500, NUMBER_MAX = 24, WORDS_MAX = 512 };

/* ---- discover ---- */

static const char ask_accounts[] =
	"SELECT r.rolname, r.rolcanlogin, "
	"r.rolcanlogin AND r.rolvaliduntil < now(), "
	"array_to_string(ARRAY(SELECT word FROM (VALUES "
	" ('bypassrls', r.rolbypassrls), "
	" ('createdb', r.rolcreatedb), "
	" ('createrole', r.rolcreaterole), "
	" ('in-use', s.count > 0), "
	" ('lent', r.rolname ~ '^writ_[a-z2-7]{26}$'), "
	" ('never-expires', r.rolcanlogin AND "
	"  coalesce(r.rolvaliduntil, 'infinity') = 'infinity'), "
	" ('replication', r.rolreplication), "
	" ('shared', s.places > 1), "
	" ('superuser', r.rolsuper)) AS flags(word, has) "
	" WHERE has ORDER BY word), ' '), "
	"to_char(s.last AT TIME ZONE 'UTC', "
	" 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') "
	"FROM pg_roles r, LATERAL (SELECT count(*) AS count, "
	"  count(DISTINCT a.client_addr) AS places, "
	"  max(coalesce(a.state_change, now())) AS last "
	"  FROM pg_stat_activity a WHERE a.usesysid = r.oid) s "
	"WHERE r.rolname !~ '^pg_' AND r.rolname::text COLLATE \"C\" > $1 "
	"ORDER BY r.rolname::text COLLATE \"C\" LIMIT $2::int";

/* Words apart by blanks, as an array. */
static json_t *words_of(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t len = strcspn(text, " ");

		discard(json_array_append_new(list, json_stringn(text, len)));
		text += len;
		text += *text == ' ';
	}
	return list;
}

/* A role that cannot log in is what others are in; one that is lent, or that
 * another server copies by, is nobody's. */
static const char *kind_of(bool can_login, const json_t *flags)
{
	if (!can_login)
		return "group";
	if (json_has_text(flags, "lent") ||
	    (json_has_text(flags, "replication") &&
	     !json_has_text(flags, "superuser")))
		return "service";
	return "account";
}

static json_t *account_of(const PGresult *rows, int row)
{
	json_t *flags = words_of(database_text(rows, row, 3));
	const char *last = database_text(rows, row, 4);
	char text[ROLENAME_SPELLING_MAX];
	json_t *account = json_object();

	rolename_spell(database_text(rows, row, 0), text);
	json_set_text(account, "id", text);
	json_set_text(account, "kind",
		      kind_of(database_flag(rows, row, 1), flags));
	json_set_flag(account, "disabled", database_flag(rows, row, 2));
	if (*last)
		json_set_text(account, "lastUsed", last);
	json_set_new(account, "flags", flags);
	return account;
}

static json_t *page_of(const PGresult *rows, int limit)
{
	int count = PQntuples(rows) < limit ? PQntuples(rows) : limit;
	json_t *accounts = json_array();
	char next[ROLENAME_SPELLING_MAX];
	json_t *page = json_object();

	for (int i = 0; i < count; i++)
		discard(json_array_append_new(accounts, account_of(rows, i)));
	json_set_new(page, "accounts", accounts);
	if (PQntuples(rows) > limit) {
		rolename_spell(database_text(rows, limit - 1, 0), next);
		json_set_text(page, "next", next);
	}
	return page;
}

int survey_discover(struct target *t, const json_t *params,
		    struct connector_reply *reply)
{
	const char *cursor = json_text(params, "cursor", NULL);
	int limit = (int)json_int(params, "limit", PAGE_DEFAULT);
	CLEANUP(PQclear_p) PGresult *rows = NULL;
	char after[ROLENAME_MAX + 1] = "";
	char number[NUMBER_MAX];

	if (cursor)
		target_take_name(cursor, "cursor", after, reply);
	if (target_refused(reply))
		return 0;
	snprintf(number, sizeof(number), "%d", limit + 1);
	TRY(target_begin(t, TARGET_LOOK_MS));
	TRY(DATABASE_ASK(t->database, &rows, ask_accounts, after, number));
	reply->result = page_of(rows, limit);
	return 0;
}

/* ---- entitlements ---- */

/* What it is in: name, whether directly, whether it may hand that on. */
static const char ask_roles[] =
	"WITH RECURSIVE up(id) AS (SELECT $1::oid UNION "
	" SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.id) "
	"SELECT r.rolname, bool_or(m.member = $1::oid), "
	"bool_or(m.member = $1::oid AND m.admin_option) "
	"FROM up JOIN pg_auth_members m ON m.member = up.id "
	"JOIN pg_roles r ON r.oid = m.roleid "
	"GROUP BY r.rolname ORDER BY r.rolname::text COLLATE \"C\" LIMIT 10001";

/* Powers, and the role that has each. */
static const char ask_powers[] =
	"WITH RECURSIVE up(id) AS (SELECT $1::oid UNION "
	" SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.id) "
	"SELECT word, r.rolname, r.oid = $1::oid FROM up "
	"JOIN pg_roles r ON r.oid = up.id, LATERAL (VALUES "
	" ('superuser', r.rolsuper), ('createrole', r.rolcreaterole), "
	" ('createdb', r.rolcreatedb), ('replication', r.rolreplication), "
	" ('bypassrls', r.rolbypassrls)) AS powers(word, has) "
	"WHERE has ORDER BY r.oid <> $1::oid, r.rolname::text COLLATE \"C\", "
	"word LIMIT 10001";

/* Privileges in this database: what, how many, of which kind, through whom. */
static const char ask_privileges[] =
	"WITH RECURSIVE up(id) AS (SELECT $1::oid UNION "
	" SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.id), "
	"things(kind, owner, acl) AS ("
	" SELECT CASE relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' "
	"  WHEN 'm' THEN 'view' ELSE 'table' END, relowner, relacl "
	"  FROM pg_class WHERE relkind IN ('r','p','v','m','S','f') "
	" UNION ALL SELECT 'schema', nspowner, nspacl FROM pg_namespace "
	" UNION ALL SELECT 'function', proowner, proacl FROM pg_proc "
	" UNION ALL SELECT 'database', datdba, datacl FROM pg_database "
	"  WHERE datname = current_database()), "
	"held(what, kind, holder) AS ("
	" SELECT 'OWNER', kind, owner FROM things "
	" UNION ALL SELECT a.privilege_type, t.kind, a.grantee "
	"  FROM things t, LATERAL aclexplode(t.acl) a "
	"  WHERE t.acl IS NOT NULL AND a.grantee <> t.owner) "
	"SELECT h.what, h.kind, count(*), r.rolname, r.oid = $1::oid "
	"FROM held h JOIN up ON up.id = h.holder "
	"JOIN pg_roles r ON r.oid = up.id "
	"GROUP BY h.what, h.kind, r.rolname, r.oid "
	"ORDER BY r.oid <> $1::oid, r.rolname::text COLLATE \"C\", h.kind, "
	"h.what LIMIT 10001";

static void add(json_t *list, const char *type, const char *id, bool direct,
		const char *detail)
{
	json_t *one = json_object();

	json_set_text(one, "type", type);
	json_set_text(one, "id", id);
	json_set_flag(one, "direct", direct);
	if (detail && *detail)
		json_set_text(one, "detail", detail);
	discard(json_array_append_new(list, one));
}

/* "through NAME", for what is not direct; else "". */
static const char *through(const char *name, bool direct, char words[WORDS_MAX])
{
	char text[ROLENAME_SPELLING_MAX];

	words[0] = '\0';
	if (direct)
		return words;
	rolename_spell(name, text);
	snprintf(words, WORDS_MAX, "through %s", text);
	return words;
}

static void add_role(const PGresult *rows, int i, json_t *list)
{
	char text[ROLENAME_SPELLING_MAX];

	rolename_spell(database_text(rows, i, 0), text);
	add(list, "role", text, database_flag(rows, i, 1),
	    database_flag(rows, i, 2) ? "with the right to grant it" : NULL);
}

static void add_power(const PGresult *rows, int i, json_t *list)
{
	bool direct = database_flag(rows, i, 2);
	char words[WORDS_MAX];

	add(list, "attribute", database_text(rows, i, 0), direct,
	    through(database_text(rows, i, 1), direct, words));
}

static void add_privilege(const PGresult *rows, int i, json_t *list)
{
	bool direct = database_flag(rows, i, 4);
	const char *count = database_text(rows, i, 2);
	const char *kind = database_text(rows, i, 1);
	char text[WORDS_MAX], words[WORDS_MAX];

	snprintf(text, sizeof(text), "%s on %s %s%s", database_text(rows, i, 0),
		 count, kind, strcmp(count, "1") ? "s" : "");
	add(list, "privilege", text, direct,
	    through(database_text(rows, i, 3), direct, words));
}

static const struct {
	const char *question;
	void (*add)(const PGresult *rows, int row, json_t *list);
} parts[] = {
	{ ask_roles, add_role },
	{ ask_powers, add_power },
	{ ask_privileges, add_privilege },
};

static int collect(struct target *t, const struct role *role, json_t *list)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		CLEANUP(PQclear_p) PGresult *rows = NULL;

		TRY(DATABASE_ASK(t->database, &rows, parts[i].question,
				 role->oid));
		if (PQntuples(rows) > ROLES_WALK_MAX)
			return error_set(ERR_LIMIT, "more than %d entitlements",
					 ROLES_WALK_MAX);
		for (int row = 0; row < PQntuples(rows); row++)
			parts[i].add(rows, row, list);
	}
	return 0;
}

int survey_entitlements(struct target *t, const json_t *params,
			struct connector_reply *reply)
{
	const char *account = json_text(params, "account", NULL);
	CLEANUP(json_put_p) json_t *list = json_array();
	char name[ROLENAME_MAX + 1];
	char text[ROLENAME_SPELLING_MAX];
	struct role role;

	target_take_name(account, "account", name, reply);
	if (target_refused(reply))
		return 0;
	TRY(target_begin(t, TARGET_LOOK_MS));
	TRY(roles_find(t->database, name, &role));
	if (!role.found)
		return connector_refuse(reply, "no-such-account",
					"there is no role %s", account);
	TRY(collect(t, &role, list));
	rolename_spell(name, text);
	reply->result = json_object();
	json_set_text(reply->result, "account", text);
	json_object_set(reply->result, "entitlements", list);
	return 0;
}
