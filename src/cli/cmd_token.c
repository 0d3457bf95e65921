/* writ token check: what an access token may carry, found offline. */
#include "base/error.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/output.h"
#include "crypto/jose.h"
#include "govern/attenuate.h"

/* A token from a file. */
struct given {
	const char *name; /* of the option */
	struct buf text;
	struct jose_token token;
};

static void given_clear(struct given *g)
{
	jose_token_clear(&g->token);
	buf_clear(&g->text);
}

/* The one token of a file, without the blanks around it; empty for none, or
 * several. */
static struct slice token_in(const struct given *g)
{
	static const char blanks[] = " \t\r\n";
	const char *text = buf_text(&g->text);
	const char *begin = text + strspn(text, blanks);
	size_t length = strcspn(begin, blanks);
	const char *rest = begin + length + strspn(begin + length, blanks);

	return slice_of(begin, *rest ? 0 : length);
}

/* RFC 9068, 4: nothing else is an access token. */
static bool is_access_token(const struct jose_token *token)
{
	const char *typ = json_text(token->header, "typ", "");

	return !strcasecmp(typ, "at+jwt") ||
	       !strcasecmp(typ, "application/at+jwt");
}

static int take(struct cli *cli, struct given *g)
{
	const char *path = args_text(&cli->args, g->name, NULL);
	enum jose_verdict verdict;
	struct slice token;

	TRY(input_read(cli, path, &g->text));
	token = token_in(g);
	verdict = jose_token_parse(token, &g->token);
	if (verdict != JOSE_VALID)
		return error_set(ERR_SYNTAX, "%s: no compact JWS (%s)", path,
				 jose_verdict_name(verdict));
	if (!is_access_token(&g->token))
		return error_set(ERR_SYNTAX,
				 "%s: typ is not at+jwt (RFC 9068, 2.1)", path);
	return 0;
}

/* The key of a set that a token names; all keys are tried for one that names
 * none. */
static bool is_signed_by(const struct jose_token *token, const json_t *keys)
{
	const char *wanted = json_text(token->header, "kid", NULL);
	const json_t *jwk;
	size_t at;

	json_array_foreach(keys, at, jwk) {
		CLEANUP(jose_key_free_p) struct jose_key *key = NULL;

		if (wanted && strcmp(json_text(jwk, "kid", ""), wanted) != 0)
			continue;
		if (jose_key_parse(jwk, &key) < 0 || !key)
			continue;
		if (jose_verify(token, key) == JOSE_VALID)
			return true;
	}
	return false;
}

static int read_keys(struct cli *cli, const char *path, json_t **ret_set)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(JOSE_SET_MAX);
	CLEANUP(json_put_p) json_t *set = NULL;
	int r;

	TRY(input_read(cli, path, &b));
	r = json_parse(buf_slice(&b), JOSE_SET_MAX, &set);
	if (r < 0)
		return error_context(r, "%s", path);
	if (!json_array_in(set, "keys") ||
	    json_array_size(json_array_in(set, "keys")) > JOSE_KEYS_MAX)
		return error_set(ERR_SYNTAX, "%s: no JWK set (RFC 7517, 5)",
				 path);
	*ret_set = TAKE(set);
	return 0;
}

/* What there is to say: {"attenuates", "dimension"?, "why"?, "signatures"}. */
static json_t *report_of(bool holds, const char *dimension, const char *why,
			 const char *signatures)
{
	json_t *report = json_object();

	json_set_flag(report, "attenuates", holds);
	if (!holds) {
		json_set_text(report, "dimension", dimension);
		json_set_text(report, "why", why);
	}
	json_set_text(report, "signatures", signatures);
	return report;
}

static int conclude(struct cli *cli, const json_t *report)
{
	bool holds = json_flag(report, "attenuates", false);
	CLEANUP(mem_free_p)
	char *why = output_clean(json_text(report, "why", ""), false);

	if (cli->json)
		output_json(cli->out, report);
	else if (holds)
		fprintf(cli->out,
			"The child carries no more than its parent "
			"(signatures: %s).\n",
			json_text(report, "signatures", ""));
	else
		fprintf(cli->out, "The child is refused: %s (%s).\n", why,
			json_text(report, "dimension", ""));
	return holds ? CLI_OK : CLI_FINDING;
}

int cmd_token_check(struct cli *cli)
{
	CLEANUP(given_clear)
	struct given parent = { .name = "parent",
				.text = BUF_INIT(JOSE_TOKEN_MAX + 16) };
	CLEANUP(given_clear)
	struct given child = { .name = "child",
			       .text = BUF_INIT(JOSE_TOKEN_MAX + 16) };
	const char *path = args_text(&cli->args, "jwks", NULL);
	CLEANUP(json_put_p) json_t *set = NULL;
	CLEANUP(json_put_p) json_t *report = NULL;
	char why[ATTENUATE_WHY_MAX];
	enum attenuation result;

	TRY(take(cli, &parent));
	TRY(take(cli, &child));
	if (path) {
		const json_t *keys;

		TRY(read_keys(cli, path, &set));
		keys = json_array_in(set, "keys");
		if (!is_signed_by(&parent.token, keys))
			report = report_of(false, "signature",
					   "no key of the set signed the "
					   "parent",
					   "refused");
		else if (!is_signed_by(&child.token, keys))
			report = report_of(false, "signature",
					   "no key of the set signed the child",
					   "refused");
		if (report)
			return conclude(cli, report);
	}
	result = attenuates(parent.token.claims, child.token.claims, why);
	report =
		report_of(result == ATTENUATION_HOLDS, attenuation_name(result),
			  why, path ? "verified" : "not looked at");
	return conclude(cli, report);
}
