#include "cli/exchange.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "cli/session.h"
#include "cli/sign.h"

enum { PAGES_MAX = 10000 }; /* that a list is followed */

int exchange_open(struct cli *cli, struct client **ret_client)
{
	CLEANUP(json_put_p) json_t *session = NULL;
	struct client *c;

	TRY(client_open(&cli->settings, &c));
	if (!cli->settings.token && cli->settings.has_token)
		TRY(settings_renew_token(&cli->args, &cli->settings));
	if (cli->settings.token) {
		client_set_token(c, cli->settings.token);
	} else {
		session = session_of(cli->settings.url, cli->settings.human);
		client_set_token(c, json_text(session, "token", NULL));
	}
	*ret_client = c;
	return 0;
}

/* ---- answers ---------------------------------------------------------------
 */

static const struct {
	long status;
	int exit;
} exits[] = {
	{ 400, CLI_USAGE },	  { 401, CLI_DENIED },
	{ 403, CLI_DENIED },	  { 409, CLI_CONFLICT },
	{ 412, CLI_CONFLICT },	  { 429, CLI_UNREACHABLE },
	{ 502, CLI_UNREACHABLE }, { 503, CLI_UNREACHABLE },
	{ 504, CLI_UNREACHABLE }, { 507, CLI_UNREACHABLE },
};

int exchange_exit_for_status(long status)
{
	if (status >= 200 && status < 300)
		return CLI_OK;
	for (size_t i = 0; i < ARRAY_LEN(exits); i++)
		if (exits[i].status == status)
			return exits[i].exit;
	return CLI_FAILED;
}

static void explain_line(struct cli *cli, const char *title,
			 const json_t *value)
{
	CLEANUP(mem_free_p) char *text = NULL;
	CLEANUP(mem_free_p) char *clean = NULL;

	if (!value || json_is_null(value))
		return;
	text = output_value(value);
	clean = output_clean(text, false);
	fprintf(cli->err, "  %s: %s\n", title, clean);
}

/* One of "errors": {"at", "detail"} or a text. */
static void explain_fault(struct cli *cli, const json_t *fault)
{
	CLEANUP(mem_free_p)
	char *text = json_is_object(fault)
			     ? mem_format("%s: %s", json_text(fault, "at", "?"),
					  json_text(fault, "detail", "?"))
			     : output_value(fault);
	CLEANUP(mem_free_p) char *clean = output_clean(text, false);

	fprintf(cli->err, "  %s\n", clean);
}

/* What decided against it, where the answer has no request that says so. */
static void explain_decision(struct cli *cli, const json_t *decision)
{
	const json_t *policy;
	size_t i;

	if (!decision)
		return;
	explain_line(cli, "cause", json_object_get(decision, "cause"));
	explain_line(cli, "because", json_object_get(decision, "forHuman"));
	explain_line(cli, "remedy", json_object_get(decision, "remedy"));
	json_array_foreach(json_array_in(decision, "policies"), i, policy)
		explain_line(cli, "policy", json_object_get(policy, "id"));
}

void exchange_hint(struct cli *cli, long status)
{
	const char *from =
		cli->settings.token ? cli->settings.token_from : NULL;

	if (from)
		fprintf(cli->err,
			"  the token of %s was sent; people: %s, and 'writ "
			"login'%s\n",
			from,
			from[0] == '-' ? "leave it out"
				       : "give --human, or unset it",
			status == 401 ? "; agents: it must be fresh" : "");
	else if (status == 401)
		fputs("  people: run 'writ login'; agents: give a fresh token "
		      "(--token-file)\n",
		      cli->err);
}

/* Whether another identity would help. */
static bool is_of_caller(const struct client_answer *a)
{
	return a->status == 401 ||
	       (a->status == 403 &&
		!strcmp(json_text(a->json, "code", ""), "wrong-caller"));
}

void exchange_explain(struct cli *cli, const struct client_answer *a)
{
	const json_t *p = a->json;
	const char *title = json_text(p, "title", "the authority refused");
	const json_t *fault;
	size_t i;
	CLEANUP(mem_free_p) char *clean = output_clean(title, false);

	fprintf(cli->err, "writ: %s (%ld)\n", clean, a->status);
	explain_line(cli, "detail", json_object_get(p, "detail"));
	explain_line(cli, "code", json_object_get(p, "code"));
	explain_line(cli, "reason", json_object_get(p, "reason"));
	explain_line(cli, "way forward", json_object_get(p, "way_forward"));
	json_array_foreach(json_object_get(p, "errors"), i, fault)
		explain_fault(cli, fault);
	json_array_foreach(json_object_get(p, "open"), i, fault)
		explain_line(cli, "open", fault);
	explain_decision(cli, json_object_in(p, "decision"));
	if (is_of_caller(a))
		exchange_hint(cli, a->status);
}

/* What we send is made of the command line: where its shape is refused, or it
 * names what there is not, another command line would help. */
static bool is_usage(const char *code)
{
	static const char *const codes[] = { "invalid", "ttl", "evidence",
					     "target-not-declared" };

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (!strcmp(code, codes[i]))
			return true;
	return !strncmp(code, "no-such-", strlen("no-such-"));
}

static int exit_for(const struct client_answer *a)
{
	if (a->status == 422 && is_usage(json_text(a->json, "code", "")))
		return CLI_USAGE;
	return exchange_exit_for_status(a->status);
}

int exchange_call(struct cli *cli, struct client *c,
		  const struct client_call *call,
		  struct client_answer *ret_answer, int *ret_exit)
{
	TRY(client_call(c, call, ret_answer));
	*ret_exit = exit_for(ret_answer);
	if (*ret_exit == CLI_OK)
		return 0;
	if (cli->json && ret_answer->json)
		output_json(cli->out, ret_answer->json);
	exchange_explain(cli, ret_answer);
	return 0;
}

int exchange_get(struct cli *cli, struct client *c, const char *path,
		 struct client_answer *ret_answer, int *ret_exit)
{
	struct client_call call = { .method = "GET", .path = path };

	return exchange_call(cli, c, &call, ret_answer, ret_exit);
}

int exchange_ask(struct cli *cli, struct client *c, const char *path,
		 const json_t *body, struct client_answer *ret_answer,
		 int *ret_exit)
{
	struct client_call call = { .method = "POST",
				    .path = path,
				    .body = body };

	return exchange_call(cli, c, &call, ret_answer, ret_exit);
}

/* 1 to 128 visible characters: what the authority takes as a key. */
static int check_key(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++)
		if (key[i] <= ' ' || key[i] >= 0x7f)
			len = 0;
	if (len == 0 || len > 128)
		return error_set(ERR_USAGE, "--idempotency-key is 1 to 128 "
					    "visible ASCII characters");
	return 0;
}

int exchange_post(struct cli *cli, struct client *c, const char *path,
		  const json_t *body, int64_t wait_ms,
		  struct client_answer *ret_answer, int *ret_exit)
{
	char made[ID_MAX] = "";
	struct client_call call = {
		.method = "POST",
		.path = path,
		.body = body,
		.idempotency_key =
			args_text(&cli->args, "idempotency-key", made),
		.wait_ms = wait_ms,
	};

	id_new("idem", made);
	TRY(check_key(call.idempotency_key));
	return exchange_call(cli, c, &call, ret_answer, ret_exit);
}

/* ---- statements ------------------------------------------------------------
 */

/* The authority's own word for its name, held against what we know. */
static int learn_origin(struct cli *cli, struct client *c, char **ret_origin)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(json_put_p) json_t *session = session_find(cli->settings.url);
	const char *known = cli->settings.origin;
	const char *origin;
	struct client_call call = { .method = "GET", .path = "/v1/authority" };

	TRY(client_call(c, &call, &a));
	origin = json_text(a.json, "origin", NULL);
	if (a.status != 200 || !origin)
		return error_set(ERR_UNAVAILABLE,
				 "%s does not say which authority it is (%ld)",
				 cli->settings.url, a.status);
	if (!known)
		known = json_text(session, "origin", NULL);
	if (known && strcmp(known, origin) != 0)
		return error_set(ERR_CORRUPT,
				 "%s is authority '%s', and was '%s': nothing "
				 "was signed. If that is right, put origin "
				 "into config.yaml",
				 cli->settings.url, origin, known);
	*ret_origin = mem_str(origin);
	return 0;
}

int exchange_statement(struct cli *cli, struct client *c,
		       enum statement_type type, json_t **ret_statement)
{
	CLEANUP(mem_free_p) char *origin = NULL;
	const char *signer = cli->settings.human;

	if (strcmp(statement_signer(type), "human") != 0)
		signer = args_text(&cli->args, "detector", NULL);
	if (!signer)
		return error_set(ERR_USAGE, "who are you? Give --human, set "
					    "WRIT_HUMAN, or put human into "
					    "~/.config/writ/config.yaml");
	if (!cli->settings.key)
		return error_set(ERR_USAGE, "which key signs? Give --key, set "
					    "WRIT_KEY, or put key into "
					    "~/.config/writ/config.yaml");
	TRY(learn_origin(cli, c, &origin));
	*ret_statement = statement_new(type, origin, signer, clock_wall_ms());
	return 0;
}

void exchange_show_statement(struct cli *cli, const json_t *statement)
{
	const char *name;
	json_t *value;

	fputs("To be signed:\n", cli->err);
	json_object_foreach((json_t *)(uintptr_t)statement, name, value) {
		CLEANUP(mem_free_p) char *text = NULL;
		CLEANUP(mem_free_p) char *clean = NULL;

		if (!strcmp(name, "at") || !strcmp(name, "nonce"))
			continue;
		text = output_value(value);
		clean = output_clean(text, false);
		fprintf(cli->err, "  %-12s %s\n", name, clean);
	}
}

int exchange_sign(struct cli *cli, enum statement_type type, json_t *statement,
		  json_t **ret_signed)
{
	json_set_time(statement, "at", clock_wall_ms());
	return sign_statement(type, statement, cli->settings.key,
			      !cli->no_input, ret_signed);
}

int exchange_send_signed(struct cli *cli, struct client *c,
			 enum statement_type type, json_t *statement,
			 const char *path, struct client_answer *ret_answer,
			 int *ret_exit)
{
	CLEANUP(json_put_p) json_t *form = NULL;

	TRY(exchange_sign(cli, type, statement, &form));
	/* A statement serves once by itself. */
	return exchange_ask(cli, c, path, form, ret_answer, ret_exit);
}

int exchange_ask_and_send(struct cli *cli, struct client *c,
			  enum statement_type type, json_t *statement,
			  const char *question, const char *path,
			  struct client_answer *ret_answer, int *ret_exit)
{
	bool yes;

	exchange_show_statement(cli, statement);
	TRY(cli_confirm(cli, question, &yes));
	if (yes)
		return exchange_send_signed(cli, c, type, statement, path,
					    ret_answer, ret_exit);
	fputs("Nothing was signed.\n", cli->err);
	*ret_exit = CLI_FAILED;
	return 0;
}

/* ---- showing ----------------------------------------------------------------
 */

char *exchange_list_path(struct cli *cli, const char *path)
{
	const char *state = args_text(&cli->args, "state", NULL);
	CLEANUP(mem_free_p) char *escaped = NULL;

	if (!state)
		return mem_str(path);
	escaped = client_escape(state);
	return mem_format("%s?state=%s", path, escaped);
}

/* path with what the page before ended with; owned. */
static char *page_path(const char *path, const char *after)
{
	CLEANUP(mem_free_p) char *escaped = NULL;

	if (!after)
		return mem_str(path);
	escaped = client_escape(after);
	return mem_format("%s%cafter=%s", path, strchr(path, '?') ? '&' : '?',
			  escaped);
}

/* Follows a list from page to page and puts all rows into ret_list, as one
 * answer. */
static int fetch_pages(struct cli *cli, struct client *c, const char *path,
		       const char *member, json_t **ret_list, int *ret_exit)
{
	CLEANUP(json_put_p) json_t *list = json_object();
	CLEANUP(json_put_p) json_t *rows = json_array();
	CLEANUP(mem_free_p) char *after = NULL;

	json_object_set(list, member, rows);
	for (unsigned page = 0; page == 0 || after; page++) {
		CLEANUP(client_answer_clear) struct client_answer a = { 0 };
		CLEANUP(mem_free_p) char *at = page_path(path, after);
		const char *next;

		if (page == PAGES_MAX)
			return error_set(ERR_LIMIT, "%s has no end", path);
		TRY(exchange_get(cli, c, at, &a, ret_exit));
		if (*ret_exit != CLI_OK)
			return 0;
		json_array_extend(rows,
				  json_is_array(a.json)
					  ? a.json
					  : json_array_in(a.json, member));
		next = json_text(a.json, "next", NULL);
		free(TAKE(after));
		after = next ? mem_str(next) : NULL;
	}
	*ret_list = TAKE(list);
	return 0;
}

int exchange_list(struct cli *cli, const char *path, const char *member,
		  const struct output_column *columns, size_t count)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(json_put_p) json_t *list = NULL;
	int code;

	TRY(exchange_open(cli, &c));
	TRY(fetch_pages(cli, c, path, member, &list, &code));
	if (code != CLI_OK)
		return code;
	if (cli->json)
		output_json(cli->out, list);
	else
		output_table(cli->out, json_array_in(list, member), columns,
			     count);
	return CLI_OK;
}

void exchange_put(struct cli *cli, const json_t *answer,
		  const struct output_column *columns, size_t count)
{
	if (cli->json)
		output_json(cli->out, answer);
	else
		output_record(cli->out, answer, columns, count);
}

int exchange_show(struct cli *cli, const char *path,
		  const struct output_column *columns, size_t count)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	int code;

	TRY(exchange_open(cli, &c));
	TRY(exchange_get(cli, c, path, &a, &code));
	if (code == CLI_OK)
		exchange_put(cli, a.json, columns, count);
	return code;
}

char *exchange_path(const char *prefix, const char *segment, const char *suffix)
{
	CLEANUP(mem_free_p) char *escaped = client_escape(segment);

	/* A dot segment would be another path (RFC 3986, 5.2.4). */
	if (!strcmp(escaped, "."))
		return mem_format("%s/%%2E%s", prefix, suffix);
	if (!strcmp(escaped, ".."))
		return mem_format("%s/%%2E%%2E%s", prefix, suffix);
	return mem_format("%s/%s%s", prefix, escaped, suffix);
}
