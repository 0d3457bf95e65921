#include "cli/sign.h"

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/process.h"

static const char armor_start[] = "-----BEGIN SSH SIGNATURE-----\n";

/* True for a key in hardware, by its public half: ssh-keygen then says when it
 * wants to be touched. */
static bool is_hardware(const char *key_file)
{
	CLEANUP(mem_free_p) char *beside = mem_format("%s.pub", key_file);
	const char *const paths[] = { beside, key_file };
	struct ssh_key key;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		CLEANUP(buf_clear) struct buf line = BUF_INIT(SSHSIG_KEY_MAX);

		if (file_read(paths[i], &line) < 0)
			continue;
		buf_cut(&line, strcspn(buf_text(&line), "\r\n"));
		if (ssh_key_parse(buf_text(&line), &key) == 0)
			return key.hardware;
	}
	return true; /* not known: let it speak */
}

/* With only the public half in a file the private one is in an agent. */
static bool is_readable(const char *key_file)
{
	CLEANUP(mem_free_p) char *beside = mem_format("%s.pub", key_file);

	return access(key_file, R_OK) == 0 || access(beside, R_OK) == 0;
}

int sign_statement(enum statement_type type, const json_t *statement,
		   const char *key_file, bool ask, json_t **ret_signed)
{
	CLEANUP(buf_clear) struct buf armor = BUF_INIT(SSHSIG_ARMOR_MAX);
	CLEANUP(mem_free_p) char *text = json_canonical(statement);
	const char *argv[] = { "ssh-keygen",
			       "-Y",
			       "sign",
			       "-n",
			       statement_namespace(type),
			       "-f",
			       key_file,
			       ask && is_hardware(key_file) ? NULL : "-q",
			       NULL };
	struct process p = { argv, slice_str(text), !ask, 0 };
	json_t *form;
	int status;

	if (strcmp(json_text(statement, "type", ""), statement_type_name(type)))
		return error_set(ERR_SYNTAX, "not a statement of type %s",
				 statement_type_name(type));
	if (strlen(text) > STATEMENT_MAX)
		return error_set(ERR_SYNTAX, "statement of more than %d bytes",
				 STATEMENT_MAX);
	if (!is_readable(key_file))
		return error_set(ERR_NOT_FOUND, "cannot read the key '%s'",
				 key_file);
	TRY(process_run(&p, &armor, &status));
	if (status != 0)
		return error_set(ERR_REFUSED,
				 "ssh-keygen did not sign with '%s'", key_file);
	if (strncmp(buf_text(&armor), armor_start, strlen(armor_start)) != 0)
		return error_set(ERR_REFUSED,
				 "what ssh-keygen made is no signature");
	form = json_object();
	json_set_text(form, "statement", text);
	json_set_text(form, "signature", buf_text(&armor));
	*ret_signed = form;
	return 0;
}
