#include "connectors/ldap/entitlements.h"

#include "base/error.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"
#include "connectors/ldap/holdings.h"

static const char *const wanted[] = { HOLDINGS_ATTRIBUTES, NULL };

/* ret_record: owned, NULL after a refusal. */
static int look(const struct reach *reach, const char *account,
		json_t **ret_record, struct connector_reply *reply)
{
	CLEANUP(mem_free_p) char *name = NULL;

	*ret_record = NULL;
	reach_take(reach, REACH_ACCOUNTS, account, &name, reply);
	if (is_refused(reply))
		return 0;
	TRY(directory_connect(reach->directory));
	TRY(directory_record(reach->directory, name, wanted, ret_record));
	if (*ret_record) {
		reach_judge(reach, REACH_ACCOUNTS,
			    json_text(*ret_record, "dn", ""), reply);
		return 0;
	}
	TRY(reach_see(reach, REACH_ACCOUNTS));
	return connector_refuse(reply, "no-such-account",
				"there is no entry %s", name);
}

static const struct {
	const char *how; /* of a holding */
	bool direct;
	const char *detail;
} ways[] = {
	{ "member", true, NULL },
	{ "login", true, "by its login" },
	{ "primary", true, "primary group" },
	{ "nested", false, "through nested groups" },
};

static json_t *row_of(const struct reach *reach, const json_t *holding)
{
	const char *roles = reach->bases[REACH_ROLES];
	const char *name = json_text(holding, "id", "");
	const char *how = json_text(holding, "how", "");
	json_t *row = json_object();

	json_set_text(row, "type",
		      roles && dn_is_under(name, roles) ? "role" : "group");
	json_set_text(row, "id", name);
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (strcmp(ways[i].how, how) != 0)
			continue;
		json_set_flag(row, "direct", ways[i].direct);
		json_set_text(row, "detail", ways[i].detail);
	}
	return row;
}

int entitlements_survey(void *self, const json_t *params,
			struct connector_reply *reply)
{
	const struct reach *reach = self;
	CLEANUP(json_put_p) json_t *record = NULL;
	CLEANUP(json_put_p) json_t *holdings = NULL;
	const json_t *holding;
	json_t *rows;
	size_t at;

	TRY(look(reach, json_text(params, "account", ""), &record, reply));
	if (is_refused(reply))
		return 0;
	TRY(holdings_find(reach->directory, record, REACH_NESTED_MAX,
			  &holdings));
	rows = json_array();
	json_array_foreach(holdings, at, holding)
		discard(json_array_append_new(rows, row_of(reach, holding)));
	reply->result = json_object();
	json_set_text(reply->result, "account", json_text(record, "dn", ""));
	json_set_new(reply->result, "entitlements", rows);
	return 0;
}
