#include "connectors/postgres/roles.h"

#include "base/error.h"

/* Question for a walk; the limit is one more than is allowed. */
#define WALK_LIMIT "10001"

static const char find_role[] =
	"SELECT oid, rolname, rolcanlogin, rolsuper, rolcreaterole "
	"FROM pg_roles WHERE rolname = $1";

static void take_role(const PGresult *rows, struct role *role)
{
	*role = (struct role){ .found = true };
	snprintf(role->oid, sizeof(role->oid), "%s", database_text(rows, 0, 0));
	snprintf(role->name, sizeof(role->name), "%s",
		 database_text(rows, 0, 1));
	role->can_login = database_flag(rows, 0, 2);
	role->is_superuser = database_flag(rows, 0, 3);
	role->can_create_roles = database_flag(rows, 0, 4);
}

int roles_find(struct database *d, const char *name, struct role *ret_role)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	TRY(DATABASE_ASK(d, &rows, find_role, name));
	*ret_role = (struct role){ .found = false };
	if (PQntuples(rows) == 1)
		take_role(rows, ret_role);
	return 0;
}

int roles_self(struct database *d, struct role *ret_self,
	       char ret_grantor[ROLES_OID_MAX])
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	TRY(database_ask(
		d,
		"SELECT oid, rolname, rolcanlogin, rolsuper, rolcreaterole, "
		"CASE WHEN rolsuper AND "
		"current_setting('server_version_num')::int >= 160000 "
		"THEN 10::oid ELSE oid END "
		"FROM pg_roles WHERE rolname = current_user",
		NULL, 0, &rows));
	if (PQntuples(rows) != 1)
		return error_set(ERR_REFUSED, "our own account is not there");
	take_role(rows, ret_self);
	snprintf(ret_grantor, ROLES_OID_MAX, "%s", database_text(rows, 0, 5));
	return 0;
}

/* The names in the first column as spellings. */
static json_t *spellings(const PGresult *rows)
{
	json_t *list = json_array();
	char text[ROLENAME_SPELLING_MAX];

	for (int i = 0; i < PQntuples(rows); i++) {
		rolename_spell(database_text(rows, i, 0), text);
		discard(json_array_append_new(list, json_string(text)));
	}
	return list;
}

static int check_walk(const PGresult *rows)
{
	if (PQntuples(rows) > ROLES_WALK_MAX)
		return error_set(ERR_LIMIT, "more than %d roles",
				 ROLES_WALK_MAX);
	return 0;
}

static const char ask_given[] =
	"WITH RECURSIVE up(id) AS (SELECT $1::oid UNION "
	" SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.id), "
	"r AS (SELECT p.* FROM up JOIN pg_roles p ON p.oid = up.id) "
	"SELECT name FROM ("
	" SELECT rolname::text FROM r WHERE oid <> $1::oid "
	" UNION ALL SELECT 'pg_attribute:superuser' "
	"  WHERE EXISTS (SELECT FROM r WHERE rolsuper) "
	" UNION ALL SELECT 'pg_attribute:createrole' "
	"  WHERE EXISTS (SELECT FROM r WHERE rolcreaterole) "
	" UNION ALL SELECT 'pg_attribute:createdb' "
	"  WHERE EXISTS (SELECT FROM r WHERE rolcreatedb) "
	" UNION ALL SELECT 'pg_attribute:replication' "
	"  WHERE EXISTS (SELECT FROM r WHERE rolreplication) "
	" UNION ALL SELECT 'pg_attribute:bypassrls' "
	"  WHERE EXISTS (SELECT FROM r WHERE rolbypassrls) "
	" UNION ALL SELECT 'pg_attribute:admin' "
	"  WHERE EXISTS (SELECT FROM pg_auth_members m JOIN up "
	"   ON m.member = up.id WHERE m.admin_option)"
	") AS given(name) ORDER BY name COLLATE \"C\" LIMIT " WALK_LIMIT;

int roles_given(struct database *d, const struct role *role, json_t **ret_list)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	TRY(DATABASE_ASK(d, &rows, ask_given, role->oid));
	TRY(check_walk(rows));
	*ret_list = spellings(rows);
	return 0;
}

void roles_digest(const json_t *given, char ret_text[DIGEST_TEXT_LEN])
{
	char *text = json_canonical(given);
	struct digest digest = digest_of(slice_str(text));

	digest_format(&digest, ret_text);
	free(text);
}

static const char ask_holders[] =
	"WITH RECURSIVE down(id) AS (SELECT $1::oid UNION "
	" SELECT m.member FROM pg_auth_members m JOIN down "
	"  ON m.roleid = down.id) "
	"SELECT r.rolname FROM down JOIN pg_roles r ON r.oid = down.id "
	"WHERE r.rolcanlogin OR NOT EXISTS "
	" (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid) "
	"ORDER BY r.rolname::text COLLATE \"C\" LIMIT " WALK_LIMIT;

int roles_holders(struct database *d, const struct role *role,
		  json_t **ret_list)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;
	char text[ROLENAME_SPELLING_MAX];

	TRY(DATABASE_ASK(d, &rows, ask_holders, role->oid));
	TRY(check_walk(rows));
	*ret_list = json_array();
	for (int i = 0; i < PQntuples(rows); i++) {
		json_t *one = json_object();

		rolename_spell(database_text(rows, i, 0), text);
		json_set_text(one, "type", "account");
		json_set_text(one, "id", text);
		discard(json_array_append_new(*ret_list, one));
	}
	return 0;
}

int roles_is_in(struct database *d, const struct role *role,
		const struct role *other, bool *ret_is)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	TRY(DATABASE_ASK(d, &rows,
			 "WITH RECURSIVE up(id) AS (SELECT $1::oid UNION "
			 " SELECT m.roleid FROM pg_auth_members m JOIN up "
			 "  ON m.member = up.id) "
			 "SELECT EXISTS (SELECT FROM up WHERE id = $2::oid)",
			 role->oid, other->oid));
	*ret_is = database_flag(rows, 0, 0);
	return 0;
}

int roles_tie(struct database *d, const struct role *role,
	      const struct role *member, const char *grantor,
	      struct tie *ret_tie)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;
	char text[ROLENAME_SPELLING_MAX];

	TRY(DATABASE_ASK(d, &rows,
			 "SELECT pg_get_userbyid(grantor), admin_option, "
			 "grantor = $3::oid FROM pg_auth_members "
			 "WHERE roleid = $1::oid AND member = $2::oid "
			 "ORDER BY 1",
			 role->oid, member->oid, grantor));
	*ret_tie = (struct tie){ .others = json_array() };
	for (int i = 0; i < PQntuples(rows); i++) {
		if (database_flag(rows, i, 2)) {
			ret_tie->ours = true;
			ret_tie->ours_admin = database_flag(rows, i, 1);
			continue;
		}
		rolename_spell(database_text(rows, i, 0), text);
		discard(json_array_append_new(ret_tie->others,
					      json_string(text)));
	}
	return 0;
}

void tie_clear(struct tie *tie)
{
	json_decref(tie->others);
	tie->others = NULL;
}

int roles_has_other_holder(struct database *d, const struct role *role,
			   const struct role *member, bool *ret_has)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	TRY(DATABASE_ASK(d, &rows,
			 "WITH RECURSIVE down(id) AS (SELECT $1::oid UNION "
			 " SELECT m.member FROM pg_auth_members m JOIN down "
			 "  ON m.roleid = down.id "
			 " WHERE (m.roleid, m.member) <> ($1::oid, $2::oid)) "
			 "SELECT EXISTS (SELECT FROM down JOIN pg_roles r "
			 " ON r.oid = down.id WHERE r.rolcanlogin "
			 " AND r.rolname <> current_user)",
			 role->oid, member->oid));
	*ret_has = database_flag(rows, 0, 0);
	return 0;
}

int roles_lock(struct database *d, const struct role *role,
	       const struct role *self)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	TRY(DATABASE_ASK(d, &rows,
			 "SELECT pg_advisory_xact_lock("
			 "hashtextextended('writ-connect-postgres', $1::oid::"
			 "bigint))",
			 role->oid));
	if (!self->is_superuser)
		return 0;
	return database_ask(d,
			    "LOCK TABLE pg_authid, pg_auth_members "
			    "IN SHARE ROW EXCLUSIVE MODE",
			    NULL, 0, NULL);
}

int roles_version(struct database *d, char *text, size_t size)
{
	CLEANUP(PQclear_p) PGresult *rows = NULL;

	TRY(database_ask(d, "SELECT pg_current_wal_insert_lsn()", NULL, 0,
			 &rows));
	snprintf(text, size, "%s", database_text(rows, 0, 0));
	return 0;
}
