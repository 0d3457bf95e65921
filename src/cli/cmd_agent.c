/* writ agent import: what a target holds, proposed as manifests. */
#include <ctype.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/output.h"

enum {
	PAGES_MAX = 200, /* of what a target holds */
	NAME_LEN = 63,	 /* bytes of a manifest's name */
	EXPIRES_DAYS = 90,
	DAY_MS = 24 * 3600 * 1000,
};

/* One run of the command. */
struct import {
	struct cli *cli;
	struct client *client;
	const char *target;
	char *trust_domain; /* owned; SPIFFE, or NULL */
	bool all;	    /* people's accounts, too */
	json_t *names;	    /* names given so far */
	size_t count;	    /* proposed */
	size_t known;	    /* in the inventory already */
	size_t flagged;	    /* shared or stale among the proposed */
};

/* ---- names ---- */

/* A manifest's name out of a login, as near to it as the rules allow. */
static void make_name(const char *login, char name[NAME_LEN + 1])
{
	size_t len = 0;

	for (; *login && len < NAME_LEN; login++) {
		unsigned char c = (unsigned char)*login;

		if (c < 0x80 && (isalnum(c) || (len > 0 && strchr("-._", c))))
			name[len++] = (char)tolower(c);
		else if (len > 0 && name[len - 1] != '-')
			name[len++] = '-';
	}
	while (len > 0 && !isalnum((unsigned char)name[len - 1]))
		len--;
	name[len] = '\0';
	if (!text_is_name(name))
		snprintf(name, NAME_LEN + 1, "account");
}

/* Whether the inventory has an agent of that name; ret_exit as the call's. */
static int is_taken(struct import *im, const char *name, bool *ret_taken)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	CLEANUP(mem_free_p)
	char *path = exchange_path("/v1/inventory/Agent", name, "");
	const struct client_call call = { .method = "GET", .path = path };

	TRY(client_call(im->client, &call, &a));
	*ret_taken = a.status != 404;
	return 0;
}

static void number_name(const char *login, int number, char name[NAME_LEN + 1])
{
	char end[16];
	size_t len;

	make_name(login, name);
	snprintf(end, sizeof(end), "-%d", number);
	len = strlen(name);
	if (len > NAME_LEN - strlen(end))
		len = NAME_LEN - strlen(end);
	memcpy(name + len, end, strlen(end) + 1);
}

/* A name that nobody has: with a number where the login's is taken. */
static int find_name(struct import *im, const json_t *account,
		     char name[NAME_LEN + 1])
{
	const char *login = json_text(account, "login", "account");
	bool taken = true;

	make_name(login, name);
	for (int i = 2; taken && i < 1000; i++) {
		TRY(is_taken(im, name, &taken));
		taken |= json_object_get(im->names, name) != NULL;
		if (taken)
			number_name(login, i, name);
	}
	json_set_flag(im->names, name, true);
	return taken ? error_set(ERR_LIMIT, "no name is left for '%s'", login)
		     : 0;
}

/* ---- manifests ---- */

static bool has_flag(const json_t *account, const char *name)
{
	const json_t *flag;
	size_t at;

	json_array_foreach(json_object_get(account, "flags"), at, flag) {
		const char *text = json_string_value(flag);

		if (!strncmp(text, name, strlen(name)))
			return true;
	}
	return false;
}

/* A comment of one line, whatever the text holds. */
static void put_comment(FILE *out, const char *indent, const char *words,
			const char *text)
{
	CLEANUP(mem_free_p) char *clean = output_clean(text, false);

	fprintf(out, "%s# %s%s\n", indent, words, clean);
}

/* "name: text", quoted as JSON, which is YAML. */
static void put_text(FILE *out, const char *name, const char *text)
{
	CLEANUP(json_put_p) json_t *value = json_string(text);
	CLEANUP(mem_free_p) char *quoted = json_canonical(value);

	fprintf(out, "  %s: %s\n", name, quoted);
}

static void put_flags(FILE *out, const json_t *account)
{
	const json_t *flag;
	size_t at;

	json_array_foreach(json_object_get(account, "flags"), at, flag) {
		bool loud = !strncmp(json_string_value(flag), "shared", 6) ||
			    !strncmp(json_string_value(flag), "stale", 5);

		put_comment(out, "", loud ? "CHECK " : "",
			    json_string_value(flag));
	}
	if (json_flag(account, "disabled", false))
		put_comment(out, "", "", "it is disabled at the target");
	put_comment(out, "",
		    "last used: ", json_text(account, "lastUsed", "not known"));
}

static void put_owner(FILE *out, const json_t *account)
{
	const char *human = json_text(account, "suggestedOwner", NULL);
	const char *manager = json_text(account, "manager", NULL);

	fprintf(out, "  owner:   # MISSING: who answers for it\n");
	if (human)
		put_comment(out, "  ", "its manager at the target is ", human);
	else if (manager)
		put_comment(out, "  ", "its manager at the target: ", manager);
}

/* How it would prove itself, as most name their workloads. */
static void put_identity(const struct import *im, const char *name)
{
	FILE *out = im->cli->out;

	if (im->trust_domain)
		fprintf(out,
			"  identities: [\"spiffe://%s/agent/%s\"] "
			"# or what it has\n",
			im->trust_domain, name);
	else
		fprintf(out, "  identities:   # MISSING: its SPIFFE ID\n");
}

static void put_manifest(const struct import *im, const json_t *account,
			 const char *name)
{
	FILE *out = im->cli->out;
	const char *description = json_text(account, "description", "");
	CLEANUP(mem_free_p)
	char *id =
		mem_format("%s/%s", im->target, json_text(account, "id", ""));
	CLEANUP(json_put_p) json_t *accounts = json_pack("[s]", id);
	CLEANUP(mem_free_p) char *list = json_canonical(accounts);
	bool rests = json_flag(account, "disabled", false) ||
		     has_flag(account, "stale");
	char expires[CLOCK_TEXT_LEN];

	clock_format(clock_wall_ms() + (int64_t)EXPIRES_DAYS * DAY_MS, expires);
	fprintf(out, "---\n");
	put_flags(out, account);
	fprintf(out, "kind: Agent\nmetadata: { name: \"%s\" }\nspec:\n", name);
	put_owner(out, account);
	put_text(out, "purpose",
		 strlen(description) >= 3
			 ? description
			 : "not known; taken over from the target");
	put_text(out, "expires", expires);
	if (rests)
		fprintf(out, "  status: suspended\n");
	fprintf(out, "  capabilities: [analyze]\n  clearance: 0\n");
	put_identity(im, name);
	fprintf(out, "  accounts: %s\n", list);
}

/* ---- the command ---- */

static bool is_wanted(struct import *im, const json_t *account)
{
	const char *kind = json_text(account, "kind", "");

	if (!strcmp(kind, "group"))
		return false;
	if (json_text(account, "inventory", NULL)) {
		im->known++;
		return false;
	}
	return im->all || !strcmp(kind, "service") ||
	       has_flag(account, "shared");
}

static int propose(struct import *im, const json_t *account)
{
	char name[NAME_LEN + 1];

	if (!is_wanted(im, account))
		return 0;
	im->count++;
	im->flagged +=
		has_flag(account, "shared") || has_flag(account, "stale");
	if (im->cli->json)
		return 0;
	TRY(find_name(im, account, name));
	put_manifest(im, account, name);
	return 0;
}

static int take_page(struct import *im, const json_t *page, json_t *rows)
{
	json_t *account;
	size_t at;

	json_array_foreach(json_object_get(page, "accounts"), at, account) {
		json_array_append(rows, account);
		TRY(propose(im, account));
	}
	return 0;
}

static char *page_path(const struct import *im, const char *after)
{
	CLEANUP(mem_free_p) char *escaped = after ? client_escape(after) : NULL;
	CLEANUP(mem_free_p)
	char *suffix = after ? mem_format("/discovery?after=%s", escaped)
			     : mem_str("/discovery");

	return exchange_path("/v1/targets", im->target, suffix);
}

/* All pages; ret_exit as of exchange_get(). */
static int take_pages(struct import *im, json_t *rows, int *ret_exit)
{
	CLEANUP(mem_free_p) char *after = NULL;

	for (int i = 0; i < PAGES_MAX; i++) {
		CLEANUP(client_answer_clear) struct client_answer a = { 0 };
		CLEANUP(mem_free_p) char *path = page_path(im, after);

		TRY(exchange_get(im->cli, im->client, path, &a, ret_exit));
		if (*ret_exit != CLI_OK)
			return 0;
		TRY(take_page(im, a.json, rows));
		free(after);
		after = mem_str(json_text(a.json, "next", NULL));
		if (!after)
			return 0;
	}
	return error_set(ERR_LIMIT, "the target holds more than is looked at");
}

/* The first trust domain of the inventory, if there is one. */
static int find_trust_domain(struct import *im, int *ret_exit)
{
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	const json_t *manifest;
	size_t at;

	TRY(exchange_get(im->cli, im->client, "/v1/inventory/TrustDomain", &a,
			 ret_exit));
	json_array_foreach(json_object_get(a.json, "manifests"), at, manifest) {
		const char *name = json_text(json_object_in(manifest, "spec"),
					     "trustDomain", NULL);

		if (name && !im->trust_domain)
			im->trust_domain = output_clean(name, false);
	}
	return 0;
}

static void import_clear(struct import *im)
{
	free(im->trust_domain);
}

static void tell(const struct import *im)
{
	fprintf(im->cli->err,
		"%zu proposed, %zu of them shared or stale; %zu are in the "
		"inventory already.\n",
		im->count, im->flagged, im->known);
	if (im->count)
		fprintf(im->cli->err,
			"Fill in each owner, then: writ apply -f FILE\n");
}

int cmd_agent_import(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(json_put_p) json_t *rows = json_array();
	CLEANUP(json_put_p) json_t *names = json_object();
	CLEANUP(import_clear)
	struct import im = {
		.cli = cli,
		.target = args_operand(&cli->args, 0),
		.all = args_flag(&cli->args, "all"),
		.names = names,
	};
	int code = CLI_OK;

	TRY(exchange_open(cli, &c));
	im.client = c;
	TRY(find_trust_domain(&im, &code));
	if (code == CLI_OK)
		TRY(take_pages(&im, rows, &code));
	if (code != CLI_OK)
		return code;
	if (cli->json)
		output_json(cli->out, rows);
	tell(&im);
	return CLI_OK;
}
