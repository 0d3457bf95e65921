/* writ ssh ...: what hosts need to check certificates; for a timer there. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "crypto/sshkrl.h"
#include "crypto/sshsig.h"

enum { AUTHORITIES_BYTES_MAX = 64 * 1024 };

static void put_told(struct cli *cli, const char *file, const char *what,
		     int64_t count)
{
	CLEANUP(json_put_p) json_t *doc = json_object();

	json_set_text(doc, "file", file);
	json_set_int(doc, what, count);
	if (cli->json)
		output_json(cli->out, doc);
}

/* Writes what came to --to, whole or not at all, or to standard output. */
static int put_file(struct cli *cli, const struct buf *body)
{
	const char *to = args_text(&cli->args, "to", NULL);

	if (to)
		return file_write(to, buf_slice(body), 0644);
	if (fwrite(body->data, 1, body->len, cli->out) != body->len)
		return error_sys("write");
	return 0;
}

/* The version of the list that is there, 0 for none.  Errors: ERR_IO; one that
 * is damaged is replaced. */
static int held_version(const char *to, uint64_t *ret_version)
{
	CLEANUP(buf_clear) struct buf held = BUF_INIT(SSHKRL_BYTES_MAX);
	unsigned count;
	int r;

	*ret_version = 0;
	if (!to)
		return 0;
	r = file_read(to, &held);
	if (r == ERR_NOT_FOUND)
		return 0;
	if (r < 0)
		return r;
	if (sshkrl_check(buf_slice(&held), ret_version, &count) < 0)
		*ret_version = 0;
	return 0;
}

/* An older list would let in again whom a newer one keeps out. */
static int check_list(const struct client_answer *a, const char *to,
		      uint64_t *ret_version)
{
	uint64_t held;
	unsigned count;

	if (sshkrl_check(buf_slice(&a->body), ret_version, &count) < 0 ||
	    count == 0)
		return error_set(ERR_CORRUPT,
				 "what came is no list of revoked "
				 "certificates; nothing was changed");
	TRY(held_version(to, &held));
	if (*ret_version < held)
		return error_set(ERR_CORRUPT,
				 "the list that came is older than '%s'; "
				 "nothing was changed (remove the file if it "
				 "is of another authority)",
				 to);
	return 0;
}

int cmd_ssh_krl(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	const char *to = args_text(&cli->args, "to", NULL);
	uint64_t version;
	int code;

	TRY(client_open(&cli->settings, &c));
	TRY(exchange_get(cli, c, "/ssh/krl", &a, &code));
	if (code != CLI_OK)
		return code;
	TRY(check_list(&a, to, &version));
	TRY(put_file(cli, &a.body));
	if (to)
		put_told(cli, to, "version", (int64_t)version);
	return CLI_OK;
}

/* Every line is a public key, and there is one at least. */
static int check_lines(const struct buf *body, int64_t *ret_count)
{
	CLEANUP(mem_free_p) char *text = NULL;
	char *rest;
	int64_t count = 0;

	if (body->len == 0 || body->len > AUTHORITIES_BYTES_MAX ||
	    memchr(body->data, 0, body->len))
		return error_set(ERR_CORRUPT, "what came are no keys");
	text = mem_format("%.*s", (int)body->len, (const char *)body->data);
	rest = text;
	while (rest && *rest) {
		struct ssh_key key;

		if (ssh_key_parse(strsep(&rest, "\n"), &key) < 0)
			return error_set(ERR_CORRUPT,
					 "what came is no list of keys; "
					 "nothing was changed");
		count++;
	}
	*ret_count = count;
	return 0;
}

int cmd_ssh_authorities(struct cli *cli)
{
	CLEANUP(client_close_p) struct client *c = NULL;
	CLEANUP(client_answer_clear) struct client_answer a = { 0 };
	const char *to = args_text(&cli->args, "to", NULL);
	int64_t count;
	int code;

	TRY(client_open(&cli->settings, &c));
	TRY(exchange_get(cli, c, "/ssh/authorities", &a, &code));
	if (code != CLI_OK)
		return code;
	TRY(check_lines(&a.body, &count));
	TRY(put_file(cli, &a.body));
	if (to)
		put_told(cli, to, "keys", count);
	return CLI_OK;
}
