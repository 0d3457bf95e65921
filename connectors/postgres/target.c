#include "connectors/postgres/target.h"

#include "base/error.h"

int target_begin(struct target *t, int64_t budget_ms)
{
	database_hurry(t->database, budget_ms);
	return database_connect(t->database);
}

/* A pattern is a spelling, or the beginning of one and '*'. */
static bool matches(const char *pattern, const char *spelling)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return strncmp(pattern, spelling, len - 1) == 0;
	return strcmp(pattern, spelling) == 0;
}

bool target_reaches(const struct target *t, const char *name)
{
	char spelling[ROLENAME_SPELLING_MAX];
	const json_t *pattern;
	size_t at;

	rolename_spell(name, spelling);
	/* What is lent has the role it was lent for, and is lent to nobody. */
	if (rolename_is_login(name))
		return false;
	json_array_foreach(t->roles, at, pattern) {
		if (matches(json_string_value(pattern), spelling))
			return true;
	}
	return false;
}

bool target_keeps(const struct target *t, const char *name)
{
	char spelling[ROLENAME_SPELLING_MAX];

	rolename_spell(name, spelling);
	return t->keep && json_has_text(t->keep, spelling);
}

/* What the server's refusals mean, by SQLSTATE or the class it begins with. */
static const struct {
	const char *state;
	const char *reason;
} reasons[] = {
	{ "42501", "not-allowed" },  /* insufficient_privilege */
	{ "23505", "precondition" }, /* another was quicker */
	{ "XX000", "precondition" }, /* tuple concurrently updated */
	{ "42704", "precondition" }, /* a role went away */
	{ "42710", "precondition" }, /* one of the name came up */
	{ "55P03", "busy" },	     /* lock_timeout */
	{ "40", "busy" },	     /* deadlock */
	{ "57", "unavailable" },     /* it stops, or took too long */
	{ "53", "unavailable" },     /* it has no room */
};

static const char *reason_of(const struct target *t, int r)
{
	const char *state = database_state(t->database);

	if (r == ERR_LIMIT)
		return "too-large";
	if (r != ERR_REFUSED)
		return "unavailable";
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (!strncmp(state, reasons[i].state, strlen(reasons[i].state)))
			return reasons[i].reason;
	}
	return "refused";
}

int target_refuse_failure(const struct target *t, struct connector_reply *reply,
			  int r)
{
	if (r >= 0 || target_refused(reply))
		return 0;
	return connector_refuse(reply, reason_of(t, r), "%s", error_message());
}

int target_commit(struct target *t, json_t *observed, const char *version,
		  struct connector_reply *reply)
{
	CLEANUP(json_put_p) json_t *state = observed;

	switch (database_commit(t->database)) {
	case COMMIT_DONE:
		reply->result = connector_applied(TAKE(state), version);
		return 0;
	case COMMIT_NOT:
		return connector_refuse(reply, "precondition",
					"the server undid the change: %s",
					error_message());
	case COMMIT_UNKNOWN:
		break;
	}
	return error_context(ERR_UNAVAILABLE, "commit");
}

void target_take_name(const char *spelling, const char *what,
		      char ret_name[ROLENAME_MAX + 1],
		      struct connector_reply *reply)
{
	if (!spelling)
		discard(connector_refuse(reply, "invalid", "no %s", what));
	else if (rolename_parse(spelling, ret_name) < 0)
		discard(connector_refuse(reply, "invalid", "%s: %s", what,
					 error_message()));
}
