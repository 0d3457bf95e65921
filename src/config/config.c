#include "config/config.h"

#include <limits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/schema.h"
#include "base/url.h"
#include "config/outward.h"

static const struct schema word_row = { "word", SCHEMA_TEXT, .min = 1,
					.max = 4096 };

static const struct schema tls_rows[] = {
	{ "cert", SCHEMA_TEXT, .required = true, .min = 1, .max = 4096,
	  .help = "certificate chain, PEM" },
	{ "key", SCHEMA_TEXT, .required = true, .min = 1, .max = 4096,
	  .help = "its key, PEM" },
	{ 0 },
};

static const struct schema keeper_rows[] = {
	{ "command", SCHEMA_LIST, .min = 1, .max = 32, .rows = &word_row,
	  .help = "program and arguments" },
	{ "socket", SCHEMA_TEXT, .min = 1, .max = 100,
	  .help = "Unix socket of a keeper that runs by itself" },
	{ 0 },
};

static const struct schema connector_members[] = {
	{ "target", SCHEMA_NAME, .required = true,
	  .help = "the Target it speaks for" },
	{ "command", SCHEMA_LIST, .required = true, .min = 1, .max = 32,
	  .rows = &word_row, .help = "program and arguments" },
	{ "timeoutSeconds", SCHEMA_INT, .min = 1, .max = 600,
	  .help = "how long it has for one plan, apply or read" },
	{ "readCommand", SCHEMA_LIST, .min = 1, .max = 32, .rows = &word_row,
	  .help = "a second one, under an account that only reads: from tier 2 "
		  "on it says what was done" },
	{ 0 },
};
static const struct schema connector_row = { "connector", SCHEMA_OBJECT,
					     .rows = connector_members };

static const struct schema limits_rows[] = {
	{ "openTasks", SCHEMA_INT, .min = 1, .max = 1000000,
	  .help = "tasks of one agent that are open at once (1000)" },
	{ "openRequests", SCHEMA_INT, .min = 1, .max = 1000000,
	  .help = "its requests that wait or run at once (1000)" },
	{ "requestsPerMinute", SCHEMA_INT, .min = 1, .max = 100000000,
	  .help = "what it may ask in a minute (6000)" },
	{ "recordBytes", SCHEMA_INT, .min = 1, .max = INT64_C(1) << 40,
	  .help = "prompts and traces of one task (67108864)" },
	{ "secretSeconds", SCHEMA_INT, .min = 1, .max = 600,
	  .help = "in which the secret of what was lent must be taken (120)" },
	{ 0 },
};

static const struct schema address_row = { "address", SCHEMA_TEXT, .min = 1,
					   .max = 64 };

static const struct schema outgoing_rows[] = {
	{ "allow", SCHEMA_LIST, .max = 64, .rows = &address_row,
	  .help = "internal addresses that may be connected to: ADDRESS, "
		  "ADDRESS/PREFIX or ADDRESS:PORT" },
	{ "ca", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "PEM of the authorities that are trusted, in place of the "
		  "system's" },
	{ 0 },
};

static const struct schema oauth_rows[] = {
	{ "issuer", SCHEMA_TEXT, .required = true, .min = 1, .max = 1024,
	  .help = "URL under which this authority gives tokens (RFC 8414)" },
	{ 0 },
};

static const struct schema folder_row = { "folder", SCHEMA_TEXT, .min = 1,
					  .max = 4096 };

static const struct schema rows[] = {
	{ "data", SCHEMA_TEXT, .required = true, .min = 1, .max = 4096,
	  .help = "folder of the log and the state" },
	{ "origin", SCHEMA_TEXT, .required = true, .min = 1, .max = 255,
	  .help = "name of the log, as `writ init` was given it" },
	{ "audience", SCHEMA_TEXT, .required = true, .min = 1, .max = 255,
	  .help = "the audience that agents' tokens must be for" },
	{ "listen", SCHEMA_TEXT, .required = true, .min = 1, .max = 255,
	  .help = "address:port, or unix:PATH" },
	{ "tls", SCHEMA_OBJECT, .rows = tls_rows,
	  .help = "without it only loopback and Unix sockets are served" },
	{ "keeper", SCHEMA_OBJECT, .required = true, .rows = keeper_rows },
	{ "connectors", SCHEMA_LIST, .max = 256, .rows = &connector_row },
	{ "outgoing", SCHEMA_OBJECT, .rows = outgoing_rows,
	  .help = "what writd may connect to by itself" },
	{ "oauth", SCHEMA_OBJECT, .rows = oauth_rows,
	  .help = "the OAuth authorization server; without it the audience is "
		  "its URL, if that is one" },
	{ "policy", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "folder of the bundle the log begins with" },
	{ "notify", SCHEMA_OBJECT, .rows = config_notify_rows,
	  .help = "who is told what happens" },
	{ "lookups", SCHEMA_LIST, .max = 16, .rows = &config_lookup_row,
	  .help = "evidence that is looked up" },
	{ "witnesses", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "policy file (C2SP tlog-policy) of who cosigns the log" },
	{ "log", SCHEMA_ENUM, .choices = "error|warning|info|debug" },
	{ "limits", SCHEMA_OBJECT, .rows = limits_rows,
	  .help = "quotas of each agent that has none of its own" },
	{ "sandbox", SCHEMA_ENUM, .choices = "off|on|required",
	  .help = "shut away calls of the kernel that nothing here needs (on); "
		  "required: end where that cannot be" },
	{ "writable", SCHEMA_LIST, .max = 64, .rows = &folder_row,
	  .help = "folders that the keeper and the connectors write to: with "
		  "it nothing that writd or they do changes any other, but "
		  "`data`" },
	{ 0 },
};

/* path as seen from the folder of file. */
static char *beside(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');

	if (!path)
		return NULL;
	if (*path == '/' || !slash)
		return mem_str(path);
	return mem_format("%.*s/%s", (int)(slash - file), file, path);
}

char *config_beside(const char *file, const char *path)
{
	return beside(file, path);
}

/* A program by its bare name: beside this one, or in PATH. */
static char *find_program(const char *name)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *path = getenv("PATH");
	char *found;

	if (length > 0) {
		self[length] = '\0';
		found = beside(self, name);
		if (access(found, X_OK) == 0)
			return found;
		free(found);
	}
	while (path && *path) {
		size_t part = strcspn(path, ":");

		found = mem_format("%.*s/%s", (int)part, path, name);
		if (access(found, X_OK) == 0)
			return found;
		free(found);
		path += part;
		path += *path == ':';
	}
	return mem_str(name);
}

static char **command_of(const json_t *list, const char *file)
{
	size_t count = json_array_size(list);
	char **command;
	const json_t *word;
	size_t at;

	if (!count)
		return NULL;
	command = mem_array(count + 1, sizeof(*command));
	json_array_foreach(list, at, word) {
		const char *text = json_string_value(word);

		if (at == 0 && !strchr(text, '/'))
			command[at] = find_program(text);
		else if (at == 0)
			command[at] = beside(file, text);
		else
			command[at] = mem_str(text);
	}
	return command;
}

/* Paths of a list, from the folder of file; owned, NULL without a list. */
static char **paths_of(const json_t *list, const char *file)
{
	char **paths;
	const json_t *path;
	size_t at;

	if (!list)
		return NULL;
	paths = mem_array(json_array_size(list) + 1, sizeof(*paths));
	json_array_foreach(list, at, path)
		paths[at] = beside(file, json_string_value(path));
	return paths;
}

static void fault(json_t *faults, const char *at, const char *detail)
{
	json_t *row = json_object();

	json_set_text(row, "at", at);
	json_set_text(row, "detail", detail);
	json_array_append_new(faults, row);
}

static void read_connectors(struct config *c, const json_t *list,
			    const char *file)
{
	const json_t *row;
	size_t at;

	c->connector_count = json_array_size(list);
	c->connectors =
		mem_array(c->connector_count + 1, sizeof(*c->connectors));
	json_array_foreach(list, at, row) {
		c->connectors[at].target =
			mem_str(json_text(row, "target", ""));
		c->connectors[at].command =
			command_of(json_object_get(row, "command"), file);
		c->connectors[at].timeout_ms =
			json_int(row, "timeoutSeconds", 0) * 1000;
		c->connectors[at].read_command =
			command_of(json_object_get(row, "readCommand"), file);
	}
}

static void check_connectors(const struct config *c, json_t *faults)
{
	for (size_t i = 0; i < c->connector_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!strcmp(c->connectors[i].target,
				    c->connectors[j].target))
				fault(faults, "connectors",
				      "a target has one connector");
		}
	}
}

/* An audience may be any text, and often is the authority's own URL. */
static char *issuer_of(const json_t *doc)
{
	const char *audience = json_text(doc, "audience", "");
	const char *issuer =
		json_text(json_object_get(doc, "oauth"), "issuer", NULL);

	if (!issuer && url_is_issuer(audience))
		issuer = audience;
	return mem_str(issuer);
}

static void read_members(struct config *c, const json_t *doc, const char *file)
{
	const json_t *tls = json_object_get(doc, "tls");
	const json_t *keeper = json_object_get(doc, "keeper");
	const json_t *limits = json_object_get(doc, "limits");
	const json_t *outgoing = json_object_get(doc, "outgoing");

	c->reach = json_incref(json_object_get(outgoing, "allow"));
	c->ca = beside(file, json_text(outgoing, "ca", NULL));
	c->data = beside(file, json_text(doc, "data", ""));
	c->origin = mem_str(json_text(doc, "origin", ""));
	c->audience = mem_str(json_text(doc, "audience", ""));
	c->issuer = issuer_of(doc);
	c->listen = mem_str(json_text(doc, "listen", ""));
	c->tls_cert = beside(file, json_text(tls, "cert", NULL));
	c->tls_key = beside(file, json_text(tls, "key", NULL));
	c->keeper_command =
		command_of(json_object_get(keeper, "command"), file);
	c->keeper_socket = beside(file, json_text(keeper, "socket", NULL));
	c->policy = beside(file, json_text(doc, "policy", NULL));
	c->witnesses = beside(file, json_text(doc, "witnesses", NULL));
	c->limits.open_tasks = json_int(limits, "openTasks", 0);
	c->limits.open_requests = json_int(limits, "openRequests", 0);
	c->limits.requests_per_minute =
		json_int(limits, "requestsPerMinute", 0);
	c->limits.record_bytes = json_int(limits, "recordBytes", 0);
	c->limits.secret_seconds = json_int(limits, "secretSeconds", 0);
	c->log = LOG_LEVEL_INFO;
	discard(log_level_parse(json_text(doc, "log", "info"), &c->log));
	c->sandbox = SANDBOX_ON;
	discard(sandbox_mode_parse(json_text(doc, "sandbox", "on"),
				   &c->sandbox));
	c->writable = paths_of(json_object_get(doc, "writable"), file);
	c->notify = config_outward_paths(json_object_get(doc, "notify"), file);
	c->lookups =
		config_outward_paths(json_object_get(doc, "lookups"), file);
	read_connectors(c, json_object_get(doc, "connectors"), file);
}

int config_load(const char *path, struct config *ret, json_t **ret_faults)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(YAML_SIZE_MAX);
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	const json_t *doc;

	*ret = (struct config){ 0 };
	TRY(file_read(path, &b));
	TRY(yaml_parse(buf_slice(&b), &documents, &places));
	if (json_array_size(documents) != 1)
		return error_set(ERR_SYNTAX, "%s: one document is wanted",
				 path);
	doc = json_array_get(documents, 0);
	schema_check(rows, doc, places, ret_faults);
	if (json_array_size(*ret_faults))
		return 0;
	read_members(ret, doc, path);
	if (!ret->keeper_command == !ret->keeper_socket)
		fault(*ret_faults, "keeper",
		      "either command or socket, not both");
	if (ret->issuer && !url_is_issuer(ret->issuer))
		fault(*ret_faults, "oauth.issuer",
		      "an https URL (http on this machine alone) in normal "
		      "form, without query, fragment and last slash");
	check_connectors(ret, *ret_faults);
	config_check_outward(ret->notify, ret->lookups, *ret_faults);
	return 0;
}

static void command_free(char **command)
{
	for (size_t i = 0; command && command[i]; i++)
		free(command[i]);
	free(command);
}

void config_clear(struct config *c)
{
	for (size_t i = 0; i < c->connector_count; i++) {
		command_free(c->connectors[i].command);
		command_free(c->connectors[i].read_command);
		free(c->connectors[i].target);
	}
	free(c->connectors);
	command_free(c->keeper_command);
	command_free(c->writable);
	free(c->keeper_socket);
	json_decref(c->reach);
	json_decref(c->notify);
	json_decref(c->lookups);
	free(c->ca);
	free(c->data);
	free(c->origin);
	free(c->audience);
	free(c->issuer);
	free(c->listen);
	free(c->tls_cert);
	free(c->tls_key);
	free(c->policy);
	free(c->witnesses);
	*c = (struct config){ 0 };
}
