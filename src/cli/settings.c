#include "cli/settings.h"

#include <curl/curl.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/schema.h"
#include "base/yaml.h"
#include "cli/args.h"
#include "cli/process.h"

enum {
	TIMEOUT_MS = 30000,
	TOKEN_COMMAND_MS = 30000,
};

static const struct schema file_rows[] = {
	{ "url", SCHEMA_TEXT, .min = 1, .max = 1024,
	  .help = "where the authority is" },
	{ "human", SCHEMA_NAME, .help = "your name as the authority knows it" },
	{ "key", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "SSH key you sign with, private or public file" },
	{ "origin", SCHEMA_TEXT, .min = 1, .max = 255,
	  .help = "the authority's name; another one is refused" },
	{ "ca", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "CA certificates (PEM) for its TLS" },
	{ 0 },
};

/* ---- places ----------------------------------------------------------------
 */

static char *xdg_path(const char *variable, const char *below, const char *name)
{
	const char *base = getenv(variable);
	const char *home = getenv("HOME");

	if (base && *base == '/')
		return mem_format("%s/writ/%s", base, name);
	if (!home || *home != '/')
		return NULL;
	return mem_format("%s/%s/writ/%s", home, below, name);
}

char *settings_config_path(const char *name)
{
	return xdg_path("XDG_CONFIG_HOME", ".config", name);
}

char *settings_state_path(const char *name)
{
	return xdg_path("XDG_STATE_HOME", ".local/state", name);
}

/* "~/x" as people write it. */
static char *expand_home(const char *path)
{
	const char *home = getenv("HOME");

	if (path && !strncmp(path, "~/", 2) && home)
		return mem_format("%s/%s", home, path + 2);
	return mem_str(path);
}

/* ---- the URL ----------------------------------------------------------------
 */

static void curl_free_p(char **text)
{
	curl_free(*text);
}

static void curl_url_p(CURLU **url)
{
	curl_url_cleanup(*url);
}

static bool has_part(CURLU *url, CURLUPart part)
{
	CLEANUP(curl_free_p) char *text = NULL;

	return curl_url_get(url, part, &text, 0) == CURLUE_OK && text && *text;
}

static bool is_loopback(const char *host)
{
	unsigned a, b, c, d;
	int end = -1;

	if (!strcmp(host, "localhost") || !strcmp(host, "[::1]"))
		return true;
	return sscanf(host, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &end) == 4 &&
	       end >= 0 && !host[end] && a == 127 && b < 256 && c < 256 &&
	       d < 256;
}

static int check_http(const char *text)
{
	CLEANUP(curl_url_p) CURLU *url = curl_url();
	CLEANUP(curl_free_p) char *scheme = NULL;
	CLEANUP(curl_free_p) char *host = NULL;

	if (!url || curl_url_set(url, CURLUPART_URL, text, 0) ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0))
		return error_set(ERR_USAGE, "the URL is none");
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		return error_set(ERR_USAGE, "no user may stand in the URL");
	if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
		return error_set(ERR_USAGE, "the URL must end at its path");
	if (!strcmp(scheme, "https"))
		return 0;
	if (strcmp(scheme, "http"))
		return error_set(ERR_USAGE, "the URL must be https, or http "
					    "on this machine, or unix:/path");
	if (!is_loopback(host))
		return error_set(ERR_USAGE, "plain http only to this machine "
					    "(127.0.0.1, ::1); use https");
	return 0;
}

int settings_check_url(const char *url)
{
	if (!strncmp(url, "unix:", 5)) {
		if (url[5] != '/' || !url[6])
			return error_set(ERR_USAGE, "a socket is written as "
						    "unix:/path");
		return 0;
	}
	if (strncmp(url, "http:", 5) && strncmp(url, "https:", 6))
		return error_set(ERR_USAGE, "the URL must be https, or http "
					    "on this machine, or unix:/path");
	return check_http(url);
}

/* ---- gathering ---- */

static int first_fault(const char *path, const json_t *faults)
{
	const json_t *fault = json_array_get(faults, 0);

	if (!fault)
		return 0;
	return error_set(ERR_SYNTAX, "%s:%s: %s", path,
			 json_text(fault, "at", "?"),
			 json_text(fault, "detail", "?"));
}

static int read_file(const char *path, bool must, json_t **ret_values)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(SETTINGS_FILE_MAX);
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	int r = path ? file_read(path, &text) : ERR_NOT_FOUND;

	*ret_values = json_object();
	if (r == ERR_NOT_FOUND && !must)
		return 0;
	TRY(r);
	r = yaml_parse(buf_slice(&text), &documents, &places);
	if (r < 0)
		return error_context(r, "%s", path);
	if (json_array_size(documents) == 0)
		return 0;
	if (json_array_size(documents) > 1)
		return error_set(ERR_SYNTAX, "%s: more than one document",
				 path);
	schema_check(file_rows, json_array_get(documents, 0), places, &faults);
	TRY(first_fault(path, faults));
	json_decref(*ret_values);
	*ret_values = json_incref(json_array_get(documents, 0));
	return 0;
}

/* Option, then environment, then file. */
static char *pick(const struct args *args, const char *name,
		  const char *variable, const json_t *file)
{
	const char *value = args_text(args, name, NULL);

	if (!value && variable)
		value = getenv(variable);
	if (!value || !*value)
		value = json_text(file, name, NULL);
	return mem_str(value);
}

/* A token is one line of visible characters; anything else would let it change
 * the request that carries it. */
static int take_token(struct settings *s, const char *text)
{
	size_t len = strlen(text);

	while (len > 0 && strchr("\r\n\t ", text[len - 1]))
		len--;
	if (len == 0 || len > SETTINGS_TOKEN_MAX)
		return error_set(ERR_SYNTAX, "the token is empty or too long");
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return error_set(ERR_SYNTAX, "the token is none");
	s->token = mem_format("%.*s", (int)len, text);
	return 0;
}

/* Where a token comes from: one of them, the others NULL. */
struct token_source {
	const char *path;
	const char *command; /* of the shell */
	const char *value;
	const char *name; /* the option or variable that said so, or NULL */
};

static const char *named(const char *text)
{
	return text && *text ? text : NULL;
}

static bool names_person(const struct args *args)
{
	return named(args_text(args, "human", NULL)) ||
	       named(args_text(args, "key", NULL));
}

static bool find_option(const struct args *args, struct token_source *ret)
{
	ret->path = named(args_text(args, "token-file", NULL));
	ret->command = ret->path
			       ? NULL
			       : named(args_text(args, "token-command", NULL));
	if (ret->path)
		ret->name = "--token-file";
	else if (ret->command)
		ret->name = "--token-command";
	return ret->name != NULL;
}

static void find_variable(struct token_source *ret)
{
	static const char *const names[] = { "WRIT_TOKEN_FILE",
					     "WRIT_TOKEN_COMMAND",
					     "WRIT_TOKEN" };
	const char **const values[] = { &ret->path, &ret->command,
					&ret->value };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		*values[i] = named(getenv(names[i]));
		if (!*values[i])
			continue;
		ret->name = names[i];
		return;
	}
}

/* What the command line says goes before what the environment says, also where
 * it names a person: then the environment's token is not used. */
static void find_token(const struct args *args, struct token_source *ret)
{
	*ret = (struct token_source){ 0 };
	if (!find_option(args, ret) && !names_person(args))
		find_variable(ret);
}

static int read_token_file(const char *path, struct buf *text)
{
	int r = file_read(path, text);

	return r < 0 ? error_context(r, "token file '%s'", path) : 0;
}

static int ask_token_command(const char *command, struct buf *text)
{
	const char *const argv[] = { "/bin/sh", "-c", command, NULL };
	struct process p = { .argv = argv, .timeout_ms = TOKEN_COMMAND_MS };
	int status = 0;

	TRY(process_run(&p, text, &status));
	if (status != 0)
		return error_set(ERR_REFUSED, "the token command ended with %d",
				 status);
	return 0;
}

static void drop_token(struct settings *s)
{
	if (s->token)
		mem_wipe(s->token, strlen(s->token));
	free(TAKE(s->token));
}

int settings_renew_token(const struct args *args, struct settings *s)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(SETTINGS_TOKEN_MAX + 16);
	struct token_source from;

	find_token(args, &from);
	if (from.path)
		TRY(read_token_file(from.path, &text));
	else if (from.command)
		TRY(ask_token_command(from.command, &text));
	else if (!from.value)
		return error_set(ERR_USAGE,
				 "no identity was given: --token-file, "
				 "--token-command, or WRIT_TOKEN");
	drop_token(s);
	return take_token(s, from.value ? from.value : buf_text(&text));
}

/* A command is run only by who needs the token. */
static int read_token(const struct args *args, struct settings *s)
{
	struct token_source from = { 0 };

	if (names_person(args) && find_option(args, &from))
		return error_set(ERR_USAGE,
				 "%s is an agent's, --human and --key are a "
				 "person's: give one of them",
				 from.name);
	find_token(args, &from);
	s->token_from = from.name;
	s->has_token = from.name != NULL;
	if (!s->has_token || from.command)
		return 0;
	return settings_renew_token(args, s);
}

static int read_timeout(const struct args *args, struct settings *s)
{
	const char *text = args_text(args, "timeout", NULL);
	int64_t seconds;

	s->timeout_ms = TIMEOUT_MS;
	if (!text)
		return 0;
	TRY(clock_parse_duration(text, &seconds));
	if (seconds < 1 || seconds > 600)
		return error_set(ERR_USAGE, "--timeout is 1s to 10m");
	s->timeout_ms = seconds * 1000;
	return 0;
}

static void drop_end_slash(char *url)
{
	size_t len = url ? strlen(url) : 0;

	while (len > 0 && url[len - 1] == '/')
		url[--len] = '\0';
}

int settings_load(const struct args *args, struct settings *ret_settings)
{
	CLEANUP(mem_free_p) char *usual = settings_config_path("config.yaml");
	CLEANUP(mem_free_p) char *key = NULL;
	CLEANUP(mem_free_p) char *ca = NULL;
	CLEANUP(json_put_p) json_t *file = NULL;
	struct settings *s = ret_settings;
	const char *named = args_text(args, "settings", getenv("WRIT_CONFIG"));

	*s = (struct settings){ 0 };
	TRY(read_timeout(args, s));
	TRY(read_file(named ? named : usual, named != NULL, &file));
	s->url = pick(args, "url", "WRIT_URL", file);
	s->human = pick(args, "human", "WRIT_HUMAN", file);
	key = pick(args, "key", "WRIT_KEY", file);
	ca = pick(args, "ca", NULL, file);
	s->key = expand_home(key);
	s->ca = expand_home(ca);
	s->origin = mem_str(json_text(file, "origin", NULL));
	drop_end_slash(s->url);
	if (s->url)
		TRY(settings_check_url(s->url));
	return read_token(args, s);
}

void settings_clear(struct settings *s)
{
	drop_token(s);
	free(s->url);
	free(s->human);
	free(s->key);
	free(s->origin);
	free(s->ca);
	*s = (struct settings){ 0 };
}
