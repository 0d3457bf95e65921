#include "config/outward.h"

#include "base/mem.h"
#include "config/config.h"

static const struct schema name_row = { "name", SCHEMA_NAME };
static const struct schema word_row = { "word", SCHEMA_TEXT, .min = 1,
					.max = 256 };
static const struct schema event_row = {
	"event", SCHEMA_ENUM,
	.choices = "request.waiting|request.decided|request.ended|"
		   "request.unknown|request.escalated|grant.ended|"
		   "agent.expiring|agent.expired|containment.made|"
		   "change.waiting|change.removed|"
		   "exception.waiting|exception.changed|"
		   "credential.shown"
};

static const struct schema for_rows[] = {
	{ "humans", SCHEMA_LIST, .max = 256, .rows = &name_row },
	{ "groups", SCHEMA_LIST, .max = 256, .rows = &name_row },
	{ "agents", SCHEMA_LIST, .max = 256, .rows = &name_row },
	{ 0 },
};

static const struct schema webhook_rows[] = {
	{ "name", SCHEMA_NAME, .required = true, .help = "what it is called" },
	{ "url", SCHEMA_TEXT, .required = true, .min = 8, .max = 2048,
	  .help = "https, where notices are posted" },
	{ "secretFile", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "whsec_ secrets, one a line; each of them signs (v1)" },
	{ "keyFile", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "whsk_ keys (Ed25519), one a line; each of them signs "
		  "(v1a)" },
	{ "caFile", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "PEM of the authorities that are trusted here alone" },
	{ "events", SCHEMA_LIST, .min = 1, .max = 32, .rows = &event_row,
	  .help = "what it is told (default: everything)" },
	{ "for", SCHEMA_OBJECT, .rows = for_rows,
	  .help = "whose notices it gets (default: everybody's)" },
	{ 0 },
};
static const struct schema webhook_row = { "webhook", SCHEMA_OBJECT,
					   .rows = webhook_rows };

static const struct schema smtp_rows[] = {
	{ "url", SCHEMA_TEXT, .required = true, .min = 8, .max = 2048,
	  .help = "smtp://HOST[:PORT] (STARTTLS) or smtps://HOST[:PORT]" },
	{ "from", SCHEMA_TEXT, .required = true, .min = 3, .max = 254,
	  .help = "the sender's address" },
	{ "userFile", SCHEMA_TEXT, .min = 1, .max = 4096 },
	{ "passwordFile", SCHEMA_TEXT, .min = 1, .max = 4096 },
	{ "caFile", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "PEM of the authorities that are trusted here alone" },
	{ "plain", SCHEMA_FLAG,
	  .help = "without TLS; only to a loopback address that outgoing "
		  "allows" },
	{ "events", SCHEMA_LIST, .min = 1, .max = 32, .rows = &event_row,
	  .help = "what is mailed (default: everything)" },
	{ 0 },
};

static const struct schema retry_rows[] = {
	{ "first", SCHEMA_DURATION, .min = 1, .max = 3600,
	  .help = "after the first failure (5s); then twice as long each" },
	{ "longest", SCHEMA_DURATION, .min = 1, .max = 86400,
	  .help = "between two tries (1h)" },
	{ "attempts", SCHEMA_INT, .min = 1, .max = 1000,
	  .help = "then it is a dead letter (50)" },
	{ "age", SCHEMA_DURATION, .min = 1, .max = 30 * 86400,
	  .help = "then it is a dead letter, too (3d)" },
	{ 0 },
};

const struct schema config_notify_rows[] = {
	{ "link", SCHEMA_TEXT, .required = true, .min = 8, .max = 1024,
	  .help = "what links in notices begin with" },
	{ "webhooks", SCHEMA_LIST, .max = 32, .rows = &webhook_row },
	{ "smtp", SCHEMA_OBJECT, .rows = smtp_rows,
	  .help = "mail to people who have an address" },
	{ "retry", SCHEMA_OBJECT, .rows = retry_rows },
	{ "keep", SCHEMA_INT, .min = 10, .max = 100 * 1000,
	  .help = "notices held for one endpoint; beyond that the oldest are "
		  "dropped (1000)" },
	{ 0 },
};

static const struct schema require_rows[] = {
	{ "at", SCHEMA_TEXT, .required = true, .min = 1, .max = 256,
	  .help = "where in the answer: a JSON pointer" },
	{ "in", SCHEMA_LIST, .min = 1, .max = 64, .rows = &word_row,
	  .help = "it is one of these texts" },
	{ "equals", SCHEMA_TEXT, .min = 1, .max = 128,
	  .help = "it equals this field of the request, such as "
		  "request.target" },
	{ 0 },
};
static const struct schema require_row = { "condition", SCHEMA_OBJECT,
					   .rows = require_rows };

static const struct schema lookup_rows[] = {
	{ "kind", SCHEMA_ENUM, .required = true,
	  .choices = "ticket|justification|change_plan|rollback_plan|"
		     "risk_report|session_recording",
	  .help = "the evidence it stands for" },
	{ "url", SCHEMA_TEXT, .required = true, .min = 8, .max = 1024,
	  .help = "https, with {reference} in its path or query" },
	{ "tokenFile", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "bearer token that is sent along" },
	{ "caFile", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "PEM of the authorities that are trusted here alone" },
	{ "timeoutSeconds", SCHEMA_INT, .min = 1, .max = 20,
	  .help = "how long one look-up may take (10)" },
	{ "require", SCHEMA_LIST, .required = true, .min = 1, .max = 32,
	  .rows = &require_row, .help = "all of it must hold" },
	{ 0 },
};
const struct schema config_lookup_row = { "lookup", SCHEMA_OBJECT,
					  .rows = lookup_rows };

/* ---- what the shapes do not show ---- */

static void fault(json_t *faults, const char *section, size_t at,
		  const char *detail)
{
	CLEANUP(mem_free_p) char *place = mem_format("%s[%zu]", section, at);
	json_t *row = json_object();

	json_set_text(row, "at", place);
	json_set_text(row, "detail", detail);
	json_array_append_new(faults, row);
}

/* Whether an earlier row has the same text in member. */
static bool is_twice(const json_t *list, size_t at, const char *member)
{
	const char *text = json_text(json_array_get(list, at), member, "");

	for (size_t i = 0; i < at; i++) {
		if (!strcmp(json_text(json_array_get(list, i), member, ""),
			    text))
			return true;
	}
	return false;
}

static void check_webhooks(const json_t *list, json_t *faults)
{
	const json_t *row;
	size_t at;

	json_array_foreach(list, at, row) {
		if (is_twice(list, at, "name"))
			fault(faults, "notify.webhooks", at,
			      "another webhook has this name");
		if (!strcmp(json_text(row, "name", ""), "mail"))
			fault(faults, "notify.webhooks", at,
			      "the name 'mail' is that of smtp");
		if (!json_text(row, "secretFile", NULL) &&
		    !json_text(row, "keyFile", NULL))
			fault(faults, "notify.webhooks", at,
			      "a webhook has a secretFile, a keyFile or both");
	}
}

/* The one {reference} of a template stands behind the host. */
static bool is_template(const char *url)
{
	static const char scheme[] = "https://";
	static const char place[] = "{reference}";
	const char *found = strstr(url, place);
	const char *path;

	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0 || !found)
		return false;
	path = strpbrk(url + sizeof(scheme) - 1, "/?#");
	return path && *path == '/' && path < found && !strchr(url, '#') &&
	       !strstr(found + 1, place);
}

static bool is_field(const char *text)
{
	static const char *const fields[] = { "request.action", "request.agent",
					      "request.resource",
					      "request.target",
					      "request.task" };
	static const char parameters[] = "request.parameters.";
	size_t length = sizeof(parameters) - 1;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (!strcmp(text, fields[i]))
			return true;
	}
	return !strncmp(text, parameters, length) && text[length];
}

static void check_condition(const json_t *condition, size_t at, json_t *faults)
{
	const char *equals = json_text(condition, "equals", NULL);

	if (json_text(condition, "at", "")[0] != '/')
		fault(faults, "lookups", at, "a JSON pointer begins with '/'");
	if (!equals == !json_object_get(condition, "in"))
		fault(faults, "lookups", at,
		      "a condition has either in or equals");
	if (equals && !is_field(equals))
		fault(faults, "lookups", at,
		      "equals names request.action, .agent, .resource, "
		      ".target, .task or .parameters.NAME");
}

static void check_lookups(const json_t *list, json_t *faults)
{
	const json_t *row;
	const json_t *condition;
	size_t at;
	size_t i;

	json_array_foreach(list, at, row) {
		if (is_twice(list, at, "kind"))
			fault(faults, "lookups", at,
			      "this kind is looked up elsewhere already");
		if (!is_template(json_text(row, "url", "")))
			fault(faults, "lookups", at,
			      "the URL is https and has {reference} once, in "
			      "its path or query");
		json_array_foreach(json_object_get(row, "require"), i,
				   condition)
			check_condition(condition, at, faults);
	}
}

void config_check_outward(const json_t *notify, const json_t *lookups,
			  json_t *faults)
{
	check_webhooks(json_object_get(notify, "webhooks"), faults);
	check_lookups(lookups, faults);
}

/* ---- paths ---- */

static bool is_path(const char *name)
{
	size_t length = strlen(name);

	return length > 4 && !strcmp(name + length - 4, "File");
}

static void fix_paths(json_t *value, const char *file)
{
	const char *name;
	void *next;
	json_t *member;
	size_t at;

	json_array_foreach(value, at, member)
		fix_paths(member, file);
	json_object_foreach_safe(value, next, name, member) {
		if (is_path(name) && json_is_string(member)) {
			CLEANUP(mem_free_p)
			char *path =
				config_beside(file, json_string_value(member));

			json_set_text(value, name, path);
		} else {
			fix_paths(member, file);
		}
	}
}

json_t *config_outward_paths(const json_t *section, const char *file)
{
	json_t *copy = json_deep_copy(section);

	fix_paths(copy, file);
	return copy;
}
